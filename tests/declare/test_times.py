"""Times and durations of any unit are compared as what they are."""

from __future__ import annotations

import numpy as np
import pytest

from simkit.declare.expressions import evaluate
from simkit.declare.operators import matching
from simkit.declare.times import moment

TIMES = np.array(["2020-01-01", "2021-01-01", "NaT"], "M8[ns]")  # from 1677 to 2262
DAYS = np.array(["1500-01-01", "2021-01-01", "3000-01-01"], "M8[D]")
SPANS = np.array([-1, 200_000, 0], "m8[D]")  # 548 years; nanoseconds hold 292


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("t > '1500-01-01'", [0, 1]),
        ("t < '3000-01-01'", [0, 1]),
        ("t == '1500-01-01'", []),
        ("t != '3000-01-01'", [0, 1, 2]),
        ("t == '2021-01-01'", [1]),
        ("t >= d", [0, 1]),
        ("d == t", [1]),
        ("d < '2020-06-01T00:00:00.000000001'", [0]),
        ("d > '2020-06-01T00:00:00.000000001'", [1, 2]),
        ("s < n", [0, 2]),
        ("s > n", [1]),
    ],
)
def test_times_and_durations_are_compared_beyond_what_their_units_hold(condition, rows):
    columns = {"t": TIMES, "d": DAYS, "s": SPANS, "n": np.array([0, 1, 1], "m8[ns]")}
    chosen = evaluate(condition, columns, columns.__getitem__, "here:1")
    assert np.flatnonzero(chosen).tolist() == rows


@pytest.mark.parametrize("wanted", ["1500-01-01", "3000-01-01", np.datetime64("1500-01-01"), ["1500-01-01"]])
def test_no_row_is_a_time_that_its_unit_does_not_hold(wanted):
    assert not matching(TIMES, wanted).any()
    assert matching(TIMES, "2021").tolist() == [False, True, False]


def test_a_text_without_a_time_is_a_time_of_some_unit():  # without one it is deprecated
    for said in ("NaT", "nat", ""):
        assert np.isnat(moment(said))
        assert np.datetime_data(moment(said))[0] == "s"
