"""In which rows do two columns differ, exactly or beyond a tolerance?"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from simkit.declare.axes import Array, Index
from simkit.values.columns import Column, Items, Leaf, Node, Nothing, Ragged, Record, height, whole_column
from simkit.values.decode import as_array, decode
from simkit.values.encode import encode
from simkit.values.same import same
from simkit.values.take import take, take_node


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
            at, i, j = _in_both(one.n, mine, theirs)
            if len(at):
                different[at] = _nodes(take_node(first, i), take_node(second, j), tolerance)
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
        return np.ones(height(one), bool)
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


def _alike(one: Any, other: Any, tolerance: Tolerance) -> Array:
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
    pairs = zip(decode(whole_column(one)), decode(whole_column(other)), strict=True)
    return np.array([not same(a, b) for a, b in pairs], bool)


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
        at = np.flatnonzero(~different)
        if len(at):
            different[at] = _ragged(_taken(one, at), _taken(other, at), tolerance)
        return different
    sizes = np.prod(one.shapes, axis=1, dtype=np.int64)
    return _any_of(~agreeing(one.values, other.values, tolerance), sizes)


def _taken(node: Ragged, at: Index) -> Ragged:
    taken = take_node(node, at)
    assert isinstance(taken, Ragged)
    return taken


def _items(one: Items, other: Items, tolerance: Tolerance) -> Array:
    different = one.counts != other.counts
    at = np.flatnonzero(~different)
    if len(at):
        first, second = (take(whole_column(node), at).whole for node in (one, other))
        assert isinstance(first, Items)
        assert isinstance(second, Items)
        different[at] = _any_of(differing(first.items, second.items, tolerance), first.counts)
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
        at = apart.argmax(axis=1)[:, None]
        scale = np.take_along_axis(np.maximum(np.abs(a), np.abs(b)), at, 1)
    return np.take_along_axis(apart, at, 1)[:, 0], scale[:, 0]


def _numeric(array: Array) -> bool:
    return type(array) in (np.ndarray, np.ma.MaskedArray) and array.dtype.kind in "biufc"


def gap(one: Column, other: Column) -> Gap | None:
    """How far two values lie apart, given as columns of one row."""
    found = gaps(one, other)
    if found is None:
        return None
    apart, scale = float(found[0][0]), float(found[1][0])
    return Gap(apart, apart / scale if scale and np.isfinite(scale) else apart)
