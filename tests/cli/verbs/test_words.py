"""Two values beside each other, in a few characters, and the command that replays a run."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

from simkit.cli.verbs.words import pair
from simkit.values.decode import ABSENT


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        (1.5, 2.5, ("1.5", "2.5")),
        (1, 1.0, ("1", "1.0")),
        ("a", ABSENT, ("'a'", "(nothing)")),
        (np.float32(1), np.float64(1), ("float32 1.0", "float64 1.0")),
        (np.arange(3), np.array([0, 1, 9]), ("array([0, 1, 2])", "array([0, 1, 9])")),
    ],
)
def test_values_are_shown_so_that_the_difference_is_seen(one, other, shown):
    assert pair(one, other) == shown


def test_of_large_arrays_the_elements_that_lie_farthest_apart_are_shown():
    one = np.zeros((10, 10))
    other = one.copy()
    other[2, 3], other[7, 1] = 1e-3, -5.0
    assert pair(one, other) == ("[7, 1] 0.0", "[7, 1] -5.0")


def test_units_stand_behind_the_values():
    assert pair(1.0, 2.0, ("mV", "V")) == ("1.0 mV", "2.0 V")


STUDY = """
from simkit import experiment, product
@experiment
@product(x=[1, 0])
def f(x):
    return 1 / x
"""


@pytest.mark.parametrize(
    ("file", "options", "command"),
    [
        ("results/f-001.h5", (), ["sim_f.py::f[1]", "--pdb"]),
        ("study.h5", ("--output", "study.h5"), ["verify", "study.h5", "--runs", "1", "--pdb"]),
        ("results/f-001.h5", ("--product", "x=1,0"), ["verify", "results/f-001.h5", "--runs", "1", "--pdb"]),
    ],
)
def test_the_command_that_replays_a_failed_run_does_so(project, file, options, command):
    """Where the code alone does not tell the points, the file does."""
    project.file("sim_f.py", STUDY)
    project.simkit("-n", "0", *options)
    said = project.ok("show", file, "--run", "1").out
    assert f"simkit {shlex.join(command)}" in said
    assert "ZeroDivisionError" in project.simkit(*command, stdin="q\n").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("repair", "f"), "results/f-001.h5: nothing to repair"),
        (("merge", "all.h5", "f"), "f-001.h5"),
        (("verify", "f", "--file"), "results/f-001.h5"),
        (("report", "f"), "f-001.html"),
    ],
)
def test_verbs_take_the_name_of_an_experiment_for_its_newest_trajectory(named, arguments, words):
    assert words in named.ok(*arguments).out


@pytest.mark.parametrize("arguments", [("repair", "h"), ("watch", "h"), ("merge", "more.h5", "h")])
def test_a_name_that_no_experiment_has_is_answered_with_those_that_there_are(named, arguments):
    result = named.simkit(*arguments)
    assert result.code == 4
    assert "no trajectory of 'h' in results" in result.err
    assert "there: f" in result.err


@pytest.fixture(scope="module")
def named(shared):
    shared.file("sim_f.py", "from simkit import experiment\n\n@experiment\ndef f():\n    return 1\n")
    shared.ok("-n", "0")
    return shared
