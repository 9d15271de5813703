"""Which points get further trials, after what their trials gave so far?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from simkit.collect.plan import Plan
from simkit.declare.forms import Array, Index, Subset
from simkit.declare.space import Space
from simkit.declare.trials import Until
from simkit.errors import SimkitError, listed
from simkit.execute.agenda import Agenda
from simkit.inform.progress import assignments
from simkit.record.recorded import Recorded
from simkit.resume.continuing import Continuation
from simkit.resume.points import Points
from simkit.values.batch import Batch, Portion, Status
from simkit.values.columns import Column
from simkit.values.decode import as_array


@attrs.define(eq=False)
class Trials:
    """The trials of all points, by run number.

    Attributes
    ----------
    numbers
        Which trial of which point each run is: ``point * most + trial``; -1 where it is not declared any more.
    status
        What became of each run.
    results
        What each run gave under the names in the condition; NaN where it gave no number.
    is_chosen
        Which runs shall be executed, and their points be given further trials; None means all.
    """

    until: Until
    numbers: Index
    status: Array
    results: dict[str, Array]
    is_chosen: Array | None = None
    known: dict[str, None] = attrs.field(factory=dict)  # all names of results
    problem: str = ""  # a result that is no number; told when the runs before it are recorded

    def take(self, batch: Batch) -> None:
        """Remember what became of runs."""
        self.status[batch.runs] = batch.status
        columns = {**batch.parameters, **batch.results}
        self.known.update(dict.fromkeys(columns))
        for name in self.results:
            if name in columns:
                self.results[name][batch.runs] = self._floats(name, columns[name])

    def read(self, recorded: Recorded) -> None:
        """Remember what is recorded."""
        self.known.update(dict.fromkeys(recorded.names("results")))
        for batch in recorded.batches(np.arange(len(recorded)), [n for n in self.results if n in self.known]):
            self.take(batch)

    def following(self) -> Index:
        """The numbers of the trials that are to follow: a round for each point that is not known well enough.

        A point waits as long as one of its runs is pending, and gets no further trial where all trials of its
        last round failed.
        """
        if self.problem:
            raise SimkitError(self.problem)
        point, trial, runs = self._runs()
        if not len(runs):
            return np.empty(0, np.int64)
        points, row = np.unique(point, return_inverse=True)
        count = np.bincount(row)
        is_settled = np.bincount(row, self.status[runs] == Status.PENDING) == 0
        is_last = trial >= (count - self.until.first.times)[row]
        is_alive = np.bincount(row, is_last & (self.status[runs] == Status.DONE)) > 0
        open_points = is_settled & is_alive & (count < self.until.most)
        if self.is_chosen is not None:
            open_points &= np.bincount(row, self.is_chosen[runs]) > 0
        open_points[open_points] &= ~self._enough(points, row, trial, runs)[open_points]
        stop = np.minimum(count + self.until.first.times, self.until.most)
        rounds = [
            np.arange(count[i], stop[i]) + points[i] * self.until.most for i in np.flatnonzero(open_points)
        ]
        return np.concatenate(rounds) if rounds else np.empty(0, np.int64)

    def _runs(self) -> tuple[Index, Index, Index]:
        """Point, trial and number of the runs that are declared."""
        runs = np.flatnonzero(self.numbers >= 0)
        point, trial = np.divmod(self.numbers[runs], self.until.most)
        return point, trial, runs

    def _enough(self, points: Index, row: Index, trial: Index, runs: Index) -> Array:
        """For which points the condition holds."""
        shape = len(points), int(trial.max()) + 1
        tables = {name: np.full(shape, np.nan) for name in self.results}
        is_done = self.status[runs] == Status.DONE
        for name, table in tables.items():
            if name not in self.known and is_done.any():
                names = listed(name, self.known)
                msg = f"{self.until.where}: until={self.until.test!r}: no run gave {name!r}\n    results: {names}"
                raise SimkitError(msg)
            table[row[is_done], trial[is_done]] = self.results[name][runs[is_done]]
        return self.until.is_enough(tables, self.until.first.inner.at(points))

    def _floats(self, name: str, column: Column) -> Array:
        """A result as numbers, NaN where a run has none."""
        array: Any = as_array(column) if column.variants else np.full(column.n, np.nan)
        data = np.ma.getdata(array) if isinstance(array, np.ma.MaskedArray) else np.asarray(array)
        if data.ndim != 1 or data.dtype.kind not in "biuf":
            kind = f"an array of shape {data.shape[1:]}" if data.ndim > 1 else f"of type {data.dtype}"
            self.problem = f"{self.until.where}: until={self.until.test!r}: {name!r} is no number, but {kind}"
            return np.full(column.n, np.nan)
        floats = np.array(data, float)
        floats[np.ma.getmaskarray(array)] = np.nan
        return floats

    def extended(self, points: Points) -> Points:
        """The points with a further round, which is to be executed."""
        numbers = self.following()
        return self.append(numbers, points) if len(numbers) else points

    def append(self, numbers: Index, points: Points) -> Points:
        """Have these trials as further runs; the points with them, the new ones to be executed."""
        start, size = len(self.numbers), len(numbers)
        self.numbers = np.concatenate([self.numbers, numbers])
        self.status = np.concatenate([self.status, np.zeros(size, self.status.dtype)])
        self.results = {k: np.concatenate([v, np.full(size, np.nan)]) for k, v in self.results.items()}
        if self.is_chosen is not None:
            self.is_chosen = np.concatenate([self.is_chosen, np.ones(size, bool)])
        declared = points.declared
        if declared is not None:
            declared = np.concatenate([declared, np.ones(size, bool)])
        space = Space(self.until.chosen(np.maximum(self.numbers, 0)))
        return Points(space, range(start, start + size), points.recorded, start + size, declared)

    @property
    def words(self) -> str:
        """How many points are known well enough, and which are not."""
        point, trial, runs = self._runs()
        points, row = np.unique(point, return_inverse=True)
        enough = self._enough(points, row, trial, runs)
        said = f"until {self.until.test}: {int(enough.sum())} of {len(points)} points"
        if enough.all():
            return said
        count, lacking = np.bincount(row), np.flatnonzero(~enough)
        inner = Space(self.until.first.inner)
        shown = [
            f"{assignments(inner[points[i]])} ({count[i]} trials)" for i in lacking[:_MOST_SHOWN].tolist()
        ]
        rest = f", … ({len(lacking) - _MOST_SHOWN} more)" if len(lacking) > _MOST_SHOWN else ""
        return f"{said}; not at {', '.join(shown)}{rest}"


_MOST_SHOWN = 5


def trials_of(plan: Plan, target: Continuation, is_chosen: Array | None) -> Trials | None:
    """The trials so far, where the plan's space repeats its points until something holds.

    Parameters
    ----------
    plan
        With the space as it was declared.
    target
        Where the runs go, and the points in the order of the file.
    is_chosen
        Which of them were asked for; None means all.
    """
    until, points = plan.space.form, target.points
    if not isinstance(until, Until):
        return None
    numbered = points.space.form
    assert isinstance(numbered, Subset)  # as `fresh_points` and `continued_points` make it
    numbers = numbered.index if points.declared is None else np.where(points.declared, numbered.index, -1)
    results = {name: np.full(points.n, np.nan) for name in until.results}
    trials = Trials(until, numbers, np.zeros(points.n, "u1"), results, is_chosen)
    if target.status is not None:
        recorded = target.slot.open()
        try:
            trials.read(recorded)
        finally:
            recorded.close()
    return trials


class Rounds:
    """An agenda that gives points further trials as long as their results are not known well enough.

    All points go through their rounds together: so the runs have the same numbers, and with them the same
    random streams, whichever of them is over first.

    Parameters
    ----------
    trials
        The trials so far.
    first
        Those that are to be executed.
    append
        Has further trials recorded, given their numbers, and makes their agenda.
    """

    def __init__(self, trials: Trials, first: Agenda, append: Callable[[Index], Agenda]) -> None:
        self.trials, self.current, self.append = trials, first, append
        self.under_way = 0

    def take(self, count: int) -> Portion | None:
        """The next runs of this round; after the last one is settled, those of the next."""
        portion = self.current.take(count)
        if portion is None and not self.under_way:
            numbers = self.trials.following()
            if len(numbers):
                self.current = self.append(numbers)
                portion = self.current.take(count)
        self.under_way += 0 if portion is None else len(portion)
        return portion

    def settle(self, batch: Batch) -> Batch:
        """Hear what became of runs."""
        batch = self.current.settle(batch)
        self.under_way -= len(batch.runs)
        self.trials.take(batch)
        return batch
