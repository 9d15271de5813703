"""Stretches of a set of shards: claimed one after the other, each recorded in its own file.

No process knows of the others. A stretch is claimed by its file's lock, which is made exclusively and ends with its
process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

import attrs
import numpy as np

from simkit.collect.config import Settings
from simkit.declare.forms import MARKS, Array, Index
from simkit.errors import BeingWritten
from simkit.execute.agenda import Worklist
from simkit.inject.provide import Constant
from simkit.record.catalogue import Slot
from simkit.record.facts import read_checkpoints, runs_digest
from simkit.record.file.store import Store
from simkit.record.format import FIRST, PART_OF
from simkit.record.master import adopt, master_group
from simkit.record.readings import Content, write_inputs
from simkit.record.shards import Stretch, check_place, folder_of
from simkit.record.writer import Writer
from simkit.resume.continuing import mended
from simkit.resume.points import explored_columns
from simkit.study.execution import Execution
from simkit.values.batch import Batch, Checkpoint, Portion, RunReport, Status

_BLOCK = 65_536


@attrs.frozen(eq=False)
class Wanted:
    """A stretch with runs to be executed.

    Attributes
    ----------
    count
        How many they are, as far as is known.
    known
        What became of its runs, as `runs_digest` tells it; empty where its file is missing.
    """

    stretch: Stretch
    count: int
    known: str


def wanted_runs(status: Array, settings: Settings) -> Array:
    """Which runs of a file are to be executed, shape ``(n,)``."""
    open_ones = np.asarray(status != Status.DONE)
    return open_ones & (status != Status.PENDING) if settings.only_failed else open_ones


@attrs.define(eq=False)
class OpenShard:
    """A file of the set that this task is writing.

    Attributes
    ----------
    left
        How many runs have not come back yet.
    """

    stretch: Stretch
    store: Store
    writer: Writer
    agenda: Worklist
    left: int


@attrs.define(eq=False)
class ShardPen:
    """Hands out the runs of one claimed stretch after the other, and records what comes of them in its file.

    Attributes
    ----------
    wanted
        The stretches that are not claimed yet.
    chosen
        The runs that were asked for; None means all.
    fixed
        The constants.
    facts, read
        The circumstances of the session, and the files that were read before the first run.
    now
        The time, for the session's end.
    left_out
        Why stretches were left to other tasks, for people.
    """

    execution: Execution
    wanted: list[Wanted]
    chosen: Array | None
    fixed: Mapping[str, Constant]
    facts: Mapping[str, Any]
    read: Mapping[str, Content]
    now: Callable[[], float]
    shards: list[OpenShard] = attrs.field(factory=list)
    last: OpenShard | None = None  # the one that the last batch went to
    left_out: list[str] = attrs.field(factory=list)
    interrupted: bool = False
    adopted: set[tuple[Any, ...]] = attrs.field(factory=set)  # columns and inputs that the master knows of

    @property
    def master(self) -> Slot:
        """Where the set's master is."""
        return self.execution.target.slot

    # The runs that are handed out

    def take(self, count: int) -> Portion | None:
        """At most this many runs of a stretch that is claimed; another one is claimed when it has no more."""
        for shard in self.shards:
            if (portion := shard.agenda.take(count)) is not None:
                return portion
        while self.wanted:
            wanted = self.wanted.pop(0)
            claimed = self.claim(wanted)
            runs = 0 if claimed is None else claimed.left
            self.execution.progress.total += runs - wanted.count
            if claimed is not None:
                self.shards.append(claimed)
                return claimed.agenda.take(count)
        return None

    def settle(self, batch: Batch) -> Batch:
        """Hear what became of runs."""
        return self.of(int(batch.runs[0])).agenda.settle(batch)

    def of(self, run: int) -> OpenShard:
        """The open file that holds a run."""
        return next(shard for shard in self.shards if shard.stretch.first <= run < shard.stretch.stop)

    # Claims

    def claim(self, wanted: Wanted) -> OpenShard | None:
        """Open a stretch's file for writing, unless another task has it or nothing of it is left to do."""
        path = folder_of(self.master.path) / wanted.stretch.file
        check_place(path)
        try:
            if wanted.known and (damage := mended(Slot(path, self.master.group), self.execution.settings)):
                self.execution.progress.remarks.append(damage)
            store = Store(path, durable=self.execution.settings.durable, beating=True)
        except BeingWritten as taken:
            self.left_out.append(
                f"{wanted.stretch.words} left to another task: {str(taken).partition(':')[0]}"
            )
            return None
        claimed = None
        try:
            claimed = self._claimed(wanted, store)
        finally:
            if claimed is None:
                store.close(failed=True)
        return claimed

    def _claimed(self, wanted: Wanted, store: Store) -> OpenShard | None:
        with closing(self.master.open()) as recorded:  # it may have been divided anew
            assert recorded.shards is not None
            stretches = [each for each in recorded.shards.stretches if each.number == wanted.stretch.number]
        if not stretches:
            return None
        stretch, settings = stretches[0], self.execution.settings
        writer = Writer(store, self.master.group, stretch.stop - stretch.first)
        status = writer.table.status[: stretch.stop - stretch.first]
        runs = wanted_runs(status, settings)
        started = writer.root["runs/started"][: len(status)]
        if not writer.is_new and runs_digest(status, started) != wanted.known:
            runs &= status == Status.PENDING  # another task has just tried the others
        if self.chosen is not None:
            runs &= self.chosen[stretch.first : stretch.stop]
        rows = np.flatnonzero(runs)
        if not len(rows):
            return None
        found = read_checkpoints(writer.root["runs"]) if not self.execution.target.changed else {}
        checkpoints = self.execution.checkpoints.known
        checkpoints.update({stretch.first + run: restored for run, restored in found.items()})
        agenda = Worklist(
            rows + stretch.first, self.execution.plan.space.at, retries=self.execution.plan.limits.retries,
            restorable=checkpoints, workers=min(settings.workers, len(rows)),
            together=self.execution.plan.vectorized,
        )  # fmt: skip
        shard = OpenShard(stretch, store, writer, agenda, len(rows))
        self._prepare(shard, rows)
        return shard

    def _prepare(self, shard: OpenShard, rows: Index) -> None:
        """Commit the constants and the points of a stretch before its first run starts."""
        execution, writer, first = self.execution, shard.writer, shard.stretch.first
        is_new = writer.is_new
        execution.describe(writer, self.fixed, rows)
        if is_new:
            writer.describe({FIRST: first, PART_OF: self.master.path.name})
            for begin in range(first, shard.stretch.stop, _BLOCK):
                block = np.arange(begin, min(begin + _BLOCK, shard.stretch.stop))
                writer.points(begin - first, explored_columns(execution.plan, execution.shared, block))
        writer.describe({"explored": json.dumps(explored_names(execution))})
        writer.session({**self.facts, "changed": "\n".join(execution.target.changed.words)})
        writer.inputs({**self.read, **execution.inputs.known})
        self.commit_shard(shard)

    # What comes back

    def put(self, batch: Batch) -> Batch:
        """Record a batch; what comes back has the status that each run was recorded with."""
        status = batch.status.copy()
        errors = dict(batch.errors)
        for shard in self.shards:
            rows = np.flatnonzero((batch.runs >= shard.stretch.first) & (batch.runs < shard.stretch.stop))
            if len(rows):
                shard.store.lock.beat()  # nothing is written where another task goes on by now
                part = part_of(batch, rows, shard.stretch)
                recorded = shard.writer.put(part)
                status[rows] = recorded.status
                errors |= {run + shard.stretch.first: text for run, text in recorded.errors.items()}
                shard.left -= len(rows) - len(part.again)
                self.last = shard
        return attrs.evolve(batch, status=status, errors=errors)

    def inputs(self, inputs: Mapping[str, Content]) -> None:
        """Record files that the runs of the last batch read."""
        if self.last is not None and self.last in self.shards:
            self.last.writer.inputs(inputs)
        elif inputs:
            slot, durable = self.master, self.execution.settings.durable
            with master_group(slot.path, slot.group, durable=durable) as root:
                write_inputs(root["info"], inputs, 1)

    def reports(self, reports: Sequence[RunReport]) -> None:
        """Record what runs reported and were answered."""
        for report in reports:
            shard = self.of(report.run)
            shard.writer.reports([attrs.evolve(report, run=report.run - shard.stretch.first)])

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep the state of a run that is under way."""
        shard = self.of(checkpoint.run)
        shard.writer.checkpoint(attrs.evolve(checkpoint, run=checkpoint.run - shard.stretch.first))

    @property
    def waiting(self) -> int:
        """Bytes that do not count yet."""
        return sum(shard.writer.waiting for shard in self.shards)

    def is_due(self, gathered: int = 0) -> bool:
        """Whether a commit pays now, or a stretch is through."""
        return any(shard.writer.is_due(gathered) or not shard.left for shard in self.shards)

    @property
    def is_gone(self) -> bool:
        """Whether one of the files is not at its place any more."""
        return any(shard.writer.is_gone for shard in self.shards)

    def commit(self) -> None:
        """Make everything count that was recorded so far; files whose runs are all back are closed."""
        for shard in list(self.shards):
            shard.store.lock.beat()
            if not shard.left:
                self.finish(shard)
            elif shard.writer.waiting:
                self.commit_shard(shard)

    def commit_shard(self, shard: OpenShard) -> None:
        """Commit one file that is still this task's, after its master knows of all columns in it."""
        shard.store.lock.beat()
        table, runs = shard.writer.table, shard.writer.runs
        inputs = {**self.read, **self.execution.inputs.known}
        facts: set[tuple[Any, ...]] = {
            (*key, held.signature) for key, sink in table.sinks.items() for held in sink.held
        }
        facts |= {("runs", name) for name, column in runs.known.items() if column is not None}
        facts |= {("inputs", path, one.digest) for path, one in inputs.items()}
        if not facts <= self.adopted:
            adopt(self.master.path, shard.writer.root, inputs, durable=self.execution.settings.durable)
            self.adopted |= facts
        shard.writer.commit()

    def catch_up(self) -> None:
        """Say that this task is alive, and write what waits in logs."""
        for shard in self.shards:
            shard.store.lock.beat()
            shard.writer.catch_up()

    def finish(self, shard: OpenShard, *, failed: bool = False) -> None:
        """Close a file; other tasks may go on in it."""
        self.shards.remove(shard)
        try:
            if not failed:
                outcome = self.execution.outcome(interrupted=self.interrupted)
                shard.writer.end_session({"ended": self.now(), "outcome": outcome})
                self.commit_shard(shard)
        except BaseException:
            failed = True
            raise
        finally:
            shard.store.close(failed=failed)

    def close(self, *, failed: bool = False) -> None:
        """Close all files; what was put is kept unless writing has failed."""
        try:
            while self.shards:
                self.finish(self.shards[0], failed=failed)
        finally:
            while self.shards:
                self.finish(self.shards[0], failed=True)


def part_of(batch: Batch, rows: Index, stretch: Stretch) -> Batch:
    """The runs of a batch that are in a stretch, by their numbers in its file.

    Parameters
    ----------
    rows
        Their positions in the batch.
    """
    runs = batch.runs[rows] - stretch.first
    mine = set(runs.tolist())

    def by_run(of: Mapping[int, Any]) -> dict[int, Any]:
        return {run - stretch.first: said for run, said in of.items() if run - stretch.first in mine}

    return attrs.evolve(
        batch,
        runs=runs,
        status=batch.status[rows],
        started=batch.started[rows],
        seconds=batch.seconds[rows],
        parameters={name: column.take(rows) for name, column in batch.parameters.items()},
        results={name: column.take(rows) for name, column in batch.results.items()},
        seeds=None if batch.seeds is None else batch.seeds[rows],
        worker=np.broadcast_to(batch.worker, len(batch.runs))[rows],
        errors=by_run(batch.errors),
        logs=by_run(batch.logs),
        reported=by_run(batch.reported),
        notes=tuple(
            (run - stretch.first, name, text)
            for run, name, text in batch.notes
            if run - stretch.first in mine
        ),
        again=tuple(run - stretch.first for run in batch.again if run - stretch.first in mine),
        files=tuple((run - stretch.first, file) for run, file in batch.files if run - stretch.first in mine),
        commands=tuple(
            (run - stretch.first, one) for run, one in batch.commands if run - stretch.first in mine
        ),
    )


def explored_names(execution: Execution) -> list[str]:
    """The leaf names that are explored, as they are recorded."""
    columns = explored_columns(execution.plan, execution.shared, np.arange(min(1, len(execution.plan.space))))
    feeds = execution.plan.space.feeds.values()
    left = {*MARKS, *(leaf for feed in feeds for leaf in feed.recorded)}
    return [name for name in columns if name not in left]
