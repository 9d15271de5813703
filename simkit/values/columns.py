"""Values as columns: what one name's values over many rows are made of.

The model is Arrow's nested layout cut down to what scientists record. A `Column` has ``n`` rows. Each
row belongs to at most one variant (rows in none are absent); a variant is a node that holds its rows'
values, all of one Python type:

========== ==============================================================================
`Leaf`     one scalar, string or array of a fixed shape per row
`Ragged`   flat arrays of any shape, laid end to end
`Items`    a list or tuple of anything: counts, and one column of all the items
`Record`   named parts: a column each
`Nothing`  ``None``
========== ==============================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import attrs
import numpy as np

from simkit.declare.forms import Array, Index


@attrs.frozen(eq=False)
class Leaf:
    """Fixed-shape values.

    Attributes
    ----------
    type
        The Python type of one value: ``bool int float complex str scalar array list tuple``, where a
        ``scalar`` is NumPy's and ``list`` and ``tuple`` hold native scalars.
    rows
        Shape ``(n, *shape)``; for big arrays a list of n arrays, or of compressed ones (`Packed`); a list of n
        strings for ``str`` and for integers beyond 64 bits (as decimals).
    """

    type: str
    rows: Array | list[Any]

    @property
    def dtype(self) -> str:
        """The NumPy type of the elements, ``str`` for text."""
        first = self.rows[0] if isinstance(self.rows, list) and self.rows else self.rows
        dtype = getattr(first, "dtype", None)
        return "str" if dtype is None else str(dtype.str)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        if isinstance(self.rows, np.ndarray):
            return tuple(self.rows.shape[1:])
        return tuple(getattr(self.rows[0], "shape", ())) if self.rows else ()

    @property
    def signature(self) -> tuple[Any, ...]:
        """What rows must share to stand in one dataset."""
        return ("leaf", self.type, self.dtype, self.shape)


@attrs.frozen(eq=False)
class Ragged:
    """Arrays of differing shapes.

    Attributes
    ----------
    type
        ``array list tuple bytes scalar str np.str``; bytes and unusual text are arrays of bytes.
    values
        All elements, flat, shape ``(total,)``.
    shapes
        Shape ``(n, ndim)``.
    compress
        Whether the elements are worth compressing in the file.
    """

    type: str
    values: Array
    shapes: Index
    compress: bool = False

    @property
    def dtype(self) -> str:
        """The NumPy type of the elements."""
        return self.values.dtype.str

    @property
    def signature(self) -> tuple[Any, ...]:
        """What rows must share to stand in one dataset."""
        return ("ragged", self.type, self.dtype, self.shapes.shape[1])


@attrs.frozen(eq=False)
class Items:
    """Lists (``list``) or tuples (``tuple``) of anything: ``counts`` of shape ``(n,)``, items end to end."""

    type: str
    counts: Index
    items: Column

    @property
    def signature(self) -> tuple[Any, ...]:
        """What rows must share to stand in one group."""
        return ("items", self.type)


@attrs.frozen(eq=False)
class Record:
    """Values of named parts: a dictionary, or whatever a codec takes apart.

    Attributes
    ----------
    type
        ``dict`` of these keys, ``mapping`` as lists of keys and values, or the name of a codec.
    fields
        At least one.
    attributes
        What a codec knows of all rows alike, as JSON; empty where rows have attributes of their own (`loose`).
    hints
        For people who look into the file (unit, class); nothing is read back from them.
    """

    type: str
    fields: Mapping[str, Column]
    attributes: str = "{}"
    hints: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def signature(self) -> tuple[Any, ...]:
        """What rows must share to stand in one group."""
        return record_signature(self.type, self.fields, self.attributes)


def record_signature(name: str, fields: Iterable[str], attributes: str) -> tuple[Any, ...]:
    """What rows of a record must share; attributes count where there are any."""
    return ("record", name, tuple(fields), *([attributes] if attributes != "{}" else []))


@attrs.frozen(eq=False)
class Nothing:
    """``None`` in each of ``n`` rows."""

    n: int
    type: str = "none"

    @property
    def signature(self) -> tuple[Any, ...]:
        """What rows must share to stand in one group."""
        return ("nothing",)


Node: TypeAlias = Leaf | Ragged | Items | Record | Nothing


@attrs.frozen(eq=False)
class Column:
    """``n`` rows; each variant's node holds the rows at its positions (``None``: all rows)."""

    n: int
    variants: tuple[tuple[Index | None, Node], ...]

    @property
    def whole(self) -> Node | None:
        """The node that holds every row, if there is one."""
        if len(self.variants) == 1 and self.variants[0][0] is None:
            return self.variants[0][1]
        return None

    def present(self) -> Array:
        """Which rows hold a value, shape ``(n,)``."""
        found = np.zeros(self.n, bool)
        for positions, _ in self.variants:
            found[slice(None) if positions is None else positions] = True
        return found

    def spread(self, n: int, positions: Index) -> Column:
        """The same values as rows ``positions`` of a column of ``n`` rows, the others absent."""
        moved = tuple(
            (positions if inner is None else positions[inner], node) for inner, node in self.variants
        )
        return Column(n, moved)


def height(node: Node) -> int:
    """How many rows a node has."""
    match node:
        case Leaf():
            return len(node.rows)
        case Ragged():
            return len(node.shapes)
        case Items():
            return len(node.counts)
        case Record():
            return next(iter(node.fields.values())).n
        case Nothing():
            return node.n


def whole_column(node: Node) -> Column:
    """The column in which every row is of this node."""
    return Column(height(node), ((None, node),))


def nbytes(node: Node | Column) -> int:
    """About how much memory the values take, in bytes."""
    match node:
        case Column():
            return sum(nbytes(inner) for _, inner in node.variants)
        case Leaf(rows=list() as rows):
            return sum(getattr(row, "nbytes", None) or 50 + len(row) for row in rows)
        case Leaf():
            return int(np.asarray(node.rows).nbytes)
        case Ragged():
            return int(node.values.nbytes + node.shapes.nbytes)
        case Items():
            return int(node.counts.nbytes) + nbytes(node.items)
        case Record():
            return sum(nbytes(field) for field in node.fields.values())
        case Nothing():
            return 0


def take(column: Column, index: Index) -> Column:
    """The rows at these positions."""
    whole = column.whole
    if whole is not None:
        return Column(len(index), ((None, take_node(whole, index)),))
    variants = []
    for positions, node in column.variants:
        at = np.full(column.n, -1)
        at[slice(None) if positions is None else positions] = np.arange(
            column.n if positions is None else len(positions)
        )
        inner = at[index]
        chosen = np.flatnonzero(inner >= 0)
        if len(chosen):
            variants.append((chosen, take_node(node, inner[chosen])))
    return Column(len(index), tuple(variants))


def take_node(node: Node, index: Index) -> Node:
    """The rows of a node at these positions."""
    match node:
        case Leaf(rows=list() as rows):
            if not len(index) and rows and isinstance(rows[0], np.ndarray):
                return Leaf(node.type, np.empty((0, *node.shape), node.dtype))
            return Leaf(node.type, [rows[i] for i in index.tolist()])
        case Leaf():
            return Leaf(node.type, np.asarray(node.rows)[index])
        case Ragged():
            stops = np.cumsum(np.prod(node.shapes, axis=1, dtype=np.int64))
            pieces = np.split(node.values, stops[:-1])
            chosen = [pieces[i] for i in index.tolist()]
            values = np.concatenate(chosen, dtype=node.values.dtype) if chosen else node.values[:0]
            return attrs.evolve(node, values=values, shapes=node.shapes[index])
        case Items():
            return _take_items(node, index)
        case Record():
            return attrs.evolve(
                node, fields={name: take(field, index) for name, field in node.fields.items()}
            )
        case Nothing():
            return Nothing(len(index))


def _take_items(node: Items, index: Index) -> Items:
    stops = np.cumsum(node.counts)
    starts = stops - node.counts
    wanted = [np.arange(starts[i], stops[i]) for i in index.tolist()]
    inner = np.concatenate(wanted) if wanted else np.empty(0, np.int64)
    return Items(node.type, node.counts[index], take(node.items, inner))
