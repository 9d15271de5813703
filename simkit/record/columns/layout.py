"""How do values of any type lie in datasets and groups, and how are they read back?"""

from __future__ import annotations

import json
from typing import Any

import h5py
import numpy as np

from simkit.declare.forms import Array, Index
from simkit.errors import Damaged
from simkit.record.columns.rows import GAP_BYTES, Rows, is_text, joined, read_rows, row_bytes
from simkit.record.file.view import LoggedView
from simkit.record.format import MASK
from simkit.record.inspection import (
    MOST_ROWS,
    check_pieces,
)
from simkit.values.columns import (
    Column,
    Items,
    Leaf,
    Node,
    Nothing,
    Ragged,
    Record,
    whole_column,
)
from simkit.values.compress import Packed, compressed_node
from simkit.values.registry import Missing, codec_named

SKIP_FILTERS = 0b11  # the mask of a chunk that went through neither of them


def read(
    parent: h5py.Group, name: str, rows: Rows, there: Array | None = None, *, packed: bool = False,
    octets: LoggedView | None = None,
) -> Column:  # fmt: skip
    """The column of a name.

    Parameters
    ----------
    rows
        Consecutive rows, ``slice(start, stop)``, or their numbers in any order.
    there
        Which of them are present if no mask tells; None means all.
    packed
        Leave compressed arrays as they are stored, as `Packed`.
    octets
        As for `read_rows`.
    """
    node = parent[name]
    n = len(rows) if isinstance(rows, np.ndarray) else rows.stop - rows.start
    mask = parent.get(name + MASK)
    kinds = there if mask is None else read_rows(mask, rows)
    if node.attrs.get("layout") != "variants":
        if kinds is None or kinds.all():
            return Column(n, ((None, read_node(node, rows, packed=packed, octets=octets)),))
        variants = [(np.flatnonzero(kinds), node)]
    else:
        if mask is None:
            raise Damaged(f"{name} is damaged: nothing tells of which of {len(node)} types a row is")
        numbers = np.unique(np.asarray(kinds)).tolist()  # of these rows: there may be many more
        if numbers and numbers[-1] > len(node):
            raise Damaged(f"{name} is damaged: a row is of type {numbers[-1]} of {len(node)}")
        variants = [(np.flatnonzero(kinds == number), node[str(number)]) for number in numbers if number]
    nodes = (
        (at, read_node(part, _chosen(rows, at), packed=packed, octets=octets))
        for at, part in variants
        if len(at)
    )
    return Column(n, tuple(nodes))


def _chosen(rows: Rows, at: Index) -> Rows:
    """The rows at these ascending positions, consecutive ones as a slice."""
    if isinstance(rows, np.ndarray):
        return rows[at]
    first, stop = rows.start + int(at[0]), rows.start + int(at[-1]) + 1
    return slice(first, stop) if stop - first == len(at) else rows.start + at


def read_constant(thing: Any) -> Column:
    """A constant: its one row."""
    if not isinstance(thing, h5py.Dataset):
        return whole_column(read_node(thing, slice(0, 1)))
    value = read_rows(thing, ())
    codec = thing.attrs["codec"]
    if isinstance(value, str):
        return whole_column(Leaf(codec, [value]))
    return whole_column(Leaf(codec, np.asarray(value)[None]))


def read_node(node: Any, rows: Rows, *, packed: bool = False, octets: LoggedView | None = None) -> Node:
    """Rows of one variant, whether they were written or not."""
    codec = node.attrs["codec"]
    if isinstance(node, h5py.Dataset):
        if packed and is_chunk_each(node):
            return Leaf(codec, _chunks(node, rows))
        values = read_rows(node, rows, octets)
        text = is_text(node) and "dtype" not in node.attrs
        leaf = Leaf(codec, values.tolist() if text else values)
        return compressed_node(leaf) if packed and node.compression is not None else leaf
    layout = node.attrs["layout"]
    if layout == "ragged":
        return _ragged(node, codec, rows)
    if layout == "items":
        return _items(node, codec, rows, packed=packed)
    if layout == "record":
        names = json.loads(node.attrs["fields"])
        fields = {name: read(node, name, rows, packed=packed) for name in names}
        return Record(codec, fields, node.attrs.get("attributes", "{}"))
    return Nothing(len(rows) if isinstance(rows, np.ndarray) else rows.stop - rows.start)


def is_chunk_each(dataset: h5py.Dataset) -> bool:
    """Whether each row is one chunk with the filters that are used here or none: then its bytes can be handed on."""
    plan = dataset.id.get_create_plist()
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    whole = dataset.ndim > 1 and dataset.chunks == (1, *dataset.shape[1:]) and not is_text(dataset)
    return whole and filters in ([], [h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE])


def _chunks(dataset: h5py.Dataset, rows: Rows) -> list[Any]:
    """Each row as it is stored: an array, or what came of compressing it; a row never written is read."""
    dtype, shape = np.dtype(dataset.attrs.get("dtype") or dataset.dtype), dataset.shape[1:]
    corner, filtered = (0,) * len(shape), dataset.compression is not None
    chunks: list[Any] = []
    for row in rows.tolist() if isinstance(rows, np.ndarray) else range(rows.start, rows.stop):
        try:
            mask, octets = dataset.id.read_direct_chunk((row, *corner))
        except (OSError, RuntimeError):  # it was never written
            chunks.append(read_rows(dataset, slice(row, row + 1))[0])
            continue
        data = np.frombuffer(octets, "u1")
        if filtered and mask in (0, SKIP_FILTERS):
            chunks.append(Packed(data, dtype, shape, raw=mask == SKIP_FILTERS))
        else:
            chunks.append(
                read_rows(dataset, slice(row, row + 1))[0] if filtered else data.view(dtype).reshape(shape)
            )
    return chunks


def _ragged(group: h5py.Group, codec: str, rows: Rows) -> Ragged:
    flat = group["values"]
    bounds = _bounds(group, rows, len(flat), row_bytes(flat))
    shapes = read_rows(group["shapes"], rows) if "shapes" in group else bounds[:, 1:] - bounds[:, :1]
    return Ragged(codec, _pieces(flat, bounds), shapes, compress=flat.compression is not None)


def _bounds(group: h5py.Group, rows: Rows, length: int, size: int) -> Array:
    """Where each row's piece starts and stops among so many elements of this size; a row may be chosen twice."""
    bounds: Array = read_rows(group["rows"], rows)
    each = bounds[np.unique(rows, return_index=True)[1]] if isinstance(rows, np.ndarray) else bounds
    check_pieces(group.name, each, length, size)
    return bounds


def _pieces(dataset: h5py.Dataset, bounds: Index) -> Array:
    """The pieces between these bounds, end to end; few reads where they lie near each other."""
    used = bounds[bounds[:, 1] > bounds[:, 0]]
    if not len(used):
        return np.asarray(read_rows(dataset, slice(0, 0)))
    order = np.argsort(used[:, 0], kind="stable")
    starts, stops = used[order, 0], used[order, 1]
    far = starts[1:] - np.maximum.accumulate(stops)[:-1] > max(1, GAP_BYTES // row_bytes(dataset))
    pieces: list[Any] = [None] * len(used)
    for part in np.split(order, np.flatnonzero(far) + 1):
        first, stop = int(used[part, 0].min()), int(used[part, 1].max())
        block = read_rows(dataset, slice(first, stop))
        if len(part) == len(used) and (np.diff(part) == 1).all() and stop - first == (stops - starts).sum():
            return np.asarray(block)
        for i in part.tolist():
            pieces[i] = block[used[i, 0] - first : used[i, 1] - first]
    return joined(pieces)


def _items(group: h5py.Group, codec: str, rows: Rows, *, packed: bool) -> Items:
    mask = group.get(f"items{MASK}")  # items of many types need not all be looked at
    length = len(mask) if mask is not None else _length(group["items"]) if "items" in group else 0
    bounds = _bounds(group, rows, length, 8)
    counts = bounds[:, 1] - bounds[:, 0]
    used = bounds[counts > 0]
    if not len(used):
        return Items(codec, counts, Column(0, ()))
    wanted: Rows = slice(int(used[0, 0]), int(used[-1, 1]))
    if (used[1:, 0] != used[:-1, 1]).any():
        wanted = np.concatenate([np.arange(start, end) for start, end in used.tolist()])
    return Items(codec, counts, read(group, "items", wanted, packed=packed))


def _length(node: Any) -> int:
    """How many rows a name's dataset or group has, or could have where nothing is recorded of each."""
    if isinstance(node, h5py.Dataset):
        return len(node)
    return len(node["rows"]) if "rows" in node else max(map(_length, node.values()), default=MOST_ROWS)


def is_scalar(node: Any) -> bool:
    """Whether each row of a name's dataset or group is a number or a text."""
    if node.attrs.get("layout") == "variants":
        return all(is_scalar(part) or part.attrs.get("layout") == "none" for part in node.values())
    return isinstance(node, h5py.Dataset) and node.ndim == 1


def is_value(node: Any) -> bool:
    """Whether each row is one value that is handled as a whole: a number, text, tuple, time, path …"""
    layout = node.attrs.get("layout")
    if layout == "variants":
        return all(map(is_value, node.values()))
    codec = str(node.attrs.get("codec", ""))
    if is_scalar(node) or layout == "none" or codec in ("tuple", "bytes"):
        return True
    try:
        return layout == "record" and codec != "pandas.Index" and not codec_named(codec).mutable
    except Missing:
        return False


def mean_bytes(node: Any, n: int) -> int:
    """About how many bytes one of a name's ``n`` rows takes."""
    if not isinstance(node, h5py.Dataset):
        return sum(mean_bytes(part, n) for part in node.values())
    return int(node.size * (50 if is_text(node) else node.dtype.itemsize) // max(1, n))


def kind(node: Any) -> str:
    """The type of a name's values in a few words: ``float``, ``float64 (3, 4)``, ``ragged int64``."""
    layout = node.attrs.get("layout")
    if layout == "variants":
        return " or ".join(dict.fromkeys(kind(part) for part in node.values()))
    codec = str(node.attrs.get("codec", ""))
    if layout == "record":  # by its own class where that says more
        word = node.attrs.get("monitor") or str(node.attrs.get("class", "")).rpartition(".")[2]
        return str(word or codec)
    if layout == "ragged" and codec in ("array", "list", "tuple"):
        return f"ragged {node['values'].dtype}" + (f" ({codec}s)" if codec != "array" else "")
    if layout is not None or codec not in ("array", "scalar", "list", "tuple"):
        return codec
    dtype = str(np.dtype(node.attrs["dtype"]) if "dtype" in node.attrs else node.dtype)
    return f"{dtype} {node.shape[1:]}" if node.ndim > 1 else dtype
