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


_LEAST = 50  # the smallest portion as a part of the largest: a message costs as much as a millisecond of work


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
        How many processes share the runs: none of them takes more than half of its share of what is left, unless
        that is hardly worth a message.
    memory
        How many bytes a run may have; None is no limit.
    memory_on_retry
        How many times as much it gets when it is tried again because that was too little.
    together
        How many runs one call computes at most, as in `Plan`.
    stops
        As in `Portion`.
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
        together: int | None = None,
        stops: Mapping[int, int] | None = None,
    ) -> None:
        self.runs, self.points, self.retries, self.workers = runs, points, retries, workers
        self.together, self.stops = together, stops
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
        count = min(count, max(self._share(left), count // _LEAST)) if self.workers else count
        runs = self.runs[self.next : self.next + count]
        self.next += len(runs)
        return self._portion(np.arange(runs.start, runs.stop) if isinstance(runs, range) else runs)

    def _share(self, left: int) -> int:
        """How many of the runs that are left one process takes at most: calls of many are not cut up at the end."""
        if self.together is None:
            return max(1, left // (2 * self.workers))
        return max(self.together, -(-len(self.runs) // self.workers))

    def _portion(self, runs: Index) -> Portion:
        return Portion(runs, self.points(runs), self.restorable, stops=self.stops)

    def settle(self, batch: Batch) -> Batch:
        """Keep the runs that are not done and may be tried again; the batch names them."""
        if not self.retries or batch.is_done:
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

    def has_more(self, count: int = 1) -> bool:
        """Whether there is anything to execute now; at most so many runs are taken to find out."""
        if not self.returned and (portion := self.agenda.take(count)) is not None:
            self.returned.append(portion)
        return bool(self.returned)

    def put_back(self, portion: Portion, executed: int) -> None:
        """Keep the runs of a portion that its worker did not come to."""
        if executed < len(portion):
            self.returned.append(portion.part(executed, len(portion)))

    def put_back_halves(self, portion: Portion) -> None:
        """Keep the runs of a call that was lost with its process, in two calls."""
        middle = len(portion) // 2
        self.returned[:0] = [portion.part(0, middle), portion.part(middle, len(portion))]

    def put_back_singly(self, portion: Portion, executed: int = -1) -> None:
        """Keep the runs of a portion that was lost, each to be executed alone.

        Parameters
        ----------
        executed
            The number of a run that is to be left out.
        """
        kept = [row for row, run in enumerate(portion.runs.tolist()) if run != executed]
        self.returned[:0] = [portion.part(row, row + 1) for row in kept]


@attrs.frozen
class PortionSize:
    """How large a portion may be: seconds of work, runs, and bytes of results."""

    seconds: float
    runs: int
    nbytes: int


MESSAGE = PortionSize(0.05, 65_536, 4 << 20)  # to a process of this machine


def next_size(size: int, runs: int, seconds: float, nbytes: int, most: PortionSize = MESSAGE) -> int:
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
    by_time = int(most.seconds * runs / max(seconds, 1e-9))
    by_bytes = int(most.nbytes * runs / max(nbytes, 1))
    return max(1, min(by_time, by_bytes, size * 4, most.runs))


CALL = 0.1  # seconds that a call of many runs may take
_FEW, _MOST = 16, 65_536  # runs of the first calls, and of any


class Pace:
    """How many runs the next portion of one process shall have.

    Parameters
    ----------
    together
        How many runs one call computes at most, as in `Plan`. Calls of many runs have few sizes, since libraries that
        compile a function do so for each one anew; for the same reason the first call of a size does not count as slow.
    most
        How large a portion may be.

    Attributes
    ----------
    size
        Of the next portion.
    """

    def __init__(self, together: int | None = None, most: PortionSize = MESSAGE) -> None:
        self.together, self.most = together, most
        self.size = 1 if together is None else together or _FEW
        self.times: list[float] = []  # of portions of this size

    def heard(self, runs: int, seconds: float, nbytes: int) -> None:
        """Take into account how many runs of a portion were executed, how long that took, and its results' size."""
        unit = 1 if self.together is None else self.together
        if unit:
            self.size = unit * next_size(self.size // unit, runs // unit, seconds, nbytes, self.most)
        elif runs == self.size:
            self._step(seconds, nbytes)

    def _step(self, seconds: float, nbytes: int) -> None:
        self.times.append(seconds)
        best, before = min(self.times), self.size
        if best * _FEW <= CALL and nbytes * _FEW <= 4 * self.most.nbytes:
            self.size = min(self.size * _FEW, _MOST)
        elif (len(self.times) > 1 and best > CALL * _FEW) or nbytes > 4 * self.most.nbytes:
            self.size = max(1, self.size // _FEW)
        self.times = self.times[-1:] if self.size == before else []
