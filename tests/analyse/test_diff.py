"""Two trajectories compared: constants, what follows from them, points."""

from __future__ import annotations

import shutil

import pytest
from compared import SOURCE, record, section, told
from conftest import Project


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """Six runs, one failed, recorded once for all tests."""
    made = Project(tmp_path_factory.mktemp("once") / "study")
    made.file("sim_a.py", SOURCE)
    assert made.simkit("-n", "0", "--seed", "3", "--output", "a.h5").code == 1
    return made.path


@pytest.fixture
def pair(once, project):
    """A copy of that study; records b.h5 with other options or code."""
    shutil.copytree(once, project.path, dirs_exist_ok=True)
    return project


def test_constants_and_what_follows_from_them(pair):
    record(pair, "--set", "gain=3", "--set", "neuron.tau=10")
    lines = told(pair)
    assert section(lines, "parameters") == ["neuron.tau 20.0 ms | 10.0 ms", "gain 2.0 | 3.0"]
    assert section(lines, "points") == ["6 in both, 0 only in A, 0 only in B"]
    assert "code" not in lines
    assert section(lines, "status") == ["failed | done: 1 point"]
    assert section(lines, "results at the points that both have done") == [
        "drive differs at 5 of 5 points",
        "run 5: 60.0 | 30.0 off by 30 (0.5 relative)",
        "run 2: 40.0 | 20.0 off by 20 (0.5 relative)",
        "run 3: 40.0 | 20.0 off by 20 (0.5 relative)",
        "z differs at 5 of 5 points",
        "run 5: 180.0 | 135.0 off by 45 (0.25 relative)",
        "run 3: 120.0 | 90.0 off by 30 (0.25 relative)",
        "run 1: 60.0 | 45.0 off by 15 (0.25 relative)",
        "trace differs at 5 of 5 points",
        "run 0: [7] 14.0 | [7] 21.0 off by 7 (0.33 relative)",
        "run 1: [7] 14.0 | [7] 21.0 off by 7 (0.33 relative)",
        "run 2: [7] 14.0 | [7] 21.0 off by 7 (0.33 relative)",
        "the same: text, same",
    ]


def test_points_are_matched_by_value_not_by_number(pair):
    record(pair, "--product", "x=4,3,2", "--set", "gain=2.5")
    lines = told(pair)
    assert section(lines, "points") == [
        "4 in both, 2 only in A, 2 only in B",
        "only in A: run 0 x=1 w=0.5",
        "only in A: run 1 x=1 w=1.5",
        "only in B: run 0 x=4 w=0.5",
        "only in B: run 1 x=4 w=1.5",
    ]
    shown = section(lines, "results at the points that both have done")
    assert "run 5 | 3: 180.0 | 225.0 off by 45 (0.2 relative)" in shown
    assert shown[-1] == "the same: drive, text, same"


def test_a_constant_of_one_may_be_explored_in_the_other(pair):
    record(pair, "--product", "gain=2.0,7.0", code=1)
    lines = told(pair)
    assert section(lines, "points")[0] == "6 in both, 0 only in A, 6 only in B"
    assert section(lines, "results at the points that both have done") == [
        "the same: drive, z, trace, text, same"
    ]
    assert "parameters" not in lines


def test_explored_names_that_the_other_lacks(pair):
    record(pair, "--product", "v=1", old="gain=2.0)", new="gain=2.5, v=0)")
    lines = told(pair)
    assert section(lines, "points") == ["they can't be matched: only one of the two has v"]
    assert section(lines, "parameters")[-1] == "v (nothing) | (varies)"
    assert not any(line.startswith("results") for line in lines)
