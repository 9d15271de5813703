"""What a process that runs something shares with its owner, as four numbers in one place.

The run it is in (-1 between batches), since when (``time.perf_counter``), whether it shall start no
further run, and how much output there was before this run.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import TypeAlias

Beat: TypeAlias = MutableSequence[float]
RUN, BEGAN, STOP, LOGGED = range(4)
SIZE = 4


def local_beat() -> Beat:
    """The beat of runs in the owner's own process."""
    return [-1.0, 0.0, 0.0, 0.0]
