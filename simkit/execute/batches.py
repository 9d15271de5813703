"""Which runs are next, and how many at a time."""

from __future__ import annotations

import numpy as np

from simkit.declare.axes import Index

SECONDS = 0.02  # of work per batch
RUNS = 20_000
BYTES = 4 << 20


class Queue:
    """Run numbers still to be executed, handed out in order; no object per run.

    Parameters
    ----------
    runs
        Ascending run numbers, as an array or a range.
    """

    def __init__(self, runs: Index | range) -> None:
        self.runs, self.next = runs, 0
        self.again: list[int] = []

    def __len__(self) -> int:
        return len(self.runs) - self.next + len(self.again)

    def take(self, count: int) -> Index:
        """The next runs; those that are done again come first, one at a time."""
        if self.again:
            return np.array([self.again.pop(0)])
        runs = self.runs[self.next : self.next + count]
        self.next += len(runs)
        return np.arange(runs.start, runs.stop) if isinstance(runs, range) else runs

    def put_back(self, runs: list[int]) -> None:
        """Execute these again, each by itself."""
        self.again.extend(runs)


def next_size(size: int, runs: int, seconds: float, nbytes: int) -> int:
    """How many runs the next batch shall have, after one of ``runs`` took this long and gave this much."""
    by_time = int(SECONDS * runs / max(seconds, 1e-9))
    by_bytes = int(BYTES * runs / max(nbytes, 1))
    return max(1, min(by_time, by_bytes, size * 4, RUNS))
