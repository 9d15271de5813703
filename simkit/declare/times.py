"""How is a time said beside times that are recorded, and how are they compared?"""

from __future__ import annotations

import datetime
import warnings
from typing import Any

import numpy as np


def as_times(left: Any, right: Any) -> tuple[Any, Any]:
    """Two sides of a comparison: text beside a column of times is the time that it says.

    A time without a zone is one in the column's; two units become the finer one.

    Parameters
    ----------
    left, right
        Columns or values; what is no time stays what it is.
    """
    if isinstance(right, (str, datetime.datetime)):
        right = _time(left, right)
    elif isinstance(left, str):
        left = _time(right, left)
    units = getattr(left, "dtype", None), getattr(right, "dtype", None)
    if units[0] == units[1] or not all(unit is not None and unit.kind in "mM" for unit in units):
        return left, right
    finer = np.promote_types(*units)
    return _within(left, finer), _within(right, finer)


def _within(times: Any, unit: np.dtype[Any]) -> Any:
    """Times or durations in a finer unit; what that can't hold is its first or last: NumPy goes round, or refuses."""
    ends = np.array([1 - 2**63, 2**63 - 1]).view(unit)
    ticks, most = times.astype(np.int64), ends[1].astype(times.dtype).astype(np.int64)
    is_inside = (-most <= ticks) & (ticks <= most) | np.isnat(times)
    inside = np.where(is_inside, times, np.zeros((), times.dtype)).astype(unit)
    return np.where(is_inside, inside, np.where(ticks > 0, ends[1], ends[0]))[()]


def _time(column: Any, said: Any) -> Any:
    """The time that is said, of the type that the column has; the value itself beside other columns."""
    first: Any = _first(column)
    if isinstance(first, (np.datetime64, np.timedelta64)):
        return _of_numpy(first, said)
    if not isinstance(first, (datetime.date, datetime.time)):
        return said
    kind: Any = type(first)
    zone = getattr(first, "tzinfo", None)
    if hasattr(first, "tz_localize"):  # pandas' Timestamp
        stamp = kind(said)
        return stamp if stamp.tzinfo or not zone else stamp.tz_localize(zone)
    there: Any = kind.fromisoformat(said) if isinstance(said, str) else said
    return there.replace(tzinfo=zone) if zone and not getattr(there, "tzinfo", None) else there


def _of_numpy(first: Any, said: Any) -> Any:
    """A time as NumPy reads it, a duration as pandas does: ``1h``, ``2 days``."""
    if isinstance(first, np.datetime64):
        return moment(said)
    if not isinstance(said, str):
        return said
    from pandas import Timedelta

    return Timedelta(said).to_timedelta64()


def moment(said: Any) -> Any:
    """A time as NumPy has it, in the unit in which it is said.

    Parameters
    ----------
    said
        A text as NumPy reads it, a date, or a date with its time.

    Raises
    ------
    TypeError
        Where it has a time zone: NumPy's times have none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # by which NumPy tells that it drops the zone
        try:
            if isinstance(said, str) and said.lower() in ("nat", ""):
                return np.datetime64("NaT", "s")  # without a unit it is deprecated
            return np.datetime64(said)
        except UserWarning:
            msg = f"{said!r} has a time zone, and the values here have none"
            raise TypeError(msg) from None


def _first(column: Any) -> Any:
    """A value of a column, the first that is there; None where there is none."""
    if not isinstance(column, np.ndarray) or not column.ndim:
        return column
    return next((value for value in column.flat if value is not None), None)
