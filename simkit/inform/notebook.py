"""How does somebody at a notebook or at a script's terminal see how far a study is?"""

from __future__ import annotations

import html
import sys
import time
from importlib import import_module
from typing import Any, Protocol

from simkit.inform.progress import Progress, Reporter, Silent, Stage

_AFTER = 0.3  # seconds: what is faster needs no bar
_INTERVAL = 0.2
_WIDTH = 24


class Display(Protocol):
    """Where the bar is drawn, again and again."""

    def draw(self, progress: Progress, text: str) -> None:
        """Replace what was drawn before."""

    def leave(self, progress: Progress, text: str) -> None:
        """Draw it for the last time."""


def fitting_reporter() -> Reporter:
    """A bar in a notebook's cell or on a terminal; nothing where nobody looks."""
    if _in_notebook():
        return Bar(Cell())
    return Bar(Terminal()) if sys.stderr is not None and sys.stderr.isatty() else Silent()


def _in_notebook() -> bool:
    """Whether this is an IPython kernel; IPython is not imported for the question."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class Bar:
    """A reporter that draws a bar, once it pays."""

    def __init__(self, display: Display) -> None:
        self.display = display
        self.due = 0.0
        self.drawn = False

    def begin(self, progress: Progress) -> None:
        """Start the clock."""
        self.due = time.perf_counter() + _AFTER

    def advance(self, progress: Progress) -> None:
        """Draw, but not too often."""
        now = time.perf_counter()
        if now >= self.due:
            self.due, self.drawn = now + _INTERVAL, True
            self.display.draw(progress, told(progress))

    def end(self, progress: Progress) -> None:
        """Leave a line that says how it ended, if there was a bar."""
        if self.drawn:
            self.display.leave(progress, told(progress))

    def stage(self, progress: Progress, stage: Stage) -> None:
        """Say nothing: a failure is told as a warning."""

    def interrupted(self, count: int) -> None:
        """Say nothing: a signal handler may not draw, and the cell or the shell tells."""


def told(progress: Progress) -> str:
    """``multiply  7/12  58%  1 failed  eta 3 s``."""
    elapsed = time.perf_counter() - progress.started
    parts = [progress.plan.name, f"{progress.done}/{progress.total}", f"{_percent(progress)}%"]
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    left = progress.total - progress.done
    if left and progress.done:
        parts.append(f"eta {_time(elapsed / progress.done * left)}")
    return "  ".join(parts if left else [*parts, f"in {_time(elapsed)}"])


def _percent(progress: Progress) -> int:
    return 100 * progress.done // max(1, progress.total)


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Cell:
    """The output of a notebook's cell: one display, updated in place."""

    def __init__(self) -> None:
        self.handle: Any = None

    def draw(self, progress: Progress, text: str) -> None:
        """Show or update the bar, as HTML and as text."""
        display: Any = import_module("IPython.display").display
        bar = f'<progress value="{progress.done}" max="{max(1, progress.total)}"></progress>'
        shown = {"text/html": f"{bar} <code>{html.escape(text)}</code>", "text/plain": text}
        if self.handle is None:
            self.handle = display(shown, raw=True, display_id=True)
        else:
            self.handle.update(shown, raw=True)

    def leave(self, progress: Progress, text: str) -> None:
        """The bar stays as it ended."""
        self.draw(progress, text)


class Terminal:
    """One line on the terminal of a script, drawn over and over; its standard output stays its own."""

    def draw(self, progress: Progress, text: str) -> None:
        """Overwrite the line."""
        filled = _WIDTH * _percent(progress) // 100
        sys.stderr.write(f"\r{'━' * filled}{'─' * (_WIDTH - filled)}  {text}\033[K")
        sys.stderr.flush()

    def leave(self, progress: Progress, text: str) -> None:
        """The line stays as it ended."""
        self.draw(progress, text)
        sys.stderr.write("\n")
        sys.stderr.flush()
