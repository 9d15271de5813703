"""How far a study is, who wants to know, and how numbers look."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs
import numpy as np
from rich.filesize import pick_unit_and_suffix

from simkit.collect.plan import Plan
from simkit.inform.failures import Failure, FailureKinds
from simkit.resume.continuing import Continuation
from simkit.values.batch import WORDS, Batch, Heard, Status, Teardown


def size(nbytes: int) -> str:
    """``21 kB``."""
    unit, suffix = pick_unit_and_suffix(nbytes, ["B", "kB", "MB", "GB", "TB"], 1000)
    number = nbytes / unit
    return f"{number:.1f} {suffix}" if number < 10 and unit > 1 else f"{number:.0f} {suffix}"


def duration(seconds: float) -> str:
    """``0.21 s``, ``5:40``, ``2:05:40``."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def has_unit(value: Any) -> bool:
    """Whether a value is a quantity, which shows its unit itself: Brian2's, pint's or astropy's."""
    is_time = isinstance(
        value, (datetime.date, datetime.timedelta)
    )  # pandas' have a resolution that is called unit
    return not is_time and any(hasattr(value, name) for name in ("dim", "units", "unit"))


def briefly(value: Any, most: int = 60, cells: int = 6) -> str:
    """A value on one line of so many characters: arrays of more cells by their type and shape."""
    shape = getattr(value, "shape", ())
    if shape and (not isinstance(value, np.ndarray) or value.size > cells):
        dtype = f"{value.dtype} " if isinstance(value, np.ndarray) else ""
        return f"{type(value).__name__.removeprefix('nd')} {dtype}{shape}"
    plain = value.item() if shape == () and hasattr(value, "item") and not has_unit(value) else value
    return cut(repr(plain), most)


def cut(text: str, most: int = 60) -> str:
    """Text on one line of so many characters."""
    words = " ".join(text.split())
    return words if len(words) <= most else words[: most - 1] + "…"


def assignments(values: Mapping[str, Any]) -> str:
    """``x=1.0  y=6.0``."""
    return "  ".join(f"{name}={briefly(value)}" for name, value in values.items())


def counted(number: int, thing: str) -> str:
    """``1 run``, ``12 runs``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def tally(counts: Mapping[str, int]) -> str:
    """``45 done, 5 failed``: in the order of the statuses, whichever was counted first; other words behind."""
    ordered = sorted(counts, key=lambda word: WORDS.index(word) if word in WORDS else len(WORDS))
    return ", ".join(f"{counts[word]} {word}" for word in ordered)


def rule(text: str, mark: str = "=", width: int = 76) -> str:
    """A title in a line of marks."""
    return f" {text} ".center(width, mark)


_KEPT = 20
_MOST_HEARD = 1000  # warnings with different words


@attrs.frozen(eq=False)
class Stage:
    """A call of what stands beside the experiment: done, failed (``text`` says why) or interrupted.

    Attributes
    ----------
    role
        ``after``, or ``strategy``.
    """

    plan: Plan
    status: str
    seconds: float
    text: str = ""
    role: str = "after"


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
    kinds: FailureKinds = attrs.field(factory=FailureKinds)
    heard: dict[Heard, int] = attrs.field(
        factory=dict
    )  # Python's warnings, and the number of runs that gave them
    logged: list[int] = attrs.field(factory=list)  # the first runs that printed something
    n_logged: int = 0
    slowest: list[tuple[float, int]] = attrs.field(factory=list)
    recorded_done: int = 0
    waiting: dict[str, int] = attrs.field(factory=dict)  # of these counts, since the last commit
    interrupted: bool = False
    gave_anything: bool = False  # whether a run had a result, a file or a remark
    is_gone: bool = False  # the file is not where it was
    warnings: dict[str, str] = attrs.field(factory=dict)  # by text, the name that silences it
    busy: float = 0.0  # seconds of work in all runs

    stages: list[Stage] = attrs.field(factory=list)  # what was called after the runs
    remarks: list[str] = attrs.field(factory=list)  # what was done besides, for people
    departures: list[str] = attrs.field(factory=list)  # of a strategy, which scripts hear of
    notices: list[str] = attrs.field(factory=list)  # what people want to know while runs are executed
    crew: Callable[[], tuple[int, int]] = lambda: (0, 0)  # workers, and those that have something to do
    problems: list[str] = attrs.field(factory=list)  # that cost no run, but must be known
    printed: str = ""  # by fixtures, when workers tore them down

    def take_notices(self) -> list[str]:
        """What was not said yet."""
        if not self.notices:  # it is asked for each message of a worker
            return self.notices
        notices, self.notices = [notice for notice in self.notices if notice], []
        return notices

    def take_teardown(self, teardown: Teardown) -> None:
        """What fixtures printed and what went wrong when they were torn down; what many workers say counts once."""
        self.problems += teardown.problems
        self.printed = "".join(dict.fromkeys([*filter(None, [self.printed]), *teardown.printed]))

    @property
    def path(self) -> Path:
        """The trajectory's file."""
        return self.target.slot.path

    @property
    def done(self) -> int:
        """Runs that were executed, whatever became of them."""
        return sum(self.counts.values())

    @property
    def percent(self) -> int:
        """How much of what was to do is executed."""
        return 100 * self.done // max(1, self.total)

    @property
    def pace(self) -> str:
        """``2.1 s/run  eta 5:40  1 failed``, in the end ``2.1 s/run  in 9:12  1 failed``."""
        elapsed, parts = time.perf_counter() - self.started, []
        if self.done:
            each, left = elapsed / self.done, self.total - self.done
            parts.append(f"{1 / each:,.0f} runs/s" if each < 0.5 else f"{duration(each)}/run")
            parts.append(f"eta {duration(each * left)}" if left else f"in {duration(elapsed)}")
        if self.failed:
            parts.append(f"{self.failed} failed")
        alive, busy = self.crew() if self.done < self.total else (0, 0)
        if alive > 1 or busy < alive:
            parts.append(f"{busy}/{alive} busy")
        return "  ".join(parts)

    @property
    def failed(self) -> int:
        """Runs that are not done."""
        return self.done - self.counts.get(Status.DONE.word, 0)

    @property
    def failed_in_all(self) -> int:
        """Runs that are not done, and failures of what followed them."""
        return self.failed + sum(bool(stage.text) for stage in self.stages)

    def said_at_end(self, most_failures: int) -> list[str]:
        """What was done besides, what was left out, and what somebody may have forgotten, for people.

        Parameters
        ----------
        most_failures
            After how many failures no further run was started; 0 for never.
        """
        node_id, words = self.plan.node_id, [*self.remarks, *self.departures]
        if self.counts.get(Status.DONE.word) and not self.gave_anything:
            give = 'return a number, or a dict such as {"z": z}, or call run.add(z=z)'
            words.append(
                f"{node_id}: no run returned anything, so nothing but parameters is recorded: {give}"
            )
        if most_failures and self.failed >= most_failures and not self.interrupted:
            option = "-x" if most_failures == 1 else f"--maxfail {most_failures}"
            left = f"{self.total - self.done} of {counted(self.total, 'run')} were not executed"
            words.append(f"{node_id}: stopped after {counted(self.failed, 'failure')} ({option}): {left}")
        return words

    def grow(self, plan: Plan, target: Continuation, runs: int) -> None:
        """Further runs are to be executed, which nobody knew of before; plan and target have their points."""
        self.plan, self.target = plan, target
        self.total += runs
        self.size += runs

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
        self.warnings.update({text: name for name, text in batch.warnings if name})
        remarks = [f"{self.plan.node_id}: {text}" for name, text in batch.warnings if not name]
        self.remarks.extend(remark for remark in remarks if remark not in self.remarks)
        self.busy += float(np.nansum(batch.seconds))
        for position in np.flatnonzero(final & (batch.status != Status.DONE)).tolist():
            self._take_failure(batch, position, values)
        for one, number in batch.heard:
            if one in self.heard or len(self.heard) < _MOST_HEARD:
                self.heard[one] = self.heard.get(one, 0) + number
        self.gave_anything |= bool(batch.results or batch.files or batch.commands or batch.notes)
        self.n_logged += len(batch.logs)
        self.logged += list(batch.logs)[: _KEPT - len(self.logged)]
        bar = self.slowest[-1][0] if len(self.slowest) == _KEPT else -1.0
        slow = np.flatnonzero(batch.seconds > bar)
        if len(slow) > _KEPT:
            slow = slow[np.argpartition(batch.seconds[slow], -_KEPT)[-_KEPT:]]
        longest = self.slowest + [(float(batch.seconds[i]), int(batch.runs[i])) for i in slow.tolist()]
        self.slowest = sorted(longest, key=lambda pair: -pair[0])[:_KEPT]

    def _take_failure(self, batch: Batch, position: int, values: Callable[[int], Mapping[str, Any]]) -> None:
        run = int(batch.runs[position])
        word, text = Status(int(batch.status[position])).word, batch.errors.get(run, "")
        kind = self.kinds.take(run, word, text)
        if kind is not None:
            failure = Failure(run, word, text, values(run), batch.logs.get(run, ""))
            kind.kept.append(failure)
            self.failures.append(failure)


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
