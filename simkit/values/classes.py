"""Instances of the user's classes: their fields, under the name of the class; and members of enumerations."""

from __future__ import annotations

import dataclasses
import enum
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
import numpy as np

from simkit.declare.axes import objects
from simkit.errors import Unstorable
from simkit.values.codecs import Kept, Parts, attributes_of
from simkit.values.stored import Stored, stored_parts

Find = Callable[[str], "type | None"]


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


def revived(value: Any, find: Find) -> Any:
    """The value with the parts of instances put together by their classes, where ``find`` knows them.

    A class is called only if it is an attrs class, a dataclass, a NamedTuple or an enumeration; others stay
    as they are.
    """
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return kind(revived(item, find) for item in value)
    if kind is dict:
        return {revived(key, find): revived(item, find) for key, item in value.items()}
    if kind is np.ndarray and value.dtype == object:
        return objects([revived(cell, find) for cell in value.ravel()]).reshape(value.shape)
    if kind is not Stored:
        return value
    codec, parts, told = stored_parts(value)
    built = find(json.loads(told).get("class", "")) if codec in CODECS else None
    inner = {name: revived(part, find) for name, part in parts.items()}
    if built is None or codec_of(built) is not CODECS[codec]:
        return Stored(codec, inner, told, value.__reduce__()[1][3])
    if codec == "enum":
        named = getattr(built, "__members__", {}).get(parts.get("name"))  # combined flags are no members
        return built(inner["value"]) if named is None else named
    return _rebuilt(built, inner)


def _rebuilt(kind: Any, parts: Mapping[str, Any]) -> Any:
    """An instance with these fields, as they were: no default, converter or check is run again."""
    if issubclass(kind, tuple):
        return kind._make(parts.get(name) for name in kind._fields)
    instance = object.__new__(kind)
    for name, part in parts.items():
        object.__setattr__(instance, name, part)
    return instance


def among(classes: Iterable[type]) -> Find:
    """Finds classes among the given ones: by their full name, else by their own."""
    full = {path_of(kind): kind for kind in classes}
    own = {kind.__qualname__: kind for kind in full.values()}

    def find(path: str) -> type | None:
        return full.get(path) or next((own[name] for name in own if path.endswith("." + name)), None)

    return find


def loaded(path: str) -> type | None:
    """A class of a module that is loaded already; nothing is imported."""
    module, _, name = path.rpartition(".")
    while module and module not in sys.modules:
        module, _, rest = module.rpartition(".")
        name = f"{rest}.{name}"
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, "__dict__", {}).get(part)  # a module's __getattr__ could import something
    return found if isinstance(found, type) else None
