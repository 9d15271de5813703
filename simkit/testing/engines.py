"""Does an engine execute what agendas hand out? The checks that every engine passes.

An engine of your own is made from a `Job`; let a test go through all checks::

    import pytest
    from simkit.testing import engines

    @pytest.mark.parametrize("check", engines.CHECKS)
    def test_my_engine(check):
        check(lambda job: MyEngine(job))
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simkit.collect.collection import Candidate, plan
from simkit.collect.config import Settings
from simkit.collect.plan import node_id
from simkit.declare.forms import Index, Values
from simkit.declare.space import Space, product
from simkit.declare.tags import Tag
from simkit.execute.agenda import Agenda, Worklist
from simkit.execute.engine import Engine
from simkit.execute.job import Job
from simkit.inject.provide import constants, reserved, shared_values
from simkit.values.batch import Batch, Portion, Status
from simkit.values.decode import decode

Make = Callable[[Job], Engine]
SEED = 20240229


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
    assert engine.close() == []
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
    assert engine.close() == []
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
    assert engine.close() == []
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
    assert engine.close() == []


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


CHECKS: tuple[Callable[[Make], None], ...] = (
    check_that_each_run_is_executed_once_at_its_point,
    check_that_points_may_come_while_runs_are_executed,
    check_that_a_failing_run_costs_one_run_and_is_tried_again,
    check_that_several_agendas_follow_each_other,
    check_that_nothing_is_started_after_a_halt,
)
