"""Instances of the user's classes: their fields, or what they add to a list, an array, a number; enumerations."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

from simkit.declare.plugins import Codec, Parts
from simkit.declare.reflection import declared_fields, own_attributes, slots_of, tuple_fields
from simkit.errors import Unstorable
from simkit.values.instances import BASES, Stored, base_of
from simkit.values.registry import attributes_of, path_of


def is_extended(kind: type) -> bool:
    """Whether a class extends one of Python's or NumPy's own: a list with more attributes, a dictionary."""
    is_own = kind in BASES or kind is bool  # which is Python's, though it extends int
    return not is_own and issubclass(kind, tuple(BASES)) and not (_is_enum(kind) or _has_fields(kind))


def _extended(value: Any) -> Parts:
    """The list, dictionary or number itself, and the attributes that the instance has besides."""
    kind = type(value)
    base = base_of(kind)
    more = {**slots_of(value), **own_attributes(value)}
    parts = {"value": BASES[base][0](value), **({"attributes": more} if more else {})}
    return Parts(parts, attributes_of(**{"class": path_of(kind)}), {"class": path_of(kind)})


def _gathered(arrays: Mapping[str, Any], _: Mapping[str, Any]) -> Any:
    """Numbers, text and arrays of many runs as one array."""
    values = arrays["value"]
    return values if len(arrays) == 1 and values.dtype != object else None


def _is_enum(kind: type) -> bool:
    return issubclass(kind, enum.Enum)


def _has_fields(kind: type) -> bool:
    return _fields(kind) is not None and not _is_enum(kind)


def _fields(kind: type) -> list[str] | None:
    fields = declared_fields(kind)
    names = tuple_fields(kind) if fields is None else [field.name for field in fields]
    return None if names is None else list(names)


def _instance(value: Any) -> Parts:
    names = _fields(type(value)) or []
    parts = {name: getattr(value, name) for name in names}
    extra = [name for name in getattr(value, "__dict__", {}) if name not in parts]
    if extra:
        raise Unstorable(
            "", f"{type(value).__name__} with the attribute {extra[0]!r}, which is no field of its class"
        )
    return Parts(parts, attributes_of(**{"class": path_of(type(value))}), {"class": path_of(type(value))})


def _member(value: enum.Enum) -> Parts:
    facts = {"class": path_of(type(value))}
    name = {} if value.name is None else {"name": value.name}
    return Parts({**name, "value": value.value}, attributes_of(**facts), facts)


def _stored(codec: str) -> Callable[[Mapping[str, Any], Mapping[str, Any]], Stored]:
    def decode(parts: Mapping[str, Any], facts: Mapping[str, Any]) -> Stored:
        path = facts["class"]
        return Stored(codec, parts, attributes_of(**facts), path.rpartition(".")[2])

    return decode


CODECS = (
    Codec("class", _has_fields, _instance, _stored("class"), is_result=False),
    Codec("enum", _is_enum, _member, _stored("enum"), mutable=False),
    Codec("extended", is_extended, _extended, _stored("extended"), gather=_gathered, is_result=False),
)
