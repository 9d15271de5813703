"""Recorded instances put together again by their classes, where these are known."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from simkit.declare.forms import objects
from simkit.values.codecs.classes import CODECS, codec_of, path_of
from simkit.values.registry import Stored, stored_parts

Find = Callable[[str], "type | None"]


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
