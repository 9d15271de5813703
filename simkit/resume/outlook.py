"""What would a session do, and how much of it is done already?"""

from __future__ import annotations

from contextlib import closing

import attrs
import numpy as np

from simkit.collect.collection import Item
from simkit.collect.config import Settings
from simkit.collect.targets import selected
from simkit.record.catalogue import Slot
from simkit.record.damage import alterations
from simkit.resume.continuing import fitted, matched_slot, named_match
from simkit.resume.points import continued_points, failed_only, fresh_points, restricted
from simkit.values.batch import Status


@attrs.frozen(eq=False)
class Outlook:
    """What a session would do.

    Attributes
    ----------
    slot
        The trajectory that it would continue.
    nearest
        The one that differs least, where none is continued.
    is_bridgeable
        Whether ``--into`` can continue it.
    differences
        How that trajectory differs from the present code and values, for people.
    runs, done, to_run
        How many runs are selected, are done already, and would run.
    remarks
        What else there is to say of the recorded points.
    """

    slot: Slot | None
    nearest: Slot | None
    is_bridgeable: bool
    differences: tuple[str, ...]
    runs: int
    done: int
    to_run: int
    remarks: tuple[str, ...] = ()


def outlook(item: Item, settings: Settings) -> Outlook:
    """What a session would do; nothing is written.

    Raises
    ------
    SimkitError
        Where a trajectory of the experiment can't be read, or ``--into`` names one of other runs.
    """
    plan = item.plan
    match = (
        matched_slot(plan, settings) if settings.into is None else named_match(plan, settings, settings.into)
    )
    nearest, mismatch = (None, match.mismatch) if match.nearest is None else match.nearest[:2]
    points, status = fresh_points(plan.space), np.empty(0, "u1")
    if match.recorded is not None:
        with alterations([match.recorded.path]), closing(match.recorded) as recorded:
            points = continued_points(fitted(plan, recorded), recorded)
            status = np.asarray(recorded.run_column("status"))
    elif settings.only_failed:
        points = attrs.evolve(points, todo=np.arange(0))
    points = failed_only(points, status) if settings.only_failed else points
    chosen = selected(points.space, item.runs, settings.where, plan.node_id)
    mine = np.ones(points.n, bool) if chosen is None else chosen
    mine = mine if points.declared is None else mine & points.declared
    done = int((mine[: len(status)] & (status == Status.DONE)).sum())
    to_run = len(restricted(points, chosen))
    bridgeable = mismatch.is_bridgeable
    words, remarks = tuple(mismatch.words), points.remarks
    return Outlook(match.slot, nearest, bridgeable, words, int(mine.sum()), done, to_run, remarks)
