"""Experiments that get runs of other ones, by `simkit.run`: in workers, in scripts, by name, beside strategies."""

from __future__ import annotations

import numpy as np
import pytest

import simkit
from simkit import SimkitError

STAGES = """
from pathlib import Path
import numpy as np
from simkit import adaptive, after, each, experiment, explore, fixture, parameter, product

@experiment
@product(x=[1, 2, 3])
def build(x):
    return {"array": np.full(1000, x), "label": f"net {x}"}

@experiment
@each(build)
@product(drive=[1, 10])
def use(build, drive):
    return {"sum": drive * build.array.sum(), "label": build.label}

@parameter
def scale(build):
    return float(build["array"].sum())

@fixture(scope="experiment")
def labels(build):
    return list(build["label"])

@experiment
@product(i=[0, 1])
def named(labels, i):
    return labels[i]

@experiment
def whole(build):
    return build["array"].sum()

@after(whole)
def check(trajectory, build, run):
    run.add(networks=len(build))

def grow(build):
    for x in build["x"]:
        yield explore(x=[int(x)])

@experiment
@adaptive(grow)
def asked(x, scale):
    return x / scale
"""


@pytest.fixture
def stages(study):
    study.write("sim_a.py", STAGES)
    return study.module("sim_a.py")


@pytest.fixture
def built(stages):
    simkit.run(stages.build, seed=1).close()
    return stages


@pytest.mark.parametrize("workers", [0, 2])
def test_runs_get_theirs_wherever_they_are_executed(built, workers):
    with simkit.run(built.use, workers=workers, check=True) as traj:
        assert traj["sum"].tolist() == [x * 1000 * d for x in (1, 2, 3) for d in (1, 10)]
        assert traj["label"].tolist() == [f"net {x}" for x in (1, 1, 2, 2, 3, 3)]
    with simkit.run(built.named, workers=workers, check=True) as traj:
        assert traj["result"].tolist() == ["net 1", "net 2"]


def test_functions_of_a_script_travel_to_workers_by_value(built, tmp_path):
    source = simkit.open("build")

    def local(build, power=2):
        return float((build.array**power).sum())

    with simkit.run(local, simkit.each(source), workers=2, output=tmp_path / "local.h5", check=True) as traj:
        assert traj["result"].tolist() == [1000.0, 4000.0, 9000.0]
    source.close()


def test_the_whole_trajectory_may_be_asked_for_by_name_by_whatever_is_called(built):
    with simkit.run(built.whole, check=True) as traj:
        assert traj["result"].item() == 6000
        assert traj.summary.networks == 3
        assert traj.parameters.build.runs.tolist() == [0, 1, 2]
        assert traj.parameters.build.file == "results/build-001.h5"
    with simkit.run(built.asked, check=True) as traj:
        assert traj["x"].tolist() == [1, 2, 3]
        assert traj.parameters.scale == 6000.0
        assert traj.replay(1)["result"] == 2 / 6000


def test_nothing_recorded_is_an_error_that_says_what_to_run(stages):
    words = r"each\(build.*\): no run of sim_a.py::build is recorded yet\n    run it first: simkit sim_a.py::build"
    for function in (stages.use, stages.whole):
        with pytest.raises(SimkitError, match=words):
            simkit.run(function)


def test_a_changed_source_starts_the_next_trajectory_of_what_asks_for_the_whole(built, study):
    first = simkit.run(built.whole)
    assert first["result"].item() == 6000
    first.close()
    simkit.run(built.build, simkit.product(x=[1, 2, 3, 4]), seed=1).close()
    with simkit.run(built.whole) as again:
        assert again.path.name == "whole-002.h5"
        assert again["result"].item() == 10000
    with simkit.run(built.whole) as same:
        assert same.path.name == "whole-002.h5"


def test_points_of_the_source_that_are_not_declared_any_more_are_left_out(built):
    simkit.run(built.build, simkit.product(x=[2, 3]), seed=1).close()
    with simkit.run(built.use) as traj:
        assert traj["x"].tolist() == [2, 2, 3, 3]


def test_a_chain_of_three_stages(built, study):
    simkit.run(built.use).close()
    study.write(
        "sim_b.py",
        """
        from sim_a import use
        from simkit import each, experiment

        @experiment
        @each(use, by="x")
        def mean(use, x):
            return {"mean": use["sum"].mean(), "n": len(use)}

        @experiment
        @each(mean)
        def last(mean, x):
            return mean.mean * x
        """,
    )
    module = study.module("sim_b.py")
    with simkit.run(module.mean) as traj:
        assert traj["n"].tolist() == [2, 2, 2]
    with simkit.run(module.last) as traj:
        assert np.allclose(traj["result"], [x * x * 5500 for x in (1, 2, 3)])
        assert traj.replay(2)["result"] == traj["result"][2]


def test_a_single_call_gets_the_whole_of_a_name(built):
    assert simkit.call(built.whole) == {"result": 6000}
