"""How do two trajectories differ: in parameters, points, code, circumstances and results?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs
import numpy as np

from simkit.declare.forms import TRIAL, Array, Index
from simkit.provenance.changes import Change, between
from simkit.record.recorded import Recorded
from simkit.replay.comparison import Comparison
from simkit.values.compare import EXACT, Tolerance, differing, keys, matched
from simkit.values.decode import ABSENT, decode

_SHOWN = 3  # of the largest differences
VARIES: Final = "(varies)"


@attrs.frozen(eq=False)
class ParameterDiff:
    """A parameter that differs: its value in each, `ABSENT` or `VARIES`, and its unit."""

    name: str
    values: tuple[Any, Any]
    units: tuple[str, str]


@attrs.frozen(eq=False)
class CommonPoints:
    """Which points both trajectories have.

    Attributes
    ----------
    common
        Run numbers in A and B of the points that both have, in A's order.
    only
        Run numbers of the points that only A, only B has.
    """

    common: tuple[Index, Index]
    only: tuple[Index, Index]


@attrs.frozen(eq=False)
class Diff:
    """How trajectory B differs from A.

    Attributes
    ----------
    node_ids, seeds
        Those of A and B; the root seeds only where runs drew from them.
    strangers
        Explored names that the other trajectory has no parameter of; then no point is in both.
    columns
        Results, and parameters that vary in both: for each "A" or "B" where only that one has it, else nothing.
    comparison
        How the runs of the common points differ: of A as recorded runs, of B as batches.
    """

    node_ids: tuple[str, str]
    seeds: tuple[int, int] | None
    entries: tuple[ParameterDiff, ...]
    strangers: tuple[str, ...]
    points: CommonPoints | None
    changes: tuple[Change, ...]
    columns: Mapping[str, str]
    comparison: Comparison

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        points = self.points is not None and not any(map(len, self.points.only))
        runs = not self.comparison.differing and not any(self.columns.values())
        circumstances = self.seeds is None and not self.changes and self.node_ids[0] == self.node_ids[1]
        return points and runs and circumstances and not self.entries


def diff(a: Recorded, b: Recorded, tolerance: Tolerance = EXACT) -> Diff:
    """Compare two trajectories, point by point."""
    names = list(dict.fromkeys([*a.explored, *b.explored]))
    known = [set(side.names("parameters")) for side in (a, b)]
    strangers = tuple(name for name in names if not all(name in parameters for parameters in known))
    points = None if strangers else common_points(a, b, names)
    columns = {} if points is None else _columns(a, b, names)
    comparison = Comparison(a, tolerance, most=_SHOWN, largest=True)
    if points is not None:
        _compare(comparison, b, points.common, [name for name, only in columns.items() if not only])
    return Diff(
        (str(a.attributes["node_id"]), str(b.attributes["node_id"])),
        _seeds(a, b),
        tuple(_entries(a, b, names, tolerance)),
        strangers,
        points,
        tuple(between(a, b)),
        columns,
        comparison,
    )


def _compare(comparison: Comparison, b: Recorded, common: tuple[Index, Index], names: list[str]) -> None:
    """Compare the common points, as many at once as memory holds of both trajectories."""
    step = comparison.recorded.batch_size(names)
    for start in range(0, len(common[0]), step):
        mine, theirs = (runs[start : start + step] for runs in common)
        for batch in b.batches(theirs, names):
            comparison.add(batch, mine[: len(batch.runs)])
            mine = mine[len(batch.runs) :]


def _seeds(a: Recorded, b: Recorded) -> tuple[int, int] | None:
    roots = int(a.attributes["root_seed"]), int(b.attributes["root_seed"])
    drawn = any(side.run_column("seed", slice(0, 0)) is not None for side in (a, b))
    return roots if drawn and roots[0] != roots[1] else None


def _entries(a: Recorded, b: Recorded, explored: list[str], tolerance: Tolerance) -> Iterator[ParameterDiff]:
    """Parameters that differ, those aside that tell the points apart or vary in both."""
    for name in dict.fromkeys([*a.names("parameters"), *b.names("parameters")]):
        there = [name in side.names("parameters") for side in (a, b)]
        fixed = [here and side.is_constant(name) for here, side in zip(there, (a, b), strict=True)]
        units = tuple(side.about(name).unit if here else "" for here, side in zip(there, (a, b), strict=True))
        other_unit = all(there) and units[0] != units[1]
        if name in explored and all(there):
            differs = False
        elif all(fixed):
            differs = bool(differing(a.constant(name), b.constant(name), tolerance)[0])
        else:
            differs = not all(there) or any(fixed)
        if differs or other_unit:
            yield ParameterDiff(name, (_fixed(a, name), _fixed(b, name)), (units[0], units[1]))


def _fixed(side: Recorded, name: str) -> Any:
    if name not in side.names("parameters"):
        return ABSENT
    return decode(side.constant(name))[0] if side.is_constant(name) else VARIES


def common_points(a: Recorded, b: Recorded, names: list[str]) -> CommonPoints:
    """The points of both by their values under these names; the k-th of equal ones is the k-th of the other's."""
    mine, theirs = ([keys(side.rows(name, np.arange(len(side)))) for name in names] for side in (a, b))
    if any(side.run_column(TRIAL, slice(0, 0)) is not None for side in (a, b)):
        mine, theirs = [*mine, _trials(a)], [*theirs, _trials(b)]
    run_of_a = matched(mine, theirs, len(a), len(b))
    shared = np.flatnonzero(run_of_a >= 0)
    shared = shared[np.argsort(run_of_a[shared])]
    common = (run_of_a[shared], shared)
    only = tuple(np.setdiff1d(np.arange(len(side)), runs) for side, runs in zip((a, b), common, strict=True))
    return CommonPoints(common, (only[0], only[1]))


def _trials(side: Recorded) -> Array:
    trials = side.run_column(TRIAL)
    return np.zeros(len(side), "u8") if trials is None else trials.astype("u8")


def _columns(a: Recorded, b: Recorded, explored: list[str]) -> dict[str, str]:
    """The names to compare run by run, and which side alone has them."""
    varying = [
        [n for n in side.names("parameters") if n not in explored and not side.is_constant(n)]
        for side in (a, b)
    ]
    of_a, of_b = a.names("results"), b.names("results")
    only = {name: "" if name in of_b else "A" for name in of_a} | {n: "B" for n in of_b if n not in of_a}
    return {**{name: "" for name in varying[0] if name in varying[1]}, **only}
