"""Supervised workers: failing, dying, at the same time."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from faulty import FAULTS
from processes import kill_all

from simkit import explore, fixture
from simkit.collect.collection import plan_of
from simkit.declare.forms import Values
from simkit.execute.agenda import Worklist
from simkit.execute.engine import processes
from simkit.execute.job import Job
from simkit.inject.provide import shared_values
from simkit.values.batch import Batch, Status

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


def same(x):
    return x


def quick(x):
    import time

    time.sleep(0.002)
    return x


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly:
    """What can not be unpickled: the worker dies before its run begins."""

    def __reduce__(self):
        return die, ()


def made(function, space, workers=1, **options):
    plan, _ = plan_of(function, space, {})
    job = Job(plan, 1, shared_values(plan, 1), tuple(plan.parameters))
    return processes(job, workers, **options), plan.space


def outcomes(engine, agenda, hear=lambda status: None):
    status, errors = {}, {}
    for batch in engine.run(agenda, bool):
        if isinstance(batch, Batch):
            assert not status.keys() & {*batch.runs.tolist()}
            status.update(zip(batch.runs.tolist(), batch.status.tolist(), strict=True))
            errors.update(batch.errors)
            hear(status)
    return status, errors


def test_a_run_that_a_dead_worker_had_not_begun_is_done_again():
    """Whoever kills a worker between two runs, such as a machine without memory, makes no run a crashed one."""
    engine, space = made(same, explore(x=range(9)))

    class Fatal(Worklist):
        kills = 0

        def take(self, count):
            workers = list(engine.workers.values())
            if any(worker.flight for worker in workers):  # one run after the other
                return None
            portion = super().take(1)
            if portion is not None and portion.runs[0] in (3, 6):
                self.kills += 1
                kill_all([worker.process for worker in workers])
                while any(is_living(worker.process) for worker in workers):
                    pass
            return portion

    agenda = Fatal(range(9), space.at)
    status, errors = outcomes(engine, agenda)
    assert not engine.close().problems
    assert agenda.kills == 2
    assert errors == {}
    assert status == dict.fromkeys(range(9), Status.DONE)


def is_living(process):
    try:
        return Path(f"/proc/{process}/stat").read_text("latin-1").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_run_whose_point_kills_its_workers_is_blamed_the_second_time():
    engine, _ = made(same, explore(x=range(5)))

    def points(runs):
        objects = np.empty(len(runs), object)
        objects[:] = [Deadly() if run == 2 else float(run) for run in runs]
        return {"x": Values(objects, native=True)}

    status, errors = outcomes(engine, Worklist(range(5), points))
    assert not engine.close().problems
    assert status == {run: Status.CRASHED if run == 2 else Status.DONE for run in range(5)}
    assert "SIGKILL" in errors[2]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_that_is_killed_costs_at_most_the_run_that_it_is_in(method, pytestconfig):
    """Each time at another moment; ``--deaths 60`` is the long version: 20 rounds."""
    rounds = max(1, pytestconfig.getoption("--deaths") // 3)
    n = 100 * rounds
    engine, space = made(quick, explore(x=range(n)), 2, method=method)
    killed = []

    def kill(status):
        workers = [worker.process for worker in engine.workers.values() if worker.process]
        if len(killed) < rounds and len(status) > 40 * (len(killed) + 1):
            killed.append(workers[len(killed) % len(workers)])
            os.kill(killed[-1], signal.SIGKILL)

    status, errors = outcomes(engine, Worklist(range(n), space.at, workers=2), kill)
    assert not engine.close().problems
    assert killed
    assert status.keys() == {*range(n)}
    crashed = {run for run, word in status.items() if word != Status.DONE}
    print(f"{len(killed)} workers killed, {len(crashed)} runs with them")
    assert len(crashed) <= len(killed)
    assert crashed == errors.keys()
    assert all("was killed by SIGKILL" in text for text in errors.values()), errors
