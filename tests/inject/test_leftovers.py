"""What killed studies leave behind: the next one removes it, and nothing of the living."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import Project
from processes import alive

from simkit.inject.leftovers import SHARED, kept_folders, prefix, run_folder, sweep

HERE = prefix("x").split("-")[1]

WORKING = """
    import os, pathlib, signal
    import numpy as np
    from simkit import experiment, explore

    @experiment
    @explore(x=range(4))
    def working(x, workdir):
        (workdir / "state").write_text(str(x))
        if x == 3 and not os.path.exists("go"):
            pathlib.Path("busy").write_text(f"{os.getppid()} {os.getpid()}")
            signal.pause()
        return np.full(40_000, x)
    """


def left(temp: Path, processes: Sequence[int]) -> list[str]:
    """What stands in the temporary folder, and what of these processes in the shared memory."""
    there = [path.name for path in temp.iterdir()]
    shared = os.listdir(SHARED) if SHARED else []
    return there + [
        name for name in shared if name.startswith(tuple(f"simkit-{HERE}-{p}-" for p in processes))
    ]


@pytest.fixture
def temp(tmp_path, monkeypatch):
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.mark.parametrize(
    "way", [["-n", "0"], ["-n", "2"], ["-n", "1", "--start-method", "spawn"]], ids=" ".join
)
def test_a_study_that_was_killed_with_all_its_processes(project: Project, temp, way):
    project.file("sim_working.py", WORKING)
    with project.under_way(*way) as process:
        project.until(lambda: " " in project.text("busy"))
        nursery, worker = map(int, project.text("busy").split())
        started = alive(process.pid, project.path)
        if way != ["-n", "0"]:
            os.kill(nursery, signal.SIGKILL)
        os.kill(process.pid, signal.SIGKILL)
        os.kill(worker, signal.SIGKILL) if worker != process.pid else None
        process.communicate(timeout=600)
    assert left(temp, started)
    project.until(lambda: not alive(process.pid, project.path))
    project.file("go")
    project.ok(*way)
    assert left(temp, started) == []
    assert sorted(path.name for path in (project.path / "results").iterdir()) == ["working-001.h5"]


def test_a_killed_owner_leaves_nothing(project: Project, temp):
    project.file("sim_working.py", WORKING)
    with project.under_way("-n", "2") as process:
        project.until(lambda: project.has("busy"))
        started = alive(process.pid, project.path)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=600)
    project.until(lambda: not left(temp, started))


def test_the_folder_of_a_run_is_kept_and_named_where_its_worker_is_killed(project: Project, temp):
    project.file("sim_working.py", WORKING)
    assert project.simkit("-n", "1", "--timeout", "2").code == 1
    traj = project.open("working-001")
    folder = traj.error(3).rpartition("is kept: ")[2].rstrip(")")
    assert Path(folder, "state").read_text() == "3"
    assert left(temp, []) == [Path(folder).name]
    sweep()
    assert left(temp, []) == [Path(folder).name]


def test_nothing_of_the_living_is_swept(temp):
    folder, mark = run_folder("mine")
    mine = temp / (prefix("beats") + "abc")
    mine.touch()
    other = f"simkit-{'0' * 8}-{os.getpid()}-1-beats-x"  # of another machine, or container
    for name in (
        other,
        "simkit-beats-x",
        "simkit-results",
        f"notes-{HERE}-1-1-x",
        f"simkit-{HERE}-x-1-beats-x",
    ):
        (temp / name).touch()
    before = sorted(temp.iterdir())
    sweep()
    assert sorted(temp.iterdir()) == before
    assert mark in before
    assert folder in before


def test_what_belongs_to_the_dead_is_swept(temp, tmp_path):
    start = prefix("x").split("-")[3]
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "data").touch()
    gone = [
        temp / f"simkit-{HERE}-{os.getpid()}-{int(start) + 1}-beats-x",  # the number was given again
        temp / f"simkit-{HERE}-{2**22 + 1}-{start}-batches-x",  # no process has such a number
    ]
    for path in gone:
        path.touch()
    folder = temp / f"simkit-{HERE}-{2**22 + 1}-{start}-study-x"
    (folder / "inner").mkdir(parents=True)
    run = temp / "simkit-mine-0123"
    (run / "inner").mkdir(parents=True)
    (temp / f"simkit-{HERE}-{2**22 + 1}-{start}-run-0123").symlink_to(run.name)
    (temp / f"simkit-{HERE}-{2**22 + 1}-{start}-run-4567").symlink_to(
        precious
    )  # not where simkit's links lead
    kept = temp / "simkit-mine-4567"  # of a run that failed
    kept.mkdir()
    sweep()
    assert sorted(temp.iterdir()) == [kept]
    assert (precious / "data").exists()


def test_folders_that_are_under_way_are_told_by_their_process(temp):
    folder, mark = run_folder("mine")
    assert kept_folders(os.getpid() + 1) == []
    assert kept_folders(os.getpid()) == [folder]
    assert not mark.exists()
    assert kept_folders(os.getpid()) == []
