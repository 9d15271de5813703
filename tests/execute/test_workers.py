"""Workers in real processes: failing, dying, talking, interrupted, orphaned."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest

import simkit

FAULTS = """
import ctypes, os, signal, sys
from simkit import experiment, product

class Odd(BaseException):
    pass

def fault(i):
    if i == 20:
        raise ValueError("no luck")
    if i == 37:
        os._exit(3)
    if i == 60:
        os._exit(0)
    if i == 90:
        os.kill(os.getpid(), signal.SIGKILL)
    if i == 120:
        ctypes.string_at(0)
    if i == 150:
        sys.exit("bye")
    if i == 170:
        raise Odd("strange")

@experiment
@product(i=range(200))
def faulty(i, rng):
    fault(i)
    return {"square": i * i, "draw": rng.random()}
"""
STATUS = {20: "failed", 37: "crashed", 60: "crashed", 90: "crashed", 120: "crashed", 150: "failed"}
STATUS |= {170: "failed"}


@pytest.mark.parametrize("way", [["-n", "1"], ["-n", "2"], ["-n", "2", "--start-method", "spawn"]])
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


def test_without_workers_only_exceptions_are_survived_but_all_of_them(project):
    source = FAULTS
    for i in (37, 60, 90, 120):
        source = source.replace(f"i == {i}:", "False:")
    project.file("sim_faulty.py", source)
    result = project.simkit("-n", "0")
    assert result.code == 1, result.err
    traj = project.open("faulty-001")
    status = {i: word for i, word in enumerate(traj.status.tolist()) if word != "done"}
    assert status == {20: "failed", 150: "failed", 170: "failed"}
    assert "Odd: strange" in traj.error(170)


def test_innocent_neighbours_draw_what_they_draw_without_a_fault(project):
    project.file("sim_faulty.py", FAULTS)
    project.simkit("--seed", "6", "-n", "2")
    project.file("sim_faulty.py", FAULTS.replace("    fault(i)\n", ""))
    project.ok("--seed", "6", "-n", "0")
    faulty, sound = project.open("faulty-001"), project.open("faulty-002")
    kept = faulty.status == "done"
    assert kept.sum() == 193
    assert np.array_equal(faulty["draw"][kept], sound["draw"][kept])


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
            deadline = time.monotonic() + 30
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


# Output


@pytest.mark.parametrize("way", [["-n", "2"], ["-n", "1", "--start-method", "spawn"]])
def test_the_output_of_a_run_is_its_log(project, way):
    project.file(
        "sim_talk.py",
        """
        import logging, os, subprocess, sys, warnings
        from simkit import experiment, product

        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
        say = sys.stdout.write  # taken before a worker redirects anything

        @experiment
        @product(i=range(300))
        def talk(i):
            if i % 3 == 0:
                return
            print("print", i)
            logging.info("log %d", i)
            os.write(1, b"raw %d\\n" % i)
            print("error", i, file=sys.stderr)
            say(f"early {i}\\n")
            if i % 100 == 1:
                os.system(f"echo shell {i}")
                subprocess.run(["sh", "-c", f"echo child {i} >&2"])
            if i % 100 == 2:
                print("no newline", i, "é", end="")
            if i == 50:
                raise ValueError("after talking")
        """,
    )
    result = project.simkit(*way)
    assert result.code == 1
    assert "print 1\n" not in result.out
    assert "log 1\n" not in result.err
    traj = project.open("talk-001")
    for i in range(300):
        expected = []
        if i % 3:
            expected = [f"print {i}", f"INFO log {i}", f"raw {i}", f"error {i}", f"early {i}"]
            expected += [f"shell {i}", f"child {i}"] * (i % 100 == 1)
            expected += [f"no newline {i} é"] * (i % 100 == 2)
        assert sorted(traj.log(i).splitlines()) == sorted(expected), i
    assert traj.log(1).splitlines()[:3] == ["print 1", "INFO log 1", "raw 1"]
    assert traj.status[50] == "failed"


def test_very_long_output_keeps_its_beginning_and_its_end(project):
    project.file(
        "sim_long.py",
        """
        from simkit import experiment, product

        @experiment
        @product(x=[0, 1])
        def long(x):
            print("first", x)
            if x == 0:
                print("0123456789" * 100_000)
            print("last", x)
        """,
    )
    project.ok()
    traj = project.open("long-001")
    log = traj.log(0)
    assert log.startswith("first 0\n0123456789")
    assert log.endswith("0123456789\nlast 0\n")
    assert len(log) < 200_000
    assert re.search(r"… \d+ bytes of output cut here …", log)
    assert traj.log(1) == "first 1\nlast 1\n"


def test_a_run_that_closes_or_redirects_its_streams_does_no_harm(project):
    project.file(
        "sim_close.py",
        """
        import contextlib, io, os, sys
        from simkit import experiment, product

        @experiment
        @product(x=[0, 1, 2])
        def close(x):
            if x == 0:
                with contextlib.redirect_stdout(io.StringIO()):
                    print("swallowed")
                print("told")
            if x == 1:
                sys.stdout.close()
            if x == 2:
                os.write(2, b"alive")
            return x
        """,
    )
    result = project.ok("-n", "1")
    traj = project.open("close-001")
    assert traj["result"].tolist() == [0, 1, 2]
    assert [traj.log(i) for i in range(3)] == ["told\n", "", "alive"]
    assert "swallowed" not in result.out


# Interruptions


WAITING = """
import os, time
from pathlib import Path
from simkit import experiment, product

@experiment
@product(i=range(8))
def waiting(i, rng):
    Path(f".pid-{i}").write_text(f"{os.getpid()} {os.getppid()}")
    Path(f".pid-{i}").rename(f"pid-{i}")
    time.sleep(0.05)  # no fast run, or several of them would be one batch
    while i >= 3 and not Path("go").exists():
        time.sleep(0.01)
    return {"i2": i * i, "draw": rng.random()}
"""


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
    under_way = ["pid-3", "pid-4"] if workers == "2" else ["pid-3"]
    with project.under_way("-n", workers, "--seed", "2") as process:
        project.until(lambda: project.has(*under_way))
        os.killpg(process.pid, number)
        assert "finishing the runs under way and keeping what is done" in heard(process)
        project.file("go")
        out, err = process.communicate(timeout=60)
    assert process.returncode == 2, out + err
    assert "Traceback" not in err
    assert "(interrupted)" in out
    expected = 3 + len(under_way)
    assert f"results/waiting-001.h5   {expected} of 8 runs   " in out
    assert out.splitlines()[-2].endswith("the rest: type the same command again")
    traj = project.open("waiting-001")
    assert traj.status.tolist() == ["done"] * expected + ["pending"] * (8 - expected)
    assert not project.has(f"pid-{expected}")
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


def is_alive(pid):
    """Whether a process runs; one that only waits to be buried does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def recorded_done(project, name):
    """The number of done runs that a reader finds by now."""
    file = project.path / "results" / f"{name}.h5"
    if not file.exists():
        return 0
    with simkit.open(file) as traj:
        return int((traj.status == "done").sum())


@pytest.mark.parametrize("way", [["-n", "0"], ["-n", "2"], ["-n", "1", "--start-method", "spawn"]])
def test_the_owner_is_killed(project, way):
    project.file("sim_waiting.py", WAITING)
    first = "pid-4" if "2" in way else "pid-3"
    with project.under_way(*way) as process:
        project.until(lambda: project.has(first))
        # With workers what is done is committed while others are still busy; -n 0 is busy itself.
        if way != ["-n", "0"]:
            project.until(lambda: recorded_done(project, "waiting-001") == 3)
        texts = [path.read_text() for path in project.path.glob("pid-*")]
        processes = {int(number) for text in texts for number in text.split()} - {os.getpid()}
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert processes
    project.until(lambda: not any(map(is_alive, processes)))

    traj = project.open("waiting-001")
    assert traj["i"].tolist() == list(range(8))
    done = int((traj.status == "done").sum())
    if way != ["-n", "0"]:
        assert done == 3
        assert traj["i2"][:3].tolist() == [0, 1, 4]
    traj.close()
    project.file("go")
    result = project.ok(*way)
    assert f"{8 - done} done in" in result.out
    traj = project.open("waiting-001")
    assert traj.status.tolist() == ["done"] * 8
    assert traj["i2"].tolist() == [i * i for i in range(8)]
    assert sorted(p.name for p in (project.path / "results").iterdir()) == ["waiting-001.h5"]


SLOWING = (
    WAITING.replace("time.sleep(0.05)", "pass").replace("range(8)", "range(60)").replace(">= 3", ">= 30")
)


def test_runs_that_become_slow_in_a_batch_are_shared_with_the_other_worker(project):
    project.file("sim_waiting.py", SLOWING)  # 30 fast runs make large batches; then each is slow
    with project.under_way("-n", "2") as process:
        project.until(lambda: len({p.read_text() for p in project.path.glob("pid-[345]?")}) == 2)
        assert len(list(project.path.glob("pid-[345]?"))) == 2
        project.file("go")
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert project.open("waiting-001")["i2"].tolist() == [i * i for i in range(60)]


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


def test_a_killed_nursery_is_no_hang(project):
    project.file("sim_waiting.py", WAITING)
    with project.under_way("-n", "1") as process:
        project.until(lambda: project.has("pid-3"))
        worker, nursery = map(int, (project.path / "pid-3").read_text().split())
        assert nursery != process.pid
        os.kill(nursery, signal.SIGKILL)
        os.kill(worker, signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in err, err
    project.file("go")
    project.ok()
    assert project.open("waiting-001")["i2"].tolist() == [i * i for i in range(8)]


# Starting


def test_a_worker_that_cannot_start_says_why(project):
    project.file(
        "sim_owner.py",
        """
        import multiprocess
        from simkit import experiment, product

        if multiprocess.current_process().name != "MainProcess":
            raise RuntimeError("not in here")

        @experiment
        @product(x=[1])
        def owner(x):
            return x
        """,
    )
    result = project.simkit("-n", "2", "--start-method", "spawn")
    assert result.code == 4
    assert "a worker could not start" in result.err
    assert "RuntimeError: not in here" in result.err
    assert "this is a bug" not in result.err
    project.ok("-n", "0")
    assert project.open("owner-001")["result"].tolist() == [1]


def test_fixtures_are_torn_down_in_their_scope_in_every_worker(project):
    project.file(
        "sim_fix.py",
        """
        import os
        from pathlib import Path
        from simkit import experiment, fixture, product

        @fixture(scope="experiment")
        def shared():
            with open(f"shared-{os.getpid()}", "a") as file:
                file.write("up ")
            yield os.getpid()
            with open(f"shared-{os.getpid()}", "a") as file:
                file.write("down ")

        @fixture
        def own(i, shared, workdir):
            (workdir / "data").write_text(str(i))
            yield workdir / "data"
            Path(f"down-{i}").write_text((workdir / "data").read_text())

        @experiment
        @product(i=range(6))
        def fix(i, own, shared):
            if i == 4:
                raise ValueError("torn down all the same")
            return {"path": str(own), "same": shared == os.getpid()}
        """,
    )
    assert project.simkit("-n", "2").code == 1
    traj = project.open("fix-001")
    done = traj.where(status="done")
    assert done["same"].tolist() == [True] * 5
    assert [(project.path / f"down-{i}").read_text() for i in range(6)] == [str(i) for i in range(6)]
    counts = [path.read_text() for path in project.path.glob("shared-*")]
    assert counts
    assert set(counts) == {"up down "}
    assert not any(os.path.exists(path) for path in done["path"])
    kept = re.search(r"working directory is kept: (.+)\)", traj.error(4))
    assert kept is not None
    assert Path(kept[1], "data").read_text() == "4"
