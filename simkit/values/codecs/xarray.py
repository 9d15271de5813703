"""xarray's labelled arrays: variables with dimensions, coordinates and attributes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from simkit.declare.plugins import Codec, Facts, Parts
from simkit.errors import Unstorable
from simkit.values.registry import attributes_of


def _variable(variable: Any) -> Parts:
    """A variable's values in memory; lazy ones are computed now."""
    if not isinstance(variable.dtype, np.dtype):
        raise Unstorable("", f"an xarray variable of dtype {variable.dtype}")
    parts: dict[str, Any] = {"dims": tuple(variable.dims), "values": variable.values}
    return Parts({**parts, **({"attrs": dict(variable.attrs)} if variable.attrs else {})})


def _variable_back(parts: Facts, _: Facts) -> Any:
    return xr.Variable(parts["dims"], parts["values"], parts.get("attrs"))


def _coordinates(thing: Any) -> dict[str, Any]:
    """Coordinates as variables; those of a MultiIndex as the pandas index that they come from."""
    multi = {
        index.name or dim: index
        for dim, index in thing.indexes.items()
        if isinstance(index, pd.MultiIndex) and dim in thing.dims
    }
    inside = {name for dim, index in multi.items() for name in (dim, *index.names)}
    plain = {
        name: xr.Variable(c.dims, c.values, c.attrs) for name, c in thing.coords.items() if name not in inside
    }
    unindexed = [name for name in plain if name in thing.dims and name not in thing.xindexes]
    found: dict[str, Any] = {"coords": plain}
    if multi:
        found["multiindexes"] = multi
    return {**found, **({"unindexed": unindexed} if unindexed else {})}


def _with_coordinates(thing: Any, parts: Facts) -> Any:
    thing = thing.assign_coords(parts["coords"])
    for dim, index in parts.get("multiindexes", {}).items():
        thing = thing.assign_coords(xr.Coordinates.from_pandas_multiindex(index, dim))
    return thing.drop_indexes(parts["unindexed"]) if "unindexed" in parts else thing


def _array(array: Any) -> Parts:
    named = {} if array.name is None else {"name": array.name}
    return Parts({**_variable(array.variable).fields, **_coordinates(array), **named})


def _array_back(parts: Facts, _: Facts) -> Any:
    bare = xr.DataArray(parts["values"], dims=parts["dims"], name=parts.get("name"), attrs=parts.get("attrs"))
    return _with_coordinates(bare, parts)


def _dataset(dataset: Any) -> Parts:
    variables = {name: dataset[name].variable.to_base_variable() for name in dataset.data_vars}
    parts = {"variables": variables, **_coordinates(dataset)}
    return Parts({**parts, **({"attrs": dict(dataset.attrs)} if dataset.attrs else {})}, attributes_of())


def _dataset_back(parts: Facts, _: Facts) -> Any:
    return _with_coordinates(xr.Dataset(parts["variables"], attrs=parts.get("attrs")), parts)


CODECS = (
    Codec("xarray.DataArray", xr.DataArray, _array, _array_back),
    Codec("xarray.Dataset", xr.Dataset, _dataset, _dataset_back),
    Codec("xarray.Variable", xr.Variable, _variable, _variable_back),
)
