"""What an engine executes, in which portions, and how another process makes the job."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import attrs
import dill
import numpy as np

from simkit.collect.code import changes
from simkit.collect.collection import Found, Request, resolve
from simkit.collect.modules import load
from simkit.collect.plan import Plan, node_id
from simkit.collect.resolve import Outside
from simkit.collect.signatures import levels
from simkit.collect.sources import Sources
from simkit.declare.forms import Index
from simkit.declare.plugins import OWN
from simkit.declare.space import Space
from simkit.declare.tags import Tag, tag_of
from simkit.errors import SimkitError
from simkit.inject.contact import Beat
from simkit.inject.injector import Injector, Log
from simkit.values.batch import Batch, Checkpoints, Restored, Status

Method = Literal["fork", "spawn", "forkserver"]


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


@attrs.frozen(eq=False)
class Recipe:
    """Collect the experiment from its file again; the points and shared values come from the owner.

    Raises
    ------
    SimkitError
        When called, if the file holds other code by now than the owner runs.
    """

    path: Path
    rootdir: Path
    experiment: str
    outside: Mapping[str, Outside]
    code: Mapping[str, str]
    root: int
    payload: bytes  # the space and the shared values
    compress: bool

    def __call__(self) -> Job:
        """Make the job."""
        module = load(self.path, self.rootdir)
        inside = levels(self.path, self.rootdir, module)  # classes of theirs are in the payload
        space, shared, parameters = dill.loads(self.payload)
        function = getattr(module, self.experiment)
        found = Found(
            function, tag_of(function) or Tag(), self.path, module, node_id(self.path, function, self.rootdir)
        )
        request = Request(outside=self.outside, reshape=lambda *_: space)
        plan = resolve(found, inside, request, self.rootdir, compress=self.compress)
        different = changes(self.code, plan.code)
        if different:
            msg = f"{self.path} changed while the study was starting: {'; '.join(different)}"
            raise SimkitError(msg)
        return Job(Injector(plan, self.root, shared, parameters=parameters), space)


@attrs.frozen(eq=False)
class Parcel:
    """The experiment itself: for functions of a script or a notebook, which no file can give again."""

    payload: bytes

    def __call__(self) -> Job:
        """Make the job."""
        plan, root, shared, parameters, codecs = dill.loads(self.payload)
        for codec in codecs:
            OWN.add(codec)
        return Job(Injector(plan, root, shared, parameters=parameters), plan.space)


def portable(
    plan: Plan,
    root: int,
    shared: Mapping[str, Any],
    parameters: tuple[str, ...],
    outside: Mapping[str, Outside],
) -> Source:
    """A source that can be sent to another process.

    Raises
    ------
    SimkitError
        When something that the experiment needs can't be sent.
    """
    try:
        if plan.module == "__main__" or getattr(sys.modules.get(plan.module), "__file__", None) is None:
            codecs = tuple(OWN.by_name.values())
            bare = attrs.evolve(plan, code={}, afters=(), sources=Sources())
            return Parcel(dill.dumps((bare, root, dict(shared), parameters, codecs), recurse=True))
        payload = dill.dumps((plan.space, dict(shared), parameters), recurse=True)
    except Exception as error:  # noqa: BLE001 - pickling raises anything
        cure = "run it with -n 0, or with --start-method fork"
        raise SimkitError(
            f"{plan.node_id}: cannot be sent to a worker process: {error}\n    {cure}"
        ) from None
    return Recipe(plan.path, plan.rootdir, plan.name, outside, plan.code, root, payload, plan.compress)


def start_method(wanted: Method | None = None) -> Method:
    """Fork where it is safe, else spawn."""
    if wanted is not None:
        return wanted
    return "fork" if sys.platform == "linux" and threading.active_count() == 1 else "spawn"
