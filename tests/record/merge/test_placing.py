"""Which files agree, and where each of their runs goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from merges import DRAWS, F, refused

import simkit
from simkit import explore, product

TEXT = """
import numpy as np
from simkit import experiment, parameter

@parameter
def twice(k: int):
    return 2 * k

@experiment
def f(twice, x=0.0, k=1):
    return {"z": x * twice}
"""


def test_pypet_merge_refuses_another_experiment(make, study):
    make("a.h5")
    study.write("sim_b.py", F)
    simkit.run(study.module("sim_b.py").f, output="b.h5").close()
    told = refused("m.h5", "a.h5", "b.h5")
    assert told == (
        "b.h5 is of sim_b.py::f, but a.h5 of sim_a.py::f\n    only trajectories of one experiment can be merged"
    )
    study.write("sim_c.py", F.replace("def f", "def g"))
    simkit.run(study.module("sim_c.py").g, output="c.h5").close()
    assert refused("m.h5", "a.h5", "c.h5").startswith("a.h5 holds f, the other files g\n")
    assert not Path("m.h5").exists()


def test_pypet_merge_of_different_constants_explores_them(make, merge, study):
    make("a.h5", product(x=[1.0, 2.0]), TEXT, seed=1)
    make("b.h5", product(x=[1.0, 2.0]), TEXT, seed=2, set={"k": 5})
    with pytest.warns(UserWarning, match="k: different in the files, so explored in the merged one"):
        merged = simkit.merge("m.h5", "a.h5", "b.h5")
    assert merged.explored == ("x", "k")
    assert merged["k"].tolist() == [1, 1, 5, 5]
    assert merged["twice"].tolist() == [2, 2, 10, 10]  # what follows from it varies too
    assert merged.describe("k").explored
    assert not merged.describe("twice").explored
    merged.close()
    points = explore(x=[1.0, 2.0, 1.0, 2.0, 3.0], k=[1, 1, 5, 5, 7])
    with study.run(TEXT, space=points) as more:
        assert len(more) == 5  # a trajectory of its own
    with study.run(TEXT, space=points, into="m.h5") as more:
        assert more["z"].tolist() == [2.0, 4.0, 10.0, 20.0, 42.0]
        assert more.source(3) == ("b.h5", 1)
        assert more.source(4) == ("m.h5", 4)


# Duplicates and unfinished runs


def test_a_run_done_twice_is_an_error_that_names_both(make):
    make("a.h5", product(x=[1.0, 2.0, 3.0]))
    make("b.h5", product(x=[0.0, 2.0, 3.0]))
    told = refused("m.h5", "a.h5", "b.h5").splitlines()
    assert told[0] == "run 1 of b.h5 is done in a.h5 too, as run 1 (2 such runs)"
    assert told[1] == "    x=2.0"
    assert "--duplicates first" in told[2]
    assert "--duplicates all" in told[3]
    assert refused("m.h5", "a.h5", "b.h5", duplicates="frist").startswith(
        "duplicates='frist': write error, first, all; did you mean 'first'?"
    )


def test_a_done_run_takes_the_place_of_one_that_failed(make, merge, study):
    bad = F.replace('    return {"z"', '    assert x != 2.0, "not two"\n    return {"z"')
    make("a.h5", product(x=[1.0, 2.0, 3.0]), bad)
    make("b.h5", product(x=[2.0, 4.0]))
    merged = merge("m.h5", "a.h5", "b.h5")
    assert merged.status.tolist() == ["done"] * 4
    assert merged["x"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert merged["z"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert merged.source(1) == ("b.h5", 0)
    assert merged.error(1) == ""
    other_way = merge("n.h5", "b.h5", "a.h5")
    assert other_way["x"].tolist() == [2.0, 4.0, 1.0, 3.0]
    assert other_way.status.tolist() == ["done"] * 4


def test_points_that_repeat_without_trials_match_one_by_one(make, merge):
    make("a.h5", explore(x=[1.0, 1.0, 2.0]), DRAWS, seed=1)
    make("b.h5", explore(x=[1.0, 2.0, 1.0, 1.0]), DRAWS, seed=2)
    merged = merge("m.h5", "a.h5", "b.h5", duplicates="first")
    assert merged["x"].tolist() == [1.0, 1.0, 2.0, 1.0]
    assert merged.source(3) == ("b.h5", 3)
    make("c.h5", explore(x=[2.0, 1.0]), DRAWS, seed=3)  # no point twice there
    assert len(merge("n.h5", "a.h5", "c.h5", duplicates="first")) == 3
    assert len(merge("o.h5", "c.h5", "a.h5", duplicates="first")) == 3


def test_points_in_another_order_find_their_places(make, merge):
    bad = F.replace('    return {"z"', '    assert x > 500, "small"\n    return {"z"')
    order = np.random.default_rng(1).permutation(1000).astype(float)
    make("a.h5", explore(x=np.arange(1000.0)), bad)
    make("b.h5", explore(x=order), F.replace('    return {"z"', '    assert x <= 500\n    return {"z"'))
    merged = merge("m.h5", "a.h5", "b.h5")
    assert (merged.status == "done").all()
    assert np.array_equal(merged["z"], np.arange(1000.0))
    assert merged.source(7) == ("b.h5", int(np.flatnonzero(order == 7.0)[0]))
