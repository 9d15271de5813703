"""Supervised workers: failing, dying, at the same time."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
from faulty import FAULTS

from simkit import explore, fixture
from simkit.collect.collection import plan_of
from simkit.execute.agenda import Worklist
from simkit.execute.engine import processes
from simkit.execute.job import Job
from simkit.inject.provide import shared_values
from simkit.values.batch import Batch

STATUS = {20: "failed", 37: "crashed", 60: "crashed", 90: "crashed", 120: "crashed", 150: "failed"}


STATUS |= {170: "failed"}


@pytest.mark.parametrize("way", [["-n", "1"], ["-n", "2"], ["-n", "1", "--start-method", "spawn"]])
def test_a_fault_costs_one_run(project, way):
    project.file("sim_faulty.py", FAULTS)
    result = project.simkit("--seed", "6", "-v", *way)
    assert result.code == 1, result.err
    traj = project.open("faulty-001")
    status = traj.status.tolist()
    assert {i: word for i, word in enumerate(status) if word != "done"} == STATUS
    done = traj.where(status="done")
    assert np.array_equal(done["square"], done["i"] ** 2)
    assert len(set(done["draw"])) == 193
    assert np.array_equal(traj["i"], np.arange(200))

    assert "ValueError: no luck" in traj.error(20)
    assert "exited with code 3" in traj.error(37)
    assert "exited with code 0" in traj.error(60)
    assert "SIGKILL" in traj.error(90)
    assert "SIGSEGV" in traj.error(120)
    assert "SystemExit: bye" in traj.error(150)
    assert "Odd: strange" in traj.error(170)
    assert "193 done" in result.out
    assert "3 failed" in result.out
    assert "4 crashed" in result.out
    for run in STATUS:
        assert f"replay: simkit 'sim_faulty.py::faulty[{run}]' --pdb" in result.out
    assert "results/faulty-001.h5   193 of 200 runs" in result.out


def test_every_run_crashes_and_the_study_still_ends(project):
    project.file(
        "sim_bad.py",
        """
        import os
        from simkit import experiment, product

        @experiment
        @product(x=range(6))
        def bad(x):
            print("last words of", x, flush=True)
            os.kill(os.getpid(), 11)
        """,
    )
    result = project.simkit("-n", "2")
    assert result.code == 1
    assert re.search(r"=+ 6 crashed in", result.out)
    traj = project.open("bad-001")
    assert traj.status.tolist() == ["crashed"] * 6
    assert all("SIGSEGV" in traj.error(i) for i in range(6))
    assert [traj.log(i) for i in range(6)] == [f"last words of {i}\n" for i in range(6)]


def test_two_workers_run_at_the_same_time(project):
    project.file(
        "sim_pair.py",
        """
        import os, time
        from pathlib import Path
        from simkit import experiment, product

        @experiment
        @product(me=["a", "b"])
        def pair(me):
            Path(me).touch()
            deadline = time.monotonic() + 300
            while not (Path("a").exists() and Path("b").exists()):  # only together can they go on
                if time.monotonic() > deadline:
                    raise TimeoutError("alone")
                time.sleep(0.01)
            return os.getpid()
        """,
    )
    project.ok("-n", "2")
    traj = project.open("pair-001")
    assert len(set(traj["result"])) == 2
    assert len({os.getpid(), *traj["result"].tolist()}) == 3


@fixture(scope="experiment")
def stuck():
    yield 1.0
    raise ValueError("it does not open")


def held(x, stuck):
    return x * stuck


def test_what_goes_wrong_in_the_end_is_told_although_a_batch_came_that_nobody_waited_for():
    plan, _ = plan_of(held, explore(x=[1.0, 2.0]), {})
    engine = processes(Job(plan, 1, shared_values(plan, 1), tuple(plan.parameters)), 1)
    batches = engine.run(Worklist(range(2), plan.space.at), lambda: False)
    first = next(batch for batch in batches if isinstance(batch, Batch))
    assert first.runs.tolist() == [0]  # the worker has the second run by now
    batches.close()
    (problem,) = engine.close().problems
    assert "ValueError: it does not open" in problem
