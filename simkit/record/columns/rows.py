"""How are the rows of one dataset written and read back?"""

from __future__ import annotations

import itertools
import math
import os
from functools import lru_cache
from typing import Any, TypeAlias

import h5py
import numpy as np

from simkit.declare.forms import Array, Index
from simkit.errors import Damaged
from simkit.record.file.view import LoggedView
from simkit.record.inspection import Texts, check_amount, check_physical, is_inflated_here
from simkit.values.columns import Leaf
from simkit.values.compress import LEVEL, inflated, unshuffled
from simkit.values.encode import BIG

Rows: TypeAlias = slice | Index  # consecutive rows, or row numbers in any order
TEXT = h5py.string_dtype()
BLOCK_BYTES = 8 << 20  # read or written at once
GAP_BYTES = 65_536  # reading across a smaller gap is quicker than another call
_CHUNK_BYTES = 65_536
_FILTERS = {"shuffle": True, "compression": "gzip", "compression_opts": LEVEL}
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


def row_bytes(dataset: h5py.Dataset) -> int:
    """How many bytes one row of a dataset takes, filters left aside; 50 for each text."""
    size = 50 if is_text(dataset) else dataset.dtype.itemsize
    return max(1, int(size * np.prod(dataset.shape[1:], dtype=np.int64)))


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

    Raises
    ------
    ValueError
        For row numbers in another order: values would come to stand in other rows without a word.
    """
    if len(rows) > 1 and not (rows[1:] > rows[:-1]).all():
        raise ValueError(f"{dataset.name}: rows are written in ascending order, these are {rows[:9]} …")
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


def stretches(rows: Index, size: int) -> list[Index]:
    """Ascending row numbers in parts that are each worth one call: near each other, and no more than a block.

    Parameters
    ----------
    size
        Bytes of a row.
    """
    gap, block = max(1, GAP_BYTES // size), max(1, BLOCK_BYTES // size)
    if (
        len(rows)
        and (last := int(rows[-1])) - (first := int(rows[0])) <= gap
        and first // block == last // block
    ):
        return [rows]
    breaks = np.diff(rows) > gap
    breaks |= np.diff(rows // block) > 0
    return np.split(rows, np.flatnonzero(breaks) + 1)


def read_rows(dataset: h5py.Dataset, rows: Rows | tuple[()], octets: LoggedView | None = None) -> Any:
    """Elements as they were: text as ``str`` objects, times and fixed-width text in their own types.

    Parameters
    ----------
    octets
        The dataset's file, where nobody writes it: most of a column of numbers is read past HDF5 then.
    """
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
    elements: Any = None
    if isinstance(rows, np.ndarray):
        elements = _gathered(view, rows, row_bytes(dataset))
    elif octets is not None and isinstance(rows, slice) and view is dataset:
        elements = _most(dataset, octets, rows, count)
    elements = view[rows] if elements is None else elements
    if not logical:
        return elements
    if text:
        return np.asarray(elements, logical)
    order = np.dtype(logical).byteorder
    return np.asarray(elements).astype(np.dtype("i8").newbyteorder(order), copy=False).view(logical)


def _most(dataset: h5py.Dataset, octets: LoggedView, rows: slice, count: int) -> Array | None:
    """A column of numbers; None where it is no such column, or so few of its rows that HDF5 finds them sooner."""
    if 2 * count < len(dataset) or count * row_bytes(dataset) < BIG or dataset.dtype.kind not in "iufc":
        return None
    if rows.stop > len(dataset) or dataset.file.userblock_size:
        return None
    size = dataset.chunks[0] if dataset.chunks else 1
    # The last chunk goes by HDF5 unless it is full: what is damaged behind its last row is damaged.
    whole = min(rows.stop, len(dataset) // size * size) - rows.start
    if dataset.chunks is None or 2 * whole < count:
        return None
    array = np.empty((count, *dataset.shape[1:]), dataset.dtype)
    read_plain(dataset.id, octets, rows.start, array[:whole])
    if whole < count:
        array[whole:] = dataset[rows.start + whole : rows.stop]
    return array


def read_plain(dataset: h5py.h5d.DatasetID, octets: LoggedView, first: int, array: Array) -> None:
    """Fill an array with numbers from a row on, neighbouring chunks at once where they lie in the file as they are.

    HDF5 reads each chunk by itself, which takes several times as long. Where it has to do anything else, it does all.

    Parameters
    ----------
    octets
        The dataset's file, which has no user block.
    """
    pieces = _pieces(dataset, first, array)
    end, width = octets.seek(0, os.SEEK_END), array[:1].nbytes
    if pieces is None or any(at + (stop - start) * width > end for start, stop, at in pieces):
        space, type = dataset.get_space(), dataset.get_type()
        space.select_hyperslab((first, *(0,) * (array.ndim - 1)), array.shape)
        words = type if isinstance(type, h5py.h5t.TypeEnumID) else None
        dataset.read(h5py.h5s.create_simple(array.shape), space, array, words)
        return
    filled = array.view(np.uint8).reshape(-1).data
    for start, stop, at in pieces:
        octets.seek(at)
        octets.readinto(filled[(start - first) * width : (stop - first) * width])


def _pieces(dataset: h5py.h5d.DatasetID, first: int, array: Array) -> list[tuple[int, int, int]] | None:
    """Where neighbouring rows lie, as the first, the one behind the last and the byte; None if HDF5 has to look."""
    plan, last = dataset.get_create_plist(), first + len(array)
    if plan.get_layout() != h5py.h5d.CHUNKED or plan.get_nfilters():
        return None
    type = dataset.get_type()
    if isinstance(type, h5py.h5t.TypeEnumID):
        type = type.get_super()
    if type != _memory_type(array.dtype):  # numbers may stand in their bytes in other ways
        return None
    rows, *tail = plan.get_chunk()
    if tuple(tail) != array.shape[1:]:
        return None
    chunks: list[tuple[int, int]] = []
    dataset.chunk_iter(lambda about: chunks.append((about.chunk_offset[0], about.byte_offset)))
    width = array[:1].nbytes
    pieces: list[tuple[int, int, int]] = []
    for begin, address in sorted(chunks):
        start, stop = max(begin, first), min(begin + rows, last)
        if start >= stop:
            continue
        if start != (pieces[-1][1] if pieces else first):  # some were never written
            return None
        at = address + (start - begin) * width
        if pieces and at == pieces[-1][2] + (start - pieces[-1][0]) * width:
            pieces[-1] = (pieces[-1][0], stop, pieces[-1][2])
        else:
            pieces.append((start, stop, at))
    return pieces if pieces and pieces[-1][1] == last else None


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
    elements = joined(parts)
    return elements if ascending is rows else elements[np.searchsorted(ascending, rows)]


def joined(pieces: list[Array]) -> Array:
    """Pieces end to end in their own byte order, which NumPy would make this machine's."""
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, dtype=pieces[0].dtype)


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
