"""Strategies that were killed go on to the points of undisturbed ones, whichever library chooses them."""

from __future__ import annotations

import importlib.util
import sys
from collections import deque

import h5py
import numpy as np
import pytest
from processes import kill_group, recorded_runs
from written_pages import files

FILES = files("howto/adaptive.md")
HEAD = """
import itertools
import time
from pathlib import Path

MARKS = Path(__file__).parents[1] / "marks"  # outside of the project, whose files are inputs


def detained(run):
    \"\"\"Every fourth run waits a little for its successor, and those from the 31st on for being killed.\"\"\"
    (MARKS / f"begun-{run.index}").touch()
    for _ in itertools.takewhile(lambda i: i < 60, itertools.count()):
        if run.index % 4 != 1 or (MARKS / f"begun-{run.index + 1}").exists():
            break
        time.sleep(0.005)
    while run.index >= 30 and not (MARKS / "go").exists():
        (MARKS / "waiting").touch()
        time.sleep(0.02)


"""
OPTUNA = (
    HEAD
    + """
import optuna
from simkit import adapters, adaptive, experiment


def suggest(trial):
    return {"x": trial.suggest_float("x", -5, 5), "y": trial.suggest_float("y", -5, 5)}


strategy = adapters.optuna(suggest, n_trials=60, sampler=lambda seed: optuna.samplers.SAMPLER)


def made():
    return strategy(0)


@experiment
@adaptive(strategy)
def f(x, y, run):
    detained(run)
    return {"loss": (x - 1) ** 2 + (y + 2) ** 2}
"""
)
HYPERBAND = (
    OPTUNA.replace(
        "lambda seed: optuna.samplers.SAMPLER)",
        "lambda seed: optuna.samplers.TPESampler(seed=3, constant_liar=True),\n"
        "    pruner=optuna.pruners.HyperbandPruner(max_resource=9))",
    )
    .replace("    detained(run)\n", """\
    for step in range(9):
        run.report((x - 1) ** 2 + (y + 2) ** 2 + 9 / (step + 1), step)
        if step == 2:
            detained(run)
        if run.should_stop():
            break
""")
    .replace("(y + 2) ** 2}", '(y + 2) ** 2, "steps": step + 1}')
)  # fmt: skip
STRATEGIES = {
    "optuna TPE": OPTUNA.replace("SAMPLER", "TPESampler(seed=3, constant_liar=True)"),
    "optuna NSGA-II": OPTUNA.replace("SAMPLER", "NSGAIISampler(seed=3, population_size=8)"),
    "optuna Hyperband": HYPERBAND,
    "nevergrad": HEAD
    + FILES["sim_valley.py"]
    .replace("def two_points(random_state, budget=60)", "def two_points(random_state=3, budget=60)")
    .replace("def valley(x: float, y: float):\n", "def f(x, y, run):\n    detained(run)\n")
    + "\n\nmade = two_points\n",
    "adaptive": HEAD
    + FILES["sim_edge.py"].replace(
        "def edge(x: float, y: float):\n", "def f(x, y, run):\n    detained(run)\n"
    )
    + "\n\nmade = learner\n",
}


class AnsweredRun:
    """A run that is told to stop where the recorded one was, and reports to nobody."""

    index = 0

    def __init__(self, stop):
        self.stop, self.step = stop, -1

    def report(self, value, step):
        self.step = step

    def should_stop(self):
        return self.step == self.stop


def undisturbed(path, asked, told, names, reports=()):
    """The points of the same strategy when it is asked and told in this order, by itself."""
    spec = importlib.util.spec_from_file_location("undisturbed", path)
    module = sys.modules["undisturbed"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sampler, points, order = module.made(), [], iter(np.argsort(told).tolist())
    stops = {run: step for run, step, _, stop, *_ in reports if stop == 1}
    count, reports = 0, deque(reports)

    def report():
        while reports and reports[0][4] <= len(points) and reports[0][5] <= count:
            run, step, value, stop, *_ = reports.popleft()
            if stop < 0:
                sampler.report(points[run], value, step)
            else:
                assert sampler.should_stop(points[run]) == stop

    for heard in asked.tolist():
        report()
        while count < heard:
            run = next(order)
            sampler.tell(points[run], module.f(**points[run], run=AnsweredRun(stops.get(run))))
            count += 1
            report()
        points.append(sampler.ask())
    return np.array([[point[name] for name in names] for point in points])


@pytest.mark.parametrize("name", STRATEGIES)
def test_killed_at_point_30_of_60_with_4_workers_it_goes_on_as_if_nothing_had_been(project, name):
    library = name.partition(" ")[0]
    pytest.importorskip(library, reason="a library that the recipe is for")
    path = project.file("sim_f.py", STRATEGIES[name])
    marks = project.path.parent / "marks"
    marks.mkdir()
    with project.under_way("-n", "4") as process:
        project.until((marks / "waiting").exists)
        file = project.path / "results" / "f-001.h5"
        project.until(lambda: file.exists() and len(recorded_runs(file)) >= 28)
        kill_group(process, project.path)
    killed = recorded_runs(file)
    assert 28 <= len(killed) < 40
    (marks / "go").touch()
    assert "does not repeat itself" not in project.ok("-n", "4").out
    traj = project.open("f-001")
    assert traj.status.tolist() == ["done"] * 60
    with h5py.File(file) as opened:
        asked, told = opened["f/runs/asked"][:], opened["f/runs/told"][:]
        group = opened.get("f/runs/report")
        columns = ("run", "step", "value", "stop", "asked", "told")
        reports = [] if group is None else list(zip(*(group[c][:].tolist() for c in columns), strict=True))
    assert (len(reports) > 0) == ("Hyperband" in name)
    assert len({(*row[:2], row[3] < 0) for row in reports}) == len(reports)
    assert sorted(told.tolist()) == list(range(60))
    np.testing.assert_array_equal(
        np.stack([traj["x"], traj["y"]], axis=1), undisturbed(path, asked, told, ["x", "y"], reports)
    )


CLIMB = """
import os
import signal
import time
from pathlib import Path

import numpy as np
from simkit import adaptive, experiment, explore


def climb(rng, run, ngen=30, popsize=10, sigma=0.5):
    best, best_z = np.zeros(2), -np.inf
    for _ in range(ngen):
        x, y = best[:, None] + sigma * rng.standard_normal((2, popsize))
        z = (yield explore(x=x, y=y))["z"]
        if z.max() > best_z:
            best, best_z = np.array([x[z.argmax()], y[z.argmax()]]), z.max()
        run.append(best_z=best_z)
    return {"best": best}


@experiment
@adaptive(climb)
def hill(x: float, y: float, run, rng):
    here = Path(__file__).parent
    while run.index == 124 and not (here / "go").exists():
        (here / "waiting").touch()
        time.sleep(0.02)
    return {"z": -((x - 3) ** 2) - (y + 2) ** 2 + rng.normal(0, 0.1), "trace": np.arange(run.index % 3) * x}
"""


def test_killed_in_generation_12_of_30_the_trajectory_is_that_of_an_undisturbed_study(project):
    project.file("sim_hill.py", CLIMB)
    with project.under_way("--seed", "3", "-n", "2") as process:
        project.until(lambda: project.has("waiting"))
        kill_group(process, project.path)
    project.file("go")
    killed = project.open("hill-001")
    assert killed["generation"].max() == 12
    assert 110 < (killed.status == "done").sum() < 130
    project.close()
    project.ok("--seed", "3", "-n", "2")
    project.ok("--seed", "3", "-n", "1", "--output", "whole.h5")
    killed, whole = project.open("hill-001"), project.open("whole.h5")
    assert killed.status.tolist() == ["done"] * 300
    for name in ("x", "y", "z", "generation", "seed"):
        np.testing.assert_array_equal(killed[name], whole[name])
    assert all(np.array_equal(*pair) for pair in zip(killed["trace"], whole["trace"], strict=True))
    np.testing.assert_array_equal(killed.summary.best, whole.summary.best)
    np.testing.assert_array_equal(killed.summary.best_z, whole.summary.best_z)
