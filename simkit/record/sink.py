"""Write one name's rows, whatever types and shapes turn up."""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np

from simkit.declare.axes import Array, Index
from simkit.errors import SimkitError
from simkit.record.layout import MASK, create_column, put
from simkit.record.leaves import LeafHeld
from simkit.record.nodes import Held, created, found
from simkit.values.columns import Column, Node, Record, whole_column
from simkit.values.decode import decode
from simkit.values.encode import MOST_ALIKE, as_mapping
from simkit.values.loosen import is_alike, loosened

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
            Which rows count as absent where the column lacks them; the others are of no interest.
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
        if column.whole is not None:
            return
        present = column.present()
        lacking = ~present if required is None else ~present & required
        if self.mask is not None:
            put(self.mask, at[lacking], np.zeros(int(lacking.sum()), "u1"))
        elif lacking.any():
            self.make_mask(at, present)

    def absent(self, at: Index, required: Array) -> None:
        """Rows that have no value under this name."""
        if self.mask is not None:
            put(self.mask, at[required], np.zeros(int(required.sum()), "u1"))
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
        for key in ("comment", "unit", "origin", "explored"):
            if key in self.parent[aside].attrs:
                group.attrs[key] = self.parent[aside].attrs[key]
        self.parent.move(aside, f"{self.name}/1")
        self.held[0].moved(group, "1")

    def grow(self, n: int) -> None:
        """Have ``n`` rows from now on."""
        self.n = n
        if self.mask is not None:
            self.mask.resize(n, 0)
        for held in self.held:
            held.grow(n)
