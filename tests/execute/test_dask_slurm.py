"""A real Slurm: jobs execute a study, one of them may be cancelled; `.ci/slurm start` starts one on this machine."""

from __future__ import annotations

import tomllib

import pytest
from deaths import check_that_no_innocent_is_blamed
from processes import WAITING, check_ctrl_c, has_slurm, slurm, wrong_values

from simkit.execute import dask
from simkit.execute.futures import Futures
from simkit.testing import engines

pytestmark = pytest.mark.skipif(
    not has_slurm(), reason="no Slurm answers here, or dask-jobqueue is not installed"
)

STUDY = """
    import time
    import numpy as np
    from simkit import experiment, product

    @experiment
    @product(x=range(200))
    def study(x, rng):
        time.sleep(0.02)
        return {"y": x * 0.5, "draws": rng.random(3), "ragged": np.arange(x % 5)}
"""
CONFIG = """
    [tool.simkit.engines.slurm]
    queue = "main"
    cores = 1
    memory = "500 MB"
    walltime = "00:10:00"
    interface = "lo"
    job_name = "simkit-test"
    jobs = 2
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    table = {**tomllib.loads(CONFIG)["tool"]["simkit"]["engines"]["slurm"], "job_name": "simkit-checks"}
    transport = dask.scheduled("slurm", 1, table, folder)
    yield transport
    transport.close()


@pytest.mark.parametrize("check", [*engines.CHECKS, *engines.SUPERVISED])
def test_jobs_pass_the_public_checks(check, cluster, tmp_path):
    check(lambda job: Futures(job, cluster, folder=tmp_path))


def test_processes_of_jobs_may_be_killed_and_no_innocent_is_blamed(cluster, tmp_path, pytestconfig):
    """A worker in one study, a pool in the next; then nothing. ``--deaths 60`` is the long version: 20 rounds."""
    rounds = max(1, pytestconfig.getoption("--deaths") // 3)
    check_that_no_innocent_is_blamed(cluster, tmp_path, ("worker", "pool") * rounds)


def test_jobs_execute_a_study_and_one_that_is_cancelled_costs_no_run(project):
    project.file("sim_study.py", STUDY)
    project.file("pyproject.toml", CONFIG)

    def jobs(state):
        return slurm("squeue", "-h", "-n", "simkit-test", "-t", state, "-o", "%i").stdout.split()

    with project.under_way("--engine", "slurm", "--seed", "5") as process:
        project.until(lambda: len(jobs("running")) == 2, 60)
        project.until(lambda: project.path.joinpath("results", "study-001.h5").exists(), 60)
        slurm("scancel", jobs("running")[0])
        out, err = process.communicate(timeout=600)
    assert process.returncode == 0, out + err
    assert "200 done" in out
    assert "dask dashboard: http://" in out
    project.ok("--seed", "5", "--fresh", "-n", "2")
    there, here = project.open("study-001"), project.open("study-002")
    assert wrong_values(there, here) == []
    assert there.info.sessions[-1]["engine"] == "slurm"
    project.until(lambda: not jobs("running,pending"))


def test_ctrl_c_finishes_what_runs_and_ends_the_jobs(project):
    project.file("sim_slow.py", WAITING)
    project.file("pyproject.toml", CONFIG.replace("simkit-test", "simkit-ctrl-c"))
    with project.under_way("--engine", "slurm") as process:
        check_ctrl_c(project, process)
    project.until(lambda: not slurm("squeue", "-h", "-n", "simkit-ctrl-c", "-o", "%i").stdout)
    assert "40 of 40 runs" in project.ok("-n", "2").out
