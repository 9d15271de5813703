"""No program that a run has started outlives it, whoever ends: the run, its worker, the nursery, the owner."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

STUDY = """
    import os, time
    from pathlib import Path
    from simkit import experiment, product

    HANG = "sleep 1000 & echo $$ $! > {home}/pids-$1; echo up >&2; exec sleep 1000"

    @experiment{limits}
    @product(x=range(3))
    def study(x, run):
        if x == 1 and not Path("{home}/go").exists():
            Path("{home}/worker").write_text(f"{{os.getpid()}} {{os.getppid()}}")
            run.command(["sh", "-c", HANG, "sh", str(x)])
        run.command(["true"])
        return x
"""


def gone(processes):
    """Whether all of them end, as soon as the system comes to it."""
    deadline = time.monotonic() + 300
    while (left := [one for one in processes if is_alive(one)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not left


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def hanging(project, workers, limits=""):
    """A study whose second run hangs in a program with a child; the study, and the numbers of both."""
    project.file("sim_study.py", STUDY.format(home=project.path, limits=limits))
    process = project.start("-m", "simkit", "-s", "-n", workers)
    assert process.stderr.readline() == "up\n"  # what is shown of it comes once its process group is noted
    return process, list(map(int, (project.path / "pids-1").read_text().split()))


def finish(project):
    project.file("go")
    project.ok("-n", "1")
    with project.open("study-001") as traj:
        assert traj.status.tolist() == ["done"] * 3


@pytest.mark.parametrize("isolate", ["", ", isolate=True"])
def test_a_run_that_takes_too_long_ends_with_its_program(project, isolate):
    process, programs = hanging(project, "1", limits=f"(timeout=2{isolate})")
    out, err = process.communicate(timeout=600)
    assert process.returncode == 1, out + err
    with project.open("study-001") as traj:
        assert traj.status.tolist() == ["done", "timeout", "done"]
    assert gone(programs)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_dies_takes_its_program_with_it(project, number):
    """Then nothing tells any more that the program descends from it: its process group is known."""
    process, programs = hanging(project, "2")
    worker, _ = map(int, (project.path / "worker").read_text().split())
    os.kill(worker, number)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 1, out + err
    assert gone(programs)
    with project.open("study-001") as traj:
        assert traj.status.tolist() == ["done", "crashed", "done"]


UNNOTED = """
    import os, signal
    from pathlib import Path
    from simkit import experiment, product
    from simkit.inject.desk import Desk

    HOME = Path("{home}")
    HANG = "sleep 1000 & echo $$ $! > {home}/pids.new; mv {home}/pids.new {home}/pids; exec sleep 1000"

    def killed(desk, group):
        if group:
            while not (HOME / "pids").exists():
                pass
            (HOME / "began").touch()
            os.kill(os.getppid() if END == "nursery" else os.getpid(), signal.SIGKILL)
            signal.pause()

    @experiment{limits}
    @product(x=range(3))
    def study(x, run):
        if x == 1 and not (HOME / "began").exists():
            Desk.began = killed
            run.command(["sh", "-c", HANG])
        return x
"""


@pytest.mark.parametrize("end", ["worker", "isolated worker", "nursery"])
def test_a_program_whose_group_nobody_has_noted_ends_with_its_worker(project, end):
    """Whoever kills a worker may do so just after a program was started."""
    limits = "(isolate=True)" if end == "isolated worker" else ""
    source = UNNOTED.format(home=project.path, limits=limits).replace("END", repr(end))
    project.file("sim_study.py", source)
    ended = project.simkit("-n", "1")
    assert ended.code == (4 if end == "nursery" else 1), ended.out + ended.err
    programs = list(map(int, (project.path / "pids").read_text().split()))
    assert gone(programs)
    with project.open("study-001") as traj:
        assert traj.status[0] == "done"
        assert traj.status[1] in ("crashed", "pending")  # whose death is seen first


def test_an_owner_that_is_killed_takes_them_with_it(project):
    process, programs = hanging(project, "2")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=600)
    assert gone(programs)
    finish(project)


def test_a_nursery_that_is_killed_takes_them_with_it(project):
    process, programs = hanging(project, "2")
    _, nursery = map(int, (project.path / "worker").read_text().split())
    os.kill(nursery, signal.SIGKILL)
    process.communicate(timeout=600)
    assert gone(programs)
    finish(project)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_ctrl_c_twice_ends_them(project, workers):
    process, programs = hanging(project, workers)
    os.killpg(process.pid, signal.SIGINT)
    line = ""
    while "Ctrl-C again stops at once" not in line:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
    assert all(map(is_alive, programs)), "one Ctrl-C lets the run go on"
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 2, out + err
    assert gone(programs)
    finish(project)
