"""Points that turn up while runs are executed: those that are recorded are answered, the others computed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import attrs
import numpy as np

from simkit.collect.config import Settings
from simkit.collect.listener import OpenedFiles, listener
from simkit.collect.plan import Plan
from simkit.declare.forms import ASKED, GENERATION, MARKS, TOLD, TRIAL, Array, Index, plus
from simkit.declare.space import Space, outline
from simkit.declare.trials import Until
from simkit.errors import SimkitError
from simkit.execute.agenda import Agenda, Worklist
from simkit.execute.engine import Engine
from simkit.inform.progress import Progress, Reporter, assignments
from simkit.inject.contact import RUN, STOP
from simkit.inject.leftovers import sweep
from simkit.inject.provide import constants, shared_values
from simkit.record.file.store import sweep_results
from simkit.record.readings import Content, Inputs
from simkit.record.recorded import Recorded
from simkit.record.writer import Writer
from simkit.resume.continuing import Continuation
from simkit.resume.points import RecordedPoints, explored_columns, path_values
from simkit.study.answers import LARGE, Answers, History, Pieces, missing_column
from simkit.study.bookkeeping import Bookkeeping
from simkit.study.execution import Execution, Interrupt
from simkit.values.batch import WORDS, Batch, Checkpoints, Status
from simkit.values.compare import keys
from simkit.values.decode import as_array, stacked


@attrs.define(eq=False)
class Growing:
    """A trajectory to which points are added while its runs are executed.

    Attributes
    ----------
    plan
        Over the names that were explored so far.
    shared
        The parameters that do not vary, by node key.
    inputs, begun
        The files that the runs read, and those that were read before the first run.
    n
        How many runs there are.
    generation
        How many times points were asked for.
    told
        How many answers were given.
    """

    plan: Plan
    target: Continuation
    settings: Settings
    progress: Progress
    reporter: Reporter
    shared: dict[str, Any]
    history: History
    interrupt: Interrupt
    inputs: Inputs
    begun: Mapping[str, Content]
    n: int
    generation: int = 0
    told: int = 0
    unwritten: list[tuple[str, Index, Any]] = attrs.field(factory=list)  # marks of runs
    dtypes: dict[str, Array] = attrs.field(factory=dict)  # of the results so far: no rows of them
    broken: BaseException | None = None  # what ended the study, beside the strategy's own mistakes
    stack: ExitStack = attrs.field(factory=ExitStack)
    execution: Execution | None = None
    engine: Engine | None = None
    bookkeeping: Bookkeeping | None = None
    is_described: bool = False  # whether the session is in the file
    recorded: Recorded | None = None  # what the strategy looks at, while no run is executed
    thread: int = attrs.field(factory=threading.get_ident)

    # What is asked

    def run(self, space: Space, where: str) -> Answers:
        """What these points give.

        Parameters
        ----------
        where
            Who asks, and where that stands, for messages.

        Raises
        ------
        SimkitError
            For points that the experiment can't have.
        KeyboardInterrupt
            When no further run shall start.
        """
        if threading.get_ident() != self.thread:
            msg = (
                f"{where}: points were asked for from another thread: ask from the one that runs the strategy"
            )
            raise SimkitError(msg)
        with self.owner():
            self.check_stop()
            space = self.fitted(space, where)
            try:
                return self.answers(space, *self.numbered(space, where))
            except Exception as error:
                self.broken = error
                raise

    @contextmanager
    def owner(self) -> Iterator[None]:
        """The strategy's function waits: no interrupt may be raised within HDF5."""
        beat = self.interrupt.beat
        under_way, beat[RUN] = beat[RUN], -1.0
        if self.recorded is not None:
            self.recorded.close()
        try:
            yield
        finally:
            beat[RUN] = under_way
            if self.recorded is not None:
                self.recorded.refresh()

    def check_stop(self) -> None:
        """End the strategy where no further run shall start."""
        if self.stop():
            self.interrupt.beat[STOP] = 1.0
            raise KeyboardInterrupt

    def stop(self) -> bool:
        """Whether no further run shall start."""
        most = self.settings.most_failures
        return self.interrupt.requested or bool(most and self.progress.failed >= most)

    def fitted(self, space: Any, where: str) -> Space:
        """The points with a value, or none, for each explored name; the plan explores all of their names."""
        if not isinstance(space, Space) or isinstance(space.form, Until):
            msg = f"{where} asks for {space!r}\n    ask for a space, such as explore(x=[1.0, 2.0]), without until="
            raise SimkitError(msg)
        known = self.plan.space
        lacking = [name for name in known.names if name not in space.names]
        if not self.fits(space):
            wanted = dict.fromkeys((*known.names, *(name for name in space.names if name != TRIAL)))
            self.replan(outline(wanted, {*known.optional, *space.optional, *lacking}), where)
        return Space(plus(space.form, outline(lacking, lacking).form)) if lacking else space

    def fits(self, space: Space) -> bool:
        """Whether the plan explores these names, and lets points lack the others."""
        known, names = self.plan.space, {*space.names} - {TRIAL}
        lacking = {*known.names} - names
        return names <= {*known.names} and space.optional | lacking <= known.optional

    def replan(self, space: Space, where: str) -> None:
        """Other names are explored from now on."""
        assert self.plan.strategy is not None
        try:
            plan = self.plan.strategy.over(space)
        except SimkitError as problem:
            msg = f"{where} asks for points of {', '.join(space.names)}\n{problem}"
            raise SimkitError(msg) from None
        self.close_engine()
        kept = {
            key: value
            for key, value in self.shared.items()
            if key in plan.nodes
            and not plan.nodes[key].varying
            and plan.nodes[key].kind == self.plan.nodes[key].kind
        }
        with listener().to(OpenedFiles(plan.rootdir)) as opened:
            self.shared, self.plan = shared_values(plan, self.target.root, kept), plan
        self.begun = {**self.begun, **self.inputs.take(opened.taken())}

    def numbered(self, space: Space, where: str) -> tuple[Index, Index]:
        """The run number of each point, and the runs of them that are recorded."""
        rows = self.history.take(len(space))
        same = self.matching(rows, space)
        if not same.all():
            rows = rows[: int(np.argmin(same))]
            self.diverge(
                int(self.history.runs[self.history.next - len(same) + len(rows)]), space[len(rows)], where
            )
        new = np.arange(self.n, self.n + len(space) - len(rows))
        runs = np.concatenate([rows, new])
        if len(rows):
            self.mark(GENERATION, rows, np.full(len(rows), self.generation))
        self.generation += 1
        return runs, rows

    def matching(self, rows: Index, space: Space) -> Array:
        """Which of these recorded runs are at the first points that are asked for."""
        same = np.ones(len(rows), bool)
        if not len(rows):
            return same
        columns = explored_columns(self.plan.with_space(space), self.shared, np.arange(len(rows)))
        recorded = self.target.slot.open()
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
            self.mark(name, gone, np.full(len(gone), -1))
        self.progress.remarks.append(
            f"{where} does not repeat itself: instead of the point of run {run} it asks for "
            f"{assignments(point)}; what was recorded from there on stays, and is not asked for any more"
        )

    def look(self) -> Recorded:
        """What is recorded so far, for the strategy; it is read anew after each answer."""
        if self.target.status is None:
            execution = self.prepared(self.plan)
            with execution.writer() as writer:
                self.describe(execution, writer)
        self.recorded = self.target.slot.open()
        return self.recorded

    # What is computed

    def answers(self, space: Space, runs: Index, recorded: Index) -> Answers:
        """Execute the runs that are not done, and gather what all of them gave."""
        status, parts = np.zeros(len(runs), "u1"), Pieces()
        self.read(recorded, status, parts)
        todo = np.flatnonzero(status == Status.PENDING)
        if len(todo):
            new = runs[len(recorded) :]
            self.begin(space, len(todo))
            self.append(space, runs, new)

            def hear(batch: Batch) -> None:
                positions = np.searchsorted(runs, batch.runs)
                status[positions] = batch.status
                parts.take(positions, batch)

            self.execute(self.worklist(space, runs, todo), hear)
            if parts.large or self.recorded is not None:
                self.pen.commit()
        if (status == Status.PENDING).any():
            self.check_stop()
        self.mark(TOLD, runs, np.arange(self.told, self.told + len(runs)))
        self.told += len(runs)
        return self.gathered(space, runs, status, parts)

    def worklist(self, space: Space, runs: Index, todo: Index) -> Agenda:
        """The runs that are to be executed, with their points."""
        assert self.execution is not None
        return Worklist(
            runs[todo], lambda some: space.at(np.searchsorted(runs, some)),
            retries=self.plan.limits.retries, restorable=self.execution.checkpoints.known,
            workers=min(self.settings.workers, len(todo)), together=self.plan.vectorized,
        )  # fmt: skip

    def execute(
        self, agenda: Agenda, heard: Callable[[Batch], None], due: Callable[[], None] = lambda: None
    ) -> None:
        """Have runs executed and recorded; the last commit waits for what is added next.

        Parameters
        ----------
        heard
            Called with each batch as it was recorded.
        due
            Called before anything is recorded.
        """
        assert self.execution is not None
        assert self.execution.pen is not None
        assert self.engine is not None
        self.execution.heard, self.execution.due = heard, due
        self.execution.consume(self.engine.run(agenda, self.stop), self.execution.pen, self.interrupt)

    def begin(self, space: Space, count: int) -> None:
        """Start the engine, then open the file, unless they are; ``space`` holds a first point."""
        self.progress.total += count
        if self.execution is not None:
            return
        plan = self.plan.with_space(space)
        execution = self.prepared(plan)
        fixed, workers = constants(plan, self.shared), self.settings.workers
        self.engine = self.stack.enter_context(execution.engine(fixed, workers, self.interrupt))
        writer = self.stack.enter_context(execution.writer())
        explored = explored_columns(plan, self.shared, np.arange(1))
        varying = {name for name, node in plan.parameters.items() if node.varying}
        writer.free({*explored, *varying}, fixed, explored)
        self.describe(execution, writer)
        self.execution = execution

    def prepared(self, plan: Plan) -> Execution:
        """The execution of runs of a plan; what a session begins under is gathered before the first."""
        execution = Execution(
            plan, self.target, self.shared, self.settings, self.progress, self.reporter,
            Checkpoints(self.target.checkpoints), None, self.inputs, beat=self.interrupt.beat,
        )  # fmt: skip
        if self.bookkeeping is None:
            sweep()
            sweep_results(self.target.slot.path.parent)
            self.bookkeeping = Bookkeeping.begin(plan, self.settings, self.progress)
        return execution

    def describe(self, execution: Execution, writer: Writer) -> None:
        """Record what the experiment is, its constants, and the session if it has only begun."""
        assert self.bookkeeping is not None
        fixed = constants(execution.plan, self.shared)
        execution.describe(writer, fixed, np.empty(0, np.int64))
        if self.is_described:
            writer.resume_session()
        else:
            writer.session({**self.bookkeeping.facts, "changed": "\n".join(self.target.changed.words)})
            writer.inputs(self.begun)
        self.is_described = True

    def append(self, space: Space, runs: Index, new: Index) -> None:
        """Record the new points, and what is known of the runs so far, before they are executed."""
        self.n += len(new)
        self.mark(ASKED, new, np.full(len(new), self.told))
        self.mark(GENERATION, new, np.full(len(new), self.generation - 1))
        self.write_points(space, runs, new)
        self.write_marks()
        self.pen.commit()

    def write_points(self, space: Space, runs: Index, new: Index) -> None:
        """Record the last points of these as new runs; all of them are executed next."""
        assert self.execution is not None
        writer = self.pen
        if len(new):
            first = len(runs) - len(new)
            columns = explored_columns(self.plan.with_space(space), self.shared, np.arange(first, len(runs)))
            with listener().to(OpenedFiles(self.plan.rootdir)) as opened:
                opened.name(path_values(space))
            writer.inputs(self.inputs.take(opened.taken()))
            writer.grow(int(new[-1]) + 1)
            writer.points(int(new[0]), columns)
            known = writer.explored
            explored = [*known, *(name for name in columns if name not in MARKS and name not in known)]
            if explored != known:
                writer.describe({"explored": json.dumps(explored)})
            self.progress.size = int(new[-1]) + 1
        if self.target.changed or writer.table.per_session:
            fixed = constants(self.plan.with_space(space), self.shared)
            values = {name: constant[0] for name, constant in fixed.items()}
            writer.vary(values, runs, changed=bool(self.target.changed))
        names = (*writer.explored, *([TRIAL] if TRIAL in space.names else []))
        points = Space(RecordedPoints(self.target.slot, names, self.progress.size))
        self.execution.plan = self.progress.plan = self.plan.with_space(points)

    @property
    def pen(self) -> Writer:
        """What writes the file, which is open."""
        assert self.execution is not None
        assert self.execution.pen is not None
        return self.execution.pen

    def mark(self, name: str, runs: Index, values: Array) -> None:
        """Remember what is known of some runs, to be recorded with the next commit."""
        self.unwritten.append((name, runs, values))

    def write_marks(self) -> None:
        """Record what was remembered."""
        for name, runs, values in self.unwritten:
            self.pen.mark(name, runs, values)
        self.unwritten.clear()

    # What is answered

    def read(self, rows: Index, status: Array, parts: Pieces) -> None:
        """What is recorded of these runs; one that failed is not repeated where its failure was told."""
        if not len(rows):
            return
        recorded = self.target.slot.open()
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
        slot = self.target.slot

        def read(name: str) -> Any:
            recorded = slot.open()
            try:
                return as_array(recorded.rows(name, runs))
            finally:
                recorded.close()

        return read

    # The end

    def close_engine(self, *, interrupted: bool | None = None) -> None:
        """Close the file, and end the workers.

        Parameters
        ----------
        interrupted
            How the session ended; None where it goes on.
        """
        if self.execution is None:
            return
        self.write_marks()
        if interrupted is not None:
            self.execution.settle_inputs(self.pen)
            ended = time.time() if self.bookkeeping is None else self.bookkeeping.now()
            self.pen.end_session({"ended": ended, "outcome": self.execution.outcome(interrupted=interrupted)})
        self.target = attrs.evolve(self.target, checkpoints=self.execution.checkpoints.known)
        self.execution = self.engine = None
        stack, self.stack = self.stack, ExitStack()
        stack.close()

    def finish(self) -> None:
        """The session is over."""
        if self.bookkeeping is not None:
            self.bookkeeping.__exit__()
        if self.recorded is not None:
            self.recorded.close()

    def fail(self, error: BaseException) -> None:
        """Close the file after what was written whole, and end the workers at once."""
        self.execution = self.engine = None
        stack, self.stack = self.stack, ExitStack()
        stack.__exit__(type(error), error, error.__traceback__)
