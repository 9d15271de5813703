"""Which named results does a returned value stand for?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import attrs

from simkit.declare.codec import OWN

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
