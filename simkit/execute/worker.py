"""What a worker process does: receive run numbers, send back columns, until nobody asks any more."""

from __future__ import annotations

import gc
import mmap
import os
import pickle
import signal
import time
import traceback
from typing import Any

import attrs
from threadpoolctl import threadpool_limits

from simkit.declare.limits import Limits
from simkit.execute.job import Job, Source
from simkit.execute.logs import OutputLog
from simkit.execute.wire import Sender, unpack_runs
from simkit.inject.beat import LOGGED, SIZE, Beat
from simkit.inject.vault import Vault
from simkit.values.checkpoint import Checkpoint

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

BEAT = 8 * SIZE  # bytes per worker in the shared file
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


@attrs.frozen
class Answer:
    """A worker's message: a batch and how long it took, a checkpoint, or why it can't start or end in peace."""

    batch: Any = None
    seconds: float = 0.0
    nbytes: int = 0
    problem: str = ""
    bug: str = ""
    checkpoint: Checkpoint | None = None


@attrs.frozen
class Place:
    """Where a worker stands: its slot, its number, the file of the beats, and whether output is shown."""

    slot: int
    number: int
    beats: str
    show: bool
    most_failures: int = 0

    @property
    def log(self) -> str:
        """Where its output goes."""
        return f"{self.beats}-{self.slot}.log"


def work(connection: Any, source: Source, place: Place) -> None:
    """Be a worker; ends when the owner closes the connection or is gone."""
    ignore_signals()
    sender = Sender(connection)
    try:
        if not any(name in os.environ for name in _THREADS):
            threadpool_limits(1)
        beat = open_beats(place.beats, place.slot)
        log = None if place.show else OutputLog(place.log)
        job = source()
        job.injector.most_failures = place.most_failures
        _apply(job.injector.plan.limits)
        gc.freeze()  # what was imported stays: looking at all of it again and again can double a run's cost
    except BaseException:  # noqa: BLE001 - whatever the user's modules raise; the owner reports it
        sender.send(Answer(problem=traceback.format_exc()))
        return
    sender.send(Answer())
    try:
        _serve(sender, job, beat, log, place.number)
        sender.send(Answer(problem=job.injector.close()))
    except (EOFError, OSError):
        job.injector.close()  # the owner is gone
    except Exception:  # noqa: BLE001 - runs' errors are recorded: what arrives here is simkit's own
        sender.send(Answer(bug=traceback.format_exc()))


def _serve(sender: Sender, job: Job, beat: Beat, log: OutputLog | None, number: int) -> None:
    job.injector.vault = Vault(lambda checkpoint: sender.send(Answer(checkpoint=checkpoint)))
    while request := sender.connection.recv_bytes():
        packed, restorable = pickle.loads(request)
        runs = unpack_runs(packed)
        start = time.perf_counter()
        batch = attrs.evolve(job.batch(runs, beat, log, restorable), worker=number)
        if log is not None:
            log.forget()
            beat[LOGGED] = log.position()
        sender.send(Answer(batch, time.perf_counter() - start, batch.nbytes), shared=True)


def _apply(limits: Limits) -> None:
    """Keep this process within what its experiment may take, where the system can."""
    if limits.memory is not None and resource is not None:
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    if limits.nice and hasattr(os, "nice"):
        os.nice(limits.nice)


def open_beats(path: str, slot: int) -> Beat:
    """The numbers that a worker shares with the owner."""
    with open(path, "r+b") as file:
        shared = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")
    return shared[slot * SIZE : (slot + 1) * SIZE]  # type: ignore[return-value]


def ignore_signals() -> None:
    """The owner decides when to stop. Ctrl-C reaches every process of the terminal, SIGTERM all of a job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A handler rather than SIG_IGN: programs that a run starts shall still be stoppable.
    signal.signal(signal.SIGTERM, lambda *_: None)
