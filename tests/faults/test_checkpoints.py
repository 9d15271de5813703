"""Checkpoints inside a run: a killed run goes on where it was, with the rows that it had appended."""

from __future__ import annotations

import os
import signal

import h5py
import numpy as np
import pytest
from processes import alive, kill_group, opened_plainly

import simkit

# The run draws ten numbers, makes a checkpoint after each, and kills whom ``victim`` says at step five.
SERIES = """
import os, signal
from pathlib import Path
import numpy as np
from simkit import experiment, product

@experiment(retries={retries})
@product(x=[0, 1, 2])
def series(x, run, rng, victim="{victim}"):
    state = run.restore() or {{"step": 0, "rng": rng, "sum": np.zeros(2), "deep": {{"l": [1, None], "t": (2.5, "é")}}}}
    rng, total = state["rng"], state["sum"].copy()
    Path(f"began-{{x}}-{{state['step']}}").touch()
    assert state["deep"] == {{"l": [1, None], "t": (2.5, "é")}}
    for step in range(state["step"], 10):
        v = rng.normal()
        total += v
        run.append(v=v, row=np.full(3, step))
        if x == 1 and step == 5 and victim and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid() if victim == "worker" else os.getppid(), signal.SIGKILL)
            signal.pause()
        if {checkpoint}:
            run.checkpoint(step=step + 1, rng=rng, sum=total, deep=state["deep"])
    return {{"total": total}}
"""


def source(*, victim="", checkpoint=True, retries=0):
    return SERIES.format(victim=victim, checkpoint=checkpoint, retries=retries)


def check_series(project, seed):
    """What a run gives that nobody disturbed."""
    traj = project.open("series-001")
    assert set(traj.status) == {"done"}
    for i, run_seed in enumerate(traj.seeds):
        expected = np.random.default_rng(run_seed).normal(size=10)
        assert np.array_equal(traj.runs[i].v, expected)
        assert np.array_equal(traj.runs[i].row, np.repeat(np.arange(10)[:, None], 3, 1))
        assert np.allclose(traj.runs[i].total, expected.sum(), rtol=1e-12)
    traj.close()
    with h5py.File(project.path / "results" / "series-001.h5", "r") as file:
        assert len(file["series/runs"].get("checkpoint", ())) == 0, "done runs need no checkpoint"


def test_a_worker_that_dies_goes_on_in_the_next_attempt(project):
    project.file("sim_series.py", source(victim="worker", retries=1))
    result = project.ok("-n", "1", "--seed", "4")
    assert "3 done" in result.out
    check_series(project, 4)
    assert project.has("began-1-0", "began-1-5")
    with h5py.File(project.path / "results" / "series-001.h5", "r") as file:
        runs = file["series/runs"]
        assert runs["attempt"][:].tolist() == [1, 2, 1]
        assert runs["error/run"][:].tolist() == [1]
        assert "it was killed by SIGKILL" in runs["error/text"].asstr()[0]  # of the first attempt


def test_a_crashed_run_goes_on_when_simkit_is_typed_again(project):
    project.file("sim_series.py", source(victim="worker"))
    result = project.simkit("-n", "2", "--seed", "4")
    assert result.code == 1
    assert "1 crashed" in result.out
    assert "2 done" in result.out
    assert "the worker that executed this run died: it was killed by SIGKILL" in result.out
    project.ok("-n", "1")
    check_series(project, 4)
    assert project.has("began-1-5")


def test_without_a_checkpoint_partial_rows_are_dropped(project):
    project.file("sim_series.py", source(victim="worker", checkpoint=False))
    assert project.simkit("-n", "1", "--seed", "4").code == 1
    traj = project.open("series-001")
    assert traj.status.tolist() == ["done", "crashed", "done"]
    assert traj.runs[0].v.shape == (10,)
    with pytest.raises(AttributeError, match="crashed"):
        _ = traj.runs[1].v
    traj.close()
    project.ok("-n", "1")
    check_series(project, 4)
    assert not project.has("began-1-5")


SLOW = """
from pathlib import Path
import time
import numpy as np
from simkit import experiment, product

@experiment
@product(x=[0, 1])
def slow(x, run, rng):
    state = run.restore()
    Path(f"began-{x}-{state['step'] if state else 0}").touch()
    step, rng = (state["step"], state["rng"]) if state else (0, rng)
    while step < 6:
        run.append(v=rng.normal())
        step += 1
        if step % 2 == 0:
            run.checkpoint(step=step, rng=rng)
        if step == 5 and x == 1 and not Path("go").exists():
            Path("waiting").touch()
            while not Path("go").exists():
                time.sleep(0.005)
    run.add(end=x)
"""


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("victim", ["group", "owner"])
def test_a_killed_session_goes_on_at_the_last_checkpoint(project, workers, victim):
    project.file("sim_slow.py", SLOW)
    process = project.start("-m", "simkit", "-n", workers, "--seed", "9")
    project.until(lambda: project.has("waiting"))
    path = project.path / "results" / "slow-001.h5"

    def committed():
        with opened_plainly(path) as file:
            kept = file["slow/runs"].get("checkpoint", {}).get("1")
            return kept is not None and kept["series"].attrs["v"] == 4 and file["slow/runs/status"][0] == 1

    project.until(lambda: path.exists() and committed())
    if victim == "group":
        kill_group(process, project.path)
    else:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        project.until(lambda: not alive(process.pid, project.path), 10)
    project.file("go")
    project.ok("-n", workers)
    assert project.has("began-1-4")
    traj = project.open("slow-001")
    assert traj.status.tolist() == ["done", "done"]
    assert traj["end"].tolist() == [0, 1]
    for i in (0, 1):  # the fifth row came after the last checkpoint: it is there once
        assert traj["v"][i].tolist() == np.random.default_rng(traj.seeds[i]).normal(size=6).tolist()


STATES = """
import numpy as np, random
from pathlib import Path
from simkit import experiment, product

def states():
    yield {"i": 2**70, "f": 0.1, "b": True, "n": None, "s": "wörd", "c": 1j, "y": b"\\0x"}
    yield {"a": np.arange(6.0).reshape(2, 3), "e": np.zeros((0, 4)), "u": np.array(["é", ""])}
    yield {"d": {"x": {"y": [1, [2.0, "z"], {"k": np.arange(3)}]}}, "t": (1, (2,)), "l": []}
    yield {"g": np.random.default_rng(5), "m": np.random.Generator(np.random.MT19937(3))}
    yield {"p": np.float32(0.1), "q": np.int8(-3), "w": np.datetime64("2026-01-02")}

@experiment
@product(k=range(5))
def keep(k, run):
    state = list(states())[k]
    back = run.restore()
    if back is None:
        run.add(first=True)
        run.checkpoint(**state)
        raise RuntimeError("once more")
    assert back.keys() == state.keys()
    for name, value in state.items():
        if isinstance(value, np.random.Generator):
            assert type(back[name].bit_generator) is type(value.bit_generator)
            assert back[name].normal(size=5).tolist() == value.normal(size=5).tolist()
            continue
        assert type(back[name]) is type(value), (name, back[name])
        assert repr(back[name]) == repr(value), name
    return {"kept": True}
"""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_state_comes_back_as_it_was(project, workers):
    project.file("sim_keep.py", STATES)
    assert project.simkit("-n", workers).code == 1
    result = project.simkit("-n", workers)
    assert result.code == 0, result.out
    traj = project.open("keep-001")
    assert traj["kept"].tolist() == [True] * 5
    assert traj["first"].tolist() == [True] * 5  # added before the checkpoint


def test_other_code_does_not_go_on_from_a_checkpoint(project):
    """It may not understand the state: the run starts anew."""
    project.file("sim_keep.py", STATES)
    assert project.simkit("-n", "0").code == 1
    text = (project.path / "sim_keep.py").read_text()
    project.file("sim_keep.py", text.replace('raise RuntimeError("once more")', 'return {"anew": True}'))
    project.ok("--lf", "-n", "0")
    assert project.open("keep-001")["anew"].tolist() == [True] * 5


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_state_that_cannot_be_stored_names_its_path(project, workers):
    project.file(
        "sim_bad.py",
        """
        from simkit import experiment, product

        @experiment
        @product(x=[0, 1, 2])
        def bad(x, run):
            run.append(v=1.5)
            run.checkpoint(step=1, model={"layers": [1, object() if x == 1 else 2]})
            return {"z": x}
        """,
    )
    result = project.simkit("-n", workers)
    assert result.code == 1
    assert "1 failed" in result.out
    traj = project.open("bad-001")
    assert traj.status.tolist() == ["done", "failed", "done"]
    error = traj.error(1)
    for part in ("checkpoint", "model", "layers", "[1]", "cannot store"):
        assert part in error
    assert "run.checkpoint(step=1" in error  # the user's line


def test_a_run_that_only_collects_keeps_its_checkpoints_too():
    run = simkit.Run()
    assert run.restore() is None
    run.append(v=1)
    run.checkpoint(step=1)
    run.append(v=2)
    assert run.restore() == {"step": 1}
    assert run.results["v"].tolist() == [1]


KILLS_ITSELF = """
import os, signal
from pathlib import Path
import numpy as np
from simkit import experiment, product

def everybody():
    # The owner, the process that starts workers, and this worker, which is the owner itself with -n 0.
    if not {workers}:
        return [os.getpid()]
    nursery = os.getppid()
    owner = int(Path(f"/proc/{{nursery}}/stat").read_text().rpartition(")")[2].split()[1])
    return [owner, nursery, os.getpid()]

@experiment
@product(x=range({runs}))
def study(x, run, rows={rows}):
    state = run.restore()
    if state is not None:
        Path(f"restored-{{x}}-{{state['step']}}").touch()
        return {{"step": state["step"], "sum": state["a"].sum()}}
    for step in range(3):
        run.append(v=np.full(rows, step))
        run.checkpoint(step=step, a=np.full(rows, step))
        Path(f"returned-{{x}}-{{step}}").touch()
        if step == 2 and x == {victim}:
            for process in everybody():
                os.kill(process, signal.SIGKILL)
    return {{"step": 2, "sum": 2.0 * rows}}
"""


@pytest.mark.parametrize(
    ("workers", "runs", "rows", "victim"),
    [
        pytest.param(0, 1, 3, 0, id="in the owner"),
        pytest.param(1, 1, 3, 0, id="right after it returned"),
        pytest.param(1, 40, 3, 20, id="other runs wait in the pipe"),
        pytest.param(2, 3, 400_000, 1, id="more than the pipe takes"),
    ],
)
def test_a_checkpoint_that_returned_is_never_lost(project, workers, runs, rows, victim):
    """Whatever dies then, here the owner and all others."""
    project.file("sim_study.py", KILLS_ITSELF.format(workers=workers, runs=runs, rows=rows, victim=victim))
    with project.start("-m", "simkit", "-n", str(workers)) as process:
        process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL
    project.until(lambda: not alive(process.pid, project.path), 10)
    project.ok("-n", str(workers))
    assert project.has(f"returned-{victim}-2", f"restored-{victim}-2")
    traj = project.open("study-001")
    for x, step in enumerate(
        traj["step"].astype(int).tolist()
    ):  # another run may have been in an earlier one
        assert traj["sum"][x] == step * rows
        assert step == 2 or not project.has(f"returned-{x}-{step + 1}")


DRAWS = """
import os, random, signal
from pathlib import Path
import numpy as np
from simkit import experiment, explore

OWN = np.random.default_rng(3)
OLD = np.random.RandomState(4)
PURE = random.Random(5)

@experiment
@explore(x=[0, 1, 2])
def draws(x, run, rng, victim="{victim}"):
    begin = (run.restore() or {{"step": 0}})["step"]
    for step in range(begin, 6):
        run.append(v=[
            random.random(), np.random.rand(), np.random.normal(), OWN.normal(), OLD.normal(), PURE.gauss(0, 1),
            rng.normal(), OWN.spawn(1)[0].random(),
        ])
        run.checkpoint(step=step + 1)
        if x == 1 and step == 3 and victim and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid() if victim == "worker" else os.getppid(), signal.SIGKILL)
            signal.pause()
"""


@pytest.mark.parametrize(("workers", "victim"), [(1, "worker"), (2, "worker"), (0, "worker")])
def test_a_run_that_goes_on_draws_what_it_would_have_drawn_from_every_generator(project, workers, victim):
    project.file("sim_draws.py", DRAWS.format(victim=victim))
    project.simkit("-n", str(workers), "--seed", "4")
    assert project.has("killed")
    project.ok("-n", str(workers), "--seed", "4")
    project.ok("-n", "0", "--seed", "4", "--output", "undisturbed.h5", "--set", "victim=")
    with project.open("draws-001") as traj, project.open("undisturbed.h5") as undisturbed:
        assert set(traj.status) == {"done"}
        assert np.array_equal(np.array(list(traj["v"])), np.array(list(undisturbed["v"])))
        assert len(np.unique(np.array(list(traj["v"])))) == 3 * 6 * 8
