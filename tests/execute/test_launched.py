"""MPI and SCOOP execute studies: a run that is killed costs that run, and the exit code is the command's own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from conftest import clean_environment
from processes import (
    CTRL_C,
    SIGTERM,
    WAITING,
    alive,
    check_ctrl_c,
    guards_below,
    kill_all,
    parent,
    recorded_runs,
    wrong_values,
)

from simkit.declare.external import descendants
from simkit.testing.engines import CHECKS, SUPERVISED

STUDY = """
    import os
    import numpy as np
    from simkit import experiment, product

    @experiment
    @product(x=range(200))
    def study(x, rng):
        if x == 77:
            os.kill(os.getpid(), 9)
        return {"y": x * 0.5, "draws": rng.random(3), "ragged": np.arange(x % 5)}

    @experiment
    @product(x=range(20))
    def second(x):
        return x
"""
CHECKED = """
    import sys
    from pathlib import Path
    from simkit.execute.futures import Futures
    from simkit.execute.launched import Scoop, mpi
    from simkit.testing.engines import CHECKS, SUPERVISED

    if __name__ == "__main__":
        transport = mpi(1) if sys.argv[1] == "mpi" else Scoop(1)
        transport.start()
        for check in (*CHECKS, *SUPERVISED):
            check(lambda job: Futures(job, transport, folder=Path.cwd()))
            print("passed", check.__name__)
        transport.close()
"""
MPIEXEC, FUTURES = ("mpiexec", "--oversubscribe"), (sys.executable, "-m", "mpi4py.futures")
AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
needs_mpi = pytest.mark.skipif(
    shutil.which("mpiexec") is None or find_spec("mpi4py") is None, reason="mpiexec or mpi4py is missing"
)
needs_scoop = pytest.mark.skipif(find_spec("scoop") is None, reason="SCOOP is not installed")


def by_mpi(project, *arguments, program=("-m", "simkit"), processes=3):
    return subprocess.run(
        [*MPIEXEC, "-n", str(processes), *FUTURES, *program, *arguments],
        cwd=project.path, env={**clean_environment(), **AS_ROOT},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def check_study(project, result):
    """Of two experiments one run is lost; all others are as they are on this machine."""
    assert "219 done, 1 crashed" in result.stdout, result.stdout + result.stderr
    assert result.returncode == 1, result.stderr
    project.simkit("--seed", "5", "--fresh", "-n", "2")
    there, here = project.open("study-001"), project.open("study-002")
    assert there.status.tolist() == here.status.tolist()
    assert there.status[77] == "crashed"
    assert "SIGKILL" in there.error(77)
    assert wrong_values(there, here) == []
    return there


@needs_mpi
def test_mpi(project):
    project.file("sim_study.py", STUDY)
    there = check_study(project, by_mpi(project, "--seed", "5"))
    assert there.info.sessions[-1]["engine"] == "mpi"
    result = by_mpi(project, "sim_study.py::second", "--engine", "mpi", "--fresh")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "20 done" in result.stdout


@needs_mpi
def test_runs_are_told_of_no_mpi_job(project):
    """What they start, as an MPI program of their own, would take itself for a part of it."""
    source = """
        import os
        from pathlib import Path
        from simkit import experiment, product

        def told():
            return sorted(name for name in os.environ if name.startswith(("OMPI_", "PMIX_", "PMI_", "PRTE_")))

        Path(f"imported-{os.getpid()}").write_text(" ".join(told()))

        @experiment
        @product(x=range(6))
        def study(x):
            return " ".join(told())
    """
    project.file("sim_study.py", source)
    result = by_mpi(project)
    assert result.returncode == 0, result.stdout + result.stderr
    assert project.open("study-001")["result"].tolist() == [""] * 6
    imported = [file.read_text() for file in project.path.glob("imported-*")]
    assert [words for words in imported if "OMPI_COMM_WORLD_RANK" in words] != [], "the owner is told"


@needs_mpi
def test_mpi_passes_the_public_checks(project):
    project.file("checked.py", CHECKED)
    result = by_mpi(project, "mpi", program=["checked.py"])
    assert result.stdout.count("passed") == len((*CHECKS, *SUPERVISED)), result.stdout + result.stderr


@needs_scoop
def test_scoop_passes_the_public_checks(project):
    project.file("checked.py", CHECKED)
    result = project.python("-m", "scoop", "-q", "-n", "3", "checked.py", "scoop")
    assert result.out.count("passed") == len((*CHECKS, *SUPERVISED)), result.out + result.err


@needs_mpi
def test_mpi_needs_several_processes(project):
    project.file("sim_study.py", STUDY)
    words = "engine mpi: this process is not the first of several of an MPI job"
    result = project.simkit("--engine", "mpi")
    assert result.code == 4
    assert words in result.err
    assert "mpiexec -n 4 python -m mpi4py.futures -m simkit --engine mpi" in result.err


@needs_scoop
def test_scoop_and_its_exit_codes(project):
    project.file("sim_study.py", STUDY)
    result = project.simkit("--seed", "5", "--engine", "scoop", "-n", "2")
    there = check_study(project, subprocess.CompletedProcess([], result.code, result.out, result.err))
    assert there.info.sessions[-1]["engine"] == "scoop"
    assert "Lost track" not in result.err
    assert project.simkit("sim_study.py::second", "--fresh", "--engine", "scoop", "-n", "1").code == 0


@needs_scoop
def test_scoop_started_by_hand(project):
    import simkit.__main__ as main

    project.file("sim_study.py", STUDY)
    result = project.python("-m", "scoop", "-q", "-n", "2", main.__file__, "sim_study.py::second")
    assert "20 done" in result.out, result.out + result.err
    assert project.open("second-001").info.sessions[-1]["engine"] == "scoop"


@needs_scoop
@pytest.mark.parametrize("tell", [CTRL_C, SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_scoop_finishes_what_runs_when_it_is_told_to_end_and_the_next_session_the_rest(tell, project):
    project.file("sim_slow.py", WAITING)
    with project.under_way("--engine", "scoop", "-n", "2") as process:
        check_ctrl_c(project, process, tell)
    assert "40 of 40 runs" in project.ok("--engine", "scoop", "-n", "2").out
    assert not alive(folder=project.path)


MPI = pytest.param([*MPIEXEC, "-n", "3", *FUTURES, "-m", "simkit"], id="mpi", marks=needs_mpi)
SCOOP = pytest.param(
    [sys.executable, "-m", "simkit", "--engine", "scoop", "-n", "2"], id="scoop", marks=needs_scoop
)


def check_deaths(project, command, rounds, choose):
    """Processes are killed while two runs wait, and all runs are done."""
    project.file("sim_slow.py", WAITING)
    for number in range(1, rounds + 1):
        with subprocess.Popen(
            [*command, "--fresh"], cwd=project.path, env={**clean_environment(), **AS_ROOT}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                project.until(lambda: len([*project.path.glob("began-*")]) > 4)
                family = guards_below(descendants(process.pid))  # their nurseries and workers, too
                victims = choose({*family} - {*guards_below(family)})
                kill_all(victims)
                (project.path / "heard").touch()
                assert process.wait(timeout=600) == 0
            finally:
                process.kill()
        assert victims
        with project.open(f"slow-{number:03d}") as trajectory:
            assert trajectory["result"].tolist() == list(range(40))
        for file in [*project.path.glob("began-*"), project.path / "heard"]:
            file.unlink()


@pytest.mark.parametrize("command", [MPI, SCOOP])
def test_guards_that_are_killed_cost_no_run(command, project, pytestconfig):
    """``--deaths 60`` is the long version: 20 rounds."""
    check_deaths(project, command, max(1, pytestconfig.getoption("--deaths") // 3), list)


@needs_scoop
def test_one_of_scoops_processes_that_is_killed_costs_no_run(project, pytestconfig):
    """What it was doing is asked for again; ``--deaths 60`` is the long version: 20 rounds."""
    command = [sys.executable, "-m", "simkit", "--engine", "scoop", "-n", "2"]
    rounds = max(1, pytestconfig.getoption("--deaths") // 3)
    check_deaths(project, command, rounds, lambda guards: [parent(min(guards))])
    project.until(lambda: not alive(folder=project.path))


@needs_scoop
def test_scoop_that_is_killed_ends_the_command_and_leaves_nothing(project):
    project.file("sim_slow.py", WAITING)
    with project.under_way("--engine", "scoop", "-n", "2") as process:
        project.until(lambda: project.has("began-3"))
        os.kill(descendants(process.pid)[0], signal.SIGKILL)
        (project.path / "heard").touch()
        out, err = process.communicate(timeout=600)
    assert process.returncode == 4, out + err
    assert "engine scoop: it ended without a word" in err
    project.until(lambda: not alive(folder=project.path))
    assert "40 of 40 runs" in project.ok("-n", "2").out


def tell_all(launcher, number):
    """As a scheduler does, at the end of a job's time or when it is cancelled."""
    for process in descendants(launcher):
        with suppress(ProcessLookupError):
            os.kill(process, number)


@needs_mpi
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_mpi_job_whose_processes_are_told_to_end_finishes_what_runs(number, project):
    project.file("sim_slow.py", WAITING)
    with subprocess.Popen(
        [*MPIEXEC, "-n", "3", *FUTURES, "-m", "simkit"], cwd=project.path, env={**clean_environment(), **AS_ROOT},
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            project.until(lambda: len([*project.path.glob("began-*")]) > 4)  # both execute a run that waits
            check_ctrl_c(project, process, (tell_all, number))
        finally:
            process.kill()
    project.until(lambda: not alive(folder=project.path))
    assert "40 of 40 runs" in project.ok("-n", "2").out


def ranks(launcher):
    """The processes of an MPI job by their rank."""
    found = {}
    for process in descendants(launcher):
        with suppress(OSError):  # it has just ended
            for word in Path(f"/proc/{process}/environ").read_text("latin-1").split("\0"):
                if word.startswith("OMPI_COMM_WORLD_RANK="):
                    found[int(word.partition("=")[2])] = process
    return found


@needs_mpi
@pytest.mark.parametrize("rank", [None, 0, 1], ids=["Ctrl-C", "rank 0", "rank 1"])
def test_an_mpi_job_that_ends_keeps_what_is_committed(rank, project):
    """At Ctrl-C, or where one of its processes dies, the launcher ends them all, within seconds, and says so."""
    project.file("sim_slow.py", WAITING)
    with subprocess.Popen(
        [*MPIEXEC, "-n", "3", *FUTURES, "-m", "simkit"],
        cwd=project.path, env={**clean_environment(), **AS_ROOT}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        file = project.path / "results" / "slow-001.h5"
        done = project.until(lambda: file.exists() and recorded_runs(file))
        if rank is None:
            os.killpg(process.pid, signal.SIGINT)
        else:
            os.kill(ranks(process.pid)[rank], signal.SIGKILL)
        err = process.communicate(timeout=600)[1]
    assert process.returncode != 0
    assert rank is None or f"process rank {rank} " in err, err
    project.until(lambda: not alive(folder=project.path))
    (project.path / "heard").touch()
    for file in project.path.glob("began-*"):
        file.unlink()
    with project.open("slow-001") as trajectory:
        kept = set(np.flatnonzero(trajectory.status == "done").tolist())
        assert done <= kept < {*range(40)}
    result = by_mpi(project)
    assert result.returncode == 0, result.stdout + result.stderr
    assert {file.name for file in project.path.glob("began-*")} == {f"began-{x}" for x in {*range(40)} - kept}
    assert project.open("slow-001")["result"].tolist() == list(range(40))
