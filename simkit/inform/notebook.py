"""How does somebody at a notebook or at a script's terminal see how far a study is?"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from simkit.inform.progress import Progress, Reporter, Stage
from simkit.inform.terminal import Bar, Meter


def fitting_reporter() -> Reporter:
    """A bar in a notebook's cell or on a terminal; nothing where nobody looks."""
    if _in_notebook():
        return Watcher(Meter(Cell()))
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return Watcher(Meter(Bar(sys.stderr, stays=True)) if is_terminal else None)


def _in_notebook() -> bool:
    """Whether this is an IPython kernel; IPython is not imported for the question."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class Watcher:
    """The reporter of `simkit.run`: a meter and nothing else, since the script or the cell speaks for itself.

    Parameters
    ----------
    meter
        None where nobody looks.
    """

    def __init__(self, meter: Meter | None) -> None:
        self.meter = meter

    def begin(self, progress: Progress) -> None:
        """Start the clock."""
        if self.meter is not None:
            self.meter.begin()

    def advance(self, progress: Progress) -> None:
        """Draw, but not too often."""
        for notice in progress.take_notices() if self.meter is not None else ():
            print(notice, file=sys.stderr, flush=True)
        if self.meter is not None:
            self.meter.advance(progress)

    def end(self, progress: Progress) -> None:
        """Leave what was drawn as it ended."""
        if self.meter is not None:
            self.meter.end(progress)

    def stage(self, progress: Progress, stage: Stage) -> None:
        """A failure of what follows the runs comes as a warning."""

    def interrupted(self, count: int) -> None:
        """A signal handler may not draw; KeyboardInterrupt follows."""


class Cell:
    """A display in the output of a notebook's cell, updated in place."""

    first, interval = 0.3, 0.2

    def __init__(self) -> None:
        self.handle: Any = None

    def draw(self, progress: Progress) -> None:
        """Show or update the bar, as HTML and as text."""
        display: Any = import_module("IPython.display").display
        text = f"{progress.plan.name}  {progress.done}/{progress.total}  {progress.percent}%  {progress.pace}"
        bar = f'<progress value="{progress.done}" max="{max(1, progress.total)}"></progress>'
        from html import escape

        shown = {"text/html": f"{bar} <code>{escape(text)}</code>", "text/plain": text}
        if self.handle is None:
            self.handle = display(shown, raw=True, display_id=True)
        else:
            self.handle.update(shown, raw=True)

    def leave(self, progress: Progress) -> None:
        """The bar stays as it ended."""
        self.draw(progress)
