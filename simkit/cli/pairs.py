"""How do two values that differ look beside each other?"""

from __future__ import annotations

from typing import Any

import numpy as np

from simkit.analyse.compare import Gap
from simkit.cli.words import short
from simkit.values.decode import ABSENT

_MOST = 32  # characters of a value
_SMALL = 4  # elements of an array that is shown as it is


def pair(one: Any, other: Any, units: tuple[str, str] = ("", "")) -> tuple[str, str]:
    """Both values in a few characters; of arrays the elements that lie farthest apart, with their place."""
    first, second = (f"{_shown(v)} {unit}".rstrip() for v, unit in zip((one, other), units, strict=True))
    if _alike(one, other):
        at = _farthest(one, other)
        place = ", ".join(map(str, at))
        return f"[{place}] {short(one[at])}", f"[{place}] {short(other[at])}"
    if first == second:  # they differ in type, or behind what is shown
        return f"{_kind(one)} {first}", f"{_kind(other)} {second}"
    return first, second


def apart(gap: Gap | None) -> str:
    """How far two values lie apart, if that is a number."""
    return (
        "" if gap is None or not gap.absolute else f"off by {gap.absolute:.2g} ({gap.relative:.2g} relative)"
    )


def _alike(one: Any, other: Any) -> bool:
    """Whether these are arrays of numbers of one type and shape, too large to be shown whole."""
    arrays = type(one) is np.ndarray and type(other) is np.ndarray
    return bool(
        arrays
        and one.size > _SMALL
        and one.dtype == other.dtype
        and one.shape == other.shape
        and one.dtype.kind in "biufc"
    )


def _farthest(one: Any, other: Any) -> tuple[int, ...]:
    """Where they lie farthest apart; a zero of another sign is the least difference."""
    a, b = (side.astype(np.result_type(side, "f8")) for side in (one, other))
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(a - b)
    distance[np.isnan(distance)] = np.inf  # a NaN or an infinity on one side
    distance[((a == b) & (np.signbit(a.real) == np.signbit(b.real))) | (np.isnan(a) & np.isnan(b))] = -1
    return tuple(map(int, np.unravel_index(int(distance.argmax()), distance.shape)))


def _shown(value: Any) -> str:
    """A value, the type and shape of an array, or a remark in parentheses as it is."""
    if value is ABSENT:
        return "(nothing)"
    if isinstance(value, np.ndarray) and value.size > _SMALL:
        return f"array {value.dtype} {value.shape}"
    return value if isinstance(value, str) and value == "(varies)" else short(value, _MOST)


def _kind(value: Any) -> str:
    """A type, with NumPy's own names."""
    return str(value.dtype) if isinstance(value, (np.ndarray, np.generic)) else type(value).__name__
