"""A recorded experiment is read lazily; a file may hold several."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import simkit
from simkit import product
from simkit.values.decode import decode

TWO_EXPERIMENTS = """
from simkit import experiment, product

@experiment
@product(x=[1, 2, 3, 4], y=[6.0, 7.0, 8.0])
def multiply(x, y, method="exact"):
    return {"z": x * y, "detail.half": x * y / 2}

@experiment
@product(name=["a", "b"])
def spell(name):
    return name * 3
"""


def squares(i: int) -> dict[str, object]:
    return {"z": float(i * i), "trace": np.full(100, float(i)), "spikes.t": np.arange(i % 7) * 1.0}


# Partial loading


def have_read() -> int:
    """How many bytes this process has read so far."""
    return int(Path("/proc/self/io").read_text("ascii").split()[1])


def test_nothing_is_read_before_it_is_touched(record):
    def large(i):
        return {"big": np.full(300_000, float(i)), "z": i}

    path = record(large, product(i=range(40))).path
    record(squares, product(i=[1])).to_dataframe()  # so that pandas is imported
    before = have_read()
    with simkit.open(path) as traj:
        assert traj.runs[7].z == 7
        assert "big" in repr(traj)
        assert traj["i"].sum() == 780
        assert traj.where("i > 30").to_dataframe().shape == (9, 2)
        assert traj.runs[7].big[5] == 7.0
        assert traj.where("i in (0, 39)")["big"][:, 3].tolist() == [0.0, 39.0]
    read = have_read() - before
    assert read < 12_000_000  # three runs of 2.4 MB, and no more than that once again; all are 96 MB


def test_iteration_keeps_one_block_at_a_time(record):
    n = 20_000
    traj = record(squares, product(i=range(n)))
    tracemalloc.start()
    total = sum(run.z + run.trace[0] + len(run.spikes.t) for run in traj)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == sum(i * i + i + i % 7 for i in range(n))
    assert peak < 6_000_000  # all of it is 17 MB


# Several trajectories in one file; expand after reload


@pytest.fixture
def both(project):
    project.file("sim_both.py", TWO_EXPERIMENTS)
    project.ok("--output", "both.h5", "-n", "0")
    return project


def test_several_trajectories_in_one_file(both):
    one, other = both.open("both.h5", "multiply"), both.open("both.h5", "spell")
    assert one["z"].shape == (12,)
    assert other["result"].tolist() == ["aaa", "bbb"]
    assert other.where(name="b").runs[0].result == "bbb"
    assert one.to_xarray().z.sel(x=4, y=8.0).item() == 32
    with pytest.raises(simkit.SimkitError, match=r"both\.h5 holds several experiments: multiply, spell"):
        simkit.open(both.path / "both.h5")


# Rows anywhere


def test_rows_far_apart_and_in_pieces(record):
    traj = record(squares, product(i=range(3000)))
    apart = [0, 1, 1500, 2999]
    chosen = traj.where(lambda i: i in apart)
    assert chosen.index.tolist() == apart
    assert chosen["trace"][:, 50].tolist() == apart
    assert [len(t) for t in chosen["spikes.t"]] == [i % 7 for i in apart]
    assert [run.z for run in chosen.runs[::-1]] == [float(i * i) for i in apart[::-1]]


def test_rows_that_lie_in_another_order_than_their_cells(record):
    def f(i, k):
        return {"trace": np.full(100, i + k / 2)}

    half = product(i=range(1500))
    traj = record(f, half * product(k=[0]) + half * product(k=[1]))  # as of a grid that grew
    corners = traj.to_xarray().trace.isel(i=[1499, 0], trace_dim_0=3)
    assert corners.values.tolist() == [[1499, 1499.5], [0, 0.5]]


@pytest.mark.parametrize("seed", range(4))
def test_rows_in_any_order_are_those_of_the_whole_column(record, seed):
    def mixed(i, scale=2.5):
        if i % 7 == 3:
            raise ValueError(i)
        values = {
            "trace": np.full(20, i),
            "text": "t" * (i % 5),
            "list": ["a"] * (i % 3),
            "deep": {"a": i, "b": [i]},
        }
        values |= {"late": i / 2} if i > 500 else {}
        return {**values, "odd": i if i % 2 else f"run {i}", "ragged": np.arange(i % 4), "empty": None}

    recorded = record(mixed, product(i=range(800)))._selection.recorded
    wanted = np.random.default_rng(seed).permutation(800)[: 5 * 4**seed]
    for name in (*recorded.names("parameters"), *recorded.names("results")):
        whole = recorded.values(recorded.rows(name, np.arange(800)))
        for runs in (wanted, np.sort(wanted), np.repeat(wanted, 2), wanted[:0]):
            rows = recorded.values(recorded.rows(name, runs))
            np.testing.assert_equal(rows, [whole[run] for run in runs.tolist()])


def test_batches_give_the_runs_in_order(record):
    def f(i):
        return {"trace": np.full(100_000, float(i)), "z": i}

    recorded = record(f, product(i=range(60)))._selection.recorded
    batches = list(recorded.batches(np.arange(59, -1, -1), ["i", "trace"]))
    assert len(batches) > 1
    assert max(batch.nbytes for batch in batches) < 20_000_000
    assert [run for batch in batches for run in batch.runs.tolist()] == list(range(59, -1, -1))
    for batch in batches:
        assert list(batch.results) == ["trace"]
        assert (
            [a[7] for a in decode(batch.results["trace"])]
            == decode(batch.parameters["i"])
            == batch.runs.tolist()
        )
