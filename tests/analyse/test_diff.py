"""Two trajectories compared: constants, what follows from them, points."""

from __future__ import annotations
import contextlib
import io
import shutil
import h5py
import pytest
from conftest import Project
from simkit.cli.main import main


SOURCE = """
from typing import Annotated
import numpy as np
from simkit import Unit, experiment, parameter, product

@parameter
class Neuron:
    tau: Annotated[float, Unit("ms")] = 20.0

@parameter
def drive(x, neuron):
    return x * neuron.tau

@experiment
@product(x=[1, 2, 3], w=[0.5, 1.5])
def sim(x, w, drive, gain=2.0):
    # a remark
    if x == 3 and w == 0.5 and gain == 2.0:
        raise ValueError("no luck")
    return {"z": drive * w * gain, "trace": np.arange(8) * gain, "text": "a" * x, "same": x}
"""


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


def record(project, *options, old="", new="", code=0):
    """b.h5."""
    project.file("sim_a.py", SOURCE.replace(old, new) if old else SOURCE)
    assert project.simkit("-n", "0", "--output", "b.h5", *options).code == code


def told(project, *arguments, code=1):
    """The lines, with single blanks."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(project.path), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        found = main(["diff", *(arguments or ("a.h5", "b.h5"))])  # in this process: it executes nothing
    assert (found, err.getvalue()) == (code, ""), out.getvalue() + err.getvalue()
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def section(lines, title):
    """The lines below a title."""
    start = lines.index(title) + 1
    stop = next((i for i in range(start, len(lines)) if not lines[i]), len(lines))
    return lines[start:stop]


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


