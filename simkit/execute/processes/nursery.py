"""A small process that starts all workers, so that none of them ever holds the owner's files.

It is started before the trajectory is opened for writing. It starts a worker on request and hands the
owner the end of its pipe, says how each one ended, and kills them all when the owner is gone.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import attrs
import multiprocess
from multiprocess import reduction

from simkit.declare.external import kill_family, kill_group, kill_orphans
from simkit.errors import SimkitError
from simkit.execute.job import Method, Source
from simkit.execute.processes.fork import Fork, be_ready, can_fork
from simkit.execute.processes.groups import STOPPING, ignore_signals, lead_session
from simkit.execute.processes.worker import Seat, work
from simkit.execute.resources import limit_threads
from simkit.inject.contact import PROGRAM, open_beats
from simkit.inject.desk import clear
from simkit.inject.generators import global_streams
from simkit.inject.leftovers import sweep
from simkit.inject.lineage import signals_blocked

_KILLED = "the process that starts workers was killed; nothing that is committed is lost"


@attrs.frozen
class Order:
    """What the owner wants: a worker, or its end."""

    verb: Literal["start", "kill"]
    seat: Seat


@attrs.frozen
class End:
    """How a worker ended: its number, and its exit code (negative: the signal that killed it)."""

    number: int
    exit_code: int


class Nursery:
    """The owner's side."""

    def __init__(self, source: Source, method: Method, *, isolate: bool = False) -> None:
        context = multiprocess.get_context(method)
        self.orders, theirs = context.Pipe()
        self.news, reports = context.Pipe()
        ours = [self.orders, self.news] if method == "fork" else []
        args = (source, method, os.getpid(), theirs, reports, ours, isolate)
        self.process = context.Process(target=_serve, args=args, name="simkit-nursery")
        with _without_main(), _one_hash(method), signals_blocked(STOPPING), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # BLAS threads: they survive a fork well
            self.process.start()
        theirs.close()
        reports.close()
        self.ended: dict[int, int] = {}

    def start(self, seat: Seat) -> Connection:
        """Start a worker; the connection to it."""
        self._hear(0.0)  # a line that nobody reads fills up, and the nursery would wait for ever
        self._order(Order("start", seat))
        try:
            if self.orders.poll(120):
                return _connection(reduction.recv_handle(self.orders))
        except (EOFError, OSError, RuntimeError):
            raise SimkitError(_KILLED) from None
        msg = "the process that starts workers does not answer"
        raise SimkitError(msg)

    def kill(self, seat: Seat) -> None:
        """Kill a worker; its connection reads as closed then."""
        self._order(Order("kill", seat))

    def _order(self, order: Order) -> None:
        try:
            self.orders.send_bytes(pickle.dumps(order))
        except OSError:
            raise SimkitError(_KILLED) from None

    def exit_code(self, number: int, patience: float = 10.0) -> int | None:
        """How a worker ended, once its connection has closed."""
        self._hear(patience, number)
        return self.ended.get(number)

    def _hear(self, patience: float, number: int | None = None) -> None:
        """Take what the nursery has said of workers that ended, until it has said it of this one."""
        while number not in self.ended and self.news.poll(patience):
            try:
                end = pickle.loads(self.news.recv_bytes())
            except (EOFError, OSError):
                break
            self.ended[end.number] = end.exit_code

    def close(self, *, kill: bool = False) -> None:
        """End the nursery and with it all workers: in peace, or at once."""
        if kill:
            self._kill()
        self.orders.close()
        self.process.join(10)
        if self.process.is_alive():
            self._kill()
        self.news.close()

    @property
    def was_killed(self) -> bool:
        """Whether nobody was there any more to end the workers."""
        return bool(self.process.exitcode)

    def _kill(self) -> None:
        try:
            self.orders.send_bytes(pickle.dumps("all"))
        except OSError:
            pass


def _connection(handle: int) -> Connection:
    if sys.platform == "win32":
        from multiprocessing.connection import PipeConnection

        return PipeConnection(handle)  # type: ignore[return-value]
    return Connection(handle)


@contextmanager
def _without_main() -> Iterator[None]:
    """Spawned processes would run ``__main__`` again; with an empty one in its place they do not."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _one_hash(method: Method) -> Iterator[None]:
    """Processes that begin anew order sets of texts alike; forked ones do as their owner does."""
    name = "PYTHONHASHSEED"
    chosen = method == "fork" or name in os.environ
    if not chosen:
        os.environ[name] = "0"
    try:
        yield
    finally:
        if not chosen:
            del os.environ[name]


def _serve(
    source: Source,
    method: Method,
    owner: int,
    orders: Any,
    news: Any,
    inherited: list[Any],
    isolate: bool,
) -> None:
    """What the process of the nursery does."""
    for connection in inherited:  # the owner's ends, or its death would never read as end of file
        connection.close()
    lead_session()
    with ignore_signals():
        is_ready = isolate and can_fork()
        if method == "fork":
            limit_threads()  # here, once for all workers: looking for the libraries takes as long as short runs
        if is_ready:
            source, method = _ready(source)
        Starter(source, method, owner, orders, news, is_ready=is_ready).serve()


def _ready(source: Source) -> tuple[Source, Method]:
    """What a worker for each run is made from: the job is made here, where it can be forked from.

    No run is ever executed in this process, and nothing but this thread runs in it.
    """
    limit_threads()
    try:
        made = source()
        made[0].injector()  # for what is remembered of it: each child would find it out again
        for stream in global_streams():  # as how their numbers lie in memory
            stream.state()
    except BaseException:  # noqa: BLE001 - whatever the user's modules raise: each worker will say so
        return source, "fork"
    be_ready()
    return (lambda: made), "fork"


class Starter:
    """The nursery's own side: starts workers on request, and says how each one ended."""

    def __init__(
        self, source: Source, method: Method, owner: int, orders: Any, news: Any, *, is_ready: bool = False
    ) -> None:
        self.source, self.method, self.owner, self.orders, self.news = source, method, owner, orders, news
        self.is_ready = is_ready  # to fork workers that have nothing to prepare
        self.is_limited = is_ready or method == "fork"
        self.workers: dict[int, Any] = {}
        self.seats: dict[int, Seat] = {}
        self.sentinels: dict[int, int] = {}  # by number of the worker: readable when it has ended
        self.bereft = False  # whether a worker could not put its own things away
        self.files: set[str] = set()  # that the owner removes, unless it is killed

    def serve(self) -> None:
        """Obey until the owner closes the line or is gone."""
        try:
            while True:
                sentinels = {handle: number for number, handle in self.sentinels.items()}
                ready = wait([self.orders, *sentinels])
                for sentinel in ready:
                    if sentinel in sentinels:
                        self.report(sentinels[sentinel])
                if self.orders in ready:
                    self.obey(pickle.loads(self.orders.recv_bytes()))
        except (EOFError, OSError):
            pass
        finally:
            self.end()

    def obey(self, order: Order | Literal["all"]) -> None:
        """Start a worker, kill one, or kill all."""
        if order == "all":
            for process in self.workers.values():
                kill_family(process.pid)
            return
        self.files |= {order.seat.beats, order.seat.log}
        if order.verb == "start":
            process = self.start(order.seat)
            self.workers[order.seat.number] = process
            self.seats[order.seat.number] = order.seat
            self.sentinels[order.seat.number] = _sentinel(process)
        elif order.seat.number in self.workers:
            kill_family(self.workers[order.seat.number].pid)

    def start(self, seat: Seat) -> Any:
        """Start a worker, and hand its connection to the owner."""
        context = multiprocess.get_context(self.method)
        ours, theirs = context.Pipe()
        inherited = [ours, self.orders, self.news] if self.method == "fork" else []
        args = (theirs, self.source, attrs.evolve(seat, is_limited=self.is_limited), inherited)
        with _without_main(), signals_blocked(STOPPING):
            if self.is_ready:
                process: Any = Fork(partial(_work, *args))
            else:
                process = context.Process(target=_work, args=args, name=f"simkit-worker-{seat.number}")
                process.start()
        theirs.close()
        reduction.send_handle(self.orders, ours.fileno(), self.owner)
        ours.close()
        return process

    def report(self, number: int) -> None:
        """Say how a worker ended; what a run of one that was killed has started ends, too."""
        process, sentinel = self.workers.pop(number), self.sentinels.pop(number)
        process.join()
        if sentinel != process.sentinel:
            os.close(sentinel)
        if process.exitcode:
            self.bereft = True
            kill_group(process.pid)
            self.end_program(self.seats[number])
            kill_orphans(os.getpid())
        del self.seats[number]
        self.news.send_bytes(pickle.dumps(End(number, process.exitcode)))

    def end_program(self, seat: Seat) -> None:
        """Kill the program that the run of a dead worker was running, in a process group of its own."""
        with suppress(OSError, ValueError):  # the owner may have removed the file
            kill_group(int(open_beats(seat.beats, seat.slot)[PROGRAM]))

    def end(self) -> None:
        """Workers that wait for work end by themselves, busy ones are killed; no file stays."""
        deadline = time.monotonic() + 1
        for process in self.workers.values():
            process.join(max(0.0, deadline - time.monotonic()))
        for process in self.workers.values():
            if process.is_alive():
                self.bereft = True
                kill_family(process.pid)
                process.join()
        for seat in self.seats.values():
            self.end_program(seat)
            clear(seat.aside)
        if self.bereft:
            kill_orphans(os.getpid())
            sweep()
        for file in self.files:
            Path(file).unlink(missing_ok=True)


def _sentinel(process: Any) -> int:
    """What is readable once a process has ended; its own is open as long as one of its children holds it."""
    if hasattr(os, "pidfd_open") and not isinstance(process, Fork):
        try:
            return os.pidfd_open(process.pid)
        except OSError:
            pass
    return process.sentinel  # type: ignore[no-any-return]


def _work(connection: Any, source: Source, seat: Seat, inherited: list[Any]) -> None:
    for other in inherited:
        other.close()
    work(connection, source, seat)


def signal_name(exit_code: int | None) -> str:
    """An exit code in words."""
    if exit_code is None:
        return "it vanished"
    if exit_code >= 0:
        return f"it exited with code {exit_code}"
    try:
        return f"it was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"it was killed by signal {-exit_code}"
