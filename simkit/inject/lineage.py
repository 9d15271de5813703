"""Is this the process that executes runs, or a child that one of them has forked?

A child of ``os.fork`` has all that its parent has: the loop over the runs, the pipe to the owner, the open file, the
handlers of signals. What runs fork themselves, or by ``multiprocessing``, shall be as a child of any Python
program: signals end it, and where it returns from the experiment it ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, NoReturn, TypeVar

import attrs

from simkit.errors import SimkitError

T = TypeVar("T")
U = TypeVar("U")
Handler = Callable[[int, FrameType | None], Any] | int | None
_FORKS = hasattr(os, "register_at_fork")


@attrs.define(eq=False)
class Lineage:
    """One process, and what children that are forked from it must not take over.

    As a context it ends children that leave it, as they would end at the end of a script of their own.

    Attributes
    ----------
    handlers
        By signal: the handler that this process has, and the one that a child gets instead.
    descriptors
        Pipes that a child must not hold open, or use.
    children
        The child's process number, in a child; empty in the process itself.
    forks
        How many children were forked from it.
    """

    handlers: Mapping[int, tuple[Handler, Handler]] = attrs.field(factory=dict)
    descriptors: tuple[int, ...] = ()
    children: list[int] = attrs.field(factory=list)
    forks: int = 0

    def __attrs_post_init__(self) -> None:
        _ALIVE.add(self)

    def __enter__(self) -> Lineage:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.children:
            self.end(error)

    def only_here(self, act: Callable[[T], U]) -> Callable[[T], U]:
        """The same in this process; in a child it is an error, as it would use what is the parent's."""

        def acted(argument: T) -> U:
            if self.children:
                raise SimkitError(
                    "run.checkpoint(), run.report() and run.should_stop() are for the run's own process, and this is"
                    " one that it has forked\n    give the run what is found here, by a pipe or a queue"
                )
            return act(argument)

        return acted

    def end(self, error: BaseException | None = None) -> NoReturn:
        """End this child, without what its parent would do at its end: removing files, closing the trajectory."""
        code = 0
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error is not None:
            code = 1
        with suppress(BaseException):
            if code and isinstance(error, SystemExit) and not isinstance(error.code, int):
                print(error.code, file=sys.stderr)
            elif code and not isinstance(error, SystemExit):
                traceback.print_exception(error)
        for stream in (sys.stdout, sys.stderr):
            with suppress(BaseException):  # whatever a run put there: nothing goes on here
                stream.flush()
        os._exit(code & 0xFF)

    def leave_behind(self) -> None:
        """Called in a child: give up what belongs to the parent."""
        self.children.append(os.getpid())
        for number, (mine, theirs) in self.handlers.items():
            if signal.getsignal(number) == mine:  # a handler of the run's own is the child's, too
                signal.signal(number, theirs)
        if not self.descriptors:
            return
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in self.descriptors:
            with suppress(OSError):
                os.dup2(null, descriptor, inheritable=False)  # closing would give its number to another file
        os.close(null)


# A hook of ``os.register_at_fork`` can't be taken back: there is one, for those that are alive.
_ALIVE: weakref.WeakSet[Lineage] = weakref.WeakSet()
_masks = threading.local()


def end_daemons() -> None:
    """End what runs have started by ``multiprocessing`` as daemonic, as Python does at the end of a program."""
    for name in ("multiprocessing", "multiprocess"):
        module = sys.modules.get(name)
        for child in () if module is None else module.active_children():
            if child.daemon:
                child.terminate()


@contextmanager
def signals_blocked(numbers: tuple[int, ...]) -> Iterator[None]:
    """Signals wait meanwhile; a process that is started inherits that, and says itself when it is ready."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _block() -> None:
    """Before a fork: a signal to the child shall not reach it as long as it has its parent's handlers."""
    numbers = {number for lineage in list(_ALIVE) for number in lineage.handlers}
    _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.before)


def _stay_parent() -> None:
    _unblock()
    for lineage in list(_ALIVE):
        lineage.forks += 1


def _begin_child() -> None:
    for lineage in list(_ALIVE):
        lineage.leave_behind()
    _unblock()


if _FORKS:
    os.register_at_fork(before=_block, after_in_parent=_stay_parent, after_in_child=_begin_child)
