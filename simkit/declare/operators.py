"""What do the operators and functions of a condition make of columns?"""

from __future__ import annotations

import ast
import datetime
import enum
import math
import operator
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from simkit.declare.times import as_times

Array = np.ndarray[Any, np.dtype[Any]]


def _truth(value: Any) -> Array:
    """What ``and``, ``or``, ``not``, ``&``, ``|``, ``~`` join: conditions, or columns of true and false."""
    array: Array = np.asanyarray(value)
    if array.dtype == object and array.ndim and all(isinstance(v, (bool, np.bool_)) for v in array):
        array = array.astype(bool)
    if array.dtype != bool:
        what = f"a column of {array.dtype}" if array.ndim else repr(value)
        cure = "compare it, as in n != 0, or x in [1, 2] for one of several values"
        msg = f"{what} is not true or false: {cure}"
        raise TypeError(msg)
    return array


def _joined(values: list[Any], join: Callable[..., Any]) -> Any:
    """Conditions joined; what is unknown is masked, unless it is the same whichever way the unknown turns out."""
    truths = [_truth(value) for value in values]
    filled: Callable[..., Any] = np.ma.filled
    least, most = (
        join(np.broadcast_arrays(*(filled(truth, unknown) for truth in truths))) for unknown in (False, True)
    )
    return unknown_where(least, least != most)


def unknown_where(condition: Any, unknown: Any) -> Any:
    """A condition that is masked where nobody knows whether it is true; itself where everybody does."""
    masked: Callable[..., Any] = np.ma.MaskedArray
    return masked(condition, unknown) if np.any(unknown) else condition


def _all(values: list[Any]) -> Any:
    return _joined(values, np.logical_and.reduce)


def _any(values: list[Any]) -> Any:
    return _joined(values, np.logical_or.reduce)


def _not(value: Any) -> Any:
    return np.logical_not(_truth(value))


# Comparing


_TEXT = (str, bytes)
_NUMBERS = (int, float, complex, np.integer, np.inexact)
_SEQUENCES = (list, tuple, np.ndarray)


def equal(left: Any, right: Any) -> Any:
    """Where two columns are equal, or a column equals one value; what never could be is an error.

    NaN is not equal to NaN here, as everywhere; `matching` selects it.

    Raises
    ------
    TypeError
        For text beside what is no text, and for a list of values beside a column of single ones.
    """
    for value in (left, right):
        if isinstance(value, list):
            msg = f"{value!r} is a list: write x in {value!r}"
            raise TypeError(msg)
    left, right = as_times(left, right)
    if any(type(value) is np.datetime64 and np.isnat(value) for value in (left, right)):
        msg = "no time is equal to NaT: write isnan(x)"
        raise TypeError(msg)
    for column, value in ((left, right), (right, left)):
        _check_kinds(column, value)
    return np.asarray(_whole(_known(left)) == _whole(_known(right)), bool) & _apart(left, right)


def _known(value: Any) -> Any:
    """Pandas' NA as NaN, which is equal to nothing: NA answers no comparison at all."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return np.frompyfunc(_known, 1, 1)(value)
    return math.nan if type(value).__name__ == "NAType" else value


def _apart(left: Any, right: Any) -> Any:
    """Beside numbers in one column, true and false are no numbers: there ``1`` is not ``True``."""
    are_told = _is_mixed(left) or _is_mixed(right)
    return _are_truths(left) == _are_truths(right) if are_told else True


def _is_mixed(column: Any) -> bool:
    """Whether a column of objects has both true or false, and numbers."""
    truths = _are_truths(column)
    return bool(np.ndim(truths) and truths.any()) and any(
        isinstance(value, _NUMBERS) for value in column[~truths].flat
    )


def _are_truths(column: Any) -> Any:
    """Where a column of objects has true or false; of anything else, whether it has."""
    if isinstance(column, np.ndarray) and column.dtype == object:
        return np.frompyfunc(_are_truths, 1, 1)(column).astype(bool)
    return column.dtype == bool if isinstance(column, np.ndarray) else isinstance(column, (bool, np.bool_))


def _whole(value: Any) -> Any:
    """A float beyond which floats are even as the whole number that it is: NumPy would round a column of integers."""
    is_large = isinstance(value, float) and 2**53 <= abs(value) < math.inf
    return int(value) if is_large else value


def _check_kinds(column: Any, value: Any) -> None:
    """Text is equal to text only: beside numbers it would select nothing, without a word.

    Raises
    ------
    TypeError
        Where no value of a column is of the value's kind.
    """
    kind = _kind_of(value)
    if not isinstance(column, np.ndarray) or not kind:
        return
    if column.dtype == object:
        problem = _kind_beside(column, kind)
    elif column.dtype.kind in "US":
        problem = "" if kind == _TEXTS[column.dtype.kind] else "text"
    else:
        problem = "" if kind == "a number" and column.dtype.kind not in "mM" else str(column.dtype)
    if problem:
        msg = f"{value!r} is {kind}, and the values here are {problem}"
        raise TypeError(msg)


_TEXTS = {"U": "text", "S": "bytes"}
# A value of one of these is equal to none of another.
_KINDS: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "bytes": (bytes,),
    "nothing": (type(None),),
    "a dictionary": (dict,),
    "a number": _NUMBERS,
    "": (enum.Enum, PurePath, datetime.date, datetime.time, datetime.timedelta),
}


def _kind_of(value: Any) -> str | None:
    """What a value is; empty for what is none of all that has a word here, None for what may equal anything."""
    if isinstance(value, np.timedelta64):
        return None
    return next((word for word, types in _KINDS.items() if isinstance(value, types)), None)


def _kind_beside(column: Array, kind: str) -> str:
    """The type of a column of objects in which no value is of this kind; else nothing."""
    other = ""
    for item in column.flat:
        if _kind_of(item) in ((kind,) if kind == "nothing" else (None, kind)):
            return ""
        other = other or ("" if item is None else type(item).__name__)
    return other


def _ordered(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Less or greater, times being compared with times written as text."""

    def comparison(left: Any, right: Any) -> Any:
        with np.errstate(invalid="ignore"):  # NaN in a column of objects
            return np.asarray(compare(*map(_known, as_times(left, right))), bool)

    return comparison


def _is_in(value: Any, items: Any) -> Any:
    if not isinstance(items, list):
        msg = "behind 'in' stands a list of values, as in x in [1, 2]"
        raise TypeError(msg)
    return np.any([equal(value, item) for item in items], axis=0)


def matching(column: Array, wanted: Any) -> Array:
    """Which rows have a value, or one of several: what ``where(x=…)`` means.

    Parameters
    ----------
    column
        Shape ``(n, *shape of one value)``, or objects.
    wanted
        A value of the column's kind, NaN and NaT included; or a list, tuple, set, range, array or series of
        such values.

    Returns
    -------
    ndarray
        Of bool, shape ``(n,)``.

    Raises
    ------
    TypeError
        For text beside what is no text.
    """
    values = several(wanted)
    if values is None:
        return _rows(column, wanted)
    is_value = column.ndim > 1 or any(
        isinstance(item, (*_SEQUENCES, set, frozenset, range)) for item in column
    )
    chosen = _rows(column, wanted) if is_value else np.zeros(len(column), bool)
    if is_value and all(several(item) is None for item in values):
        return chosen
    return np.asarray(np.any([chosen, *(_rows(column, item) for item in values)], axis=0))


def several(wanted: Any) -> list[Any] | None:
    """The values of a list of values; None for a single value."""
    if isinstance(wanted, (list, tuple, set, frozenset, range)):
        return list(wanted)
    is_array = isinstance(wanted, np.ndarray) or (
        hasattr(wanted, "__array__") and hasattr(wanted, "to_numpy")
    )
    return list(wanted) if is_array and np.ndim(wanted) and not hasattr(wanted, "columns") else None


def _rows(column: Array, wanted: Any) -> Array:
    """Which rows equal one value, as a whole."""
    column, wanted = _known(column), _known(wanted)
    if column.ndim > 1 and _kind_of(wanted) is not None:
        msg = f"{wanted!r} is one value, and the values here are arrays of shape {column.shape[1:]}"
        raise TypeError(msg)
    is_single = column.ndim == 1 and several(wanted) is None
    if is_single:
        wanted = as_times(column, wanted)[1]
    if column.ndim == 1 and column.dtype != object:
        if _is_missing(wanted) and column.dtype.kind in "fcmM":
            return np.asarray(np.isnan(column) if column.dtype.kind in "fc" else np.isnat(column), bool)
        return np.asarray(equal(column, wanted), bool)
    if is_single:
        _check_kinds(column, wanted)
    chosen: Array = np.array([_same(value, wanted) for value in column], bool) & _apart(column, wanted)
    return chosen


def _is_missing(value: Any) -> bool:
    """Whether it is NaN or NaT."""
    try:
        return bool(np.ndim(value) == 0 and operator.ne(value, value))
    except (TypeError, ValueError):  # a value without a plain truth
        return False


def _is_long(value: Any) -> bool:
    """Whether it is a list or tuple, or an array with a dimension."""
    return not isinstance(value, np.ndarray) or value.ndim > 0


def _same(value: Any, wanted: Any) -> bool:
    """Whether two values are equal: sequences in length and all elements, whatever kind of sequence they are."""
    value, wanted = _known(value), _known(wanted)
    if (
        isinstance(value, _SEQUENCES)
        and isinstance(wanted, _SEQUENCES)
        and _is_long(value)
        and _is_long(wanted)
    ):
        return len(value) == len(wanted) and all(map(_same, value, wanted))
    if isinstance(value, (list, tuple)) or isinstance(wanted, (list, tuple)):
        return False
    return bool(np.all(value == wanted)) or (_is_missing(value) and _is_missing(wanted))


# Computing


_LARGEST = 2**63 - 1
_MOST_BITS = 4096  # of a whole number


def _numbers(value: Any) -> Any:
    """An operand of arithmetic: true and false count as 1 and 0, integers have 64 bits, or as many as they need."""
    value = _known(value)
    if isinstance(value, (*_TEXT, list)):
        msg = f"{value!r} is no number"
        raise TypeError(msg)
    if not isinstance(value, np.ndarray):
        return int(value) if isinstance(value, (bool, np.integer)) else value
    if value.dtype == object and any(isinstance(item, (*_TEXT, list, tuple, dict)) for item in value.flat):
        msg = "not all of its values are numbers"
        raise TypeError(msg)
    if type(value) is np.ndarray and value.dtype.kind in "biu":
        return value.astype(object if value.dtype.kind == "u" and _extent(value) > _LARGEST else np.int64)
    return value


def _are_whole(*values: Any) -> bool:
    """Whether all are integers, or columns of them."""
    return all(type(v) is int or (type(v) is np.ndarray and v.dtype == np.int64) for v in values)


def _extent(value: Any) -> int:
    """The largest magnitude among integers."""
    if isinstance(value, int):
        return abs(value)
    return max(abs(int(value.max())), abs(int(value.min()))) if value.size else 0


def _exact(value: Any) -> Any:
    """A column as Python's integers, which have no largest one."""
    return value.astype(object) if isinstance(value, np.ndarray) else value


def _computed(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Arithmetic that is exact for integers, however large: NumPy's own begins again at the smallest one."""

    def compute(left: Any, right: Any) -> Any:
        left, right = _numbers(left), _numbers(right)
        if _are_whole(left, right) and not type(left) is type(right) is int:
            if operation in (operator.floordiv, operator.mod) and not np.all(right):
                with np.errstate(divide="ignore", invalid="ignore"):
                    return operation(left, np.asarray(right, float))  # by zero it is no number: equal to none
            one, other = _extent(left), _extent(right)
            if (one * other if operation is operator.mul else one + other) > _LARGEST:
                left, right = _exact(left), _exact(right)
        return operation(left, right)

    return compute


def _power(left: Any, right: Any) -> Any:
    """A power; of integers an exact one, unless it is larger than anybody means."""
    left, right = _numbers(left), _numbers(right)
    if any(isinstance(value, np.ndarray) and value.dtype == object for value in (left, right)):
        return np.frompyfunc(_power_of_values, 2, 1)(left, right)
    if not _are_whole(left, right):
        return left**right
    if np.any(np.less(right, 0)):
        return np.asarray(left, float) ** right
    bits = _bits(_extent(left), _extent(right))
    return left**right if bits < 63 else _exact(left) ** _exact(right)


def _power_of_values(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        _bits(abs(left), abs(right))
    return left**right


def _bits(base: int, exponent: int) -> int:
    """How many bits a power has at most.

    Raises
    ------
    OverflowError
        For more than anybody needs: to compute it could take for ever.
    """
    bits = base.bit_length() * exponent if base > 1 else 1
    if bits > _MOST_BITS:
        msg = "the result is too large"
        raise OverflowError(msg)
    return bits


def _signed(operation: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: operation(_numbers(value))


ARITHMETIC: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: _computed(operator.add),
    ast.Sub: _computed(operator.sub),
    ast.Mult: _computed(operator.mul),
    ast.Div: _computed(operator.truediv),
    ast.FloorDiv: _computed(operator.floordiv),
    ast.Mod: _computed(operator.mod),
    ast.Pow: _power,
    ast.USub: _signed(operator.neg),
    ast.UAdd: _signed(operator.pos),
}
OF_COLUMNS: Mapping[type[ast.AST], Callable[..., Any]] = {
    **ARITHMETIC,
    ast.BitAnd: lambda left, right: _all([left, right]),
    ast.BitOr: lambda left, right: _any([left, right]),
    ast.And: _all,
    ast.Or: _any,
    ast.Not: _not,
    ast.Invert: _not,
    ast.Eq: equal,
    ast.NotEq: lambda left, right: np.logical_not(equal(left, right)),
    ast.Lt: _ordered(operator.lt),
    ast.LtE: _ordered(operator.le),
    ast.Gt: _ordered(operator.gt),
    ast.GtE: _ordered(operator.ge),
    ast.In: _is_in,
    ast.NotIn: lambda value, items: np.logical_not(_is_in(value, items)),
}


def _of_one(name: str, function: Callable[[Any], Any]) -> Callable[..., Any]:
    """A function of one column; what NumPy's takes besides, as ``out``, is no business of a condition."""

    def call(*values: Any) -> Any:
        if len(values) != 1:
            msg = f"{name} takes one argument, not {len(values)}"
            raise TypeError(msg)
        return function(_numbers(values[0]))

    return call


def _isnan(value: Any) -> Any:
    """Whether it is NaN or NaT, among values of several types, too."""
    is_mixed = isinstance(value, np.ndarray) and value.dtype == object
    return np.frompyfunc(_is_missing, 1, 1)(value).astype(bool) if is_mixed else np.isnan(value)


def _round(value: Any, decimals: Any = 0) -> Any:
    """Rounded to this many decimals."""
    return np.round(_numbers(value), operator.index(decimals))


_NEAR = 1e-9  # relative: as far as rounding leads away from the value that somebody types


def is_near(value: Any, wanted: Any, within: Any = None) -> Any:
    """Whether numbers are the wanted ones but for rounding, or not farther than this away.

    Beside zero rounding is what is small beside the largest of the numbers.
    """
    value, wanted = _numbers(value), _numbers(wanted)
    if within is None:
        sizes = np.abs(np.asarray(value, float))
        largest = np.max(sizes, initial=0.0, where=np.isfinite(sizes))
        within = _NEAR * np.where(np.asarray(wanted) == 0, largest, np.abs(wanted))
    with np.errstate(invalid="ignore"):
        return (value == wanted) | (np.abs(value - wanted) <= _numbers(within))


_NAMES = ("abs", "sqrt", "exp", "log", "log10", "sin", "cos", "isfinite")
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{name: _of_one(name, getattr(np, name)) for name in _NAMES},
    "isnan": _of_one("isnan", _isnan),
    "round": _round,
    "near": is_near,
}
