"""What does a guarded child do? It has simkit's own workers execute the runs of the tasks that it is handed."""

from __future__ import annotations

import os
import pickle
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.declare.reflection import formatted
from simkit.errors import SimkitError
from simkit.execute.job import Declared, pickled, start_method
from simkit.execute.mailbox import Mailbox, Withheld
from simkit.execute.processes.groups import ignore_signals, lead_session
from simkit.execute.processes.pool import Pool
from simkit.execute.processes.worker import LARGE, unpacked
from simkit.execute.resources import devices_of
from simkit.execute.tasks import Assignment, Reply, Task, elsewhere, joined, versions_of
from simkit.inject.leftovers import SHARED, prefix
from simkit.values.batch import Batch, Checkpoint, Portion, RunReport, Status, Teardown, one_batch

PATIENCE = 1.0  # seconds after which a task is answered although some of its runs are left
_IDLE = 300.0  # seconds without a task after which what the runs share is torn down
_LOOK = 0.2  # seconds between two looks into the mailbox
_BESIDE = 1 << 20  # bytes of a reply from which on it goes through a file
_ARENA = 20 << 20  # bytes: of a task's results
_YIELD = 0.05  # seconds in which others take a task


def serve(descriptor: int) -> None:
    """Be a guard until the line to the engine's worker is closed."""
    lead_session()
    connection = Connection(descriptor)
    ends = [connection]

    def leave_line() -> None:  # in what is forked: this process's death shall read as the line's end
        while ends:
            os.close(ends.pop().fileno())

    os.register_at_fork(after_in_child=leave_line)
    with ignore_signals(descriptor):
        connection.send_bytes(b"here")
        post = Post(connection)
        try:
            while True:
                if connection.poll(_IDLE):
                    parts = joined(post.done(pickle.loads(connection.recv_bytes())))
                    answer(connection, parts, post.memory)
                else:
                    post.leave()
        except (EOFError, OSError):
            pass
        finally:
            post.leave()


def answer(connection: Connection, parts: Sequence[Any], memory: Path | None) -> None:
    """Send a reply: the name of the file that it is in, since a pipe is slow, or nothing and itself.

    Parameters
    ----------
    memory
        The owner's folder: what can be left there needs no engine to carry it.
    """
    path, is_large = "", sum(map(len, parts)) >= _BESIDE
    if is_large and memory is not None and (left := aside(parts, memory)):
        parts = [elsewhere(left)]
    elif is_large:
        path = aside(parts)
    connection.send_bytes(os.fsencode(path))
    connection.send_bytes(b"" if path else b"".join(parts))


def aside(parts: Sequence[Any], folder: Path | None = None) -> str:
    """Write these bytes to a file in memory; nothing where there is no room, or no such folder."""
    try:
        handle, path = tempfile.mkstemp(prefix=prefix("reply"), dir=folder or SHARED)
    except OSError:
        return ""
    try:
        with os.fdopen(handle, "wb", buffering=0) as file:
            for part in parts:
                view = memoryview(part).cast("B")
                while view:
                    view = view[file.write(view) :]
    except OSError:
        os.unlink(path)
        return ""
    return path


class Stand:
    """Stands for one of the owner's objects, which go through this process as their numbers."""


class Post:
    """A guard's work: the pool of the present study, and tasks that it does.

    Parameters
    ----------
    connection
        The line to the engine's worker; readable during a task only when that is gone.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.study = ""
        self.assignment: Assignment | None = None
        self.declared = Declared()
        self.pool: Pool | None = None
        self.arena = Arena()

    @property
    def memory(self) -> Path | None:
        """The owner's folder in memory."""
        return None if self.assignment is None else self.assignment.mailbox.memory

    def done(self, task: Task) -> Reply:
        """Do a task."""
        try:
            return self._done(task)
        except SimkitError as error:
            self.leave(now=True)
            return Reply(self.name, problem=str(error))
        except EOFError:
            raise
        except Exception as error:  # noqa: BLE001 - the owner raises it
            return Reply(self.name, bug=formatted(error, traceback.format_exc))

    def _done(self, task: Task) -> Reply:
        if task.is_last:
            return Reply(self.name, teardown=self.left(task.study))
        if not task.portion:
            return Reply(self.name)
        if task.study != self.study or self.assignment is None:
            if not task.assignment:
                return Reply(self.name, is_unknown=True)
            self.leave()
            assignment: Assignment = pickle.loads(task.assignment)
            self.study, self.assignment = task.study, assignment
            self.declared = Declared([Stand() for _ in range(assignment.declared)])
        portion = unpacked(self.declared.loads(task.portion))
        return self.executed(portion, self.assignment, self.pool or self.begin(self.assignment))

    def begin(self, assignment: Assignment) -> Pool:
        """Start the workers of a study.

        Raises
        ------
        SimkitError
            Where other versions are installed than the owner has.
        """
        here = versions_of(assignment.versions)
        different = [
            f"{name} {here[name]}, the owner has {version}"
            for name, version in assignment.versions.items()
            if here[name] != version
        ]
        if different:
            msg = f"other versions are installed there: {'; '.join(different)}"
            raise SimkitError(msg)
        sys.path += [entry for entry in assignment.path if entry not in sys.path]
        with suppress(OSError):
            os.chdir(assignment.folder)
        self.pool = Pool(
            assignment.source, self.declared, assignment.workers,
            method=start_method(), limits=assignment.limits, show=assignment.show, isolate=assignment.isolate,
            together=assignment.together, devices=devices_of(assignment.gpus),
        )  # fmt: skip
        return self.pool

    def executed(self, portion: Portion, assignment: Assignment, pool: Pool) -> Reply:
        """Execute runs, until there are none or it has taken long enough."""
        mailbox, withheld = assignment.mailbox, Withheld()
        reports: list[RunReport] = []
        if mailbox.is_halted():
            return Reply(self.name)
        agenda = Share(portion, assignment.workers)
        lookout, haul = Lookout(self.connection, mailbox), Haul(self.arena)
        pool.resume(0 if assignment.together is None else len(portion))
        for batch in pool.run(agenda, lookout.is_over):
            if isinstance(batch, Checkpoint):
                if not mailbox.hand_over(batch, lookout.is_idle):
                    withheld.take(batch)
            elif isinstance(batch, RunReport):
                batch.is_late = True
                reports.append(batch)
            elif isinstance(batch, Batch):
                haul.take(batch)
                lookout.begin(batch)
            if lookout.is_idle():
                self.leave(now=True)
                break
        if lookout.is_alone:
            raise EOFError
        checkpoints = withheld.of_pending(haul.done)
        remarks = (f"{self.name}: {mailbox.problem}",) if checkpoints and mailbox.problem else ()
        return Reply(
            self.name,
            batches=haul.whole(),
            seconds=haul.seconds,
            checkpoints=checkpoints,
            reports=tuple(reports),
            remarks=remarks,
        )

    def left(self, study: str) -> Teardown:
        """The study is over; who was told already leaves the next such task to others."""
        if study == self.study and self.pool is not None:
            return self.leave()
        time.sleep(_YIELD)
        return Teardown()

    def leave(self, *, now: bool = False) -> Teardown:
        """Tear down what the present study's runs share."""
        pool, self.pool = self.pool, None
        return Teardown() if pool is None else pool.close(now=now)


class Arena:
    """Memory for the arrays of one task after the other: new memory costs more than copying into it."""

    def __init__(self) -> None:
        self.room, self.used = memoryview(bytearray(_ARENA)), 0

    def copied(self, buffer: memoryview) -> memoryview | bytes:
        """A copy of a buffer; it lasts until the next task."""
        start, stop = self.used, self.used + buffer.nbytes
        if stop > len(self.room):
            return buffer.tobytes()
        self.room[start:stop], self.used = buffer, stop
        return self.room[start:stop]


class Haul:
    """What a task's runs gave, on its way to the owner.

    Parameters
    ----------
    arena
        Where it lies meanwhile; what lay there before is gone.

    Attributes
    ----------
    batches
        As in `Reply`; copied at once: the arrays of a batch are overwritten when the next but one arrives.
    small
        Batches without such arrays, by worker: they become one.
    done
        The runs that are done.
    start, end
        When the first run began and the last one ended, in seconds since the epoch.
    """

    def __init__(self, arena: Arena) -> None:
        self.arena, arena.used = arena, 0
        self.batches: list[tuple[pickle.PickleBuffer, ...]] = []
        self.small: dict[tuple[int, bool], list[Batch]] = {}
        self.done: set[int] = set()
        self.start, self.end = float("inf"), 0.0

    def take(self, batch: Batch) -> None:
        """Keep a batch."""
        if batch.nbytes < LARGE and not batch.files:
            key = int(np.max(batch.worker)), batch.seeds is None  # a run that died has no seed to tell
            self.small.setdefault(key, []).append(batch)
        else:
            self.batches.append(_pickled(batch, self.arena))
        self.done.update(batch.runs[batch.status == Status.DONE].tolist())
        self.start = min(self.start, float(np.nanmin(batch.started)))
        self.end = max(self.end, float(np.nanmax(batch.started + batch.seconds)))

    def whole(self) -> tuple[tuple[pickle.PickleBuffer, ...], ...]:
        """All batches, as in `Reply`."""
        return (*self.batches, *(_pickled(one_batch(each), self.arena) for each in self.small.values()))

    @property
    def seconds(self) -> float:
        """From the start to the end."""
        return max(0.0, self.end - self.start)


def _pickled(batch: Batch, arena: Arena) -> tuple[pickle.PickleBuffer, ...]:
    """A batch, and copies of its large arrays beside it."""
    files = tuple((run, file.whole()) for run, file in batch.files)
    arrays: list[memoryview | bytes] = []

    def beside(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < LARGE:
            return True
        arrays.append(arena.copied(raw))
        return False

    measured: Any = attrs.NOTHING  # anew
    whole = attrs.evolve(batch, files=files, nbytes=measured) if files else batch
    data = pickled(whole, beside)
    return tuple(map(pickle.PickleBuffer, (data, *arrays)))


class Lookout:
    """When does a task end although some of its runs are left?"""

    def __init__(self, connection: Connection, mailbox: Mailbox) -> None:
        self.connection, self.mailbox = connection, mailbox
        self.deadline = float("inf")
        self.next_look = 0.0
        self.is_alone = self.is_stopped = False

    def begin(self, batch: Batch) -> None:
        """The clock starts with the first run: not while workers are started."""
        if self.deadline == float("inf"):
            self.deadline = time.monotonic() - float(np.nansum(batch.seconds)) + PATIENCE

    def is_over(self) -> bool:
        """Whether no further run shall start."""
        return time.monotonic() > self.deadline or self.is_idle()

    def is_idle(self) -> bool:
        """Whether nobody waits for the runs: the engine's worker is gone, or the owner gave them up."""
        if time.monotonic() >= self.next_look:
            self.next_look = time.monotonic() + _LOOK
            self.is_alone = self.connection.poll(0)
            self.is_stopped = self.is_alone or self.mailbox.is_stopped()
        return self.is_stopped


class Share:
    """An agenda of one task's runs.

    Parameters
    ----------
    workers
        How many share them: none of them takes more than half of its share of what is left.
    """

    def __init__(self, portion: Portion, workers: int) -> None:
        self.portion, self.workers, self.next = portion, workers, 0

    def take(self, count: int) -> Portion | None:
        """The next runs."""
        left = len(self.portion) - self.next
        if not left:
            return None
        if self.workers > 1:
            count = max(1, min(count, left // (2 * self.workers)))
        start, self.next = self.next, min(self.next + count, len(self.portion))
        return self.portion.part(start, self.next)

    def settle(self, batch: Batch) -> Batch:
        """Whether a run is tried again is the owner's affair."""
        return batch
