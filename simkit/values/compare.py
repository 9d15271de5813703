"""Which values are the same: exactly, within a tolerance, or as points of the parameter space?

`digest` and `same` compare single values by type and bits, `differing` two columns row by row, exactly or within a
`Tolerance`. For points, `keys` makes a number of each row, equal for equal values, and `matched` finds rows of one
side among those of the other.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from simkit.declare.forms import Array, Index
from simkit.errors import Unstorable
from simkit.values.columns import Column, Items, Leaf, Node, Nothing, Ragged, Record, whole_column
from simkit.values.decode import as_array, decode
from simkit.values.encode import encode


def digest(value: Any) -> str:
    """A fingerprint of a storable value: equal for equal types and bits only.

    Raises
    ------
    Unstorable
        For a value that has no form in the file.
    """
    return encode([value]).digest()


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same value of the same type (NaN is the same as NaN)."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    try:
        return digest(one) == digest(other)
    except Unstorable:
        return bool(one == other)


@attrs.frozen
class Tolerance:
    """How far floating-point numbers may lie apart: ``|a - b| <= atol + rtol * max(|a|, |b|)``.

    Zero for both means bit for bit (any NaN is the same as any other). Types, shapes, integers and text
    must agree in any case.
    """

    rtol: float = 0.0
    atol: float = 0.0

    def __bool__(self) -> bool:
        return self.rtol > 0 or self.atol > 0


EXACT = Tolerance()


def differing(one: Column, other: Column, tolerance: Tolerance = EXACT) -> Array:
    """Which rows differ; a row that only one of them has is a difference.

    Returns
    -------
    ndarray of bool
        Shape ``(n,)``.
    """
    if one.whole is not None and other.whole is not None:
        return _nodes(one.whole, other.whole, tolerance)
    different: Array = one.present() | other.present()
    for mine, first in one.variants:
        for theirs, second in other.variants:
            rows, i, j = _in_both(one.n, mine, theirs)
            if len(rows):
                different[rows] = _nodes(first.take(i), second.take(j), tolerance)
    return different


def _in_both(n: int, mine: Index | None, theirs: Index | None) -> tuple[Index, Index, Index]:
    every = np.arange(n)
    return np.intersect1d(
        every if mine is None else mine,
        every if theirs is None else theirs,
        assume_unique=True,
        return_indices=True,
    )


def _nodes(one: Node, other: Node, tolerance: Tolerance) -> Array:
    """Which rows of two nodes of one height differ."""
    if one.type != other.type:
        return np.ones(one.n, bool)
    if type(one) is type(other) and one.signature == other.signature:
        return _alike(one, other, tolerance)
    pairs = zip(decode(whole_column(one)), decode(whole_column(other)), strict=True)
    return np.array([_single(a, b, tolerance) for a, b in pairs], bool)


def _single(one: Any, other: Any, tolerance: Tolerance) -> bool:
    """Whether two values differ that lie in columns of different build, as among others of other shapes."""
    a, b = encode([one]).whole, encode([other]).whole
    if a is None or b is None or type(a) is not type(b) or a.signature != b.signature:
        return True
    return bool(_alike(a, b, tolerance)[0])


def _alike(one: Node, other: Any, tolerance: Tolerance) -> Array:
    """Which rows of two nodes of one signature differ."""
    match one:
        case Leaf():
            return _leaves(one, other, tolerance)
        case Ragged():
            return _ragged(one, other, tolerance)
        case Items():
            return _items(one, other, tolerance)
        case Record():
            fields = [differing(field, other.fields[name], tolerance) for name, field in one.fields.items()]
            return np.asarray(np.logical_or.reduce(fields))
        case Nothing():
            return np.zeros(one.n, bool)


def _leaves(one: Leaf, other: Leaf, tolerance: Tolerance) -> Array:
    a, b = one.rows, other.rows
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.asarray(~agreeing(a, b, tolerance).reshape(len(a), -1).all(axis=1))
    pairs = zip(a, b, strict=True)
    if one.dtype == "str":
        return np.array([x != y for x, y in pairs], bool)
    return np.array([not agreeing(x, y, tolerance).all() for x, y in pairs], bool)


def _ragged(one: Ragged, other: Ragged, tolerance: Tolerance) -> Array:
    different: Array = (one.shapes != other.shapes).any(axis=1)
    if different.any():
        comparable = np.flatnonzero(~different)
        if len(comparable):
            different[comparable] = _ragged(one.take(comparable), other.take(comparable), tolerance)
        return different
    return _any_of(~agreeing(one.values, other.values, tolerance), one.sizes)


def _items(one: Items, other: Items, tolerance: Tolerance) -> Array:
    different = one.counts != other.counts
    comparable = np.flatnonzero(~different)
    if len(comparable):
        first, second = one.take(comparable), other.take(comparable)
        different[comparable] = _any_of(differing(first.items, second.items, tolerance), first.counts)
    return np.asarray(different)


def _any_of(flags: Array, sizes: Index) -> Array:
    """Whether any flag is set in each of the pieces, which lie end to end."""
    total = np.concatenate([[0], np.cumsum(flags)])
    stops = np.cumsum(sizes)
    return np.asarray(total[stops] > total[stops - sizes])


def agreeing(one: Array, other: Array, tolerance: Tolerance) -> Array:
    """Element by element, for two arrays of one type and shape."""
    kind = one.dtype.kind
    if kind in "mM":
        return np.asarray(one.view("i8") == other.view("i8"))
    if kind == "c" and not tolerance:
        return agreeing(one.real, other.real, tolerance) & agreeing(one.imag, other.imag, tolerance)
    if kind not in "fc":
        return np.asarray(one == other)
    signs = np.signbit(one) == np.signbit(other) if kind == "f" else True
    equal = ((one == other) & signs) | (np.isnan(one) & np.isnan(other))
    return np.asarray(equal | _close(one, other, tolerance) if tolerance else equal)


def _close(one: Array, other: Array, tolerance: Tolerance) -> Array:
    a, b = (side.astype(np.result_type(side, "f8"), copy=False) for side in (one, other))
    with np.errstate(invalid="ignore", over="ignore"):
        scale = np.maximum(np.abs(a), np.abs(b))
        near = np.abs(a - b) <= tolerance.atol + tolerance.rtol * scale
    return np.asarray(near & np.isfinite(scale))


@attrs.frozen
class Gap:
    """How far two values lie apart, as far as that is a number: the absolute and the relative difference."""

    absolute: float
    relative: float


def gaps(one: Column, other: Column) -> tuple[Array, Array] | None:
    """How far the rows of two columns lie apart.

    Returns
    -------
    tuple of ndarray or None
        The largest absolute difference in each row, shape ``(n,)``, infinite where only one is finite; and the
        size of the larger value there. None where the values are no numbers of one shape.
    """
    try:
        a, b = as_array(one), as_array(other)
    except (ValueError, TypeError):
        return None
    if not (_numeric(a) and _numeric(b)) or a.shape != b.shape or not a.size:
        return None
    wide = np.result_type(a, b, "f8")
    a, b = (np.asarray(side).astype(wide).reshape(len(side), -1) for side in (a, b))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(a - b)
        apart[(a == b) | (np.isnan(a) & np.isnan(b))] = 0
        apart[np.isnan(apart)] = np.inf
        widest = apart.argmax(axis=1)[:, None]
        scale = np.take_along_axis(np.maximum(np.abs(a), np.abs(b)), widest, 1)
    return np.take_along_axis(apart, widest, 1)[:, 0], scale[:, 0]


def _numeric(array: Array) -> bool:
    return type(array) in (np.ndarray, np.ma.MaskedArray) and array.dtype.kind in "biufc"


def gap(one: Column, other: Column) -> Gap | None:
    """How far two values lie apart, given as columns of one row."""
    found = gaps(one, other)
    if found is None:
        return None
    apart, scale = float(found[0][0]), float(found[1][0])
    return Gap(apart, apart / scale if scale and np.isfinite(scale) else apart)


_ABSENT = np.uint64(1)  # the bits of the smallest number above zero, which nobody explores
_NAN = np.array([np.nan]).view("u8")[0]
_PLAIN = ("bool", "int", "float", "complex", "scalar")


def keys(column: Column, *, exact: bool = False) -> Array:
    """Which rows hold the same value, as far as points of the parameter space are concerned.

    Numbers are the same if their exact values are, whatever their types: 1 is 1.0, -0.0 is 0.0 and NaN is NaN. So
    are truth values (which are no numbers) and texts; anything else is the same if types and bits are.

    Parameters
    ----------
    exact
        Whether types and bits must be the same for numbers and texts, too. Then the same values have the same
        numbers in all processes.

    Returns
    -------
    ndarray of uint64
        Shape ``(n,)``, equal for the same values, in other columns of this process too. Different values that are
        no floating-point numbers may, very rarely, share a number.
    """
    numbers = np.full(column.n, _ABSENT)
    for positions, node in column.variants:
        numbers[slice(None) if positions is None else positions] = _node_keys(node, exact)
    return numbers


def _node_keys(node: Node, exact: bool) -> Array:
    if isinstance(node, Leaf) and node.type in _PLAIN and isinstance(node.rows, np.ndarray):
        kind, size = node.rows.dtype.kind, node.rows.dtype.itemsize
        if kind in "iufc" and size <= (16 if kind == "c" else 8) and not exact:
            return _number_keys(node.rows)
        if kind in "biufmM" and size <= 8:
            bits = np.ascontiguousarray(node.rows).view(f"u{size}").astype("u8")
            return _marked(bits, "bool" if kind == "b" and not exact else repr(node.signature))
    values = decode(whole_column(node))
    if isinstance(node, Leaf) and node.dtype == "str" and node.type != "int":
        number = _text_number if exact else hash  # of which the second differs between processes
        hashes = np.fromiter(map(number, values), np.int64, node.n).view("u8")
        return _marked(hashes, node.type if exact else "text")
    return np.array([_digest_key(value) if exact else _value_key(value) for value in values], "u8")


def _text_number(text: str) -> int:
    """A number of a text that is the same in all processes."""
    coded = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(coded, "little", signed=True)


def _number_keys(rows: Array) -> Array:
    """The bits of the floating-point number that has the value; integers without one get other numbers."""
    if rows.dtype.kind == "c":
        real, imaginary = _number_keys(rows.real), _number_keys(rows.imag)
        return np.where(rows.imag == 0, real, mixed([real, imaginary], len(rows)))
    wide = rows.astype("f8")
    wide += 0.0  # -0.0 becomes 0.0
    numbers: Array = wide.view("u8")
    if rows.dtype.kind == "f":
        numbers[np.isnan(wide)] = _NAN
    elif rows.dtype.itemsize == 8 and np.abs(wide).max(initial=0) >= 2**53:
        fits = wide < 2.0 ** (63 if rows.dtype.kind == "i" else 64)
        inexact = ~fits | (np.where(fits, wide, 0).astype(rows.dtype) != rows)
        numbers[inexact] = _marked(rows[inexact].astype("u8"), "int")
    return numbers


def _value_key(value: Any) -> int:
    """The key of a value that no array of numbers or list of texts holds."""
    if isinstance(value, str):
        return int(_marked(np.array([hash(value)]).view("u8"), "text")[0])
    number = _short(value) if isinstance(value, (int, np.longdouble)) else None
    return _digest_key(value) if number is None else int(_number_keys(np.array([number]))[0])


def _digest_key(value: Any) -> int:
    return int(digest(value)[:16], 16)


def _short(value: Any) -> Any:
    """The number of at most 64 bits that has the same value, if there is one."""
    if 2**63 <= value < 2**64 and value == int(value):
        return np.uint64(int(value))
    try:
        double = float(value)
    except OverflowError:
        return None
    return double if double == value or math.isnan(double) else None


def _marked(numbers: Array, kind: str) -> Array:
    """Numbers of a kind, told apart from the same numbers of other kinds."""
    return scrambled(numbers ^ np.uint64(zlib.crc32(kind.encode())))


def mixed(columns: Sequence[Array], n: int) -> Array:
    """Each row's keys as one number; unequal rows may, very rarely, share one."""
    number = np.zeros(n, "u8")
    for column in columns:
        number = scrambled(number ^ scrambled(column))
    return number


def scrambled(x: Array) -> Array:
    """The finaliser of SplitMix64."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def matched(mine: Sequence[Array], theirs: Sequence[Array], n: int, m: int) -> Array:
    """Which of my points are theirs: the one matcher of points.

    Parameters
    ----------
    mine, theirs
        The `keys` of each explored name, shape ``(n,)`` and ``(m,)``.

    Returns
    -------
    ndarray of int
        For each of their points the row of mine that is the same point, or -1, shape ``(m,)``. The k-th of
        equal points is the k-th.
    """
    if not n:
        return np.full(m, -1)
    if m <= n and all(np.array_equal(one[:m], other) for one, other in zip(mine, theirs, strict=True)):
        return np.arange(m)
    one, other = _with_occurrence(mixed(mine, n)), _with_occurrence(mixed(theirs, m))
    order, queue = np.argsort(one), np.argsort(other)
    row_of_mine = np.empty(m, np.int64)  # sorted questions find their answers side by side
    row_of_mine[queue] = order[np.minimum(np.searchsorted(one[order], other[queue]), n - 1)]
    is_same = one[row_of_mine] == other
    for a, b in zip(mine, theirs, strict=True):
        is_same &= a[row_of_mine] == b
    return np.where(is_same, row_of_mine, -1)


def _with_occurrence(numbers: Array) -> Array:
    """Numbers made different where they repeat; the first stay as they are."""
    ranked = np.sort(numbers)
    if not (ranked[1:] == ranked[:-1]).any():
        return numbers
    times = occurrence(numbers)
    return np.where(times, mixed([numbers, times.astype("u8")], len(numbers)), numbers)


def occurrence(numbers: Array) -> Array:
    """How often each number came before, shape ``(n,)``."""
    order = np.argsort(numbers, kind="stable")
    ranked = numbers[order]
    first = np.concatenate([[True], ranked[1:] != ranked[:-1]]) if len(numbers) else np.empty(0, bool)
    starts = np.maximum.accumulate(np.where(first, np.arange(len(numbers)), 0))
    times = np.empty(len(numbers), np.int64)
    times[order] = np.arange(len(numbers)) - starts
    return times
