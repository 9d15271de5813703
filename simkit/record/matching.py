"""Which rows of two tables are the same, wherever they stand? A million are matched in a fraction of a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simkit.declare.axes import Array


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
