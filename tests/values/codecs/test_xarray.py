"""xarray's labelled arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from kinds import CHECKS

from simkit.testing.codecs import Examples

xr = pytest.importorskip("xarray", reason="an extra: pip install simkit[xarray]")


def labelled(**facts):
    """An array over two labelled axes; its text and time coordinates make no dimension of their own."""
    return xr.DataArray(
        np.arange(6.0).reshape(2, 3) * facts.pop("scale", 1.0),
        dims=("cell", "t"),
        coords={
            "cell": ["a", "b"],
            "t": np.arange(3) * 0.5,
            "depth": ("cell", [1, 2]),
            "day": np.datetime64("2020-01-01", "ns"),
        },
        **facts,
    )


PAIRS = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["cell", "trial"])

KINDS = {
    "arrays": [
        labelled(name="v", attrs={"units": "mV", "count": 3}),
        labelled(name="v", scale=2.0),
        labelled(name=None),
        xr.DataArray(np.float32(1.5)),
        xr.DataArray(np.empty((0, 2)), dims=("none", "two")),
    ],
    "arrays of text, time and bool": [
        xr.DataArray(np.array(["x", "yz"]), dims="k"),
        xr.DataArray(np.array(["2020-01-01", "NaT"], "M8[ns]"), dims="k"),
        xr.DataArray(np.array([True, False]), dims="k"),
    ],
    "datasets": [
        xr.Dataset({"v": labelled(name="v"), "n": ("cell", [1, 2])}, attrs={"title": "two cells"}),
        xr.Dataset({"v": ("t", [1.0, np.nan])}),
        xr.Dataset(),
    ],
    "variables": [xr.Variable("t", [1, 2], {"units": "s"}), xr.Variable((), 1.5)],
    "of several labels an axis": [
        xr.DataArray(np.arange(4), dims="p", coords=xr.Coordinates.from_pandas_multiindex(PAIRS, "p")),
        labelled(name="v").drop_indexes("t"),
    ],
    "nested": [{"a": [labelled(name="v")]}, [xr.Dataset({"v": ("t", [1.0])}), None]],
}


def equal(one, other):
    """xarray's own comparison: names, attributes and coordinates too; in containers item by item."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, (xr.DataArray, xr.Dataset, xr.Variable)):
        return one.identical(other) and types(one) == types(other)
    return one == other


def types(value):
    variables = (
        value.variables if isinstance(value, xr.Dataset) else {"": value, **getattr(value, "coords", {})}
    )
    return {name: variable.dtype for name, variable in variables.items()}


@pytest.mark.parametrize("kind", KINDS)
@CHECKS
def test_each_kind_is_kept(check, kind):
    check(Examples(KINDS[kind], equal))
