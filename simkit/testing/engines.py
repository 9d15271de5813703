"""Does an engine execute what agendas hand out? The checks that every engine passes.

An executor of your own, or anything with ``submit(function, argument) -> Future``, is an engine; let a test go
through all checks::

    import pytest
    from simkit.testing import engines

    @pytest.mark.parametrize("check", (*engines.CHECKS, *engines.SUPERVISED))
    def test_my_executor(check, tmp_path):
        with MyExecutor() as executor:
            check(engines.by_executor(executor, tmp_path))

The checks may follow each other in one executor. `SUPERVISED` ones kill runs: they are for engines that execute runs
in processes of their own, as all those by executors do.
"""

from __future__ import annotations

import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.collect.collection import Candidate, plan
from simkit.collect.config import Settings
from simkit.collect.plan import node_id
from simkit.declare.forms import Index, Values
from simkit.declare.run import Run
from simkit.declare.space import Space, product
from simkit.declare.tags import Limits, Tag
from simkit.execute.agenda import Agenda, Worklist
from simkit.execute.engine import Engine, Here
from simkit.execute.futures import Futures
from simkit.execute.job import Job
from simkit.execute.transports import Executors, Pooled
from simkit.inject.provide import constants, reserved, shared_values
from simkit.values.batch import Batch, Checkpoint, Checkpoints, Portion, Status
from simkit.values.decode import decode

Make = Callable[[Job], Engine]
SEED = 20240229


def by_executor(executor: Any, folder: Path, share: int = 1) -> Make:
    """Makes engines whose tasks go through an executor.

    Parameters
    ----------
    executor
        With ``submit(function, argument) -> Future``; it is left as it is.
    folder
        That its workers reach, too.
    share
        How many runs each of its workers executes at once.
    """
    pooled = Pooled.of(executor, "by_executor", is_ours=False)
    transport = Executors(type(executor).__name__, lambda: pooled, share=share, is_renewable=False)
    return lambda job: Futures(job, transport, folder=folder)


def job_of(function: Callable[..., Any], space: Space, **fields: Any) -> Job:
    """A job that executes a function at some points.

    Parameters
    ----------
    **fields
        Further fields of the `Job`.
    """
    path = Path(inspect.getfile(function))
    module = sys.modules[function.__module__]
    candidate = Candidate(function, Tag("experiment"), path, module, node_id(path, function, path.parent))
    made = plan(candidate, Settings(path.parent, reshape=lambda *_: space))
    shared = shared_values(made, SEED)
    return Job(made, SEED, shared, reserved(made, constants(made, shared)), **fields)


def squares(x: float, label: str = "a", offset: float = 0.5) -> dict[str, Any]:
    """The experiment of the checks: fails for negative numbers."""
    if x < 0:
        msg = f"{x} is negative"
        raise ValueError(msg)
    return {"y": x * x + offset, "text": label}


class Doubling:
    """An endless agenda: point i is twice what run i - ``lag`` gave, so no point is known at the start.

    Parameters
    ----------
    lag
        How many runs may be under way at once.
    """

    def __init__(self, lag: int) -> None:
        self.lag, self.asked, self.halted = lag, 0, False
        self.results: dict[int, float] = {}

    def take(self, count: int) -> Portion | None:
        """The runs whose points are known by now."""
        points: list[float] = []
        while len(points) < count and (point := self.point(self.asked + len(points))) is not None:
            points.append(point)
        if not points:
            return None
        runs = np.arange(self.asked, self.asked + len(points))
        self.asked += len(points)
        return Portion(runs, {"x": Values(np.array(points), native=True)})

    def point(self, run: int) -> float | None:
        """The point of a run, or None while what it needs is not known."""
        if run < self.lag:
            return float(run)
        result = self.results.get(run - self.lag)
        return None if result is None else 2 * result % 1.0

    def settle(self, batch: Batch) -> Batch:
        """Remember what the runs gave."""
        self.results.update(results_of(batch, "y"))
        return batch


def results_of(batch: Batch, name: str) -> dict[int, Any]:
    """The values of one result by run number."""
    return dict(zip(batch.runs.tolist(), decode(batch.results[name]), strict=True))


def executed(engine: Engine, agenda: Agenda, stop: Callable[[], bool] = lambda: False) -> Iterator[Batch]:
    """The batches that an engine gives."""
    return (batch for batch in engine.run(agenda, stop) if isinstance(batch, Batch))


def check_that_each_run_is_executed_once_at_its_point(make: Make) -> None:
    """500 runs of a declared space, in any order."""
    space = product(x=np.linspace(0, 1, 50), label=[f"label {i}" for i in range(10)])
    engine = make(job_of(squares, space))
    runs: list[int] = []
    values: dict[int, float] = {}
    texts: dict[int, str] = {}
    for batch in executed(engine, Worklist(range(500), space.at)):
        runs += batch.runs.tolist()
        assert (batch.status == Status.DONE).all(), batch.errors
        values.update(results_of(batch, "y"))
        texts.update(results_of(batch, "text"))
    assert not engine.close().problems
    assert sorted(runs) == list(range(500)), "each run is to be executed once"
    for run in range(500):
        point = space[run]
        assert (values[run], texts[run]) == (point["x"] ** 2 + 0.5, point["label"]), f"run {run}"


def check_that_points_may_come_while_runs_are_executed(make: Make) -> None:
    """An endless agenda whose points follow from results; `stop` ends it."""
    agenda = Doubling(lag=5)
    engine = make(job_of(squares, product(x=[0.0])))
    for _ in executed(engine, agenda, lambda: len(agenda.results) >= 100):
        pass
    assert not engine.close().problems
    assert len(agenda.results) >= 100
    for run, result in agenda.results.items():
        point = agenda.point(run)
        assert point is not None
        assert result == point**2 + 0.5, f"run {run}"


def check_that_a_failing_run_costs_one_run_and_is_tried_again(make: Make) -> None:
    """Two runs of twenty fail, three times each."""
    numbers = [float(run) for run in range(20)]
    numbers[4] = numbers[11] = -1.0
    space = product(x=numbers)
    engine = make(job_of(squares, space))
    attempts: list[int] = []
    last: dict[int, int] = {}
    for batch in executed(engine, Worklist(range(20), space.at, retries=2)):
        attempts += batch.runs.tolist()
        last.update(zip(batch.runs.tolist(), batch.status.tolist(), strict=True))
        assert all("is negative" in text for text in batch.errors.values()), batch.errors
    assert not engine.close().problems
    assert sorted(attempts) == sorted([*range(20), 4, 4, 11, 11]), attempts
    assert {run for run, status in last.items() if status == Status.FAILED} == {4, 11}
    assert {run for run, status in last.items() if status == Status.DONE} == {*range(20)} - {4, 11}


def check_that_several_agendas_follow_each_other(make: Make) -> None:
    """An engine that came to an agenda's end executes the next one."""
    engine = make(job_of(squares, product(x=[0.0])))
    for first in (0, 7):
        points = _only(float(first))
        (batch,) = executed(engine, Worklist(np.array([first]), points))
        assert results_of(batch, "y") == {first: first**2 + 0.5}
    assert not engine.close().problems


def _only(point: float) -> Callable[[Index], Mapping[str, Values]]:
    return lambda runs: {"x": Values(np.full(len(runs), point), native=True)}


def check_that_nothing_is_started_after_a_halt(make: Make) -> None:
    """A halted engine ends although its agenda does not."""
    agenda = Doubling(lag=3)
    engine = make(job_of(squares, product(x=[0.0])))
    batches = executed(engine, agenda, lambda: agenda.halted)
    next(batches)
    agenda.halted = True
    engine.halt()
    asked = agenda.asked
    for _ in batches:
        pass
    assert agenda.asked == asked, "a halted engine asked for further runs"
    engine.close(now=True)


def check_that_each_run_has_its_own_stream(make: Make) -> None:
    """The numbers that runs draw are those that they draw in the owner."""

    def drawn(x: int, rng: np.random.Generator, seed: int) -> dict[str, Any]:
        return {"draws": rng.random(3), "its_seed": seed}

    space = product(x=range(60))
    there, here = ({}, {})  # type: tuple[dict[int, Any], dict[int, Any]]
    for make_one, draws in ((make, there), (Here, here)):
        engine = make_one(job_of(drawn, space))
        for batch in executed(engine, Worklist(range(60), space.at)):
            seeds = results_of(batch, "its_seed")
            assert batch.seeds is not None
            assert batch.seeds.tolist() == [seeds[run] for run in batch.runs.tolist()]
            draws.update({run: value.tobytes() for run, value in results_of(batch, "draws").items()})
        assert not engine.close().problems
    assert there == here
    assert len({*there.values()}) == 60


def check_that_large_arrays_arrive(make: Make) -> None:
    """Points and results of a megabyte each, from a function that no file can give again."""
    images = [np.arange(131_072.0) + i for i in range(12)]
    space = product(x=images)

    def mirrored(x: np.ndarray[Any, Any]) -> dict[str, Any]:
        return {"y": x[::-1].copy()}

    engine = make(job_of(mirrored, space))
    runs = 0
    for batch in executed(engine, Worklist(range(12), space.at)):
        assert (batch.status == Status.DONE).all(), batch.errors
        for run, value in results_of(batch, "y").items():
            assert np.array_equal(value, images[run][::-1])
            runs += 1
    assert not engine.close().problems
    assert runs == 12


# Engines that execute runs in processes


def _statuses(engine: Engine, agenda: Agenda) -> tuple[dict[int, int], dict[int, str]]:
    statuses: dict[int, int] = {}
    errors: dict[int, str] = {}
    for batch in executed(engine, agenda):
        runs = batch.runs.tolist()
        assert not statuses.keys() & {*runs}, "a run was executed twice"
        statuses.update(zip(runs, batch.status.tolist(), strict=True))
        errors.update(batch.errors)
    assert not engine.close().problems
    return statuses, errors


def check_that_a_run_that_dies_costs_one_run(make: Make) -> None:
    """Run 37 of 100 kills its process."""

    def deadly(x: int) -> int:
        if x == 37:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        return x

    space = product(x=range(100))
    statuses, errors = _statuses(make(job_of(deadly, space)), Worklist(range(100), space.at))
    assert {run for run, status in statuses.items() if status != Status.DONE} == {37}, errors
    assert statuses[37] == Status.CRASHED
    assert len(statuses) == 100


def check_that_a_run_that_takes_too_long_is_stopped(make: Make) -> None:
    """One of eight waits for ever."""

    def waiting(x: int) -> int:
        while x == 3:
            signal.pause()
        return x

    space = product(x=range(8))
    job = job_of(waiting, space)
    limited = attrs.evolve(job, plan=attrs.evolve(job.plan, limits=Limits(timeout=1.0)))
    statuses, errors = _statuses(make(limited), Worklist(range(8), space.at))
    assert statuses == {run: Status.TIMEOUT if run == 3 else Status.DONE for run in range(8)}, errors
    assert "its timeout is 1 s" in errors[3]


def check_that_a_run_goes_on_from_its_checkpoint(make: Make) -> None:
    """Each run saves its state and dies; the second attempt begins where the first was."""

    def halved(x: int, run: Run) -> dict[str, Any]:
        state = run.restore()
        if not state:
            run.checkpoint(half=x / 2)
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        return {"y": (state or {})["half"]}

    space, checkpoints = product(x=range(3)), Checkpoints()
    engine = make(job_of(halved, space))
    agenda = Worklist(range(3), space.at, retries=1, restorable=checkpoints.known)
    values: dict[int, float] = {}
    for event in engine.run(agenda, lambda: False):
        if isinstance(event, Checkpoint):
            checkpoints.take(event)
        elif isinstance(event, Batch) and (event.status == Status.DONE).all():
            values.update(results_of(event, "y"))
    assert not engine.close().problems
    assert values == {0: 0.0, 1: 0.5, 2: 1.0}


SUPERVISED: tuple[Callable[[Make], None], ...] = (
    check_that_a_run_that_dies_costs_one_run,
    check_that_a_run_that_takes_too_long_is_stopped,
    check_that_a_run_goes_on_from_its_checkpoint,
)

CHECKS: tuple[Callable[[Make], None], ...] = (
    check_that_each_run_is_executed_once_at_its_point,
    check_that_points_may_come_while_runs_are_executed,
    check_that_a_failing_run_costs_one_run_and_is_tried_again,
    check_that_several_agendas_follow_each_other,
    check_that_nothing_is_started_after_a_halt,
    check_that_each_run_has_its_own_stream,
    check_that_large_arrays_arrive,
)
