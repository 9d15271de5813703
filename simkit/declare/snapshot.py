"""A value as it is at this moment.

Runs are executed in batches and recorded afterwards. A simulation that fills one buffer again and again
would otherwise have its last state recorded for all runs of a batch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

PLAIN = frozenset((bool, int, float, complex, str, bytes, type(None)))


Other: TypeAlias = Callable[[Any], Any]
Fields: TypeAlias = Callable[[Any], Mapping[str, Any]]


def unchanged(value: Any) -> Any:
    """A value of a type that is not known here, as it is."""
    return value


def snapshot(
    value: Any,
    other: Other = unchanged,
    fields_of: Callable[[type], Fields | None] | None = None,
    *,
    is_held: bool = False,
) -> Any:
    """The value itself where nobody can change it any more, else a copy.

    An array that only the caller's expression refers to is not copied: large results cost nothing.

    Parameters
    ----------
    other
        Makes the snapshot of anything but numbers, text, plain arrays and containers.
    fields_of
        Tells of a class how what a run returned is taken apart into results; None where the value is one result.
    is_held
        A list or a mapping of the caller's refers to the value, too.
    """
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is dict and PLAIN.issuperset(map(type, value.values())):
        return dict(value)
    if kind is np.ndarray and value.dtype != object:
        alone = _HELD_ALONE if is_held else _ALONE
        return value if value.base is None and sys.getrefcount(value) <= alone else value.copy()
    fields = None if fields_of is None or kind in (dict, list, tuple) else fields_of(kind)
    try:
        if fields is not None:  # taken apart now, while its fields are as they are
            return {name: held(inner, other) for name, inner in fields(value).items()}
        return _container(value, kind, other)
    except RecursionError:  # it contains itself: whoever records it says so
        return value


def _container(value: Any, kind: type, other: Other) -> Any:
    if kind is dict:
        if PLAIN.issuperset(map(type, value.values())):
            return dict(value)
        return {key: held(value[key], other) for key in value}
    if kind is list:
        if PLAIN.issuperset(map(type, value)):
            return list(value)
        return [held(value[i], other) for i in range(len(value))]
    if kind is tuple:
        return tuple(held(value[i], other) for i in range(len(value)))
    if kind is np.ndarray:  # of objects: each may be changed
        copied = np.empty(value.size, object)
        for i, cell in enumerate(value.flat):
            copied[i] = held(cell, other)
        return copied.reshape(value.shape)
    return other(value)


def held(value: Any, other: Other) -> Any:
    """A snapshot of what a container holds: one more reference than that of the container counts as shared."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is np.ndarray and value.dtype != object:
        return value if value.base is None and sys.getrefcount(value) <= _HELD_ALONE else value.copy()
    return _container(value, kind, other)


# How many references an object has that nobody else refers to depends on the interpreter: ask it.
_ALONE, _HELD_ALONE = 0, 0


def _calibrated() -> tuple[int, int]:
    counts: list[int] = []

    def counted(value: Any) -> None:
        counts.append(sys.getrefcount(value))

    counted(np.zeros(1))
    holder = {"only": np.zeros(1)}
    counted(holder["only"])
    return counts[0], counts[1]


_ALONE, _HELD_ALONE = _calibrated()
