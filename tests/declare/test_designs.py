from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import qmc

from simkit import SimkitError, morris, product, saltelli
from simkit.declare.forms import BLOCK_NUMBER, ROLE

AXES = {"x": (0, 1), "y": (-1.0, 1.0), "k": [1, 2, 4]}


def marks(space) -> tuple[list[int], list[int]]:
    columns = space.at(np.arange(len(space)))
    return columns[BLOCK_NUMBER].array.tolist(), columns[ROLE].array.tolist()


# Saltelli's design


@pytest.mark.parametrize("second", [False, True])
def test_the_points_are_those_of_salib(second):
    from SALib.sample import sobol

    problem = {"num_vars": 3, "names": ["x", "y", "z"], "bounds": [[0, 1], [-1, 1], [2, 5]]}
    expected = sobol.sample(problem, 64, calc_second_order=second, seed=np.random.default_rng(7))
    space = saltelli(64, x=(0, 1), y=(-1, 1), z=(2, 5), second_order=second, seed=7)
    np.testing.assert_allclose(np.stack(list(space.columns().values()), 1), expected, rtol=1e-14)


def test_each_run_knows_its_block_and_its_role():
    blocks, roles = marks(saltelli(2, x=(0, 1), y=(0, 1)))
    assert blocks == [0] * 4 + [1] * 4
    assert roles == [0, 1, 2, 3] * 2
    assert marks(saltelli(1, x=(0, 1), y=(0, 1), second_order=True))[1] == [0, 1, 2, -1, -2, 3]


def test_a_role_says_which_row_each_value_is_from():
    unit = qmc.Sobol(4, rng=0).random(1)[0]
    (ax, ay), (bx, by) = unit[:2], unit[2:]
    rows = [tuple(p.values()) for p in saltelli(1, x=(0, 1), y=(0, 1), second_order=True)]
    assert rows == [(ax, ay), (bx, ay), (ax, by), (ax, by), (bx, ay), (bx, by)]


def test_block_and_role_are_no_names_of_the_space():
    space = saltelli(4, block=(0, 1), role=(1, 2))
    assert space.names == ("block", "role")
    assert set(space[0]) == set(space.columns()) == set(space.to_dataframe().columns) == {"block", "role"}


def test_growing_keeps_the_first_blocks_and_second_order_adds_points_to_each():
    few, many = saltelli(4, AXES), saltelli(8, AXES)
    assert list(many)[: len(few)] == list(few)
    more = saltelli(4, AXES, second_order=True)
    assert [p for p, role in zip(more, marks(more)[1], strict=True) if role >= 0] == list(few)
    assert few.form.design == many.form.design == more.form.design
    assert few.form.design != saltelli(4, AXES, seed=1).form.design


# Morris' design


@given(d=st.integers(2, 6), levels=st.sampled_from([2, 4, 6]), seed=st.integers(0, 99))
def test_a_block_changes_one_name_after_the_other_by_half_the_levels(d, levels, seed):
    names = [f"x{i}" for i in range(d)]
    space = morris(5, dict.fromkeys(names, (0, 1)), levels=levels, seed=seed)
    table = np.stack(list(space.columns().values()), 1).reshape(5, d + 1, d)
    roles = np.reshape(marks(space)[1], (5, d + 1))
    grid = np.round(table * (levels - 1), 9)
    assert (grid == np.round(grid)).all()
    assert grid.min() >= 0
    assert grid.max() <= levels - 1
    for points, role in zip(table, roles, strict=True):
        assert role[0] == 0
        assert sorted(np.abs(role[1:])) == list(range(1, d + 1))
        for step, change in enumerate(np.diff(points, axis=0), 1):
            (changed,) = np.flatnonzero(change)
            assert changed == abs(role[step]) - 1
            assert change[changed] == pytest.approx(np.sign(role[step]) * levels / 2 / (levels - 1))


def test_growing_keeps_the_first_trajectories():
    few, many = morris(4, AXES, seed=3), morris(9, AXES, seed=3)
    assert list(many)[: len(few)] == list(few)
    assert many.at(np.array([9, 35]))["x"].array.tolist() == many.columns()["x"][[9, 35]].tolist()


def test_a_discrete_distribution_reaches_both_of_its_ends():
    values = {p["k"] for p in morris(20, x=(0, 1), k=stats.randint(3, 9))}
    assert min(values) == 3
    assert max(values) == 8


def test_a_distribution_without_ends_is_refused():
    with pytest.raises(SimkitError, match=r"w=Normal\(mu=0.0, sigma=1.0\) has no ends") as error:
        morris(8, x=(0, 1), w=stats.Normal(mu=0, sigma=1))
    assert "cut the tails off: scipy.stats.truncate(" in str(error.value)
    assert "test_designs.py:" in str(error.value)
    morris(8, x=(0, 1), w=stats.truncate(stats.Normal(mu=0, sigma=1), lb=-2, ub=2))


# Both


@pytest.mark.parametrize("space", [saltelli(3, AXES, second_order=True), morris(3, AXES)])
def test_designs_are_combined_like_any_space(space):
    n = len(space)
    assert marks(product(m=["a", "b"]) * space) == tuple(each * 2 for each in marks(space))
    assert marks(space.repeat(2))[1] == [role for role in marks(space)[1] for _ in range(2)]
    both = space + product(x=[0.5])
    assert marks(both)[0] == [*marks(space)[0], -1]
    assert both.optional == {"y", "k"}
    assert marks(both.where("x == 0.5 and x < 9"))[0][-1] == -1
    assert marks(pickle.loads(pickle.dumps(space))) == marks(space)
    assert list(pickle.loads(pickle.dumps(space))) == list(space)
    assert len(space) == n


@pytest.mark.parametrize("make", [saltelli, morris])
def test_two_designs_can_not_be_multiplied(make):
    with pytest.raises(SimkitError, match="can't be multiplied with another"):
        make(4, x=(0, 1), y=(0, 1)) * saltelli(4, a=(0, 1), b=(0, 1))


@pytest.mark.parametrize("make", [saltelli, morris])
@pytest.mark.parametrize(
    ("arguments", "axes", "text"),
    [
        ((4,), {"x": (0, 1)}, "() tells names apart: give it two at least, and not only x"),
        ((4,), {}, "() needs its axes: give each its name"),
        (
            (4.0,),
            {"x": (0, 1)},
            "(4.0): it is no whole number from 1 on\n    the number of blocks comes first",
        ),
        ((4,), {"x": (1, 0), "y": (0, 1)}, "x=(1, 0) has its ends the wrong way round"),
        ((4,), {"x": (1, 0), "y": (0, 1), "seed": -1}, "x=(1, 0) has its ends the wrong way round"),
        ((4,), {"x": (0, 1), "y": (0, 1), "seed": -1}, "seed=-1: give a whole number from 0 on"),
    ],
)
def test_what_is_no_design_is_an_error(make, arguments, axes, text):
    with pytest.raises(SimkitError) as error:
        make(*arguments, **axes)
    assert text in str(error.value)
    assert "test_designs.py:" in str(error.value)


@pytest.mark.parametrize("levels", [3, 0, 4.0, True, None])
def test_levels_are_an_even_number(levels):
    with pytest.raises(SimkitError, match=r"give an even number from 2 on"):
        morris(4, AXES, levels=levels)


def test_second_order_is_yes_or_no():
    with pytest.raises(SimkitError, match="second_order=2: give True or False"):
        saltelli(4, AXES, second_order=2)
