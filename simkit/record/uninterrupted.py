"""Ctrl-C waits for a moment at which HDF5 is left whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Uninterrupted:
    """A context in which Ctrl-C and SIGTERM only count when `check` is called.

    Raised within HDF5's callbacks, an exception would leave the library in an unknown state.
    """

    def __init__(self) -> None:
        self.heard = False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Uninterrupted:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self._hear)
        return self

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.heard = True

    def check(self) -> None:
        """Stop here if that was asked for."""
        if self.heard:
            raise KeyboardInterrupt

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
