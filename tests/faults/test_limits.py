"""One bad run costs one run: limits, dying workers, failing fixtures, signals, and what a run printed."""

from __future__ import annotations

import os
import signal

import h5py
import numpy as np
import pytest
from processes import alive


def statuses(project, file="study-001"):
    """The status of each run, as a list."""
    with project.open(file) as traj:
        return traj.status.tolist()


def texts(project, kind, run, file="study-001"):
    """All recorded errors or logs of a run, earlier attempts' too."""
    path = project.path / "results" / f"{file}.h5"
    with h5py.File(path, "r") as h5:
        group = h5[f"study/runs/{kind}"]
        return [group["text"].asstr()[i] for i in np.flatnonzero(group["run"][:] == run)]


# 40 runs with one bad


BAD = """
import os, signal, sys, time
import numpy as np
from simkit import experiment, fixture, product

def raises():
    raise ValueError("no luck")

def segfaults():
    import ctypes
    ctypes.string_at(0)

def loops():
    while True:
        time.sleep(0.01)

WAYS = {{
    "raise": raises,
    "exit": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segv": segfaults,
    "sys.exit": lambda: sys.exit(4),
    "loop": loops,
    "unstorable": lambda: {{"z": lambda: 1}},
    "teardown": lambda: None,
}}

@fixture
def tank(x, way="{way}"):
    yield 2.0
    if x == 17 and way == "teardown":
        raise RuntimeError("the tank leaks")

@experiment{limits}
@product(x=range(40))
def study(x, tank, way="{way}"):
    if x == 17:
        bad = WAYS[way]()
        if bad is not None:
            return bad
    return {{"z": x * tank, "a": np.full(3, x)}}
"""
EXPECTED = {
    "raise": ("failed", "ValueError: no luck"),
    "exit": ("crashed", "the worker that executed this run died: it exited with code 3"),
    "kill": ("crashed", "the worker that executed this run died: it was killed by SIGKILL"),
    "segv": ("crashed", "the worker that executed this run died: it was killed by SIGSEGV"),
    "sys.exit": ("failed", "SystemExit: 4"),
    "loop": ("timeout", "its timeout is 0.5 s"),
    "unstorable": ("failed", "result z: cannot store"),
    "teardown": ("failed", "RuntimeError: the tank leaks"),
}
SURVIVABLE = ("raise", "sys.exit", "unstorable", "teardown")  # without a worker between


@pytest.mark.parametrize(
    ("way", "workers"), [*((way, "2") for way in EXPECTED), *((way, "0") for way in SURVIVABLE)]
)
def test_forty_runs_with_one_bad(project, way, workers):
    limits = '(timeout="0.5s")' if way == "loop" else ""
    project.file("sim_study.py", BAD.format(way=way, limits=limits))
    result = project.simkit("-n", workers)
    status, text = EXPECTED[way]
    assert result.code == 1, result.out + result.err
    assert f"1 {status}" in result.out
    assert "39 done" in result.out
    assert text in result.out
    assert "replay: simkit 'sim_study.py::study[17]' --pdb" in result.out
    traj = project.open("study-001")
    others = [i for i in range(40) if i != 17]
    assert traj.status[17] == status
    assert set(traj.status[others]) == {"done"}
    assert traj["z"][others].tolist() == [2.0 * i for i in others]
    assert all((traj["a"][i] == i).all() for i in others)
    assert text in traj.error(17)
    assert traj["x"].tolist() == list(range(40))
    assert traj.runs[17].x == 17


# Timeout


SLOW = """
import os, time
from pathlib import Path
from simkit import experiment, product

@experiment{limits}
@product(x=range(6))
def study(x):
    if x == 2:
        while not Path("go").exists():
            time.sleep(0.01)
    return {{"z": x, "pid": os.getpid()}}
"""


@pytest.mark.parametrize(
    ("limits", "command"),
    [('(timeout="0.4 s")', []), ("(timeout=0.4)", []), ("(timeout=900)", ["--timeout", "0.4s"])],
)
def test_a_timeout_costs_the_slow_run_only(project, limits, command):
    project.file("sim_study.py", SLOW.format(limits=limits))
    result = project.simkit("-n", "1", *command)
    assert result.code == 1, result.out + result.err
    assert "its timeout is 0.4 s" in result.out
    assert statuses(project) == ["done", "done", "timeout", "done", "done", "done"]
    with project.open("study-001") as traj:
        assert traj.seconds[2] >= 0.4
        assert traj["z"][[0, 1, 3, 4, 5]].tolist() == [0, 1, 3, 4, 5]
    project.file("go")
    project.ok("-n", "1")
    assert statuses(project) == ["done"] * 6


@pytest.mark.parametrize("text", ["soon", "-3s", "0", "10 parsec"])
def test_wrong_timeouts(project, text):
    project.file("sim_study.py", SLOW.format(limits=""))
    result = project.simkit(f"--timeout={text}")
    assert result.code == 4
    assert f"--timeout: write a duration as 90, '90s', '10min' or '2h', not '{text}'" in result.err


# Retries


RETRY = """
import os, signal
from pathlib import Path
from simkit import experiment, product

@experiment(retries=2)
@product(x=range(5))
def study(x, rng):
    tried = len(list(Path().glob(f"try-{x}-*")))
    Path(f"try-{x}-{tried}").touch()
    if x == 1 and tried < 2:
        raise ValueError(f"attempt {tried} failed")
    if x == 3:
        raise RuntimeError(f"always {tried}")
    if x == 4 and tried < 1 and int(os.environ["KILL"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return rng.normal()
"""


@pytest.mark.parametrize("workers", ["0", "1", "2"])
def test_retries_count_attempts_and_keep_what_went_wrong(project, workers):
    project.file("sim_study.py", RETRY)
    kills = workers != "0"
    environment = {**os.environ, "KILL": str(int(kills)), "COLUMNS": "100"}
    result = project.simkit("-n", workers, env=environment)
    assert result.code == 1
    assert "4 done" in result.out
    assert "1 failed" in result.out
    assert "always 2" in result.out
    assert "always 1" not in result.out, "only the last attempt is a failure"
    assert statuses(project) == ["done", "done", "done", "failed", "done"]
    with h5py.File(project.path / "results" / "study-001.h5", "r") as file:
        assert file["study/runs/attempt"][:].tolist() == [1, 3, 1, 3, 2 if kills else 1]
    assert [t.splitlines()[-1] for t in texts(project, "error", 1)] == [
        "ValueError: attempt 0 failed",
        "ValueError: attempt 1 failed",
    ]
    assert len(texts(project, "error", 3)) == 3
    with project.open("study-001") as traj:
        assert traj["result"][1] == np.random.default_rng(traj.seeds[1]).normal()


# Memory and priority


def test_a_run_that_takes_too_much_memory_costs_itself(project):
    project.file(
        "sim_study.py",
        """
        import os
        import numpy as np
        from simkit import experiment, product

        @experiment(memory="4 GB", nice=3)
        @product(x=range(8))
        def study(x):
            if x == 5:
                np.ones(1 << 30)  # 8 GB
            return {"z": x, "nice": os.nice(0)}
        """,
    )
    niceness = os.nice(0)
    result = project.simkit("-n", "2")
    assert result.code == 1, result.out + result.err
    with project.open("study-001") as traj:
        assert traj.status[5] in ("failed", "crashed")
        others = [0, 1, 2, 3, 4, 6, 7]
        assert set(traj.status[others]) == {"done"}
        assert set(traj["nice"][others].tolist()) == {niceness + 3}
        assert "MemoryError" in traj.error(5) or "died" in traj.error(5)


# Fixtures


FIXTURES = """
from simkit import experiment, fixture, product

@fixture(scope="{scope}")
def tank({argument}):
    if {setup}:
        raise OSError("no water")
    yield 1
    if {teardown}:
        raise RuntimeError("the tank leaks")

@experiment
@product(x=range(6))
def study(x, tank):
    return x + tank
"""


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("phase", ["setup", "teardown"])
def test_a_run_fixture_that_fails_costs_its_run(project, workers, phase):
    fails = {"setup": "False", "teardown": "False", phase: "x == 3"}
    project.file("sim_study.py", FIXTURES.format(scope="run", argument="x", **fails))
    result = project.simkit("-n", workers)
    assert result.code == 1
    text = "no water" if phase == "setup" else "the tank leaks"
    assert text in result.out
    assert statuses(project) == ["done", "done", "done", "failed", "done", "done"]
    with project.open("study-001") as traj:
        assert text in traj.error(3)
        assert traj["result"][[0, 1, 2, 4, 5]].tolist() == [1, 2, 3, 5, 6]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_experiment_fixture_that_fails_in_setup_fails_all_runs_with_its_traceback(project, workers):
    source = FIXTURES.format(scope="experiment", argument="", setup="True", teardown="False")
    project.file("sim_study.py", source)
    result = project.simkit("-n", workers)
    assert result.code == 1
    assert "6 failed" in result.out
    assert "fixture 'tank' failed, and all runs of study need it" in result.out
    assert statuses(project) == ["failed"] * 6
    with project.open("study-001") as traj:
        assert "OSError: no water" in traj.error(5)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_experiment_fixture_that_fails_in_teardown_costs_no_results_and_is_told(project, workers):
    source = FIXTURES.format(scope="experiment", argument="", setup="False", teardown="True")
    project.file("sim_study.py", source)
    result = project.simkit("-n", workers)
    assert statuses(project) == ["done"] * 6
    assert "the tank leaks" in result.out + result.err
    assert "Traceback" in result.out + result.err
    assert "this is a bug in simkit" not in result.err
    assert result.code == 1, result.out + result.err


# Workers that cannot start


IMPORTING = """
import os
from pathlib import Path
from simkit import experiment, product

if Path("begun").exists():
    {action}
Path("begun").touch()

@experiment
@product(x=[1, 2])
def study(x):
    return x
"""


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ('raise ImportError("no license for a second process")', "no license for a second process"),
        ("os._exit(9)", "a worker could not start: it exited with code 9"),
        ("import missing_module_of_this_test", "missing_module_of_this_test"),
    ],
)
def test_a_worker_that_cannot_start_is_told(project, action, words):
    project.file("sim_study.py", IMPORTING.format(action=action))
    result = project.simkit("-n", "2", "--start-method", "spawn")
    assert result.code == 4, (result.code, result.out, result.err)
    assert "a worker could not start" in result.err
    assert words in result.err
    assert "this is a bug in simkit" not in result.err
    (project.path / "begun").unlink()
    project.ok("-n", "0")
    assert statuses(project) == ["done", "done"]


def test_a_file_that_changes_while_the_study_starts_is_told(project):
    project.file(
        "sim_study.py",
        """
        from pathlib import Path
        from simkit import experiment, parameter, product

        @parameter
        def calibrated():
            own = Path(__file__)
            if "return x * 1" in (text := own.read_text()):
                own.write_text(text.replace("return x * 1", "return x * 2"))
            return 1

        @experiment
        @product(x=[1, 2])
        def study(x, calibrated):
            return x * 1
        """,
    )
    result = project.simkit("-n", "1", "--start-method", "spawn")
    assert result.code == 4, (result.code, result.out, result.err)
    assert "sim_study.py changed while the study was starting" in result.err
    assert "sim_study.py::study" in result.err


# Signals


WAITING = """
import time
from pathlib import Path
from simkit import experiment, product

@experiment
@product(x=range(50))
def study(x, pause={pause}):
    time.sleep(pause)  # long enough for a batch of its own, or not
    if x >= 10:
        Path(f"in-{{x}}").touch()
        while not Path("go").exists():
            time.sleep(0.01)
    return x
"""


def signalled(project, workers, number, send, pause=0.03):
    """A study in its eleventh run, with a signal sent; ``send`` to the group as a terminal, or the owner."""
    project.file("sim_study.py", WAITING.format(pause=pause))
    process = project.start("-m", "simkit", "-n", workers)
    project.until(lambda: project.has("in-10"))
    send(process.pid, number)
    return process


def heard(project, process):
    """Wait until the owner has said that it has heard the first signal."""
    line = ""
    while "Ctrl-C again stops at once" not in line:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
    return line


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    ("number", "send"), [(signal.SIGINT, os.killpg), (signal.SIGTERM, os.kill), (signal.SIGTERM, os.killpg)]
)
def test_once_finishes_what_runs_and_commits(project, workers, number, send):
    process = signalled(project, workers, number, send)
    heard(project, process)
    project.file("go")
    out, err = process.communicate(timeout=600)
    assert process.returncode == 2, out + err
    assert "(interrupted)" in out
    assert "Traceback" not in err
    found = statuses(project)
    done = found.count("done")
    assert 11 <= done < 50
    assert found.count("pending") == 50 - done
    assert found[10] == "done", "the run under way was finished"
    assert f"{done} of 50 runs   " in out
    assert "the rest: type the same command again" in out
    assert not alive(process.pid, project.path)
    project.ok("-n", "2")
    assert statuses(project) == ["done"] * 50


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_twice_stops_now_and_keeps_what_is_done(project, workers, number):
    process = signalled(project, workers, number, os.killpg)
    heard(project, process)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 2, out + err
    assert "Traceback" not in err
    found = statuses(project)
    assert found[:10] == ["done"] * 10
    assert set(found[10:]) == {"pending"}
    assert not alive(process.pid, project.path)
    project.file("go")
    project.ok("-n", "2")
    assert statuses(project) == ["done"] * 50


def test_twice_keeps_what_is_done_of_the_batch_under_way(project):
    """Without workers the runs before the interrupted one are there, in the same process: nothing is lost."""
    process = signalled(project, "0", signal.SIGINT, os.killpg, pause=0)
    heard(project, process)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 2, out + err
    assert statuses(project) == ["done"] * 10 + ["pending"] * 40


# Logs


PRINTING = r"""
import os, subprocess, sys
from simkit import experiment, product

@experiment
@product(x=range(6))
def study(x):
    if x == 0:
        print("Grüße, 世界 🎲\0end")
    elif x == 1:
        os.write(1, bytes(range(256)) + b"\xff\xfe\xed")
    elif x == 2:
        sys.stderr.write("lone \udc80 surrogate\n")
        subprocess.run(["echo", "from a subprocess"], check=True)
    elif x == 3:
        print("BEGIN" + "x" * 300_000 + "END")
    elif x == 4:
        print("before it fails")
        raise ValueError("é\udcff\0")
    return x
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_a_run_prints_is_kept_with_it(project, workers):
    project.file("sim_study.py", PRINTING)
    environment = {**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8:strict"}
    result = project.simkit("-n", workers, env=environment)
    assert result.code == 1, result.out + result.err
    assert "ValueError: é\\udcff" in result.out
    with project.open("study-001") as traj:
        assert traj.status.tolist() == ["done"] * 4 + ["failed", "done"]
        logs = [traj.log(i) for i in range(6)]
        assert "ValueError: é" in traj.error(4)
    assert logs[0] == "Grüße, 世界 🎲\\x00end\n"
    assert "ABCDEFG" in logs[1]
    assert logs[1].endswith("\\xff\\xfe\\xed")
    assert logs[2] == "lone \\udc80 surrogate\nfrom a subprocess\n"
    assert logs[3].startswith("BEGINxxx")
    assert logs[3].endswith("xxxEND\n")
    kept = logs[3].count("x")
    assert kept < 70_000
    cut = 300_009 - 65_536
    assert f"… {cut} bytes of output cut here …" in logs[3]
    assert logs[4] == "before it fails\n"
    assert logs[5] == ""


@pytest.mark.parametrize(
    ("end", "status"), [("os._exit(1)", "crashed"), ("while True: time.sleep(0.01)", "timeout")]
)
def test_the_log_of_a_run_whose_worker_died_is_kept(project, end, status):
    """What it said last tells why."""
    project.file(
        "sim_study.py",
        f"""
        import os, time
        from simkit import experiment, product

        @experiment(timeout=0.5)
        @product(x=range(4))
        def study(x):
            print(f"this is run {{x}}")
            if x == 2:
                {end}
            return x
        """,
    )
    result = project.simkit("-n", "1")
    assert result.code == 1
    assert statuses(project) == ["done", "done", status, "done"]
    with project.open("study-001") as traj:
        assert traj.log(1) == "this is run 1\n"
        assert traj.log(2) == "this is run 2\n"
        assert traj.log(3) == "this is run 3\n"
