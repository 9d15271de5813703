"""A returned value as named results, as it is at this moment.

Runs are executed in batches and recorded afterwards. A simulation that fills one buffer again and again
would otherwise have its last state recorded for all runs of a batch.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import attrs
import numpy as np

from simkit.declare.plugins import OWN

ONE = "result"  # the name of a value that has no fields


_LIBRARIES = ("xarray", "pandas", "scipy", "brian2")  # their mappings are values, with codecs of simkit's


def fields_of(kind: type) -> Callable[[Any], Mapping[str, Any]] | None:
    """How values of a type are taken apart into named results; None for one that is a result itself."""
    return None if kind in OWN.by_type else _fields_of(kind)


@lru_cache(maxsize=1024)
def _fields_of(kind: type) -> Callable[[Any], Mapping[str, Any]] | None:
    if kind.__module__.partition(".")[0] in _LIBRARIES:
        return None
    if kind is type(None):
        return lambda _: {}
    if issubclass(kind, Mapping):
        return lambda value: value
    if issubclass(kind, tuple) and hasattr(kind, "_asdict"):
        return lambda value: dict(value._asdict())
    names: list[str] = []
    if attrs.has(kind):
        names = [field.name for field in attrs.fields(kind)]
    elif dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
    return (lambda value: {name: getattr(value, name) for name in names}) if names else None


def is_one_result(kind: type) -> bool:
    """Whether a returned value of this type is the result named ``result``."""
    return fields_of(kind) is None


def named_results(returned: Any) -> Mapping[str, Any]:
    """A return value as results by name: the fields of what has fields, else one ``result``."""
    fields = fields_of(returned.__class__)
    return {ONE: returned} if fields is None else fields(returned)


_PLAIN = frozenset((bool, int, float, complex, str, bytes, type(None)))


Other: TypeAlias = Callable[[Any], Any]


def unchanged(value: Any) -> Any:
    """A value of a type that is not known here, as it is."""
    return value


def snapshot(value: Any, other: Other = unchanged, *, whole: bool = False) -> Any:
    """The value itself where nobody can change it any more, else a copy.

    An array that only the caller's expression refers to is not copied: large results cost nothing.

    Parameters
    ----------
    other
        Makes the snapshot of anything but numbers, text, plain arrays and containers.
    whole
        Whether the value is one result; else it is what a run returned, and its fields are results.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is np.ndarray and value.dtype != object:
        return value if value.base is None and sys.getrefcount(value) <= _ALONE else value.copy()
    fields = None if whole or kind in (dict, list, tuple) else fields_of(value.__class__)
    try:
        if fields is not None:  # taken apart now, while its fields are as they are
            return {name: held(inner, other) for name, inner in fields(value).items()}
        return _container(value, kind, other)
    except RecursionError:  # it contains itself: whoever records it says so
        return value


def _container(value: Any, kind: type, other: Other) -> Any:
    if kind is dict:
        return {key: held(value[key], other) for key in value}
    if kind is list:
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
    if kind in _PLAIN:
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
