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


def never(_: Beat) -> bool:
    """A KeyboardInterrupt in a run is the run's own: in a worker, Ctrl-C does not arrive."""
    return False


def signalled(beat: Beat) -> bool:
    """It is Ctrl-C if a signal has asked to stop; else the run raised it itself."""
    return bool(beat[STOP])


def always(_: Beat) -> bool:
    """It is Ctrl-C, as far as anybody can tell where no signal is handled."""
    return True
