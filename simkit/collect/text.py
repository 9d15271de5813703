"""Which value does a text from the command line or a TOML file mean?"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
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


class Unfit(SimkitError):
    """Why a text or value can't become one of the type that is expected; who knows its source says that too."""


def quantity(text: str, name: str) -> Any:
    """The quantity that a text means.

    Raises
    ------
    Unfit
        For anything but numbers, units, lists and arithmetic on them.
    """
    what = f"{name} is a quantity: write a number and its unit, as in 20*ms"

    def problem(words: str) -> Unfit:
        unknown = words.partition("cannot understand ")[2]
        return Unfit(f"{what}, not {unknown}" if unknown else f"{name}: {words}")

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
            return Vocabulary(_OPERATORS, unit, number, problem, _array, _RANGES).read(spaced(text))
    except SyntaxError:
        raise Unfit(what) from None


def spaced(text: str) -> str:
    """``20 ms`` as ``20*ms``: a blank before a unit multiplies."""
    return re.sub(r"(?<=[\d.)\]])\s+(?=[^\W\d])", "*", text.strip())


def _array(items: list[Any]) -> Any:
    from brian2.units.fundamentalunits import Quantity

    return Quantity(items)


def _power(base: Any, exponent: Any) -> Any:
    if not isinstance(exponent, (int, float)) or abs(exponent) > 100:
        msg = f"an exponent is a number up to 100, not {exponent}"
        raise TypeError(msg)
    return base**exponent


_OPERATORS = {**ARITHMETIC, ast.Pow: _power}


def _range_of(numbers: Callable[..., Any], *, counts: bool) -> Callable[..., Any]:
    """NumPy's range of numbers as one whose ends may have a unit; the last argument may count the values."""

    def of_quantities(*arguments: Any) -> Any:
        from brian2.units.fundamentalunits import Quantity, get_dimensions

        if counts and len(arguments) != 3:
            msg = "it has three numbers: from, to, how many"
            raise TypeError(msg)
        ends, number = (arguments[:-1], arguments[-1:]) if counts else (arguments, ())
        dimensions = {get_dimensions(end) for end in ends}
        if len(dimensions) != 1:
            msg = "its ends have different units"
            raise TypeError(msg)
        values = numbers(*(float(end) for end in ends), *number)
        return Quantity(values, dim=dimensions.pop())

    return of_quantities


_RANGES: Mapping[str, Callable[..., Any]] = {
    "linspace": _range_of(np.linspace, counts=True),
    "geomspace": _range_of(np.geomspace, counts=True),
    "arange": _range_of(np.arange, counts=False),
    "logspace": np.logspace,
}


def quantity_stretch(text: str, name: str) -> list[Any]:
    """The quantities of ``0:10:11 mV``, ``0*mV:10*mV:11`` or ``linspace(0, 10, 11)*mV``.

    Returns
    -------
    list of Quantity
        Empty where the text is no such range.

    Raises
    ------
    Unfit
        For a range without a unit, or that has no such values.
    """
    whole, ends = spaced(text).replace("np.", ""), split(spaced(text), ":")
    if len(ends) == 2:
        msg = f"{text} is no range: write FROM:TO:NUMBER and a unit, as in 0:10:11*mV"
        raise Unfit(msg)
    if len(ends) == 3:
        number, _, unit = ends[2].partition("*")
        if unit and not all(type(parse(end)) in (int, float) for end in ends[:2]):
            msg = f"{text} has its unit more than once: write 0:10:11*mV, or 0*mV:10*mV:11"
            raise Unfit(msg)
        whole = f"linspace({ends[0]}, {ends[1]}, {number})" + (f"*({unit})" if unit else "")
    elif not re.match(rf"({'|'.join(_RANGES)})\s*\(", whole):
        return []
    try:
        values = quantity(whole, name)
    except Unfit as problem:
        msg = f"{problem}\n    a range: 0:10:11*mV, 0*mV:10*mV:11, or linspace(0,10,11)*mV"
        raise Unfit(msg) from None
    if not is_quantity(type(values)):
        msg = f"{name} is a quantity, and {text} has no unit: write it with one, as in {text}*mV"
        raise Unfit(msg)
    return list(values)


_WORDS = {
    "true": True, "false": False, "none": None, "nan": math.nan, "inf": math.inf, "infinity": math.inf,
}  # fmt: skip


class _Words(ast.NodeTransformer):
    """Puts the value of ``inf``, ``nan`` and the like where a text has the word."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        word = node.id.lower()
        return ast.Constant(_WORDS[word]) if word in _WORDS else node


class Typed(str):
    """A value as it was typed on the command line; what it means depends on the type that is expected."""

    __slots__ = ()


def parse(text: str) -> Any:
    """A Python literal, a word such as ``true``, ``none`` or ``inf`` in its place, or the text itself.

    Raises
    ------
    Unfit
        For a number that no float holds, such as 1e999 or 1e-999, and for a key that stands there twice.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
        _check_range(tree, text.strip())
        _check_keys(tree)
        return ast.literal_eval(_Words().visit(tree).body)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return _WORDS.get(text.strip().lower(), str(text))


def _check_range(tree: ast.AST, text: str) -> None:
    """A number that becomes infinite, or zero, is not the number that was written."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, (float, complex)):
            continue
        written = ast.get_source_segment(text, node) or ""
        size = abs(node.value)
        if math.isinf(size) or (size == 0 and re.search("[1-9]", re.split("[eE]", written)[0])):
            msg = f"{written} is beyond what a float can hold"
            raise Unfit(msg)


def _check_keys(tree: ast.AST) -> None:
    """Of a key that is given twice Python takes the last value, without a word."""
    for node in ast.walk(tree):
        keys = [ast.unparse(key) for key in node.keys if key] if isinstance(node, ast.Dict) else []
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            msg = f"{ast.unparse(node)} has {twice} twice"
            raise Unfit(msg)


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
    """``1,2,3`` or ``[1, 2, 3]`` as the values of one axis.

    Raises
    ------
    Unfit
        For a comma without a value.
    """
    inside = text.strip()
    parts = split(inside)
    if len(parts) == 1 and inside[:1] == "[" and inside[-1:] == "]":
        parts = split(inside[1:-1].rstrip().removesuffix(","))
        parts = [] if parts == [""] else parts
    if "" in parts and len(parts) > 1:
        msg = f"there is no value between or behind commas of {text}; an empty text is written ''"
        raise Unfit(msg)
    return [Typed(part) for part in parts]


def unit_inside(text: str) -> str:
    """``[0, 5, 10] mV`` as ``0*mV,5*mV,10*mV``: a list of quantities as the values of one axis; else the text."""
    match = re.fullmatch(r"(\[.*\])\s*([*/].+)", spaced(text), re.DOTALL)
    if match is None or len(split(text)) > 1:
        return text
    return ",".join(f"{item}{match[2]}" for item in split(match[1][1:-1]) if item)


_STRETCHES: Mapping[str, Callable[..., Any]] = {
    "linspace": np.linspace,
    "logspace": np.logspace,
    "geomspace": np.geomspace,
    "arange": np.arange,
}


def stretch(text: str) -> list[Any]:
    """The numbers of ``0:1:11`` (from, to, how many), or ``logspace(-3, 0, 4)`` and NumPy's others like it.

    Returns
    -------
    list of float or int
        Empty where the text is no such range.

    Raises
    ------
    Unfit
        For a range that has no such numbers, with how to write it.
    """
    call = re.fullmatch(r"\s*(?:np\.|numpy\.)?(\w+)\((.*)\)\s*", text, re.DOTALL)
    ends = split(text, ":")
    if call and call[1] == "range":
        name, parts = "arange", split(call[2])
    elif call and call[1] in _STRETCHES:
        name, parts = call[1], split(call[2])
    elif len(ends) in (2, 3) and all(type(parse(end)) in (int, float) for end in ends):
        name, parts = "linspace", ends
    else:
        return []
    numbers = [parse(part) for part in parts]
    try:
        if len(numbers) not in ((1, 2, 3) if name == "arange" else (3,)):
            raise ValueError
        with np.errstate(all="ignore"):
            values: list[Any] = _STRETCHES[name](*numbers).tolist()
        if not np.all(np.isfinite(values)):
            raise ValueError
    except (TypeError, ValueError, MemoryError, ZeroDivisionError):
        msg = f"{text} is no range: write FROM:TO:NUMBER, as in 0:1:11, or linspace, logspace, geomspace (…, …, NUMBER)"
        raise Unfit(msg) from None
    if not values:
        msg = f"{text} is a range without a value"
        raise Unfit(msg)
    return values


def unquoted(text: str) -> str:
    """Text for text: as it was typed, without quotes around it."""
    try:
        literal = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        literal = None
    return literal if isinstance(literal, str) else str(text)
