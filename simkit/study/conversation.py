"""What a strategy asks for and is answered: from the file what is recorded, the rest is computed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import numpy as np

from simkit.declare.forms import ASKED, GENERATION, MARKS, TOLD, TRIAL, Array, Index
from simkit.declare.space import Space
from simkit.errors import SimkitError
from simkit.execute.agenda import Agenda, Worklist
from simkit.inform.progress import assignments
from simkit.inject.contact import RUN, STOP
from simkit.record.recorded import Recorded
from simkit.resume.points import explored_columns
from simkit.study.answers import LARGE, Answers, History, Pieces, missing_column
from simkit.study.growth import Growth
from simkit.study.interrupt import surroundings
from simkit.values.batch import WORDS, Batch, Status
from simkit.values.compare import keys
from simkit.values.decode import as_array, stacked


@attrs.define(eq=False)
class Conversation:
    """Questions and answers so far.

    Attributes
    ----------
    growth
        The trajectory that the points are added to.
    history
        What was asked for and answered in earlier sessions.
    generation
        How many times points were asked for.
    told
        How many answers were given.
    dtypes
        Of the results so far: their columns without rows.
    broken
        What ended the study, beside the strategy's own mistakes.
    recorded
        What the strategy looks at, while no run is executed.
    shut
        Why no points are taken, in words; empty while they are.
    """

    growth: Growth
    history: History
    generation: int = 0
    told: int = 0
    dtypes: dict[str, Array] = attrs.field(factory=dict)
    broken: BaseException | None = None
    recorded: Recorded | None = None
    thread: int = attrs.field(factory=threading.get_ident)
    shut: str = ""

    def run(self, space: Space, where: str) -> Answers:
        """What these points give.

        Parameters
        ----------
        where
            Who asks, and where that stands, for messages.

        Raises
        ------
        SimkitError
            For points that the experiment can't have, and once the study is over.
        KeyboardInterrupt
            When no further run shall start.
        """
        if threading.get_ident() != self.thread:
            msg = (
                f"{where}: points were asked for from another thread: ask from the one that runs the strategy"
            )
            raise SimkitError(msg)
        if self.shut:
            raise SimkitError(f"{where}: {self.shut}")
        with self.owner():
            self.check_stop()
            space = self.growth.fitted(space, where)
            try:
                return self.answers(space, *self.numbered(space, where))
            except Exception as error:
                self.broken = error
                raise

    @contextmanager
    def owner(self) -> Iterator[None]:
        """The strategy's function waits: no interrupt is raised within HDF5, and what runs here move is put back."""
        beat = self.growth.interrupt.beat
        under_way, beat[RUN] = beat[RUN], -1.0
        if self.recorded is not None:
            self.recorded.close()
        try:
            with surroundings():
                yield
        finally:
            beat[RUN] = under_way
            if self.recorded is not None:
                self.recorded.refresh()

    def check_stop(self) -> None:
        """End the strategy where no further run shall start."""
        if self.growth.stop():
            self.growth.interrupt.beat[STOP] = 1.0
            raise KeyboardInterrupt

    def numbered(self, space: Space, where: str) -> tuple[Index, Index]:
        """The run number of each point, and the runs of them that are recorded."""
        rows = self.history.take(len(space))
        same = self.matching(rows, space)
        if not same.all():
            rows = rows[: int(np.argmin(same))]
            self.diverge(
                int(self.history.runs[self.history.next - len(same) + len(rows)]), space[len(rows)], where
            )
        new = np.arange(self.growth.n, self.growth.n + len(space) - len(rows))
        runs = np.concatenate([rows, new])
        if len(rows):
            self.growth.mark(GENERATION, rows.tolist(), [self.generation] * len(rows))
        self.generation += 1
        return runs, rows

    def matching(self, rows: Index, space: Space) -> Array:
        """Which of these recorded runs are at the first points that are asked for."""
        same = np.ones(len(rows), bool)
        if not len(rows):
            return same
        plan = self.growth.plan.with_space(space)
        columns = explored_columns(plan, self.growth.shared, np.arange(len(rows)))
        recorded = self.growth.target.slot.open()
        try:
            for name, column in columns.items():
                if name == TRIAL:
                    trials = recorded.run_column(TRIAL)
                    same &= np.full(len(rows), False) if trials is None else trials[rows] == as_array(column)
                elif name not in MARKS and name in recorded.names("parameters"):
                    same &= keys(column) == keys(recorded.rows(name, rows))
        finally:
            recorded.close()
        return same

    def diverge(self, run: int, point: Mapping[str, Any], where: str) -> None:
        """Other points are asked for than were recorded: these runs stay recorded."""
        gone = self.history.forget(run)
        for name in (ASKED, TOLD, GENERATION):
            self.growth.mark(name, gone.tolist(), [-1] * len(gone))
        self.growth.progress.departures.append(
            f"{where} does not repeat itself: instead of the point of run {run} it asks for "
            f"{assignments(point)}; what was recorded from there on stays, and is not asked for any more"
        )

    def look(self) -> Recorded:
        """What is recorded so far, for the strategy; it is read anew after each answer."""
        if self.growth.target.status is None:
            self.growth.describe_alone()
        self.recorded = self.growth.target.slot.open()
        return self.recorded

    def answers(self, space: Space, runs: Index, recorded: Index) -> Answers:
        """Execute the runs that are not done, and gather what all of them gave."""
        status, parts = np.zeros(len(runs), "u1"), Pieces()
        self.read(recorded, status, parts)
        todo = np.flatnonzero(status == Status.PENDING)
        if len(todo):
            new = runs[len(recorded) :]
            self.growth.begin(space, len(todo))
            self.append(space, runs, new)

            def hear(batch: Batch) -> None:
                positions = np.searchsorted(runs, batch.runs)
                status[positions] = batch.status
                parts.take(positions, batch)

            self.growth.execute(self.worklist(space, runs, todo), hear)
            if parts.large or self.recorded is not None:
                self.growth.pen.commit()
        if (status == Status.PENDING).any():
            self.check_stop()
        self.growth.mark(TOLD, runs.tolist(), range(self.told, self.told + len(runs)))
        self.told += len(runs)
        return self.gathered(space, runs, status, parts)

    def worklist(self, space: Space, runs: Index, todo: Index) -> Agenda:
        """The runs that are to be executed, with their points."""
        return Worklist(
            runs[todo], lambda some: space.at(np.searchsorted(runs, some)),
            retries=self.growth.plan.limits.retries, restorable=self.growth.under_way.checkpoints.known,
            workers=min(self.growth.settings.width, len(todo)), together=self.growth.plan.vectorized,
        )  # fmt: skip

    def append(self, space: Space, runs: Index, new: Index) -> None:
        """Record the new points, and what is known of the runs so far, before they are executed."""
        growth = self.growth
        growth.n += len(new)
        growth.mark(ASKED, new.tolist(), [self.told] * len(new))
        growth.mark(GENERATION, new.tolist(), [self.generation - 1] * len(new))
        growth.write_points(space, runs, new)
        growth.write_marks()
        growth.pen.commit()

    def read(self, rows: Index, status: Array, parts: Pieces) -> None:
        """What is recorded of these runs; one that failed is not repeated where its failure was told."""
        if not len(rows):
            return
        recorded = self.growth.target.slot.open()
        try:
            state = np.asarray(recorded.run_column("status"))[rows]
            is_known = (state == Status.DONE) | self.history.is_told(rows)
            positions = np.flatnonzero(is_known)
            status[positions] = state[positions]
            names = [*recorded.names("results"), *recorded.names("parameters")]
            varying = [
                name for name in names if not recorded.is_constant(name) and name not in recorded.explored
            ]
            parts.large.update({name: None for name in varying if recorded.row_bytes(name) > LARGE})
            for batch in recorded.batches(
                rows[positions], [name for name in varying if name not in parts.large]
            ):
                parts.take(np.searchsorted(rows, batch.runs), batch)
        finally:
            recorded.close()

    def gathered(self, space: Space, runs: Index, status: Array, parts: Pieces) -> Answers:
        """The columns of all points."""
        n = len(runs)
        explored = {
            name: values.shown() for name, values in space.at(np.arange(n)).items() if name not in MARKS
        }
        gave = {name: as_array(stacked(n, pieces)) for name, pieces in parts.columns.items()}
        for name, column in gave.items():
            self.dtypes[name] = column[:0]
        lacking = {name: missing_column(n, empty) for name, empty in self.dtypes.items() if name not in gave}
        words = np.array(WORDS)[status]
        large = tuple(name for name in parts.large if name not in gave)
        return Answers(runs, words, {**explored, **lacking, **gave}, self.reader(runs), large)

    def reader(self, runs: Index) -> Callable[[str], Any]:
        """Reads what is too large to be kept in memory, as long as nobody asks for it."""
        slot = self.growth.target.slot

        def read(name: str) -> Any:
            recorded = slot.open()
            try:
                return as_array(recorded.rows(name, runs))
            finally:
                recorded.close()

        return read

    def finish(self) -> None:
        """The session is over."""
        self.shut = "the study is over, and takes no more points"
        self.growth.finish()
        if self.recorded is not None:
            self.recorded.close()
