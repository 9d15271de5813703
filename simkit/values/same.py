"""Are two values the same, type and bits included?"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from simkit.declare.axes import Array, Index
from simkit.errors import Unstorable
from simkit.values.columns import Column, Items, Leaf, Node, Nothing, Ragged, Record
from simkit.values.encode import encode


def digest(value: Any) -> str:
    """A fingerprint of a storable value: equal for equal types and bits only.

    Raises
    ------
    Unstorable
        For a value that has no form in the file.
    """
    hasher = hashlib.sha256()
    _feed(hasher, encode([value]))
    return hasher.hexdigest()[:32]


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


def _feed(hasher: Any, column: Column) -> None:
    for positions, node in sorted(column.variants, key=_first):  # the order of their encoding means nothing
        hasher.update(repr((column.n, None if positions is None else positions.tolist())).encode())
        _feed_node(hasher, node)


def _first(variant: tuple[Index | None, Node]) -> int:
    positions, _ = variant
    return 0 if positions is None else int(positions[0])


def _feed_node(hasher: Any, node: Node) -> None:
    hasher.update(repr(node.signature).encode() if not isinstance(node, Nothing) else b"none")
    match node:
        case Leaf(rows=list() as rows) if not isinstance(rows[0], np.ndarray):
            hasher.update(repr(rows).encode())
        case Leaf():
            hasher.update(_bits(np.asarray(node.rows)))
        case Ragged():
            hasher.update(node.shapes.tobytes() + _bits(node.values))
        case Items():
            hasher.update(node.counts.tobytes())
            _feed(hasher, node.items)
        case Record():
            for field in node.fields.values():
                _feed(hasher, field)


def _bits(array: Array) -> bytes:
    """The elements' bytes; long doubles as text, since their padding is not part of the value."""
    if array.dtype.kind in "fc" and array.dtype.char in "gG":
        parts = (array.real, array.imag) if array.dtype.kind == "c" else (array,)
        return repr([[np.format_float_scientific(x) for x in part.ravel()] for part in parts]).encode()
    return np.ascontiguousarray(array).tobytes()
