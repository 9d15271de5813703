"""Chosen rows of a trajectory: read, or copied into a file of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from simkit.declare.forms import Array, Index
from simkit.errors import shown_path
from simkit.record.columns.write import Sink
from simkit.record.file.store import Store
from simkit.record.format import PART_OF, home, place
from simkit.record.recorded import Recorded
from simkit.values.batch import Status
from simkit.values.columns import Column

TABLE = "merged"


class Origin(NamedTuple):
    """The file that a run was recorded in, and its number there.

    The file is told as it was called when it was merged, relative to the folder of the merged one.
    """

    file: str
    run: int


def origin(recorded: Recorded, run: int) -> Origin:
    """Where a run was recorded first; in the file itself if it was not merged."""
    number = recorded.run_column("source", slice(run, run + 1))
    if number is None or not number[0]:
        return Origin(recorded.path.name, run)
    row = recorded.run_column("source_run", slice(run, run + 1))
    assert row is not None
    return Origin(str(recorded.root[f"info/{TABLE}/file"].asstr()[int(number[0]) - 1]), int(row[0]))


_BYTES = 16 << 20  # read at once
_COMMIT = 64 << 20
_HOW = {
    "layout",
    "codec",
    "dtype",
    "fields",
    "length",
}  # attributes that tell how values lie, not what they are


def extract(recorded: Recorded, runs: Index, names: Collection[str], path: Path) -> None:
    """Write a trajectory of these runs, in this order, with these parameters and results.

    Unless it is the whole trajectory it remembers what it is a part of, and is never continued: its runs have
    other numbers now, and with them new runs would draw the random numbers of recorded ones.

    Raises
    ------
    StorageFailed
        When the disk is full.
    """
    aside = path.with_name(f".{path.name}.part")
    store = Store(aside)
    try:
        _Extract(recorded, runs, store).write(names)
    except BaseException:
        store.close(failed=True)
        aside.unlink(missing_ok=True)
        raise
    store.close()
    os.replace(aside, path)


def is_whole(recorded: Recorded, runs: Index, names: Collection[str]) -> bool:
    """Whether nothing is left out."""
    everything = {*recorded.names("parameters"), *recorded.names("results")}
    return everything <= set(names) and np.array_equal(runs, np.arange(len(recorded)))


class _Extract:
    """Copies from an open trajectory into an open file."""

    def __init__(self, recorded: Recorded, runs: Index, store: Store) -> None:
        self.recorded, self.runs, self.store = recorded, runs, store
        self.source: h5py.Group = recorded.root
        self.root: h5py.Group = store.file.create_group(recorded.name, track_order=True)
        self.waiting = 0

    def write(self, names: Collection[str]) -> None:
        """Everything."""
        self.root.attrs.update(self.source.attrs)
        for section in ("parameters", "results", "runs"):
            self.root.create_group(section, track_order=True)
        self.about_runs()
        for section in ("parameters", "results"):
            for name in self.recorded.names(section):
                if name in names:
                    self.named(section, name)
        whole = is_whole(self.recorded, self.runs, names)
        for key in self.source:
            if key == "info" or (whole and key not in self.root):
                self.source.copy(key, self.root)
        if not whole:
            self.root.attrs[PART_OF] = shown_path(self.recorded.path)
            self.root["runs"].create_dataset("origin", data=self.runs)

    # Names

    def named(self, section: str, name: str) -> None:
        """One parameter or result, and the comments of its groups."""
        path = place(section, name)
        parent, key = home(self.root, path)
        if self.recorded.is_constant(name):
            self.source.copy(path, parent, key)
        else:
            self.column(section, name, parent, key)
        for depth in range(2, path.count("/") + 1):
            group = "/".join(path.split("/")[:depth])
            self.root[group].attrs.update(self.source[group].attrs)

    def column(self, section: str, name: str, parent: h5py.Group, key: str) -> None:
        """A name's rows, block by block."""
        n = len(self.runs)
        required = self.required(section, name)
        earlier = np.zeros(n, bool)
        sink = Sink(parent, key, n, lambda: earlier)
        for at, column in self.blocks(name):
            sink.write(at, column, required[at])
            earlier[at] = required[at]
        if key in parent:
            attributes = {k: v for k, v in self.source[place(section, name)].attrs.items() if k not in _HOW}
            parent[key].attrs.update(attributes)

    def required(self, section: str, name: str) -> Array:
        """Which of the runs count as absent where they have no value."""
        if section == "parameters" and self.recorded.about(name).explored:
            return np.zeros(len(self.runs), bool)
        status = self.source["runs/status"][:][self.runs]
        return np.asarray(status == Status.DONE if section == "results" else status != Status.PENDING)

    def blocks(self, name: str) -> Iterator[tuple[Index, Column]]:
        """Consecutive rows of the new column, read without what lies between blocks."""
        size = self.recorded.row_bytes(name)
        rows = max(1, _BYTES // size)
        start = 0
        while start < len(self.runs):
            stop = start + int(np.searchsorted(self.runs[start:], self.runs[start] + rows))
            first, last = int(self.runs[start]), int(self.runs[stop - 1])
            column = self.recorded.column(name, slice(first, last + 1))
            yield np.arange(start, stop), column.take(self.runs[start:stop] - first)
            self.written((stop - start) * size)
            start = stop

    def written(self, nbytes: int) -> None:
        """Commit now and then, so that memory stays small."""
        self.waiting += nbytes
        if self.waiting > _COMMIT:
            self.store.commit()
            self.waiting = 0

    # What is known of the runs

    def about_runs(self) -> None:
        """Statuses, times, texts: everything that is kept by run."""
        for key, thing in self.source["runs"].items():
            if isinstance(thing, h5py.Dataset):
                _copy_rows(thing, self.root["runs"], key, lambda rows: rows[self.runs])
            elif "run" in thing:
                self.sparse(thing, self.root["runs"].create_group(key))
            else:
                self.by_number(thing, self.root["runs"].create_group(key))

    def sparse(self, source: h5py.Group, target: h5py.Group) -> None:
        """Columns of entries, one of which says whose they are."""
        numbers = source["run"][:]
        new = np.full(len(self.recorded), -1, np.int64)
        new[self.runs] = np.arange(len(self.runs))
        kept = new[numbers] >= 0
        for key, thing in source.items():
            _copy_rows(thing, target, key, lambda rows: rows[kept])
        target["run"][:] = new[numbers[kept]]

    def by_number(self, source: h5py.Group, target: h5py.Group) -> None:
        """A group per run, as for checkpoints."""
        for new, old in enumerate(self.runs.tolist()) if len(source) else ():
            if str(old) in source:
                source.copy(str(old), target, str(new))


def _copy_rows(source: h5py.Dataset, parent: h5py.Group, key: str, chosen: Callable[[Any], Any]) -> None:
    rows = chosen(source[:])
    dataset = parent.create_dataset(
        key,
        rows.shape,
        source.dtype,
        maxshape=source.maxshape,
        chunks=source.chunks,
        fillvalue=source.fillvalue,
    )
    dataset[...] = rows
    dataset.attrs.update(source.attrs)
