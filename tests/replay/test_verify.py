"""Recorded runs executed again: with recorded constants, derived parameters computed anew."""

from __future__ import annotations

import shutil

import pytest
from conftest import Project
from verified import SOURCE, changed, squeezed


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """Six runs, one failed, recorded once for all tests."""
    made = Project(tmp_path_factory.mktemp("once") / "study")
    made.file("sim_a.py", SOURCE)
    assert made.simkit("-n", "0", "--seed", "3").code == 1
    return made.path


@pytest.fixture
def recorded(once, project):
    """A copy of that study."""
    shutil.copytree(once, project.path, dirs_exist_ok=True)
    return project


def test_types_absent_and_new_results_differ(recorded):
    changed(recorded, '"z": drive * w * gain, "trace"', '"z": int(x), "fresh": 1, "spur"')
    lines = squeezed(recorded.simkit("verify", "results/sim-001.h5", "--runs", "0").out)
    assert "0 z 0.2 1 off by 0.8 (0.8 relative)" in lines
    assert "0 fresh (nothing) 1" in lines
    assert any(line.startswith("0 trace array float64 (5,) (nothing)") for line in lines)
    changed(recorded, '"z": drive * w * gain', '"status": 1.5, "z": drive * w * gain')
    lines = squeezed(recorded.simkit("verify", "results/sim-001.h5", "--runs", "0").out)
    assert "0 status (nothing) 1.5" in lines
    changed(recorded, '[x] * x, "text"', '[1.0 * x] * x, "text"')
    lines = squeezed(recorded.simkit("verify", "results/sim-001.h5", "--runs", "0").out)
    assert "0 added {'list': [1], 'text': 't'} {'list': [1.0], 'text': 't'}" in lines


def test_derived_parameters_are_computed_again_and_compared(recorded):
    changed(recorded, "neuron.tau / 100", "neuron.tau / 50")
    lines = squeezed(recorded.simkit("verify", "results/sim-001.h5", "--runs", "2").out)
    assert "code sim_a.py::dt changed" in lines
    assert "all dt 0.2 0.4 off by 0.2 (0.5 relative)" in lines
    assert "2 drive 0.4 0.8 off by 0.4 (0.5 relative)" in lines
    assert "differing: dt, drive, z" in lines


def test_recorded_constants_are_used_whatever_the_code_says_now(recorded):
    changed(recorded, "gain=2.0", "gain=3.0")
    out = recorded.ok("verify", "results/sim-001.h5").out
    assert "gain is 3.0 in the code now; verified with 2.0, as recorded" in out
    changed(recorded, "tau: float = 20.0", "tau: float = 10.0")
    out = recorded.ok("verify", "results/sim-001.h5").out
    assert "neuron.tau is 10.0 in the code now; verified with 20.0, as recorded" in out
    changed(recorded, "no luck", "bad luck")
    recorded.file("pyproject.toml", "[tool.simkit.parameters]\ngain = 7.0\n")
    assert "gain" not in recorded.ok("verify", "results/sim-001.h5").out


def test_values_from_the_command_line_come_from_the_file(project):
    project.file("sim_a.py", SOURCE)
    options = [
        "--set",
        "gain=5",
        "--set",
        "dt=0.7",
        "--set",
        "neuron.tau=1",
        "--product",
        "x=7,8",
        "--repeat",
        "2",
    ]
    project.ok("-n", "0", *options)
    result = project.ok("verify", "results/sim-001.h5")
    assert "8 of 8 runs" in result.out
    assert project.open("sim-001")["z"][0] == 7 * 0.7 * 0.5 * 5


def test_a_run_that_kills_its_worker_costs_one_run(recorded):
    changed(recorded, 'raise ValueError("no luck")', "pass")
    changed(recorded, 'print("hello", x)', "import os; x == 2 and os.kill(os.getpid(), 9)")
    result = recorded.simkit("verify", "results/sim-001.h5")
    assert result.code == 1
    assert "2 status done crashed: the worker that executed this run died" in "\n".join(squeezed(result.out))
    assert "2 of 5 runs differ" in result.out


def test_sessions_with_other_constants_and_code_are_verified_each_with_its_own(project):
    source = "from simkit import *\n@experiment\n@product(x=[1, 2])\ndef f(x, gain=1):\n    return x * gain\n"
    project.file("sim_a.py", source)
    project.ok("-n", "0")
    project.file("sim_a.py", source.replace("[1, 2]", "[1, 2, 3, 4]").replace("gain=1", "gain=10"))
    project.ok("-n", "0", "--into", "results/f-001.h5")
    assert project.open("f-001")["result"].tolist() == [1, 2, 30, 40]
    out = project.ok("verify", "results/f-001.h5").out
    assert "4 runs the same, bit for bit" in out
    assert "gain is 10 in the code now; verified with 1, as recorded" in out
