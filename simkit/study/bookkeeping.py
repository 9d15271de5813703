"""What is kept of a session besides its runs: its circumstances, and a record in Sumatra's lab notebook."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from simkit.collect.config import Settings
from simkit.collect.plan import Plan
from simkit.errors import SimkitError
from simkit.execute.job import start_method
from simkit.inform.progress import Progress
from simkit.provenance.circumstances import circumstances, trajectory_name

if TYPE_CHECKING:
    from simkit.provenance.labbook import Labbook


@attrs.frozen(eq=False)
class Bookkeeping:
    """One session's entry; entered while the runs are executed, it is in the lab notebook afterwards.

    Attributes
    ----------
    facts
        For the session's record in the trajectory.
    clock
        When it started, by ``time.perf_counter``.
    book
        Sumatra's lab notebook, if it gets a record as well.
    """

    plan: Plan
    progress: Progress
    facts: Mapping[str, Any]
    clock: float
    book: Labbook | None

    @classmethod
    def begin(cls, plan: Plan, settings: Settings, progress: Progress) -> Bookkeeping:
        """Gather the circumstances; what git did or could not do is told at the session's end.

        Raises
        ------
        SimkitError
            When git or Sumatra shall not accept the code as it is.
        """
        slot, book = progress.target.slot, None
        if settings.sumatra:
            from simkit.provenance.labbook import NotEntered, labbook, unique_label

            book = labbook(plan.rootdir)
        known = {
            "engine": _engine(settings),
            "workers": settings.workers,
            "root_seed": str(progress.target.root),
        }
        clock = time.perf_counter()
        present = circumstances(plan, slot, settings, known)
        progress.remarks.extend(present.remarks)
        progress.warnings.update(dict.fromkeys(present.problems, "git"))
        if book is None:
            return cls(plan, progress, present.facts, clock, None)
        try:
            book.check()
        except NotEntered as problem:
            progress.warnings[f"Sumatra could not check the code: {problem}"] = "sumatra"
        label = unique_label(trajectory_name(slot))
        # Sumatra's time is not the study's.
        facts = {**present.facts, "sumatra": label, "started": time.time()}
        return cls(plan, progress, facts, time.perf_counter(), book)

    def now(self) -> float:
        """The time by the clock that the session began with: one that is set back meanwhile does not count."""
        return float(self.facts["started"]) + time.perf_counter() - self.clock

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self.book is not None:
            self.enter(self.book)

    def enter(self, book: Labbook) -> None:
        """Let Sumatra record the session; if it fails, that is all that is lost."""
        from simkit.provenance.labbook import NotEntered

        try:
            recorded = self.progress.target.slot.open()
            try:
                book.enter(self.facts, recorded, self.plan)
            finally:
                recorded.close()
            self.progress.remarks.append(f"Sumatra: recorded as {self.facts['sumatra']}")
        except (NotEntered, SimkitError, OSError, KeyboardInterrupt) as problem:
            why = str(problem) or "it was interrupted"
            self.progress.warnings[f"Sumatra has no record of this session: {why}"] = "sumatra"


def _engine(settings: Settings) -> str:
    if not settings.workers:
        return "owner"
    return start_method(settings.method) if settings.transport is None else str(settings.transport.name)
