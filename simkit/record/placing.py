"""Which run of which source becomes which run of the merged trajectory?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from simkit.declare.axes import Array, Index
from simkit.declare.forms import TRIAL
from simkit.errors import SimkitError
from simkit.record.agreement import Agreement
from simkit.record.identity import keys
from simkit.record.matching import matched, mixed, occurrence
from simkit.record.recorded import Recorded
from simkit.record.survey import Survey
from simkit.values.decode import decode
from simkit.values.status import Status

DUPLICATES = ("error", "first", "all")


@attrs.frozen(eq=False)
class Placement:
    """Rows of one source and where they go, ascending there; its other rows are not taken.

    Attributes
    ----------
    trials
        New trial numbers of some of the target rows, by row.
    checkpoints
        Where runs go that have a checkpoint, by row of the source.
    left
        Done runs that are not taken because an earlier source has them.
    """

    source: Index
    target: Index
    trials: dict[int, int]
    checkpoints: dict[int, int]
    left: int


class Places:
    """The merged trajectory's points so far.

    Parameters
    ----------
    duplicates
        What becomes of runs that are done in two sources: ``error``, ``first``, ``all``.
    """

    def __init__(self, agreed: Agreement, duplicates: str) -> None:
        self.agreed, self.duplicates = agreed, duplicates
        self.status: Array = np.empty(0, "u1")
        self.keys: list[Array] = [np.empty(0, "u8") for _ in agreed.keys]
        self.taken: list[tuple[Survey, Placement]] = []

    @property
    def n(self) -> int:
        """How many runs there are."""
        return len(self.status)

    def place(self, survey: Survey, recorded: Recorded) -> Placement:
        """Find the places of one more source's runs.

        A run that is done replaces the same run that is not; what nobody has yet comes at the end.

        Raises
        ------
        SimkitError
            For a run that is done here and in an earlier source, if duplicates are errors.
        """
        theirs = keys(recorded, survey, self.agreed)
        found = matched(self.keys, theirs, self.n, survey.n)
        known, status = found >= 0, survey.status
        there = np.where(known, self.status[found] if self.n else 0, Status.PENDING)
        both = (status == Status.DONE) & (there == Status.DONE)
        if both.any() and self.duplicates == "error":
            self._refuse(survey, recorded, both, found)
        better = known & _is_better(status, there)
        again = np.zeros(survey.n, bool)
        if self.duplicates == "all":
            again = known & (status != Status.PENDING) & (there != Status.PENDING)
            better &= ~again
        new = np.flatnonzero(~known | again)
        trials = self._new_trials(theirs, np.flatnonzero(again))
        source = np.concatenate([np.flatnonzero(better), new])
        target = np.concatenate([found[better], self.n + np.arange(len(new))])
        if (np.diff(target) < 0).any():
            order = np.argsort(target)
            source, target = source[order], target[order]
        found[new] = self.n + np.arange(len(new))
        vault = {int(run): int(found[int(run)]) for run in recorded.root.get("runs/checkpoint", ())}
        numbers = {int(found[run]): number for run, number in trials.items()}
        placement = Placement(source, target, numbers, vault, int((both & ~again).sum()))
        self._take(survey, placement, theirs, len(new))
        return placement

    def _take(self, survey: Survey, placement: Placement, theirs: Sequence[Array], new: int) -> None:
        self.taken.append((survey, placement))
        if new:
            self.status = np.concatenate([self.status, np.zeros(new, "u1")])
        self.status[placement.target] = survey.status[placement.source]
        if not new:
            return
        fresh = placement.source[len(placement.source) - new :]  # the last targets are the new ones
        for i, key in enumerate(theirs):
            mine = key[fresh]
            if self.agreed.keys[i] == TRIAL and placement.trials:
                rows = placement.target[len(placement.target) - new :].tolist()
                mine = np.array(
                    [placement.trials.get(row, old) for row, old in zip(rows, mine, strict=True)], "u8"
                )
            self.keys[i] = np.concatenate([self.keys[i], mine])

    def _new_trials(self, theirs: Sequence[Array], again: Index) -> dict[int, int]:
        """Trial numbers that go on after the highest of the same point, by row of the source."""
        if TRIAL not in self.agreed.keys or not len(again):
            return {}
        at = self.agreed.keys.index(TRIAL)
        sides = [[key for i, key in enumerate(side) if i != at] for side in (self.keys, theirs)]
        points = np.concatenate([mixed(sides[0], self.n), mixed(sides[1], len(theirs[at]))])
        numbers = np.concatenate([self.keys[at], theirs[at]]).astype("i8")
        codes = np.unique(points, return_inverse=True)[1].reshape(-1)
        highest = np.zeros(int(codes.max()) + 1, "i8")
        np.maximum.at(highest, codes, numbers)
        mine = codes[self.n + again]
        fresh = highest[mine] + 1 + occurrence(mine)
        return dict(zip(again.tolist(), fresh.tolist(), strict=True))

    def _refuse(self, survey: Survey, recorded: Recorded, both: Array, found: Index) -> None:
        run = int(np.flatnonzero(both)[0])
        holder, place = next(
            (one, placed) for one, placed in reversed(self.taken) if found[run] in placed.target
        )
        theirs = int(place.source[np.flatnonzero(place.target == found[run])[0]])
        count = int(both.sum())
        more = f" ({count} such runs)" if count > 1 else ""
        values = "  ".join(
            f"{name}={_plain(value)!r:.60}" for name, value in _point(recorded, self.agreed, run).items()
        )
        msg = (
            f"run {run} of {survey.source} is done in {holder.source} too, as run {theirs}{more}\n"
            f"    {values}\n"
            '    keep the first of each:        --duplicates first   (duplicates="first")\n'
            '    keep both, as further trials:  --duplicates all     (duplicates="all")'
        )
        raise SimkitError(msg)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _is_better(status: Array, there: Array) -> Array:
    """Done before attempted before pending."""
    done = (status == Status.DONE) & (there != Status.DONE)
    return np.asarray(done | ((status != Status.PENDING) & (there == Status.PENDING)))


def _point(recorded: Recorded, agreed: Agreement, run: int) -> dict[str, Any]:
    found = {}
    for name in agreed.keys:
        if name == TRIAL:
            trials = recorded.run_column(TRIAL, slice(run, run + 1))
            found[name] = 0 if trials is None else int(trials[0])
        elif name in recorded.names("parameters"):
            constant = recorded.is_constant(name)
            column = recorded.constant(name) if constant else recorded.column(name, slice(run, run + 1))
            found[name] = decode(column)[0]
    return found
