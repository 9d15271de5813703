"""Which files hold the runs of a set of shards, and what do they say of them?

``FILE.h5`` is the master of a set: its table ``shards`` divides all runs into consecutive stretches, each for a file of
its own in the folder ``FILE.shards``. A file that is not there yet, or not any more, stands for pending runs. Other
HDF5 tools look through the master's virtual datasets; simkit reads the files themselves, with their logs and checksums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import attrs
import h5py
import numpy as np

from simkit.declare.forms import Array, Index
from simkit.errors import SimkitError, shown_path
from simkit.record.attachments import RecordedFile, read_files
from simkit.record.book import ShardBook
from simkit.record.columns.rows import Rows, read_plain
from simkit.record.file.store import open_with_bytes
from simkit.record.format import FIRST, MASK, SHARDS
from simkit.record.inspection import dataset_at, group_at
from simkit.values.batch import Restored, Status
from simkit.values.columns import Column, Leaf, united

_CODEC = b"codec"
_OPEN = 32  # files that are open at once
_AS_ATTEMPTED = ("session", "attempt")  # columns that stand for 1 in each attempted run while there is none


@attrs.frozen
class Stretch:
    """Consecutive runs of a set, ``stop`` excluded, and the number of the file that holds them."""

    number: int
    first: int
    stop: int

    @property
    def file(self) -> str:
        """The file's name in the folder of the set."""
        return f"{self.number:04d}.h5"

    @property
    def words(self) -> str:
        """``run 7``, ``runs 0 to 66``."""
        return f"run {self.first}" if self.stop - self.first == 1 else f"runs {self.first} to {self.stop - 1}"


def folder_of(path: Path) -> Path:
    """Where the files of a set stand, given its master; nowhere for a folder, which may have no name: ``.``, ``/``."""
    return path.parent / f"{path.stem}.shards"


def stretches_of(root: h5py.Group, path: Path) -> tuple[Stretch, ...]:
    """How a master divides its runs; none for a trajectory that is one file.

    Raises
    ------
    SimkitError
        Where the table leaves runs out or names them twice.
    """
    if SHARDS not in root:
        return ()
    table = root[SHARDS]
    is_table = isinstance(table, h5py.Dataset) and table.ndim == 2 and table.shape[1] == 3
    rows = (
        table[:] if is_table and table.dtype.kind == "i" and not table.is_virtual else np.zeros((0, 3), "i8")
    )
    bounds = np.concatenate([[0], rows[:, 2]])
    whole = len(rows) > 0 and (rows[:, 1] == bounds[:-1]).all() and bounds[-1] == len(root["runs/status"])
    if not (whole and (rows[:, 2] > rows[:, 1]).all() and len(np.unique(rows[:, 0])) == len(rows)):
        raise SimkitError(
            f"{shown_path(path)}: the table of its shards is damaged, or was not made by simkit"
        )
    return tuple(Stretch(*row) for row in rows.tolist())


class Shards:
    """The files of a set, opened when they are read; a few of them stay open.

    Parameters
    ----------
    path
        The master.
    stretches
        A partition of all runs, in order.
    opened
        Opens one of the files.
    """

    def __init__(self, path: Path, stretches: Sequence[Stretch], opened: Callable[[Path], ShardBook]) -> None:
        self.folder, self.stretches, self.opened = folder_of(path), stretches, opened
        self.starts = np.array([stretch.first for stretch in stretches])
        self.books: dict[
            int, ShardBook
        ] = {}  # by position of the stretch; the one that was used last is last

    def __len__(self) -> int:
        return self.stretches[-1].stop

    def path(self, stretch: Stretch) -> Path:
        """The file of a stretch, whether it is there or not."""
        return self.folder / stretch.file

    def book(self, position: int) -> ShardBook | None:
        """The file of a stretch, by its position in the table; None while it is missing.

        Raises
        ------
        SimkitError
            Where it is no file of this set, or can't be read.
        """
        book = self.books.pop(position, None)
        if book is None:
            stretch = self.stretches[position]
            path = self.path(stretch)
            check_place(path)
            if not is_there(path):
                return None
            book = self._opened(path, stretch)
            while len(self.books) >= _OPEN:
                self.books.pop(next(iter(self.books))).close()
        self.books[position] = book
        return book

    def _opened(self, path: Path, stretch: Stretch) -> ShardBook:
        try:
            book = self.opened(path)
        except SimkitError as error:
            shown = shown_path(path)
            cure = f"can it be mended? simkit repair {shown}\n    or move it away: its runs are pending then"
            raise type(error)(
                f"{error}\n    it holds {stretch.words} of a set of shards\n    {cure}"
            ) from None
        if book.attributes.get(FIRST) != stretch.first or len(book) < stretch.stop - stretch.first:
            book.close()
            words = f"{shown_path(path)} does not hold {stretch.words} of its set: it was put there from elsewhere"
            raise SimkitError(f"{words}\n    move it away: then these runs are pending")
        return book

    def all(self) -> Iterator[ShardBook]:
        """The files that are there, in order of their runs."""
        books = (self.book(k) for k in range(len(self.stretches)))
        return (book for book in books if book is not None)

    def close(self) -> None:
        """Close the files that are open."""
        while self.books:
            self.books.popitem()[1].close()

    def parts(self, rows: Rows) -> Iterator[tuple[Index, ShardBook, Index]]:
        """For each file that is there: positions among the wanted rows, the file, and the numbers there."""
        for positions, k, numbers in self._places(rows):
            if (book := self.book(k)) is not None:
                yield positions, book, numbers - self.stretches[k].first

    def _places(self, rows: Rows) -> Iterator[tuple[Index, int, Index]]:
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            for k in range(self.position(start), len(self.stretches)):
                first, end = max(start, self.stretches[k].first), min(stop, self.stretches[k].stop)
                if first >= end:
                    break
                yield np.arange(first - start, end - start), k, np.arange(first, end)
            return
        owners = np.searchsorted(self.starts, rows, "right") - 1
        order = np.argsort(owners, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(owners[order])) + 1) if len(rows) else ():
            yield part, int(owners[part[0]]), rows[part]

    def position(self, run: int) -> int:
        """Which stretch a run is in."""
        return int(np.searchsorted(self.starts, run, "right")) - 1

    def at(self, run: int) -> tuple[ShardBook, int] | None:
        """The file that holds a run, and its number there; None while it is missing."""
        k = self.position(run)
        book = self.book(k)
        return None if book is None else (book, run - self.stretches[k].first)

    # What they say of the runs

    def column(self, name: str, rows: Rows, node: Any, *, packed: bool = False) -> Column:
        """A name's rows; those of files that are missing, or do not have the name, are absent.

        Parameters
        ----------
        node
            The column of the master.
        """
        if isinstance(rows, slice) and (numbers := self._numbers(rows, node)) is not None:
            return numbers
        n = len(rows) if isinstance(rows, np.ndarray) else len(range(*rows.indices(len(self))))
        parts = [
            (positions, _read(book, name, numbers, packed=packed))
            for positions, book, numbers in self.parts(rows)
            if book.section_of(name) is not None
        ]
        return united(n, parts)

    def _numbers(self, rows: slice, node: Any) -> Column | None:
        """A column of numbers, read as one array; None where some file has anything else there."""
        if not isinstance(node, h5py.Dataset) or node.dtype.kind not in "iufc" or "dtype" in node.attrs:
            return None
        status = node.file[f"{node.name.split('/')[1]}/runs/status"]
        arrays = gather(self, rows, [node, status])
        if arrays is None:
            return None
        values, states = arrays
        section, codec = node.name.split("/")[2], node.attrs["codec"]
        there = states == Status.DONE if section == "results" else states != Status.PENDING
        if node.attrs.get("explored", False):
            there = self._placed(rows)
        if there.all():
            return Column(len(there), ((None, Leaf(codec, values)),))
        at = np.flatnonzero(there)
        return Column(len(there), ((at, Leaf(codec, values[at])),) if len(at) else ())

    def _placed(self, rows: slice) -> Array:
        """Which runs have points, since their files are there."""
        start, stop, _ = rows.indices(len(self))
        placed = np.ones(stop - start, bool)
        for stretch in self.stretches:
            if stretch.stop > start and stretch.first < stop and not is_there(self.path(stretch)):
                placed[max(0, stretch.first - start) : stretch.stop - start] = False
        return placed

    def run_column(self, name: str, rows: Rows, like: h5py.Dataset) -> Array:
        """What is known of each run; as if never written where the file is missing.

        Parameters
        ----------
        like
            The column of the master: its type, and what unwritten rows read as.
        """
        if isinstance(rows, slice) and name not in _AS_ATTEMPTED:
            arrays = gather(self, rows, [like])
            if arrays is not None:
                return arrays[0]
        n = len(rows) if isinstance(rows, np.ndarray) else len(range(*rows.indices(len(self))))
        column = np.full(n, like.fillvalue, np.dtype(like.dtype.str))
        for positions, book, numbers in self.parts(rows):
            values = book.run_column(name, numbers)
            if values is None and name in _AS_ATTEMPTED:
                values = np.asarray(book.run_column("status", numbers)) != Status.PENDING
            if values is not None:
                column[positions] = values
        return column

    def session_numbers(self, rows: Rows, own: Sequence[dict[str, Any]]) -> Array:
        """In which session each run was made, counted as `ShardSessions` does; 0 for runs that were not tried."""
        sessions = ShardSessions(own, self)
        n = len(rows) if isinstance(rows, np.ndarray) else len(range(*rows.indices(len(self))))
        column = np.zeros(n, "u4")
        for positions, book, numbers in self.parts(rows):
            values = book.run_column("session", numbers)
            if values is None:
                values = np.asarray(book.run_column("status", numbers)) != Status.PENDING
            k = self.position(
                int(rows[positions[0]] if isinstance(rows, np.ndarray) else rows.start + positions[0])
            )
            before = int(sessions.stops[k - 1]) if k else len(own)
            column[positions] = np.where(values > 0, values.astype("u4") + before, 0)
        return column

    def present(self, name: str) -> Array:
        """Which rows of a name hold a value, shape ``(n,)``."""
        flags = np.zeros(len(self), bool)
        for positions, book, numbers in self.parts(slice(0, len(self))):
            if book.section_of(name) is not None:
                flags[positions] = book.present(name)[numbers]
        return flags

    def row_bytes(self, name: str) -> int:
        """About how many bytes one row of a name takes, by the first file that has it."""
        for k in range(len(self.stretches)):
            book = self.book(k)
            if book is not None and book.section_of(name) is not None:
                return book.row_bytes(name)
        return 1

    def latest_texts(self, kind: str, runs: Index) -> dict[int, str]:
        """The newest error or log of each of these runs that has one."""
        texts: dict[int, str] = {}
        for positions, book, numbers in self.parts(runs):
            moved = dict(zip(numbers.tolist(), runs[positions].tolist(), strict=True))
            texts.update({moved[run]: text for run, text in book.latest_texts(kind, numbers).items()})
        return dict(sorted(texts.items()))

    def attached(self, runs: Index) -> Iterator[RecordedFile]:
        """The files that these runs attached."""
        for positions, book, numbers in self.parts(runs):
            moved = dict(zip(numbers.tolist(), runs[positions].tolist(), strict=True))
            for file in read_files(book.root["runs"], numbers):
                yield attrs.evolve(file, run=moved[file.run])

    def checkpoints(self) -> dict[int, Restored]:
        """What runs that are not done committed last."""
        return {
            stretch.first + run: restored
            for k, stretch in enumerate(self.stretches)
            if (book := self.book(k)) is not None
            for run, restored in book.checkpoints().items()
        }


class ShardSessions(Sequence[dict[str, Any]]):
    """The sessions of a master, then those of each file of its set, read when they are asked for."""

    def __init__(self, own: Sequence[dict[str, Any]], shards: Shards) -> None:
        self.own, self.shards = own, shards
        books = (shards.book(k) for k in range(len(shards.stretches)))
        counts = [0 if book is None else len(book.sessions) for book in books]
        self.stops = len(own) + np.cumsum(counts)

    def __len__(self) -> int:
        return int(self.stops[-1])

    @overload
    def __getitem__(self, number: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, number: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, number: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        if number < len(self.own):
            return self.own[number]
        k, inner = self.place(number)
        book = self.shards.book(k)
        return {"packages": {}, "sources": {}} if book is None else book.sessions[inner]

    def place(self, number: int) -> tuple[int, int]:
        """The position of the stretch whose file holds a session, and its number there, from 0."""
        k = int(np.searchsorted(self.stops, number, "right"))
        return k, number - (int(self.stops[k - 1]) if k else len(self.own))


def gather(shards: Shards, rows: slice, columns: Sequence[h5py.Dataset]) -> list[Array] | None:
    """Columns of numbers over consecutive runs, each read from all files into one array.

    Of each file these datasets alone are looked at. Where a file has another type or a mask there, or anything that is
    to be said by who opens it as a whole, this gives None.

    Parameters
    ----------
    columns
        Of the master: their types, and what unwritten rows read as.
    """
    start, stop, _ = rows.indices(len(shards))
    arrays = [np.empty((max(0, stop - start), *c.shape[1:]), c.dtype.str) for c in columns]
    likes = [_Like.of(column) for column in columns]
    for k in range(shards.position(start), len(shards.stretches)):
        stretch = shards.stretches[k]
        first, end = max(start, stretch.first), min(stop, stretch.stop)
        if first >= end:
            break
        path = shards.path(stretch)
        check_place(path)
        parts = [array[first - start : end - start] for array in arrays]
        if not is_there(path):
            for column, part in zip(columns, parts, strict=True):
                part[...] = column.fillvalue
            continue
        try:
            if not _is_read(path, stretch.first, first, likes, parts):
                return None
        except (SimkitError, OSError, KeyError, RuntimeError):
            return None  # who opens it as a whole says what is wrong
    return arrays


@attrs.frozen
class _Like:
    """What a column of the master is, and so of each file."""

    group: bytes  # of the trajectory
    name: bytes  # below it
    type: h5py.h5t.TypeID
    shape: tuple[int, ...]
    codec: str | None

    @classmethod
    def of(cls, column: h5py.Dataset) -> _Like:
        group, _, name = column.name[1:].encode().partition(b"/")
        codec = _attribute(column.id, _CODEC, object) if h5py.h5a.exists(column.id, _CODEC) else None
        return cls(group, name, column.id.get_type(), column.shape[1:], codec)

    def found(self, group: h5py.h5g.GroupID, path: Path, stop: int) -> h5py.h5d.DatasetID | None:
        """The column in a file, if it is like this with so many rows, none of which is absent."""
        dataset = dataset_at(group, self.name, path)
        if dataset is None or dataset.shape[1:] != self.shape or dataset.shape[0] < stop:
            return None
        if dataset.get_type() != self.type or group.links.exists(self.name + MASK.encode()):
            return None
        if self.codec is None:
            return None if h5py.h5a.exists(dataset, _CODEC) else dataset
        return dataset if _attribute(dataset, _CODEC, object) == self.codec else None


def _is_read(path: Path, begin: int, first: int, likes: Sequence[_Like], arrays: Sequence[Array]) -> bool:
    """Fill arrays with rows of a file; whether its columns are what they are in the master.

    Parameters
    ----------
    begin, first
        The runs of the file's first row and of the arrays'.
    """
    file, octets = open_with_bytes(path, links=True)
    with file:
        group, row = group_at(file.id, likes[0].group), first - begin
        if group is None or _attribute(group, FIRST.encode(), np.int64) != begin or file.userblock_size:
            return False
        for like, array in zip(likes, arrays, strict=True):
            dataset = like.found(group, path, row + len(array))
            if dataset is None:
                return False
            read_plain(dataset, octets, row, array)
    return True


def _attribute(thing: h5py.h5g.GroupID | h5py.h5d.DatasetID, name: bytes, dtype: Any) -> Any:
    """A single attribute, by the calls that are needed alone; a KeyError where there is none."""
    value = np.empty((), dtype)
    h5py.h5a.open(thing, name).read(value)
    return value[()]


def _read(book: ShardBook, name: str, numbers: Index, *, packed: bool) -> Column:
    """Consecutive rows as a slice, which costs less."""
    is_varying = len(numbers) > 0 and not packed and not book.is_constant(name)
    if is_varying and (np.diff(numbers) == 1).all():
        return book.column(name, slice(int(numbers[0]), int(numbers[-1]) + 1))
    return book.rows(name, numbers, packed=packed)


def is_there(path: Path) -> bool:
    """Whether a file of a set has been begun; an empty one is what a name was taken from."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def check_place(path: Path) -> None:
    """A set's files stand in its own folder: no link leads elsewhere.

    Raises
    ------
    SimkitError
        For a link.
    """
    for place in (path.parent, path):
        if place.is_symlink():
            raise SimkitError(
                f"{shown_path(place)} is a link: refused, since the files of a set stand in its own folder\n"
                "    move the master to where they are, and link to that"
            )
