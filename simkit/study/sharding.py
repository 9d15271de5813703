"""The story of a task that makes its part of a set of shards: divide, claim, execute, count."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from simkit.collect.collection import Item
from simkit.collect.config import Settings
from simkit.collect.targets import selected
from simkit.declare.forms import Array
from simkit.errors import FileGone, StorageFailed
from simkit.inform.progress import Progress, Reporter
from simkit.inject.provide import Constant, constants
from simkit.record.facts import runs_digest
from simkit.record.file.store import Store
from simkit.record.master import changing, divide, lay
from simkit.record.readings import Content, Inputs
from simkit.record.shards import Stretch
from simkit.record.writer import Writer
from simkit.resume.continuing import Continuation
from simkit.study.bookkeeping import Bookkeeping
from simkit.study.claims import ShardPen, Wanted, explored_names, wanted_runs
from simkit.study.execution import Execution
from simkit.study.interrupt import Interrupt, surroundings
from simkit.values.batch import Checkpoints, Status


def wanted_stretches(
    target: Continuation, settings: Settings, chosen: Array | None
) -> tuple[list[Wanted], int]:
    """The stretches of this task that have runs to be executed, in order, and how many runs of it are done."""
    part = _part(target, settings)
    wanted, done = [], 0
    with closing(target.slot.open()) as recorded:
        shards = recorded.shards
        assert shards is not None
        for k, stretch in enumerate(shards.stretches):
            if not part.start <= stretch.first < part.stop:
                continue
            size = stretch.stop - stretch.first
            book = shards.book(k)
            status = np.zeros(size, "u1") if book is None else np.asarray(book.run_column("status"))[:size]
            done += int((status == Status.DONE).sum())
            runs = wanted_runs(status, settings)
            count = int((runs if chosen is None else runs & chosen[stretch.first : stretch.stop]).sum())
            if count:
                started = None if book is None else book.run_column("started")
                known = "" if started is None else runs_digest(status, started[:size])
                wanted.append(Wanted(stretch, count, known))
    return wanted, done


def _part(target: Continuation, settings: Settings) -> slice:
    size = target.points.n
    return slice(0, size) if settings.shard is None else settings.shard.part(size)


@contextmanager
def recording(pen: ShardPen, interrupt: Interrupt) -> Iterator[None]:
    """While entered, files of the set are written; what is written whole is kept whatever happens."""
    progress, failed = pen.execution.progress, False
    try:
        yield
    except StorageFailed:
        failed = True
        progress.lost()
        raise
    finally:
        pen.interrupted = interrupt.requested
        try:
            pen.close(failed=failed)
        except FileGone:
            progress.is_gone = True
            raise
        except StorageFailed:
            progress.lost()
            raise


def begin_set(
    execution: Execution, fixed: Mapping[str, Constant], facts: Mapping[str, Any], read: Mapping[str, Content]
) -> bool:
    """Make the master, unless another task has made it meanwhile: then whether it fits has to be found out anew."""
    slot, settings = execution.target.slot, execution.settings
    with changing(slot.path):
        store = Store(slot.path, durable=settings.durable)
        failed = True
        try:
            if not store.created:
                return False
            writer = Writer(store, slot.group, 0)
            execution.describe(writer, fixed, range(0))
            writer.describe({"explored": json.dumps(explored_names(execution))})
            writer.session(facts)
            writer.inputs(read)
            assert settings.shard is not None  # only with it a set begins
            cuts = [0, *settings.shard.cuts(execution.target.points.n)]
            bounds = enumerate(pairwise(cuts))
            lay(writer.root, slot.path, [Stretch(number, first, stop) for number, (first, stop) in bounds])
            failed = False
        finally:
            store.close(failed=failed)
    return True


def study_shards(
    item: Item,
    target: Continuation,
    settings: Settings,
    reporter: Reporter,
    shared: Callable[[], tuple[dict[str, Any], tuple[Any, ...]]],
    remarks: Sequence[str],
) -> Progress | None:
    """Execute the selected runs of a set that this task gets hold of; None where the set has just been begun elsewhere.

    Parameters
    ----------
    shared
        Gives the parameters that do not vary, and the files that they read.
    remarks
        What is to be said of the points, for people.
    """
    plan, size = item.plan, target.points.n
    chosen = selected(target.points.space, item.runs, settings.where, plan.node_id)
    progress = Progress(plan, 0, target, size)
    progress.remarks += [*remarks, *plan.space.remarks]
    values, opened = shared()
    inputs = Inputs(plan.rootdir, target.slot.path, plan.sources.files)
    begun = inputs.take([*plan.readings.values(), *opened])
    execution = Execution(plan, target, values, settings, progress, reporter, Checkpoints({}), None, inputs)
    fixed = constants(plan, values)
    bookkeeping = None
    if not target.points.recorded:
        bookkeeping = Bookkeeping.begin(plan, settings, progress)
        if not begin_set(execution, fixed, bookkeeping.facts, begun):
            return None
    else:
        cuts = [size] if settings.shard is None else settings.shard.cuts(size)
        divide(target.slot.path, target.slot.group, cuts, durable=settings.durable)
    wanted, progress.recorded_done = wanted_stretches(target, settings, chosen)
    _count_all(progress, target)
    progress.total = sum(each.count for each in wanted)
    if wanted and bookkeeping is None:
        bookkeeping = Bookkeeping.begin(plan, settings, progress)
    reporter.begin(progress)
    if wanted and bookkeeping is not None:
        pen = ShardPen(execution, wanted, chosen, fixed, bookkeeping.facts, begun, bookkeeping.now)
        with bookkeeping:
            record_shards(pen)
        progress.remarks.extend(pen.left_out)
    _count_all(progress, target)
    reporter.end(progress)
    return progress


def record_shards(pen: ShardPen) -> None:
    """Execute what can be claimed, and record it."""
    execution = pen.execution
    with (
        surroundings(),
        Interrupt(execution.beat, execution.reporter.interrupted) as interrupt,
        execution.engine(pen.fixed, execution.progress.total, interrupt) as engine,
        recording(pen, interrupt),
    ):
        execution.pen = pen
        execution.consume(engine.run(pen, partial(execution.stops, interrupt)), pen, interrupt)
        execution.settle_inputs(pen)
    execution.progress.interrupted = interrupt.requested


_FEW = 256


def _count_all(progress: Progress, target: Continuation) -> None:
    """How many runs of the whole set are done by now, where few files tell."""
    with closing(target.slot.open()) as recorded:
        if recorded.shards is not None and len(recorded.shards.stretches) <= _FEW:
            done = len(recorded.done)
            progress.recorded_done = max(0, done - progress.counts.get(Status.DONE.word, 0))
