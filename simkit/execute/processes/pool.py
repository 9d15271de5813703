"""Execute runs in supervised processes: one that dies costs one run, and is replaced."""

from __future__ import annotations

import os
import selectors
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.declare.external import kill_family, kill_group, kill_orphans
from simkit.declare.tags import Limits
from simkit.errors import SimkitError
from simkit.execute.agenda import Agenda, Feed, Pace
from simkit.execute.job import Declared, Method, Source
from simkit.execute.processes.nursery import Nursery, signal_name
from simkit.execute.processes.worker import (
    LARGE,
    Answer,
    Receiver,
    Seat,
    Sender,
    packed,
    plain,
    plain_frames,
)
from simkit.execute.resources import patient
from simkit.inject.contact import BEAT, BEGAN, LOGGED, PROGRAM, RUN, STOP, Beat, open_beats
from simkit.inject.desk import clear
from simkit.inject.leftovers import kept_folders, prefix
from simkit.inject.output import last_words
from simkit.values.alone import OneRun
from simkit.values.batch import Batch, Checkpoint, Portion, RunReport, Status, Teardown

_TEARDOWN = 600.0  # seconds for the fixtures of a worker to tear down
_SHORT = 0.5  # seconds; a worker whose batches are shorter gets the next portion in advance
_KEPT = 100  # texts that workers print when they tear down their fixtures
_HALF = 1 << 20  # bytes of a portion that travel beside the message
# Bytes that a pipe takes although nobody reads yet: a worker may be busy sending, and each would wait for the other.
_ADVANCE = 65_536 if sys.platform == "linux" else 4_096


@attrs.define(eq=False)
class Worker:
    """A worker as the owner sees it."""

    seat: Seat
    sender: Sender
    receiver: Receiver
    beat: Beat
    pace: Pace
    flight: list[Portion] = attrs.field(factory=list)
    unsent: Sequence[Any] = ()  # the last portion in flight, while it is too large to be sent in advance
    seconds: float = 1e9  # of its last batch
    process: int = 0  # its number, once it has started
    doomed: tuple[float, float] | None = None  # run and start of the one that took too long
    is_over: bool = False  # it was told to end
    is_single: bool = False  # it executes one run
    capacity: int = 0  # how many portions it may hold

    @property
    def connection(self) -> Connection:
        """The pipe to it."""
        return self.receiver.connection  # type: ignore[no-any-return]

    def measure(self) -> None:
        """Find how many portions it may hold now: a second one only where waiting for it would cost."""
        most = 2 if self.seconds < _SHORT and not self.is_single else 1
        self.capacity = most if self.process and not self.is_over else 0

    def give(self, portion: Portion) -> None:
        """Hand it a portion, at once or when it has nothing else to do."""
        self.flight.append(portion)
        message = plain(portion)
        frames = (
            self.sender.frames(packed(portion), shared=True) if message is None else plain_frames(message)
        )
        if len(self.flight) == 1 or sum(map(len, frames)) <= _ADVANCE:
            self._send(frames)
        else:
            self.unsent = frames

    def send(self) -> None:
        """Send what is not sent yet."""
        if self.unsent:
            self._send(self.unsent)
            self.unsent = ()

    def answer(self, said: Checkpoint | RunReport) -> None:
        """Say that a checkpoint is committed, or whether a run shall stop: it waits for that."""
        if said.waits:
            self._send(self.sender.frames(said.stop))

    def end_family(self) -> None:
        """Kill it, and what its run has started."""
        kill_family(self.process)
        kill_group(int(self.beat[PROGRAM]))

    def _send(self, frames: Sequence[Any]) -> None:
        try:
            self.sender.send_frames(frames)
        except OSError:
            pass  # it died; its connection says so next


class Ears:
    """Which of some connections have something to say; they are registered once, which costs more than to wait."""

    def __init__(self) -> None:
        self.connections: dict[Connection, None] = {}
        has_poll = hasattr(selectors, "PollSelector")  # not where pipes aren't files
        self.selector: selectors.BaseSelector | None = selectors.PollSelector() if has_poll else None

    def add(self, connection: Connection) -> None:
        """Listen to one more."""
        self.connections[connection] = None
        if self.selector is not None:
            self.selector.register(connection, selectors.EVENT_READ)

    def remove(self, connection: Connection) -> None:
        """Listen to one no more; before it is closed."""
        del self.connections[connection]
        if self.selector is not None:
            self.selector.unregister(connection)

    def ready(self, seconds: float) -> list[Any]:
        """Those that have something to say, or are gone; none where that takes longer than some seconds."""
        if self.selector is None:
            return wait(list(self.connections), seconds)
        return [key.fileobj for key, _ in self.selector.select(seconds)]


class Pool:
    """An engine of ``n`` workers on this machine.

    Parameters
    ----------
    source
        Makes the job in each worker.
    declared
        Objects that the workers know.
    method
        How processes are started.
    limits
        How long a run may take.
    show
        Leave the workers' output on the terminal.
    isolate
        Whether each run has a worker of its own.
    devices
        The GPUs: each worker sees one of them.
    together
        How many runs one call computes at most, as in `Plan`; a call that a worker dies in is halved.
    """

    def __init__(
        self,
        source: Source,
        declared: Declared,
        n: int,
        *,
        method: Method,
        limits: Limits,
        show: bool,
        isolate: bool = False,
        devices: Sequence[str] = (),
        together: int | None = None,
    ) -> None:
        self.n, self.limits, self.declared, self.together = n, limits, declared, together
        self.first = Pace(together).size
        handle, self.beats = tempfile.mkstemp(prefix=prefix("beats"))
        os.truncate(self.beats, n * BEAT)
        os.close(handle)
        self.show, self.count, self.isolate, self.devices = show, 0, isolate, devices
        self.not_begun: set[int] = set()  # runs that were lost before they began, or once they had ended
        self.problems: dict[str, None] = {}  # of workers that tore down their fixtures
        self.printed: list[str] = []  # by them meanwhile
        self.nursery = Nursery(source, method, isolate=isolate)
        self.workers: dict[Any, Worker] = {}
        self.ears = Ears()
        for slot in range(n):
            self._start(slot)

    def _start(self, slot: int) -> None:
        self.count += 1
        device = self.devices[slot % len(self.devices)] if self.devices else ""
        seat = Seat(slot, self.count, self.beats, self.show, device)
        beat = open_beats(self.beats, slot)
        beat[RUN], beat[STOP], beat[LOGGED], beat[PROGRAM] = -1.0, 0.0, 0.0, 0.0
        connection = self.nursery.start(seat)
        sender, receiver = (
            Sender(connection, self.declared, _HALF),
            Receiver(connection, Declared(), copies=False),
        )
        pace = Pace(self.together)
        self.ears.add(connection)
        self.workers[connection] = Worker(seat, sender, receiver, beat, pace, is_single=self.isolate)

    def run(
        self, agenda: Agenda, stop: Callable[[], bool], *, tick: float = 0.1
    ) -> Iterator[Batch | Checkpoint | RunReport | None]:
        """Batches, checkpoints and reports as they come, in any order; None when nothing came for a while.

        Raises
        ------
        SimkitError
            When a worker cannot start.
        """
        with patient():  # the workers go first
            yield from self._run(Feed(agenda), agenda, stop, tick)

    def _run(
        self, feed: Feed, agenda: Agenda, stop: Callable[[], bool], tick: float
    ) -> Iterator[Batch | Checkpoint | RunReport | None]:
        is_fed = False  # since the last answer
        while True:
            if stop():
                self.halt()
            elif not is_fed:
                self._replace(feed)
                self._feed(feed)
            if not any(worker.flight for worker in self.workers.values()) and (
                stop() or not feed.has_more(self.first)
            ):
                return
            ready = self.ears.ready(tick)
            is_fed = False
            for connection in ready:
                worker = self.workers[connection]
                batch = self._hear(worker, feed)
                is_fed = False
                if isinstance(batch, Batch):
                    settled = agenda.settle(batch)
                    try:
                        if is_small(batch) and not stop():
                            self._feed(feed)  # the worker needn't wait until this is recorded
                            is_fed = len(self.workers) == self.n
                    finally:
                        yield settled  # before an error of the agenda, such as a strategy's
                elif batch is not None:
                    yield batch
                    worker.answer(batch)
            self._stop_slow()
            if not ready:
                yield None

    def crew(self) -> tuple[int, int]:
        """How many workers there are, and how many of them have something to do."""
        alive = [worker for worker in self.workers.values() if worker.process]
        return len(alive), sum(bool(worker.flight) for worker in alive)

    def halt(self) -> None:
        """Let no worker start a further run; they finish those that they are in."""
        for worker in list(self.workers.values()):
            worker.beat[STOP] = 1.0

    def resume(self, call: int = 0) -> None:
        """After a halt, let runs start again with the next agenda.

        Parameters
        ----------
        call
            How many runs one call shall compute, where it computes many.
        """
        for worker in self.workers.values():
            worker.beat[STOP] = 0.0
            worker.pace.size = call or worker.pace.size

    def _replace(self, feed: Feed) -> None:
        """Start workers for those that died, if there is work for them."""
        if len(self.workers) == self.n:
            return
        taken = {worker.seat.slot for worker in self.workers.values()}
        free = set(range(self.n)) - taken
        for slot in free if free and feed.has_more(self.first) else ():
            self._start(slot)

    def _feed(self, feed: Feed) -> None:
        """Hand out portions as long as some worker takes one, first to whoever will need it first."""
        hungry = [worker for worker in self.workers.values() if len(worker.flight) < worker.capacity]
        while hungry:
            worker = hungry[0] if len(hungry) == 1 else min(hungry, key=_need)
            portion = feed.take(worker.pace.size)
            if portion is None:
                return
            worker.give(portion)
            if len(worker.flight) == worker.capacity:
                hungry.remove(worker)

    def _stop_slow(self) -> None:
        """Kill workers whose run takes too long; `_lost` finds out which run it was in when it died."""
        if self.limits.timeout is None:
            return
        for worker in self.workers.values():
            run, began = worker.beat[RUN], worker.beat[BEGAN]
            if run >= 0 and worker.doomed is None and time.perf_counter() - began > self.limits.timeout:
                worker.doomed = (run, began)
                self.nursery.kill(worker.seat)

    def _hear(self, worker: Worker, feed: Feed) -> Batch | Checkpoint | RunReport | None:
        try:
            answer: Answer | tuple[Any, float] = worker.receiver.receive()
        except (EOFError, OSError):
            return self._lost(worker, feed)
        if isinstance(answer, tuple):
            batch, seconds = answer
            return self._take(worker, feed, OneRun.of(batch) if isinstance(batch, tuple) else batch, seconds)
        if answer.bug:
            raise RuntimeError(answer.bug)
        if worker.is_over:
            self._torn_down(worker, answer.problem)
            return None
        if answer.problem:
            msg = answer.problem if worker.process else f"a worker could not start\n{answer.problem}"
            raise SimkitError(msg)
        if answer.said is not None:
            return answer.said
        worker.process = answer.process
        worker.measure()
        return None

    def _take(self, worker: Worker, feed: Feed, batch: Batch, seconds: float) -> Batch | None:
        """A worker has come to the end of its first portion."""
        worker.send()
        executed = batch.count
        feed.put_back(worker.flight.pop(0), executed)
        worker.seconds = seconds
        worker.measure()
        if self.isolate:
            self._dismiss(worker)
        else:
            worker.pace.heard(executed, seconds, batch.nbytes)
        return batch if executed else None

    def _dismiss(self, worker: Worker) -> None:
        """Let a worker end; its connection closes when it has torn down its fixtures."""
        worker.is_over = True
        worker.measure()
        try:
            worker.sender.send(None)
        except OSError:
            pass  # it died; its connection says so next

    def _lost(self, worker: Worker, feed: Feed) -> Batch | None:
        """A worker died: its beat names the run that killed it; the others of its portions are done again."""
        del self.workers[worker.connection]
        self.ears.remove(worker.connection)
        worker.connection.close()
        worker.sender.remove()
        if worker.is_over:
            return None
        code = self.nursery.exit_code(worker.seat.number)
        if code is None:  # who would have ended them is dead
            worker.end_family()
        why = signal_name(code)
        if not worker.process:
            msg = f"a worker could not start: {why}"
            raise SimkitError(msg)
        run, began = worker.beat[RUN], worker.beat[BEGAN]
        held = [run for portion in worker.flight for run in portion.runs.tolist()]
        culprit = int(run) if run in held else self._not_begun(held)
        if worker.doomed not in (None, (run, began)):
            culprit = -1  # it had only just begun: the slow one was before it
        if self.together is not None and worker.flight:
            culprit = self._halve(worker, feed, culprit)
        else:
            for portion in reversed(worker.flight):
                feed.put_back_singly(portion, culprit)
        if culprit < 0:
            return None
        elapsed = time.perf_counter() - began
        kept = "".join(
            f"\n(its working directory is kept: {folder})" for folder in kept_folders(worker.process)
        )
        if worker.doomed is not None:
            text = f"stopped after {elapsed:.3g} s: its timeout is {self.limits.timeout:g} s{kept}"
            return _ended(culprit, Status.TIMEOUT, text, elapsed, worker)
        text = f"the worker that executed this run died: {why}{kept}"
        return _ended(culprit, Status.CRASHED, text, elapsed, worker)

    def _not_begun(self, held: Sequence[int]) -> int:
        """The run that a worker held which died in none: blamed the second time that it was the only one, else -1."""
        if len(held) != 1:
            return -1
        culprit = held[0] if held[0] in self.not_begun else -1
        self.not_begun.add(held[0])
        return culprit

    def _halve(self, worker: Worker, feed: Feed, culprit: int) -> int:
        """Keep what a worker held when it died in a call of many runs; the culprit once it is alone, else -1."""
        held = worker.flight[0]
        for portion in reversed(worker.flight[1:]):
            feed.put_back(portion, 0)
        if len(held) > 1:
            feed.put_back_halves(held)
            return -1
        if culprit not in held.runs:
            feed.put_back(held, 0)
            return -1
        return culprit

    def close(self, *, now: bool = False) -> Teardown:
        """Let the workers tear down their fixtures and end, or kill them."""
        if not now:
            for worker in self.workers.values():
                try:
                    worker.sender.send(None)
                except OSError:
                    pass
            for worker in self.workers.values():
                self._torn_down(worker, self._last_words(worker))
        for worker in self.workers.values():
            worker.connection.close()
            worker.sender.remove()
        self.nursery.close(kill=now)
        if self.nursery.was_killed:
            for worker in self.workers.values():
                worker.end_family()
            kill_orphans(self.nursery.process.pid)
        Path(self.beats).unlink(missing_ok=True)
        for slot in range(self.n):
            Path(f"{self.beats}-{slot}.log").unlink(missing_ok=True)
        clear(f"{self.beats}-files-")
        return Teardown(tuple(self.problems), tuple(self.printed))

    def _torn_down(self, worker: Worker, problem: str) -> None:
        """Keep what a worker said and printed when it tore down its fixtures: of many workers, of the first."""
        if problem:
            self.problems[problem] = None
        if not self.show and len(self.printed) < _KEPT:
            text = last_words(worker.seat.log, int(worker.beat[LOGGED]))
            self.printed += [text] if text.strip() else []

    def _last_words(self, worker: Worker) -> str:
        try:
            while worker.connection.poll(_TEARDOWN):
                answer = worker.receiver.receive()
                if not isinstance(answer, Answer) or answer.said is not None:
                    continue  # of a run that was still under way
                if worker.process:
                    return answer.problem
                worker.process = answer.process
        except (EOFError, OSError):
            pass
        return ""


def _need(worker: Worker) -> tuple[int, float]:
    """Whoever has the least is the first to need more."""
    return len(worker.flight), worker.beat[BEGAN]


def is_small(batch: Batch) -> bool:
    """Whether all went well, and nothing lies in memory that the worker fills again with its next portion but one."""
    return batch.nbytes < LARGE and batch.is_done


def _ended(run: int, status: Status, text: str, seconds: float, worker: Worker) -> Batch:
    log = "" if worker.seat.show else last_words(worker.seat.log, int(worker.beat[LOGGED]))
    return Batch(
        np.array([run]), np.array([status], "u1"), np.array([time.time() - seconds]), np.array([seconds], "f4"),
        errors={run: text}, logs={run: log} if log else {}, worker=worker.seat.number,
    )  # fmt: skip
