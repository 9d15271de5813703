"""Runs as a pandas table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simkit.analyse.selection import Selection, data_of, mask_of, run_label
from simkit.declare.forms import Array, objects
from simkit.errors import SimkitError
from simkit.values.batch import WORDS

if TYPE_CHECKING:
    import pandas as pd


def magnitude(selection: Selection, name: str, values: Any) -> tuple[Any, str]:
    """A name's values without their unit, and the unit: the quantity's own, else the declared one."""
    if hasattr(values, "magnitude") and hasattr(values, "units"):  # pint
        return np.asanyarray(values.magnitude), str(values.units)
    if hasattr(values, "dim") and hasattr(values, "get_best_unit"):  # Brian2, whose numbers are SI
        return np.asarray(values), str(type(values)(1.0, dim=values.dim).get_best_unit())
    if hasattr(values, "unit"):  # astropy, or a quantity of a package that is not installed here
        return np.asarray(values), str(values.unit)
    return values, selection.unit(name)


def numbers_of(selection: Selection, name: str) -> tuple[Any, str]:
    """A column without its unit, and the unit."""
    return magnitude(selection, name, selection.array(name))


def real_numbers(selection: Selection, name: str, use: str) -> tuple[Array, str]:
    """A column as floats without their unit, NaN where one is missing, and the unit.

    Parameters
    ----------
    use
        What can't be done with anything else: ``plotted``.

    Raises
    ------
    SimkitError
        For a name that is no real number per run.
    """
    column, unit = numbers_of(selection, name)
    if column.ndim > 1 or not selection.is_scalar(name):
        one = f"traj.runs[0].{name}"
        msg = (
            f"{name} is more than a number per run: look at one run's, {one}, or reduce it to a number first"
        )
        raise SimkitError(msg)
    if column.dtype.kind not in "biuf":
        msg = f"{name} is no real number in every run, so it can't be {use}: {column.dtype}"
        raise SimkitError(msg)
    values = data_of(column).astype(float)
    values[mask_of(column)] = np.nan
    return values, unit


def dataframe(selection: Selection, names: str | Sequence[str] | None) -> pd.DataFrame:
    """The named columns, then status and seconds."""
    import pandas as pd

    columns: dict[str, Any] = {}
    units: dict[str, str] = {}
    for name in table_names(selection) if names is None else as_names(names):
        if selection.recorded.section_of(name) == "summary":
            msg = f"{name!r} is one value for all runs, not a column: it is traj.summary.{name}"
            raise SimkitError(msg)
        values, unit = numbers_of(selection, name)
        columns[name] = _series(values)
        units.update({name: unit} if unit else {})
    if names is None and selection.has_run_column("trial"):
        columns = _with_trial(selection, columns)
    codes = selection.run_column("status").astype(np.int8)
    columns[run_label("status", columns)] = pd.Categorical.from_codes(codes, list(WORDS))
    columns[run_label("seconds", columns)] = selection.of_runs("seconds")
    frame = pd.DataFrame(columns, index=_index(selection, run_label("run", columns)), copy=False)
    frame.attrs["units"] = units
    return frame


def as_names(names: str | Sequence[str]) -> list[str]:
    """One name or several."""
    return [names] if isinstance(names, str) else list(names)


def table_names(selection: Selection) -> list[str]:
    """What a table shows by default: explored first, then all that varies and is a scalar or text."""
    recorded = selection.recorded
    names = [*recorded.names("parameters"), *recorded.names("results")]
    varying = [n for n in names if not recorded.is_constant(n) and selection.is_scalar(n)]
    explored = recorded.explored
    return sorted(varying, key=lambda name: name not in explored)


def _with_trial(selection: Selection, columns: dict[str, Any]) -> dict[str, Any]:
    """The trial numbers after the explored columns."""
    names = selection.recorded.explored
    explored = {name: column for name, column in columns.items() if name in names}
    return {**explored, run_label("trial", columns): selection.run_column("trial"), **columns}


def _index(selection: Selection, name: str) -> pd.Index:
    import pandas as pd

    runs = selection.runs
    is_whole = selection.chosen is None or np.array_equal(runs, np.arange(len(runs)))
    return pd.RangeIndex(len(runs), name=name) if is_whole else pd.Index(runs, name=name)


def _series(column: Any) -> Any:
    import pandas as pd

    if column.ndim > 1:
        return _with_none(objects(list(data_of(column))), _missing(column))
    if column.dtype == object:
        missing = _missing(column)
        values = _with_none(data_of(column), missing)
        here = values[~missing]
        is_text = len(here) > 0 and all(type(value) is str for value in here)
        return pd.array(values, dtype="str") if is_text else values
    if not isinstance(column, np.ma.MaskedArray):
        return column
    nullable = {"i": "Int", "u": "UInt"}.get(column.dtype.kind)
    if nullable is None and column.dtype.kind != "b":
        return _with_none(data_of(column), mask_of(column))
    dtype = f"{nullable}{8 * column.dtype.itemsize}" if nullable else "boolean"
    values = pd.array(column.filled(0), dtype=dtype)
    values[mask_of(column)] = pd.NA
    return values


def _missing(column: Any) -> Any:
    """Which rows are absent as a whole."""
    mask = mask_of(column)
    has_cells = all(mask.shape[1:])
    return mask.all(axis=tuple(range(1, mask.ndim))) if has_cells else np.zeros(len(column), bool)


def _with_none(data: Any, mask: Any) -> Any:
    values = data.astype(object)
    values[mask] = None
    return values
