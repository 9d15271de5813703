"""Instances of the user's classes: their fields, under the name of the class; and members of enumerations."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from simkit.errors import Unstorable
from simkit.values.registry import Kept, Parts, Stored, attributes_of


def codec_of(kind: type) -> Kept | None:
    """The codec of instances of such a class."""
    if issubclass(kind, enum.Enum):
        return CODECS["enum"]
    return CODECS["class"] if _fields(kind) is not None else None


def _fields(kind: type) -> list[str] | None:
    if attrs.has(kind):
        return [field.name for field in attrs.fields(kind)]
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return list(kind._fields)
    return None


def path_of(kind: type) -> str:
    """How a class is named in a file: ``module.Class``."""
    return f"{kind.__module__}.{kind.__qualname__}"


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
    path = path_of(type(value))
    if value.name is None:
        return Parts({"value": value.value}, attributes_of(**{"class": path}), {"class": path})
    return Parts(
        {"name": value.name, "value": value.value}, attributes_of(**{"class": path}), {"class": path}
    )


def _stored(codec: str) -> Callable[[Mapping[str, Any], Mapping[str, Any]], Stored]:
    def decode(parts: Mapping[str, Any], facts: Mapping[str, Any]) -> Stored:
        path = facts["class"]
        return Stored(codec, parts, attributes_of(**facts), path.rpartition(".")[2])

    return decode


CODECS = {
    "class": Kept("class", _instance, _stored("class")),
    "enum": Kept("enum", _member, _stored("enum")),
}
