"""What is kept of a session besides its runs."""

from __future__ import annotations

import pytest

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
