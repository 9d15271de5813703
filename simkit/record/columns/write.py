"""Write one name's rows, whatever types and shapes turn up.

A codec's attributes, and the width of NumPy's text, are part of a column's type. Where every run has others,
they become columns themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from simkit.declare.annotations import Note
from simkit.declare.forms import Array, Index
from simkit.errors import SimkitError
from simkit.record.columns.datasets import Held, LeafHeld, created, found
from simkit.record.columns.rows import create_column, put, stored_dtype, to_stored
from simkit.record.format import AFTER, MASK, description, home, place
from simkit.values.columns import Column, Leaf, Node, Ragged, Record, whole_column
from simkit.values.decode import decode, taken_apart
from simkit.values.encode import MOST_ALIKE, array_codec, as_mapping, composites, encode, loose


def is_alike(signature: tuple[Any, ...], node: Node) -> bool:
    """Whether a column's type differs from a node's only in what `loosened` makes a column of its own."""
    match node:
        case Record():
            return signature[:2] == ("record", node.type)
        case Leaf() | Ragged():
            both = (signature, node.signature)
            kinds = [
                str(part[2])[1:2] for part in both if part[0] in ("leaf", "ragged") and part[1] == "array"
            ]
            return kinds == ["U", "U"]
        case _:
            return False


def loosened(node: Node) -> Node | None:
    """The same values in the form that takes any of their kind; None where they are in it already."""
    match node:
        case Record(type="dict" | "mapping") | Record(attributes=""):
            return None
        case Record():
            rows = taken_apart(node)
            return loose(node.type, [told for _, told in rows], [fields for fields, _ in rows])
        case Leaf(type="array") | Ragged(type="array"):
            codec = array_codec(np.dtype("U"))
            ((_, found),) = composites(codec, decode(whole_column(node)))
            return loosened(found) or found
        case _:
            return None


Rows = Callable[[], Array]
_MOST_VARIANTS = 255


class Sink:
    """The column of one name in one group.

    Parameters
    ----------
    parent, name
        Where the column stands.
    n
        How many rows it has.
    earlier
        Tells which rows had to be there so far, shape ``(n,)``; asked when the first hole turns up.
    """

    def __init__(self, parent: h5py.Group, name: str, n: int, earlier: Rows) -> None:
        self.parent, self.name, self.n, self.earlier = parent, name, n, earlier
        self.mask: h5py.Dataset | None = parent.get(name + MASK)
        self.held: list[Held] = []
        self.now: list[Index] = []  # rows written by the call under way: `earlier` does not know them
        there = parent.get(name)
        if there is not None and there.attrs.get("layout") == "variants":
            self.held = [found(self.inner(number), there, str(number)) for number in range(1, len(there) + 1)]
        elif there is not None:
            self.held = [found(self.inner(1), parent, name)]

    def inner(self, number: int) -> Callable[[h5py.Group, str], Sink]:
        """Makes the sinks of the parts of a variant."""

        def rows_of_variant() -> Array:
            if self.mask is not None:
                return np.asarray(self.mask[:] == number)
            there = self.earlier().copy()
            for rows in self.now:
                there[rows] = True
            return there

        return lambda parent, name: Sink(parent, name, self.n, rows_of_variant)

    def write(self, at: Index, column: Column, required: Array | None = None) -> None:
        """Write rows.

        Parameters
        ----------
        at
            Ascending row numbers, one per row of the column.
        required
            Which rows have to be there as long as no row tells: those of runs that are done. Where the column
            lacks one of them, or has another, every row tells from then on.
        """
        for _, node in column.variants:
            self.variant(node)  # all of them are there before a row is written
        for positions, node in column.variants:
            rows = at if positions is None else at[positions]
            number, fitting = self.variant(node)
            self.held[number - 1].write(rows, fitting)
            self.now.append(rows)
            if self.mask is not None:
                put(self.mask, rows, np.full(len(rows), number, "u1"))
        self.now.clear()
        if column.whole is not None and (required is None or self.mask is not None):
            return
        present = column.present()
        if self.mask is not None:
            lacking = at[~present]
            put(self.mask, lacking, np.zeros(len(lacking), "u1"))
        elif not (present if required is None else present == required).all():
            self.make_mask(at, present)

    def absent(self, at: Index, required: Array) -> None:
        """Rows that have no value under this name."""
        if self.mask is not None:
            put(self.mask, at, np.zeros(len(at), "u1"))
        elif required.any():
            self.make_mask(at, np.zeros(len(at), bool))

    def make_mask(self, at: Index, present: Array) -> None:
        """From now on every row tells whether it is there."""
        known = np.zeros(self.n, "u1")
        if self.held:
            known[self.earlier()] = 1
        known[at] = present
        self.mask = create_column(self.parent, self.name + MASK, self.n, np.dtype("u1"))
        self.mask[:] = known

    def variant(self, node: Node) -> tuple[int, Node]:
        """Which variant holds such values, a new one if none does, and the values in its form."""
        for number, held in enumerate(self.held, 1):
            fitting = held.fitted(node)
            if fitting is not None:
                return number, fitting
        for number, held in enumerate(self.held, 1):
            if isinstance(held, LeafHeld) and held.can_be_ragged_with(node):
                self.held[number - 1] = held.as_ragged()
                return self.variant(node)
        has_dicts = any(held.signature[:2] == ("record", "dict") for held in self.held)
        if has_dicts and isinstance(node, Record) and node.type == "dict":
            # Keys that vary between runs are kept as lists, not as ever more columns.
            return self.variant(as_mapping(decode(whole_column(node))))
        if sum(is_alike(held.signature, node) for held in self.held) >= MOST_ALIKE:
            looser = loosened(node)
            if looser is not None:
                return self.variant(looser)
        return self.add(node), node

    def add(self, node: Node) -> int:
        """Make a variant for such values."""
        if len(self.held) == _MOST_VARIANTS:
            msg = f"{self.name}: more than {_MOST_VARIANTS} types and shapes under one name"
            raise SimkitError(msg)
        number = len(self.held) + 1
        if number == 1:
            self.held.append(created(self.inner(1), self.parent, self.name, self.n, node))
            return 1
        if number == 2:
            self.split()
        self.held.append(created(self.inner(number), self.parent[self.name], str(number), self.n, node))
        return number

    def split(self) -> None:
        """Make room for a second variant: what stands here moves into a group, as the first."""
        if self.mask is None:
            self.make_mask(np.empty(0, np.int64), np.empty(0, bool))
        aside = f"{self.name}.moving"
        self.parent.move(self.name, aside)
        group = self.parent.create_group(self.name, track_order=True)
        group.attrs["layout"] = "variants"
        group.attrs.update(description(self.parent[aside]))
        self.parent.move(aside, f"{self.name}/1")
        self.held[0].moved(group, "1")

    def grow(self, n: int) -> None:
        """Have ``n`` rows from now on."""
        self.n = n
        if self.mask is not None:
            self.mask.id.set_extent((n,))
        for held in self.held:
            held.grow(n)


def write_constant(root: h5py.Group, name: str, value: Any, note: Note, origin: str) -> None:
    """Write a parameter's one value, unless it is there: a dataset without a row axis where it fits in one.

    What only an ``@after`` asked for so far is replaced: it says nothing of any run.
    """
    parent, key = home(root, place("parameters", name))
    if key in parent:
        if AFTER not in parent[key].attrs:
            return
        del parent[key]
    thing = write_single(parent, key, encode([value]))
    annotate(thing, note, origin)


def write_single(parent: h5py.Group, key: str, column: Column) -> Any:
    """Write a column of one row as what does not vary; the dataset or group that holds it."""
    node = column.whole
    if isinstance(node, Leaf):
        dtype, logical = stored_dtype(node)
        rows = node.rows if isinstance(node.rows, np.ndarray) else np.array(node.rows)
        thing = parent.create_dataset(key, data=to_stored(rows)[0], dtype=dtype)
        thing.attrs["codec"] = node.type
        if logical:
            thing.attrs["dtype"] = logical
    else:
        Sink(parent, key, 1, lambda: np.zeros(1, bool)).write(np.arange(1), column)
        thing = parent[key]
    thing.attrs["constant"] = True
    return thing


def annotate(thing: Any, note: Note, origin: str, *, explored: bool = False) -> None:
    """Comment, unit and origin, where there are any."""
    facts = {"comment": note.comment, "unit": note.unit, "origin": origin}
    thing.attrs.update({key: text for key, text in facts.items() if text})
    if explored:
        thing.attrs["explored"] = True
