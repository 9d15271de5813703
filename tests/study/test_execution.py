"""A study under way: signals, and one writer at a time."""

from __future__ import annotations

import os
import signal

import pytest
from faulty import SLOWING, WAITING, is_alive, recorded_done


def heard(process):
    """The line that answers the first signal."""
    for line in process.stdout:
        if "Ctrl-C again stops at once" in line:
            return line
    pytest.fail(f"the signal was not answered; {process.stderr.read()}")


@pytest.mark.parametrize(
    ("workers", "number"), [("0", signal.SIGINT), ("1", signal.SIGTERM), ("2", signal.SIGINT)]
)
def test_one_signal_finishes_what_runs_and_the_next_session_completes(project, workers, number):
    project.file("sim_waiting.py", WAITING)
    expected = 5 if workers == "2" else 4  # three that end, and those that wait; which they are, nobody knows
    with project.under_way("-n", workers, "--seed", "2") as process:
        project.until(lambda: len(list(project.path.glob("pid-*"))) == expected)
        os.killpg(process.pid, number)
        assert "finishing the runs under way and keeping what is done" in heard(process)
        project.file("go")
        out, err = process.communicate(timeout=60)
    assert process.returncode == 2, out + err
    assert "Traceback" not in err
    assert "(interrupted)" in out
    assert f"results/waiting-001.h5   {expected} of 8 runs   " in out
    assert out.splitlines()[-2].endswith("the rest: type the same command again")
    traj = project.open("waiting-001")
    assert traj.status.tolist() == [("done" if project.has(f"pid-{i}") else "pending") for i in range(8)]
    assert len(list(project.path.glob("pid-*"))) == expected
    traj.close()

    result = project.ok("-n", workers)
    assert f"{8 - expected} done in" in result.out
    traj = project.open("waiting-001")
    assert traj["i2"].tolist() == [i * i for i in range(8)]
    draws = traj["draw"].tolist()
    project.ok("-n", "0", "--fresh", "--seed", "2")
    assert project.open("waiting-002")["draw"].tolist() == draws
    assert len(set(draws)) == 8


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_second_signal_stops_at_once_and_keeps_what_is_done(project, workers):
    project.file("sim_waiting.py", WAITING)
    with project.under_way("-n", workers) as process:
        project.until(lambda: project.has("pid-3"))
        if workers == "2":  # the other worker may still be in one of the three that end
            project.until(lambda: recorded_done(project, "waiting-001") == 3)
        pid = int((project.path / "pid-3").read_text().split()[0])
        os.killpg(process.pid, signal.SIGINT)
        heard(process)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 2, out + err
    assert "Traceback" not in err
    assert "stopping; what is done is kept" in out
    project.until(lambda: not is_alive(pid))
    traj = project.open("waiting-001")
    assert traj.status.tolist()[:3] == ["done"] * 3
    assert "done" not in traj.status.tolist()[3:]
    assert traj["i2"][:3].tolist() == [0, 1, 4]
    traj.close()
    project.file("go")
    project.ok("-n", workers)
    assert project.open("waiting-001")["i2"].tolist() == [i * i for i in range(8)]


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_signal_starts_no_further_run_however_fast_the_runs_were(project, workers):
    project.file("sim_waiting.py", SLOWING)
    with project.under_way("-n", workers) as process:
        project.until(lambda: project.has("pid-30"))
        os.killpg(process.pid, signal.SIGINT)
        heard(process)
        project.file("go")
        out, err = process.communicate(timeout=60)
    assert process.returncode == 2, out + err
    assert project.open("waiting-001").status.tolist() == ["done"] * 31 + ["pending"] * 29


def test_a_second_session_on_the_same_file_is_told_who_writes_it(project):
    project.file("sim_waiting.py", WAITING)
    with project.under_way("-n", "1") as process:
        project.until(lambda: recorded_done(project, "waiting-001") == 3)
        second = project.simkit()
        project.file("go")
        out, err = process.communicate(timeout=60)
    assert second.code == 4, second.out + second.err
    assert f"results/waiting-001.h5 is being written by process {process.pid} on " in second.err
    assert process.returncode == 0, out + err
    assert project.open("waiting-001")["i2"].tolist() == [i * i for i in range(8)]


def test_ctrl_c_ends_a_replay_for_the_debugger(project):
    """No handler of signals is there: the run itself is interrupted, and not begun again."""
    project.file(
        "sim_wait.py",
        """
        import time
        from pathlib import Path
        from simkit import experiment, product

        @experiment
        @product(i=[0, 1])
        def wait(i):
            with Path("begun").open("a") as file:
                file.write("x")
            while True:
                time.sleep(0.01)
        """,
    )
    with project.under_way("sim_wait.py::wait[1]", "--pdb") as process:
        project.until(lambda: project.has("begun"))
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert "simkit: interrupted" in err
    assert (project.path / "begun").read_text() == "x"
