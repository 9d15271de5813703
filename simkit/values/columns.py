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

Each node says how many rows it has (``n``), about how much memory they take in bytes (``nbytes``), and what rows must
share to stand in one dataset or group of the file (``signature``); gives some of its rows (``take(index)``); and feeds
their type and bits to a hash of `hashlib`'s (``update(hasher)``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
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

    def __reduce__(self) -> Any:  # half the time of attrs' own way, which messages to the owner are full of
        return Leaf, (self.type, self.rows)

    @property
    def n(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        if isinstance(self.rows, np.ndarray):
            return self.rows.nbytes
        return sum(getattr(row, "nbytes", None) or 50 + len(row) for row in self.rows)

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
        return ("leaf", self.type, self.dtype, self.shape)

    def take(self, index: Index) -> Leaf:
        if isinstance(self.rows, np.ndarray):
            return Leaf(self.type, self.rows[index])
        if not len(index) and self.dtype != "str":
            return Leaf(self.type, np.empty((0, *self.shape), self.dtype))
        return Leaf(self.type, [self.rows[i] for i in index.tolist()])

    def update(self, hasher: Any) -> None:
        hasher.update(repr(self.signature).encode())
        hasher.update(repr(self.rows).encode() if self.dtype == "str" else _bits(np.asarray(self.rows)))


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
    def n(self) -> int:
        return len(self.shapes)

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + self.shapes.nbytes

    @property
    def sizes(self) -> Index:
        """The number of elements of each row, shape ``(n,)``."""
        return np.asarray(np.prod(self.shapes, axis=1, dtype=np.int64))

    @property
    def dtype(self) -> str:
        """The NumPy type of the elements."""
        return self.values.dtype.str

    @property
    def signature(self) -> tuple[Any, ...]:
        return ("ragged", self.type, self.dtype, self.shapes.shape[1])

    def take(self, index: Index) -> Ragged:
        stops = np.cumsum(self.sizes)
        bounds = zip((stops - self.sizes)[index].tolist(), stops[index].tolist(), strict=True)
        pieces = [self.values[start:stop] for start, stop in bounds] or [self.values[:0]]
        values = np.concatenate(pieces, dtype=self.values.dtype)
        return Ragged(self.type, values, self.shapes[index], self.compress)

    def update(self, hasher: Any) -> None:
        hasher.update(repr(self.signature).encode() + self.shapes.tobytes() + _bits(self.values))


@attrs.frozen(eq=False)
class Items:
    """Lists (``list``) or tuples (``tuple``) of anything: ``counts`` of shape ``(n,)``, items end to end."""

    type: str
    counts: Index
    items: Column

    @property
    def n(self) -> int:
        return len(self.counts)

    @property
    def nbytes(self) -> int:
        return self.counts.nbytes + self.items.nbytes

    @property
    def signature(self) -> tuple[Any, ...]:
        return ("items", self.type)

    def take(self, index: Index) -> Items:
        counts = self.counts[index]
        starts = (np.cumsum(self.counts) - self.counts)[index]  # of each row's items among all of them
        first = np.cumsum(counts) - counts  # and among those that are taken
        items = np.repeat(starts - first, counts) + np.arange(int(counts.sum()))
        return Items(self.type, counts, self.items.take(items))

    def update(self, hasher: Any) -> None:
        hasher.update(repr(self.signature).encode() + self.counts.tobytes())
        self.items.update(hasher)


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
    def n(self) -> int:
        return next(iter(self.fields.values())).n

    @property
    def nbytes(self) -> int:
        return sum(field.nbytes for field in self.fields.values())

    @property
    def signature(self) -> tuple[Any, ...]:
        return record_signature(self.type, self.fields, self.attributes)

    def take(self, index: Index) -> Record:
        return attrs.evolve(self, fields={name: field.take(index) for name, field in self.fields.items()})

    def update(self, hasher: Any) -> None:
        hasher.update(repr(self.signature).encode())
        for field in self.fields.values():
            field.update(hasher)


def record_signature(name: str, fields: Iterable[str], attributes: str) -> tuple[Any, ...]:
    """What rows of a record must share; attributes count where there are any."""
    return ("record", name, tuple(fields), *([attributes] if attributes != "{}" else []))


@attrs.frozen(eq=False)
class Nothing:
    """``None`` in each of ``n`` rows."""

    n: int
    type: str = "none"
    nbytes: int = 0

    @property
    def signature(self) -> tuple[Any, ...]:
        return ("nothing",)

    def take(self, index: Index) -> Nothing:
        return Nothing(len(index))

    def update(self, hasher: Any) -> None:
        hasher.update(b"none")


Node: TypeAlias = Leaf | Ragged | Items | Record | Nothing


@attrs.frozen(eq=False)
class Column:
    """One name's values over ``n`` rows.

    Attributes
    ----------
    variants
        Pairs of row positions, shape ``(m,)``, and the node that holds the values there; ``None`` for the
        positions stands for all rows. Positions ascend; no row is in two variants.
    """

    n: int
    variants: tuple[tuple[Index | None, Node], ...]

    def __reduce__(self) -> Any:
        return Column, (self.n, self.variants)

    @property
    def whole(self) -> Node | None:
        """The node that holds every row, if there is one."""
        if len(self.variants) == 1 and self.variants[0][0] is None:
            return self.variants[0][1]
        return None

    @property
    def nbytes(self) -> int:
        """About how much memory the values take, in bytes."""
        return sum(node.nbytes for _, node in self.variants)

    def present(self) -> Array:
        """Which rows hold a value, shape ``(n,)``."""
        flags = np.zeros(self.n, bool)
        for positions, _ in self.variants:
            flags[slice(None) if positions is None else positions] = True
        return flags

    def spread(self, n: int, positions: Index) -> Column:
        """The same values as rows ``positions`` of a column of ``n`` rows, the others absent."""
        moved = tuple(
            (positions if inner is None else positions[inner], node) for inner, node in self.variants
        )
        return Column(n, moved)

    def take(self, index: Index) -> Column:
        """The rows at these positions, in this order; one may be taken several times."""
        whole = self.whole
        if whole is not None:
            return whole_column(whole.take(index))
        variants = []
        for positions, node in self.variants:
            row_in_node = np.full(self.n, -1)
            row_in_node[slice(None) if positions is None else positions] = np.arange(node.n)
            inner = row_in_node[index]
            chosen = np.flatnonzero(inner >= 0)
            if len(chosen):
                variants.append((chosen, node.take(inner[chosen])))
        return Column(len(index), tuple(variants))

    def update(self, hasher: Any) -> None:
        """Feed types and bits of the values to a hash of `hashlib`'s; the order of variants means nothing."""
        for positions, node in sorted(self.variants, key=_first_row):
            rows = None if positions is None else positions.tolist()
            hasher.update(repr((self.n, rows)).encode())
            node.update(hasher)

    def digest(self) -> str:
        """A fingerprint of 32 hexadecimal digits, equal for equal types and bits only."""
        hasher = hashlib.sha256()
        self.update(hasher)
        return hasher.hexdigest()[:32]


def whole_column(node: Node) -> Column:
    """The column in which every row is of this node."""
    return Column(node.n, ((None, node),))


def concatenated(columns: Sequence[Column]) -> Column:
    """The rows of all columns, one column's after the other's; values of one type lie together."""
    wholes = [column.whole for column in columns if column.n]
    nodes = [node for node in wholes if node is not None]
    if len(nodes) == len(wholes) and (arrays := _numbers(nodes)):
        return whole_column(Leaf(nodes[0].type, np.concatenate(arrays, dtype=arrays[0].dtype)))
    if len(nodes) == len(wholes) and len(set(map(_kind, nodes))) == 1:
        return whole_column(_end_to_end(nodes))
    starts = np.cumsum([0, *(column.n for column in columns)])
    kinds: dict[tuple[Any, ...], list[tuple[Index, Node]]] = {}
    for start, column in zip(starts.tolist(), columns, strict=False):
        for positions, node in column.variants:
            rows = np.arange(column.n) if positions is None else positions
            kinds.setdefault(_kind(node), []).append((rows + start, node))
    variants = list(map(_in_order, kinds.values()))
    n = int(starts[-1])
    if len(variants) == 1 and len(variants[0][0]) == n:
        return whole_column(variants[0][1])
    return Column(n, tuple(variants))


def _in_order(parts: Sequence[tuple[Index, Node]]) -> tuple[Index, Node]:
    """One variant of several of its kind. Within a column, too, there may be several, whose rows take turns."""
    rows, node = np.concatenate([rows for rows, _ in parts]), _end_to_end([node for _, node in parts])
    if (rows[1:] > rows[:-1]).all():
        return rows, node
    order = np.argsort(rows)
    return rows[order], node.take(order)


def united(n: int, parts: Sequence[tuple[Index, Column]]) -> Column:
    """One column of ``n`` rows from columns of some of them each; values of one type lie together.

    Parameters
    ----------
    parts
        Row positions, shape ``(m,)``, and a column of ``m`` rows; no row is in two of them.
    """
    if not parts:
        return Column(n, ())
    rows, column = np.concatenate([rows for rows, _ in parts]), concatenated([part for _, part in parts])
    if not (rows[1:] > rows[:-1]).all():
        order = np.argsort(rows)
        rows, column = rows[order], column.take(order)
    return column if len(rows) == n else column.spread(n, rows)


_NUMBERS = {"bool", "int", "float", "complex"}


def _numbers(nodes: Sequence[Node]) -> list[Array]:
    """The arrays of nodes that hold numbers of one type, as those of many short runs do; else none."""
    leaves = [node for node in nodes if isinstance(node, Leaf)]
    arrays = [leaf.rows for leaf in leaves if isinstance(leaf.rows, np.ndarray)]
    kinds = {leaf.type for leaf in leaves}
    is_one = len(kinds) == len({array.dtype for array in arrays}) == 1 and kinds <= _NUMBERS
    return arrays if is_one and len(arrays) == len(nodes) else []


def _kind(node: Node) -> tuple[Any, ...]:
    """What nodes share that can become one: arrays of one type and number of dimensions, else a signature."""
    if isinstance(node, Leaf) and node.type in ("array", "list", "tuple"):
        return ("ragged", node.type, node.dtype, len(node.shape))
    return node.signature


def _end_to_end(nodes: Sequence[Any]) -> Node:
    """One node of the values of several of one kind."""
    first = nodes[0]
    if len({node.signature for node in nodes}) > 1:
        nodes = [node if isinstance(node, Ragged) else _as_ragged(node) for node in nodes]
        first = nodes[0]
    match first:
        case Leaf():
            rows = [node.rows for node in nodes]
            if all(isinstance(part, np.ndarray) for part in rows):
                return Leaf(first.type, np.concatenate(rows, dtype=rows[0].dtype))  # of its byte order, too
            return Leaf(first.type, [row for part in rows for row in part])
        case Ragged():
            values = np.concatenate([node.values for node in nodes], dtype=first.values.dtype)
            shapes = np.concatenate([node.shapes for node in nodes])
            return Ragged(first.type, values, shapes, any(node.compress for node in nodes))
        case Items():
            counts = np.concatenate([node.counts for node in nodes])
            return Items(first.type, counts, concatenated([node.items for node in nodes]))
        case Record():
            fields = {name: concatenated([node.fields[name] for node in nodes]) for name in first.fields}
            return attrs.evolve(first, fields=fields)
    return Nothing(sum(node.n for node in nodes))


def _as_ragged(leaf: Leaf) -> Ragged:
    """Arrays of one shape as those of any."""
    rows = leaf.rows if isinstance(leaf.rows, np.ndarray) else np.array(leaf.rows, leaf.dtype)
    return Ragged(leaf.type, rows.reshape(-1), np.tile(np.array(leaf.shape, np.int64), (leaf.n, 1)))


def _first_row(variant: tuple[Index | None, Node]) -> int:
    positions, _ = variant
    return 0 if positions is None else int(positions[0])


def _bits(array: Array) -> bytes:
    """The elements' bytes; long doubles as text, since their padding is not part of the value."""
    if array.dtype.kind in "fc" and array.dtype.char in "gG":
        parts = (array.real, array.imag) if array.dtype.kind == "c" else (array,)
        return repr([[np.format_float_scientific(x) for x in part.ravel()] for part in parts]).encode()
    return np.ascontiguousarray(array).tobytes()
