"""Runs placed by their coordinates."""

from __future__ import annotations

import numpy as np
import pytest
from measured import measure, total

from simkit import explore, product


def named(kind, y=0.0):
    return {"z": f"{kind}{y}"}


# grid


def test_a_product_is_an_array_over_its_axes(record):
    traj = record(total, product(x=[3.0, 1.0, 2.0], y=[5.0, 6.0]))
    values, axes = traj.grid("z")
    assert type(values) is np.ndarray
    assert values.tolist() == [[150, 160], [250, 260], [350, 360]]
    assert {name: at.tolist() for name, at in axes.items()} == {"x": [1, 2, 3], "y": [5, 6]}
    assert list(axes) == ["x", "y"]


def test_holes_are_missing(record):
    traj = record(measure, product(x=[1.0, 2.0, 3.0], y=[4.0, 5.0]).where("not (x == 3 and y == 5)"))
    z = traj.grid("z").values
    assert np.array_equal(z, [[np.nan, 15], [24, 25], [34, np.nan]], equal_nan=True)
    n = traj.grid("n").values
    assert np.ma.getmaskarray(n).tolist() == [[True, False], [False, False], [False, True]]
    assert n.dtype == np.int64
    assert n.compressed().tolist() == [1, 2, 2, 3]
    assert traj.grid("trace").values.shape == (3, 2, 3)
    assert np.isnan(traj.grid("trace").values[2, 1]).all()
    assert np.isnat(traj.grid("day").values[2, 1])
    assert traj.grid("ragged").values[1, 1].tolist() == [0, 1]
    assert traj.grid("ragged").values[2, 1] is np.ma.masked
    assert traj.grid("gain").values[0, 0] == 2.0


def test_runs_are_placed_by_coordinates_in_whatever_order_they_were_declared(record):
    points = [(2.0, 1.0), (1.0, 3.0), (1.0, 1.0), (2.0, 3.0), (2.0, 2.0)]
    traj = record(total, explore([{"x": x, "y": y} for x, y in points]))
    values, axes = traj.grid("z")
    assert axes["x"].tolist() == [1, 2]
    assert axes["y"].tolist() == [1, 2, 3]
    for x, y in points:
        at = axes["x"].tolist().index(x), axes["y"].tolist().index(y)
        assert values[at] == 100 * x + 10 * y
    assert np.isnan(values).sum() == 1


def test_repeats_are_a_dimension(record):
    traj = record(measure, product(x=[2.0, 3.0], y=[4.0]).repeat(3))
    values, axes = traj.grid("noise")
    assert values.shape == (2, 1, 3)
    assert list(axes) == ["x", "y", "trial"]
    assert axes["trial"].tolist() == [0, 1, 2]
    assert values[1, 0, 2] == traj.runs[5].noise
    only = record(named, explore(kind=["a"]).repeat(2)).grid("z")
    assert only.values.tolist() == [["a0.0", "a0.0"]]


def test_points_that_are_no_grid_stand_along_run(record):
    for space in (
        explore(x=[1.0, 2.0, 3.0], y=[4.0, 5.0, 6.0]),
        explore(x=[1.0, 1.0, 2.0]),  # a point twice
        explore(x=np.linspace(0, 1, 20), w=[1.0, 2.0] * 10),  # a sample
        None,
    ):
        traj = record(total, space)
        values, axes = traj.grid("z")
        assert list(axes) == ["run"]
        assert axes["run"].tolist() == list(range(len(traj)))
        assert values.tolist() == traj["z"].tolist()
    i = np.arange(50)  # each x and each y twice, in 50 of 625 cells
    spread = record(total, explore(x=i // 2 * 1.0, y=i * 7 % 25 * 1.0))
    assert list(spread.grid("z").axes) == ["run"]


def test_names_that_move_together_share_an_axis(record):
    traj = record(total, explore(x=[1.0, 2.0, 3.0], w=[7.0, 7.0, 8.0]) * product(y=[4.0, 5.0]))
    values, axes = traj.grid("z")
    assert list(axes) == ["x", "y"]
    assert values.tolist() == [[147, 157], [247, 257], [348, 358]]
    data = traj.to_xarray()
    assert data.z.dims == ("x", "y")
    assert data.w.dims == ("x",)
    assert data.w.values.tolist() == [7, 7, 8]
    assert data.swap_dims(x="w").z.sel(w=8.0, y=4.0).item() == 348


def test_a_selection_keeps_its_dimensions(record):
    traj = record(total, product(x=[1.0, 2.0, 3.0], y=[4.0, 5.0]))
    values, axes = traj.where("x > 1 and y == 5").grid("z")
    assert values.tolist() == [[250], [350]]
    assert axes["x"].tolist() == [2, 3]
    assert traj.where("x == y - 3").grid("z").values.shape == (2, 2)
    assert traj.where("x > 9").grid("z").values.shape == (0, 0)
    assert traj.where("x > 9").to_xarray().z.shape == (0, 0)


def test_axes_of_text_and_of_arrays(record):
    traj = record(named, product(kind=["b", "a"], y=[1.0, 2.0]))
    assert traj.grid("z").axes["kind"].tolist() == ["a", "b"]
    assert traj.to_xarray().z.sel(kind="a", y=2.0).item() == "a2.0"
    arrays = record(named, product(kind=[np.zeros(2), np.ones(2)], y=[1.0, 2.0]))
    data = arrays.to_xarray()
    assert data.z.dims == ("kind", "y")
    assert data.kind.dims == ("kind", "kind_dim_0")
    assert data.kind.values.tolist() == [[0, 0], [1, 1]]


def test_grid_of_an_unknown_name(record):
    traj = record(total, product(x=[1.0, 2.0]))
    with pytest.raises(KeyError, match=r"total has no 'zz'; did you mean 'z'\?"):
        traj.grid("zz")
    with pytest.raises(KeyError, match=r"total has no 'zz'; did you mean 'z'\?"):
        traj.to_xarray(["zz"])


# to_xarray


@pytest.fixture
def traj(record):
    return record(measure, product(x=[1.0, 2.0, 3.0], y=[4.0, 5.0]))
