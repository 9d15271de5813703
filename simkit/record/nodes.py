"""Rows of one type at one place of the file: values that hold other values are columns again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import h5py
import numpy as np

from simkit.declare.axes import Array, Index
from simkit.record.layout import create_column, put
from simkit.record.leaves import LeafHeld, RaggedHeld, bounds, layout_group
from simkit.values.codecs import is_simkits
from simkit.values.columns import Column, Items, Leaf, Node, Nothing, Ragged, Record, record_signature


class Part(Protocol):
    """The column of a part: a sink again."""

    n: int
    earlier: Callable[[], Array]

    def write(self, at: Index, column: Column, required: Array | None = None) -> None:
        """Write rows."""

    def grow(self, n: int) -> None:
        """Have ``n`` rows from now on."""


MakePart = Callable[[h5py.Group, str], Part]


class Held(Protocol):
    """What a variant is to its sink."""

    signature: tuple[Any, ...]

    def fitted(self, node: Node) -> Node | None:
        """The values in the form that is written here, or None where they do not fit."""

    def write(self, rows: Index, node: Any) -> None:
        """Write fitted values at ascending rows."""

    def grow(self, n: int) -> None:
        """Have ``n`` rows from now on."""

    def moved(self, parent: h5py.Group, name: str) -> None:
        """The place has another name now."""


def created(part: MakePart, parent: h5py.Group, name: str, n: int, node: Node) -> Held:
    """A new place for such values."""
    match node:
        case Leaf():
            return LeafHeld.create(parent, name, n, node)
        case Ragged():
            return RaggedHeld.create(parent, name, n, node)
        case Items():
            group = layout_group(parent, name, "items", node.type)
            create_column(group, "rows", n, np.dtype("i8"), (2,))
            return ItemsHeld(part, group)
        case Record():
            group = layout_group(parent, name, "record", node.type)
            group.attrs["fields"] = json.dumps(list(node.fields))
            if node.attributes != "{}":
                group.attrs["attributes"] = node.attributes
            group.attrs.update(node.hints)
            if not is_simkits(node.type):
                _tell_codec(group, node.type)
            return RecordHeld(part, group)
        case Nothing():
            return NothingHeld(layout_group(parent, name, "none", "none"))


def _tell_codec(group: h5py.Group, codec: str) -> None:
    """List a user's codec at the experiment, where whoever opens the file looks for it."""
    root = group.file[group.name.split("/")[1]]
    known = json.loads(root.attrs.get("codecs", "[]"))
    root.attrs["codecs"] = json.dumps(sorted({*known, codec}))


def found(part: MakePart, parent: h5py.Group, name: str) -> Held:
    """The place that is there already."""
    there = parent[name]
    if isinstance(there, h5py.Dataset):
        return LeafHeld(parent, name, there, fresh=False)
    kinds: Mapping[str, Callable[[], Held]] = {
        "ragged": lambda: RaggedHeld(there),
        "items": lambda: ItemsHeld(part, there),
        "record": lambda: RecordHeld(part, there),
        "none": lambda: NothingHeld(there),
    }
    return kinds[there.attrs["layout"]]()


class ItemsHeld:
    """Lists of anything: one column of all the items."""

    def __init__(self, part: MakePart, group: h5py.Group) -> None:
        self.group, self.rows = group, group["rows"]
        self.signature = ("items", group.attrs["codec"])
        self.length = int(group.attrs.get("length", 0))
        self.items = part(group, "items")
        self.items.earlier = lambda: np.arange(self.items.n) < self.length
        self.items.n = self.length

    def fitted(self, node: Node) -> Node | None:
        return node if node.signature == self.signature else None

    def write(self, rows: Index, node: Items) -> None:
        start, stop = self.length, self.length + node.items.n
        put(self.rows, rows, bounds(start, node.counts))
        self.items.grow(stop)
        self.items.write(np.arange(start, stop), node.items)
        self.length = stop
        self.group.attrs["length"] = stop

    def grow(self, n: int) -> None:
        self.rows.resize(n, 0)

    def moved(self, parent: h5py.Group, name: str) -> None:
        """Nothing here knows its name."""


class RecordHeld:
    """Named parts, a column each."""

    def __init__(self, part: MakePart, group: h5py.Group) -> None:
        self.names = json.loads(group.attrs["fields"])
        told = group.attrs.get("attributes", "{}")
        self.signature = record_signature(group.attrs["codec"], self.names, told)
        self.parts = {name: part(group, name) for name in self.names}

    def fitted(self, node: Node) -> Node | None:
        return node if node.signature == self.signature else None

    def write(self, rows: Index, node: Record) -> None:
        for name, sink in self.parts.items():
            sink.write(rows, node.fields[name])

    def grow(self, n: int) -> None:
        for sink in self.parts.values():
            sink.grow(n)

    def moved(self, parent: h5py.Group, name: str) -> None:
        """Nothing here knows its name."""


class NothingHeld:
    """``None``: that it is there says it all."""

    def __init__(self, group: h5py.Group) -> None:
        self.group, self.signature = group, ("nothing",)

    def fitted(self, node: Node) -> Node | None:
        return node if isinstance(node, Nothing) else None

    def write(self, rows: Index, node: Nothing) -> None:
        """Nothing is written: the mask or the status tells that the row is there."""

    def grow(self, n: int) -> None:
        """Nothing grows."""

    def moved(self, parent: h5py.Group, name: str) -> None:
        """Nothing here knows its name."""
