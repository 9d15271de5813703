"""How do two trajectories differ: in parameters, points, code, circumstances and results?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import attrs
import numpy as np

from simkit.declare.forms import TRIAL, Array, Index
from simkit.provenance.changes import Change, changed
from simkit.record.recorded import Recorded
from simkit.values.batch import Status
from simkit.values.columns import Column
from simkit.values.compare import EXACT, Gap, Tolerance, codes, differing, gaps, occurrence
from simkit.values.decode import ABSENT, decode

_BLOCK_BYTES = 16 << 20
_BLOCK_ROWS = 65_536
_FEW_ROWS = 2048  # where a row may be of any size
_SHOWN = 3  # of the largest differences
VARIES: Final = "(varies)"


@attrs.frozen(eq=False)
class Entry:
    """A parameter that differs: its value in each, `ABSENT` or `VARIES`, and its unit."""

    name: str
    values: tuple[Any, Any]
    units: tuple[str, str]


@attrs.frozen(eq=False)
class Points:
    """Which points both have.

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
class Example:
    """One of the largest differences: run numbers and values in A and B."""

    runs: tuple[int, int]
    values: tuple[Any, Any]
    gap: Gap | None


@attrs.frozen(eq=False)
class ColumnDiff:
    """How a name's column differs on the points that both have done."""

    name: str
    compared: int
    differing: int
    examples: tuple[Example, ...]
    only: str = ""  # "A" or "B" where the other has no such name


@attrs.frozen(eq=False)
class Diff:
    """How trajectory B differs from A.

    Attributes
    ----------
    node_ids, seeds
        Those of A and B; the root seeds only where runs drew from them.
    strangers
        Explored names that the other trajectory has no parameter of; then no point is in both.
    statuses
        Words of A and B with the number of common points where they differ.
    columns
        Results, and parameters that vary: those that agree too.
    """

    node_ids: tuple[str, str]
    seeds: tuple[int, int] | None
    entries: tuple[Entry, ...]
    strangers: tuple[str, ...]
    points: Points | None
    changes: tuple[Change, ...]
    statuses: Counter[tuple[str, str]]
    columns: tuple[ColumnDiff, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        points = self.points is not None and not any(map(len, self.points.only))
        columns = not any(column.differing or column.only for column in self.columns)
        circumstances = self.seeds is None and not self.changes and self.node_ids[0] == self.node_ids[1]
        return points and columns and circumstances and not self.entries and not self.statuses


def diff(a: Recorded, b: Recorded, tolerance: Tolerance = EXACT) -> Diff:
    """Compare two trajectories, column by column."""
    keys = list(dict.fromkeys([*a.explored, *b.explored]))
    known = [set(side.names("parameters")) for side in (a, b)]
    strangers = tuple(name for name in keys if not all(name in names for names in known))
    points = None if strangers else matched(a, b, keys)
    statuses: Counter[tuple[str, str]] = Counter()
    columns: list[ColumnDiff] = []
    if points is not None:
        done, statuses = _both_done(a, b, points)
        columns = [_column(a, b, name, done, tolerance) for name in _varying(a, b, keys)]
    sessions = [side.sessions[-1] if side.sessions else {} for side in (a, b)]
    return Diff(
        (str(a.attributes["node_id"]), str(b.attributes["node_id"])),
        _seeds(a, b),
        tuple(_entries(a, b, keys, tolerance)),
        strangers,
        points,
        tuple(changed(*sessions)),
        statuses,
        tuple(columns),
    )


def _seeds(a: Recorded, b: Recorded) -> tuple[int, int] | None:
    roots = int(a.attributes["root_seed"]), int(b.attributes["root_seed"])
    drawn = any(side.run_column("seed", slice(0, 0)) is not None for side in (a, b))
    return roots if drawn and roots[0] != roots[1] else None


def _entries(a: Recorded, b: Recorded, keys: list[str], tolerance: Tolerance) -> Iterator[Entry]:
    """Parameters that differ, those aside that tell the points apart or vary in both."""
    for name in dict.fromkeys([*a.names("parameters"), *b.names("parameters")]):
        there = [name in side.names("parameters") for side in (a, b)]
        fixed = [here and side.is_constant(name) for here, side in zip(there, (a, b), strict=True)]
        units = tuple(side.about(name).unit if here else "" for here, side in zip(there, (a, b), strict=True))
        other_unit = all(there) and units[0] != units[1]
        if name in keys and all(there):
            differs = False
        elif all(fixed):
            differs = bool(differing(a.constant(name), b.constant(name), tolerance)[0])
        else:
            differs = not all(there) or any(fixed)
        if differs or other_unit:
            yield Entry(name, (_fixed(a, name), _fixed(b, name)), (units[0], units[1]))


def _fixed(side: Recorded, name: str) -> Any:
    if name not in side.names("parameters"):
        return ABSENT
    return decode(side.constant(name))[0] if side.is_constant(name) else VARIES


def matched(a: Recorded, b: Recorded, keys: list[str]) -> Points:
    """The points of both by their values under these names, and the how-manieth they are of their kind."""
    numbers = np.zeros(len(a) + len(b), np.int64)
    for name in keys:
        numbers = _refined(numbers, *codes(*(side.rows(name, np.arange(len(side))) for side in (a, b))))
    if any(side.run_column(TRIAL, slice(0, 0)) is not None for side in (a, b)):
        numbers = _refined(numbers, _trials(a), _trials(b))
    split = len(a)
    times = np.concatenate([occurrence(numbers[:split]), occurrence(numbers[split:])])
    numbers = _refined(numbers, times[:split], times[split:])
    _, mine, theirs = np.intersect1d(
        numbers[:split], numbers[split:], assume_unique=True, return_indices=True
    )
    order = np.argsort(mine)
    mine, theirs = mine[order], theirs[order]
    only = (np.setdiff1d(np.arange(len(a)), mine), np.setdiff1d(np.arange(len(b)), theirs))
    return Points((mine, theirs), only)


def _refined(numbers: Index, mine: Array, theirs: Array) -> Index:
    """Numbers that are equal where both these and those so far are."""
    more = np.concatenate([mine, theirs]).astype(np.int64)
    joined = numbers * (int(more.max(initial=0)) + 1) + more
    return np.asarray(np.unique(joined, return_inverse=True)[1].reshape(-1), np.int64)


def _trials(side: Recorded) -> Array:
    found = side.run_column(TRIAL)
    return np.zeros(len(side), np.int64) if found is None else found


def _both_done(
    a: Recorded, b: Recorded, points: Points
) -> tuple[tuple[Index, Index], Counter[tuple[str, str]]]:
    """The common points that both have done, and where they differ in status."""
    mine, theirs = (
        np.asarray(side.run_column("status"))[at] for side, at in zip((a, b), points.common, strict=True)
    )
    pairs, counts = np.unique(np.stack([mine, theirs], 1), axis=0, return_counts=True)
    words = {
        (Status(one).word, Status(other).word): count
        for (one, other), count in zip(pairs.tolist(), counts.tolist(), strict=True)
        if one != other
    }
    done = (mine == Status.DONE) & (theirs == Status.DONE)
    return (points.common[0][done], points.common[1][done]), Counter(words)


def _varying(a: Recorded, b: Recorded, keys: list[str]) -> list[tuple[str, tuple[bool, bool]]]:
    """The names to compare run by run, and which side has them: varying parameters of both, and all results."""
    computed = [
        [n for n in side.names("parameters") if n not in keys and not side.is_constant(n)] for side in (a, b)
    ]
    both = [name for name in computed[0] if name in computed[1]]
    results = dict.fromkeys([*a.names("results"), *b.names("results")])
    there = {name: (name in a.names("results"), name in b.names("results")) for name in results}
    return [*((name, (True, True)) for name in both), *there.items()]


def _column(
    a: Recorded,
    b: Recorded,
    named: tuple[str, tuple[bool, bool]],
    done: tuple[Index, Index],
    tolerance: Tolerance,
) -> ColumnDiff:
    name, there = named
    if not all(there):
        return ColumnDiff(name, 0, 0, (), only="A" if there[0] else "B")
    count, examples = 0, list[Example]()
    step = _step(a, b, name)
    for start in range(0, len(done[0]), step):
        runs = done[0][start : start + step], done[1][start : start + step]
        one, other = a.rows(name, runs[0]), b.rows(name, runs[1])
        at = np.flatnonzero(differing(one, other, tolerance))
        if len(at):
            count += len(at)
            examples += _examples(one.take(at), other.take(at), (runs[0][at], runs[1][at]))
            examples = sorted(examples, key=lambda e: -1.0 if e.gap is None else -e.gap.absolute)[:_SHOWN]
    return ColumnDiff(name, len(done[0]), count, tuple(examples))


def _step(a: Recorded, b: Recorded, name: str) -> int:
    """How many rows to hold at once."""
    sizes = [side.row_bytes(name) for side in (a, b)]
    if any(size is None for size in sizes):
        return _FEW_ROWS
    return max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // max(1, *(size or 0 for size in sizes))))


def _examples(one: Column, other: Column, runs: tuple[Index, Index]) -> list[Example]:
    """The rows that lie farthest apart; the first ones where that is no number."""
    found = gaps(one, other)
    order = np.arange(one.n) if found is None else np.argsort(-found[0], kind="stable")
    at = order[:_SHOWN]
    pairs = zip(decode(one.take(at)), decode(other.take(at)), strict=True)
    return [
        Example((int(runs[0][i]), int(runs[1][i])), pair, None if found is None else _gap(found, i))
        for i, pair in zip(at.tolist(), pairs, strict=True)
    ]


def _gap(found: tuple[Array, Array], i: int) -> Gap:
    apart, scale = float(found[0][i]), float(found[1][i])
    return Gap(apart, apart / scale if scale and np.isfinite(scale) else apart)
