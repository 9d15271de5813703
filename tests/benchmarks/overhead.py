"""How many instructions of Python's does a run cost beside the experiment itself? Counted, so that no load matters.

Prints a JSON object: for each kind of experiment the instructions (opcodes of Python functions, calls of C functions
counted as ten) per run, as multiples of those of a plain loop that calls the function and keeps what it returns.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import owner

import simkit.inject.baseline
import simkit.inject.injector
import simkit.inject.vectorized
from simkit import product
from simkit.collect.collection import plan_of
from simkit.declare.tags import mark
from simkit.execute.job import Job
from simkit.inject.contact import local_beat
from simkit.inject.provide import shared_values
from simkit.values.alone import OneRun
from simkit.values.batch import Portion

C_CALL = 10  # instructions that a call of a C function counts as
FEW, MANY = 200, 600  # runs; the cost of a run is that of the runs between


def returned(x, y):
    return x + y


def mapping(x, y):
    return {"z": x + y, "w": x - y}


def added(x, y, run):
    run.add(z=x + y)


def drawn(x, y, rng):
    return x + y


def vectorized(x, y):
    return x + y


def counted(work: Callable[[], Any]) -> int:
    """The instructions of some work."""
    count = 0

    def traced(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return traced

    def profiled(_: Any, event: str, __: Any) -> None:
        nonlocal count
        count += C_CALL * (event == "c_call")

    sys.setprofile(profiled)
    sys.settrace(traced)
    try:
        work()
    finally:
        sys.settrace(None)
        sys.setprofile(None)
    return count


def between(work: Callable[[int], Callable[[], Any]]) -> float:
    """The instructions of a run between the first ones and the last."""
    counted(
        work(FEW)
    )  # from Python 3.12 on, a function's instructions are traced once it has been asked for them
    return (counted(work(MANY)) - counted(work(FEW))) / (MANY - FEW)


def plain(runs: int) -> Callable[[], Any]:
    """The loop that somebody would write."""
    xs, ys = list(map(float, range(runs))), list(map(float, range(runs)))

    def loop() -> list[Any]:
        return [returned(x, y) for x, y in zip(xs, ys, strict=True)]

    return loop


def executed(function: Callable[..., Any], runs: int) -> Callable[[], Any]:
    """Runs of an experiment in this process: points in, columns of results out."""
    mark(function, vectorized=0 if function is vectorized else None)
    plan, _ = plan_of(function, product(x=[float(i) for i in range(runs)], y=[1.0]), {})
    injector = Job(plan, 1, shared_values(plan, 1), tuple(plan.parameters)).injector()
    space = plan.space
    for first in (np.arange(2), np.arange(100)):  # one run is watched, and dozens are looked at one by one
        injector.batch(Portion(first, space.at(first)), local_beat())
    injector.baseline.is_slow = False  # that depends on the clock
    rows = np.arange(runs)

    def work() -> None:
        batch = injector.batch(Portion(rows, space.at(rows)), local_beat())
        assert len(batch.runs) == runs
        assert (batch.status == 1).all()

    return work


def alone(function: Callable[..., Any], runs: int) -> Callable[[], Any]:
    """The same runs of an experiment, each as a batch of its own in a worker, and cared for as runs of 20 ms are."""
    plan, _ = plan_of(function, product(x=[float(i) for i in range(runs)], y=[1.0]), {})
    injector = Job(plan, 1, shared_values(plan, 1), tuple(plan.parameters)).injector()
    injector.baseline.company = simkit.inject.baseline.Company.RUNS
    portions = [Portion(np.array([run]), plan.space.at(np.array([run]))) for run in range(runs)]
    injector.batch(portions[0], local_beat())

    def work() -> None:
        for portion in portions:
            assert isinstance(injector.batch(portion, local_beat()), OneRun)

    return work


def main() -> None:
    # Nothing that depends on the clock, which tracing slows down.
    simkit.inject.injector.PATIENCE = simkit.inject.vectorized.PATIENCE = simkit.inject.baseline._PAUSE = 1e9
    per_run = between(plain)
    costs = {}
    for function in (returned, mapping, added, drawn, vectorized):
        costs[function.__name__] = round(between(partial(executed, function)) / per_run, 2)
    simkit.inject.baseline._SHARE = -1  # whatever the clock says
    costs["alone"] = round(between(partial(alone, returned)) / per_run, 2)
    print(json.dumps({**costs, "asked": round(owner.cost(counted) / per_run, 2)}))


if __name__ == "__main__":
    main()
