"""Which runs stand at some coordinates, or nearest to them, or are the best?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simkit.analyse.selection import Selection, Unknown
from simkit.analyse.tables import real_numbers
from simkit.declare.forms import Array
from simkit.declare.operators import matching
from simkit.errors import SimkitError
from simkit.inform.progress import briefly

_METHODS = {"nearest": "nearest", "pad": "pad", "ffill": "pad", "backfill": "backfill", "bfill": "backfill"}


def at_points(
    selection: Selection, points: Mapping[str, Any], method: str | None, tolerance: Any
) -> Selection:
    """The runs at some coordinates; see `Trajectory.sel`."""
    if method is not None and method not in _METHODS:
        msg = f"traj.sel: method={method!r}: choose 'nearest', 'pad' or 'backfill'"
        raise SimkitError(msg)
    if tolerance is not None and method is None:
        msg = (
            "traj.sel: tolerance= is for method='nearest', 'pad' and 'backfill'; without one values are exact"
        )
        raise SimkitError(msg)
    chosen = np.ones(len(selection), bool)
    for name, wanted in points.items():
        column, present = selection.with_presence(name)
        among = np.zeros(len(column), bool)
        among[present] = _chosen(column[present], name, wanted, _METHODS.get(method or ""), tolerance)
        chosen &= among
    return selection.at(selection.runs[chosen])


def _chosen(column: Any, name: str, wanted: Any, method: str | None, tolerance: Any) -> Array:
    """Which of some values are wanted."""
    if isinstance(wanted, slice):
        if wanted.step is not None:
            msg = f"traj.sel: {name}={wanted}: a range has two ends, and no step"
            raise SimkitError(msg)
        return _between(column, name, wanted)
    several = list(wanted) if isinstance(wanted, (list, np.ndarray)) and np.ndim(wanted) else [wanted]
    if method is not None:
        several = [_nearest(column, name, value, method, tolerance) for value in several]
    found = [np.asarray(matching(column, value)) for value in several]
    for value, rows in zip(several, found, strict=True):
        if not rows.any():
            raise Unknown(f"no run has {name} = {briefly(value)}{_there(column, value)}")
    return np.logical_or.reduce(found) if found else np.zeros(len(column), bool)


def _between(column: Any, name: str, ends: slice) -> Array:
    inside = np.ones(len(column), bool)
    try:
        if ends.start is not None:
            inside &= np.asarray(column >= ends.start, bool)
        if ends.stop is not None:
            inside &= np.asarray(column <= ends.stop, bool)
    except Exception as error:  # noqa: BLE001 - values of the user's own types may raise anything
        msg = f"traj.sel: {name} has no order in which {ends.start!r} to {ends.stop!r} is a range: {error}"
        raise SimkitError(msg) from None
    return inside


def _nearest(column: Any, name: str, wanted: Any, method: str, tolerance: Any) -> Any:
    """The value that is there in place of a wanted one."""
    try:
        distances = _distances(column, wanted, method)
    except Exception as error:  # noqa: BLE001 - values of the user's own types may raise anything
        msg = f"traj.sel: {name} has no value nearest to {wanted!r}: {error}"
        raise SimkitError(msg) from None
    usable = np.flatnonzero(~np.isnan(np.asarray(distances, float)))
    if not len(usable):
        where = {"nearest": "", "pad": " or less", "backfill": " or more"}[method]
        raise Unknown(f"no run has {name} = {briefly(wanted)}{where}{_there(column, wanted)}")
    row = usable[np.argmin(np.asarray(distances, float)[usable])]
    if tolerance is not None and abs(column[row] - wanted) > tolerance:
        raise Unknown(f"no run has {name} within {tolerance} of {briefly(wanted)}{_there(column, wanted)}")
    return column[row]


def _distances(column: Any, wanted: Any, method: str) -> Any:
    """How far each value is away, NaN where it does not count."""
    wanted = (
        np.asarray(wanted, column.dtype)[()]
        if getattr(column, "dtype", None) is not None and (column.dtype.kind in "mM")
        else wanted
    )
    steps = column - wanted
    steps = np.asarray(
        steps.astype("i8") if getattr(steps, "dtype", np.dtype(float)).kind == "m" else steps, float
    )
    if method == "pad":
        steps = np.where(steps > 0, np.nan, steps)
    if method == "backfill":
        steps = np.where(steps < 0, np.nan, steps)
    return np.abs(steps)


def _there(column: Any, wanted: Any) -> str:
    """Which value is nearest to one that is not there."""
    try:
        distances = _distances(column, wanted, "nearest")
        nearest = column[np.nanargmin(distances)]
    except Exception:  # noqa: BLE001 - there is none
        return ""
    value = (
        nearest.item() if type(nearest).__module__ == "numpy" and nearest.dtype.kind in "biufc" else nearest
    )
    return f"; the nearest that is there is {value!r}: method='nearest' takes it"


def best_of(selection: Selection, name: str, *, lowest: bool) -> int:
    """The number of the run with the highest or lowest value."""
    values, _ = real_numbers(selection, name, "compared")
    if not len(values) or np.isnan(values).all():
        msg = f"traj.best({name!r}): none of these {len(values)} runs has a number there"
        raise SimkitError(msg)
    row = np.nanargmin(values) if lowest else np.nanargmax(values)
    return int(selection.runs[row])
