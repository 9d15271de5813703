"""Which trajectory does a session write: one that it continues, or the next one?"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.collect.plan import Plan
from simkit.errors import SimkitError, shown_path
from simkit.record.catalogue import Slot, discard, existing, following, is_empty
from simkit.record.match import Difference, difference
from simkit.record.points import Points, continued_points, fresh_points
from simkit.record.recorded import Recorded
from simkit.values.decode import decode
from simkit.values.status import Status


@attrs.frozen(eq=False)
class Continuation:
    """Where the runs go.

    Attributes
    ----------
    slot
        The file and the group in it.
    root
        The root seed.
    points
        The plan's points in the order of the file.
    known
        Constant parameters that were computed before, by node key.
    status
        The recorded runs' status; None for a new trajectory.
    remarks
        Why nothing older is continued, for people.
    """

    slot: Slot
    root: int
    points: Points
    known: dict[str, Any]
    status: Any = None
    remarks: tuple[str, ...] = ()


def decide(
    plan: Plan, folder: Path, *, output: Path | None = None, seed: int | None = None, root: int | None = None,
    fresh: bool = False,
) -> Continuation:  # fmt: skip
    """Continue the newest trajectory that matches, or begin the next one.

    Parameters
    ----------
    seed
        The root seed that was asked for.
    root
        The root seed of a new trajectory, where none was asked for.
    fresh
        Begin the next one in any case.
    """
    remarks: list[str] = []
    empty: Slot | None = None
    for slot in [] if fresh else existing(folder, plan.name, output):
        recorded = _opened(slot)
        if recorded is None or recorded.attributes["node_id"] != plan.node_id:
            continue
        try:
            found = difference(plan, recorded, seed)
            if not found:
                return _continued(plan, slot, recorded)
            if is_empty(recorded):
                empty = empty or slot
            elif not remarks:
                remarks.append(_remark(slot, found))
        finally:
            recorded.close()
    slot = following(folder, plan.name, output)
    if empty is not None and output is None and discard(empty):
        slot = empty
    chosen = seed if seed is not None else root if root is not None else secrets.randbits(32)
    return Continuation(slot, chosen, fresh_points(plan.space), {}, None, tuple(remarks))


def _opened(slot: Slot) -> Recorded | None:
    try:
        return slot.open()
    except SimkitError:  # somebody else's file under such a name
        return None


def _remark(slot: Slot, found: Difference) -> str:
    return f"{shown_path(slot.path)} is not continued: {'; '.join(found.words)}"


def _continued(plan: Plan, slot: Slot, recorded: Recorded) -> Continuation:
    points = continued_points(plan, recorded)
    known = {
        name: decode(recorded.constant(name))[0]
        for name, node in plan.parameters.items()
        if node.kind == "derived" and not node.varying and name in recorded.names("parameters")
    }
    status = recorded.run_column("status")
    return Continuation(slot, int(recorded.attributes["root_seed"]), points, known, status)


def restricted(points: Points, chosen: np.ndarray[Any, Any] | None, *, again: bool = False) -> Any:
    """The runs to execute among the chosen ones; ``again`` takes done ones too."""
    if chosen is None:
        return points.todo
    if again:
        return np.flatnonzero(chosen)
    todo = np.asarray(points.todo)
    return todo[chosen[todo]]


def tally(status: Any) -> dict[str, int]:
    """How many runs have each status."""
    counts = np.bincount(status, minlength=len(Status))
    return {one.word: int(counts[one]) for one in Status if counts[one]}
