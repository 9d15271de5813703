"""What people do with a recorded trajectory: the scenarios of pypet's own tests, written anew."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import simkit
from simkit import product

SOURCE = """
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


# Find runs: simple, complex, none


def test_find_runs(study):
    traj = study.run(
        "def f(x, y, method='exact'):\n    return {'z': x * y}", space=product(x=range(5), y=range(4))
    )
    with traj:
        assert traj.where("x == 3").index.tolist() == [12, 13, 14, 15]
        assert traj.where(lambda x: x == 3).index.tolist() == [12, 13, 14, 15]
        found = traj.where("(x > 2 and y < 2) or z in (2, 3)")
        expected = [4 * x + y for x in range(5) for y in range(4) if (x > 2 and y < 2) or x * y in (2, 3)]
        assert found.index.tolist() == expected
        assert traj.where(
            lambda x, y, method: x * y > 5 and method == "exact", status="done"
        ).index.tolist() == [4 * x + y for x in range(5) for y in range(4) if x * y > 5]
        nothing = traj.where("x > 2 and x < 2")
        assert len(nothing) == 0
        assert nothing.to_dataframe().shape == (0, 5)
        assert nothing["z"].tolist() == []
        assert [run.z for run in nothing] == []
        assert "0 runs" in repr(nothing)
        assert traj.where("run >= 18 and seconds >= 0").runs[-1].x == 4


def test_a_selection_has_all_verbs(study):
    traj = study.run("def f(x, y):\n    return {'z': x * y}", space=product(x=[1, 2, 3], y=[4, 5]).repeat(2))
    with traj:
        some = traj.where("x >= 2").where("y == 5")
        assert some.index.tolist() == [6, 7, 10, 11]
        assert (some["z"].tolist(), some.results.z.tolist()) == ([10, 10, 15, 15], [10, 10, 15, 15])
        assert some.parameters.y.tolist() == [5] * 4
        assert [run.x for run in some.runs[1:3]] == [2, 3]
        assert some.runs[-1].z == 15
        assert some.status.tolist() == ["done"] * 4
        assert some["trial"].tolist() == [0, 1, 0, 1]
        assert len(some.space) == 4
        assert some.explored == ("x", "y")
        assert some.describe("z").section == "results"
        assert some.grid("z").values.tolist() == [[[10, 10]], [[15, 15]]]
        assert some.to_xarray().z.dims == ("x", "y", "trial")
        table = some.to_dataframe()
        assert table.index.tolist() == [6, 7, 10, 11]
        assert table.sort_values("z", ascending=False).index[0] in (10, 11)
        assert table.groupby("x")["z"].mean().to_dict() == {2: 10.0, 3: 15.0}
        assert table.groupby("status").size().to_dict() == {"done": 4}
        assert some.log(6) == traj.log(6)


def test_runs_and_columns_mixed_up_and_numpy_s_ways(record):
    def f(x):
        return {"z": 2 * x, "half": 0.5} if x != 3 else {"z": 6}

    traj = record(f, product(x=[1, 2, 3, 4]))
    assert traj.where(traj["z"] > 2).index.tolist() == [1, 2, 3]
    assert traj.where(traj["half"] == 0.5, x=4).index.tolist() == [3]
    assert traj.where(traj["z"] > 2).where(np.array([True, False, True])).index.tolist() == [1, 3]
    assert [run.x for run in traj.runs[[0, -1]]] == [1, 4]
    assert [run.x for run in traj.runs[traj["z"] < 5]] == [1, 2]
    with pytest.raises(KeyError, match=r"3 is no name: .*runs are numbered, as in traj\.runs\[3\]"):
        traj[3]
    with pytest.raises(TypeError, match=r"runs\['z'\]: runs are numbered.*columns have names"):
        traj.runs["z"]
    with pytest.raises(simkit.SimkitError, match=r"shape \(2,\): give one boolean for each of the 4 runs"):
        traj.where(np.array([True, False]))
    with pytest.raises(simkit.SimkitError, match="array of int64"):
        traj.where(traj["z"])


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


# Several trajectories in one file; expand after reload


@pytest.fixture
def both(project):
    project.file("sim_both.py", SOURCE)
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


def test_expand_after_reload(both):
    before = both.open("both.h5", "multiply")
    old = before.to_dataframe()
    assert before.grid("z").values.shape == (4, 3)
    before.close()
    source = SOURCE.replace("x=[1, 2, 3, 4]", "x=[1, 2, 3, 4, 5]").replace("8.0]", "8.0, 9.0]")
    both.file("sim_both.py", source)
    both.ok("--output", "both.h5", "-n", "0", "-k", "multiply")
    after = both.open("both.h5", "multiply")
    assert len(after) == 20
    assert after.to_dataframe().iloc[:12][["x", "y", "z"]].equals(old[["x", "y", "z"]])
    values, axes = after.grid("z")
    assert sorted(axes["x"].tolist()) == [1, 2, 3, 4, 5]
    assert values.tolist() == np.outer(axes["x"], axes["y"]).tolist()
    assert after.runs[12].y == 9.0


def test_a_trajectory_whose_points_come_from_a_sum_of_spaces(record):
    def f(x=1.0, y=10.0):
        return {"z": x + y}

    traj = record(f, product(x=[1.0, 2.0, 3.0]) + product(y=[20.0, 30.0]))
    data = traj.to_xarray()
    assert data.z.sel(x=1.0, y=30.0).item() == 31.0
    assert data.z.sel(x=3.0, y=10.0).item() == 13.0
    assert int(data.z.isnull().sum()) == 4


# What a failed run leaves


def test_columns_of_runs_that_all_lack_a_value_keep_their_type(record):
    def f(x):
        if x > 1:
            raise ValueError
        return {"z": 1.5, "n": 1, "v": np.zeros(3), "t": "a", "day": np.datetime64("2026-01-01")}

    failed = record(f, product(x=[1, 2, 3])).where(status="failed")
    assert failed["z"].dtype == np.float64
    assert np.isnan(failed["z"]).all()
    assert failed["v"].shape == (2, 3)
    assert np.isnat(failed["day"]).all()
    assert failed["n"].dtype == np.int64
    assert np.ma.getmaskarray(failed["n"]).all()
    table = failed.to_dataframe()
    assert table["z"].dtype == np.float64
    assert str(table["n"].dtype) == "Int64"
    assert table[["z", "n", "t", "day"]].isna().all().all()
    assert failed.to_xarray().z.isnull().all()
