"""Execute runs through a transport: tasks of bytes go to guarded children anywhere, replies of bytes come back."""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path

import attrs
import numpy as np
import xxhash

from simkit.errors import SimkitError
from simkit.execute.agenda import Agenda, Feed, Pace, PortionSize
from simkit.execute.job import Declared, Job, portable
from simkit.execute.mailbox import Mailbox
from simkit.execute.processes.worker import packed
from simkit.execute.resources import Gpus
from simkit.execute.tasks import Assignment, Reply, Task, parted, versions_of
from simkit.execute.transports import Outcome, Transport
from simkit.values.batch import Batch, Checkpoint, Portion, RunReport, Status, Teardown

TASK = PortionSize(0.25, 250_000, 16 << 20)  # some engines need 6 ms of the owner for each
_TICK = 0.1
_SMALL = 16 << 10  # bytes of an assignment that each task may carry along
_FLIGHT = 256 << 20  # bytes under way: tasks, and the results that are expected of them
_ALONE = 2  # losses after which a run is executed while nothing else is
_GIVEN_UP, _TEARDOWN = 10.0, 600.0  # seconds for runs that are given up to end, and for fixtures
_ROUNDS = 5  # of farewells
_BROKEN = 3  # times that an engine may break without any reply in between
# What a worker can't do because it lacks something, rather than because it is gone.
_UNABLE = (ImportError, AttributeError, pickle.PickleError, TypeError, NameError, SyntaxError)


@attrs.define(eq=False)
class Flight:
    """A task under way; without runs it asks whether somebody is there."""

    portion: Portion | None
    is_alone: bool = False
    is_unknown: bool = False  # its guard asked for the assignment
    accused: Batch | None = None  # to be given if there is somebody: a run that was lost alone
    nbytes: int = 0  # of the task
    generation: int = 0  # of the transport that carries it


class Futures:
    """An engine whose workers are those of a transport.

    Parameters
    ----------
    job
        What is executed.
    transport
        Carries tasks.
    folder
        Where a mailbox can be, on a file system that the workers reach.
    packages
        The versions of what the experiment imports; the workers must have the same.
    gpus
        The devices that the workers of each guarded child share.
    """

    def __init__(
        self,
        job: Job,
        transport: Transport,
        *,
        folder: Path,
        packages: Mapping[str, str] | None = None,
        show_output: bool = False,
        gpus: Gpus = (),
    ) -> None:
        self.transport = transport
        self.workers = workers = transport.share
        self.mailbox = Mailbox.beside(folder)
        self.declared = Declared.of(job.plan.space)
        plan, packages = job.plan, packages or {}
        assignment = Assignment(
            portable(job, self.declared), len(self.declared.elements), workers, plan.vectorized, plan.limits,
            plan.isolate, show_output, gpus, self.mailbox, tuple(sys.path), os.getcwd(),
            {**versions_of({}), **packages},
        )  # fmt: skip
        self.assignment = pickle.dumps(assignment)
        self.study = f"{xxhash.xxh3_64_hexdigest(self.assignment)}-{self.mailbox.path.name}"
        self.flights: dict[int, Flight] = {}
        self.together, self.pace, self.run_bytes = plan.vectorized, Pace(plan.vectorized, TASK), 0.0
        self.losses: dict[int, int] = {}
        self.suspects: list[Portion] = []
        self.numbers: dict[tuple[str, int], int] = {}  # of the workers that were heard of
        self.guards: set[str] = set()
        self.silent = self.broken = self.generation = 0  # losses, and ends of the transport, since a reply
        self.is_halted = False
        transport.start()
        self.mailbox.open()
        self._send(Flight(None))  # before the trajectory is opened: processes may be forked for it

    def crew(self) -> tuple[int, int]:
        """How many workers there are, and how many of them have something to do."""
        alive, under_way = self.transport.alive(), sum(f.portion is not None for f in self.flights.values())
        return alive, min(alive, under_way)

    def run(
        self, agenda: Agenda, stop: Callable[[], bool]
    ) -> Iterator[Batch | Checkpoint | RunReport | None]:
        """Batches, checkpoints and reports as they come, in any order; None when nothing came for a while.

        Raises
        ------
        SimkitError
            Where the engine breaks, or its workers can't execute the study.
        """
        feed = Feed(agenda)
        while True:
            if is_over := stop() or self.is_halted:
                self._recall()
            else:
                self._submit(feed)
            if not self._is_busy() and (is_over or not (self.suspects or feed.has_more())):
                return
            outcomes = self.transport.finished(_TICK)
            heard = [(self.flights.pop(ticket, None), outcome) for ticket, outcome in outcomes]
            for flight, outcome in heard:
                for event in self._heard(flight, outcome, feed) if flight is not None else ():
                    yield agenda.settle(event) if isinstance(event, Batch) else event
            yield from self.mailbox.checkpoints()
            if not outcomes:
                yield None

    def _is_busy(self) -> bool:
        return any(flight.portion is not None or flight.accused for flight in self.flights.values())

    # What goes out

    def _submit(self, feed: Feed) -> None:
        """Have as many tasks under way as there are workers, and one that waits for each."""
        while self._has_room():
            portion = feed.take(max(self.workers, self.pace.size))
            if portion is None:
                break
            if self.losses and max(self.losses.get(run, 0) for run in portion.runs.tolist()) >= _ALONE:
                self.suspects.append(portion)
            else:
                self._send(Flight(portion))
        if self.suspects and not self._is_busy():
            self._send(Flight(self.suspects.pop(0), is_alone=True))

    def _has_room(self) -> bool:
        waiting = under_way = runs = 0
        for flight in self.flights.values():
            if flight.is_alone:
                return False
            waiting += flight.nbytes
            runs += 0 if flight.portion is None else len(flight.portion)
            under_way += 1
        waiting += int(self.run_bytes * runs)  # as is known by now, of tasks too that were sent before
        return waiting < _FLIGHT and under_way < 2 * self.transport.width()

    def _send(self, flight: Flight) -> None:
        assignment = self.assignment if flight.is_unknown or len(self.assignment) <= _SMALL else b""
        portion = b"" if flight.portion is None else self.declared.dumps(packed(flight.portion))
        task = pickle.dumps(Task(self.study, assignment, portion), 5)
        flight.nbytes, flight.generation = len(task), self.generation
        self.flights[self.transport.submit(task)] = flight

    def _recall(self) -> None:
        """Take back what has not begun; where that can't be told, guards look into the mailbox before they begin."""
        if self._is_busy():
            self.mailbox.halt()
        for ticket in [ticket for ticket in self.flights if self.transport.cancel(ticket)]:
            del self.flights[ticket]

    # What comes back

    def _heard(
        self, flight: Flight, outcome: Outcome, feed: Feed
    ) -> Iterator[Batch | Checkpoint | RunReport]:
        if isinstance(outcome, BaseException):
            self._check_able(outcome)
            self._renew(flight, outcome)
            yield from self._lost(flight, f"{type(outcome).__name__}: {outcome}", feed)
            return
        reply = parted(outcome)
        self._check(reply)
        if reply.lost:
            yield from self._lost(flight, reply.lost, feed)
            return
        self.silent = self.broken = 0
        self.guards.add(reply.guard)
        if flight.accused is not None:
            yield flight.accused
        if reply.is_unknown:
            flight.is_unknown = True
            self._send(flight)
            return
        yield from reply.reports
        yield from reply.checkpoints
        if flight.portion is not None:
            yield from self._batches(flight.portion, reply, feed)

    def _batches(self, portion: Portion, reply: Reply, feed: Feed) -> Iterator[Batch]:
        batches: list[Batch] = [pickle.loads(data, buffers=beside) for data, *beside in reply.batches]
        runs = sum(len(batch.runs) for batch in batches)
        if runs:
            nbytes = sum(batch.nbytes for batch in batches)
            self.run_bytes = nbytes / runs
            self.pace.heard(runs, reply.seconds, nbytes)
        self._put_back(portion, batches, feed)
        said = tuple(("", remark) for remark in reply.remarks)
        for batch in batches:
            number = self.numbers.setdefault((reply.guard, int(np.max(batch.worker))), len(self.numbers) + 1)
            yield attrs.evolve(batch, worker=number, warnings=(*batch.warnings, *said))
            said = ()

    def _put_back(self, portion: Portion, batches: Sequence[Batch], feed: Feed) -> None:
        """Keep the runs of a portion that were not executed."""
        executed = {run for batch in batches for run in batch.runs.tolist()}
        rows = [row for row, run in enumerate(portion.runs.tolist()) if run not in executed]
        if rows:
            feed.returned.append(portion.chosen(np.array(rows)))

    # What goes wrong

    def _check_able(self, error: BaseException) -> None:
        if isinstance(error, _UNABLE):
            msg = (
                f"engine {self.transport.name}: its workers can't execute simkit's tasks: "
                f"{type(error).__name__}: {error}\n    install the same simkit for them"
            )
            raise SimkitError(msg) from error

    def _check(self, reply: Reply) -> None:
        if reply.bug:
            raise RuntimeError(reply.bug)
        if reply.problem:
            place = f" on {reply.guard}" if reply.guard else ""
            msg = f"engine {self.transport.name}: the study can't be executed{place}\n{reply.problem}"
            raise SimkitError(msg)

    def _renew(self, flight: Flight, error: BaseException) -> None:
        """Begin anew with an engine that broke, unless that was done since, or happens again and again."""
        if not isinstance(error, BrokenExecutor) or flight.generation < self.generation:
            return
        self.broken += 1
        self.generation += 1
        if self.broken > _BROKEN or not self.transport.renew():
            raise self._gone(f"{type(error).__name__}: {error}") from error

    def _lost(self, flight: Flight, why: str, feed: Feed) -> Iterator[Batch]:
        """A task came to nothing: its runs are done again, singly, then alone, before one is blamed."""
        self.silent += 1
        if flight.accused is not None or self.silent > 3 * self.transport.width() + 10:
            raise self._gone(why)
        if flight.portion is None:
            return
        for run in flight.portion.runs.tolist():
            self.losses[run] = self.losses.get(run, 0) + 1
        if self.together is not None and len(flight.portion) > 1:
            feed.put_back_halves(flight.portion)
        elif flight.is_alone:
            self._send(Flight(None, accused=_crashed(flight, why)))
        else:
            feed.put_back_singly(flight.portion)
        yield from ()

    def _gone(self, why: str) -> SimkitError:
        words = "what is committed is safe; type the same command again"
        return SimkitError(f"engine {self.transport.name} does not answer any more: {why}\n    {words}")

    # The end

    def halt(self) -> None:
        """Let no further run start."""
        self.is_halted = True

    def close(self, *, now: bool = False) -> Teardown:
        """Have the guards tear down what the runs shared."""
        teardown = Teardown()
        try:
            if now:
                self.mailbox.halt(now=True)
                self._recall()
                self._await(_GIVEN_UP)
            teardown = self._farewell(_GIVEN_UP if now else _TEARDOWN)
        except SimkitError as error:
            teardown = Teardown(() if now else (str(error),))
        finally:
            self.mailbox.remove()
        return teardown

    def _await(self, seconds: float) -> list[Reply]:
        """What comes back within a time, of what is under way."""
        deadline, replies = time.monotonic() + seconds, []
        while self.flights and time.monotonic() < deadline:
            for ticket, outcome in self.transport.finished(_TICK):
                if self.flights.pop(ticket, None) is not None and isinstance(outcome, bytes):
                    replies.append(parted(outcome))
        return replies

    def _farewell(self, seconds: float) -> Teardown:
        """Tell each guard that was heard of that the study is over.

        Who does a task is the transport's choice: a guard that was told already waits a moment, so that others
        take what is left.
        """
        deadline = time.monotonic() + seconds
        awaited = set(self.guards)
        problems: dict[str, None] = {}
        printed: list[str] = []
        for _ in range(_ROUNDS):
            self.flights = {
                self.transport.submit(pickle.dumps(Task(self.study, is_last=True))): Flight(None)
                for _ in awaited
            }
            for reply in self._await(deadline - time.monotonic()):
                awaited.discard(reply.guard)
                problems.update(dict.fromkeys((*reply.remarks, *reply.teardown.problems)))
                printed += reply.teardown.printed
        return Teardown(tuple(problems), tuple(printed))


def _crashed(flight: Flight, why: str) -> Batch:
    """A run that was lost each time, at last while nothing else was executed."""
    assert flight.portion is not None
    (run,) = flight.portion.runs.tolist()
    text = (
        f"what executed this run was lost {_ALONE + 1} times, at last while nothing else was executed: {why}"
    )
    return Batch(
        np.array([run]), np.array([Status.CRASHED], "u1"), np.array([time.time()]), np.array([np.nan], "f4"),
        errors={run: text},
    )  # fmt: skip
