"""A recorded experiment is read lazily; a file may hold several."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import simkit
from simkit import product

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
    before = have_read()
    with simkit.open(path) as traj:
        assert traj.runs[7].z == 7
        assert "big" in repr(traj)
        assert traj["i"].sum() == 780
        assert traj.where("i > 30").to_dataframe().shape == (9, 4)
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
