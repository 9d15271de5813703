"""How far is it? One live line on a terminal, a few plain ones in a pipe."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from simkit.cli.words import counted, duration
from simkit.execute.progress import Progress

_PLAIN_INTERVAL = 10.0  # seconds between lines in a pipe
_LIVE_AFTER = 0.3  # seconds: what is faster needs no bar


class Meter:
    """Shows one experiment's progress; silent when told so."""

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent
        self.terminal = sys.stdout.isatty()
        self.last = 0.0
        self.bar: Any = None
        self.task: Any = None

    def begin(self) -> None:
        """Start the clock."""
        self.last = time.perf_counter()

    def advance(self, progress: Progress) -> None:
        """Update the line, but not too often."""
        now = time.perf_counter()
        if self.silent or now - self.last < (_LIVE_AFTER if self.terminal else _PLAIN_INTERVAL):
            return
        self.last = now if not self.terminal else now - _LIVE_AFTER + 0.1
        if self.terminal:
            self._draw(progress)
        else:
            percent = 100 * progress.done // max(1, progress.total)
            print(
                f"{progress.plan.node_id}  {progress.done}/{progress.total}  {percent}%  {pace(progress)}",
                flush=True,
            )

    def _draw(self, progress: Progress) -> None:
        if self.bar is None:
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[pace]}", markup=False),
            )
            self.bar = Bar(*columns, transient=True, auto_refresh=False)
            self.bar.start()
            title = f"{progress.plan.node_id}  {counted(progress.total, 'run')}"
            self.task = self.bar.add_task(title, total=progress.total, pace="")
        self.bar.update(
            self.task,
            completed=progress.done,
            pace=f"{progress.done}/{progress.total}  {pace(progress)}",
            refresh=True,
        )

    def note(self, text: str) -> None:
        """A line at once, also from a signal handler: ``print`` may be under way itself."""
        os.write(1, f"{text}\n".encode())

    def end(self, progress: Progress) -> None:
        """Leave one line that says how it ended."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
        if not self.silent:
            print(finished(progress, bar=self.terminal), flush=True)


def pace(progress: Progress) -> str:
    """``2.1 s/run  eta 5:40  1 failed``."""
    elapsed = time.perf_counter() - progress.started
    parts = []
    if progress.done:
        each = elapsed / progress.done
        parts.append(f"{1 / each:,.0f} runs/s" if each < 0.5 else f"{duration(each)}/run")
        parts.append(f"eta {duration(each * (progress.total - progress.done))}")
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    return "  ".join(parts)


def finished(progress: Progress, *, bar: bool) -> str:
    """``sim_multiply.py::multiply  12 runs ━━━━━━━━━━━━ 100%  12 done``."""
    title = f"{progress.plan.node_id}  {counted(progress.total, 'run')}"
    if not progress.total:
        return f"{title} to do: {progress.recorded_done} of {progress.size} are done already"
    percent = 100 * progress.done // progress.total
    share = f" {'━' * (12 * percent // 100):<12} {percent}%" if bar else f"  {percent}%"
    counts = ", ".join(f"{number} {word}" for word, number in progress.counts.items())
    return f"{title}{share}  {counts or 'none executed'}"
