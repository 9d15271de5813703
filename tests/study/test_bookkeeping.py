"""What is kept of a session besides its runs: its circumstances, how it ended."""

from __future__ import annotations

import pytest

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


def test_an_interrupted_session_tells_how_it_ended(study):
    stop = "    import os, signal\n    os.kill(os.getpid(), signal.SIGINT)\n    return"
    with pytest.raises(KeyboardInterrupt):
        study.run(SOURCE.replace("    return", stop))
    session = simkit.open("f").info.sessions[-1]
    assert session["outcome"].endswith("interrupted")
    assert "ended" in session


def test_a_failed_session_tells_how_it_ended(study):
    assert last(study.run(SOURCE.replace("    return", "    1 / 0\n    return")))["outcome"] == "2 failed"


def test_a_killed_session_has_no_end(project):
    project.file(
        "sim_k.py",
        "import os\nfrom simkit import experiment\n@experiment\ndef k():\n    os.kill(os.getpid(), 9)\n",
    )
    assert project.simkit("-n", "0").code == -9
    session = project.open("k-001").info.sessions[-1]
    assert "ended" not in session
    assert session["started"] > 0
    assert "it was killed" in project.ok("show", "results/k-001.h5", "--provenance").out


SIM = """
from simkit import experiment, product

@experiment
@product(x=[1, 2])
def f(x):
    return x
"""


@pytest.mark.parametrize(("workers", "engine"), [("0", "owner"), ("1", "fork")])
def test_a_session_knows_its_engine_and_seed(project, workers, engine):
    project.file("sim_f.py", SIM)
    project.ok("-n", workers, "--seed", "5", "--reason", "to see")
    (facts,) = project.open("f-001").info.sessions
    assert (facts["engine"], facts["workers"], facts["root_seed"]) == (engine, int(workers), "5")
    assert (facts["reason"], facts["command"]) == (
        "to see",
        f"simkit -n {workers} --seed 5 --reason 'to see'",
    )
    assert facts["outcome"] == "2 done"


def test_no_lab_notebook_is_an_error_before_anything_runs(project):
    project.file("pyproject.toml", "[tool.simkit]\nsumatra = true\n")
    project.file("sim_f.py", SIM)
    result = project.simkit()
    assert result.code == 4
    assert "Sumatra" in result.err
    assert not project.has("results")


def test_a_replay_keeps_no_books(project):
    project.file("pyproject.toml", "[tool.simkit]\nsumatra = true\n")
    project.file("sim_f.py", SIM)
    result = project.simkit("sim_f.py::f[1]", "--pdb")
    assert result.code == 0, result.err
    assert "replayed without recording" in result.out
    assert not project.has("results")
