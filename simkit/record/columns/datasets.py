"""Rows of one type at one place of the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Protocol

import attrs
import h5py
import numpy as np

from simkit.declare.forms import Array, Index
from simkit.record.columns.layout import SKIP_FILTERS, is_chunk_each
from simkit.record.columns.rows import (
    append,
    create_column,
    create_flat,
    is_text,
    put,
    read_rows,
    stored_dtype,
    to_stored,
)
from simkit.values.columns import Column, Items, Leaf, Node, Nothing, Ragged, Record, record_signature
from simkit.values.compress import Packed
from simkit.values.encode import ragged
from simkit.values.registry import is_simkits

_REMEMBERED = 1024


def leaf_signature(dataset: h5py.Dataset) -> tuple[Any, ...]:
    """The signature of the leaf that a dataset holds."""
    dtype = dataset.attrs.get("dtype") or ("str" if is_text(dataset) else dataset.dtype.str)
    return ("leaf", dataset.attrs["codec"], dtype, dataset.shape[1:])


def _is_packed(rows: Any) -> bool:
    return isinstance(rows, list) and len(rows) > 0 and isinstance(rows[0], Packed)


class LeafHeld:
    """One dataset: scalars, strings or arrays of one shape."""

    def __init__(self, parent: h5py.Group, name: str, dataset: h5py.Dataset, *, fresh: bool) -> None:
        self.parent, self.name, self.dataset = parent, name, dataset
        self.signature = leaf_signature(dataset)
        self.written: list[Index] | None = [] if fresh else None  # while they are few

    @classmethod
    def create(cls, parent: h5py.Group, name: str, n: int, leaf: Leaf) -> LeafHeld:
        """A dataset for such values."""
        dtype, logical = stored_dtype(leaf)
        is_packed = _is_packed(leaf.rows)
        dataset = create_column(parent, name, n, dtype, leaf.shape, logical, compress=is_packed)
        dataset.attrs["codec"] = leaf.type
        if logical:
            dataset.attrs["dtype"] = logical
        return cls(parent, name, dataset, fresh=True)

    def fitted(self, node: Node) -> Node | None:
        return node if node.signature == self.signature else None

    def write(self, rows: Index, leaf: Leaf) -> None:
        self.remember(rows)
        if isinstance(leaf.rows, list) and self.is_chunk_each:
            self.write_chunks(rows, leaf.rows)
        elif _is_packed(leaf.rows):
            put(self.dataset, rows, to_stored(np.stack([np.asarray(row) for row in leaf.rows])))
        else:
            elements = to_stored(np.asarray(leaf.rows) if leaf.dtype != "str" else leaf.rows)
            put(self.dataset, rows, elements, self.stored)

    @cached_property
    def stored(self) -> np.dtype[Any]:
        """The dataset's type."""
        dtype: np.dtype[Any] = self.dataset.dtype
        return dtype

    @cached_property
    def is_chunk_each(self) -> bool:
        """Whether each row is a chunk that can be written past HDF5's filters; not in a file that was repacked."""
        return is_chunk_each(self.dataset)

    def write_chunks(self, rows: Index, arrays: list[Any]) -> None:
        """Each row is a chunk: hand its bytes over as they are."""
        corner = (0,) * (self.dataset.ndim - 1)
        write, filtered = self.dataset.id.write_direct_chunk, self.dataset.compression is not None
        for row, array in zip(rows.tolist(), arrays, strict=True):
            if isinstance(array, Packed) and (filtered or array.raw):
                write((row, *corner), array.data, SKIP_FILTERS if array.raw and filtered else 0)
            else:
                octets = np.ascontiguousarray(to_stored(np.asarray(array)))
                write((row, *corner), octets, SKIP_FILTERS if filtered else 0)

    def remember(self, rows: Index) -> None:
        """Keep which rows were written, while they are few enough to be moved."""
        if self.written is not None:
            self.written.append(rows)
            if sum(map(len, self.written)) > _REMEMBERED:
                self.written = None

    def can_be_ragged_with(self, node: Node) -> bool:
        """Whether these rows and the node's would stand in one ragged column, and can still move there."""
        if not isinstance(node, (Leaf, Ragged)) or self.written is None:
            return False
        _, codec, dtype, shape = self.signature
        ndim = node.shapes.shape[1] if isinstance(node, Ragged) else len(node.shape)
        return codec in ("array", "list", "tuple") and (codec, dtype, len(shape)) == (
            node.type,
            node.dtype,
            ndim,
        )

    def as_ragged(self) -> RaggedHeld:
        """Move the rows written so far into a ragged column at the same place."""
        rows = np.sort(np.concatenate(self.written)) if self.written else np.empty(0, np.int64)
        codec = self.signature[1]
        arrays = [read_rows(self.dataset, slice(row, row + 1))[0] for row in rows.tolist()]
        n, attributes = len(self.dataset), dict(self.dataset.attrs)
        compress = self.dataset.compression is not None
        del self.parent[self.name]
        moved = attrs.evolve(ragged(codec, arrays), compress=compress)
        held = RaggedHeld.create(self.parent, self.name, n, moved)
        held.group.attrs.update({k: v for k, v in attributes.items() if k not in ("codec", "dtype")})
        held.write(rows, moved)
        return held

    def grow(self, n: int) -> None:
        self.dataset.id.set_extent((n, *self.signature[3]))  # Dataset.resize costs ten times as much

    def moved(self, parent: h5py.Group, name: str) -> None:
        self.parent, self.name = parent, name


class RaggedHeld:
    """Flat values, and for each row where its part of them starts and stops."""

    def __init__(self, group: h5py.Group) -> None:
        self.group, self.values, self.rows = group, group["values"], group["rows"]
        self.shapes: h5py.Dataset | None = group.get("shapes")
        ndim = 1 if self.shapes is None else self.shapes.shape[1]
        dtype = self.values.attrs.get("dtype") or self.values.dtype.str
        self.signature = ("ragged", group.attrs["codec"], dtype, ndim)

    @classmethod
    def create(cls, parent: h5py.Group, name: str, n: int, node: Ragged) -> RaggedHeld:
        """A group for such values."""
        group = layout_group(parent, name, "ragged", node.type)
        dtype, logical = stored_dtype(Leaf("array", node.values))
        values = create_flat(group, "values", dtype, compress=node.compress)
        if logical:
            values.attrs["dtype"] = logical
        create_column(group, "rows", n, np.dtype("i8"), (2,))
        if node.shapes.shape[1] != 1:
            create_column(group, "shapes", n, np.dtype("i8"), (node.shapes.shape[1],))
        return cls(group)

    def fitted(self, node: Node) -> Node | None:
        if isinstance(node, Leaf) and node.type in ("array", "list", "tuple"):
            if ("ragged", node.type, node.dtype, len(node.shape)) != self.signature:
                return None
            return ragged(node.type, [np.asarray(row) for row in node.rows])
        return node if node.signature == self.signature else None

    def write(self, rows: Index, node: Ragged) -> None:
        put(
            self.rows,
            rows,
            bounds(append(self.values, to_stored(node.values)), np.prod(node.shapes, axis=1, dtype="i8")),
        )
        if self.shapes is not None:
            put(self.shapes, rows, node.shapes)

    def grow(self, n: int) -> None:
        for dataset in (self.rows, self.shapes):
            if dataset is not None:
                dataset.resize(n, 0)

    def moved(self, parent: h5py.Group, name: str) -> None:
        """Nothing here knows its name."""


def bounds(start: int, sizes: Array) -> Array:
    """Where pieces of these sizes start and stop, laid end to end."""
    stops = start + np.cumsum(sizes)
    return np.stack([stops - sizes, stops], axis=1)


def layout_group(parent: h5py.Group, name: str, layout: str, codec: str) -> h5py.Group:
    """A group in which values are laid out in some way."""
    group = parent.create_group(name, track_order=True)
    group.attrs.update({"layout": layout, "codec": codec})
    return group


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
