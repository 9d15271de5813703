"""One recorded experiment, read lazily."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import attrs
import h5py
import numpy as np

from simkit.declare.external import Command
from simkit.declare.forms import Array, Index
from simkit.errors import SimkitError, shown_path
from simkit.record.additions import Additions
from simkit.record.attachments import RecordedFile, blocks, read_commands, read_files
from simkit.record.book import About, ShardBook
from simkit.record.columns.layout import is_scalar, is_value, kind, mean_bytes, read, read_constant
from simkit.record.columns.rows import BLOCK_BYTES, Rows, read_rows
from simkit.record.facts import (
    Origin,
    Sessions,
    as_text,
    read_checkpoints,
    read_counted,
    read_fact,
    read_latest_texts,
    read_origin,
    read_text,
    read_texts,
    runs_digest,
)
from simkit.record.file.store import Store, closed_at_end, open_with_bytes
from simkit.record.file.view import LoggedView
from simkit.record.format import FEEDS, MASK, names_in, place, unreadable
from simkit.record.inspection import problem_of, problem_of_choice
from simkit.record.readings import Content, read_inputs
from simkit.record.shards import Shards, ShardSessions, stretches_of
from simkit.values.batch import Batch, Restored, RunReport, Status
from simkit.values.columns import Column
from simkit.values.decode import decode
from simkit.values.instances import Find, loaded, revived


class Recorded:
    """The group of one experiment in an open file: a `Book`.

    Attributes
    ----------
    store
        What writes to the file, where it is open for that too; closed at the latest with the process.
    advice
        How to add to it otherwise, if not by opening it again.
    """

    def __init__(
        self, path: Path, file: h5py.File, name: str, store: Store | None = None, octets: LoggedView | None = None
    ) -> None:  # fmt: skip
        self.path, self.file, self.name = Path(os.path.abspath(path)), file, name
        self._root: h5py.Group = file[name]
        self.classes: Find | None = None  # which of the user's classes to build instances of
        self.attributes: Mapping[str, Any] = dict(self.root.attrs)
        self.store, self.advice = store, ""
        self._octets = None if octets is None else weakref.ref(octets)  # it ends with the file
        self.release = file.close if store is None else weakref.finalize(self, _close, store, os.getpid())
        self.shards = self._shards()
        closed_at_end.add(self)

    @classmethod
    def open(cls, path: Path, name: str | None = None, *, writable: bool = False) -> Recorded:
        """Open one experiment of a file.

        Parameters
        ----------
        writable
            For additions too; nobody else writes it meanwhile.

        Raises
        ------
        SimkitError
            When it is no trajectory file, or holds several experiments and none is named; when it is to be
            writable and somebody else is writing it.
        """
        file, octets = open_with_bytes(path)
        with ExitStack() as refused:
            refused.callback(octets.close)
            refused.callback(file.close)
            names = [key for key in file if "simkit_format" in file[key].attrs]
            problem = problem_of_choice(path, names, name) or unreadable(path, file[name or names[0]])
            if problem := problem or problem_of(file[name or names[0]], path):
                raise SimkitError(problem)
            if not writable:
                recorded = cls(path, file, name or names[0], octets=octets)
                refused.pop_all()
                return recorded
        store = Store(path)  # only now: no file is made, and no log replayed, where none should be
        return cls(path, store.file, name or names[0], store)

    def __len__(self) -> int:
        return len(self.root["runs/status"])

    @property
    def root(self) -> h5py.Group:
        """The experiment's group."""
        if not self.file:
            msg = f"{shown_path(self.path)} is closed: open the trajectory again"
            raise SimkitError(msg)
        return self._root

    def _shards(self) -> Shards | None:
        """The files that hold the runs, where this one is the master of a set."""
        stretches = stretches_of(self._root, self.path)
        return Shards(self.path, stretches, partial(Recorded.open, name=self.name)) if stretches else None

    def close(self) -> None:
        """Close the file."""
        if self.shards is not None:
            self.shards.close()
        self.release()
        self.__dict__.pop("sections", None)  # a virtual dataset has HDF5 keep the file, even closed

    def refresh(self) -> None:
        """Read what is committed by now, from a file that was closed meanwhile."""
        self.file, octets = open_with_bytes(self.path)
        self._octets, self._root, self.release = weakref.ref(octets), self.file[self.name], self.file.close
        self.attributes, self.shards = dict(self.root.attrs), self._shards()
        for known in ("sections", "_abouts", "digest"):
            self.__dict__.pop(known, None)

    @property
    def additions(self) -> Additions:
        """What was added after the runs: derived values, remarks, second names."""
        return Additions(self.root)

    def editing(self) -> AbstractContextManager[Additions]:
        """The additions to write into; committed at the end, or as they were before if that fails.

        Raises
        ------
        SimkitError
            When the file is open for reading only.
        StorageFailed
            When the disk is full; the file is closed then.
        """
        if self.store is None:
            where = shown_path(self.path)
            advice = self.advice or f'simkit.open("{where}", mode="r+") opens it for additions'
            msg = f"{where} is open for reading only: {advice}"
            raise SimkitError(msg)
        return self._editing(self.store)

    @contextmanager
    def _editing(self, store: Store) -> Iterator[Additions]:
        try:
            yield self.additions
            store.commit()
        except BaseException:
            if isinstance(self.release, weakref.finalize):
                self.release.detach()
            store.close(failed=True)
            raise
        finally:
            for known in ("sections", "_abouts"):  # what was read before the change
                self.__dict__.pop(known, None)

    @cached_property
    def sections(self) -> dict[str, dict[str, Any]]:
        """What holds each name, by section."""
        return {
            section: dict(names_in(self.root[section]))
            for section in ("parameters", "results", "summary")
            if section in self.root
        }

    @cached_property
    def digest(self) -> str:
        """A fingerprint of the runs, as `runs_digest` makes it."""
        return runs_digest(np.asarray(self.run_column("status")), np.asarray(self.run_column("started")))

    @property
    def explored(self) -> tuple[str, ...]:
        """The explored names, in the order in which they were declared."""
        return tuple(json.loads(self.attributes.get("explored", "[]")))

    @property
    def all_feeds(self) -> dict[str, dict[str, Any]]:
        """The arguments that were made from runs of other experiments, by name.

        Of each: ``experiment``, its node id; ``by``, the names that made groups of its runs, or None; ``names``, what
        was explored there; and ``fixed``, whether they are the same runs at all points.
        """
        return dict(json.loads(self.attributes.get(FEEDS, "{}")))

    @property
    def feeds(self) -> dict[str, dict[str, Any]]:
        """Those of them that differ between points."""
        return {name: about for name, about in self.all_feeds.items() if not about["fixed"]}

    def names(self, section: str) -> list[str]:
        """The names of a section, in the order in which they were declared or turned up."""
        return list(self.sections.get(section, {}))

    def section_of(self, name: str) -> str | None:
        """Where a name stands."""
        return next((section for section, names in self.sections.items() if name in names), None)

    @cached_property
    def _abouts(self) -> dict[str, About]:
        return {}

    def _node(self, name: str) -> Any:
        """The dataset or group that holds a name's values."""
        _ = self.root  # says so if the file is closed
        return self.sections[self.section_of(name) or ""][name]

    def about(self, name: str) -> About:
        """What is known of a name besides its values; it is made once."""
        if name not in self._abouts:
            attributes = dict(self._node(name).attrs)
            flags = (bool(attributes.get("constant", False)), bool(attributes.get("explored", False)))
            texts = (str(attributes.get(key, "")) for key in ("comment", "unit", "origin"))
            self._abouts[name] = About(name, self.section_of(name) or "", *flags, *texts)
        return self._abouts[name]

    def group_comment(self, section: str, name: str) -> str:
        """The comment of a group of names."""
        return str(self.root[place(section, name)].attrs.get("comment", ""))

    def is_constant(self, name: str) -> bool:
        """Whether a name has one value for all runs."""
        return self.about(name).constant

    def row_bytes(self, name: str) -> int:
        """About how many bytes one row takes: the average where rows differ."""
        if self.shards is not None and not self.is_constant(name):
            return self.shards.row_bytes(name)
        count = 1 if self.is_constant(name) else len(self)
        return max(1, mean_bytes(self._node(name), count))

    def is_scalar(self, name: str) -> bool:
        """Whether each run's value is a number or a text."""
        return is_scalar(self._node(name))

    def is_value(self, name: str) -> bool:
        """Whether each run's value is handled as a whole, as tuples and times are too."""
        return is_value(self._node(name))

    def kind(self, name: str) -> str:
        """A name's type in a few words: ``float``, ``float64 (3, 4)``, ``ragged int64``."""
        return kind(self._node(name))

    def constant(self, name: str) -> Column:
        """A constant as a column of one row."""
        return read_constant(self._node(name))

    def derived(self, name: str) -> Column:
        """A value of the summary as a column of one row."""
        return read_constant(self.sections["summary"][name])

    def values(self, column: Column) -> list[Any]:
        """Each row's value, instances of the classes that were asked for included; `ABSENT` where there is none."""
        rows = decode(column)
        return rows if self.classes is None else [revived(row, self.classes) for row in rows]

    def column(self, name: str, rows: slice) -> Column:
        """Consecutive rows of a name that varies."""
        return self._read(name, rows)

    def rows(self, name: str, runs: Index, *, packed: bool = False) -> Column:
        """A name's rows at these run numbers, in any order; a constant is repeated.

        Parameters
        ----------
        packed
            Leave compressed arrays as they are stored, as `Packed`.
        """
        if self.is_constant(name):
            return self.constant(name).take(np.zeros(len(runs), np.int64))
        return self._read(name, _consecutive(runs), packed=packed)

    def value(self, name: str, run: int) -> Any:
        """A name's value in one run, with instances of classes that are loaded, or `ABSENT`."""
        return revived(decode(self.rows(name, np.array([run])))[0], loaded)

    def batch_size(self, names: Iterable[str]) -> int:
        """How many runs with these parameters and results memory holds at ease."""
        return max(1, BLOCK_BYTES // max(1, sum(map(self.row_bytes, names))))

    def batches(self, runs: Index, names: Collection[str], *, packed: bool = False) -> Iterator[Batch]:
        """These runs in this order, a batch being what memory holds at ease, with these parameters and results.

        Their texts and remarks are not in the batches.
        """
        parameters, results = (
            [n for n in self.names(each) if n in names] for each in ("parameters", "results")
        )
        for part in self.blocks(runs, (*parameters, *results)):
            read = partial(self.rows, runs=part, packed=packed)
            yield Batch(
                runs=part,
                status=self._run_rows(part, "status"),
                started=self._run_rows(part, "started"),
                seconds=self._run_rows(part, "seconds"),
                parameters={name: read(name) for name in parameters},
                results={name: read(name) for name in results},
                seeds=self._run_rows(part, "seed"),
            )

    def blocks(self, runs: Index, names: Sequence[str]) -> list[Index]:
        """The runs in parts that memory holds at ease; those that are pending have explored values only."""
        full = max(1, sum(self.row_bytes(name) for name in names))
        bare = max(1, sum(self.row_bytes(name) for name in names if name in self.explored))
        status = self._run_rows(runs, "status")
        sizes = np.where(status == Status.PENDING, bare, full)
        ends = np.cumsum(sizes) // BLOCK_BYTES
        return np.split(runs, np.flatnonzero(np.diff(ends)) + 1) if len(runs) else []

    def _run_rows(self, runs: Index, name: str) -> Any:
        return self.run_column(name, _consecutive(runs))

    def _read(self, name: str, rows: Rows, *, packed: bool = False) -> Column:
        if self.shards is not None:
            return self.shards.column(name, rows, self._node(name), packed=packed)
        parent, _, key = place(self.section_of(name) or "", name).rpartition("/")
        there, octets = self._there(name, rows), None if self._octets is None else self._octets()
        return read(self.root[parent], key, rows, there, packed=packed, octets=octets)

    def present(self, name: str) -> Array:
        """Which rows of a name hold a value, without reading them, shape ``(n,)``."""
        if self.shards is not None and not self.is_constant(name):
            return self.shards.present(name)
        rows = slice(0, len(self))
        mask = self.root.get(place(self.section_of(name) or "", name) + MASK)
        there = self._there(name, rows) if mask is None else read_rows(mask, rows) > 0
        return np.ones(len(self), bool) if there is None else there

    def _there(self, name: str, rows: Rows) -> Array | None:
        """Which rows are present where no mask tells; None means all."""
        section = self.section_of(name)
        if section == "parameters" and self.about(name).explored:
            return None
        status = self.run_column("status", rows)
        return np.asarray(status == Status.DONE if section == "results" else status != Status.PENDING)

    @property
    def warning_of_summary(self) -> str:
        """What to know of the derived values before using them, or nothing."""
        additions = self.additions
        return additions.warning(self.digest) if additions.followers() else ""

    @property
    def done(self) -> Index:
        """The numbers of the runs that have results."""
        return np.flatnonzero(np.asarray(self.run_column("status")) == Status.DONE)

    def run_column(self, name: str, rows: Rows | None = None) -> Array | None:
        """Status, times, seeds, trials; None where a column was not used."""
        dataset, rows = self.root.get(f"runs/{name}"), slice(0, len(self)) if rows is None else rows
        if self.shards is not None and name == "session":
            return self.shards.session_numbers(rows, Sessions(self.root["info"]))
        if dataset is None:
            return None
        if self.shards is not None:
            return self.shards.run_column(name, rows, dataset)
        return np.asarray(read_rows(dataset, rows) if isinstance(rows, np.ndarray) else dataset[rows])

    def home(self, run: int) -> tuple[ShardBook, int] | None:
        """The file that holds a run, and its number there; None while a shard is missing."""
        return (self, run) if self.shards is None else self.shards.at(run)

    def texts(self, kind: str, run: int) -> list[str]:
        """The errors, logs or notes of a run, the newest last."""
        home = self.home(run)
        return [] if home is None else read_texts(home[0].root["runs"], kind, home[1])

    def latest_texts(self, kind: str, runs: Index) -> dict[int, str]:
        """The newest error or log of each of these runs that has one."""
        if self.shards is not None:
            return self.shards.latest_texts(kind, runs)
        return read_latest_texts(self.root["runs"], kind, runs)

    def note_names(self, run: int) -> list[str]:
        """Which results a run's notes are on; empty for the run itself."""
        home = self.home(run)
        return [] if home is None else read_texts(home[0].root["runs"], "notes", home[1], "name")

    def reports(self, run: int) -> list[RunReport]:
        """What the last attempt of a run said of itself while it went on."""
        home = self.home(run)
        return [] if home is None else read_counted(home[0].root["runs"], home[1]).get(home[1], [])

    def attached(self, runs: Index | None = None) -> Iterator[RecordedFile]:
        """The files that runs attached, of these runs only if they are given."""
        if self.shards is not None:
            return self.shards.attached(np.arange(len(self)) if runs is None else runs)
        return read_files(self.root["runs"], runs)

    def attached_blocks(self, file: RecordedFile) -> Iterator[Array]:
        """The bytes of a file that a run attached, not all of them at once."""
        if self.shards is not None and (place := self.shards.at(file.run)) is not None:
            return blocks(place[0].root["runs"], attrs.evolve(file, run=place[1]))
        return blocks(self.root["runs"], file)

    def commands(self, run: int) -> list[Command]:
        """The programs that a run has run, in order."""
        home = self.home(run)
        return [] if home is None else read_commands(home[0].root["runs"], home[1])

    def checkpoints(self) -> dict[int, Restored]:
        """What runs that are not done committed last."""
        return read_checkpoints(self.root["runs"]) if self.shards is None else self.shards.checkpoints()

    @property
    def sessions(self) -> Sequence[dict[str, Any]]:
        """The circumstances of each session, read when they are asked for."""
        own = Sessions(self.root["info"])
        return own if self.shards is None else ShardSessions(own, self.shards)

    @property
    def code(self) -> dict[str, str]:
        """The code that the newest session began with, by piece; that of a set is the one that its master tells."""
        own = Sessions(self.root["info"])
        return dict(own[-1].get("code", {})) if own else {}

    @property
    def inputs(self) -> dict[str, Content]:
        """The files that runs read, by path from the rootdir."""
        return read_inputs(self.root["info"])

    def origin(self, run: int) -> Origin:
        """Where a run was recorded first; in the file itself if it was not merged."""
        if self.shards is not None:
            if (place := self.shards.at(run)) is None:
                return Origin(self.path.name, run)
            file, number = place[0].origin(place[1])
            return Origin(f"{self.shards.folder.name}/{file}", number)
        return read_origin(self.root, run) or Origin(self.path.name, run)

    def source(self, digest: str) -> str:
        """A recorded source by its digest, or the beginning of it; a BOM and odd line ends are kept."""
        return as_text(self.source_bytes(digest))

    def diff(self, session: int) -> bytes:
        """What differed from the commit in a session, counted from 1, as a patch; empty if nothing did."""
        sessions = self.sessions
        if isinstance(sessions, ShardSessions) and session > len(sessions.own):
            k, inner = sessions.place(session - 1)
            book = sessions.shards.book(k)
            return b"" if book is None else book.diff(inner + 1)
        return read_fact(self.root["info"], session, "diff")

    def source_bytes(self, digest: str) -> bytes:
        """A recorded source exactly as its file was."""
        return read_text(self.root["info"], digest)


def _consecutive(runs: Index) -> Rows:
    """The same run numbers, as a slice where that says it all."""
    first = int(runs[0]) if len(runs) else 0
    return slice(first, first + len(runs)) if (np.diff(runs) == 1).all() else runs


def _close(store: Store, owner: int) -> None:
    """Close a file for writing; a forked child that ends has no part in it."""
    if os.getpid() == owner:
        store.close()
