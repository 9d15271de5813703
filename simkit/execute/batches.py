"""Which runs are next, and how many at a time."""

from __future__ import annotations

import attrs
import numpy as np

from simkit.declare.axes import Index
from simkit.values.batch import Batch
from simkit.values.status import Status

SECONDS = 0.02  # of work per batch
RUNS = 20_000
BYTES = 4 << 20


class Queue:
    """Run numbers still to be executed, handed out in order; no object per run.

    Parameters
    ----------
    runs
        Ascending run numbers, as an array or a range.
    retries
        How often a run that is not done may try again.
    """

    def __init__(self, runs: Index | range, retries: int = 0) -> None:
        self.runs, self.next, self.retries = runs, 0, retries
        self.again: list[int] = []
        self.rests: list[Index] = []
        self.tried: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.runs) - self.next + len(self.again) + sum(map(len, self.rests))

    def take(self, count: int) -> Index:
        """The next runs; those that are done again come first, one at a time."""
        if self.again:
            return np.array([self.again.pop(0)])
        if self.rests:
            rest = self.rests.pop(0)
            if len(rest) > count:
                self.rests.insert(0, rest[count:])
            return rest[:count]
        runs = self.runs[self.next : self.next + count]
        self.next += len(runs)
        return np.arange(runs.start, runs.stop) if isinstance(runs, range) else runs

    def resume(self, taken: Index, executed: int) -> None:
        """Take back the runs of a batch that it did not come to."""
        if executed < len(taken):
            self.rests.append(taken[executed:])

    def settle(self, batch: Batch) -> Batch:
        """Take back runs of a batch that are not done and may try again; the batch says which."""
        if not self.retries or (batch.status == Status.DONE).all():
            return batch
        failed = batch.runs[batch.status != Status.DONE].tolist()
        again = [run for run in failed if self.tried.get(run, 0) < self.retries]
        self.tried.update({run: self.tried.get(run, 0) + 1 for run in again})
        self.put_back(again)
        return attrs.evolve(batch, again=tuple(again))

    def put_back(self, runs: list[int]) -> None:
        """Execute these again, each by itself."""
        self.again.extend(runs)


def next_size(size: int, runs: int, seconds: float, nbytes: int) -> int:
    """How many runs the next batch shall have, after one of ``runs`` took this long and gave this much."""
    if not runs:
        return 1
    by_time = int(SECONDS * runs / max(seconds, 1e-9))
    by_bytes = int(BYTES * runs / max(nbytes, 1))
    return max(1, min(by_time, by_bytes, size * 4, RUNS))
