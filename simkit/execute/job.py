"""What an engine executes: an experiment compiled in this process, with its points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import attrs

from simkit.declare.axes import Index
from simkit.declare.space import Space
from simkit.inject.beat import Beat
from simkit.inject.injector import Injector, Log
from simkit.values.batch import Batch
from simkit.values.checkpoint import Restored


@attrs.frozen(eq=False)
class Job:
    """An injector and the points of its runs, by run number."""

    injector: Injector
    space: Space

    def batch(
        self,
        runs: Index,
        beat: Beat,
        log: Log | None = None,
        restorable: Mapping[int, Restored] | None = None,
    ) -> Batch:
        """Execute these runs; those that are restorable may go on from a checkpoint."""
        if self.injector.vault is not None:
            self.injector.vault.restorable = restorable or {}
        return self.injector.batch(runs, self.space.at(runs), beat, log)


# Makes the job in a worker: called once there, and picklable where workers are not forked.
Source = Callable[[], Job]


class Stop(Protocol):
    """Whether no further runs shall be started."""

    def __call__(self) -> bool:
        """Ask."""
