"""A trajectory that runs are appended to: its open file, its workers, and which names are explored so far."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import attrs
import numpy as np

from simkit.collect.config import Settings
from simkit.collect.listener import OpenedFiles, listener
from simkit.collect.plan import Plan
from simkit.declare.forms import MARKS, TRIAL, Index, axes, plus
from simkit.declare.space import Space, outline
from simkit.declare.trials import Until
from simkit.errors import SimkitError
from simkit.execute.agenda import Agenda
from simkit.execute.engine import Engine
from simkit.inform.progress import Progress, Reporter
from simkit.inject.leftovers import sweep
from simkit.inject.provide import constants, shared_values
from simkit.record.file.store import sweep_results
from simkit.record.readings import Content, Inputs
from simkit.record.writer import Writer
from simkit.resume.continuing import Continuation
from simkit.resume.points import RecordedPoints, explored_columns, path_values
from simkit.study.bookkeeping import Bookkeeping
from simkit.study.execution import Execution
from simkit.study.interrupt import Interrupt
from simkit.values.batch import Batch, Checkpoints, RunReport


@attrs.define(eq=False)
class Growth:
    """A trajectory while points are added to it; file and workers are opened when the first run is to be executed.

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
    unwritten
        Marks of runs that are not in the file yet: their values by run number, by name.
    reports
        What runs that are not done were answered, as in `Execution`.
    """

    plan: Plan
    target: Continuation
    settings: Settings
    progress: Progress
    reporter: Reporter
    shared: dict[str, Any]
    interrupt: Interrupt
    inputs: Inputs
    begun: Mapping[str, Content]
    n: int
    unwritten: dict[str, dict[int, int]] = attrs.field(factory=lambda: defaultdict(dict))
    reports: dict[int, dict[tuple[int, bool], bool]] = attrs.field(factory=dict)
    stack: ExitStack = attrs.field(factory=ExitStack)
    execution: Execution | None = None
    engine: Engine | None = None
    bookkeeping: Bookkeeping | None = None
    is_described: bool = False  # whether the session is in the file
    explored: list[str] = attrs.field(factory=list)  # as the open file says

    def stop(self) -> bool:
        """Whether no further run shall start."""
        most = self.settings.most_failures
        return self.interrupt.requested or bool(most and self.progress.failed >= most)

    # Which names are explored

    def fitted(self, space: Any, where: str) -> Space:
        """The points with a value, or none, for each explored name; the plan explores all of their names.

        Parameters
        ----------
        where
            Who asks, and where that stands, for messages.

        Raises
        ------
        SimkitError
            For what is no space, and for points that the experiment can't have.
        """
        if not isinstance(space, Space) or isinstance(space.form, Until):
            msg = f"{where} asks for {space!r}\n    ask for a space, such as explore(x=[1.0, 2.0]), without until="
            raise SimkitError(msg)
        known = self.plan.space
        if space.feeds:
            fed = ", ".join(feed.words for feed in space.feeds.values())
            msg = (
                f"{where} asks for {fed}: each(…) gives an experiment its points before the first run\n"
                "    ask for values, and open that trajectory by simkit.open; or give each(…) to simkit.run, "
                "or decorate the experiment with it instead of a strategy"
            )
            raise SimkitError(msg)
        lacking = [name for name in known.names if name not in space.names]
        if not self.fits(space):
            wanted = dict.fromkeys((*known.names, *(name for name in space.names if name != TRIAL)))
            self.replan(outline(wanted, {*known.optional, *space.optional, *lacking}), where)
        self.check(space, where)
        return Space(plus(space.form, outline(lacking, lacking).form)) if lacking else space

    def check(self, space: Space, where: str) -> None:
        """Find values that can't be recorded before anything is; numbers always can."""
        if not any(values.array.dtype == object for _, values in axes(space.form)):
            return
        try:
            explored_columns(self.plan.with_space(space), self.shared, np.arange(len(space)))
        except SimkitError as problem:
            msg = f"{where} asks for points of {', '.join(space.names)}\n{problem}"
            raise SimkitError(msg) from None

    def fits(self, space: Space) -> bool:
        """Whether the plan explores these names, and lets points lack the others."""
        known, names = self.plan.space, {*space.names} - {TRIAL}
        lacking = {*known.names} - names
        return names <= {*known.names} and space.optional | lacking <= known.optional

    def replan(self, space: Space, where: str) -> None:
        """Other names are explored from now on."""
        assert self.plan.strategy is not None
        try:
            plan = attrs.evolve(self.plan.strategy.over(space), stream_name=self.target.stream)
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

    # What is executed

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
        self.execution, self.explored = execution, writer.explored

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

    def describe_alone(self) -> None:
        """Make the file before any run is executed."""
        execution = self.prepared(self.plan)
        with execution.writer() as writer:
            self.describe(execution, writer)

    @property
    def under_way(self) -> Execution:
        """The execution of runs, which has begun."""
        assert self.execution is not None
        return self.execution

    @property
    def pen(self) -> Writer:
        """What writes the file, which is open."""
        assert isinstance(self.under_way.pen, Writer)
        return self.under_way.pen

    def execute(
        self,
        agenda: Agenda,
        heard: Callable[[Batch], None],
        due: Callable[[], None] = lambda: None,
        listen: Callable[[RunReport], None] = lambda report: None,
    ) -> None:
        """Have runs executed and recorded; the last commit waits for what is added next.

        Parameters
        ----------
        heard
            Called with each batch as it was recorded.
        due
            Called before anything is recorded.
        listen
            Called with what runs report; answers it.
        """
        assert self.engine is not None
        execution = self.under_way
        execution.heard, execution.due, execution.listen = heard, due, listen
        execution.reports = self.reports
        self.under_way.consume(self.engine.run(agenda, self.stop), self.pen, self.interrupt)

    # What is recorded

    def write_points(self, space: Space, runs: Index, new: Index) -> None:
        """Record the last points of these as new runs; all of them are executed next."""
        writer, plan = self.pen, self.plan.with_space(space)
        if len(new):
            first = len(runs) - len(new)
            columns = explored_columns(plan, self.shared, np.arange(first, len(runs)))
            with listener().to(OpenedFiles(self.plan.rootdir)) as opened:
                opened.name(path_values(space))
            writer.inputs(self.inputs.take(opened.taken()))
            writer.grow(int(new[-1]) + 1)
            writer.points(int(new[0]), columns)
            further = [name for name in columns if name not in MARKS and name not in self.explored]
            if further:
                self.explored += further
                writer.describe({"explored": json.dumps(self.explored)})
            self.progress.size = int(new[-1]) + 1
        if self.target.changed or writer.table.per_session:
            fixed = constants(plan, self.shared)
            values = {name: constant[0] for name, constant in fixed.items()}
            writer.vary(values, runs, changed=bool(self.target.changed))
        names = (*self.explored, *([TRIAL] if TRIAL in space.names else []))
        points = Space(RecordedPoints(self.target.slot, names, self.progress.size))
        self.under_way.plan = self.progress.plan = self.plan.with_space(points)

    def mark(self, name: str, runs: Iterable[int], values: Iterable[int]) -> None:
        """Remember what is known of some runs, to be recorded with the next commit."""
        self.unwritten[name].update(zip(runs, values, strict=True))

    def write_marks(self) -> None:
        """Record what was remembered."""
        for name, marks in self.unwritten.items():
            runs = np.array(sorted(marks), np.int64)
            self.pen.mark(name, runs, np.array([marks[run] for run in runs.tolist()], np.int64))
        self.unwritten.clear()

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

    def fail(self, error: BaseException) -> None:
        """Close the file after what was written whole, and end the workers at once."""
        self.execution = self.engine = None
        stack, self.stack = self.stack, ExitStack()
        stack.__exit__(type(error), error, error.__traceback__)
