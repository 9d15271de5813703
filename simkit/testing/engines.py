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
in processes of their own, as all those by executors do. What other experiments gave lies in the folder of temporary
files: where workers are on other machines, set ``TMPDIR`` to one that they reach.
"""

from __future__ import annotations

import math
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np

import simkit
from simkit.analyse.stages import Supply, each
from simkit.collect.collection import candidate_of, plan
from simkit.collect.config import Settings
from simkit.collect.plan import node_id
from simkit.declare.forms import Array, Values
from simkit.declare.run import Run
from simkit.declare.space import Space, product
from simkit.declare.tags import Limits, experiment
from simkit.execute.agenda import Agenda, Worklist
from simkit.execute.engine import Engine, Here
from simkit.execute.futures import Futures
from simkit.execute.job import Job
from simkit.execute.transports import Executors, Pooled
from simkit.inform.progress import Progress
from simkit.inject.provide import constants, reserved, shared_values
from simkit.study.supply import supplied
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
    found, _ = candidate_of(function)
    settings = Settings(found.path.parent, reshape=lambda *_: space)
    candidate = attrs.evolve(found, node_id=node_id(found.path, function, settings.rootdir))
    made = supplied(plan(candidate, settings), Supply(settings))
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
    heard = _heard(make(job_of(squares, space)), Worklist(range(500), space.at), "y", "text")
    assert {*heard.statuses.values()} == {Status.DONE}, heard.errors
    points = {run: space[run] for run in range(500)}
    assert heard.values == {run: (point["x"] ** 2 + 0.5, point["label"]) for run, point in points.items()}


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
    space = product(x=np.arange(10.0))
    engine = make(job_of(squares, space))
    for first in (0, 7):
        (batch,) = executed(engine, Worklist(np.array([first]), space.at))
        assert results_of(batch, "y") == {first: first**2 + 0.5}
    assert not engine.close().problems


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


def check_that_a_call_may_compute_many_runs(make: Make) -> None:
    """A vectorized experiment: its calls get arrays, and one run that fails costs no other."""

    @experiment(vectorized=True)
    def together(x: Array, seed: Array) -> dict[str, Any]:
        if (x == 333).any():
            msg = f"{len(x)} at once"
            raise ValueError(msg)
        return {"y": x * x, "calls": np.full(len(x), len(x)), "its_seed": seed}

    space = product(x=range(500))
    names = ("y", "its_seed", "calls")
    heard = _heard(make(job_of(together, space)), Worklist(range(500), space.at), *names)
    done = {*range(500)} - {333}
    assert heard.statuses == {333: Status.FAILED, **dict.fromkeys(done, Status.DONE)}, heard.errors
    assert "1 at once" in heard.errors[333], heard.errors
    assert {run: values[:2] for run, values in heard.values.items()} == {
        run: (run * run, heard.seeds[run]) for run in done
    }
    assert len({seed for _, seed, _ in heard.values.values()}) == len(done), "runs share a seed"
    assert max(calls for *_, calls in heard.values.values()) > 1, "no call computed more than one run"


def check_that_runs_get_the_runs_of_another_experiment(make: Make) -> None:
    """With `each` a run as an argument, or with ``by`` a group of runs."""

    def build(n: int, w: float) -> dict[str, Any]:
        return {"weights": np.arange(3.0) * w + n}

    def used(build: Any, drive: float) -> dict[str, Any]:
        return {"y": drive * build.weights.sum() + build.n}

    def compared(build: Any) -> dict[str, Any]:
        return {"y": float(sum(build["n"])), "runs": len(build)}

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "build.h5")
        simkit.run(build, product(n=range(5), w=[0.5, 1.5, 2.5]), output=path).close()
        one = job_of(used, each(path, where="w > 1") * product(drive=[1.0, 2.0]))
        heard = _heard(make(one), Worklist(range(20), one.plan.space.at), "y")
        expected = [drive * (3 * w + 3 * n) + n for n in range(5) for w in (1.5, 2.5) for drive in (1.0, 2.0)]
        assert heard.values == {run: (y,) for run, y in enumerate(expected)}, heard.errors
        group = job_of(compared, each(path, by="w"))
        heard = _heard(make(group), Worklist(range(3), group.plan.space.at), "y", "runs")
        assert heard.values == dict.fromkeys(range(3), (10.0, 5)), heard.errors


_CELL = """
import math
from dataclasses import dataclass

factor = 3.0

@dataclass
class Model:
    x: int

    def value(self):
        return factor * math.sqrt(self.x)

def told(x):
    return {"y": Model(x).value()}
"""


def check_that_functions_of_a_notebook_are_executed(make: Make) -> None:
    """A cell's function, with a class and a number of the notebook's: no file holds them."""
    notebook: dict[str, Any] = {"__name__": "__main__", "In": ["", _CELL]}
    exec(compile(_CELL, "<ipython-input-1>", "exec"), notebook)
    space = product(x=range(40))
    heard = _heard(make(job_of(notebook["told"], space)), Worklist(range(40), space.at), "y")
    assert heard.values == {run: (3.0 * math.sqrt(run),) for run in range(40)}, heard.errors


@attrs.frozen
class Executions:
    """What became of runs, each of which was executed once; ``values`` are the results asked for of those done."""

    statuses: dict[int, int] = attrs.field(factory=dict)
    errors: dict[int, str] = attrs.field(factory=dict)
    seeds: dict[int, int] = attrs.field(factory=dict)
    values: dict[int, tuple[Any, ...]] = attrs.field(factory=dict)


def _heard(engine: Engine, agenda: Agenda, *names: str) -> Executions:
    heard = Executions()
    for batch in executed(engine, agenda):
        runs = batch.runs.tolist()
        assert not heard.statuses.keys() & {*runs}, "a run was executed twice"
        heard.statuses.update(zip(runs, batch.status.tolist(), strict=True))
        heard.errors.update(batch.errors)
        heard.seeds.update({} if batch.seeds is None else dict(zip(runs, batch.seeds.tolist(), strict=True)))
        columns = [results_of(batch, name) for name in names if name in batch.results]
        done = [run for run in runs if heard.statuses[run] == Status.DONE]
        heard.values.update({run: tuple(column[run] for column in columns) for run in done})
    assert not engine.close().problems
    return heard


# Engines that execute runs in processes


def check_that_a_run_that_dies_costs_one_run(make: Make) -> None:
    """Run 37 of 100 kills its process."""

    def deadly(x: int) -> int:
        if x == 37:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        return x

    space = product(x=range(100))
    heard = _heard(make(job_of(deadly, space)), Worklist(range(100), space.at))
    expected = {run: Status.CRASHED if run == 37 else Status.DONE for run in range(100)}
    assert heard.statuses == expected, heard.errors


def check_that_a_run_that_takes_too_long_is_stopped(make: Make) -> None:
    """One of eight waits for ever."""

    def waiting(x: int) -> int:
        while x == 3:
            signal.pause()
        return x

    space = product(x=range(8))
    job = job_of(waiting, space)
    limited = attrs.evolve(job, plan=attrs.evolve(job.plan, limits=Limits(timeout=1.0)))
    heard = _heard(make(limited), Worklist(range(8), space.at))
    expected = {run: Status.TIMEOUT if run == 3 else Status.DONE for run in range(8)}
    assert heard.statuses == expected, heard.errors
    assert "its timeout is 1 s" in heard.errors[3]


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


def check_that_ctrl_c_finishes_what_runs(make: Make) -> None:
    """The first one: what runs is finished, nothing else begins; the second: that is given up; two studies follow."""

    def waiting(x: int, is_endless: bool, run: Run) -> int:
        run.checkpoint(began=True)  # so that the owner hears of it
        while is_endless:
            signal.pause()
        return x

    for is_endless in (False, True):
        space = product(x=range(10_000), is_endless=[is_endless])
        engine = make(job_of(waiting, space))
        begun: set[int] = set()
        done: set[int] = set()
        for event in engine.run(Worklist(range(10_000), space.at), lambda begun=begun: bool(begun)):  # type: ignore[misc]
            if isinstance(event, Checkpoint):
                begun.add(event.run)
                engine.halt()
                if is_endless:
                    break
            elif isinstance(event, Batch):
                assert (event.status == Status.DONE).all(), event.errors
                done.update(event.runs.tolist())
        assert not engine.close(now=is_endless).problems
        assert begun, "no run told its state"
        assert begun <= done or is_endless, f"{sorted(begun - done)} began, and are not finished"
        assert len(done) < 5_000, "a halted engine executed further runs"
    for _ in range(2):
        check_that_each_run_is_executed_once_at_its_point(make)


def check_that_the_crew_is_counted(make: Make) -> None:
    """Who watches a study is told how many workers there are, and that one is busy while there is one run."""

    def telling(x: int, run: Run) -> int:
        run.checkpoint(began=True)
        return x

    def counted() -> tuple[int, int]:
        crews.append(engine.crew())
        return crews[-1]

    space = product(x=[1])
    nowhere: Any = None  # nothing is recorded
    job, crews = job_of(telling, space), list[tuple[int, int]]()
    engine = make(job)
    progress = Progress(job.plan, total=1, target=nowhere, size=1, crew=counted)
    events = engine.run(Worklist(range(1), space.at), bool)
    lines = [progress.pace for event in events if isinstance(event, Checkpoint)]
    (alive, during), (rest, after) = *crews, counted()
    assert not engine.close().problems
    assert (during, after) == (1, 0), "one worker is busy while a run is under way, and none in the end"
    assert min(alive, rest) >= 1
    assert lines == [f"1/{alive} busy" if alive > 1 else ""]


SUPERVISED: tuple[Callable[[Make], None], ...] = (
    check_that_a_run_that_dies_costs_one_run,
    check_that_a_run_that_takes_too_long_is_stopped,
    check_that_a_run_goes_on_from_its_checkpoint,
    check_that_ctrl_c_finishes_what_runs,
    check_that_the_crew_is_counted,
)

CHECKS: tuple[Callable[[Make], None], ...] = (
    check_that_each_run_is_executed_once_at_its_point,
    check_that_points_may_come_while_runs_are_executed,
    check_that_a_failing_run_costs_one_run_and_is_tried_again,
    check_that_several_agendas_follow_each_other,
    check_that_nothing_is_started_after_a_halt,
    check_that_each_run_has_its_own_stream,
    check_that_large_arrays_arrive,
    check_that_a_call_may_compute_many_runs,
    check_that_runs_get_the_runs_of_another_experiment,
    check_that_functions_of_a_notebook_are_executed,
)
