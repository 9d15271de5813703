"""Ctrl-C and SIGTERM: once means finish what runs, twice means stop now."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from simkit.inject.beat import RUN, STOP, Beat

_SIGNALS = [signal.SIGINT, signal.SIGTERM]


class Interrupt:
    """While entered, counts the signals instead of raising in the middle of a write.

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
        self.previous: dict[signal.Signals, Any] = {}

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
                self.previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
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
