"""Which runs of two trajectories are the same point? Points as numbers, block by block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simkit.declare.axes import Array
from simkit.declare.forms import TRIAL
from simkit.record.agreement import Agreement
from simkit.record.bulk import pieces, weight
from simkit.record.layout import place
from simkit.record.recorded import Recorded
from simkit.record.survey import Survey
from simkit.values.columns import Column, Leaf
from simkit.values.decode import ABSENT, decode
from simkit.values.same import digest

_ABSENT = np.uint64(1)


def keys(recorded: Recorded, survey: Survey, agreed: Agreement) -> list[Array]:
    """One number per row and name, equal for values of equal type and bits; uint64, shape ``(n,)`` each."""
    return [_key(recorded, survey, name, plain=name in agreed.plain) for name in agreed.keys]


def _key(recorded: Recorded, survey: Survey, name: str, *, plain: bool) -> Array:
    if name == TRIAL:
        trials = recorded.run_column(TRIAL)
        return np.zeros(survey.n, "u8") if trials is None else trials.astype("u8")
    known = survey.names.get(name)
    if known is None:
        return np.full(survey.n, _ABSENT)
    if plain:
        column = recorded.constant(name) if known.constant else recorded.column(name, slice(0, survey.n))
        return np.resize(_bits(column), survey.n)
    if known.constant:
        return np.full(survey.n, _number(digest(decode(recorded.constant(name))[0])))
    return _digests(recorded, name, survey.n)


def _bits(column: Column) -> Array:
    node = column.whole
    assert isinstance(node, Leaf)
    rows = np.ascontiguousarray(node.rows)
    return rows.view(f"u{rows.dtype.itemsize}").astype("u8")


def _digests(recorded: Recorded, name: str, n: int) -> Array:
    found = np.empty(n, "u8")
    rows = np.arange(n)
    thing = recorded.root[place("parameters", name)]
    for block in pieces(rows, rows, weight(recorded.path, thing, n)):
        values = decode(recorded.column(name, block))
        found[block] = [_ABSENT if value is ABSENT else _number(digest(value)) for value in values]
    return found


def _number(text: str) -> np.uint64:
    return np.uint64(int(text[:16], 16))


def mixed(columns: Sequence[Array], n: int) -> Array:
    """Each row's keys as one number; unequal rows may, very rarely, share one."""
    number = np.zeros(n, "u8")
    for column in columns:
        number = _scrambled(number ^ _scrambled(column))
    return number


def _scrambled(x: Array) -> Array:
    """The finaliser of SplitMix64."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def matched(mine: Sequence[Array], theirs: Sequence[Array], n: int, m: int) -> Array:
    """For each of ``m`` rows of theirs the row of mine that is the same point, or -1, shape ``(m,)``.

    The k-th occurrence of a point matches the k-th.
    """
    if not n:
        return np.full(m, -1)
    if m <= n and all(np.array_equal(one[:m], other) for one, other in zip(mine, theirs, strict=True)):
        return np.arange(m)
    one, other = _with_occurrence(mixed(mine, n)), _with_occurrence(mixed(theirs, m))
    order, queue = np.argsort(one), np.argsort(other)
    found = np.empty(m, np.int64)  # sorted questions find their answers side by side
    found[queue] = order[np.minimum(np.searchsorted(one[order], other[queue]), n - 1)]
    same = one[found] == other
    for a, b in zip(mine, theirs, strict=True):
        same &= a[found] == b
    return np.where(same, found, -1)


def _with_occurrence(numbers: Array) -> Array:
    """Numbers made different where they repeat; the first stay as they are."""
    ranked = np.sort(numbers)
    if not (ranked[1:] == ranked[:-1]).any():
        return numbers
    times = occurrence(numbers)
    return np.where(times, mixed([numbers, times.astype("u8")], len(numbers)), numbers)


def occurrence(numbers: Array) -> Array:
    """How often each number came before, shape ``(n,)``."""
    order = np.argsort(numbers, kind="stable")
    ranked = numbers[order]
    first = np.concatenate([[True], ranked[1:] != ranked[:-1]]) if len(numbers) else np.empty(0, bool)
    starts = np.maximum.accumulate(np.where(first, np.arange(len(numbers)), 0))
    times = np.empty(len(numbers), np.int64)
    times[order] = np.arange(len(numbers)) - starts
    return times
