"""The owner's pen: one experiment's runs into its file, committed as often as it pays."""

from __future__ import annotations

import json
import time
from collections.abc import Container, Mapping, Sequence
from typing import Any, Protocol

import attrs
import h5py
import numpy as np

from simkit.declare.annotations import Note
from simkit.declare.forms import MARKS, Index
from simkit.errors import SimkitError
from simkit.inject.provide import Constant
from simkit.record.attachments import FileTable, forget, write_commands
from simkit.record.columns.layout import read_constant
from simkit.record.columns.rows import create_column, put, read_rows
from simkit.record.columns.write import write_constant
from simkit.record.facts import (
    ReportTable,
    amend_session,
    forget_checkpoints,
    numbers,
    write_checkpoint,
    write_notes,
    write_session,
    write_texts,
)
from simkit.record.file.store import Store
from simkit.record.format import AFTER, DECLARED, FEEDS, FORMAT, names_in, place
from simkit.record.readings import Content, write_inputs
from simkit.record.table import Key, Table
from simkit.values.batch import Batch, Checkpoint, RunReport, Status, discard
from simkit.values.columns import Column, Leaf
from simkit.values.compare import same
from simkit.values.decode import decode
from simkit.values.encode import encode


class BatchPen(Protocol):
    """Writes what comes of runs; nothing counts before the next `commit`."""

    @property
    def waiting(self) -> int:
        """Bytes that do not count yet."""

    @property
    def is_gone(self) -> bool:
        """Whether the file is not at its place any more, as the last commit saw."""

    def is_due(self, gathered: int = 0) -> bool:
        """Whether a commit pays now although more runs are coming in."""

    def put(self, batch: Batch) -> Batch:
        """Record a batch; what comes back has the status that each run was recorded with."""

    def inputs(self, inputs: Mapping[str, Content]) -> None:
        """Record files that the runs of the last batch read."""

    def reports(self, reports: Sequence[RunReport]) -> None:
        """Record what runs reported and were answered."""

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep the state of a run that is under way."""

    def commit(self) -> None:
        """Make everything count that was recorded so far."""

    def catch_up(self) -> None:
        """Write to the file what waits in its log for readers to go, if they have gone."""


class Pen(BatchPen, Protocol):
    """Writes one trajectory: what is known before the first run, then batches as they come."""

    def constants(self, constants: Mapping[str, Constant]) -> None:
        """Record parameters that do not vary, by name; those that are there already stay."""

    def grow(self, n: int) -> None:
        """Have ``n`` runs from now on; at any moment, also while batches come in."""

    def points(self, start: int, columns: Mapping[str, Column]) -> None:
        """Record the explored values of the runs from number ``start`` on, which `grow` made room for."""

    def session(self, facts: Mapping[str, Any]) -> None:
        """Record under which circumstances the following runs are made."""


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
        self.known: dict[str, h5py.Dataset | None] = {
            name: column for name, column in group.items() if isinstance(column, h5py.Dataset)
        }
        self.types: dict[str, np.dtype[Any]] = {}

    def get(self, name: str) -> h5py.Dataset | None:
        """A column, or None where it was not used so far; only `made` makes one."""
        if name not in self.known:
            self.known[name] = self.group.get(name)
        return self.known[name]

    def grow(self, n: int) -> None:
        """Have ``n`` rows from now on."""
        self.n = n
        for name, column in self.known.items():
            if column is not None and name != "status":  # that is the table's
                column.id.set_extent((n,))

    def made(self, name: str, dtype: Any) -> h5py.Dataset:
        """A column, made if it was not used so far."""
        column = self.get(name)
        if column is None:
            blank = MARKS.get(f"runs/{name}")
            column = self.known[name] = create_column(self.group, name, self.n, np.dtype(dtype), blank=blank)
        return column

    def put(self, name: str, dtype: Any, rows: Index, values: Any) -> None:
        """Write values at ascending rows of a column, made if it was not used so far."""
        column = self.made(name, dtype)
        if name not in self.types:
            self.types[name] = column.dtype
        put(column, rows, np.asarray(values, self.types[name]), self.types[name])


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
        self.table = Table(self.root, placed=0 if self.is_new else len(self.root["runs/status"]))
        self.runs = RunColumns(self.root["runs"], self.table.n)
        self.grow(n)
        self.files: FileTable | None = None  # once a run has attached any
        self.has_checkpoints = "checkpoint" in self.runs.group
        self.said = ReportTable(self.runs.group)
        self.feeds = json.loads(self.root.attrs.get(FEEDS, "{}"))
        self.session_number = 1
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
        if n <= self.table.n:
            return
        self.table.grow(n)
        self.runs.grow(n)

    def describe_columns(self, about: Mapping[Key, tuple[Note, str, bool]]) -> None:
        """Comment and unit, origin, and whether it is explored, of columns that will be written."""
        self.table.about.update(about)

    # Before the first run

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Say what the experiment is."""
        fresh = {} if "created" in self.root.attrs else {"simkit_format": FORMAT, "created": time.time()}
        self.root.attrs.update({**fresh, **attributes})
        self.feeds = json.loads(attributes.get(FEEDS, "null")) or self.feeds

    def constants(self, constants: Mapping[str, Constant]) -> None:
        """Parameters that do not vary, by name; one that earlier runs did not have is a column, see `vary`."""
        anew = self.table.attempted().any()
        for name, constant in constants.items():
            if anew and not self.table.has(name):
                self.table.begin(name, *constant)
            else:
                write_constant(self.root, name, *constant)

    def vary(self, values: Mapping[str, Any], runs: Sequence[int] | Index | range, *, changed: bool) -> None:
        """Constants that differ from those recorded become columns: old values for old runs, new ones for new.

        What the runs to come don't have any more is absent in them.
        """
        rows = np.asarray(runs)
        for name, value in values.items():
            if ("parameters", name) not in self.table.sinks:
                recorded = decode(read_constant(self.root[place("parameters", name)]))[0]
                if not changed or same(recorded, value):
                    continue
                self.table.widen(name)
            self.table.repeat(name, rows, encode([value]))
        if changed:
            self.table.end_others(values, rows)

    def free(self, varying: Container[str], fixed: Container[str], explored: Container[str]) -> None:
        """Recorded constants that differ between runs by now become columns, with their value in all runs so far.

        Parameters
        ----------
        varying
            Names, or groups of them; those that are fixed all the same are left out.
        """
        for name, node in list(names_in(self.root["parameters"])):
            parts = name.split(".")
            differs = any(".".join(parts[: i + 1]) in varying for i in range(len(parts)))
            if (
                differs
                and name not in fixed
                and node.attrs.get("constant", False)
                and AFTER not in node.attrs
            ):
                self.table.free(name, explored=name in explored)

    @property
    def explored(self) -> list[str]:
        """The names that are explored, as they were described last."""
        return list(json.loads(self.root.attrs.get("explored", "[]")))

    def groups(self, comments: Mapping[str, str]) -> None:
        """What the groups of parameters are."""
        for name, comment in comments.items():
            if (path := place("parameters", name)) in self.root:
                self.root[path].attrs["comment"] = comment

    def points(self, start: int, columns: Mapping[str, Column]) -> None:
        """The explored values of the runs from number ``start`` on."""
        for name in [name for name in columns if name in MARKS]:
            column = columns[name]
            mark = self.runs.made(name.removeprefix("runs/"), "i8")
            mark[start : start + column.n] = _leaf_rows(column)
        fed = tuple(f"{name}." for name in self.feeds)
        values = {name: column for name, column in columns.items() if name not in MARKS}
        self.table.points(start, values, [name for name in values if name.startswith(fed)])

    def declare(self, declared: Index | None) -> None:
        """Which of the runs are declared at present; None means all."""
        if declared is not None or self.runs.get(DECLARED) is not None:
            self.runs.made(DECLARED, "u1")[:] = True if declared is None else declared

    def session(self, facts: Mapping[str, Any]) -> None:
        """Under which circumstances the following runs are made."""
        self.session_group = write_session(self.root["info"], facts)
        self.session_number = len(numbers(self.root["info"]))
        if self.session_number > 1 and self.runs.get("session") is None:
            self.runs.made("session", "u2")[:] = np.where(self.table.attempted(), 1, 0)

    def resume_session(self) -> None:
        """Go on with the last session, whose file was closed meanwhile."""
        names = numbers(self.root["info"])
        self.session_number, self.session_group = len(names), self.root["info"][names[-1]]

    def mark(self, name: str, runs: Index, values: Any) -> None:
        """What is known of some runs besides values, in a column such as ``runs/told``."""
        self.runs.put(name.removeprefix("runs/"), "i8", runs, values)

    def inputs(self, inputs: Mapping[str, Content]) -> None:
        """Files that the session's runs read; counts with the next `commit`."""
        if inputs:
            write_inputs(self.root["info"], inputs, self.session_number)

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
        self._put_facts(batch, batch.runs)
        runs, again = self.runs.group, self.table.status[batch.runs] != Status.PENDING
        if again.any():
            forget(runs, batch.runs[again])
        self.said.settle(batch)
        refused = self.table.put(batch)
        status = self.table.status[batch.runs]
        if self.has_checkpoints:
            forget_checkpoints(runs, batch.runs[status == Status.DONE])
        errors = {**batch.errors, **refused}
        write_texts(runs, "error", refused)
        write_texts(runs, "error", batch.errors)
        write_texts(runs, "log", batch.logs)
        write_notes(runs, batch.notes)
        write_commands(runs, batch.commands)
        self._put_files(batch)
        self.waiting += batch.nbytes
        return attrs.evolve(batch, status=status, errors=errors) if refused else batch

    def _put_files(self, batch: Batch) -> None:
        """What runs attached; the copies are not needed any more."""
        if batch.files:
            self.files = self.files or FileTable(self.root["runs"])
            self.files.add(batch.files)
            self.waiting += sum(file.size for _, file in batch.files if file.data is None)
            discard(batch)

    def _put_facts(self, batch: Batch, rows: Index) -> None:
        """When, how long, where, and in which session and attempt."""
        runs = self.runs
        runs.put("started", "f8", rows, batch.started)
        runs.put("seconds", "f4", rows, batch.seconds)
        runs.put("worker", "i2", rows, np.full(len(rows), batch.worker, "i2"))
        if self.session_number > 1:
            runs.put("session", "u2", rows, np.full(len(rows), self.session_number, "u2"))
        self._count_attempts(rows)
        if runs.get("source") is not None:  # a merged run that is tried again was made here
            runs.put("source", "u4", rows, np.zeros(len(rows), "u4"))
        if batch.seeds is not None:
            runs.put("seed", "u8", rows, batch.seeds)

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a run's state and new rows; they count with the next `commit`."""
        write_checkpoint(self.runs.group, checkpoint)
        self.has_checkpoints = True
        self.waiting += checkpoint.nbytes

    def reports(self, reports: Sequence[RunReport]) -> None:
        """Record what runs reported and were answered; it counts with the next `commit`."""
        self.waiting += 48 * self.said.add(reports)

    def _count_attempts(self, rows: Index) -> None:
        """Which try of each run this is; counted once a run is tried again."""
        again = self.table.status[rows] != Status.PENDING
        fresh = self.runs.get("attempt") is None
        if fresh and not again.any():
            return
        column = self.runs.made("attempt", "u2")
        if fresh:
            column[:] = self.table.attempted()
        put(column, rows, read_rows(column, rows) + 1)

    # Committing

    @property
    def is_gone(self) -> bool:
        """Whether the file is not at its place any more, as the last commit saw."""
        return self.store.is_gone

    def catch_up(self) -> None:
        """Write to the file what waits in its log for readers to go, if they have gone."""
        self.store.catch_up()

    def is_due(self, gathered: int = 0) -> bool:
        """Whether a commit pays now although more runs are coming in.

        Parameters
        ----------
        gathered
            Bytes that are not put yet.
        """
        elapsed, waiting = time.perf_counter() - self.last, self.waiting + gathered
        return waiting > _BYTES or (waiting > 0 and elapsed > max(INTERVAL, _SHARE * self.store.cost))

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
