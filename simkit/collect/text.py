"""Which value does a text from the command line or a TOML file mean?"""

from __future__ import annotations

import ast
import inspect
from typing import Any

from simkit.errors import SimkitError

_WORDS = {"true": True, "false": False, "none": None, "nan": float("nan"), "inf": float("inf")}


def parse(text: str) -> Any:
    """A Python literal, ``true``/``false``/``none``, or the text itself."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return _WORDS.get(text.strip().lower(), text)


def parse_axis(text: str) -> list[Any]:
    """``1,2,3`` as the values of one axis; brackets and quotes protect commas."""
    try:
        values = ast.literal_eval(f"[{text.strip()}]")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return [parse(part.strip()) for part in text.split(",")]
    inner = values[0] if len(values) == 1 else None
    return inner if isinstance(inner, list) else values


def convert(value: Any, name: str, kind: Any, source: str) -> Any:
    """A value from outside, as the type that the code expects, without loss.

    Parameters
    ----------
    kind
        The type of the default, or the annotation; anything but a plain type leaves the value as it is.
    source
        Where the value comes from, for the message: ``--set x=2.5``.

    Raises
    ------
    SimkitError
        Where the value is not of that type and would lose something on the way.
    """
    if not inspect.isclass(kind) or type(value) is kind:
        return value
    if kind is float and type(value) is int and int(float(value)) == value:
        return float(value)
    if kind is complex and type(value) in (int, float):
        return complex(value)
    if kind is int and type(value) is float and value.is_integer():
        return int(value)
    if kind is tuple and type(value) is list:
        return tuple(value)
    if kind is str and not isinstance(value, (list, tuple, dict, set)):
        return str(value)
    if kind in (bool, int, float, complex, list, tuple, dict, str):
        msg = f"{source}: {name} is {_article(kind.__name__)}, and {value!r} is {_article(type(value).__name__)}"
        raise SimkitError(msg)
    return value


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
