"""Ctrl-C, SIGTERM and SIGHUP at random moments of every kind of study: never "a bug in simkit", and nothing is lost.

``pytest tests/faults/test_signals.py --signals 600 --timeout 0`` is the long version.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess

import numpy as np
import pytest
from commands import SIGNAL_AT, Forked
from conftest import TIMEOUT, clean_environment
from processes import recorded_runs

CALLS = 45_000  # of functions, in one of these studies
HEAD = """
import os, time
import numpy as np
from simkit import adaptive, after, each, experiment, explore, fixture, parameter, product
"""
POINTS = """
@experiment
@product(x=range(30))
def study(x, rng):
    return {"z": 3.0 * x, "a": np.arange(x % 5), "s": "w" * (x % 3), "noise": rng.normal()}
"""
VECTORISED = """
@experiment(vectorized=8)
@product(x=np.arange(40))
def study(x, seed):
    return {"z": 3.0 * x, "drawn": seed % 7}
"""
GENERATIONS = """
def climb(rng, run):
    for _ in range(6):
        results = yield explore(x=rng.standard_normal(5))
        run.append(best=np.max(results["z"]))

@experiment
@adaptive(climb)
def study(x: float):
    return {"z": 3.0 * x}
"""
EVALUATED = """
def climb(rng, evaluate):
    return {"best": max(evaluate(x=rng.standard_normal(5))["z"].max() for _ in range(6))}

@experiment
@adaptive(climb)
def study(x: float):
    return {"z": 3.0 * x}
"""
STEADY = """
class Counting:
    def __init__(self):
        self.asked = 0

    def ask(self):
        self.asked += 1
        return {"x": float(self.asked)} if self.asked <= 30 else None

    def tell(self, point, results):
        pass

def climb():
    return Counting()

@experiment
@adaptive(climb)
def study(x: float):
    return {"z": 3.0 * x}
"""
STAGES = """
@parameter
def base(seed):
    return {"k": 3.5}

@experiment
@product(x=range(8))
def build(x, base):
    return {"w": np.arange(x), "radius": 2.0 * x}

@experiment
@each(build)
@product(y=range(3))
def study(build, y):
    return {"z": 3.0 * build.x}

@after(study)
def total(trajectory, run):
    run.add(total=float(np.sum(trajectory["z"])))
"""
FIXTURES = """
@fixture(scope="experiment")
def shared():
    yield 3.0
    time.sleep(0)

@fixture
def own(workdir):
    (workdir / "a").write_text("x")
    yield workdir
    (workdir / "b").write_text("x")

@experiment
@product(x=range(20))
def study(x, shared, own, run):
    run.append(v=x)
    run.note("noted")
    run.checkpoint(x=x)
    return {"z": shared * x}
"""
ISOLATED = """
@experiment(isolate=True)
@product(x=range(10))
def study(x):
    return {"z": 3.0 * x}
"""
PROGRAMS = """
@experiment
@product(x=range(6))
def study(x, run):
    return {"z": 3.0 * int(run.command(["echo", str(x)]).stdout)}
"""
REPEATED = """
@experiment
@(product(x=range(5)).repeat(3, until="sem(y) < 0.4", most=12))
def study(x, rng):
    return {"z": 3.0 * x, "y": x + rng.normal()}
"""
FORMS = {
    "here": (POINTS, "-n 0"),
    "workers": (POINTS, "-n 2"),
    "spawned": (POINTS, "-n 1 --start-method spawn"),
    "json": (POINTS, "-n 1 --json"),
    "vectorised": (VECTORISED, "-n 0"),
    "vectorised by workers": (VECTORISED, "-n 2"),
    "generations": (GENERATIONS, "-n 0"),
    "evaluated": (EVALUATED, "-n 1"),
    "steady": (STEADY, "-n 0"),
    "steady by workers": (STEADY, "-n 2"),
    "stages": (STAGES, "-n 0"),
    "stages by workers": (STAGES, "-n 1"),
    "fixtures": (FIXTURES, "-n 0"),
    "fixtures in workers": (FIXTURES, "-n 2"),
    "isolated": (ISOLATED, "-n 2"),
    "programs": (PROGRAMS, "-n 0"),
    "programs of workers": (PROGRAMS, "-n 1"),
    "shards": (POINTS, "-n 0 --shard auto/4"),
    "repeated": (REPEATED, "-n 1"),
}


def interrupted(project, command, moments):
    """The command's exit code and what it said, with signals at these calls."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**clean_environment(), SIGNAL_AT: moments}
    with Forked(
        ["python", "-m", "simkit", *command], cwd=project.path, env=environment, text=True, **pipes
    ) as process:
        try:
            out, err = process.communicate(timeout=TIMEOUT)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, out + err


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the tests' server needs pidfds")
@pytest.mark.parametrize("form", FORMS)
def test_signals_at_random_moments(project, form, pytestconfig):
    source, options = FORMS[form]
    project.file("sim_study.py", HEAD + source)
    dice = random.Random(form)
    rounds = max(1, pytestconfig.getoption("--signals") // len(FORMS))
    for number in range(rounds):
        kinds = [
            dice.choice([signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
            for _ in range(1 + number % 2)
        ]
        first = dice.randrange(CALLS)
        moments = " ".join(f"{kind}@{first + i * dice.randrange(4000)}" for i, kind in enumerate(kinds))
        command = ["--seed", "7", *options.split(), "--output", f"{number}.h5"]
        code, said = interrupted(project, command, moments)
        assert code in (0, 2, -signal.SIGTERM, -signal.SIGHUP), (moments, said)
        assert code < 0 or "Traceback" not in said, (moments, said)
        path = project.path / f"{number}.h5"
        before = (
            recorded_runs(path)
            if path.exists() and code >= 0 and form not in ("stages", "stages by workers")
            else set()
        )
        project.ok(*command)
        project.close()
        traj = project.open(f"{number}.h5", "study")
        assert before <= set(np.flatnonzero(traj.status == "done").tolist())
        assert set(traj.status) == {"done"}, moments
        assert traj["z"].tolist() == (3.0 * traj["x"]).tolist(), moments
        project.close()
        assert not [left.name for left in project.path.rglob("*") if left.suffix in (".wal", ".lock")], (
            moments
        )


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the tests' server needs pidfds")
@pytest.mark.parametrize("call", [2500, 3400, 3666, 3813, 3937])
def test_an_interrupt_while_the_options_are_read(project, call):
    code, said = interrupted(project, ["-n", "0"], f"{signal.SIGINT:d}@{call}")
    assert (code, said) == (2, "simkit: interrupted\n")
