"""What is a value that can't be kept, and what is inside it?"""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from simkit.errors import Unstorable
from simkit.values.codecs import codec_of
from simkit.values.taken import Taken

_SIMPLE: tuple[tuple[Any, str], ...] = (
    (types.LambdaType, "a function"),
    (types.BuiltinFunctionType, "a function"),
    (types.MethodType, "a method"),
    (types.GeneratorType, "a generator"),
    (types.ModuleType, "a module"),
    (type, "a class"),
)


_TRANSPARENT = ("items", "cells", "values")  # parts that users do not see as such


def described(value: Any) -> str:
    """The value's kind in a few words."""
    for kind, words in _SIMPLE:
        if isinstance(value, kind):
            return words
    if hasattr(value, "fileno") and hasattr(value, "read"):
        return "an open file"
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"a value of type {name}"


def inside(value: Any, path: str) -> list[tuple[str, Any]]:
    """The parts of a composite value, with their paths."""
    if type(value) in (list, tuple):
        return [(f"{path}[{i}]", item) for i, item in enumerate(value)]
    if type(value) is dict:
        return [(f"{path}.{k}" if isinstance(k, str) else f"{path}[{k!r}]", v) for k, v in value.items()]
    if isinstance(value, np.ndarray):
        return _cells(value, path)
    codec = codec_of(type(value))
    try:
        parts = (
            value.parts.fields
            if type(value) is Taken
            else {}
            if codec is None
            else codec.encode(value).fields
        )
    except Unstorable:
        return []
    return [(path if name in _TRANSPARENT else f"{path}.{name}", part) for name, part in parts.items()]


def _cells(array: Any, path: str) -> list[tuple[str, Any]]:
    if not isinstance(array, np.ndarray) or array.dtype != object:
        return []
    indices = [", ".join(map(str, index)) for index in np.ndindex(array.shape)]
    return [(f"{path}[{i}]" if i else path, cell) for i, cell in zip(indices, array.flat, strict=True)]
