"""Read one name's rows back as a column."""

from __future__ import annotations

import json
from typing import Any

import h5py
import numpy as np

from simkit.declare.axes import Array, Index
from simkit.record.layout import MASK, is_text, read_rows
from simkit.values.columns import Column, Items, Leaf, Node, Nothing, Ragged, Record, whole_column
from simkit.values.take import take, take_node


def read(parent: h5py.Group, name: str, rows: slice, there: Array | None = None) -> Column:
    """The column of a name.

    Parameters
    ----------
    rows
        Consecutive rows, ``slice(start, stop)``.
    there
        Which of them are present if no mask tells; None means all.
    """
    thing = parent[name]
    n = rows.stop - rows.start
    mask = parent.get(name + MASK)
    kinds = there if mask is None else mask[rows]
    if thing.attrs.get("layout") != "variants":
        if kinds is None or kinds.all():
            return Column(n, ((None, read_node(thing, rows)),))
        at = np.flatnonzero(kinds)
        return Column(n, ((at, _some(thing, rows, at)),)) if len(at) else Column(n, ())
    found = [(np.flatnonzero(kinds == number), number) for number in range(1, len(thing) + 1)]
    return Column(n, tuple((at, _some(thing[str(number)], rows, at)) for at, number in found if len(at)))


def _some(thing: Any, rows: slice, at: Index) -> Node:
    """The rows at these positions, without reading what lies outside of them."""
    first, stop = rows.start + int(at[0]), rows.start + int(at[-1]) + 1
    node = read_node(thing, slice(first, stop))
    return node if stop - first == len(at) else take_node(node, at - at[0])


def read_constant(thing: Any) -> Column:
    """A constant: its one row."""
    if not isinstance(thing, h5py.Dataset):
        return whole_column(read_node(thing, slice(0, 1)))
    value = read_rows(thing, ())
    codec = thing.attrs["codec"]
    if isinstance(value, str):
        return whole_column(Leaf(codec, [value]))
    return whole_column(Leaf(codec, np.asarray(value)[None]))


def read_node(thing: Any, rows: slice) -> Node:
    """Consecutive rows of one variant, whether they were written or not."""
    codec = thing.attrs["codec"]
    if isinstance(thing, h5py.Dataset):
        values = read_rows(thing, rows)
        text = is_text(thing) and "dtype" not in thing.attrs
        return Leaf(codec, values.tolist() if text else values)
    layout = thing.attrs["layout"]
    if layout == "ragged":
        return _ragged(thing, codec, rows)
    if layout == "items":
        return _items(thing, codec, rows)
    if layout == "record":
        names = json.loads(thing.attrs["fields"])
        fields = {name: read(thing, name, rows) for name in names}
        return Record(codec, fields, thing.attrs.get("attributes", "{}"))
    return Nothing(rows.stop - rows.start)


def _ragged(group: h5py.Group, codec: str, rows: slice) -> Ragged:
    bounds = group["rows"][rows]
    values = _pieces(group["values"], bounds)
    shapes = group["shapes"][rows] if "shapes" in group else bounds[:, 1:] - bounds[:, :1]
    return Ragged(codec, values, shapes)


def _pieces(dataset: h5py.Dataset, bounds: Index) -> Array:
    """The pieces between these bounds, end to end; one read where they lie so, or nearly so."""
    sizes = bounds[:, 1] - bounds[:, 0]
    used = bounds[sizes > 0]
    if not len(used):
        return np.asarray(read_rows(dataset, slice(0, 0)))
    first, stop = int(used[:, 0].min()), int(used[:, 1].max())
    if stop - first > 4 * int(sizes.sum()) + 65_536:
        return _joined([read_rows(dataset, slice(*pair)) for pair in used.tolist()])
    block = read_rows(dataset, slice(first, stop))
    if stop - first == sizes.sum() and (np.diff(used[:, 0]) > 0).all():
        return np.asarray(block)
    return _joined([block[start - first : end - first] for start, end in used.tolist()])


def _joined(pieces: list[Array]) -> Array:
    """Pieces end to end in their own byte order, which NumPy would make this machine's."""
    return np.concatenate(pieces, dtype=pieces[0].dtype)


def _items(group: h5py.Group, codec: str, rows: slice) -> Items:
    bounds = group["rows"][rows]
    counts = bounds[:, 1] - bounds[:, 0]
    used = bounds[counts > 0]
    if not len(used):
        return Items(codec, counts, Column(0, ()))
    first, stop = int(used[:, 0].min()), int(used[:, 1].max())
    items = read(group, "items", slice(first, stop))
    if stop - first == counts.sum() and (np.diff(used[:, 0]) > 0).all():
        return Items(codec, counts, items)
    wanted = np.concatenate([np.arange(start, end) for start, end in used.tolist()]) - first
    return Items(codec, counts, take(items, wanted))
