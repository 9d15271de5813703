"""Execute runs in supervised processes: one that dies costs one run, and is replaced."""

from __future__ import annotations

import os
import pickle
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.declare.forms import Index
from simkit.declare.tags import Limits
from simkit.errors import SimkitError
from simkit.execute.engine import Method, Queue, Source, Stop, next_size
from simkit.execute.processes.nursery import Nursery, signal_name
from simkit.execute.processes.worker import BEAT, Place, Receiver, last_words, open_beats, pack_runs
from simkit.inject.contact import BEGAN, LOGGED, RUN, STOP, Beat
from simkit.values.batch import Batch, Checkpoint, Checkpoints, Status

_TEARDOWN = 600.0  # seconds for the fixtures of a worker to tear down
_NO_LIMITS = Limits()
_SHORT = 0.5  # seconds; a worker whose batches are shorter gets the next one in advance


@attrs.define(eq=False)
class Worker:
    """A worker as the owner sees it."""

    place: Place
    receiver: Receiver
    beat: Beat
    flight: list[Index] = attrs.field(factory=list)
    size: int = 1
    seconds: float = 1e9  # of its last batch
    started: bool = False
    doomed: tuple[float, float] | None = None  # run and start of the one that took too long

    @property
    def connection(self) -> Connection:
        """The pipe to it."""
        return self.receiver.connection  # type: ignore[no-any-return]

    @property
    def capacity(self) -> int:
        """How many batches it may hold: a second one only where waiting for it would cost."""
        return (2 if self.seconds < _SHORT else 1) if self.started else 0


class Pool:
    """``n`` workers.

    Parameters
    ----------
    source
        Makes the job in each worker.
    method
        How processes are started.
    limits
        How long a run may take, and how often it may try.
    most_failures
        After how many a worker starts no further run.
    show
        Leave the workers' output on the terminal.
    """

    def __init__(
        self,
        source: Source,
        n: int,
        *,
        method: Method,
        limits: Limits = _NO_LIMITS,
        show: bool = False,
        most_failures: int = 0,
    ) -> None:
        self.n, self.limits = n, limits
        handle, self.beats = tempfile.mkstemp(prefix="simkit-beats-")
        os.truncate(self.beats, n * BEAT)
        os.close(handle)
        self.show, self.made, self.most_failures = show, 0, most_failures
        self.nursery = Nursery(source, method)
        self.workers: dict[Any, Worker] = {}
        for slot in range(n):
            self._start(slot)

    def _start(self, slot: int) -> None:
        self.made += 1
        place = Place(slot, self.made, self.beats, self.show, self.most_failures)
        beat = open_beats(self.beats, slot)
        beat[RUN], beat[STOP], beat[LOGGED] = -1.0, 0.0, 0.0
        connection = self.nursery.start(place)
        self.workers[connection] = Worker(place, Receiver(connection), beat)

    def run(
        self, runs: Index | range, stop: Stop, checkpoints: Checkpoints, *, tick: float = 0.1
    ) -> Iterator[Batch | Checkpoint | None]:
        """Batches and checkpoints as they come, in any order; None when nothing came for a while.

        Raises
        ------
        SimkitError
            When a worker cannot start.
        """
        queue = Queue(runs, self.limits.retries)
        while True:
            if stop():
                self.halt()
            else:
                self._replace(queue)
                self._feed(queue, checkpoints)
            if not any(worker.flight for worker in self.workers.values()) and (stop() or not len(queue)):
                return
            ready = wait(list(self.workers), tick)
            for connection in ready:
                batch = self._hear(self.workers[connection], queue)
                if isinstance(batch, Batch):
                    yield queue.settle(batch)
                elif batch is not None:
                    yield batch
            self._stop_slow()
            if not ready:
                yield None

    def halt(self) -> None:
        """Let no worker start a further run; they finish those that they are in."""
        for worker in list(self.workers.values()):
            worker.beat[STOP] = 1.0

    def _replace(self, queue: Queue) -> None:
        """Start workers for those that died, if there is work for them."""
        taken = {worker.place.slot for worker in self.workers.values()}
        for slot in set(range(self.n)) - taken if len(queue) else ():
            self._start(slot)

    def _feed(self, queue: Queue, checkpoints: Checkpoints) -> None:
        for worker in self.workers.values():
            while len(worker.flight) < worker.capacity and len(queue):
                fair = len(queue) // (2 * len(self.workers))
                taken = queue.take(max(1, min(worker.size, fair)))
                worker.flight.append(taken)
                try:
                    request = (pack_runs(taken), checkpoints.of(taken.tolist()) or None)
                    worker.connection.send_bytes(pickle.dumps(request, 5))  # older ones lose byte order
                except OSError:
                    break  # it died; its connection says so next

    def _stop_slow(self) -> None:
        """Kill workers whose run takes too long; `_bury` finds out which run it was in when it died."""
        if self.limits.timeout is None:
            return
        for worker in self.workers.values():
            run, began = worker.beat[RUN], worker.beat[BEGAN]
            if run >= 0 and worker.doomed is None and time.perf_counter() - began > self.limits.timeout:
                worker.doomed = (run, began)
                self.nursery.kill(worker.place)

    def _hear(self, worker: Worker, queue: Queue) -> Batch | Checkpoint | None:
        try:
            answer = worker.receiver.receive()
        except (EOFError, OSError):
            return self._bury(worker, queue)
        if answer.bug:
            raise RuntimeError(answer.bug)
        if answer.problem:
            msg = f"a worker could not start\n{answer.problem}"
            raise SimkitError(msg)
        if answer.checkpoint is not None:
            return answer.checkpoint  # type: ignore[no-any-return]
        if answer.batch is None:
            worker.started = True
            return None
        executed = len(answer.batch.runs)
        queue.resume(worker.flight.pop(0), executed)
        worker.seconds = answer.seconds
        worker.size = next_size(worker.size, executed, answer.seconds, answer.nbytes)
        return answer.batch if executed else None

    def _bury(self, worker: Worker, queue: Queue) -> Batch | None:
        """A worker died: its beat names the run that killed it; the others of its batches are done again."""
        del self.workers[worker.connection]
        worker.connection.close()
        why = signal_name(self.nursery.exit_code(worker.place.number))
        if not worker.started:
            msg = f"a worker could not start: {why}"
            raise SimkitError(msg)
        held = [int(run) for runs in worker.flight for run in runs]
        culprit = int(worker.beat[RUN]) if worker.flight else -1
        if culprit not in held:
            culprit = held[0] if len(held) == 1 else -1
        queue.put_back([run for run in held if run != culprit])
        run, began = worker.beat[RUN], worker.beat[BEGAN]
        if worker.doomed not in (None, (run, began)):
            queue.put_back(
                [culprit] if culprit >= 0 else []
            )  # it had only just begun: the slow one was before it
            return None
        if culprit < 0:
            return None
        elapsed = time.perf_counter() - began
        if worker.doomed is not None:
            text = f"stopped after {elapsed:.3g} s: its timeout is {self.limits.timeout:g} s"
            return _ended(culprit, Status.TIMEOUT, text, elapsed, worker)
        text = f"the worker that executed this run died: {why}"
        return _ended(culprit, Status.CRASHED, text, elapsed, worker)

    def close(self) -> list[str]:
        """Let the workers tear down their fixtures and end; what went wrong in doing so."""
        for worker in self.workers.values():
            try:
                worker.connection.send_bytes(b"")
            except OSError:
                pass
        problems = [self._last_words(worker) for worker in self.workers.values()]
        self._end(kill=False)
        return list(dict.fromkeys(problem for problem in problems if problem))

    def _last_words(self, worker: Worker) -> str:
        try:
            while worker.connection.poll(_TEARDOWN):
                answer = worker.receiver.receive()
                if answer.batch is None and answer.checkpoint is None and worker.started:
                    return str(answer.problem)
                worker.started = True
        except (EOFError, OSError):
            pass
        return ""

    def kill(self) -> None:
        """End all workers at once."""
        self._end(kill=True)

    def _end(self, *, kill: bool) -> None:
        for worker in self.workers.values():
            worker.connection.close()
        self.nursery.close(kill=kill)
        Path(self.beats).unlink(missing_ok=True)
        for slot in range(self.n):
            Path(f"{self.beats}-{slot}.log").unlink(missing_ok=True)


def _ended(run: int, status: Status, text: str, seconds: float, worker: Worker) -> Batch:
    log = "" if worker.place.show else last_words(worker.place.log, int(worker.beat[LOGGED]))
    return Batch(
        np.array([run]), np.array([status], "u1"), np.array([time.time() - seconds]), np.array([seconds], "f4"),
        errors={run: text}, logs={run: log} if log else {}, worker=worker.place.number,
    )  # fmt: skip
