"""What carries tasks to other processes and replies back? Any ``concurrent.futures.Executor`` does."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from typing import Any, Protocol

import attrs

from simkit.collect.config import cores
from simkit.errors import SimkitError

Outcome = bytes | BaseException  # a pickled reply, or why there is none


class Transport(Protocol):
    """Carries bytes to `simkit.execute.warden.execute` in some process, and its answer back.

    Attributes
    ----------
    name
        As users write it: ``dask``.
    share
        How many runs each of its workers executes at once.
    """

    name: str
    share: int

    @property
    def words(self) -> str:
        """Where its state can be seen, for people."""

    def start(self) -> None:
        """Have it ready; nothing happens where it is.

        Raises
        ------
        SimkitError
            Where it can't be had.
        """

    def width(self) -> int:
        """How many tasks are done at once, as far as is known."""

    def alive(self) -> int:
        """How many workers are there now."""

    def submit(self, task: bytes) -> int:
        """Hand over a task; its ticket."""

    def cancel(self, ticket: int) -> bool:
        """Take a task back; False where that may come too late."""

    def finished(self, seconds: float) -> list[tuple[int, Outcome]]:
        """The tasks that came back; waits so long for the first."""

    def renew(self) -> bool:
        """Begin anew after it broke; False where it can't."""

    def close(self) -> None:
        """End it, if it is ours."""


@attrs.frozen(eq=False)
class Pooled:
    """An executor, and what is known of it.

    Attributes
    ----------
    width
        How many calls it makes at once.
    close
        Ends what was started for it.
    words
        Where its state can be seen, for people.
    may_cancel
        Whether only calls that have not begun can be cancelled.
    alive
        How many workers are there now, where that is not the width.
    is_alive
        Whether it has not broken.
    """

    executor: Any
    width: Callable[[], int]
    close: Callable[[], None]
    words: str = ""
    may_cancel: bool = True
    alive: Callable[[], int] | None = None
    is_alive: Callable[[], bool] = lambda: True

    @classmethod
    def of(cls, executor: Any, where: str, *, is_ours: bool) -> Pooled:
        """Any executor.

        Raises
        ------
        SimkitError
            For anything else.
        """
        if not callable(getattr(executor, "submit", None)):
            msg = f"{where}: {executor!r} is no executor: give what has submit(function, argument) -> Future"
            raise SimkitError(msg)
        width = getattr(executor, "_max_workers", None) or getattr(executor, "max_workers", None)
        count = width if isinstance(width, int) and width > 0 else cores()
        end = getattr(executor, "shutdown", None)
        return cls(executor, lambda: count, end if is_ours and end is not None else _nothing)


def _nothing() -> None:
    pass


class Executors:
    """A transport by an executor, which is made when it is needed first.

    Parameters
    ----------
    make
        Makes it, and makes it anew when it broke.
    share
        How many runs each of its workers executes at once.
    is_renewable
        Whether it may be made twice.
    """

    def __init__(
        self, name: str, make: Callable[[], Pooled], *, share: int = 1, is_renewable: bool = True
    ) -> None:
        self.name, self.make, self.share, self.is_renewable = name, make, share, is_renewable
        self.pooled: Pooled | None = None
        self.futures: dict[int, Future[bytes]] = {}
        self.done: queue.SimpleQueue[tuple[int, Future[bytes]]] = queue.SimpleQueue()
        self.count = 0

    @property
    def words(self) -> str:
        """Where its state can be seen, for people."""
        return "" if self.pooled is None else self.pooled.words

    def start(self) -> None:
        """Make the executor."""
        if self.pooled is None:
            self.pooled = self.make()

    def width(self) -> int:
        """How many tasks are done at once."""
        self.start()
        assert self.pooled is not None
        return max(1, self.pooled.width())

    def alive(self) -> int:
        """How many workers are there now."""
        counted = None if self.pooled is None else self.pooled.alive
        return self.width() if counted is None else counted()

    def submit(self, task: bytes) -> int:
        """Hand over a task; its ticket."""
        from simkit.execute.tasks import execute  # with what executes: the command asks only what started it

        assert self.pooled is not None
        self.count += 1
        ticket = self.count
        try:
            future = self.pooled.executor.submit(execute, task)
        except Exception as error:  # noqa: BLE001 - a broken executor refuses in its own way
            future = Future()
            future.set_exception(error if isinstance(error, BrokenExecutor) else _refusal(error))
        self.futures[ticket] = future
        future.add_done_callback(lambda done: self.done.put((ticket, done)))
        return ticket

    def cancel(self, ticket: int) -> bool:
        """Take a task back."""
        assert self.pooled is not None
        return self.pooled.may_cancel and ticket in self.futures and self.futures[ticket].cancel()

    def finished(self, seconds: float) -> list[tuple[int, Outcome]]:
        """The tasks that came back."""
        outcomes: list[tuple[int, Outcome]] = []
        try:
            while True:
                ticket, future = self.done.get(timeout=seconds) if seconds else self.done.get_nowait()
                self.futures.pop(ticket, None)
                outcomes.append((ticket, _outcome(future)))
                seconds = 0.0
        except queue.Empty:
            return outcomes or self._broken()

    def _broken(self) -> list[tuple[int, Outcome]]:
        """All tasks, where what carries them is gone and would not say so for a while."""
        if self.pooled is None or self.pooled.is_alive():
            return []
        lost, self.futures = list(self.futures), {}
        return [(ticket, BrokenExecutor("its scheduler is gone")) for ticket in lost]

    def renew(self) -> bool:
        """Make another executor; what the one before still owes is lost, as it may never say so."""
        if not self.is_renewable or self.pooled is None:
            return False
        self.close()
        owed, self.futures = list(self.futures), {}
        for ticket in owed:
            lost: Future[bytes] = Future()
            lost.set_exception(BrokenExecutor("what should have executed it has broken"))
            self.done.put((ticket, lost))
        self.start()
        return True

    def close(self) -> None:
        """End the executor, if it is ours."""
        pooled, self.pooled = self.pooled, None
        if pooled is not None:
            pooled.close()


def _refusal(error: Exception) -> BrokenExecutor:
    broken = BrokenExecutor(f"{type(error).__name__}: {error}")
    broken.__cause__ = error
    return broken


def _outcome(future: Future[bytes]) -> Outcome:
    if future.cancelled():
        return BrokenExecutor("the engine cancelled the task")
    error = future.exception()
    return future.result() if error is None else error
