"""What is to be executed, and in which portions?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

import attrs
import numpy as np

from simkit.declare.forms import Index, Values
from simkit.values.batch import Batch, Portion, Restored, Status


class Agenda(Protocol):
    """What is to be executed: a list of runs, what a strategy asks for, what a user feeds."""

    def take(self, count: int) -> Portion | None:
        """At most this many runs; None when there is nothing to do before further batches are settled."""

    def settle(self, batch: Batch) -> Batch:
        """Hear what became of runs; the batch that is returned says which of them will be tried again."""


class Worklist:
    """An agenda of runs that are known from the start, in order; no object per run is kept.

    Parameters
    ----------
    runs
        Ascending run numbers, as an array or a range.
    points
        Gives the explored values at some runs.
    retries
        How often a run that is not done is tried again; such a run is executed by itself.
    restorable
        The latest checkpoints by run number; may change while the runs are executed.
    workers
        How many processes share the runs: none of them takes more than half of its share of what is left.
    memory
        How many bytes a run may have; None is no limit.
    memory_on_retry
        How many times as much it gets when it is tried again because that was too little.
    """

    def __init__(
        self,
        runs: Index | range,
        points: Callable[[Index], Mapping[str, Values]],
        *,
        retries: int = 0,
        restorable: Mapping[int, Restored] | None = None,
        workers: int = 0,
        memory: int | None = None,
        memory_on_retry: float = 1.0,
    ) -> None:
        self.runs, self.points, self.retries, self.workers = runs, points, retries, workers
        self.restorable = {} if restorable is None else restorable
        self.next = 0
        self.again: list[int] = []
        self.tried: dict[int, int] = {}
        self.memory, self.memory_on_retry = memory, memory_on_retry
        self.larger: dict[int, int] = {}  # the memory of runs that had too little

    def take(self, count: int) -> Portion | None:
        """The next runs; one that is tried again comes first and alone."""
        if self.again:
            run = self.again.pop(0)
            return attrs.evolve(self._portion(np.array([run])), memory=self.larger.get(run))
        left = len(self.runs) - self.next
        if not left:
            return None
        count = max(1, min(count, left // (2 * self.workers))) if self.workers else count
        runs = self.runs[self.next : self.next + count]
        self.next += len(runs)
        return self._portion(np.arange(runs.start, runs.stop) if isinstance(runs, range) else runs)

    def _portion(self, runs: Index) -> Portion:
        return Portion(runs, self.points(runs), self.restorable)

    def settle(self, batch: Batch) -> Batch:
        """Keep the runs that are not done and may be tried again; the batch names them."""
        if not self.retries or (batch.status == Status.DONE).all():
            return batch
        failed = batch.runs[batch.status != Status.DONE].tolist()
        again = [run for run in failed if self.tried.get(run, 0) < self.retries]
        self.tried.update({run: self.tried.get(run, 0) + 1 for run in again})
        self.again.extend(again)
        for run in again:
            if self.memory is not None and _had_too_little(batch.errors.get(run, "")):
                self.larger[run] = int(self.larger.get(run, self.memory) * self.memory_on_retry)
        return attrs.evolve(batch, again=tuple(again))


def _had_too_little(error: str) -> bool:
    """Whether a run may have ended for want of memory: it was told so, or died as programs do that don't look."""
    return bool(re.search(r"^[\w.]*MemoryError\b|killed by SIG(KILL|SEGV|ABRT)", error, re.MULTILINE))


class Feed:
    """What an engine executes next: what came back unexecuted, then what the agenda hands out.

    Parameters
    ----------
    agenda
        Hands out further runs.
    """

    def __init__(self, agenda: Agenda) -> None:
        self.agenda = agenda
        self.returned: list[Portion] = []
        self.is_dry = False  # the agenda had nothing when it was asked last, so some worker has nothing to do

    def take(self, count: int) -> Portion | None:
        """At most this many runs; of what came back at most half where another worker has nothing to do."""
        if not self.returned:
            portion = self.agenda.take(count)
            self.is_dry = portion is None
            return portion
        portion = self.returned.pop(0)
        size = min(count, (len(portion) + 1) // 2 if self.is_dry else len(portion))
        if size == len(portion):
            return portion
        self.returned.insert(0, portion.part(size, len(portion)))
        return portion.part(0, size)

    def has_more(self) -> bool:
        """Whether there is anything to execute now."""
        if not self.returned and (portion := self.agenda.take(1)) is not None:
            self.returned.append(portion)
        return bool(self.returned)

    def put_back(self, portion: Portion, executed: int) -> None:
        """Keep the runs of a portion that its worker did not come to."""
        if executed < len(portion):
            self.returned.append(portion.part(executed, len(portion)))

    def put_back_singly(self, portion: Portion, executed: int = -1) -> None:
        """Keep the runs of a portion that was lost, each to be executed alone.

        Parameters
        ----------
        executed
            The number of a run that is to be left out.
        """
        kept = [row for row, run in enumerate(portion.runs.tolist()) if run != executed]
        self.returned[:0] = [portion.part(row, row + 1) for row in kept]


SECONDS = 0.02  # of work per portion
RUNS = 20_000
BYTES = 4 << 20


def next_size(size: int, runs: int, seconds: float, nbytes: int) -> int:
    """How many runs the next portion shall have.

    Parameters
    ----------
    size
        How many runs the last portion had.
    runs, seconds, nbytes
        How many of them were executed, how long that took, and how large their results are.
    """
    if not runs:
        return 1
    by_time = int(SECONDS * runs / max(seconds, 1e-9))
    by_bytes = int(BYTES * runs / max(nbytes, 1))
    return max(1, min(by_time, by_bytes, size * 4, RUNS))
