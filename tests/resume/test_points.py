"""Continuing: which points are done, which are new, and where they stand."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from identity import identical

import simkit
from simkit import explore, morris, product, saltelli, sample
from simkit.analyse.diff import diff
from simkit.collect.collection import plan_of
from simkit.errors import SimkitError
from simkit.record.recorded import Recorded
from simkit.resume.continuing import decide
from simkit.resume.points import continued_points
from simkit.study.session import StudyOptions


@pytest.fixture
def go(tmp_path):
    """Run ``f`` over a space into one file; gives the declared columns, the status, and which runs were made."""
    made = []

    def f(x, y=0, fail=False):
        made.append(x)
        if str(x) in failing.read_text().split():
            raise ValueError(x)
        return {"z": 1}

    failing = tmp_path / "failing"  # outside of the rootdir: no input

    def run(space, *, fail=(), **options):
        failing.write_text(" ".join(map(str, fail)))
        made.clear()
        with simkit.run(f, space, output=tmp_path / "f.h5", seed=1, **options) as traj:
            return list(traj["x"]), traj.status.tolist(), list(made)

    return run


def test_nothing_new_runs_nothing(go):
    assert go(product(x=[1, 2]))[2] == [1, 2]
    assert go(product(x=[1, 2])) == ([1, 2], ["done"] * 2, [])


def test_points_at_the_end_are_appended(go):
    go(product(x=[1, 2]))
    assert go(product(x=[1, 2, 3, 4])) == ([1, 2, 3, 4], ["done"] * 4, [3, 4])


def test_planning_many_sampled_points_takes_the_memory_of_a_block(tmp_path):
    """That of a million in six dimensions was asked to be below 200 MB."""

    def f(a, b, c, d, e, f):
        return a

    vectorized = simkit.experiment(vectorized=True)(f)

    def planned(count):
        plan, project = plan_of(vectorized, sample(count, **dict.fromkeys("abcdef", (0, 1)), seed=4), {})
        options = StudyOptions(0, None, tmp_path / "f.h5", False, None, None)
        tracemalloc.start()
        try:
            points = decide(plan, options.settings(project, "test")).points
            return len(points.todo), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    todo, peak = planned(2**20)
    assert todo == 2**20
    assert peak < 1e6  # none is drawn
    space = sample(2**17, **dict.fromkeys("abcdef", (0, 1)), seed=4)
    simkit.run(vectorized, space, output=tmp_path / "f.h5").close()
    todo, peak = planned(2**17 + 100)
    assert todo == 100
    assert peak < 25e6  # of a million 18e6: they are compared by blocks


def test_points_in_the_middle_are_appended_too(go):
    go(product(x=[1, 4]))
    assert go(product(x=[1, 2, 4, 3])) == ([1, 4, 2, 3], ["done"] * 4, [2, 3])
    assert go(product(x=[1, 2, 4, 3])) == ([1, 4, 2, 3], ["done"] * 4, [])


def test_another_order_of_the_same_points_runs_nothing(go):
    go(product(x=[1, 2, 3]))
    assert go(product(x=[3, 1, 2])) == ([1, 2, 3], ["done"] * 3, [])


def test_points_that_are_gone_stay_recorded_and_come_back(go):
    go(product(x=[1, 2, 3]))
    assert go(product(x=[2])) == ([1, 2, 3], ["done"] * 3, [])
    assert go(product(x=[2, 9])) == ([1, 2, 3, 9], ["done"] * 4, [9])
    assert go(product(x=[3, 1])) == ([1, 2, 3, 9], ["done"] * 4, [])


def test_failed_runs_run_again_and_done_ones_do_not(go):
    assert go(product(x=[1, 2, 3]), fail=[2])[1] == ["done", "failed", "done"]
    assert go(product(x=[1, 2, 3])) == ([1, 2, 3], ["done"] * 3, [2])


def test_failed_runs_that_are_gone_do_not_run_again(go):
    go(product(x=[1, 2, 3]), fail=[2])
    assert go(product(x=[1, 3, 4])) == ([1, 2, 3, 4], ["done", "failed", "done", "done"], [4])


def test_equal_points_are_told_apart_by_their_occurrence(go):
    assert go(explore(x=[1, 1, 2]))[2] == [1, 1, 2]
    assert go(explore(x=[1, 2, 1, 1])) == ([1, 1, 2, 1], ["done"] * 4, [1])
    assert go(explore(x=[1])) == ([1, 1, 2, 1], ["done"] * 4, [])


def test_trials_can_grow(go):
    go(product(x=[1, 2]).repeat(2))
    assert go(product(x=[1, 2]).repeat(3)) == ([1, 1, 2, 2, 1, 2], ["done"] * 6, [1, 2])


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ([1, 2], [1.0, 2.0]),
        ([0.0, math.nan], [-0.0, -math.nan]),
        (np.linspace(0, 1, 5), np.linspace(0, 1, 5).tolist()),
        (np.array([1], "i4"), np.array([1], "i8")),
        ([1], np.array([1])),
        (np.array([0.5], "f4"), [0.5]),
        ([2**70, 2**64 - 1], [float(2**70), np.uint64(2**64 - 1)]),
        ([1 + 0j], [1]),
        ([True], np.array([True])),
        (["a", ""], np.array(["a", ""])),
        ([1, "a", None], [1.0, "a", None]),
    ],
)
def test_numbers_and_texts_of_another_type_are_the_same_points(go, first, then):
    go(explore(x=first))
    assert go(explore(x=then))[2] == []
    columns, _, made = go(explore(x=[*then, "new"]))
    assert made == ["new"]
    assert identical(columns, [*first, "new"])


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ([1, 0], [True, False]),
        (["1"], [1]),
        ([""], [0]),
        ([b"a"], ["a"]),
        ([(1, 2)], [[1, 2]]),
        ([(1, 2)], [(1.0, 2.0)]),
        ([0.1], np.array([0.1], "f4")),
        ([2**53], [2**53 + 1]),
        ([2**53 + 1], [-(2**53) - 1]),
        ([2**70], [2**70 + 1]),
        (np.array([0], "M8[D]"), np.array([0], "M8[s]")),
        ([np.zeros(1)], [np.zeros(1, "i8")]),
    ],
)
def test_points_of_another_value_are_new_points(go, first, then):
    go(explore(x=first))
    assert len(go(explore(x=then))[2]) == len(then)


def test_a_zero_is_one_point_whatever_its_sign(tmp_path):
    """To the record, the grid, among two trajectories, and when they are merged."""

    def f(x, y):
        return x + y

    one, other = tmp_path / "one.h5", tmp_path / "other.h5"
    simkit.run(f, product(x=[-0.0, 1.0], y=[1, 2]), output=one, seed=1).close()
    simkit.run(f, product(x=[0.0, 1.0], y=[1, 2, 3]), output=other, seed=1).close()
    points = diff(Recorded.open(one), Recorded.open(other)).points
    assert [runs.tolist() for runs in points.common] == [[0, 1, 2, 3], [0, 1, 3, 4]]
    with pytest.raises(SimkitError, match=r"run 0 of .* is done in .* too, as run 0"):
        simkit.merge(tmp_path / "all.h5", one, other)
    with pytest.warns(UserWarning, match="4 done runs were done before"):
        merged = simkit.merge(tmp_path / "all.h5", one, other, duplicates="first")
    with merged:
        assert len(merged) == 6
    with simkit.run(f, product(x=[0.0, 1.0], y=[1, 2, 3]), output=one, seed=1) as traj:
        assert len(traj) == 6
        assert dict(traj.to_xarray().sizes) == {"x": 2, "y": 3}
        assert traj.grid("result").values.tolist() == [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]


@pytest.mark.parametrize(
    "axis",
    [
        [math.nan, 1.0],
        [None, "a", 2.5],
        [np.zeros(2), np.ones(3)],
        np.arange(6).reshape(3, 2),
        [{"a": 1}, {"b": [2]}],
        [2**70, 3],
        np.array(["2020-01-01", "NaT"], "M8[D]"),
        ["a\0", "\ud800"],
        [1j, 2j],
        np.array([1, 2], "f2"),
    ],
)
def test_values_of_every_kind_are_recognized(tmp_path, axis):
    def f(x):
        return 1

    for n in (len(axis) - 1, len(axis), len(axis)):
        with simkit.run(f, explore(x=axis[:n]), output=tmp_path / "f.h5") as traj:
            assert len(traj) == n
    with simkit.run(f, explore(x=axis[::-1]), output=tmp_path / "f.h5") as traj:
        assert len(traj) == len(axis)


def test_a_value_inserted_into_the_slow_axis_keeps_the_grid_of_names(tmp_path):
    def f(x, y):
        return 10 * x + y

    for xs in ([1, 3], [1, 2, 3]):
        with simkit.run(f, product(x=xs, y=[5, 6]), output=tmp_path / "f.h5") as traj:
            found = list(zip(traj["x"].tolist(), traj["y"].tolist(), traj["result"].tolist(), strict=True))
    assert found == [(1, 5, 15), (1, 6, 16), (3, 5, 35), (3, 6, 36), (2, 5, 25), (2, 6, 26)]


def test_a_sum_with_an_absent_name_is_continued(tmp_path):
    def f(x, y=7):
        return x * y

    made = []
    for space in (explore(x=[1]) + explore(x=[2], y=[3]), explore(x=[1, 5]) + explore(x=[2], y=[3])):
        with simkit.run(f, space, output=tmp_path / "f.h5") as traj:
            made.append((traj["x"].tolist(), traj["y"].tolist(), traj["result"].tolist()))
    assert made == [([1, 2], [7, 3], [7, 6]), ([1, 2, 5], [7, 3, 7], [7, 6, 35])]


def test_a_sum_whose_normal_value_is_computed_is_continued(study):
    text = """
        from simkit import experiment, parameter

        @parameter
        def y(x):
            return 10 * x

        @experiment
        def f(x, y):
            return x + y
        """
    for xs in ([1], [1, 2]):
        with study.run(text, space=explore(x=xs) + explore(x=[3], y=[4])) as traj:
            found = sorted(zip(traj["x"].tolist(), traj["y"].tolist(), traj["result"].tolist(), strict=True))
    assert found == [(1, 10, 11), (2, 20, 22), (3, 4, 7)]


def test_another_set_of_explored_names_is_another_trajectory(study):
    text = "def f(x=1, y=2):\n    return x + y\n"
    paths = [
        study.run(text, space=space).path.name
        for space in (product(x=[1]), product(y=[1]), product(x=[1, 2]))
    ]
    assert paths == ["f-001.h5", "f-002.h5", "f-001.h5"]


def test_another_constant_or_code_is_another_trajectory(study):
    text = "def f(x, y=2):\n    return x + y\n"
    space = product(x=[1])
    names = [
        study.run(text, space=space, **options).path.name
        for options in ({}, {"set": {"y": 3}}, {}, {"fresh": True})
    ]
    assert names == ["f-001.h5", "f-002.h5", "f-001.h5", "f-003.h5"]


def test_a_trajectory_without_a_done_run_is_started_again(study):
    first = study.run("def f(x, y=2):\n    raise ValueError\n", space=product(x=[1]))
    first.close()
    second = study.run("def f(x, y=2):\n    raise ValueError\n", space=product(x=[1]), set={"y": 3})
    assert second.path == first.path
    assert second.parameters.y == 3


@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), min_size=2, max_size=3))
def test_whatever_is_declared_each_point_is_recorded_once_per_occurrence(tmp_path_factory, axes):
    path = tmp_path_factory.mktemp("points") / "f.h5"

    def f(x):
        return 2 * x

    recorded: list[int] = []
    for axis in axes:
        with simkit.run(f, explore(x=axis), output=path) as traj:
            now = traj["x"].tolist()
            assert traj["result"].tolist() == [2 * x for x in now]
        assert now[: len(recorded)] == recorded
        assert all(now.count(x) == max(recorded.count(x), axis.count(x)) for x in range(6))
        recorded = now


# Points that are drawn


@pytest.mark.parametrize("method", ["sobol", "halton", "random"])
def test_a_grown_sample_runs_the_new_points_only(go, method):
    few = go(sample(5, x=(0, 1), y=[1, 2, 3], method=method))
    assert few == (few[2], ["done"] * 5, few[2])
    many = go(sample(8, x=(0, 1), y=[1, 2, 3], method=method))
    assert many[0][:5] == few[0]
    assert many[2] == many[0][5:]


def test_a_sample_beside_trials_is_recorded_and_continued(go):
    space = product(x=[1, 2]).repeat(2) + sample(2, x=(3, 4))
    first = go(space)
    assert first[1] == ["done"] * 6
    assert go(space) == (first[0], first[1], [])


@pytest.mark.parametrize("make", [saltelli, morris])
def test_a_grown_design_goes_on_and_another_begins_anew(tmp_path, make):
    def f(x, y):
        return x + y

    def run(n, **options):
        space = make(n, x=(0, 1), y=(1, 2), **options)
        with simkit.run(f, space, output=tmp_path / "f.h5", seed=1) as traj:
            return traj.name, len(traj), traj["block"].tolist(), traj["role"].tolist()

    name, length, blocks, roles = run(2)
    assert run(4)[:2] == (name, 2 * length)
    assert run(4)[2][:length] == blocks
    assert run(4)[3][:length] == roles
    assert run(4, seed=1)[0] != name


def test_a_design_of_second_order_adds_its_points_to_the_blocks_that_are_done(go):
    few = go(saltelli(2, x=(0, 1), y=(1, 2)))
    more = go(saltelli(2, x=(0, 1), y=(1, 2), second_order=True))
    assert more[0][: len(few[0])] == few[0]
    assert len(more[2]) == 4


# Points that come and go

SQUARE = "def f(x):\n    return {'r': x * x}\ndef g(x, y):\n    return {'r': x + y}\n"


def continued(function, *values, **more):
    """A study of these points continued; all of them, and those that are declared."""
    with simkit.run(function, simkit.explore(x=list(values), **more)) as traj:
        return traj["x"].tolist(), traj.where(declared=True)["x"].tolist()


def test_points_that_are_not_declared_any_more_are_told_apart(study):
    study.write("sim_a.py", SQUARE)
    f = study.module("sim_a.py").f
    assert continued(f, 1, 2, 3) == ([1, 2, 3], [1, 2, 3])
    assert continued(f, 1, 3) == ([1, 2, 3], [1, 3])  # nothing to run
    assert continued(f, 1, 3, 4) == ([1, 2, 3, 4], [1, 3, 4])
    assert continued(f, 1, 2, 3, 4, 5) == ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    assert continued(f, 5) == ([1, 2, 3, 4, 5], [5])
    with simkit.open("f") as traj:
        assert traj.where(declared=False)["r"].tolist() == [1, 4, 9, 16]
        assert traj.where("x > 2").where(declared=True)["x"].tolist() == [5]


def test_points_that_are_gone_are_said(project):
    project.file(
        "sim_a.py", "from simkit import experiment, explore\n@experiment\n@explore(x=[1, 2, 3])\n" + SQUARE
    )
    project.ok("-n", "0")
    for _ in range(2):
        told = project.ok("-n", "0", "--explore", "x=1,2").out
        assert (
            "1 recorded run is not declared any more, and stays in the file: traj.where(declared=True)"
            in told
        )


def test_the_same_points_in_another_form_are_the_same(study):
    study.write("sim_a.py", SQUARE)
    f = study.module("sim_a.py").f
    for values in ([0, 1, 2], [0.0, 1.0, 2.0], np.linspace(0, 2, 3), np.array([0, 1, 2], "u1"), range(3)):
        simkit.run(f, simkit.explore(x=values)).close()
    with simkit.open("f") as traj:
        assert traj["x"].tolist() == [0, 1, 2]


def test_new_points_that_are_recorded_ones_but_for_rounding(study):
    study.write("sim_a.py", SQUARE)
    module = study.module("sim_a.py")
    plan, _ = plan_of(module.f, simkit.explore(x=[0.3, 1.0, 5.0]), {})

    def remarks(function, space):
        with simkit.open(function.__name__) as traj:
            return continued_points(plan_of(function, space, {})[0], traj._selection.recorded).remarks

    assert continued(module.f, 0.3, 1, 5)[0] == [0.3, 1, 5]
    (near,) = remarks(module.f, simkit.explore(x=[0.3, 1, 5, 0.1 + 0.2]))
    assert near.startswith(
        "1 new point is within 1e-9 of a recorded one, and run beside it: run 0 has x=0.3, now"
    )
    gone, near = remarks(module.f, simkit.explore(x=[0.1 + 0.2, 1 - 1e-16, 5 + 1e-8]))
    assert gone.startswith("3 recorded runs are not declared")
    assert near.startswith("2 new points are within 1e-9")
    simkit.run(module.g, simkit.product(x=[0.3, 1.0], y=[1, 2])).close()
    assert remarks(module.g, simkit.product(x=[0.3, 1.0, 2.0], y=[1, 2])) == ()
    gone, near = remarks(module.g, simkit.product(x=[0.1 + 0.2, 1.0], y=[1, 2]))
    assert near.startswith("2 new points are within 1e-9")
    assert plan.space.names == ("x",)
