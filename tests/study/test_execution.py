"""A study under way: signals, and one writer at a time."""

from __future__ import annotations

import io
import itertools
import os
import signal
import sys
from pathlib import Path

import pytest
from conftest import clean_environment
from faulty import SLOWING, WAITING, is_alive, recorded_done

import simkit


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
        out, err = process.communicate(timeout=600)
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
        project.until(lambda: project.text("pid-3"))
        if workers == "2":  # the other worker may still be in one of the three that end
            project.until(lambda: recorded_done(project, "waiting-001") == 3)
        pid = int(project.text("pid-3").split()[0])
        os.killpg(process.pid, signal.SIGINT)
        heard(process)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=600)
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
        out, err = process.communicate(timeout=600)
    assert process.returncode == 2, out + err
    assert project.open("waiting-001").status.tolist() == ["done"] * 31 + ["pending"] * 29


def test_a_second_session_on_the_same_file_is_told_who_writes_it(project):
    project.file("sim_waiting.py", WAITING)
    with project.under_way("-n", "1") as process:
        project.until(lambda: recorded_done(project, "waiting-001") == 3)
        second = project.simkit()
        project.file("go")
        out, err = process.communicate(timeout=600)
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
        project.until(lambda: project.text("begun"))
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=600)
    assert process.returncode == 2, err
    assert "simkit: interrupted" in err
    assert project.text("begun") == "x"


MOVED = """
    import contextlib, io, os, sys, tempfile
    from simkit import after, experiment, product

    def chdir(folder):
        os.chdir(folder)

    def chdir_and_remove(folder):
        inner = tempfile.mkdtemp(dir=folder)
        os.chdir(inner)
        os.rmdir(inner)

    def replace(folder):
        sys.stdout = sys.stderr = io.StringIO()

    def close(folder):
        sys.stdout.close()

    def nothing(folder):
        sys.stdout = None

    class Hostile:
        def __getattr__(self, name):
            raise RuntimeError(name)

    def raises(folder):
        sys.stdout = sys.stderr = sys.__stdout__ = Hostile()

    class Exits:
        def write(self, text):
            sys.exit(7)
        flush = property(lambda self: sys.exit(8))
        closed = property(lambda self: sys.exit(9))

    def exits(folder):
        sys.stdout = sys.stderr = Exits()

    def mock(folder):
        from unittest.mock import MagicMock
        sys.stdout = sys.stderr = MagicMock()

    def descriptors(folder):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.stdout = open(os.devnull, "w")

    def closed_descriptors(folder):
        os.close(1)
        os.close(2)

    OF_STREAMS = (replace, close, nothing, raises, exits, mock, descriptors, closed_descriptors)
    KINDS = {f.__name__: f for f in (chdir, chdir_and_remove, *OF_STREAMS)}

    @experiment
    @product(kind=[KIND], fails=[False, True])
    def moved(kind, fails, workdir):
        KINDS[kind](workdir)
        if fails:
            raise ValueError("the run's own words")
        return len(kind)

    @after(moved)
    def follow(trajectory):
        KINDS[KIND](os.path.dirname(os.path.abspath(__file__)))
        return {"n": len(trajectory)}

    @experiment
    def another():
        return 1
    """


MOVES = ["chdir", "chdir_and_remove", "replace", "close", "nothing", "raises", "exits", "mock", "descriptors"]


@pytest.mark.parametrize(
    ("kind", "workers"),
    [
        *itertools.product(MOVES, ["0", "1"]),
        ("closed_descriptors", "1"),
    ],  # with -n 0 some lines are lost then
)
def test_what_a_run_moves_moves_neither_files_nor_report(project, kind, workers):
    project.file("sim_moved.py", MOVED.replace("[KIND]", f"[{kind!r}]"))
    result = project.simkit("-n", workers, "--output", "o.h5")
    assert result.code == 1, result.out + result.err
    assert "the run's own words" in result.out
    assert result.out.count("o.h5") >= 2
    traj = project.open(str(project.path / "o.h5"), "moved")
    assert traj.status.tolist() == ["done", "failed"]
    assert traj.summary.n == 2
    assert project.open(str(project.path / "o.h5"), "another")["result"].tolist() == [1]


def test_simkit_run_gives_back_what_runs_moved(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    streams = sys.stdout, sys.stderr

    def f(x):
        os.makedirs("sub", exist_ok=True)
        os.chdir("sub")
        sys.stdout = sys.stderr = io.StringIO()
        return x

    with simkit.run(f, simkit.explore(x=[1, 2]), output="o.h5") as traj:
        assert traj["result"].tolist() == [1, 2]
    assert Path.cwd() == tmp_path
    assert (sys.stdout, sys.stderr) == streams
    assert (tmp_path / "o.h5").exists()
    with simkit.run(f, simkit.explore(x=[1, 2, 3]), into="o.h5") as traj:
        assert traj["result"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("way", ["0", "1"])
def test_a_clock_that_is_set_back_makes_no_session_negative(multiply, way):
    """Each look at the clock finds it ten seconds earlier."""
    multiply.file(
        "clock/sitecustomize.py",
        """
        import time
        real, calls = time.time, [0]
        def earlier():
            calls[0] += 1
            return real() - 10 * calls[0]
        time.time = earlier
        """,
    )
    environment = {**clean_environment(), "PYTHONPATH": str(multiply.path / "clock")}
    multiply.ok("-n", way, env=environment)
    traj = multiply.open("multiply-001")
    (session,) = traj.info.sessions
    assert 0 <= session["ended"] - session["started"] < 60
    assert (traj.to_dataframe(info=True)["seconds"] >= 0).all()
