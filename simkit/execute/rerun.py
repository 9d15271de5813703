"""Execute runs again, and hand over what they give instead of recording it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from simkit.collect.plan import Plan
from simkit.collect.resolve import Outside
from simkit.declare.axes import Array, Index
from simkit.errors import SimkitError
from simkit.execute.job import Job
from simkit.execute.pool import Pool, start_method
from simkit.execute.recipe import portable
from simkit.execute.serial import serial
from simkit.inject.beat import STOP, always, local_beat
from simkit.inject.injector import Injector, OnError
from simkit.inject.shared import Constant, constants, shared_values
from simkit.values.batch import Batch
from simkit.values.checkpoint import Checkpoints


@attrs.frozen(eq=False)
class Rerun:
    """An experiment whose runs are executed again.

    Attributes
    ----------
    outside
        What was laid on top of the code's values to make the plan.
    shared
        The parameters that do not vary, by node key.
    seeds
        By run number, where the runs' seeds do not derive from the root seed: merged runs bring their own.
    """

    plan: Plan
    root: int
    outside: Mapping[str, Outside]
    shared: Mapping[str, Any]
    seeds: Array | None

    @classmethod
    def of(cls, plan: Plan, root: int, outside: Mapping[str, Outside], seeds: Array | None = None) -> Rerun:
        """Compute what the runs share.

        Raises
        ------
        ProviderFailed
            When that fails.
        """
        return cls(plan, root, outside, shared_values(plan, root), seeds)

    def constants(self) -> dict[str, Constant]:
        """The recorded form of what the runs share, by name."""
        return constants(self.plan, self.shared)

    def here(self, runs: Index, on_error: OnError | None = None) -> Iterator[Batch]:
        """Batches of runs executed in this process.

        Raises
        ------
        KeyboardInterrupt
            On Ctrl-C, also within a run.
        """
        job, beat = self._job(on_error), local_beat()
        job.injector.is_interrupt = always
        try:
            yield from serial(job, runs, lambda: bool(beat[STOP]), beat, Checkpoints())
        finally:
            problem = job.injector.close()
        if beat[STOP]:
            raise KeyboardInterrupt
        if problem:
            raise SimkitError(problem)

    def in_workers(self, runs: Index, workers: int) -> Iterator[Batch]:
        """Batches of runs executed in supervised processes, as they come."""
        method = start_method()
        if (
            self.seeds is not None and method != "fork"
        ):  # a worker that collects anew knows only the root seed
            yield from self.here(runs)
            return
        job = self._job(None)
        source = (
            (lambda: job)
            if method == "fork"
            else portable(self.plan, self.root, self.shared, self._names(), self.outside)
        )
        pool = Pool(source, min(workers, len(runs)), method=method, limits=self.plan.limits)
        try:
            for batch in pool.run(runs, lambda: False, Checkpoints()):
                if isinstance(batch, Batch):
                    yield batch
        except BaseException:
            pool.kill()
            raise
        problems = pool.close()
        if problems:
            raise SimkitError("\n".join(problems))

    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.plan.parameters, *self.constants())))

    def _job(self, on_error: OnError | None) -> Job:
        injector = Injector(self.plan, self.root, self.shared, parameters=self._names(), on_error=on_error)
        if (seeds := self.seeds) is not None:
            injector.seeds_of = lambda runs: seeds[runs]
        return Job(injector, self.plan.space)
