"""Where do batches of runs differ from the recorded runs?"""

from __future__ import annotations

import numpy as np
import pytest

import simkit
from simkit.record.recorded import Recorded
from simkit.replay.comparison import Comparison, first
from simkit.values.compare import Tolerance


@pytest.fixture
def sides(tmp_path):
    """Two recorded trajectories of eight runs; in the second, the runs come the other way round."""

    def f(x, scale=1.0):
        if x == 2 and scale > 1:
            raise ValueError("too\nlarge")
        return {"z": 10.0**x * scale, "v": np.full(3, x) * (scale if x > 5 else 1), "text": "a"}

    simkit.run(f, simkit.product(x=range(8)), output=tmp_path / "a.h5").close()
    simkit.run(f, simkit.product(x=range(7, -1, -1)), set={"scale": 1.5}, output=tmp_path / "b.h5").close()
    opened = [Recorded.open(tmp_path / name) for name in ("a.h5", "b.h5")]
    yield opened
    for side in opened:
        side.close()


def compared(sides, **options) -> Comparison:
    a, b = sides
    comparison = Comparison(a, **options)
    for start in (0, 3, 6):  # batches come in any order, their runs in any other than the recorded ones
        runs = np.arange(8)[start : start + 3]
        for batch in b.batches(7 - runs, ["z", "v", "text"]):
            comparison.add(batch, runs)
    return comparison


def test_runs_names_and_statuses_are_counted(sides):
    comparison = compared(sides)
    assert (comparison.runs, comparison.both_done, comparison.differing) == (8, 7, 8)
    assert comparison.counts == {"z": 7, "v": 2}
    assert comparison.statuses == {("done", "failed"): 1}
    assert [(each.runs, each.values) for each in comparison.outcomes] == [((2, 5), ("done", "failed"))]


def test_what_a_batch_lacks_differs_only_where_it_is_expected(sides):
    a, _ = sides
    for expected, counts in (((), {}), (("z", "never"), {"z": 8})):
        comparison = Comparison(a, expected=expected)
        for batch in a.batches(np.arange(8), ["v"]):
            comparison.add(batch)
        assert comparison.counts == counts


def test_the_first_differences_are_kept_or_the_largest(sides):
    runs = {
        largest: [each.runs for each in compared(sides, most=2, largest=largest).differences["z"]]
        for largest in (False, True)
    }
    assert runs == {False: [(0, 7), (1, 6)], True: [(7, 0), (6, 1)]}
    kept = compared(sides, most=2)
    everything = [*kept.outcomes, *kept.differences["v"], *kept.differences["z"]]
    assert [(each.name, each.runs[0]) for each in first(everything, 3)] == [("z", 0), ("z", 1), ("status", 2)]
    assert kept.differences["z"][0].gap.absolute == 0.5


def test_within_a_tolerance_only_the_outcome_differs(sides):
    comparison = compared(sides, tolerance=Tolerance(rtol=0.5))
    assert (comparison.differing, comparison.counts) == (1, {})
