"""Runs as labelled arrays."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from measured import measure, total

import simkit
from simkit import explore, product

# to_xarray


@pytest.fixture
def traj(record):
    return record(measure, product(x=[1.0, 2.0, 3.0], y=[4.0, 5.0]))


def test_results_are_data_and_parameters_coordinates_with_units_and_comments(traj):
    data = traj.to_xarray()
    assert isinstance(data, xr.Dataset)
    assert data.z.dims == ("x", "y")
    assert data.z.sel(x=2, y=5).item() == 25
    assert np.isnan(data.z.sel(x=1, y=4))
    assert data.x.values.tolist() == [1, 2, 3]
    assert (data.x.attrs["units"], data.x.attrs["comment"]) == ("cm", "position")
    assert (data.gain.item(), data.gain.attrs["units"], data.gain.attrs["comment"]) == (2.0, "mV", "the gain")
    assert data.weights.values.tolist() == [1, 2]
    assert data.options.item() == {"a": 1}
    assert set(data.data_vars) == set(traj.names("results"))
    assert data.run.sel(x=3, y=4).item() == 4
    assert data.status.sel(x=1, y=4).item() == "failed"
    assert data.attrs["doc"].startswith("One of every kind")
    assert data.attrs["experiment"].endswith("::measure")


def test_every_type_where_a_run_failed(traj):
    data = traj.to_xarray()
    failed = {"x": 1.0, "y": 4.0}
    done = {"x": 3.0, "y": 5.0}
    for name in ("z", "n", "noise", "day", "c"):
        assert data[name].sel(failed).isnull().item(), name
    assert data.n.dtype == np.float64
    assert data.n.sel(done) == 3
    assert data.b.sel(failed).item() is None
    assert data.b.sel(done).item() is True
    assert data.text.sel(done).item() == "x3.0"
    assert data.trace.dims == ("x", "y", "trace_dim_0")
    assert data.trace.sel(done).values.tolist() == [0, 3, 6]
    assert data.image.dims == ("x", "y", "image_dim_0", "image_dim_1")
    assert data.image.sel(done).max() == 3
    assert data.ragged.sel(done).item().tolist() == [0, 1, 2]
    assert data.big.sel(done).item() == 2**60 + 3  # no float holds it
    assert data.day.sel(done) == np.datetime64("2026-01-06")
    assert data.c.sel(done) == 3 + 5j
    whole = traj.where("x > 1").to_xarray()
    assert whole.n.dtype == np.int64
    assert whole.b.dtype == bool
    assert whole.image.dtype == np.uint8


def test_any_part_reads_as_the_whole(traj):
    names = [name for name in traj.names("results") if name != "ragged"]  # xarray can't compare those
    whole = traj.to_xarray(names).load()
    for part in (
        {"x": 1},
        {"x": [2, 0], "y": 1},
        {"x": slice(None, None, -1)},
        {"image_dim_1": slice(1, 3), "y": 0},
        {"x": 2, "y": 1, "trace_dim_0": [0, 2]},
    ):
        assert traj.to_xarray(names).isel(part).identical(whole.isel(part)), part
    assert traj.to_xarray(names).copy(deep=True).identical(whole)


def test_opening_reads_no_values(tmp_path):
    script = """
        import os
        import numpy as np, xarray, simkit

        def big(i):
            return {"a": np.full(250_000, float(i))}

        def have_read():
            return int(open("/proc/self/io").read().split()[1])

        simkit.run(lambda x: x, simkit.product(x=range(2))).to_xarray().load()  # imports what is read besides, as dask
        simkit.run(big, simkit.product(i=range(20))).close()
        traj = simkit.open("big")
        before = have_read()
        data = traj.to_xarray()
        opened = have_read() - before
        assert data.a.isel(i=3)[0] == 3.0
        one = have_read() - before - opened
        assert data.a.isel(i=[0, 19], a_dim_0=5).values.tolist() == [0.0, 19.0]
        two = have_read() - before - opened - one
        print(opened, one, two)
    """
    lines = "\n".join(line[8:] for line in script.splitlines())
    (tmp_path / "script.py").write_text(lines)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    opened, one, two = map(int, done.stdout.split())
    assert opened < 300_000
    assert one < 2_500_000  # one run is 2 MB, all are 40
    assert two < 5_000_000


def test_chosen_names_and_run_columns(traj):
    data = traj.to_xarray(["z", "seconds"])
    assert set(data.data_vars) == {"z", "seconds"}
    assert (data.seconds >= 0).all()
    assert set(traj.to_xarray("n").data_vars) == {"n"}
    assert traj.to_xarray("gain").gain.item() == 2.0


def test_run_and_trial_where_points_are_no_grid(record):
    traj = record(total, explore(x=[1.0, 2.0], y=[3.0, 4.0]).repeat(2))
    data = traj.to_xarray()
    assert data.z.dims == ("run",)
    assert data.run.values.tolist() == [0, 1, 2, 3]
    assert data.x.dims == ("run",)
    assert data.trial.values.tolist() == [0, 1, 0, 1]
    assert traj.where("x == 2").to_xarray().run.values.tolist() == [2, 3]


def test_user_names_equal_to_run_columns(record):
    def clashing(x):
        return {"run": x, "status": f"s{x}"}

    data = record(clashing, product(x=[1, 2])).to_xarray()
    assert data["run"].values.tolist() == [1, 2]
    assert data["run_run"].values.tolist() == [0, 1]
    assert data["status"].values.tolist() == ["s1", "s2"]
    assert data["run_status"].values.tolist() == ["done", "done"]


def test_explored_names_equal_to_run_columns(record):
    def clashing(status, y):
        return {"z": 10 * status + y, "trial": "a"}

    data = record(clashing, product(status=[1, 2], y=[3, 4]).repeat(2)).to_xarray()
    assert data.z.dims == ("status", "y", "run_trial")
    assert data.sel(status=2, y=3, run_trial=1).z.item() == 23
    assert set(data["run_status"].values.flat) == {"done"}
    assert data["run_status"].dims == data["run"].dims == data.z.dims
    assert (data["trial"].values == "a").all()


def test_a_closed_trajectory_says_so(traj):
    data = traj.to_xarray()
    traj.close()
    with pytest.raises(simkit.SimkitError, match="is closed: open the trajectory again"):
        data.z.load()


def test_without_xarray(tmp_path):
    script = """
import sys
sys.modules["xarray"] = None
import simkit
def f(x):
    return x
traj = simkit.run(f, simkit.product(x=[1, 2]))
print(traj.grid("result").values.tolist())
try:
    traj.to_xarray()
except simkit.SimkitError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        "[1, 2]",
        'to_xarray() and .nc files need xarray: pip install "simkit[xarray]"',
    ]


@pytest.mark.parametrize(
    ("values", "ordered"),
    [
        ([2.0, 0.0, 1.0], [0.0, 1.0, 2.0]),
        (["c", "a", "b"], ["a", "b", "c"]),
        (np.array(["2026-03-01", "2026-01-01"], "M8[D]"), ["2026-01-01", "2026-03-01"]),
        ([1.0, float("nan"), 0.5], [0.5, 1.0, float("nan")]),
        ([3, 1.5, 2], [1.5, 2, 3]),
        ([3, "a", 2], [3, "a", 2]),
    ],
)
def test_coordinates_ascend_where_they_have_an_order(record, values, ordered):
    trajectory = record(lambda x, y: {"z": f"{x} {y}"}, product(x=values, y=[2, 1]))
    data = trajectory.to_xarray()
    expected = np.array(ordered, values.dtype) if isinstance(values, np.ndarray) else ordered
    assert repr(data.x.values.tolist()) == repr(np.asarray(expected, data.x.dtype).tolist())
    assert data.y.values.tolist() == [1, 2]
    for run in trajectory.runs:
        if run.x == run.x:  # a place labelled NaN can't be asked for
            assert data.z.sel(x=run.x, y=run.y).item() == run.z
    assert trajectory.grid("z").axes["y"].tolist() == [1, 2]


def test_a_slice_of_coordinates_is_not_empty(record):
    trajectory = record(lambda x: 2 * x, product(x=[2.0, 0.0, 1.0, 3.0]))
    data = trajectory.to_xarray()
    assert data.result.sel(x=slice(0, 1)).values.tolist() == [0, 2]
    some = trajectory.where("x != 1").to_xarray()
    assert some.result.sel(x=slice(1, 3)).values.tolist() == [4, 6]
    assert some.run.values.tolist() == [1, 0, 3]


def test_names_that_move_together_keep_together_when_sorted(record):
    space = explore(a=[3, 1, 2], b=["x", "y", "z"]) * product(c=[1, 0])
    data = record(lambda a, b, c: 10 * a + c, space).to_xarray()
    assert data.a.values.tolist() == [1, 2, 3]
    assert data.b.values.tolist() == ["y", "z", "x"]
    assert data.result.values.tolist() == [[10, 11], [20, 21], [30, 31]]
