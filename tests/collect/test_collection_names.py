"""Experiments that are called otherwise than their functions."""

from __future__ import annotations

import pytest

import simkit

SOURCE = """
from simkit import each, experiment, explore

@experiment(name="decay")
@explore(x=[1, 2, 3])
def _calculate(x):
    return {"z": 2 * x}

@experiment
@each(_calculate)
def later(_calculate):
    return {"w": _calculate.z + 1}
"""


@pytest.mark.parametrize("options", [("-n", "0"), ("-n", "2"), ("-n", "1", "--start-method", "spawn")])
def test_a_name_of_its_own_is_that_of_its_trajectory(project, options):
    project.file("sim_a.py", SOURCE)
    result = project.ok(*options)
    assert "sim_a.py::decay" in result.out
    with project.open("decay-001") as traj, project.open("later-001") as after:
        assert traj["z"].tolist() == [2, 4, 6]
        assert after["w"].tolist() == [3, 5, 7]
    project.file("sim_a.py", SOURCE.replace("[1, 2, 3]", "[1, 2, 3, 4]"))
    assert "1 done" in project.ok("sim_a.py::decay", *options).out
    assert project.ok("verify", "decay").code == 0


def test_in_a_script(tmp_path):
    @simkit.experiment(name="square")
    def compute(x):
        return x * x

    traj = simkit.run(compute, simkit.explore(x=[3]), output=tmp_path / "a.h5")
    assert traj.name == "square"
    assert traj["result"].tolist() == [9]


def test_two_of_one_name_and_names_that_are_none(project):
    project.file("sim_a.py", SOURCE + "\n@experiment(name='decay')\ndef other(y=1):\n    return y\n")
    result = project.simkit()
    assert result.code == 4
    assert (
        "sim_a.py:14: a second experiment named 'decay' in this file; the first one is sim_a.py:4"
        in result.out + result.err
    )
    project.file("sim_a.py", SOURCE.replace('"decay"', '"a/b"'))
    result = project.simkit()
    assert result.code == 4
    assert "sim_a.py:4: name='a/b': give a name of letters, digits and _" in result.out + result.err
