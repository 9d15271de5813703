"""How values lie in HDF5: names, attributes, types, chunks.

A name's place holds its dataset directly while all rows share one type and shape. Otherwise it is a
group whose ``layout`` attribute says what stands in it:

``ragged``    ``values`` (flat), ``rows`` [n, 2] (start, stop), and ``shapes`` [n, ndim] unless ndim is 1
``items``     ``rows`` [n, 2] and the column ``items``
``record``    a column per field, in the order of the attribute ``fields``; what its codec knows of all rows
              stands in the attribute ``attributes`` as JSON (empty: each row has its own)
``none``      nothing
``variants``  the columns ``1``, ``2`` …; the mask tells which of them holds a row

A mask stands beside its column ``z`` as ``z.present`` [n]: 0 where the row is absent, else the variant.
No name of a user's can be that, since dots lead into groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from simkit.declare.axes import Array
from simkit.values.columns import Leaf
from simkit.values.packed import LEVEL
from simkit.values.plain import BIG

FORMAT = 1
READABLE = (1,)  # formats of older files that can still be read
MASK = ".present"
PART_OF = "part_of"
TEXT = h5py.string_dtype()
_CHUNK_BYTES = 65_536
_FILTERS = {"shuffle": True, "compression": "gzip", "compression_opts": LEVEL}
SKIP_FILTERS = 0b11  # the mask of a chunk that went through neither of them


def place(section: str, name: str) -> str:
    """Where a dotted name stands below the experiment's group."""
    return f"{section}/{name.replace('.', '/')}"


def home(root: h5py.Group, path: str) -> tuple[h5py.Group, str]:
    """The group that holds a path's last part, made where it is missing, and that part."""
    *groups, name = path.split("/")
    for part in groups:
        child = root.get(part)
        root = root.create_group(part, track_order=True) if child is None else child
    return root, name


def is_column(thing: Any) -> bool:
    """Whether a dataset or group is one name's values, rather than a group of names."""
    return isinstance(thing, h5py.Dataset) or "layout" in thing.attrs


def names_in(group: h5py.Group, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted names below a group, in order, with what holds their values."""
    for key, thing in group.items():
        if key.endswith(MASK):
            continue
        if is_column(thing):
            yield prefix + key, thing
        else:
            yield from names_in(thing, f"{prefix}{key}.")


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
