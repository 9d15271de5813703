"""How many instructions does the owner spend on a point of a steady-state study? Its workers are played here, by turns.

What they do is not counted, and nothing depends on the clock: a commit is due with every 25th point, as it is where
two workers have runs of 20 ms.
"""

from __future__ import annotations

import io
import itertools
import os
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from contextlib import redirect_stdout
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from simkit.cli.main import main
from simkit.execute.job import Declared
from simkit.execute.processes import pool
from simkit.execute.processes.worker import Answer, Receiver, Sender, reply, unpacked
from simkit.inject.contact import local_beat
from simkit.record.writer import Writer
from simkit.study.execution import Execution

SOURCE = """
from simkit import adaptive, experiment

class Counter:
    def __init__(self, n):
        self.points = iter([{"x": i / 2, "y": i / 4} for i in range(n)])

    def ask(self):
        return next(self.points, None)

    def tell(self, point, results):
        pass

def counting(n: int = 1):
    return Counter(n)

@experiment
@adaptive(counting)
def steady(x, y):
    return {"z": x + y}
"""
PER_COMMIT = 25  # points
FEW, MANY = 100, 300  # points; the cost of a point is that of the points between


class Played:
    """In place of the process that starts workers: they are objects of this one."""

    was_killed = False

    def __init__(self, source: Any, method: str, *, isolate: bool = False) -> None:
        self.source = source
        self.workers: deque[Callable[[], bool]] = deque()
        played.append(self)

    def start(self, seat: Any) -> Any:
        ours, theirs = Pipe()
        job, declared = self.source()
        injector, sender = job.injector(), Sender(theirs, Declared())
        receiver = Receiver(theirs, declared, copies=True)

        def work() -> bool:
            """Execute one portion, if there is one."""
            if not theirs.poll(0):
                return False
            portion = unpacked(receiver.receive())
            reply(sender, injector.batch(portion, local_beat(), None), seat.number, 0.02)
            return True

        sender.send(Answer(process=1))
        self.workers.append(work)
        return ours

    def close(self, *, kill: bool = False) -> None:
        """Nothing lives on."""


played: list[Played] = []


class Turns(pool.Ears):
    """One worker after the other says something."""

    def ready(self, seconds: float) -> list[Any]:
        tracer, profiler = sys.gettrace(), sys.getprofile()
        sys.settrace(None)
        sys.setprofile(None)
        workers = played[-1].workers
        workers.rotate(-1)
        any(work() for work in workers)
        ready = super().ready(0)
        sys.setprofile(profiler)
        sys.settrace(tracer)
        return ready


def cost(counted: Callable[[Callable[[], Any]], int]) -> float:
    """The instructions per point, as `counted` tells those of some work."""
    counts: list[int] = []
    puts = itertools.count(1)
    consume = Execution.consume
    pool.Nursery, pool.Ears = Played, Turns  # type: ignore[misc, assignment]
    pool.Pool._last_words = lambda self, worker: ""  # type: ignore[method-assign]
    Writer.is_due = lambda self, gathered=0: next(puts) % PER_COMMIT == 0  # type: ignore[method-assign]
    Execution.consume = lambda *given: counts.append(counted(lambda: consume(*given)))  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        Path(folder, "sim_steady.py").write_text(SOURCE, "utf-8")
        os.chdir(folder)
        for points in (FEW, FEW, MANY):  # the first time imports what it needs
            code = main(["-q", "-n", "2", "--set", f"n={points}", "--output", f"{points}.h5", "--fresh"])
            assert code == 0, code
        os.chdir("/")
    return (counts[-1] - counts[-2]) / (MANY - FEW)
