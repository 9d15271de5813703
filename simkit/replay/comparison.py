"""Where do batches of runs differ from the recorded runs?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from simkit.declare.forms import Array, Index
from simkit.record.recorded import Recorded
from simkit.values.batch import Batch, Status
from simkit.values.columns import Column
from simkit.values.compare import EXACT, Gap, Tolerance, differing, gap, gaps
from simkit.values.decode import decode

STATUS = "status"


@attrs.frozen(eq=False)
class Deviation:
    """A value that differs, or what became of a run.

    Attributes
    ----------
    name
        The parameter or result; `STATUS` for what became of the run.
    runs
        The run's number in the trajectory and in the batch; None for a parameter that all runs share.
    values
        The recorded one and the batch's; `ABSENT` where there is none. Words for what became of the run.
    gap
        How far they lie apart, where they are numbers.
    is_status
        Whether this is what became of the run, rather than a value that a user calls ``status``.
    """

    name: str
    runs: tuple[int, int] | None
    values: tuple[Any, Any]
    gap: Gap | None = None
    is_status: bool = False


@attrs.define(eq=False)
class Comparison:
    """Counts in how many runs each name differs, and keeps some of the differences.

    Values are compared where a run is done on both sides.

    Attributes
    ----------
    recorded
        The trajectory that batches are compared with.
    expected
        The results that each batch should have: one that it lacks differs wherever it is recorded.
    most
        How many differences to keep of each name.
    largest
        Whether to keep those that lie farthest apart, rather than those of the first runs.
    runs, both_done, differing, unfinished
        How many runs were compared; are done on both sides; differ in anything; are not done, as recorded.
    statuses
        What became of a run in the trajectory and in the batch, in words, with the number of such runs where
        the two differ.
    counts
        In how many runs each name differs.
    differences
        By name.
    outcomes
        The differences of statuses, of the first runs.
    """

    recorded: Recorded
    tolerance: Tolerance = EXACT
    expected: Collection[str] = ()
    most: int = 20
    largest: bool = False
    runs: int = 0
    both_done: int = 0
    differing: int = 0
    unfinished: int = 0
    statuses: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    counts: Counter[str] = attrs.field(factory=Counter)
    differences: dict[str, list[Deviation]] = attrs.field(factory=dict)
    outcomes: list[Deviation] = attrs.field(factory=list)
    _status: Array = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._status = np.asarray(self.recorded.run_column("status"))

    def add(self, batch: Batch, runs: Index | None = None) -> None:
        """Compare a batch with these recorded runs, shape ``(n,)``; by default with those of the same numbers."""
        runs = batch.runs if runs is None else runs
        status = self._status[runs]
        wrong = status != batch.status
        self._add_statuses(batch, runs, status, np.flatnonzero(wrong))
        done = (status == Status.DONE) & (batch.status == Status.DONE)
        known = {*self.recorded.names("parameters"), *self.recorded.names("results")}
        for name, now in self._columns(batch):
            before = self.recorded.rows(name, runs) if name in known else Column(len(runs), ())
            rows = np.flatnonzero(differing(before, now, self.tolerance) & done)
            if len(rows):
                self.counts[name] += len(rows)
                wrong[rows] = True
                self._keep(name, (runs[rows], batch.runs[rows]), before.take(rows), now.take(rows))
        self.runs += len(runs)
        self.both_done += int(done.sum())
        self.unfinished += int((~wrong & ~done).sum())
        self.differing += int(wrong.sum())

    def _columns(self, batch: Batch) -> Iterator[tuple[str, Column]]:
        """What the runs gave, and what they did not give although it is expected."""
        yield from batch.parameters.items()
        absent: Mapping[str, Column] = dict.fromkeys(self.expected, Column(len(batch.runs), ()))
        yield from {**absent, **batch.results}.items()

    def _add_statuses(self, batch: Batch, runs: Index, status: Array, rows: Index) -> None:
        pairs = np.stack([status[rows], batch.status[rows]], axis=1)
        for (old, new), number in zip(*np.unique(pairs, axis=0, return_counts=True), strict=True):
            self.statuses[Status(old).word, Status(new).word] += int(number)
        for i in rows[: self.most].tolist():
            error = batch.errors.get(int(batch.runs[i]), "").strip().rpartition("\n")[2]
            words = Status(status[i]).word, ": ".join(filter(None, (Status(batch.status[i]).word, error)))
            numbers = int(runs[i]), int(batch.runs[i])
            self.outcomes.append(Deviation(STATUS, numbers, words, is_status=True))
        self.outcomes = sorted(self.outcomes, key=_run)[: self.most]

    def _keep(self, name: str, runs: tuple[Index, Index], before: Column, now: Column) -> None:
        """Keep some of these rows, all of which differ."""
        rows = np.arange(before.n)
        if self.largest and (distances := gaps(before, now)) is not None:
            rows = np.argsort(-distances[0], kind="stable")
        rows = rows[: self.most]
        before, now = before.take(rows), now.take(rows)
        kept = self.differences.setdefault(name, [])
        for i, values in enumerate(zip(decode(before), decode(now), strict=True)):
            numbers = int(runs[0][rows[i]]), int(runs[1][rows[i]])
            row = np.array([i])
            kept.append(Deviation(name, numbers, values, gap(before.take(row), now.take(row))))
        kept.sort(key=_nearness if self.largest else _run)
        del kept[self.most :]


def _run(difference: Deviation) -> int:
    return -1 if difference.runs is None else difference.runs[0]


def _nearness(difference: Deviation) -> float:
    return 0.0 if difference.gap is None else -difference.gap.absolute


def first(differences: Collection[Deviation], most: int) -> list[Deviation]:
    """The differences of the lowest run numbers; those of all runs come before."""
    return sorted(differences, key=_run)[:most]
