"""Which values does a file format hold without loss?"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from simkit.analyse.describe import has_unit
from simkit.analyse.missing import data_of, mask_of
from simkit.analyse.units import magnitude

if TYPE_CHECKING:
    from simkit.analyse.trajectory import Trajectory

_SCALARS = (bool, int, float, complex, str, np.generic, datetime.date, datetime.timedelta)


def cell_problem(trajectory: Trajectory, name: str) -> str:
    """Why a column can't stand in the cells of a text table; empty if it can."""
    column = magnitude(trajectory, name, trajectory[name])[0]
    if column.ndim > 1:
        return f"an array per run, {_kind(trajectory, name)}"
    if column.dtype.kind != "O" or all(isinstance(value, _SCALARS) for value in _values(column)):
        return ""
    return f"more than a scalar per run, {_kind(trajectory, name)}"


def list_problem(trajectory: Trajectory, name: str) -> str:
    """Why a column can't stand in a typed table, whose cells are scalars, text or lists; empty if it can."""
    column = magnitude(trajectory, name, trajectory[name])[0]
    if column.dtype.kind == "c" or column.dtype.char in "gS":
        return f"it has no {column.dtype} numbers"
    if column.dtype.kind != "O":
        return f"more than one dimension per run, {_kind(trajectory, name)}" if column.ndim > 2 else ""
    values = _values(column)
    if all(type(value) is str for value in values):
        return ""
    if any(map(has_unit, values)):
        return f"quantities in no common array, {_kind(trajectory, name)}"
    if all(isinstance(value, np.ndarray) and value.ndim == 1 for value in values):
        dtypes = {value.dtype for value in values}
        if len(dtypes) == 1 and next(iter(dtypes)).kind in "biuf":
            return ""
    return f"not one type of numbers, text or lists in all runs, {_kind(trajectory, name)}"


def cube_problem(trajectory: Trajectory, name: str, array: Any) -> str:
    """Why an array can't stand in a netCDF file; empty if it can."""
    if array.dtype.kind == "c" or array.dtype.char in "geGS":
        return f"it has no {array.dtype} numbers"
    if array.dtype.kind != "O":
        return ""
    values = [value for value in array.flat if value is not None]
    if all(type(value) is str for value in values) or all(isinstance(v, (bool, np.bool_)) for v in values):
        return ""
    return f"no arrays of one shape and type, {_kind(trajectory, name)}"


def _values(column: Any) -> list[Any]:
    """What is present, without ``None``."""
    present = data_of(column)[~mask_of(column)]
    return [value for value in present.tolist() if value is not None]


def _kind(trajectory: Trajectory, name: str) -> str:
    recorded = trajectory._recorded
    return recorded.kind(name) if name in trajectory else ""
