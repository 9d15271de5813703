"""How values lie in HDF5, and how they are read back."""

from __future__ import annotations

import itertools
import json
import math
from functools import lru_cache
from typing import Any, TypeAlias

import h5py
import numpy as np

from simkit.declare.forms import Array, Index
from simkit.errors import Damaged
from simkit.record.format import MASK
from simkit.record.inspection import (
    MOST_ROWS,
    Texts,
    check_amount,
    check_physical,
    check_pieces,
    is_inflated_here,
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
from simkit.values.compress import LEVEL, Packed, compressed_node, inflated, unshuffled
from simkit.values.encode import BIG
from simkit.values.registry import Missing, codec_named

Rows: TypeAlias = slice | Index  # consecutive rows, or row numbers in any order
TEXT = h5py.string_dtype()
BLOCK_BYTES = 8 << 20  # read or written at once
_GAP_BYTES = 65_536  # reading across a smaller gap is quicker than another call
_CHUNK_BYTES = 65_536
_FILTERS = {"shuffle": True, "compression": "gzip", "compression_opts": LEVEL}
SKIP_FILTERS = 0b11  # the mask of a chunk that went through neither of them
_memory_space = lru_cache(maxsize=64)(h5py.h5s.create_simple)  # to make one takes as long as a short write
_memory_type = lru_cache(maxsize=64)(h5py.h5t.py_create)


def stored_dtype(leaf: Leaf) -> tuple[Any, str]:
    """The HDF5 type of a leaf's elements, and the NumPy type they stand for where it differs."""
    if leaf.dtype == "str":
        return TEXT, ""
    dtype = np.dtype(leaf.dtype)
    if dtype.kind in "mM":
        return np.dtype("i8"), dtype.str
    return (TEXT, dtype.str) if dtype.kind == "U" else (dtype, "")


def to_stored(rows: Any) -> Any:
    """Elements as HDF5 keeps them."""
    if not isinstance(rows, np.ndarray):
        return np.array(rows, object)
    if rows.dtype.kind in "mM":
        return rows.view(np.dtype("i8").newbyteorder(rows.dtype.byteorder))
    return rows.astype(object) if rows.dtype.kind == "U" else rows


def is_text(dataset: h5py.Dataset) -> bool:
    """Whether a dataset holds text of any length; fixed-width bytes are NumPy's ``S``."""
    info = h5py.check_string_dtype(dataset.dtype)
    return info is not None and info.length is None


def read_rows(dataset: h5py.Dataset, rows: Rows | tuple[()]) -> Any:
    """Elements as they were: text as ``str`` objects, times and fixed-width text in their own types."""
    logical, text = dataset.attrs.get("dtype", ""), is_text(dataset)
    count = (
        len(rows)
        if isinstance(rows, np.ndarray)
        else rows.stop - rows.start
        if isinstance(rows, slice)
        else 1
    )
    check_physical(dataset)
    check_amount(dataset, count * row_bytes(dataset))
    view: Any = Texts(dataset) if text else Inflated(dataset) if _is_inflated_here(dataset) else dataset
    elements = _gathered(view, rows, row_bytes(dataset)) if isinstance(rows, np.ndarray) else view[rows]
    if not logical:
        return elements
    if text:
        return np.asarray(elements, logical)
    order = np.dtype(logical).byteorder
    return np.asarray(elements).astype(np.dtype("i8").newbyteorder(order), copy=False).view(logical)


def _is_inflated_here(dataset: h5py.Dataset) -> bool:
    plan = dataset.id.get_create_plist()
    return plan.get_nfilters() > 0 and is_inflated_here(dataset.id, plan)


class Inflated:
    """Rows of a dataset of which `is_inflated_here` holds, as the dataset itself gives them.

    Each compressed chunk is inflated here, and never to more than a chunk: HDF5 takes memory for all that a stream
    gives, a thousand times what is stored, whatever the chunk's size says.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self.dataset, self.chunk, self.dtype = dataset, dataset.chunks, dataset.dtype
        self.shuffles = dataset.id.get_create_plist().get_nfilters() > 1

    def __getitem__(self, rows: slice) -> Array:
        start, stop, _ = rows.indices(len(self.dataset))
        ends = [(start, max(start, stop)), *((0, extent) for extent in self.dataset.shape[1:])]
        elements = np.empty([high - low for low, high in ends], self.dtype)
        steps = zip(ends, self.chunk, strict=True)
        for corner in itertools.product(
            *(range(low // size * size, high, size) for (low, high), size in steps)
        ):
            there, here = [], []
            for at, size, (low, high) in zip(corner, self.chunk, ends, strict=True):
                first, last = max(at, low), min(at + size, high)
                there.append(slice(first - at, last - at))
                here.append(slice(first - low, last - low))
            elements[tuple(here)] = self._inflated(corner)[tuple(there)]
        return elements

    def _inflated(self, corner: tuple[int, ...]) -> Array:
        """A whole chunk; what lies beyond the dataset's end in it is anything."""
        try:
            mask, data = self.dataset.id.read_direct_chunk(corner)
        except (OSError, RuntimeError):  # never written: then HDF5 fills it; or damaged, which it says
            within = (slice(at, at + size) for at, size in zip(corner, self.chunk, strict=True))
            return np.asarray(self.dataset[tuple(within)])
        octets, width = np.frombuffer(data, "u1"), self.dtype.itemsize
        try:
            if not mask >> self.shuffles & 1:
                octets = inflated(octets, math.prod(self.chunk) * width)
            if self.shuffles and not mask & 1:
                octets = unshuffled(octets, width)
            elements: Array = octets.view(self.dtype).reshape(self.chunk)
            return elements
        except ValueError as error:
            msg = f"{self.dataset.name}: a compressed chunk is damaged, or was not made by simkit: {error}"
            raise Damaged(msg) from None


def row_bytes(dataset: h5py.Dataset) -> int:
    """How many bytes one row of a dataset takes, filters left aside; 50 for each text."""
    size = 50 if is_text(dataset) else dataset.dtype.itemsize
    return max(1, int(size * np.prod(dataset.shape[1:], dtype=np.int64)))


def stretches(rows: Index, size: int) -> list[Index]:
    """Ascending row numbers in parts that are each worth one call: near each other, and no more than a block.

    Parameters
    ----------
    size
        Bytes of a row.
    """
    gap, block = max(1, _GAP_BYTES // size), max(1, BLOCK_BYTES // size)
    if (
        len(rows)
        and (last := int(rows[-1])) - (first := int(rows[0])) <= gap
        and first // block == last // block
    ):
        return [rows]
    breaks = np.diff(rows) > gap
    breaks |= np.diff(rows // block) > 0
    return np.split(rows, np.flatnonzero(breaks) + 1)


def _gathered(view: Any, rows: Index, size: int) -> Array:
    """Rows of a dataset at any numbers in any order, without what lies far from them."""
    if not len(rows):
        return np.asarray(view[0:0])
    ascending = rows if (np.diff(rows) > 0).all() else np.unique(rows)
    parts = []
    for part in stretches(ascending, size):
        first, stop = int(part[0]), int(part[-1]) + 1
        block = view[first:stop]
        parts.append(block if stop - first == len(part) else block[part - first])
    elements = _joined(parts)
    return elements if ascending is rows else elements[np.searchsorted(ascending, rows)]


def create_column(
    parent: h5py.Group, name: str, n: int, dtype: Any, shape: tuple[int, ...] = (), logical: str = "",
    *, compress: bool = False, blank: int | None = None,
) -> h5py.Dataset:  # fmt: skip
    """A dataset with ``n`` rows of this shape, able to grow; unwritten rows read as ``blank``.

    Chunks are 64 KiB, or one run if that is more; one run each where they come compressed.
    """
    size = (16 if dtype is TEXT else np.dtype(dtype).itemsize) * int(np.prod(shape, dtype=np.int64))
    rows = 1 if size >= BIG or compress else max(1, min(max(n, 64), 8192, _CHUNK_BYTES // max(1, size)))
    chunk = tuple(max(1, extent) for extent in shape)
    return parent.create_dataset(
        name, (n, *shape), dtype, maxshape=(None, *(extent or None for extent in shape)),
        chunks=(rows, *chunk), fillvalue=_fill_value(dtype, logical) if blank is None else blank,
        **(_FILTERS if compress else {}),
    )  # fmt: skip


def _fill_value(dtype: Any, logical: str) -> Any:
    """What unwritten rows read as: NaN or NaT where there is one."""
    if logical and np.dtype(logical).kind in "mM":
        return np.iinfo("i8").min
    if dtype is TEXT or np.dtype(dtype).kind not in "fc":
        return None
    return np.array(np.nan, dtype)


def create_flat(parent: h5py.Group, name: str, dtype: Any, *, compress: bool = False) -> h5py.Dataset:
    """An empty dataset that is appended to."""
    rows = 64 if dtype is TEXT else 8192 if compress else 1024
    filters = _FILTERS if compress and dtype is not TEXT else {}
    return parent.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(rows,), **filters)


def append(dataset: h5py.Dataset, values: Any) -> int:
    """Add values at the end; returns where they start."""
    start = len(dataset)
    if len(values):
        dataset.resize(start + len(values), 0)
        dataset[start:] = values
    return start


def put(dataset: h5py.Dataset, rows: Index, values: Any, stored: np.dtype[Any] | None = None) -> None:
    """Write values at ascending row numbers: in few calls, however many gaps there are.

    Parameters
    ----------
    stored
        The dataset's type, from those who write often: h5py makes it anew for each who asks.
    """
    stored = dataset.dtype if stored is None else stored
    if isinstance(values, np.ndarray) and values.dtype == stored and stored.kind in "iufcb":
        _put_numbers(dataset, rows, values.view(stored))  # with the file's words for some of them
        return
    done, text = 0, is_text(dataset)
    for part in stretches(rows, row_bytes(dataset)) if len(rows) else ():
        first, stop = int(part[0]), int(part[-1]) + 1
        block = values[done : done + len(part)]
        if stop - first > len(part):
            whole = dataset.asstr()[first:stop] if text else dataset[first:stop]
            whole[part - first] = block
            block = whole.astype(object if text else stored)
        dataset[first:stop] = block
        done += len(part)


def _put_numbers(dataset: h5py.Dataset, rows: Index, values: Array) -> None:
    """The same past h5py's selections, which cost more than the writing."""
    done, plain = 0, None if values.dtype.metadata else _memory_type(values.dtype)
    for part in _stretches_of(rows, values):
        first, stop = int(part[0]), int(part[-1]) + 1
        block = values[done : done + len(part)]
        space, shape = dataset.id.get_space(), (stop - first, *values.shape[1:])
        memory = _memory_space(shape)
        space.select_hyperslab((first, *(0,) * (len(shape) - 1)), shape)
        if stop - first > len(part):
            whole = np.empty(shape, values.dtype)
            dataset.id.read(memory, space, whole, plain)
            whole[part - first], block = block, whole
        dataset.id.write(memory, space, np.ascontiguousarray(block), plain)
        done += len(part)


def _stretches_of(rows: Index, values: Array) -> list[Index]:
    if not len(rows) or int(rows[-1]) - int(rows[0]) < len(rows):
        return [rows] if len(rows) else []
    return stretches(rows, max(1, values.nbytes // len(rows)))


def read(
    parent: h5py.Group, name: str, rows: Rows, there: Array | None = None, *, packed: bool = False
) -> Column:
    """The column of a name.

    Parameters
    ----------
    rows
        Consecutive rows, ``slice(start, stop)``, or their numbers in any order.
    there
        Which of them are present if no mask tells; None means all.
    packed
        Leave compressed arrays as they are stored, as `Packed`.
    """
    node = parent[name]
    n = len(rows) if isinstance(rows, np.ndarray) else rows.stop - rows.start
    mask = parent.get(name + MASK)
    kinds = there if mask is None else read_rows(mask, rows)
    if node.attrs.get("layout") != "variants":
        if kinds is None or kinds.all():
            return Column(n, ((None, read_node(node, rows, packed=packed)),))
        variants = [(np.flatnonzero(kinds), node)]
    else:
        variants = [
            (np.flatnonzero(kinds == number), node[str(number)]) for number in range(1, len(node) + 1)
        ]
    return Column(
        n, tuple((at, read_node(part, _chosen(rows, at), packed=packed)) for at, part in variants if len(at))
    )


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


def read_node(node: Any, rows: Rows, *, packed: bool = False) -> Node:
    """Rows of one variant, whether they were written or not."""
    codec = node.attrs["codec"]
    if isinstance(node, h5py.Dataset):
        if packed and is_chunk_each(node):
            return Leaf(codec, _chunks(node, rows))
        values = read_rows(node, rows)
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
    far = starts[1:] - np.maximum.accumulate(stops)[:-1] > max(1, _GAP_BYTES // row_bytes(dataset))
    pieces: list[Any] = [None] * len(used)
    for part in np.split(order, np.flatnonzero(far) + 1):
        first, stop = int(used[part, 0].min()), int(used[part, 1].max())
        block = read_rows(dataset, slice(first, stop))
        if len(part) == len(used) and (np.diff(part) == 1).all() and stop - first == (stops - starts).sum():
            return np.asarray(block)
        for i in part.tolist():
            pieces[i] = block[used[i, 0] - first : used[i, 1] - first]
    return _joined(pieces)


def _joined(pieces: list[Array]) -> Array:
    """Pieces end to end in their own byte order, which NumPy would make this machine's."""
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, dtype=pieces[0].dtype)


def _items(group: h5py.Group, codec: str, rows: Rows, *, packed: bool) -> Items:
    bounds = _bounds(group, rows, _length(group["items"]) if "items" in group else 0, 8)
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
