"""What did one run say: its log, its error, its notes?"""

from __future__ import annotations

from simkit.record.recorded import Recorded
from simkit.values.status import Status


def error(recorded: Recorded, run: int) -> str:
    """The traceback of a run that is not done, the latest attempt's; empty if there is none."""
    status = recorded.run_column("status", slice(run, run + 1))
    found = recorded.texts("error", run)
    return found[-1] if found and status is not None and status[0] != Status.DONE else ""


def log(recorded: Recorded, run: int) -> str:
    """What a run wrote, the latest attempt's."""
    found = recorded.texts("log", run)
    return found[-1] if found else ""


def notes(recorded: Recorded, run: int) -> list[str]:
    """The remarks of a run; those on a result begin with its name."""
    pairs = zip(recorded.note_names(run), recorded.texts("notes", run), strict=True)
    return [f"{name}: {text}" if name else text for name, text in pairs]
