"""The owner's pen: one experiment's runs into its file, committed as often as it pays."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs
import h5py
import numpy as np

from simkit.declare.annotations import Note
from simkit.declare.forms import MARKS, Array, Index
from simkit.errors import SimkitError
from simkit.inject.provide import Constant
from simkit.record.columns.layout import create_column, put, read_constant
from simkit.record.columns.write import Sink, annotate, write_constant
from simkit.record.facts import (
    amend_session,
    forget_checkpoints,
    numbers,
    write_checkpoint,
    write_notes,
    write_session,
    write_texts,
)
from simkit.record.file.store import Store
from simkit.record.format import FORMAT, home, names_in, place
from simkit.values.batch import Batch, Checkpoint, Status
from simkit.values.columns import Column, Leaf
from simkit.values.compare import same
from simkit.values.decode import decode
from simkit.values.encode import encode


class Pen(Protocol):
    """Writes one trajectory: what is known before the first run, then batches as they come.

    Nothing counts before the next `commit`.
    """

    def constants(self, constants: Mapping[str, Constant]) -> None:
        """Record parameters that do not vary, by name; those that are there already stay."""

    def grow(self, n: int) -> None:
        """Have ``n`` runs from now on; at any moment, also while batches come in."""

    def points(self, start: int, columns: Mapping[str, Column]) -> None:
        """Record the explored values of the runs from number ``start`` on, which `grow` made room for."""

    def session(self, facts: Mapping[str, Any]) -> None:
        """Record under which circumstances the following runs are made."""

    def put(self, batch: Batch) -> Batch:
        """Record a batch; what comes back has the status that each run was recorded with."""

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep the state of a run that is under way."""

    def commit(self) -> None:
        """Make everything count that was recorded so far."""


class RunColumns:
    """Datasets of the group ``runs``, by name.

    Parameters
    ----------
    group
        The group.
    n
        How many runs there are.
    """

    def __init__(self, group: h5py.Group, n: int) -> None:
        self.group, self.n = group, n
        self.known: dict[str, h5py.Dataset | None] = {}

    def get(self, name: str) -> h5py.Dataset | None:
        """A column, or None where it was not used so far; only `made` makes one."""
        if name not in self.known:
            self.known[name] = self.group.get(name)
        return self.known[name]

    def made(self, name: str, dtype: Any) -> h5py.Dataset:
        """A column, made if it was not used so far."""
        column = self.get(name)
        if column is None:
            column = self.known[name] = create_column(self.group, name, self.n, np.dtype(dtype))
        return column


INTERVAL = 0.25  # seconds between commits while runs keep coming
_SHARE = 20  # a commit may take one twentieth of the time
_BYTES = 64 << 20
_RUN_COLUMNS = {"started": "f8", "seconds": "f4", "worker": "i2"}


class Writer:
    """Writes one experiment's group.

    Parameters
    ----------
    store
        The open file.
    name
        The group, made if it is not there.
    n
        How many runs the trajectory has, the recorded ones included.
    """

    def __init__(self, store: Store, name: str, n: int) -> None:
        self.store = store
        self.is_new = name not in store.file
        self.root: h5py.Group = (
            store.file.create_group(name, track_order=True) if self.is_new else store.file[name]
        )
        if self.is_new:
            self._create(n)
        self.known: Array = self.root["runs/status"][:]
        self.n = len(self.known)
        self.sinks: dict[tuple[str, str], Sink] = {}
        for section in ("parameters", "results"):
            for known, thing in names_in(self.root[section]):
                if not thing.attrs.get("constant", False):
                    self._sink(section, known)
        self.runs = RunColumns(self.root["runs"], self.n)
        self.grow(n)
        self.complete: set[tuple[str, str]] | None = None
        self.session_number = 1
        self.refusals: dict[int, str] = {}
        self.about: dict[tuple[str, str], tuple[Note, str, bool]] = {}
        self.last = time.perf_counter()
        self.waiting = 0

    def _create(self, n: int) -> None:
        for section in ("parameters", "results", "runs", "info"):
            self.root.create_group(section, track_order=True)
        words = {status.word: int(status) for status in Status}
        runs = self.root["runs"]
        create_column(runs, "status", n, h5py.enum_dtype(words, "u1"))
        for name, dtype in _RUN_COLUMNS.items():
            create_column(runs, name, n, np.dtype(dtype))

    def grow(self, n: int) -> None:
        """Have ``n`` runs from now on, the new ones pending; never fewer than there are."""
        if n <= self.n:
            return
        for dataset in self.root["runs"].values():
            if isinstance(dataset, h5py.Dataset):
                dataset.resize(n, 0)
        for sink in self.sinks.values():
            sink.grow(n)
        self.known = np.concatenate([self.known, np.zeros(n - self.n, "u1")])
        self.n = self.runs.n = n

    # Before the first run

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Say what the experiment is."""
        fresh = {} if "created" in self.root.attrs else {"simkit_format": FORMAT, "created": time.time()}
        self.root.attrs.update({**fresh, **attributes})

    def constants(self, constants: Mapping[str, Constant]) -> None:
        """Parameters that do not vary, by name."""
        for name, constant in constants.items():
            write_constant(self.root, name, *constant)

    def vary(self, values: Mapping[str, Any], runs: Sequence[int] | Index | range, *, changed: bool) -> None:
        """Constants that differ from those recorded become columns: old values for old runs, new ones for new."""
        rows = np.asarray(runs)
        for name, value in values.items():
            path = place("parameters", name)
            sink = self.sinks.get(("parameters", name))
            if sink is None and not changed:
                continue
            if sink is None:
                before = read_constant(self.root[path])
                if same(decode(before)[0], value):
                    continue
                attributes = {
                    k: v for k, v in self.root[path].attrs.items() if k in ("comment", "unit", "origin")
                }
                del self.root[path]
                sink = self._sink("parameters", name)
                old = np.flatnonzero(self._attempted())
                sink.write(old, before.take(np.zeros(len(old), np.int64)))
                self.root[path].attrs.update({**attributes, "per_session": True})
            sink.write(rows, encode([value]).take(np.zeros(len(rows), np.int64)), np.zeros(len(rows), bool))

    def groups(self, comments: Mapping[str, str]) -> None:
        """What the groups of parameters are."""
        for name, comment in comments.items():
            if (path := place("parameters", name)) in self.root:
                self.root[path].attrs["comment"] = comment

    def points(self, start: int, columns: Mapping[str, Column]) -> None:
        """The explored values of the runs from number ``start`` on."""
        self.complete = None  # there may be new columns among them
        for name, column in columns.items():
            rows = np.arange(start, start + column.n)
            if name in MARKS:
                mark = self.runs.made(name.removeprefix("runs/"), "i8")
                mark[start : start + column.n] = _leaf_rows(column)
            else:
                self.about.setdefault(("parameters", name), (Note(), "", True))
                self._reach(name, start)
                self._write("parameters", name, rows, column, np.zeros(column.n, bool))
                self._reach(name, start + column.n)

    def _reach(self, name: str, stop: int) -> None:
        """An explored column has all rows before ``stop``, also of runs that are still pending."""
        sink = self._sink("parameters", name)
        sink.earlier = lambda: self._attempted() | (np.arange(self.n) < stop)

    def session(self, facts: Mapping[str, Any]) -> None:
        """Under which circumstances the following runs are made."""
        self.session_group = write_session(self.root["info"], facts)
        self.session_number = len(numbers(self.root["info"]))
        if self.session_number > 1 and self.runs.get("session") is None:
            self.runs.made("session", "u2")[:] = np.where(self._attempted(), 1, 0)

    def end_session(self, facts: Mapping[str, Any]) -> None:
        """How the session ended; counts with the next `commit`."""
        amend_session(self.session_group, facts)

    # While runs come in

    def put(self, batch: Batch) -> Batch:
        """Write a batch; it counts with the next `commit`.

        Returns
        -------
        Batch
            As it was recorded: a run whose results stand in the way of other runs' is a failed one.
        """
        rows, done = batch.runs, batch.status == Status.DONE
        attempted = np.ones(len(rows), bool)
        refused = self._section("results", batch.results, rows, done, self._done)
        self._section("parameters", batch.parameters, rows, attempted, self._attempted)
        self._put_facts(batch, rows)
        status = (
            np.where(refused, np.uint8(Status.FAILED), batch.status) if refused is not None else batch.status
        )
        put(self.runs.made("status", "u1"), rows, status)
        self.known[rows] = status
        runs = self.runs.group
        forget_checkpoints(runs, rows[status == Status.DONE].tolist())
        write_texts(runs, "error", batch.errors)
        write_texts(runs, "log", batch.logs)
        write_notes(runs, batch.notes)
        self.waiting += batch.nbytes
        if refused is None:
            return batch
        return attrs.evolve(batch, status=status, errors={**batch.errors, **self.refusals})

    def _put_facts(self, batch: Batch, rows: Index) -> None:
        """When, how long, where, and in which session and attempt."""
        runs = self.runs
        put(runs.made("started", "f8"), rows, batch.started)
        put(runs.made("seconds", "f4"), rows, batch.seconds)
        put(runs.made("worker", "i2"), rows, np.full(len(rows), batch.worker, "i2"))
        if self.session_number > 1:
            put(runs.made("session", "u2"), rows, np.full(len(rows), self.session_number, "u2"))
        self._count_attempts(rows)
        merged = runs.get("source")
        if merged is not None:  # a merged run that is tried again was made here
            put(merged, rows, np.zeros(len(rows), "u4"))
        if batch.seeds is not None:
            put(runs.made("seed", "u8"), rows, batch.seeds)

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a run's state and new rows; they count with the next `commit`."""
        write_checkpoint(self.root["runs"], checkpoint)
        self.waiting += checkpoint.nbytes

    def _count_attempts(self, rows: Index) -> None:
        """Which try of each run this is; counted once a run is tried again."""
        again = self.known[rows] != Status.PENDING
        fresh = self.runs.get("attempt") is None
        if fresh and not again.any():
            return
        column = self.runs.made("attempt", "u2")
        if fresh:
            column[:] = self._attempted()
        first, stop = int(rows[0]), int(rows[-1]) + 1
        put(column, rows, column[first:stop][rows - first] + 1)

    def _section(
        self, section: str, columns: Mapping[str, Column], rows: Index, required: Array, earlier: Any
    ) -> Array | None:
        refused: Array | None = None
        for name, column in columns.items():
            sink = self.sinks.get((section, name))
            if sink is None:
                clash = self._clash(section, name)
                if clash:
                    refused = column.present() if refused is None else refused | column.present()
                    self.refusals = dict.fromkeys(rows[column.present()].tolist(), clash)
                    write_texts(self.root["runs"], "error", self.refusals)
                    continue
                if earlier().any():
                    self._sink(section, name).make_mask(rows[:0], np.empty(0, bool))
            self._write(section, name, rows, column, required)
        for (part, name), sink in self.sinks.items():
            if part == section and name not in columns and not self._is_complete(part, name):
                sink.absent(rows, required)
        return refused

    def _write(self, section: str, name: str, rows: Index, column: Column, required: Array) -> None:
        sink = self._sink(section, name)
        first = not sink.held
        sink.write(rows, column, required)
        if first and sink.held and (section, name) in self.about:
            note, origin, explored = self.about[section, name]
            annotate(sink.parent[sink.name], note, origin, explored=explored)

    def _is_complete(self, section: str, name: str) -> bool:
        """Whether a column's rows are not brought by the runs: explored values, constants of a session.

        Which ones are is known before the first run is put.
        """
        if self.complete is None:
            self.complete = {key for key in self.sinks if self._says_complete(*key)}
        return (section, name) in self.complete

    def _says_complete(self, section: str, name: str) -> bool:
        thing = self.root.get(place(section, name))
        flags = ("explored", "per_session")
        return thing is not None and any(thing.attrs.get(flag, False) for flag in flags)

    def _clash(self, section: str, name: str) -> str:
        """A name that other runs use as a group, or under a leaf."""
        for part, other in self.sinks:
            if part == section and (other.startswith(name + ".") or name.startswith(other + ".")):
                group, leaf = sorted((name, other), key=len)
                return (
                    f"{group!r} is a leaf and, through {leaf!r}, a group in other runs: a name is one of them"
                )
        return ""

    def _done(self) -> Array:
        return np.asarray(self.known == Status.DONE)

    def _attempted(self) -> Array:
        return np.asarray(self.known != Status.PENDING)

    def _sink(self, section: str, name: str) -> Sink:
        sink = self.sinks.get((section, name))
        if sink is None:
            parent, key = home(self.root, place(section, name))
            earlier = self._done if section == "results" else self._attempted
            sink = self.sinks[section, name] = Sink(parent, key, self.n, earlier)
        return sink

    # Committing

    @property
    def is_due(self) -> bool:
        """Whether a commit pays now although more runs are coming in."""
        elapsed = time.perf_counter() - self.last
        return self.waiting > _BYTES or (
            self.waiting > 0 and elapsed > max(INTERVAL, _SHARE * self.store.cost)
        )

    def commit(self) -> None:
        """Make all batches count that were put so far."""
        self.store.commit()
        self.last, self.waiting = time.perf_counter(), 0


def _leaf_rows(column: Column) -> Any:
    node = column.whole
    if not isinstance(node, Leaf):
        msg = "marks of runs are numbers"
        raise SimkitError(msg)
    return node.rows
