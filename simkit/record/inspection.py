"""Does a file that anybody may have made lead elsewhere, or declare more than it holds?

HDF5 follows links, raw files and virtual datasets to any place that a file names, and takes the memory that a
shape asks for, whether anything was written or not; what a compressed chunk grows to it finds out by taking the
memory. What simkit records does neither.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from simkit.declare.forms import Index
from simkit.errors import Damaged, SimkitError, TooMuch, listed, shown_path
from simkit.record.format import MASK, SHARDS
from simkit.values.compress import inflated, unshuffled

PLENTY = 64 << 20  # bytes that may be asked for in any case
MOST_ROWS = 1_000_000  # that a small file may have, none of them written yet
_MOST_DEFLATED = 1100  # zeros are compressed to so small a part
_PLAIN = 10
_DEEPEST = 1000  # groups within groups
_SHUFFLE, _DEFLATE = h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE
_FILTERS = (_SHUFFLE, _DEFLATE, h5py.h5z.FILTER_FLETCHER32)  # each once at most
_INFLATED_HERE = ([_DEFLATE], [_SHUFFLE, _DEFLATE])
_STEP = 1 << 20
_TYPES = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.STRING)
_MOST_VIRTUAL = 1 << 30  # rows
_REFERENCE = np.dtype(
    [("bytes", "<u4"), ("place", "<u8"), ("number", "<u4")]
)  # how HDF5 keeps a text's place
_is_unasked: ContextVar[bool] = ContextVar("simkit_unasked", default=False)
_NO_FILES = ("", ".", "..")
_COLUMNS = (b"parameters", b"results", b"runs")
_IN_COLUMNS = (b"parameters/", b"results/")


def check_physical(dataset: h5py.Dataset) -> None:
    """Refuse to read through a virtual dataset: HDF5 looks for its sources in the file object that simkit reads by.

    Raises
    ------
    SimkitError
        For a virtual dataset.
    """
    if dataset.id.get_create_plist().get_layout() == h5py.h5d.VIRTUAL:
        raise SimkitError(f"{dataset.name} takes its data from other files: refused")


def check_links(file: h5py.File, path: Path) -> None:
    """Refuse links to other files; none is followed for that.

    Raises
    ------
    SimkitError
        With the link's place.
    """
    elsewhere: list[str] = []

    def look(name: bytes, about: h5py.h5l.LinkInfo) -> bytes | None:
        if about.type not in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT):
            elsewhere.append(name.decode(errors="backslashreplace"))
        return name if name.count(b"/") > _DEEPEST else None  # HDF5 would go on until its stack is full

    if file.id.links.visit(look, info=True) is not None:
        raise _refused(path, f"groups within groups, more than {_DEEPEST} deep")
    if elsewhere:
        raise _refused(path, f"{elsewhere[0]!r} is a link to another file")


def group_at(file: h5py.h5f.FileID, name: bytes) -> h5py.h5g.GroupID | None:
    """A group that is not a link's; else None."""
    return h5py.h5g.open(file, name) if _is_own(file, name) else None


def dataset_at(group: h5py.h5g.GroupID, place: bytes, path: Path) -> h5py.h5d.DatasetID | None:
    """A dataset that is not a link's, and whose data are here, without a look at the rest of the file; else None."""
    steps = place.split(b"/")
    if not all(_is_own(group, b"/".join(steps[: k + 1])) for k in range(len(steps))):
        return None
    here = h5py.h5o.open(group, place)
    if not isinstance(here, h5py.h5d.DatasetID):
        return None
    return None if _problem(here, steps[-1], path, max(MOST_ROWS, _PLAIN * path.stat().st_size)) else here


def _is_own(group: h5py.h5g.GroupID, name: bytes) -> bool:
    """Whether there is something of this name that lies here, and is no link to it."""
    try:
        return bool(group.links.get_info(name).type == h5py.h5l.TYPE_HARD)
    except (KeyError, RuntimeError):  # there is none
        return False


def problem_of(group: h5py.Group, path: Path) -> str:
    """Why a group is not read: data that lie in other files, or sizes that nothing in this one stands for."""
    most_rows, is_set = max(MOST_ROWS, _PLAIN * path.stat().st_size), SHARDS.encode() in group.id

    def look(name: bytes) -> str | None:
        thing, problem = h5py.h5o.open(group.id, name), ""
        if isinstance(thing, h5py.h5d.DatasetID):
            problem = _problem(thing, name, path, most_rows, is_set=is_set)
        return f"{group.name}/{name.decode(errors='backslashreplace')} {problem}" if problem else None

    problem = h5py.h5o.visit(
        group.id, look
    )  # without h5py's objects: each costs more than what is asked of it
    return str(_refused(path, problem)) if problem else ""


def check_amount(dataset: h5py.Dataset, nbytes: int) -> None:
    """Refuse to read more than a dataset holds: what was never written takes memory, too.

    Raises
    ------
    SimkitError
        For more bytes than are stored, some megabytes and what compressing saves apart.
    """
    if nbytes <= PLENTY:
        return
    if nbytes > _held(dataset.id):
        msg = f"{dataset.name} declares {nbytes:,} bytes and holds {dataset.id.get_storage_size():,} of them"
        raise SimkitError(f"{msg}: it is damaged, or was not made by simkit")
    if _is_unasked.get() and nbytes > _most(dataset.id):
        raise TooMuch(
            f"{nbytes:,} bytes, more than {_PLAIN} times the file: {dataset.name} is read only when it is asked for"
        )


@contextmanager
def unasked() -> Iterator[None]:
    """Within it values are looked at that nobody named: what takes much more memory than its file is not read.

    A file of 1 MB may hold zeros of 1 GB, and be honest. Whoever names them gets them; whoever only looks at the
    file has not asked for so much memory. A read raises `TooMuch` then.
    """
    token = _is_unasked.set(True)
    try:
        yield
    finally:
        _is_unasked.reset(token)


def check_pieces(place: str, bounds: Index, length: int, size: int) -> None:
    """Refuse pieces of a flat dataset that lie outside of it, or that are the same many times over.

    Parameters
    ----------
    bounds
        Where the piece of each row starts and stops, shape ``(n, 2)``.
    length, size
        How many elements there are, and how many bytes each takes.

    Raises
    ------
    Damaged
        With the place.
    """
    counts = bounds[:, 1] - bounds[:, 0]
    if len(bounds) and (bounds.min() < 0 or counts.min() < 0 or bounds.max() > length):
        raise Damaged(f"{place} is damaged: pieces of it lie beyond its end")
    total = int(counts.sum())
    if total > length and total * size > PLENTY:
        raise Damaged(f"{place} is damaged, or was not made by simkit: many rows are the same piece of it")


class Texts:
    """Texts of any length in a dataset, as ``dataset.asstr()`` gives them, but not more than the file stands for.

    HDF5 keeps texts on a heap, and any number of elements may name the same megabytes there; simkit's never do.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, rows: Any) -> Any:
        if self.dataset.shape and not isinstance(rows, int):  # one text can't be longer than its file
            numbers = np.atleast_1d(np.arange(len(self.dataset))[rows])
            if not len(numbers):
                return np.zeros((0, *self.dataset.shape[1:]), object)
            self._check(np.sort(numbers))
        return self.dataset.asstr()[rows]

    def _check(self, rows: Index) -> None:
        width, most = math.prod(self.dataset.shape[1:]), _most(self.dataset.id)
        if len(rows) * width * most <= _PLAIN * PLENTY:
            return
        span = self.dataset.chunks[0] if self.dataset.chunks else 1
        total = 0
        for part in np.split(rows, np.flatnonzero(np.diff(rows // span)) + 1):
            first = int(part[0]) // span * span
            total += int(self._lengths(first)[part - first].sum())
            if total > most:
                msg = f"{self.dataset.name} declares more text than {_PLAIN} times its file"
                raise Damaged(f"{msg}: it is damaged, or was not made by simkit")

    def _lengths(self, first: int) -> Any:
        """How many bytes each of the rows has whose chunks begin at this one."""
        if not self.dataset.chunks:  # as constants have it, of which there are few
            return np.array(
                [sum(len(text.encode()) for text in self.dataset.asstr()[first : first + 1].flat)]
            )
        beyond = zip(self.dataset.shape[1:], self.dataset.chunks[1:], strict=True)
        corners = itertools.product([first], *(range(0, extent, size) for extent, size in beyond))
        return np.sum([self._lengths_at(corner) for corner in corners], axis=0)

    def _lengths_at(self, corner: tuple[int, ...]) -> Any:
        chunk, plan = self.dataset.chunks, self.dataset.id.get_create_plist()
        try:
            mask, data = self.dataset.id.read_direct_chunk(corner)
            octets, filters = np.frombuffer(data, "u1"), _filters(plan)
            if filters:
                if mask or filters not in _INFLATED_HERE:
                    raise ValueError("simkit stores none so")
                octets = inflated(octets, math.prod(chunk) * _REFERENCE.itemsize)
                octets = unshuffled(octets, _REFERENCE.itemsize) if filters[1:] else octets
            lengths = octets.view(_REFERENCE)["bytes"].astype(np.int64)
            return lengths.reshape(chunk[0], -1).sum(axis=1)
        except ValueError as error:
            raise Damaged(
                f"{self.dataset.name}: texts are stored in a way that is not read: {error}"
            ) from None
        except (OSError, RuntimeError):  # never written: or damaged, which HDF5 says
            return np.zeros(chunk[0], np.int64)


def is_inflated_here(dataset: h5py.h5d.DatasetID, plan: h5py.h5p.PropDCID) -> bool:
    """Whether a dataset holds compressed numbers, and nothing else was done to them: simkit inflates them itself."""
    if _filters(plan) not in _INFLATED_HERE:
        return False
    stored = dataset.get_type()
    try:
        dtype = stored.dtype
        return bool(dtype.kind in "biufc" and stored == h5py.h5t.py_create(dtype, logical=True))
    except TypeError:  # NumPy has no such type
        return False


def _filters(plan: h5py.h5p.PropDCID) -> list[int]:
    return [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]


def _most_stored(dataset: h5py.h5d.DatasetID) -> int:
    """How large a compressed chunk may be that can't take ten times as much as the whole file, or some megabytes."""
    return _most(dataset) // _MOST_DEFLATED


def _most(dataset: h5py.h5d.DatasetID) -> int:
    """Ten times as many bytes as a dataset's file, or some megabytes."""
    return max(PLENTY, _PLAIN * int(h5py.h5i.get_file_id(dataset).get_filesize()))


def _grows(dataset: h5py.h5d.DatasetID, corner: tuple[int, ...]) -> bool:
    """Whether what a chunk's stream gives is more than the chunk, and what a filter adds to it."""
    _, data = dataset.read_direct_chunk(corner)
    left = int(math.prod(dataset.get_create_plist().get_chunk()) * dataset.get_type().get_size() + 4)
    stream = zlib.decompressobj()
    try:
        while data and left >= 0:
            left -= len(stream.decompress(data, _STEP))
            data = stream.unconsumed_tail
    except zlib.error:  # HDF5 says so when it reads it
        return False
    return left < 0


def _held(dataset: h5py.h5d.DatasetID) -> int:
    factor = _PLAIN if dataset.get_create_plist().get_nfilters() == 0 else _MOST_DEFLATED
    return int(dataset.get_storage_size()) * factor


def _problem(
    dataset: h5py.h5d.DatasetID, name: bytes, path: Path, most_rows: int, *, is_set: bool = False
) -> str:
    plan = dataset.get_create_plist()
    if plan.get_external_count():
        return "keeps its data in another file"
    layout = plan.get_layout()
    if layout == h5py.h5d.VIRTUAL:
        of_none = "takes its data from other files, and no set of shards is described here"
        return _problem_of_virtual(dataset, plan, name, path) if is_set else of_none
    stored = dataset.get_type()
    if stored.get_class() not in _TYPES and not _is_complex(stored):
        return "has elements of a type that simkit does not use"
    size, shape = stored.get_size(), dataset.shape or ()
    rows = shape[0] if shape else 1
    if rows > most_rows and rows * size > _held(dataset):
        return f"declares {rows:,} rows that it does not hold"
    if problem := _problem_of_filters(dataset, plan, name):
        return problem
    chunk = math.prod(plan.get_chunk()) if layout == h5py.h5d.CHUNKED else 0
    largest = size * max(math.prod(shape[1:]), chunk)
    return f"declares {largest:,} bytes for one run" if largest > PLENTY and largest > _held(dataset) else ""


def _is_complex(stored: h5py.h5t.TypeID) -> bool:
    """Whether a type is a pair of numbers, as h5py keeps complex ones; many have no such class of NumPy's at all."""
    try:
        return stored.get_class() == h5py.h5t.COMPOUND and bool(stored.dtype.kind == "c")
    except TypeError:
        return False


def _problem_of_filters(dataset: h5py.h5d.DatasetID, plan: h5py.h5p.PropDCID, name: bytes) -> str:
    """Filters are HDF5's own, so that none is loaded from elsewhere, and give no more than a chunk."""
    filters = _filters(plan)
    if any(filters.count(each) > 1 or each not in _FILTERS for each in filters):
        return "is stored by filters that simkit does not use"
    if _DEFLATE not in filters:
        return ""
    if name.startswith(_IN_COLUMNS) and not name.endswith(MASK.encode()) and is_inflated_here(dataset, plan):
        return ""
    suspicious, corners = _most_stored(dataset), list[tuple[int, ...]]()

    def look(about: h5py.h5d.StoreInfo) -> None:
        corners.extend([about.chunk_offset] if about.size > suspicious else [])

    dataset.chunk_iter(look)
    grows = any(_grows(dataset, corner) for corner in corners)
    return "has a compressed chunk that grows to more than a chunk" if grows else ""


def _problem_of_virtual(dataset: h5py.h5d.DatasetID, plan: h5py.h5p.PropDCID, name: bytes, path: Path) -> str:
    """A master has virtual columns over the files in the set's own folder, which other tools look through."""
    folder = f"{path.stem}.shards"
    sources = {plan.get_virtual_filename(i) for i in range(plan.get_virtual_count())}
    parts = (source.split("/") for source in sources)
    if not all(len(steps) == 2 and steps[0] == folder and steps[1] not in _NO_FILES for steps in parts):
        return f"takes its data from other files than those in {folder}, which a set of shards has"
    section, *inner = name.split(b"/")
    is_column = (
        section in _COLUMNS and not name.endswith(MASK.encode()) and (section != b"runs" or len(inner) == 1)
    )
    if not is_column or not dataset.shape or dataset.shape[0] > _MOST_VIRTUAL:
        return "is no column of a set of shards"
    return ""


def _refused(path: Path, what: str) -> SimkitError:
    return SimkitError(f"{shown_path(path)}: {what}: refused, since simkit records nothing of the kind")


def problem_of_choice(path: Path, names: list[str], name: str | None) -> str:
    """Why none of a file's experiments can be opened by this name, or without one."""
    where = shown_path(path)
    if not names:
        return f"{where}: an HDF5 file, but no trajectory of simkit's is in it"
    if name is not None and name not in names:
        return f"{where} has no experiment {name!r}\n    experiments there: {listed(name, names)}"
    if name is None and len(names) > 1:
        cure = f'name one: simkit.open("{where}", "{names[0]}")'
        return f"{where} holds several experiments: {', '.join(names)}\n    {cure}"
    return ""
