"""Execute runs in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator

from simkit.declare.axes import Index
from simkit.execute.batches import Queue, next_size
from simkit.execute.job import Job, Stop
from simkit.inject.beat import Beat
from simkit.values.batch import Batch
from simkit.values.checkpoint import Checkpoints


def serial(
    job: Job, runs: Index | range, stop: Stop, beat: Beat, checkpoints: Checkpoints
) -> Iterator[Batch]:
    """Batches of executed runs, in order.

    Parameters
    ----------
    stop
        Asked before each batch.
    beat
        Tells which run is under way, or -1 between batches.
    checkpoints
        What interrupted runs go on from.
    """
    queue, size = Queue(runs, job.injector.plan.limits.retries), 1
    while len(queue) and not stop():
        taken = queue.take(size)
        start = time.perf_counter()
        batch = job.batch(taken, beat, None, checkpoints.of(taken.tolist()))
        size = next_size(size, len(batch.runs), time.perf_counter() - start, batch.nbytes)
        queue.resume(taken, len(batch.runs))
        if len(batch.runs):
            yield queue.settle(batch)
