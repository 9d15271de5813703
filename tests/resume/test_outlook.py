"""What would a session do: said before it begins, with nothing written."""

from __future__ import annotations

import pytest

SOURCE = """
from simkit import experiment, product

@experiment
@product(x=range(15))
def f(x, gamma=0.2, tau=1.0):
    if x in (3, 4):
        raise ValueError(x)
    return x
"""


@pytest.fixture(scope="module")
def study(shared):
    """Two trajectories: 11 of 15 done with gamma 0.2, 1 done with gamma 0.3."""
    shared.file("sim_f.py", SOURCE)
    shared.simkit("-n", "0", "--where", "x < 13")
    shared.simkit("-n", "0", "--set", "gamma=0.3", "--where", "x == 0")
    return shared


def listed(study, *options, source=SOURCE):
    study.file("sim_f.py", source)
    before = {path: path.stat().st_mtime_ns for path in study.path.joinpath("results").iterdir()}
    lines = study.ok("--co", *options).out.splitlines()
    assert {path: path.stat().st_mtime_ns for path in study.path.joinpath("results").iterdir()} == before
    assert lines[0].startswith("sim_f.py::f  ")
    return [line.strip() for line in lines[1:-2]]


def test_how_many_are_done_and_what_would_run(study):
    assert listed(study) == ["11 of 15 done, 4 to run", "continues results/f-001.h5"]
    assert listed(study, "--where", "x < 4") == ["3 of 4 done, 1 to run", "continues results/f-001.h5"]
    assert listed(study, "sim_f.py::f[0:3]") == ["3 of 3 done, nothing to run", "continues results/f-001.h5"]
    assert listed(study, source=SOURCE.replace("range(15)", "range(20)"))[0] == "11 of 20 done, 9 to run"
    assert listed(study, source=SOURCE.replace("range(15)", "range(5)"))[0] == "3 of 5 done, 2 to run"


def test_with_lf_only_what_failed(study):
    assert listed(study, "--lf") == ["11 of 15 done, 2 to run", "continues results/f-001.h5"]


def test_what_differs_is_said_compared_with_the_nearest(study):
    changed = SOURCE.replace("0.2", "0.25")
    assert listed(study, source=SOURCE.replace("0.2", "0.3").replace("1.0", "2.0")) == [
        "0 of 15 done, 15 to run; tau was 1.0, now 2.0",
        "does not continue results/f-002.h5; this does: simkit --into results/f-002.h5",
    ]
    assert listed(study, "--into", "results/f-001.h5", source=changed) == [
        "11 of 15 done, 4 to run; gamma was 0.2, now 0.25",
        "continues results/f-001.h5",
    ]


def test_lf_continues_the_nearest_and_not_the_newest(study):
    changed = SOURCE.replace("1.0", "2.0")
    assert listed(study, "--lf", source=changed) == [
        "11 of 15 done, 2 to run; tau was 1.0, now 2.0",
        "continues results/f-001.h5",
    ]


def test_where_nothing_is_recorded_nothing_is_said(project):
    project.file("sim_f.py", SOURCE)
    assert project.ok("--co").out == "sim_f.py::f  15 runs\n\n1 experiment, 15 runs\n"
    assert "nothing is recorded that --lf could continue" in project.ok("--co", "--lf").out
    assert not project.has("results")


def test_lf_runs_what_failed_in_the_nearest(project):
    project.file("sim_f.py", SOURCE)
    project.simkit("-n", "0")
    project.simkit("-n", "0", "--set", "gamma=0.3")
    project.file("sim_f.py", SOURCE.replace("raise ValueError(x)", "pass"))
    project.ok("-n", "0", "--lf")
    assert project.open("f-001").status.tolist() == ["done"] * 15
    assert project.open("f-002").status.tolist().count("failed") == 2


def test_a_strategy_says_how_many_of_its_recorded_runs_are_done(project):
    project.file(
        "sim_s.py",
        """
        from simkit import adaptive, experiment, explore

        def ask():
            yield explore(x=[1, 2, 3])

        @experiment
        @adaptive(ask)
        def s(x):
            return x
        """,
    )
    assert "done" not in project.ok("--co").out
    project.ok("-n", "0")
    assert "3 of 3 done, nothing to run" in project.ok("--co").out
