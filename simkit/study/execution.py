"""The runs of one experiment under way: workers, the open file, and what passes between them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import attrs
import numpy as np

from simkit.collect.config import Settings
from simkit.collect.plan import Plan, column_notes, group_comments
from simkit.declare.forms import MARKS, Index
from simkit.errors import FileGone, SimkitError, StorageFailed, shown_path
from simkit.execute.agenda import Agenda, Worklist
from simkit.execute.engine import Engine, Here, processes
from simkit.execute.job import Job
from simkit.inform.progress import Progress, Reporter
from simkit.inject.contact import RUN, Beat, local_beat, signalled
from simkit.inject.provide import Constant, constants, reserved
from simkit.provenance.environment import packages
from simkit.record.file.store import Store
from simkit.record.format import DECLARED, FEEDS
from simkit.record.readings import Content, Inputs
from simkit.record.upstream import feeds_about
from simkit.record.writer import BatchPen, Writer
from simkit.resume.continuing import Continuation, fingerprint
from simkit.resume.points import explored_columns
from simkit.study.interrupt import Interrupt, surroundings
from simkit.study.rounds import Rounds, Trials
from simkit.values.alone import gathered
from simkit.values.batch import Batch, Checkpoint, Checkpoints, RunReport, Status
from simkit.values.columns import Column

_BLOCK = 65_536
_SMALL = 65_536  # bytes; larger arrays lie in memory that a worker fills again


@attrs.define(eq=False)
class Execution:
    """The runs of one experiment under way.

    Attributes
    ----------
    shared
        The parameters that do not vary, by node key.
    checkpoints
        What interrupted runs go on from.
    trials
        What decides whether points get further trials, where the space says so.
    inputs
        The files that the runs read.
    beat
        Which run of this process is under way.
    pen
        Writes the file, while it is open.
    points
        Of runs that failed before they were in the file.
    heard
        Called with each batch as it was recorded.
    due
        Called before anything is recorded.
    gathered, said
        Small batches and reports that are not written yet.
    listen
        Called with each report; answers it.
    reports
        The answers to the reports of each run that is not done, by step, and by whether it was a question.
    """

    plan: Plan
    target: Continuation
    shared: Mapping[str, Any]
    settings: Settings
    progress: Progress
    reporter: Reporter
    checkpoints: Checkpoints
    trials: Trials | None
    inputs: Inputs
    beat: Beat = attrs.field(factory=local_beat)
    pen: BatchPen | None = None
    points: dict[int, Mapping[str, Any]] = attrs.field(factory=dict)
    heard: Callable[[Batch], None] = lambda batch: None
    due: Callable[[], None] = lambda: None
    gathered: list[Batch] = attrs.field(factory=list)
    gathered_bytes: int = 0
    listen: Callable[[RunReport], None] = lambda report: None
    reports: dict[int, dict[tuple[int, bool], bool]] = attrs.field(factory=dict)
    said: list[RunReport] = attrs.field(factory=list)

    def replay(self, runs: Index | range) -> None:
        """Execute runs here, record nothing."""
        engine = Here(self.job(constants(self.plan, self.shared)), on_error=self.settings.on_error)
        with surroundings():
            self._replay(engine, runs)

    def _replay(self, engine: Engine, runs: Index | range) -> None:
        try:
            for batch in engine.run(self.agenda(runs), lambda: False):
                if isinstance(batch, Batch):
                    self.progress.take(batch, self.values)
        finally:
            self.progress.take_teardown(engine.close())

    def record(
        self,
        runs: Index | range,
        facts: Mapping[str, Any],
        read: Mapping[str, Content],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Execute runs and record them.

        Parameters
        ----------
        facts
            The circumstances, for the session's record.
        read
            The files that were read before the first run, by path.
        now
            The time, for the session's end.
        """
        fixed = constants(self.plan, self.shared)
        with surroundings(), Interrupt(self.beat, self.reporter.interrupted) as interrupt:

            def stop() -> bool:
                return self.stops(interrupt)

            with self.engine(fixed, len(runs), interrupt) as engine, self.writer() as writer:
                self.prepare(writer, fixed, runs, facts, read)
                agenda: Agenda = self.agenda(runs)
                if self.trials is not None:
                    agenda = Rounds(self.trials, agenda, lambda numbers: self.append(numbers, writer, fixed))
                self.consume(engine.run(agenda, stop), writer, interrupt)
                self.settle_inputs(writer)
                writer.end_session({"ended": now(), "outcome": self.outcome(interrupted=interrupt.requested)})
            self.progress.interrupted = interrupt.requested

    def stops(self, interrupt: Interrupt) -> bool:
        """Whether no further run shall start."""
        most = self.settings.most_failures
        return interrupt.requested or bool(most and self.progress.failed >= most)

    def declare(self) -> None:
        """Record which points are declared where nothing is to be run; what is in the file already is not written."""
        recorded = self.target.slot.open()
        try:
            before = recorded.run_column(DECLARED)
        finally:
            recorded.close()
        now = self.target.points.declared
        same = now is None if before is None else np.array_equal(before > 0, True if now is None else now)
        if not same and not (now is None and before is not None and before.all()):
            with self.writer() as writer:
                writer.declare(now)

    def agenda(self, runs: Index | range) -> Worklist:
        """The runs with their points, and the checkpoints that they go on from."""
        return Worklist(
            runs, self.plan.space.at, retries=self.plan.limits.retries,
            restorable=self.checkpoints.known, workers=min(self.settings.width, len(runs)),
            memory=self.plan.limits.memory, memory_on_retry=self.settings.memory_on_retry,
            together=self.plan.vectorized,
        )  # fmt: skip

    def outcome(self, *, interrupted: bool) -> str:
        """How the session ended, for its record; without that it was killed."""
        counts = [f"{number} {word}" for word, number in self.progress.counts.items()]
        words = [*counts, "interrupted"] if interrupted else counts
        return ", ".join(words) or "nothing was run"

    def consume(
        self, batches: Iterator[Batch | Checkpoint | RunReport | None], writer: BatchPen, interrupt: Interrupt
    ) -> None:
        """Write batches as they come; commit when it pays, and at once when nothing else is to do."""
        try:
            for batch in batches:
                if isinstance(batch, Batch):
                    self.gather(batch, writer)
                is_due = writer.is_due(self.gathered_bytes + len(self.said))
                if is_due or batch is None:
                    self.put(writer)
                if batch is not None and not isinstance(batch, Batch):
                    self.keep(batch)
                if is_due or (batch is None and writer.waiting):
                    writer.commit()
                    self.progress.committed()
                elif batch is None:
                    writer.catch_up()
                self.reporter.advance(self.progress)
                if interrupt.now or writer.is_gone:
                    break
        except KeyboardInterrupt:  # the second Ctrl-C, within a run of this process
            pass
        finally:
            self.put(writer)  # also into a file that has gone from its place: it is kept elsewhere

    def gather(self, batch: Batch, writer: BatchPen) -> None:
        """Keep a small batch of done runs for the next commit, since each one written costs as much as many."""
        if self.gathered and self.gathered[0].has_seeds != batch.has_seeds:
            self.put(writer)
        self.gathered.append(batch)
        self.gathered_bytes += batch.nbytes
        # The sum is known; the largest value is looked for only where the sum allows for one.
        is_large = batch.nbytes >= _SMALL and batch.largest >= _SMALL
        if is_large or batch.files or not batch.is_done:
            self.put(writer)

    def put(self, writer: BatchPen) -> None:
        """Write what was gathered."""
        self.due()
        writer.reports(self.said)
        self.said = []
        if not self.gathered:
            return
        batch, self.gathered, self.gathered_bytes = gathered(self.gathered), [], 0
        put = writer.put(batch)
        writer.inputs(self.inputs.take(batch.readings))
        if self.checkpoints.known or self.reports:
            done = put.runs[put.status == Status.DONE].tolist()
            self.checkpoints.forget(done)
            for run in done:
                self.reports.pop(run, None)
        self.progress.take(put, self.values)
        self.heard(put)

    def settle_inputs(self, writer: BatchPen) -> None:
        """Record which files changed while runs read them, and say so."""
        rows, files = self.inputs.settled()
        writer.inputs(rows)
        if files:
            words = (
                f"{', '.join(files)} changed while the runs went on: some may have read it before, some after"
            )
            self.progress.problems.append(f"{self.plan.node_id}: {words}\n    the next session starts anew")

    def keep(self, said: Checkpoint | RunReport) -> bool:
        """Keep a checkpoint, at once since it may take hours until the next one, or answer a report."""
        if isinstance(said, RunReport):
            return self.answered(said)
        assert self.pen is not None  # open while runs are executed
        under_way, self.beat[RUN] = self.beat[RUN], -1.0  # no interrupt may be raised within HDF5
        self.put(self.pen)
        self.pen.checkpoint(said)
        self.checkpoints.take(said)
        self.pen.commit()
        self.beat[RUN] = under_way
        return False

    def answered(self, report: RunReport) -> bool:
        """Answer a report; what an earlier attempt of the run said at this step is answered as it was then."""
        known, key = self.reports.setdefault(report.run, {}), (report.step, report.waits)
        if report.is_late and report.waits:
            known[key] = False
        elif key in known:
            report.stop = known[key]
        else:
            self.listen(report)
            known[key] = report.stop
        self.said.append(report)
        return report.stop

    def job(self, fixed: Mapping[str, Constant]) -> Job:
        """What is executed, wherever that is."""
        settings = self.settings
        return Job(
            self.plan, self.target.root, self.shared, reserved(self.plan, fixed),
            outside=settings.outside, most_failures=settings.most_failures,
        )  # fmt: skip

    @contextmanager
    def engine(self, fixed: Mapping[str, Constant], runs: int, interrupt: Interrupt) -> Iterator[Engine]:
        """Where the runs are executed; processes are started before the file is opened."""
        settings, job = self.settings, self.job(fixed)
        engine: Engine
        if settings.workers and settings.transport is not None:
            from simkit.execute.futures import Futures  # with what engines beyond this machine need

            engine = Futures(
                job, settings.transport, folder=self.target.slot.path.parent,
                packages=packages(self.plan.sources.imports).versions, show_output=settings.show_output,
                gpus=settings.gpus,
            )  # fmt: skip
            self.progress.notices.append(settings.transport.words)
        elif settings.workers:
            workers = min(settings.workers, runs)
            engine = processes(
                job, workers, method=settings.method, show_output=settings.show_output, gpus=settings.gpus
            )
        else:
            if self.plan.isolate:
                words = (
                    f"{self.plan.node_id}: isolate=True needs a worker process; here the runs share this one"
                )
                self.progress.remarks.append(words)
            engine = Here(
                job, beat=self.beat, on_error=settings.on_error, is_interrupt=signalled,
                save=self.keep,
            )  # fmt: skip
        interrupt.halts.append(engine.halt)
        self.progress.crew = engine.crew
        try:
            yield engine
        except BaseException:
            self.progress.take_teardown(engine.close(now=True))
            raise
        self.progress.take_teardown(engine.close(now=interrupt.now))
        if self.progress.printed:
            self.keep_printed(self.progress.printed)

    def keep_printed(self, text: str) -> None:
        """Record what fixtures printed in the end, which is after the file was closed; a set of shards has no place."""
        if self.target.is_set:
            return
        editing = self.target.slot.editing(durable=self.settings.durable)
        with suppress(SimkitError), editing as additions:  # it is shown in any case
            additions.amend_session({"printed": text})

    @contextmanager
    def writer(self) -> Iterator[Writer]:
        """The open file; what is written whole is kept whatever happens."""
        store = Store(self.target.slot.path, durable=self.settings.durable)
        failed = True
        try:
            self.pen = writer = Writer(store, self.target.slot.group, self.target.points.n)
            self.check_unchanged(writer)
            yield writer
            failed = False
        except StorageFailed:
            self.progress.lost()
            raise
        except BaseException:
            failed = False  # what is written so far is whole: keep it
            raise
        finally:
            try:
                store.close(failed=failed)
            except FileGone:
                self.progress.is_gone = True
                raise
            except StorageFailed:
                self.progress.lost()
                raise

    def check_unchanged(self, writer: Writer) -> None:
        """What is recorded must be what the plan was compared with, or done runs would be made again."""
        planned = self.target.status
        if planned is not None and not np.array_equal(writer.table.status[: len(planned)], planned):
            msg = (
                f"{shown_path(self.target.slot.path)} was changed by another session while this one was starting\n"
                "    type the same command again"
            )
            raise SimkitError(msg)

    def prepare(
        self,
        writer: Writer,
        fixed: Mapping[str, Constant],
        runs: Index | range,
        facts: Mapping[str, Any],
        read: Mapping[str, Content],
    ) -> None:
        """Commit the constants and the points before the first run starts."""
        plan, points = self.plan, self.target.points
        self.describe(writer, fixed, runs)
        for part in np.split(points.unplaced, np.flatnonzero(np.diff(points.unplaced) != 1) + 1):
            if len(part):
                self.write_points(writer, int(part[0]), int(part[-1]) + 1)
        first = self.write_points(writer, points.recorded, points.n)
        writer.declare(points.declared)
        explored = first or explored_columns(plan, self.shared, np.arange(1))
        left = {*MARKS, *(leaf for feed in plan.space.feeds.values() for leaf in feed.recorded)}
        writer.describe({"explored": json.dumps([name for name in explored if name not in left])})
        writer.session({**facts, "changed": "\n".join(self.target.changed.words)})
        writer.inputs(read)
        writer.commit()

    def describe(self, writer: Writer, fixed: Mapping[str, Constant], runs: Index | range) -> None:
        """Record what the experiment is, and its constants."""
        plan = self.plan
        if writer.is_new:
            about = {"node_id": plan.node_id, "root_seed": str(self.target.root), "doc": plan.doc}
            writer.describe(about)
        writer.describe({"fingerprint": json.dumps(fingerprint(plan))})
        if feeds := feeds_about(plan):
            writer.describe({FEEDS: json.dumps(feeds)})
        writer.describe_columns(column_notes(plan))
        writer.constants(fixed)
        if not writer.is_new:
            values = {name: constant[0] for name, constant in fixed.items()}
            writer.vary(values, runs, changed=bool(self.target.changed))
        writer.groups(group_comments(plan))

    def write_points(self, writer: Writer, start: int, stop: int) -> Mapping[str, Column] | None:
        """Record the points of these runs; gives the columns of the first ones, where run 0 is among them."""
        first: Mapping[str, Column] | None = None
        for begin in range(start, stop, _BLOCK):
            columns = explored_columns(self.plan, self.shared, np.arange(begin, min(begin + _BLOCK, stop)))
            writer.points(begin, columns)
            first = columns if begin == 0 else first
        return first

    def append(self, numbers: Index, writer: Writer, fixed: Mapping[str, Constant]) -> Worklist:
        """Have further trials recorded, and give the agenda of their runs."""
        assert self.trials is not None
        points = self.trials.append(numbers, self.target.points)
        start, runs = points.n - len(numbers), points.todo
        self.plan = self.plan.with_space(points.space)
        self.target = attrs.evolve(self.target, points=points)
        writer.grow(points.n)
        self.write_points(writer, start, points.n)
        writer.declare(points.declared)
        values = {name: constant[0] for name, constant in fixed.items()}
        writer.vary(values, runs, changed=bool(self.target.changed))
        writer.commit()
        self.progress.grow(self.plan, self.target, len(runs))
        return self.agenda(runs)

    def values(self, run: int) -> Mapping[str, Any]:
        """A run's explored values."""
        return self.points[run] if run in self.points else self.plan.space[run]
