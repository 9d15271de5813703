"""Several experiments in one file: recorded by ``--output``, listed by ``show``, opened by name."""

from __future__ import annotations

import pytest

import simkit

SOURCE = """
from simkit import experiment, product

@experiment
@product(x=[1, 2, 3])
def cubes(x, offset=0):
    return {"y": x**3 + offset}

@experiment
@product(x=[1, 2])
def halves(x):
    return {"y": x / 2}
"""


@pytest.fixture(scope="module")
def study(shared):
    """Two experiments, one of them with a second set of constants, and then one more point each."""
    shared.file("sim_several.py", SOURCE)
    shared.ok("-n", "2", "--output", "study.h5")
    shared.ok("-n", "0", "--output", "study.h5", "--set", "offset=1", "-k", "cubes")
    return shared


def test_show_lists_all_of_them(study):
    out = study.ok("show", "study.h5").out
    assert [line for line in out.splitlines() if line.startswith("<")] == [
        "<Trajectory cubes: 3 runs, 3 done>",
        "<Trajectory halves: 2 runs, 2 done>",
        "<Trajectory cubes-002: 3 runs, 3 done>",
    ]
    assert "= 1" in study.ok("show", "study.h5", "cubes-002").out


def test_each_is_opened_by_its_name(study):
    path = study.path / "study.h5"
    for name, values in (("cubes", [1, 8, 27]), ("cubes-002", [2, 9, 28]), ("halves", [0.5, 1.0])):
        with simkit.open(path, name) as trajectory:
            assert trajectory["y"].tolist() == values
            assert trajectory.name == name
            assert trajectory.replay(1)["y"] == values[1]
    with pytest.raises(simkit.SimkitError, match="holds several experiments: cubes, halves, cubes-002"):
        simkit.open(path)
    with pytest.raises(
        simkit.SimkitError, match=r"has no experiment 'halve'\n    experiments there: halves, "
    ):
        simkit.open(path, "halve")


def test_the_verbs_take_one_by_its_name(study):
    assert "3 runs the same" in study.ok("verify", "study.h5", "cubes-002").out
    result = study.simkit("diff", "study.h5::cubes", "study.h5::cubes-002")
    assert result.code == 1
    assert "offset  0 | 1" in result.out
    shown = study.ok("show", "study.h5", "cubes-002", "--run", "2").out
    assert "replay: simkit verify study.h5 cubes-002 --runs 2 --pdb" in shown
    assert "1 run the same" in study.ok("verify", "study.h5", "cubes-002", "--runs", "2", "--pdb").out
    different = study.simkit("diff", "study.h5::cubes", "study.h5::halves")
    assert different.code == 1
    assert "A  study.h5::cubes   sim_several.py::cubes   3 runs" in different.out


def test_each_is_continued_in_its_place(study):
    again = study.ok("-n", "0", "--output", "study.h5", "-k", "cubes", "--product", "x=1,2,3,4")
    assert "continuing study.h5: 3 of 4 runs are done" in again.out
    with simkit.open(study.path / "study.h5", "cubes") as trajectory:
        assert trajectory["y"].tolist() == [1, 8, 27, 64]
    with simkit.open(study.path / "study.h5", "cubes-002") as trajectory:
        assert len(trajectory) == 3


def test_the_newest_trajectory_of_an_experiment_by_its_name(study):
    study.ok("-n", "0", "-k", "halves")
    assert "results/halves-001.h5" in study.ok("verify", "halves").out
    assert "the same" in study.ok("diff", "halves", "study.h5::halves").out
    wrong = study.simkit("verify", "halve")
    assert wrong.code == 4
    assert "no trajectory of 'halve' in results\n    there: halves" in wrong.err
