"""How far one experiment is, and who wants to know."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs
import numpy as np

from simkit.collect.plan import Plan
from simkit.record.continuing import Continuation
from simkit.values.batch import Batch
from simkit.values.status import Status

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
