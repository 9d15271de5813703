"""Which value does a text from the command line or a TOML file mean?"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from simkit.declare.expressions import Vocabulary
from simkit.declare.operators import ARITHMETIC
from simkit.errors import SimkitError, did_you_mean, nearest


def is_quantity(kind: Any) -> bool:
    """Whether a type is Brian2's Quantity, without importing Brian2."""
    return getattr(kind, "__module__", "").startswith("brian2.units") and isinstance(kind, type)


@lru_cache(maxsize=1)
def units() -> Mapping[str, Any]:
    """Brian2's units by name: ``mV``, ``ms``, ``nsiemens``."""
    from brian2.units import allunits, stdunits
    from brian2.units.fundamentalunits import Unit

    found = {name: thing for module in (allunits, stdunits) for name, thing in vars(module).items()}
    return {name: thing for name, thing in found.items() if isinstance(thing, Unit)}


def quantity(text: str, name: str, source: str) -> Any:
    """The quantity that a text means.

    Raises
    ------
    SimkitError
        For anything but numbers, units, lists and arithmetic on them.
    """
    what = f"{source}: {name} is a quantity: write a number and its unit, as in 20*ms"

    def problem(words: str) -> SimkitError:
        unknown = words.partition("cannot understand ")[2]
        return SimkitError(f"{what}, not {unknown}" if unknown else f"{source}: {name}: {words}")

    def unit(word: str) -> Any:
        if word in units():
            return units()[word]
        if not word.isidentifier():
            raise problem(f"cannot understand {word!r}")
        hint = did_you_mean(word, units()) if nearest(word, units(), 1) else ""
        raise problem(f"no unit of Brian2 is called {word!r}{hint}")

    def number(value: Any) -> Any:
        if type(value) not in (int, float):
            raise problem(f"cannot understand {repr(value)!r}")
        return value

    try:
        with np.errstate(all="raise"):
            return Vocabulary(_OPERATORS, unit, number, problem, _array).read(text)
    except SyntaxError:
        raise SimkitError(what) from None


def _array(items: list[Any]) -> Any:
    from brian2.units.fundamentalunits import Quantity

    return Quantity(items)


def _power(base: Any, exponent: Any) -> Any:
    if not isinstance(exponent, (int, float)) or abs(exponent) > 100:
        msg = f"an exponent is a number up to 100, not {exponent}"
        raise TypeError(msg)
    return base**exponent


_OPERATORS = {**ARITHMETIC, ast.Pow: _power}


_WORDS = {"true": True, "false": False, "none": None, "nan": float("nan"), "inf": float("inf")}


class Typed(str):
    """A value as it was typed on the command line; what it means depends on the type that is expected."""

    __slots__ = ()


def parse(text: str) -> Any:
    """A Python literal, ``true``/``false``/``none``, or the text itself."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return _WORDS.get(text.strip().lower(), str(text))


def split(text: str, separator: str = ",") -> list[str]:
    """The parts between commas, or colons; brackets and quotes protect those in them."""
    parts, depth, quote, start = [], 0, "", 0
    for i, mark in enumerate(text):
        if quote:
            quote = "" if mark == quote else quote
        elif mark in "'\"":
            quote = mark
        elif mark in "([{":
            depth += 1
        elif mark in ")]}":
            depth -= 1
        elif mark == separator and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [part.strip() for part in [*parts, text[start:]]]


def parse_axis(text: str) -> list[Typed]:
    """``1,2,3`` or ``[1, 2, 3]`` as the values of one axis."""
    inside = text.strip()
    parts = split(inside)
    if len(parts) == 1 and inside[:1] == "[" and inside[-1:] == "]":
        parts = [part for part in split(inside[1:-1]) if part]
    return [Typed(part) for part in parts]


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
    if is_quantity(kind):
        return _quantity(value, name, kind, source)
    if isinstance(value, Typed):
        value = _text(value) if kind is str else parse(value)
    if not inspect.isclass(kind) or type(value) is kind:
        return value
    if kind in (float, complex) and type(value) is int and abs(value) <= 2**53:
        return kind(value)
    if kind is complex and type(value) is float:
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


def _quantity(value: Any, name: str, kind: Any, source: str) -> Any:
    """A value with a unit; a bare number has none, and is a mistake."""
    if isinstance(value, str):
        value = quantity(value, name, source)
    if isinstance(value, (bool, int, float)):
        msg = f"{source}: {name} is a quantity, and {value!r} has no unit: write it with one, as in {value!r}*ms"
        raise SimkitError(msg)
    return kind(value) if is_quantity(type(value)) and kind.__name__ == "Quantity" else value


def _text(typed: Typed) -> str:
    """Text for text: as it was typed, without quotes around it."""
    try:
        literal = ast.literal_eval(typed.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        literal = None
    return literal if isinstance(literal, str) else str(typed)


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
