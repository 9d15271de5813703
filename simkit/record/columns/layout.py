"""How values lie in HDF5, and how they are read back."""

from __future__ import annotations

import json
from typing import Any

import h5py
import numpy as np

from simkit.declare.forms import Array, Index
from simkit.record.format import MASK
from simkit.values.columns import Column, Items, Leaf, Node, Nothing, Ragged, Record, whole_column
from simkit.values.compress import LEVEL
from simkit.values.encode import BIG

TEXT = h5py.string_dtype()
_CHUNK_BYTES = 65_536
_FILTERS = {"shuffle": True, "compression": "gzip", "compression_opts": LEVEL}
SKIP_FILTERS = 0b11  # the mask of a chunk that went through neither of them


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


def read_rows(dataset: h5py.Dataset, selection: Any) -> Any:
    """Elements as they were: text as ``str`` objects, times and fixed-width text in their own types."""
    logical = dataset.attrs.get("dtype", "")
    if is_text(dataset):
        rows = dataset.asstr()[selection]
        return np.asarray(rows, logical) if logical else rows
    rows = dataset[selection]
    if not logical:
        return rows
    order = np.dtype(logical).byteorder
    return np.asarray(rows).astype(np.dtype("i8").newbyteorder(order), copy=False).view(logical)


def create_column(
    parent: h5py.Group, name: str, n: int, dtype: Any, shape: tuple[int, ...] = (), logical: str = "",
    *, compress: bool = False,
) -> h5py.Dataset:  # fmt: skip
    """A dataset with ``n`` rows of this shape, able to grow.

    Chunks are 64 KiB, or one run if that is more; one run each where they come compressed.
    """
    size = (16 if dtype is TEXT else np.dtype(dtype).itemsize) * int(np.prod(shape, dtype=np.int64))
    rows = 1 if size >= BIG or compress else max(1, min(max(n, 64), 8192, _CHUNK_BYTES // max(1, size)))
    chunk = tuple(max(1, extent) for extent in shape)
    return parent.create_dataset(
        name, (n, *shape), dtype, maxshape=(None, *(extent or None for extent in shape)),
        chunks=(rows, *chunk), fillvalue=_fill_value(dtype, logical), **(_FILTERS if compress else {}),
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


def put(dataset: h5py.Dataset, rows: Any, values: Any) -> None:
    """Write values at ascending row numbers: in one go, however many gaps there are."""
    if not len(rows):
        return
    first, stop = int(rows[0]), int(rows[-1]) + 1
    if stop - first == len(rows):
        if isinstance(values, np.ndarray) and _is_plain(dataset.dtype, values.dtype):
            _put_block(dataset, first, values)
        else:
            dataset[first:stop] = values
        return
    text, dtype = is_text(dataset), dataset.dtype
    block = dataset.asstr()[first:stop] if text else dataset[first:stop]
    block[np.asarray(rows) - first] = values
    dataset[first:stop] = block.astype(object if text else dtype)


def _is_plain(stored: np.dtype[Any], given: np.dtype[Any]) -> bool:
    """Whether elements are written as they are: numbers of one type, and no words for some of them."""
    return stored == given and given.kind in "iufcb" and stored.metadata is None


def _put_block(dataset: h5py.Dataset, first: int, values: Array) -> None:
    """``dataset[first : first + n] = values``, past h5py's selections, which cost more than the writing."""
    space = dataset.id.get_space()
    space.select_hyperslab((first, *(0,) * (values.ndim - 1)), values.shape)
    dataset.id.write(h5py.h5s.create_simple(values.shape), space, np.ascontiguousarray(values))


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
    return node if stop - first == len(at) else node.take(at - at[0])


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
    return Items(codec, counts, items.take(wanted))
