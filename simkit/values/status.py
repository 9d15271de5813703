"""What can become of a run."""

from __future__ import annotations

import enum


class Status(enum.IntEnum):
    """The outcome of a run, as the numbers in ``runs/status``."""

    PENDING = 0
    DONE = 1
    FAILED = 2
    TIMEOUT = 3
    CRASHED = 4

    @property
    def word(self) -> str:
        """As users read it: ``done``, ``failed`` …"""
        return self.name.lower()


WORDS = tuple(status.word for status in Status)
