"""What is recorded of a session, and what never is."""

from __future__ import annotations

import getpass
import os
import platform
import threading
import time
from importlib import metadata

import h5py
import numpy as np

import simkit

SOURCE = """
from simkit import experiment, product
import scipy.special

@experiment
@product(x=[1.0, 2.0])
def f(x, seed):
    return {"z": scipy.special.gamma(x)}
"""


def last(trajectory):
    with simkit.open(trajectory.path) as opened:
        return opened.info.sessions[-1]


def test_the_facts_of_a_session(study, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    before = time.time()
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # whatever other tests have left
    session = last(study.run(SOURCE, seed=5, workers=2))
    assert before <= session["started"] <= session["ended"] <= time.time()
    assert session["outcome"] == "2 done"
    assert session["command"] == "simkit.run(f)"
    assert session["simkit"] == simkit.__version__
    assert session["python"] == platform.python_version()
    assert session["host"] == platform.node()
    assert session["user"] == getpass.getuser()
    assert session["cores"] == os.cpu_count()
    assert session["root_seed"] == "5"
    assert (session["engine"], session["workers"]) == ("fork", 2)
    assert session["memory"] > 100_000_000
    assert session["cpu"]
    assert session["packages"]["scipy"] == metadata.version("scipy")
    assert session["packages"]["numpy"] == np.__version__
    assert "pytest" not in session["packages"]  # loaded here, but not by the experiment
    assert session["environment"]["OMP_NUM_THREADS"] == "3"
    assert session["environment"]["SLURM_JOB_ID"] == "4711"
    assert set(session["sources"]) == {"sim_a.py", "pyproject.toml"}


def test_a_second_session_repeats_no_source(study):
    first = study.run(SOURCE, seed=1)
    first.close()
    size = first.path.stat().st_size
    study.run(SOURCE, space=simkit.product(x=[1.0, 2.0, 3.0])).close()
    with h5py.File(first.path) as file:
        assert list(file["f/info"]) == ["001", "sources", "002"]
        assert len(file["f/info/sources"]) == 2
    assert first.path.stat().st_size - size < 6_000


def test_a_small_project_takes_little_room(study):
    study.write("lib.py", "\n\n".join(f"def g{i}(x):\n    return x + {i}\n" for i in range(200)))
    with_all = study.run("import lib\n" + SOURCE)
    with_all.close()
    assert with_all.path.stat().st_size < 50_000
    with h5py.File(with_all.path) as file:
        assert set(file["f/runs"]) == {"status", "started", "seconds", "worker", "seed"}


TOKEN = "ghp_0123456789SECRETtoken"


def test_a_token_on_the_command_line(project):
    project.file("sim_a.py", SOURCE)
    project.ok("--reason", f"data of https://ada:{TOKEN}@example.org/d")
    assert TOKEN.encode() not in (project.path / "results/f-001.h5").read_bytes()
