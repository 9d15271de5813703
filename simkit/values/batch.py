"""Runs on their way: a portion is to be executed, a batch was, a checkpoint lies between."""

from __future__ import annotations

import enum
import operator
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import attrs
import numpy as np

from simkit.declare.attachment import Attachment
from simkit.declare.external import Command
from simkit.declare.forms import Array, Index, Values
from simkit.values.columns import Column, concatenated
from simkit.values.decode import decode
from simkit.values.instances import loaded, revived


class Status(enum.IntEnum):
    """The outcome of a run, as the numbers in ``runs/status``."""

    PENDING = 0
    DONE = 1
    FAILED = 2
    TIMEOUT = 3
    CRASHED = 4

    @property
    def word(self) -> str:
        """As users read it: ``done``, ``failed`` …"""
        return self.name.lower()


WORDS = tuple(status.word for status in Status)


def tally(status: Array) -> dict[str, int]:
    """How many runs have each status."""
    counts = np.bincount(status, minlength=len(Status))
    return {one.word: int(counts[one]) for one in Status if counts[one]}


class Heard(NamedTuple):
    """A warning of Python's: what it said, and where."""

    category: str
    text: str
    file: str
    line: int


_DONE = bytes([Status.DONE])  # of few runs, as they mostly are, bytes are compared sooner than arrays


@attrs.frozen(eq=False)
class Batch:
    """``n`` runs, executed together; row j of each array and column belongs to ``runs[j]``.

    Attributes
    ----------
    runs
        Run numbers, ascending, shape ``(n,)``.
    status
        `Status` values, ``uint8``.
    started
        Seconds since the epoch.
    seconds
        How long each run took, fixtures included.
    parameters
        The varying parameters that were computed for these runs.
    results
        Rows of runs that are not done are absent.
    seeds
        The runs' seeds, where one was requested.
    errors, logs
        Text by run number, where there is any.
    notes
        ``(run number, name, text)``; the name is empty for a remark on the run.
    files
        What runs attached, each with its run number.
    commands
        The programs that runs have run, each with its run number.
    reported
        How many things a run had said of itself when it ended, by run number; others had said nothing.
    worker
        The number of the process, or one for each run; 0 is the owner.
    warnings
        What the first run did that its author may not know of: the name that silences it, and the text.
    again
        Runs that are not done and will be tried once more in this session.
    heard
        Python's warnings in these runs, each with the number of runs that gave it.
    readings
        The files that the runs of this process read or wrote, where no earlier batch said so.
    nbytes
        About how much memory the batch takes; measured once, and pickled with it.
    """

    runs: Index
    status: Array
    started: Array
    seconds: Array
    parameters: Mapping[str, Column] = attrs.field(factory=dict)
    results: Mapping[str, Column] = attrs.field(factory=dict)
    seeds: Array | None = None
    errors: Mapping[int, str] = attrs.field(factory=dict)
    logs: Mapping[int, str] = attrs.field(factory=dict)
    notes: tuple[tuple[int, str, str], ...] = ()
    files: tuple[tuple[int, Attachment], ...] = ()
    commands: tuple[tuple[int, Command], ...] = ()
    reported: Mapping[int, int] = attrs.field(factory=dict)
    worker: int | Array = 0
    again: tuple[int, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    heard: tuple[tuple[Heard, int], ...] = ()
    readings: tuple[Any, ...] = ()
    nbytes: int = attrs.field()

    @nbytes.default
    def _measured(self) -> int:
        columns = (*self.parameters.values(), *self.results.values())
        texts = sum(map(len, self.logs.values()))
        files = sum(one.data.nbytes for _, one in self.files if one.data is not None) if self.files else 0
        return 24 * len(self.runs) + sum(column.nbytes for column in columns) + texts + files

    def __reduce__(self) -> Any:
        return Batch, _fields(self)

    @property
    def count(self) -> int:
        """How many runs there are."""
        return len(self.runs)

    @property
    def has_seeds(self) -> bool:
        """Whether the runs' seeds are known."""
        return self.seeds is not None

    @property
    def is_done(self) -> bool:
        """Whether all of its runs are done."""
        return self.status.tobytes().count(_DONE) == len(self.status)

    @property
    def largest(self) -> int:
        """No array of it has more bytes than this."""
        columns = (*self.parameters.values(), *self.results.values())
        return max(8 * len(self.runs), *(column.nbytes for column in columns), 0)


_NAMES = tuple(field.name for field in attrs.fields(Batch))
_fields = operator.attrgetter(*_NAMES)


def discard(batch: Batch) -> None:
    """Remove the copies of large files that were attached, where nobody records them."""
    for _, file in batch.files:
        file.discard()


def one_batch(batches: Sequence[Batch]) -> Batch:
    """All runs of some batches, no run being in two of them, as one batch."""
    if len(batches) == 1:
        return batches[0]
    runs = np.concatenate([batch.runs for batch in batches])
    order = None if (runs[1:] > runs[:-1]).all() else np.argsort(runs)

    def ordered(parts: Sequence[Any]) -> Array:
        return np.concatenate(parts) if order is None else np.concatenate(parts)[order]

    def one_column(parts: Sequence[Column]) -> Column:
        return concatenated(parts) if order is None else concatenated(parts).take(order)

    def columns(each: Sequence[Mapping[str, Column]]) -> dict[str, Column]:
        names = dict.fromkeys(chain.from_iterable(each))
        if len({*map(frozenset, each)}) == 1:
            return {name: one_column([one[name] for one in each]) for name in names}
        nothing = [Column(len(batch.runs), ()) for batch in batches]
        return {
            name: one_column([one.get(name, none) for one, none in zip(each, nothing, strict=True)])
            for name in names
        }

    def by_run(each: Sequence[Mapping[int, Any]]) -> dict[int, Any]:
        return {run: said for one in each if one for run, said in one.items()}

    def workers() -> Array:
        if len(runs) == len(batches):
            return ordered([np.array([int(batch.worker) for batch in batches])])
        return ordered([np.broadcast_to(batch.worker, len(batch.runs)) for batch in batches])

    each = dict(zip(_NAMES, zip(*map(_fields, batches), strict=True), strict=True))
    seeds = [one for one in each["seeds"] if one is not None]
    names = ("notes", "files", "commands", "again", "warnings", "heard", "readings")
    lists: dict[str, Any] = {name: tuple(chain.from_iterable(each[name])) for name in names}
    return Batch(
        ordered([runs]),
        ordered(each["status"]),
        ordered(each["started"]),
        ordered(each["seconds"]),
        columns(each["parameters"]),
        columns(each["results"]),
        ordered(seeds) if len(seeds) == len(batches) else None,
        by_run(each["errors"]),
        by_run(each["logs"]),
        reported=by_run(each["reported"]),
        worker=workers(),
        nbytes=sum(each["nbytes"]),
        **lists,
    )


@attrs.define(eq=False)
class RunReport:
    """What a run says of itself while it goes on: a value, or the question whether it shall stop.

    Attributes
    ----------
    step
        The step of the run that it has come to; of a question, the last one that it reported.
    value
        None for a question.
    place
        How many things the run had said before; those of an attempt that it goes on from are counted.
    stop
        The answer to a question; whoever is given one sets it before asking for more.
    is_late
        Whether it is heard only when the run is over, and was answered by nobody.
    asked, told
        How many points a strategy had asked for, and how many answers it had been given, when it heard this; -1 where
        it did not.
    """

    run: int
    step: int
    value: float | None = None
    place: int = 0
    stop: bool = False
    is_late: bool = False
    asked: int = -1
    told: int = -1

    @property
    def waits(self) -> bool:
        """Whether the run waits for an answer."""
        return self.value is None


@attrs.frozen(eq=False)
class Checkpoint:
    """A run's state at one moment, and the rows it appended since the last one.

    Attributes
    ----------
    state
        One row: a dictionary of ``state`` as the user gave it, of the results ``added`` so far, and of what the run
        ``said`` of itself, if anything.
    rows
        The new rows of each series.
    first
        Whether it is the first of an attempt that did not restore: older ones do not count any more.
    """

    run: int
    state: Column
    rows: Mapping[str, Column]
    first: bool
    waits = True  # its run waits until it is committed
    stop = False

    @property
    def nbytes(self) -> int:
        """About how much memory it takes, in bytes."""
        return self.state.nbytes + sum(column.nbytes for column in self.rows.values())


@attrs.frozen
class Teardown:
    """What came of it when the fixtures that runs shared were torn down.

    Attributes
    ----------
    problems
        What went wrong.
    printed
        What each process printed meanwhile; not in the owner's process, where it is seen at once.
    """

    problems: tuple[str, ...] = ()
    printed: tuple[str, ...] = ()


@attrs.frozen(eq=False)
class Restored:
    """Where a new attempt may begin, as columns: pickling values on the way to a worker could change them.

    Attributes
    ----------
    state
        As in `Checkpoint`.
    series
        The columns that each series consists of so far.
    """

    state: Column
    series: Mapping[str, tuple[Column, ...]]

    def values(
        self,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, list[Any]], dict[str, Array], list[tuple[str, Any]]]:
        """The user's state, the results added, series, what was said, generators; instances of loaded classes."""
        saved = revived(decode(self.state)[0], loaded)
        series = {
            name: [revived(row, loaded) for column in columns for row in decode(column)]
            for name, columns in self.series.items()
        }
        return saved["state"], saved["added"], series, saved.get("said", {}), saved.get("streams", [])


@attrs.frozen(eq=False)
class Portion:
    """``n`` runs to be executed, and all that is known of them; row j of each point belongs to ``runs[j]``.

    Attributes
    ----------
    runs
        Run numbers, ascending, shape ``(n,)``.
    points
        The explored values at these runs, by name.
    restorable
        Checkpoints of earlier attempts, by run number; other runs may be in it, too.
    memory
        How many bytes these runs may have, if not what the experiment says.
    stops
        At which step runs shall be told to stop, by run number, where that was decided before; None where it was
        not, and they ask.
    """

    runs: Index
    points: Mapping[str, Values]
    restorable: Mapping[int, Restored] = attrs.field(factory=dict)
    memory: int | None = None
    stops: Mapping[int, int] | None = None

    def __len__(self) -> int:
        return len(self.runs)

    def part(self, start: int, stop: int) -> Portion:
        """Some of the runs, by their positions."""
        return self.chosen(np.arange(start, stop))

    def chosen(self, rows: Index) -> Portion:
        """Some of the runs, by their positions, ascending."""
        points = {name: values.take(rows) for name, values in self.points.items()}
        return Portion(self.runs[rows], points, self.restorable, self.memory, self.stops)


class Checkpoints:
    """The latest checkpoint of each run that is not done."""

    def __init__(self, known: Mapping[int, Restored] | None = None) -> None:
        self.known = dict(known or {})

    def take(self, checkpoint: Checkpoint) -> None:
        """Remember a checkpoint."""
        before = None if checkpoint.first else self.known.get(checkpoint.run)
        series = {} if before is None else dict(before.series)
        for name, column in checkpoint.rows.items():
            series[name] = (*series.get(name, ()), column)
        self.known[checkpoint.run] = Restored(checkpoint.state, series)

    def forget(self, runs: Iterable[int]) -> None:
        """These runs are done."""
        for run in runs if self.known else ():
            self.known.pop(run, None)
