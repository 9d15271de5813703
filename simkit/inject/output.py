"""Which run of a batch has printed what?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from simkit.inject.contact import LOGGED, Beat

TOGETHER = 2e-5  # seconds: runs that are over sooner are asked together whether they have written anything


class Log(Protocol):
    """Where a run's output goes, if anybody collects it.

    Attributes
    ----------
    printed
        Not empty once Python's standard output or error was written to; emptied by who takes note of it.
    is_quiet
        Whether nothing was written so far but by Python's streams, which tell.
    """

    printed: list[bool]
    is_quiet: bool

    def position(self) -> int:
        """How much was written so far: a system call."""

    def text(self, start: int, stop: int) -> str:
        """What was written between two positions."""


class Output:
    """What the runs of one batch write.

    Asking the system after every run would cost more than a short run. What Python's streams write is told at
    once; programs and libraries written in other languages are looked for after 20 µs of runs, and after every
    run when they have written once.

    Parameters
    ----------
    runs
        The runs' numbers, in the order in which they are executed.
    """

    def __init__(self, log: Log, beat: Beat, runs: Sequence[int]) -> None:
        self.log, self.beat, self.runs = log, beat, runs
        self.texts: dict[int, str] = {}
        self.taken = 0
        self.end = 0
        self.begin()

    def begin(self) -> None:
        """What was written before the first run is none of its output."""
        self.beat[LOGGED] = self.end = self.log.position()
        self.log.printed.clear()

    def take(self, executed: int, now: float) -> float:
        """Keep what was written since the last time; the last of so many runs has just ended.

        Returns
        -------
        float
            When to come again, on the clock of ``now``, unless Python prints.
        """
        start, self.end = self.end, self.log.position()
        suspects, self.taken = self.runs[self.taken : executed], executed
        if self.end != start and suspects:
            self.keep(suspects, self.log.text(start, self.end))
            self.beat[LOGGED] = self.end
        self.log.printed.clear()
        return now + TOGETHER if self.log.is_quiet else 0.0

    def keep(self, suspects: Sequence[int], text: str) -> None:
        """Record a text for the last of these runs, and say so where another of them may have written it."""
        if not self.log.printed:
            self.log.is_quiet = False
            if len(suspects) > 1:
                text = f"(written by one of the runs {suspects[0]} to {suspects[-1]})\n{text}"
        self.texts[suspects[-1]] = text
