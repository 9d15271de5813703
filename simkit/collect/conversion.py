"""A value from outside, as the type that the code expects, without loss."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import inspect
import math
import pathlib
import types
import typing
import uuid
import zoneinfo
from collections.abc import Callable, Sequence
from typing import Any, Literal, Union

import numpy as np

from simkit.collect.text import Typed, Unfit, is_quantity, parse, quantity, unquoted
from simkit.declare.annotations import without_aliases
from simkit.declare.reflection import is_a
from simkit.declare.times import moment
from simkit.errors import SimkitError, did_you_mean, listed
from simkit.values.instances import Stored, among, revived

_UNIONS = (Union, types.UnionType)
# What these types make of a text says it completely.
_BY_TEXT = (pathlib.PurePath, uuid.UUID, decimal.Decimal, fractions.Fraction, zoneinfo.ZoneInfo)
_TIMES = (datetime.date, datetime.time)


def expected(annotation: Any, default: Any) -> Any:
    """The type that a name's values have: the annotation where it says more than the default's own type.

    Parameters
    ----------
    annotation
        None where there is none.
    default
        None where there is none, or where it is None.
    """
    if default is None:
        return annotation
    kind, plain = type(default), unwrapped(annotation)
    origin = typing.get_origin(plain)
    if origin in _UNIONS or origin is Literal or origin is kind:
        return plain
    if (plain is float or plain is complex) and kind in (int, float):
        return plain
    return np.ndarray[Any, default.dtype] if kind is np.ndarray else kind


def unwrapped(annotation: Any) -> Any:
    """An annotation without ``Annotated``, ``NewType`` and names for types around it."""
    while True:
        if typing.get_origin(annotation) is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif is_a(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif (meant := without_aliases(annotation)) is not annotation:
            annotation = meant
        else:
            return annotation


def convert(value: Any, name: str, kind: Any, source: str) -> Any:
    """A value from outside, as the type that the code expects, without loss.

    Parameters
    ----------
    value
        Of a TOML file, of another trajectory or of ``simkit.run(set=…)``; `Typed` from the command line.
    kind
        The type of the default, or the annotation; None where nothing is known.
    source
        Where the value comes from, for the message: ``--set x=2.5``.

    Raises
    ------
    SimkitError
        Where the value is not of that type and would lose something on the way.
    """
    try:
        return _converted(value, unwrapped(kind), name)
    except Unfit as problem:
        msg = f"{source}: {problem}"
        raise SimkitError(msg) from None


def _converted(value: Any, kind: Any, name: str) -> Any:
    if is_quantity(kind):
        return _quantity(value, name, kind)
    origin = typing.get_origin(kind)
    if origin in _UNIONS:
        return _one_of(value, typing.get_args(kind), name)
    if origin is Literal:
        return _choice(value, typing.get_args(kind), name)
    plain = kind if origin is None else origin
    if isinstance(value, Stored) and inspect.isclass(plain):  # read from another trajectory
        value = revived(value, among([plain]))
    if isinstance(value, Typed):
        value = _meant(value, plain)
    if not inspect.isclass(plain):
        return value
    if plain is np.ndarray:
        return _array(value, kind, name)
    if type(value) is plain and origin is None:
        return value
    rule = next((rule for base, rule in _RULES if issubclass(plain, base)), _instance)
    return _COLLECTIONS.get(plain, rule)(value, kind, name)


def _meant(typed: Typed, kind: Any) -> Any:
    """What was typed, for this type: text as it is where the type is made of text, else a literal."""
    if inspect.isclass(kind) and issubclass(kind, (str, *_BY_TEXT, *_TIMES, np.datetime64, np.str_)):
        return unquoted(typed) if not issubclass(kind, enum.Enum) else typed
    return typed if inspect.isclass(kind) and issubclass(kind, enum.Enum) else parse(typed)


def _quantity(value: Any, name: str, kind: Any) -> Any:
    """A value with a unit; a bare number has none, and is a mistake."""
    if isinstance(value, str):
        value = quantity(value, name)
    if isinstance(value, (bool, int, float)):
        msg = f"{name} is a quantity, and {value!r} has no unit: write it with one, as in {value!r}*ms"
        raise Unfit(msg)
    return kind(value) if is_quantity(type(value)) and kind.__name__ == "Quantity" else value


def _one_of(value: Any, kinds: Sequence[Any], name: str) -> Any:
    """The first type of a union that the value has, else the first that it can become; text comes last."""
    literal = parse(value) if isinstance(value, Typed) else value
    if literal is None and type(None) in kinds:
        return None
    others = sorted(
        (kind for kind in map(unwrapped, kinds) if kind is not type(None)), key=lambda k: k is str
    )
    if not isinstance(value, str) or type(literal) is not str:
        for kind in others:
            if type(literal) is kind:
                return literal
    problems = []
    for kind in others:
        try:
            return _converted(value, kind, name)
        except Unfit as problem:
            problems.append(problem)
    if len(problems) == 1:
        raise problems[0]
    words = " or ".join(_called(kind) for kind in kinds)
    raise _unfit(literal, name, words)


def _choice(value: Any, choices: Sequence[Any], name: str) -> Any:
    """One of the values of a ``Literal``."""
    literal = parse(value) if isinstance(value, Typed) else value
    text = unquoted(value) if isinstance(value, Typed) else value
    for choice in choices:
        wanted = text if isinstance(choice, str) else literal
        if type(choice) is type(wanted) and choice == wanted:
            return choice
        if isinstance(choice, enum.Enum) and value == choice.name:
            return choice
    near = did_you_mean(str(text), [str(choice) for choice in choices])
    msg = f"{name} is one of {', '.join(map(repr, choices))}, not {text!r}{near}"
    raise Unfit(msg)


def _member(value: Any, kind: Any, name: str) -> Any:
    """A member of an enumeration, by its name, else by its value."""
    if isinstance(value, kind):
        return value
    if isinstance(value, str):
        word = unquoted(value).removeprefix(kind.__name__ + ".")
        if word in kind.__members__:
            return kind.__members__[word]
        if issubclass(kind, enum.Flag) and all(part.strip() in kind.__members__ for part in word.split("|")):
            first, *rest = (kind.__members__[part.strip()] for part in word.split("|"))
            for member in rest:
                first |= member
            return first
    literal = parse(value) if isinstance(value, Typed) else value
    for member in kind:
        if type(member.value) is type(literal) and member.value == literal:
            return member
    near = did_you_mean(str(value), list(kind.__members__))
    members = listed(str(value), list(kind.__members__))
    msg = f"{name} is a member of {kind.__name__}, and {str(value)!r} is none{near}; there are: {members}"
    raise Unfit(msg)


def _number(value: Any, kind: Any, name: str) -> Any:
    """One of Python's own numbers, from another where that is exact."""
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) is kind:
        return value
    if kind in (float, complex) and type(value) is int and _is_exact(value, float):
        return kind(value)
    if kind is complex and type(value) is float:
        return complex(value)
    if kind is int and type(value) is float and _is_whole(value):
        return int(value)
    raise _unfit(value, name, _called(kind))


def _is_whole(value: float) -> bool:
    """Whether a float is the whole number that was written: 1e22 is, 1e23 and 123456789012345678.0 are not."""
    if abs(value) < 2**53 or not math.isfinite(value):
        return float(value).is_integer()
    written = decimal.Decimal(repr(float(value))).normalize()
    return len(written.as_tuple().digits) <= 15 and written == int(value)


def _is_exact(value: int, kind: Callable[[int], float]) -> bool:
    try:
        return int(kind(value)) == value
    except OverflowError:
        return False


# Of these Python's spelling may be another than what somebody wrote: 1.10, true.
_RESPELT = (bool, float, complex, np.inexact, np.bool_, *_TIMES)


def _text(value: Any, kind: Any, name: str) -> Any:
    if isinstance(value, _RESPELT):
        msg = f"{name} is {_called(kind)}, and {value!r} is {_called(type(value))}: write it in quotes"
        raise Unfit(msg)
    if isinstance(value, (list, tuple, dict, set, frozenset, np.ndarray, type(None), bytes)):
        raise _unfit(value, name, _called(kind))
    return kind(value)


def _octets(value: Any, kind: Any, name: str) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return kind(value)
    msg = f"{name} is {_called(kind)}, and {value!r} is {_called(type(value))}: write it as b'…'"
    raise Unfit(msg)


def _by_text(value: Any, kind: Any, name: str) -> Any:
    """What is made of its text: a path, a UUID, a decimal."""
    if isinstance(value, kind):
        return value
    exact = issubclass(kind, (decimal.Decimal, fractions.Fraction)) and type(value) is int
    if not isinstance(value, (str, pathlib.PurePath)) and not exact:
        raise _unfit(value, name, _called(kind))
    try:
        return kind(value)
    except (ValueError, ArithmeticError, LookupError, OSError):
        msg = f"{name} is {_called(kind)}, and {value!r} means none"
        raise Unfit(msg) from None


def _time(value: Any, kind: Any, name: str) -> Any:
    """A date, a time of day, or both."""
    if type(value) is datetime.date and issubclass(kind, datetime.datetime):
        return kind(value.year, value.month, value.day)
    if type(value) is kind or (isinstance(value, kind) and type(value) is not datetime.datetime):
        return value
    if not isinstance(value, str):
        raise _unfit(value, name, _called(kind))
    try:
        return kind.fromisoformat(value)
    except ValueError:
        msg = (
            f"{name} is {_called(kind)}, and {value!r} means none: write it as 2021-02-03 or 2021-02-03T10:20"
        )
        raise Unfit(msg) from None


def _collection(value: Any, kind: Any, name: str) -> Any:
    """A list, tuple or set, its items of the type that is told."""
    plain = typing.get_origin(kind) or kind
    is_new = type(value) is not plain
    if is_new and not (plain is not list and type(value) in (list, tuple, set)):
        raise _unfit(value, name, _called(plain))
    inner = typing.get_args(kind)
    if not inner:
        return plain(value)
    items = list(value)
    if plain is tuple and inner[-1] is not Ellipsis:
        if len(inner) != len(items):
            msg = f"{name} has {len(inner)} items, and {value!r} has {len(items)}"
            raise Unfit(msg)
        return tuple(_item(item, each, name) for item, each in zip(items, inner, strict=True))
    return plain([_item(item, inner[0], name) for item in items])


def _item(value: Any, kind: Any, name: str) -> Any:
    return (
        value
        if isinstance(kind, typing.TypeVar)
        else _converted(value, unwrapped(kind), f"an item of {name}")
    )


def _mapping(value: Any, kind: Any, name: str) -> Any:
    if type(value) is not dict:
        raise _unfit(value, name, _called(typing.get_origin(kind) or kind))
    inner = typing.get_args(kind)
    if not inner:
        return value
    return {_item(key, inner[0], name): _item(part, inner[1], name) for key, part in value.items()}


def _array(value: Any, kind: Any, name: str) -> Any:
    """An array, of the default's or the annotation's dtype where one is told."""
    told = typing.get_args(kind)[1] if typing.get_args(kind) else None
    if typing.get_origin(told) is np.dtype:
        (scalar,) = typing.get_args(told)
        told = np.dtype(scalar) if inspect.isclass(scalar) and scalar is not np.generic else None
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise _unfit(value, name, "an array")
    try:
        return _of_dtype(value, told) if isinstance(told, np.dtype) else _alike(value)
    except (ValueError, TypeError, OverflowError):
        what = f"an array of {told}" if isinstance(told, np.dtype) else "an array of values of one type"
        msg = f"{name} is {what}, and {value!r} has other values"
        raise Unfit(msg) from None


# Arrays of which kinds may hold the same values as one of a kind.
_EXACT_FROM = {"i": "iuf", "u": "iuf", "f": "iuf", "c": "iufc"}


def _of_dtype(value: Any, dtype: np.dtype[Any]) -> Any:
    """The same numbers, times or texts in an array of a type; ValueError where they are others there."""
    if dtype.kind == "O":
        return np.asarray(value, dtype)
    array = _alike(value)
    if dtype.kind == "M" and array.dtype.kind in "OU":
        array = np.reshape([moment(each) for each in array.flat], array.shape)
    if dtype.kind in "US" and array.dtype.kind == dtype.kind:
        return array  # of any width
    if array.size and array.dtype.kind not in _EXACT_FROM.get(dtype.kind, dtype.kind):
        raise ValueError
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
        if dtype.kind in "fc" and array.dtype.kind in "fc":  # a narrower float has fewer digits, no more
            is_same = (np.isfinite(cast) == np.isfinite(array)) & ((cast == 0) == (array == 0))
        else:
            is_same = (cast.astype(array.dtype) == array) | (cast != cast)  # noqa: PLR0124 - NaT
        if dtype.kind in "iu" and array.dtype.kind == "f":
            is_same &= np.reshape([_is_whole(each) for each in array.flat], array.shape)
    if not np.all(is_same):
        raise ValueError
    return cast


def _alike(value: Any) -> Any:
    """An array of what is of one type; ValueError where NumPy would make text of numbers, or round integers."""
    array = np.asarray(value)
    if isinstance(value, np.ndarray) or array.dtype == object:
        return array
    each = list(np.asarray(value, object).flat)
    are_numbers = [
        isinstance(one, (int, float, complex, np.number)) and type(one) is not bool for one in each
    ]
    if not all(are_numbers) and len({type(one) for one in each}) > 1:
        raise ValueError
    if array.dtype.kind in "fc" and any(
        one != part for one, part in zip(each, array.ravel().tolist(), strict=True) if type(one) is int
    ):
        raise ValueError
    return array


def _scalar(value: Any, kind: Any, name: str) -> Any:
    """One of NumPy's scalars."""
    if isinstance(value, np.ndarray) or (kind is np.timedelta64 and not isinstance(value, kind)):
        raise _unfit(value, name, _called(kind))
    try:
        if issubclass(kind, (np.datetime64, np.timedelta64, np.str_, np.bytes_)):
            allowed: Any = {np.str_: str, np.bytes_: bytes}.get(kind, (kind, str, datetime.date))
            if not isinstance(value, allowed):
                raise TypeError
            return moment(value) if kind is np.datetime64 else kind(value)
        return _of_dtype(value, np.dtype(kind))[()]
    except (ValueError, TypeError, OverflowError):
        raise _unfit(value, name, _called(kind)) from None


def _instance(value: Any, kind: Any, name: str) -> Any:
    """Of any other class: only an instance will do, and no text is one."""
    plain = typing.get_origin(kind) or kind
    try:
        fits = isinstance(value, plain)
    except TypeError:  # a protocol that can't be asked
        return value
    if fits and not (isinstance(value, str) and plain is not object):
        return value
    msg = f"{name} is {_called(plain)}, and {value!r} is {_called(type(value))}: give it in the code"
    raise Unfit(msg)


def _nothing(value: Any, _: Any, name: str) -> Any:
    raise _unfit(value, name, "None")


_RULES: tuple[tuple[Any, Callable[[Any, Any, str], Any]], ...] = (
    (enum.Enum, _member),
    (np.generic, _scalar),
    ((bool, int, float, complex), _number),
    (str, _text),
    ((bytes, bytearray), _octets),
    (_BY_TEXT, _by_text),
    (_TIMES, _time),
    (type(None), _nothing),
)
_COLLECTIONS: dict[Any, Callable[[Any, Any, str], Any]] = {
    **dict.fromkeys((list, tuple, set, frozenset), _collection),
    dict: _mapping,
}


def _unfit(value: Any, name: str, expected_words: str) -> Unfit:
    return Unfit(f"{name} is {expected_words}, and {value!r} is {_called(type(value))}")


def _called(kind: Any) -> str:
    """A type with its article."""
    if kind is type(None):
        return "a NoneType"
    word = getattr(kind, "__name__", None) or str(kind)
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
