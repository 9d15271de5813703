"""How far a study is, who wants to know, and how numbers look."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs
import numpy as np

from simkit.collect.plan import Plan
from simkit.resume.continuing import Continuation
from simkit.values.batch import Batch, Status


def size(nbytes: int) -> str:
    """``21 kB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 1000 or unit == "GB":
            return f"{nbytes:.0f} {unit}" if nbytes >= 10 or unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1000  # type: ignore[assignment]
    return ""


def duration(seconds: float) -> str:
    """``0.21 s``, ``5:40``, ``2:05:40``."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def short(value: Any, most: int = 60) -> str:
    """A value on one line."""
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
    text = " ".join(repr(plain).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def assignments(values: Mapping[str, Any]) -> str:
    """``x=1.0  y=6.0``."""
    return "  ".join(f"{name}={short(value)}" for name, value in values.items())


def counted(number: int, thing: str) -> str:
    """``1 run``, ``12 runs``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def rule(text: str, mark: str = "=", width: int = 76) -> str:
    """A title in a line of marks."""
    return f" {text} ".center(width, mark)


_KEPT = 20


@attrs.frozen
class Failure:
    """A run that is not done, for the report."""

    run: int
    status: str
    text: str
    values: Mapping[str, Any]


@attrs.frozen(eq=False)
class Stage:
    """A call of what follows the experiment: done, failed (``text`` says why) or interrupted."""

    plan: Plan
    status: str
    seconds: float
    text: str = ""


@attrs.define(eq=False)
class Progress:
    """How far one experiment is."""

    plan: Plan
    total: int
    target: Continuation
    size: int
    started: float = attrs.field(factory=time.perf_counter)
    counts: dict[str, int] = attrs.field(factory=dict)
    failures: list[Failure] = attrs.field(factory=list)
    slowest: list[tuple[float, int]] = attrs.field(factory=list)
    recorded_done: int = 0
    waiting: dict[str, int] = attrs.field(factory=dict)  # of these counts, since the last commit
    interrupted: bool = False
    warnings: dict[str, str] = attrs.field(factory=dict)  # by text, the name that silences it
    busy: float = 0.0  # seconds of work in all runs

    stages: list[Stage] = attrs.field(factory=list)  # what was called after the runs
    remarks: list[str] = attrs.field(factory=list)  # what was done besides, for people
    problems: list[str] = attrs.field(factory=list)  # that cost no run, but must be known

    def take_problems(self, problems: list[str]) -> None:
        """What went wrong outside of the runs."""
        self.problems.extend(problem for problem in problems if problem)

    @property
    def path(self) -> Path:
        """The trajectory's file."""
        return self.target.slot.path

    @property
    def done(self) -> int:
        """Runs that were executed, whatever became of them."""
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        """Runs that are not done."""
        return self.done - self.counts.get(Status.DONE.word, 0)

    @property
    def failed_in_all(self) -> int:
        """Runs that are not done, and failures of what followed them."""
        return self.failed + sum(bool(stage.text) for stage in self.stages)

    def committed(self) -> None:
        """All that was counted so far is safe."""
        self.waiting = {}

    def lost(self) -> None:
        """What was counted since the last commit is not in the file."""
        for word, number in self.waiting.items():
            self.counts[word] -= number
        self.waiting = {}

    def take(self, batch: Batch, values: Callable[[int], Mapping[str, Any]]) -> None:
        """Count a batch, and keep what the report needs of it."""
        final = ~np.isin(batch.runs, batch.again) if batch.again else np.ones(len(batch.runs), bool)
        numbers = np.bincount(batch.status[final], minlength=len(Status))
        for status in Status:
            if numbers[status]:
                self.counts[status.word] = self.counts.get(status.word, 0) + int(numbers[status])
                self.waiting[status.word] = self.waiting.get(status.word, 0) + int(numbers[status])
        self.warnings.update({text: name for name, text in batch.warnings})
        self.busy += float(np.nansum(batch.seconds))
        for position in np.flatnonzero(final & (batch.status != Status.DONE))[
            : _KEPT - len(self.failures)
        ].tolist():
            run = int(batch.runs[position])
            word = Status(int(batch.status[position])).word
            self.failures.append(Failure(run, word, batch.errors.get(run, ""), values(run)))
        bar = self.slowest[-1][0] if len(self.slowest) == _KEPT else -1.0
        slow = np.flatnonzero(batch.seconds > bar)
        order = slow[np.argsort(-batch.seconds[slow])[:_KEPT]].tolist()
        longest = self.slowest + [(float(batch.seconds[i]), int(batch.runs[i])) for i in order]
        self.slowest = sorted(longest, key=lambda pair: -pair[0])[:_KEPT]


class Reporter(Protocol):
    """Whoever wants to know how it goes."""

    def begin(self, progress: Progress) -> None:
        """An experiment starts."""

    def advance(self, progress: Progress) -> None:
        """Some runs were executed, or a while has passed."""

    def end(self, progress: Progress) -> None:
        """An experiment is over."""

    def stage(self, progress: Progress, stage: Stage) -> None:
        """What follows the experiment was called."""

    def interrupted(self, count: int) -> None:
        """A signal asked to stop."""


class Silent:
    """Nobody wants to know."""

    def begin(self, progress: Progress) -> None:
        """Say nothing."""

    def advance(self, progress: Progress) -> None:
        """Say nothing."""

    def end(self, progress: Progress) -> None:
        """Say nothing."""

    def stage(self, progress: Progress, stage: Stage) -> None:
        """Say nothing."""

    def interrupted(self, count: int) -> None:
        """Say nothing."""
