"""Signals count instead of raising in the middle of a write, and what runs of this process move is put back."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from simkit.collect.surroundings import is_closed
from simkit.inject.contact import RUN, STOP, Beat
from simkit.inject.lineage import Lineage
from simkit.record.file.system import Owned, identity_of

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupt:
    """While entered, counts the signals instead of raising in the middle of a write; children are not concerned.

    Parameters
    ----------
    beat
        The heartbeat of runs in this process: only within one of them may an exception be raised.
    notify
        Called with the count at each signal.
    """

    def __init__(self, beat: Beat, notify: Callable[[int], None]) -> None:
        self.beat, self.notify = beat, notify
        self.count = 0
        self.halts: list[Callable[[], None]] = []  # tell other processes to start no further run
        self.previous: dict[int, Any] = {}
        self.lineage: Lineage | None = None

    @property
    def requested(self) -> bool:
        """Whether no further run shall start."""
        return self.count > 0

    @property
    def now(self) -> bool:
        """Whether running ones shall be given up."""
        return self.count > 1

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:  # as nohup wants it
                    self.previous[number] = signal.signal(number, self._handle)
        handlers = {number: (self._handle, before) for number, before in self.previous.items()}
        self.lineage = Lineage(handlers)
        return self

    def __exit__(self, *_: object) -> None:
        self.lineage = None
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        self.beat[STOP] = 1.0
        for halt in self.halts:
            halt()
        self.notify(self.count)
        if self.now and self.beat[RUN] >= 0:
            raise KeyboardInterrupt


@contextmanager
def surroundings() -> Iterator[None]:
    """Put back afterwards what runs in this process may have moved: the working directory and the standard streams."""
    try:
        folder = os.getcwd()
    except OSError:  # it was removed
        folder = ""
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}
    written = Owned()  # what the streams write to, whatever runs close and lead elsewhere
    kept = {number: written.add(fd) for number in (1, 2) if (fd := _another(number)) is not None}
    try:
        yield
    finally:
        if folder:
            with suppress(OSError):
                os.chdir(folder)
        for number, fd in kept.items():
            if identity_of(number) != written.identities[fd] == identity_of(fd):
                os.dup2(fd, number)
        written.close()
        for number, (name, stream) in enumerate(streams.items(), 1):
            setattr(sys, name, _reopened(number) if is_closed(stream) else stream)


def _another(number: int) -> int | None:
    """Another descriptor of what a standard stream writes to, if it does."""
    try:
        return os.dup(number)
    except OSError:
        return None


def _reopened(number: int) -> Any:
    try:
        return open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    except OSError:
        return open(os.devnull, "w", encoding="utf-8")
