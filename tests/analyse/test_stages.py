"""`each` as a space: which runs, which groups, and what is wrong with them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import simkit
from simkit import SimkitError, each, experiment, explore, product


@experiment
def build(x, kind="a", n=3):
    if x == 5:
        raise ValueError(x)
    return {"z": np.arange(n) * x, "mean": float(x)}


def use(build, drive=1.0):
    return {"sum": drive * build.z.sum()}


def either(drive, build=None):
    return {"sum": drive * (0 if build is None else build.z.sum())}


def noisy(build, rng):
    return {"y": build.mean + rng.normal()}


def gather(build):
    return {"runs": build.index.tolist(), "means": build["mean"].tolist()}


@pytest.fixture
def source(record):
    return record(build, product(x=[1, 2, 3], kind=["a", "b"]))


def test_there_is_a_point_for_each_run_with_what_was_explored(source):
    space = each(source)
    assert list(space) == [{"x": x, "kind": kind} for x in (1, 2, 3) for kind in "ab"]
    assert repr(space) == "<Space of 6 points: x, kind>"
    assert space.names == ("x", "kind")
    assert list(each(source.path)) == list(each(str(source.path))) == list(space)
    assert len(each(source, where="mean > 1.5 and kind == 'a'")) == 2
    assert len(each(source, where=lambda z: z.sum() > 3)) == 4
    assert len(each(source.where("x < 3"))) == 4
    assert list(pickle.loads(pickle.dumps(space))) == list(space)


def test_a_run_gets_that_run_by_natural_naming(source, record):
    traj = record(use, each(source) * product(drive=[1.0, 2.0]))
    assert traj["sum"].tolist() == [d * x * 3 for x in (1, 1, 2, 2, 3, 3) for d in (1.0, 2.0)]
    assert traj["build.run"].tolist() == np.repeat(np.arange(6), 2).tolist()
    assert traj.explored == ("x", "kind", "drive")
    assert traj.replay(7) == {"sum": 12.0}


def test_groups_are_trajectories_in_order_of_their_first_runs(source, record):
    traj = record(gather, each(source, by="kind"))
    assert list(traj["runs"]) == [[0, 2, 4], [1, 3, 5]]
    assert traj["kind"].tolist() == ["a", "b"]
    assert [runs.tolist() for runs in traj["build.runs"]] == [[0, 2, 4], [1, 3, 5]]
    both = each(source, by=["kind", "x"], where="x > 1")
    assert list(both) == [{"kind": kind, "x": x} for x in (2, 3) for kind in "ab"]
    assert list(each(source, by="n")) == [{"n": 3}]
    whole = record(gather, each(source, by=[]))
    assert (len(whole), whole["means"].item()) == (1, [1.0, 1.0, 2.0, 2.0, 3.0, 3.0])


def test_groups_agree_with_pandas(record):
    def drawn(x, rng):
        return {"z": rng.normal()}

    source = record(drawn, product(x=[0.1, 2, 2.0, None, "a", 0.1]).repeat(3), seed=1)
    spaces = {"x": 4, "trial": 3}
    assert {by: len(each(source, by=by)) for by in spaces} == spaces
    assert len(each(source, by=["x", "trial"])) == 12
    assert sorted(map(len, each(source, by="x").columns()["x"].reshape(-1, 1).tolist())) == [1, 1, 1, 1]


def test_a_sum_may_leave_the_run_to_its_default(source, record):
    traj = record(either, each(source, where="x == 3") * product(drive=[1.0]) + product(drive=[7.0]))
    assert traj["sum"].tolist() == [9.0, 9.0, 0.0]
    assert np.ma.getmaskarray(traj["build.run"]).tolist() == [False, False, True]
    assert traj.replay(2) == {"sum": 0.0}
    assert traj.replay(1) == {"sum": 9.0}


def test_runs_may_be_repeated_and_repeated_until(source, record):
    traj = record(noisy, each(source, where="x == 1").repeat(3), seed=1)
    assert traj["trial"].tolist() == [0, 1, 2, 0, 1, 2]
    space = each(source, where="x == 1").repeat(2, until="sem(y) < 0.2 * x", most=30)
    more = record(noisy, space, seed=1)
    assert len(more) > 4
    assert set(more["build.run"].tolist()) == {0, 1}
    assert more.replay(len(more) - 1)["y"] == more["y"][-1]


def test_only_done_runs_count_and_a_run_that_is_missing_is_said(record):
    with pytest.warns(UserWarning, match="1 of 2 runs not done"):
        source = record(build, explore(x=[4, 5]))
    assert list(each(source)) == [{"x": 4}]
    with pytest.raises(SimkitError, match="is not complete: 1 failed\n    complete it: "):
        record(use, each(source))
    with pytest.raises(SimkitError) as refused:  # there is no command that could go on all the same
        record(use, each(source.path, where="x > 0"))
    assert f"are done: each(simkit.open('{source.path}').where(status='done'), …)" in str(refused.value)
    assert f"simkit {source.info.node_id} --output {source.path}\n" in str(refused.value)
    done = simkit.open(source.path).where(status="done")
    assert record(use, each(done, where="x > 0"))["sum"].tolist() == [12.0]
    assert record(use, each(source, where="x < 5"))["sum"].tolist() == [12.0]
    assert record(use, each(source.where(status="done")))["sum"].tolist() == [12.0]
    with pytest.raises(SimkitError, match="is not complete"):  # nobody knows whether it would match
        record(use, each(source, where="mean < 5"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda source: each(3), r"each\(3\): that is no experiment\n    give a function with @experiment"),
        (lambda source: each(use), r"each\(use\): that is no experiment"),
        (lambda source: len(each("nowhere.h5")), r"there is no file .*nowhere.h5"),
        (lambda source: len(each(source, where="xx > 1")), "unknown name 'xx'; did you mean 'x'"),
        (
            lambda source: len(each(source, by="y")),
            "'y' is no parameter of these runs\n    parameters: n, x, kind",
        ),
        (lambda source: each(source) * each(source), "explored twice: build, kind, x"),
        (lambda source: each(source) * product(x=[1]), "explored twice: x"),
        (lambda source: (each(source) + each(source, by="x")).feeds, "one run at some points"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(source, make, words):
    with pytest.raises(SimkitError, match=words) as error:
        make(source)
    assert "test_stages.py:" in str(error.value) or "one run at some" in words


def test_what_nobody_asks_for_is_an_error(source, record):
    def blind(drive):
        return drive

    with pytest.raises(SimkitError, match="'build' is explored, but nothing in experiment blind uses it"):
        record(blind, each(source) * product(drive=[1.0]))


def test_a_name_that_comes_along_must_not_have_a_value_of_its_own(study):
    study.write(
        "simconf.py",
        "from simkit import parameter\n@parameter\nclass Net:\n    size: int = 5\n    p: float = 0.5\n",
    )
    study.write(
        "sim_a.py",
        """
        from simkit import each, experiment, parameter, product

        @experiment
        @product({"net.size": [2, 3]}, x=[1.0])
        def build(net, x):
            return {"cells": net.size * x}

        @experiment
        @each(build)
        def shares(build, net):
            return {"same": net.size == build.net.size, "x": build.x}

        @experiment
        @each(build)
        def clashes(build, x=7.0):
            return x
        """,
    )
    with pytest.raises(SimkitError) as error:
        study.collect("sim_a.py::clashes")
    first, *more = str(error.value).splitlines()
    assert first.startswith("default of experiment clashes (sim_a.py:")
    assert "'x' is explored by the runs of build (sim_a.py:" in first
    assert more == [
        "    the value that each of those runs had is build.x too",
        "    give one of the two 'x' another name, or let both come from one provider in a simconf.py",
    ]
    module = study.module("sim_a.py")
    simkit.run(module.build).close()
    with simkit.run(module.shares) as traj:
        assert traj["same"].tolist() == [True, True]
        assert traj["net.size"].tolist() == [2, 3]


def test_a_provider_that_stands_below_the_stages_is_shared_by_them(study):
    study.write(
        "sim_a.py",
        """
        from simkit import each, experiment, parameter, product

        @experiment
        @product({"net.size": [2, 3]})
        def build(net):
            return {"cells": net.size}

        @experiment
        @each(build)
        def use(build, net, scale):
            return {"same": net.size == build.net.size, "scale": scale}

        @parameter
        class Net:
            size: int = 5

        @parameter
        def scale(net):
            return net.size / 10
        """,
    )
    (_, item) = study.collect("sim_a.py")
    assert item.plan.name == "use"
    module = study.module("sim_a.py")
    simkit.run(module.build).close()
    with simkit.run(module.use) as traj:
        assert traj["same"].tolist() == [True, True]
        assert traj["scale"].tolist() == [0.2, 0.3]


def test_an_after_can_not_have_what_differs_between_runs(study):
    study.write(
        "sim_a.py",
        """
        from simkit import after, each, experiment, product

        @experiment
        @product(x=[1])
        def build(x): ...

        @experiment
        @each(build)
        def f(build): ...

        @after(f)
        def mean(trajectory, build): ...
        """,
    )
    with pytest.raises(SimkitError, match="needs 'build', which is another one for each run"):
        study.collect("sim_a.py")


def test_without_its_points_a_run_is_nothing(study):
    study.write(
        "sim_a.py",
        """
        from simkit import each, experiment, product

        @experiment
        @product(x=[1])
        def build(x):
            return x

        @experiment
        @each(build)
        def use(build, drive=1):
            return build.result
        """,
    )
    module = study.module("sim_a.py")
    with pytest.raises(SimkitError, match="use needs 'build', but nothing provides it"):
        simkit.run(module.use, product(drive=[1, 2]))
