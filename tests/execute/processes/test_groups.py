"""What runs have started ends with their worker, and Ctrl-C in the terminal is the owner's alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from faulty import is_alive

PROGRAMS = """
    import os, pathlib, signal, subprocess
    from simkit import experiment, explore

    def program(**options):
        process = subprocess.Popen(["sh", "-c", "echo; exec sleep 600"], stdout=subprocess.PIPE, **options)
        process.stdout.readline()
        return process.pid

    def programs():
        shell = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE)
        pids = [program(), program(process_group=0), shell.pid, int(shell.stdout.readline())]
        if END != "dies":  # then nobody knows any more whose it was
            pids.append(program(start_new_session=True))
        pathlib.Path("pids.new").write_text(" ".join(map(str, [os.getpid(), *pids])))
        os.rename("pids.new", "pids")

    @experiment(timeout=TIMEOUT)
    @explore(x=[0, 1])
    def outer(x):
        if x == 0 and not os.path.exists("pids"):
            programs()
            if END == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()
        return x
    """


@pytest.mark.parametrize(
    ("end", "method"),
    [("timeout", "fork"), ("timeout", "forkserver"), ("owner", "spawn"), ("twice", "fork"), ("dies", "fork")],
)
def test_programs_of_a_run_end_with_it(project, end, method):
    program = PROGRAMS.replace(", program(process_group=0)", "") if end == "dies" else PROGRAMS
    project.file(
        "sim_outer.py",
        program.replace("END", repr(end)).replace("TIMEOUT", "4" if end == "timeout" else "None"),
    )
    with project.under_way("-n", "1", "--start-method", method) as process:
        project.until(lambda: project.has("pids"))
        if end == "owner":
            os.kill(process.pid, signal.SIGKILL)
        if end == "twice":
            os.killpg(process.pid, signal.SIGINT)
            os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=600)
    processes = [int(pid) for pid in (project.path / "pids").read_text().split()]
    assert len(processes) >= 4
    project.until(lambda: not any(map(is_alive, processes)))
    assert process.returncode == {"timeout": 1, "owner": -signal.SIGKILL, "twice": 2, "dies": 1}[end]
    if end in ("timeout", "dies"):
        word = "timeout" if end == "timeout" else "crashed"
        assert project.open("outer-001").status.tolist() == [word, "done"]


STOPPED = """
    import pathlib, subprocess, sys
    from simkit import experiment, explore

    PROGRAM = "import pathlib, time\\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)"

    @experiment
    @explore(x=[0, 1, 2])
    def stopped(x):
        pathlib.Path(f"begun-{x}").touch()
        return subprocess.run([sys.executable, "-c", PROGRAM]).returncode
    """


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_first_signal_lets_a_run_finish_with_its_programs(project, name):
    """A terminal sends it to all of its foreground processes."""
    project.file("sim_stopped.py", STOPPED)
    with project.under_way("-n", "1") as process:
        project.until(lambda: project.has("begun-0"))
        os.killpg(process.pid, getattr(signal, name))
        assert any("finishing" in line for line in process.stdout)
        project.file("go")
        process.communicate(timeout=600)
    assert process.returncode == 2
    traj = project.open("stopped-001")
    assert traj.status.tolist() == ["done", "pending", "pending"]
    assert traj["result"][0] == 0


def test_nohup_goes_on_without_its_terminal(project):
    project.file("sim_stopped.py", STOPPED)
    command = """
import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from simkit.cli.main import main
sys.exit(main(["-n", "1"]))
"""
    with project.start("-c", command) as process:
        project.until(lambda: project.has("begun-0"))
        os.killpg(process.pid, signal.SIGHUP)
        project.file("go")
        process.communicate(timeout=600)
    assert process.returncode == 0
    assert project.open("stopped-001").status.tolist() == ["done"] * 3


def test_a_run_of_a_killed_nursery_does_not_live_on(project):
    project.file("sim_outer.py", PROGRAMS.replace("END", "'nursery'").replace("TIMEOUT", "None"))
    with project.under_way("-n", "1") as process:
        project.until(lambda: project.has("pids"))
        processes = [int(pid) for pid in (project.path / "pids").read_text().split()]
        fields = Path(f"/proc/{processes[0]}/stat").read_text().rpartition(")")[2].split()
        os.kill(int(fields[1]), signal.SIGKILL)
        _, err = process.communicate(timeout=600)
    assert process.returncode == 4
    assert "the process that starts workers was killed" in err
    project.until(lambda: not is_alive(processes[0]))
