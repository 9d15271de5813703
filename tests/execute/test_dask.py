"""Dask's workers execute studies, one after the other, whatever is killed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from conftest import clean_environment
from deaths import check_that_no_innocent_is_blamed
from processes import WAITING, alive, check_ctrl_c, wrong_values

pytest.importorskip("distributed", reason="Dask is not installed")

from simkit.errors import SimkitError
from simkit.execute import dask
from simkit.execute.futures import Futures
from simkit.testing import engines

ALL = [*engines.CHECKS, *engines.SUPERVISED]


@pytest.fixture(scope="module")
def cluster():
    transport = dask.local(2, {"dashboard_address": None})
    yield transport
    transport.close()


@pytest.mark.parametrize("check", [*ALL, engines.CHECKS[0]])  # the last one: after all that was killed
def test_a_cluster_on_this_machine_passes_the_public_checks(check, cluster, tmp_path):
    check(lambda job: Futures(job, cluster, folder=tmp_path))


def test_dasks_processes_may_be_killed_and_no_innocent_is_blamed(cluster, tmp_path, pytestconfig):
    """A worker in one study, a pool in the next, then the scheduler, whose workers follow; then nothing.

    ``--deaths 60`` is the long version: 20 rounds.
    """

    rounds = max(1, pytestconfig.getoption("--deaths") // 3)
    check_that_no_innocent_is_blamed(cluster, tmp_path, ("worker", "pool", "scheduler") * rounds)


STUDY = """
    import numpy as np
    from simkit import experiment, product

    @experiment
    @product(x=range(200))
    def study(x, rng):
        if x == 150:
            raise ValueError("odd")
        return {"y": x * 0.5, "draws": rng.random(3), "ragged": np.arange(x % 5)}

    @experiment
    @product(x=range(20))
    def second(x):
        return x
"""


def test_the_command_gives_the_same_file_and_says_where_the_dashboard_is(project):
    project.file("sim_study.py", STUDY)
    project.simkit("--seed", "5", "-n", "2")
    result = project.simkit("--seed", "5", "--fresh", "--engine", "dask", "-n", "2")
    assert result.code == 1, result.out + result.err
    assert "219 done, 1 failed" in result.out
    assert result.out.count("dask dashboard: http://127.0.0.1:") == 1
    here, there = project.open("study-001"), project.open("study-002")
    assert there.status.tolist() == here.status.tolist()
    assert wrong_values(there, here) == []
    assert not alive(folder=project.path)


def test_ctrl_c_finishes_what_runs_and_the_next_session_the_rest(project):
    project.file("sim_slow.py", WAITING)
    with project.under_way("--engine", "dask", "-n", "2") as process:
        check_ctrl_c(project, process)
    assert "40 of 40 runs" in project.ok("--engine", "dask", "-n", "2").out
    assert not alive(folder=project.path)


def test_a_script_without_a_guard_for_main_uses_a_cluster_by_its_address(project):
    source = """
        import simkit
        from distributed import LocalCluster

        def square(x):
            return x * x

        traj = simkit.run(square, simkit.product(x=range(30)), engine="dask", workers=2)
        assert traj["result"].tolist() == [x * x for x in range(30)]
        print(traj.info.sessions[-1]["engine"])
        """
    project.file("script.py", source)
    result = project.python("script.py")
    assert result.out == "dask\n", result.out + result.err


def test_the_address_of_somebody_elses_scheduler(project, cluster):
    cluster.start()
    address = cluster.pooled.executor._client.scheduler.address
    project.file("sim_study.py", STUDY)
    result = project.ok("sim_study.py::second", "--engine", f"dask:{address}")
    assert "20 done" in result.out
    assert project.open("second-001")["result"].tolist() == list(range(20))


def test_nobody_at_the_address(project):
    project.file("sim_study.py", STUDY)
    project.file("pyproject.toml", '[tool.simkit]\nengine = "dask:tcp://127.0.0.1:1"')
    for address, arguments in (("tcp://127.0.0.1:1", []), ("no://x", ["--engine", "dask:no://x"])):
        result = project.simkit("sim_study.py::second", *arguments)
        assert result.code == 4, result.out + result.err
        assert f"engine dask:{address}: no scheduler answers: " in result.err


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"memory": "1 GB", "jobs": 1}, "[tool.simkit.engines.slurm] says no cores"),
        ({"cores": 2, "jobs": 1}, "[tool.simkit.engines.slurm] says no memory"),
        ({"cores": 2, "memory": "1 GB"}, "must say how many jobs: jobs = 8, or minimum = 0 and maximum = 8"),
        ({"cores": 2, "memory": "1 GB", "jobs": 1, "maximum": 2}, "must say how many jobs"),
    ],
)
def test_what_a_job_needs_must_be_said(table, words):
    with pytest.raises(SimkitError) as caught:
        dask.scheduled("slurm", 1, table, Path())
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "walltime", "lines", "wanted", "asked"),
    [
        ("slurm", "00:20:00", ["#SBATCH -p main", "#SBATCH --cpus-per-task=2", "#SBATCH -t 00:20:00"],
         {"jobs": 3}, ("scale", {"jobs": 3})),
        ("sge", "00:20:00", ["#$ -q main", "#$ -l h_rt=00:20:00"],
         {"maximum": 4}, ("adapt", {"minimum_jobs": 0, "maximum_jobs": 4})),
        ("pbs", "00:20:00", ["#PBS -q main", "#PBS -l select=1:ncpus=2:mem=1908MB", "#PBS -l walltime=00:20:00"],
         {"minimum": 1, "maximum": 4}, ("adapt", {"minimum_jobs": 1, "maximum_jobs": 4})),
        ("lsf", "00:20", ["#BSUB -q main", "#BSUB -n 2", "#BSUB -W 00:20"], {"jobs": 3}, ("scale", {"jobs": 3})),
    ],
)  # fmt: skip
def test_what_a_scheduler_is_asked_for(monkeypatch, tmp_path, kind, walltime, lines, wanted, asked):
    import dask_jobqueue.core

    calls, started = [], []
    for name in ("scale", "adapt"):
        monkeypatch.setattr(
            dask_jobqueue.core.JobQueueCluster,
            name,
            lambda self, name=name, **scale: calls.append((name, scale)),
        )
    monkeypatch.setattr(dask, "_started", lambda *given: started.append(given))
    table = {"cores": 2, "memory": "2 GB", "queue": "main", "interface": "lo", "walltime": walltime, **wanted}
    dask.scheduled(kind, 1, table, tmp_path).make()
    ((told, number),) = started
    assert number == 2 * (wanted.get("jobs") or wanted["maximum"])
    options = {**told["options"], "scheduler_options": {"dashboard_address": ":0"}}
    with closing(dask._cluster({**told, "options": options})) as cluster:
        script = cluster.job_script()
    assert calls[0] == asked
    assert [line for line in lines if line not in script] == [], script
    assert [word for word in ("--nthreads 1", "--nworkers 2") if word not in script] == []


def test_a_table_that_dask_does_not_take_is_an_error(tmp_path):
    transport = dask.local(1, {"scheduler_port": "nowhere"})
    with pytest.raises(SimkitError, match=r"engine dask: \w+: "):
        transport.start()


@pytest.mark.parametrize(
    ("kind", "word", "meant"),
    [
        ("slurm", "waltime", "walltime"),
        ("sge", "queuee", "queue"),
        ("lsf", "us_stdin", "use_stdin"),
        ("dask", "hots", "host"),
    ],
)
def test_a_misspelt_word_of_a_table_is_named_with_the_nearest(tmp_path, kind, word, meant):
    table = {"cores": 1, "memory": "1 GB", "jobs": 1, word: "x"}
    engine = dask.local(1, {word: "x"}) if kind == "dask" else dask.scheduled(kind, 1, table, tmp_path)
    place = f"engine {kind}: [tool.simkit.engines.{kind}] {word}: "
    words = f"{place}Dask knows nothing of this name; did you mean {meant!r}?"
    with pytest.raises(SimkitError, match=re.escape(words)):
        engine.start()


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SimkitError, match="engine dask needs the package distributed") as caught:
        dask.local(1, {})
    assert 'pip install "simkit[dask]"' in str(caught.value)


CERTIFIED = """
    import sys
    from distributed import LocalCluster

    if __name__ == "__main__":
        with LocalCluster(n_workers=1, threads_per_worker=1, protocol="tls", dashboard_address=None) as cluster:
            print(cluster.scheduler_address, flush=True)
            sys.stdin.read()
"""


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_scheduler_with_tls_is_one_for_those_who_have_its_certificate(project):
    project.file("sim_study.py", STUDY)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=project.path, check=True, capture_output=True,
    )  # fmt: skip
    certificate, key = str(project.path / "cert.pem"), str(project.path / "key.pem")
    table = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": certificate}
    for role in ("CLIENT", "SCHEDULER", "WORKER"):
        table |= {
            f"DASK_DISTRIBUTED__COMM__TLS__{role}__{k}": v for k, v in (("CERT", certificate), ("KEY", key))
        }
    project.file("certified.py", CERTIFIED)
    environment = {**clean_environment(), **table}
    with project.start("certified.py", env=environment) as process:
        address = process.stdout.readline().strip()
        assert address.startswith("tls://127.0.0.1:"), address
        arguments = ("sim_study.py::second", "--engine", f"dask:{address}")
        assert "20 done" in project.ok(*arguments, env=environment).out
        refused = project.simkit(*arguments, "--fresh")
        process.communicate("", timeout=600)
    assert project.open("second-001")["result"].tolist() == list(range(20))
    assert refused.code == 4, refused.out + refused.err
    assert f"engine dask:{address}: no scheduler answers: " in refused.err
    assert not project.has("results/second-002.h5")
