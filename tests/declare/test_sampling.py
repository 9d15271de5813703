from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import qmc

from simkit import SimkitError, Space, explore, product, sample
from simkit.declare.sampling import Sequence

METHODS = ("sobol", "halton", "lhs", "random")


def column(space: Space, name: str) -> list[Any]:
    return [point[name] for point in space]


# The points are SciPy's


@pytest.mark.parametrize(
    ("method", "engine"), [("sobol", qmc.Sobol), ("halton", qmc.Halton), ("lhs", qmc.LatinHypercube)]
)
def test_the_points_are_those_of_scipys_engine_to_the_last_bit(method, engine):
    expected = qmc.scale(engine(3, rng=5).random(64), [0, -1, 2], [1, 1, 5])
    columns = sample(64, x=(0, 1), y=(-1, 1), z=(2, 5), method=method, seed=5).columns()
    np.testing.assert_array_equal(np.stack([columns["x"], columns["y"], columns["z"]], 1), expected)


def test_random_points_are_those_of_numpys_generator():
    columns = sample(50, x=(0, 1), y=(0, 1), method="random", seed=3).columns()
    expected = np.random.default_rng(3).random((50, 2))
    np.testing.assert_array_equal(np.stack(list(columns.values()), 1), expected)


@pytest.mark.parametrize("method", ["sobol", "halton", "random"])
def test_growing_keeps_the_first_points(method):
    few, many = (sample(n, x=(0, 1), w=stats.norm(0, 2), method=method, seed=1) for n in (256, 512))
    for name in ("x", "w"):
        np.testing.assert_array_equal(few.columns()[name], many.columns(0, 256)[name])


def test_another_seed_gives_other_points():
    assert sample(4, x=(0, 1), seed=1)[0] != sample(4, x=(0, 1), seed=2)[0]
    assert sample(4, x=(0, 1))[0] == sample(4, x=(0, 1), seed=0)[0]


@pytest.mark.parametrize("method", METHODS)
def test_points_across_blocks_are_the_same_in_any_order(method):
    space = sample(2**17 + 100, x=(0, 1), y=(0, 1), method=method, seed=2)
    index = np.array([2**17 + 99, 3, 2**16, 2**16 - 1, 2**17, 3])
    together = space.columns()
    picked = space.at(index)
    for name in ("x", "y"):
        np.testing.assert_array_equal(picked[name].array, together[name][index])


def test_a_million_points_are_scipys_own_and_so_is_their_discrepancy():
    space = sample(2**20, **dict.fromkeys("abcdef", (0, 1)), seed=4)
    here = np.stack(list(space.columns(0, 2**20).values()), 1)
    theirs = qmc.Sobol(6, rng=4).random(2**20)
    np.testing.assert_array_equal(here, theirs)
    middle = slice(
        2**19, 2**19 + 4096
    )  # that of all would take SciPy hours: it compares each point with each
    assert qmc.discrepancy(here[middle]) == qmc.discrepancy(theirs[middle]) < 1e-4


def test_a_sobol_sample_of_any_size_gives_no_warning_and_one_remark():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        space = sample(300, x=(0, 1))
        assert len(space.to_dataframe()) == 300
    assert space.remarks == [
        "Sobol points fill the space evenly at powers of two: rather than 300, 256 or 512"
    ]
    assert "rather than 300, 256 or 512" in repr(space)
    assert sample(256, x=(0, 1)).remarks == sample(300, x=(0, 1), method="halton").remarks == []


def test_a_list_of_two_numbers_is_a_choice_and_says_so():
    space = sample(64, x=[0.5, 1.5])
    assert set(column(space, "x")) == {0.5, 1.5}
    assert space.remarks == ["x is one of two values, [0.5, 1.5]; for all between give a pair, (0.5, 1.5)"]
    assert sample(64, x=["a", "b"], y=[True, False], z=[1, 2, 3]).remarks == []


# What the values are


def test_a_pair_is_uniform_between_its_ends_and_gives_floats():
    values = column(sample(256, x=(2, 5)), "x")
    assert {type(value) for value in values} == {float}
    assert 2 <= min(values) < 2.02
    assert 4.98 < max(values) <= 5
    assert np.mean(values) == pytest.approx(3.5, abs=0.01)


@pytest.mark.parametrize("elements", [[1, 2, 4], ["a", None, 0.5], [(1, 2), (3, 4), (5, 6)]])
def test_a_list_is_a_choice_of_equally_likely_elements_as_they_are(elements):
    values = column(sample(96, x=elements, method="lhs"), "x")
    assert [values.count(element) for element in elements] == [32, 32, 32]
    assert {type(value) for value in values} == {type(element) for element in elements}


def test_an_array_is_a_choice_of_numpy_scalars():
    assert {type(value) for value in column(sample(8, x=np.array([1, 2, 4])), "x")} == {np.int64}


@pytest.mark.parametrize("law", [stats.norm(1, 2), stats.Normal(mu=1, sigma=2)])
def test_a_distribution_frozen_or_new_gives_its_quantiles_as_floats(law):
    space = sample(64, x=law, seed=3)
    unit = qmc.Sobol(1, rng=3).random(64)[:, 0]
    np.testing.assert_allclose(space.columns()["x"], stats.norm.ppf(unit, 1, 2), rtol=1e-12)
    assert type(space[0]["x"]) is float


DISCRETE = [stats.randint(0, 5)]
if hasattr(stats, "Binomial"):  # from SciPy 1.16 on
    DISCRETE += [stats.Binomial(n=4, p=0.5), stats.make_distribution(stats.binom)(n=4, p=0.5)]


@pytest.mark.parametrize("law", DISCRETE)
def test_a_discrete_distribution_gives_ints(law):
    values = column(sample(256, k=law), "k")
    assert {type(value) for value in values} == {int}
    assert set(values) == {0, 1, 2, 3, 4}


def test_quantities_are_drawn_with_their_unit():
    brian2 = pytest.importorskip("brian2")
    space = sample(16, tau=(5 * brian2.ms, 20 * brian2.ms))
    values = column(space, "tau")
    assert all(value.dim == brian2.second.dim for value in values)
    assert all(5 * brian2.ms <= value <= 20 * brian2.ms for value in values)
    with pytest.raises(SimkitError, match="quantities of one unit"):
        sample(16, tau=(5 * brian2.ms, 20 * brian2.mV))


class AtTheEdge:
    """Asked at 0 or 1 it answers with infinity, as a normal distribution does."""

    def ppf(self, unit):
        return np.log(unit) - np.log1p(-np.asarray(unit))


def test_a_quantile_at_the_very_edge_is_finite(monkeypatch):
    edges = np.array([[0.0, 0.0], [0.5, 0.5]])
    monkeypatch.setattr(qmc.Sobol, "random", lambda self, n: edges)
    with np.errstate(divide="ignore"):
        columns = sample(2, x=AtTheEdge(), k=stats.randint(3, 9)).columns()
    assert np.isfinite(columns["x"]).all()
    assert columns["k"].tolist() == [3, 5]


def test_distributions_that_can_not_be_pickled_travel_as_values():
    gamma = stats.make_distribution(stats.gamma)(a=2.0)
    space = sample(32, x=gamma, y=(0, 1), seed=1).where("y > 0.5")
    again = pickle.loads(pickle.dumps(space))
    assert list(again) == list(space)


# How it is written, for the record


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"x": (0, 1), "k": [1, 2, 4]}, "x=(0, 1), k=[1, 2, 4]"),
        ({"w": stats.Normal(mu=0, sigma=2)}, "w=Normal(mu=0.0, sigma=2.0)"),
        ({"w": stats.gamma(2, scale=np.float64(3))}, "w=gamma(2, scale=3.0)"),
        ({"w": stats.make_distribution(stats.gamma)(a=2.0)}, "w=Gamma(a=2.0)"),
        ({"w": AtTheEdge()}, "w=AtTheEdge"),
        ({"syn.w": (0, 1), "x": list(range(10))}, "{'syn.w': (0, 1)}, x=[0, 1, 2, 3, …, 9]"),
    ],
)
def test_a_sample_is_recorded_by_the_names_and_arguments_of_its_distributions(axes, words):
    with np.errstate(divide="ignore"):
        assert sample(16, axes, seed=2).form.words == f"sample(16, {words}, method='sobol', seed=2)"


# The algebra


def test_samples_are_combined_like_any_space():
    drawn = sample(8, x=(0, 1))
    assert [p["m"] for p in product(m=["a", "b"]) * drawn] == ["a"] * 8 + ["b"] * 8
    assert len((drawn + explore(x=[0.5, 0.25])).where("x == 0.5")) == 1
    assert [p["trial"] for p in drawn.repeat(2)][:4] == [0, 1, 0, 1]
    assert column(drawn.where("x < 0.5"), "x") == [x for x in column(drawn, "x") if x < 0.5]


@given(
    n=st.integers(1, 40),
    method=st.sampled_from(METHODS),
    seed=st.integers(0, 2**32),
    ends=st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)),
    elements=st.lists(st.integers(0, 9), min_size=1, max_size=5),
    data=st.data(),
)
def test_slices_of_any_sample_are_those_of_its_list(n, method, seed, ends, elements, data):
    low, high = ends[0], ends[0] + ends[1]
    space = sample(n, x=(low, high), k=elements, method=method, seed=seed)
    start, stop = data.draw(st.integers(0, n)), data.draw(st.integers(0, n))
    points = list(space)
    assert len(points) == n
    assert all(low <= p["x"] <= high and p["k"] in elements for p in points)
    columns = space.columns(start, stop)
    assert columns["x"].tolist() == [p["x"] for p in points[start:stop]]
    assert columns["k"].tolist() == [p["k"] for p in points[start:stop]]


# Errors


def error(make) -> str:
    with pytest.raises(SimkitError) as raised:
        make()
    text = str(raised.value)
    assert "test_sampling.py:" in text
    return text.partition(": ")[2]


@pytest.mark.parametrize(
    ("axis", "text"),
    [
        ((5, 2), "x=(5, 2) has its ends the wrong way round: write x=(2, 5)"),
        (
            (1, 1),
            "x=(1, 1) has equal ends\n    a value that does not vary needs no axis: --set x=…, or a default",
        ),
        (
            (1, 2, 3),
            "x=(1, 2, 3) is no pair (low, high)\n    to choose among values, give a list: x=[1, 2, 3]",
        ),
        (
            (0, "1"),
            """x=(0, '1') is no pair of numbers, or of quantities of one unit
    to choose among values, give a list: x=[0, '1']""",
        ),
        (
            (False, True),
            """x=(False, True) is no pair of numbers, or of quantities of one unit
    to choose among values, give a list: x=[False, True]""",
        ),
        (
            (0, np.inf),
            """x=(0, inf) is not finite
    give finite ends, or a distribution such as x=scipy.stats.Normal(mu=0, sigma=1)""",
        ),
        (
            (-1e308, 1e308),
            """x=(-1e+308, 1e+308) is too wide: high - low overflows
    give ends whose difference is a finite number""",
        ),
        ([], "x=[] leaves nothing to choose from"),
        (stats.Normal, "x=Normal is a class of distributions: give one of them, as in x=Normal(…)"),
        (stats.norm(0, -1), "x=norm(0, -1) can't be drawn from: its median is nan"),
        (
            stats.norm([0, 1]),
            "x=norm([0, 1]) can't be drawn from: its median has shape (2,): give each number its own name",
        ),
    ],
)
def test_an_axis_that_can_not_be_drawn_from_is_an_error_that_says_what_to_write(axis, text):
    assert error(lambda: sample(8, x=axis)) == text


@pytest.mark.parametrize("axis", [3, "abc", {1, 2}, {"a": 1}, None, np.array(1.0)])
def test_what_is_no_axis_at_all_is_answered_with_the_three_kinds_there_are(axis):
    text = error(lambda: sample(8, x=axis))
    assert text.startswith(f"x={axis!r} can't be drawn from\n    give a pair for all between, x=(0, 1)")
    assert text.endswith(
        "a list to choose from, x=[1, 2, 4]; or a distribution of scipy.stats, which has ppf or icdf"
    )


def test_a_distribution_without_quantiles_is_an_error():
    assert "gaussian_kde object" in error(lambda: sample(8, x=stats.gaussian_kde([1.0, 2.0, 4.0])))


def test_a_distribution_that_lacks_arguments_is_an_error():
    assert "x=gamma can't be drawn from: TypeError" in error(lambda: sample(8, x=stats.gamma))


@pytest.mark.parametrize("n", [0, -4, 8.0, True, "8", None, {"x": (0, 1)}])
def test_a_number_of_points_that_is_none_is_an_error(n):
    first, second = error(lambda: sample(n, x=(0, 1))).split("\n")
    assert first == f"sample({n!r}): it is no whole number from 1 on"
    assert second == "    the number of points comes first: sample(256, x=(0, 1))"


def test_a_bare_decorator_asks_for_the_number():
    assert error(lambda: sample(lambda x: x)).startswith("sample needs its number of points\n")


def test_a_sample_without_axes_is_an_error():
    assert error(lambda: sample(8)).startswith(
        "sample() needs its axes: give each its name, as in sample(256, x="
    )
    assert error(lambda: sample(8, (0, 1))).startswith("sample() takes no tuple: give each axis its name")


def test_an_unknown_method_is_an_error_with_the_nearest():
    text = "method='sobel' is unknown; did you mean 'sobol'?\n    available: sobol, halton, lhs, random"
    assert error(lambda: sample(8, x=(0, 1), method="sobel")) == text


@pytest.mark.parametrize("seed", [None, -1, 1.5, "a", True])
def test_a_seed_that_is_none_is_an_error(seed):
    assert error(lambda: sample(8, x=(0, 1), seed=seed)) == f"seed={seed!r}: give a whole number from 0 on"


def test_a_name_given_twice_is_an_error():
    assert error(lambda: sample(8, {"x": (0, 1)}, x=(0, 1))) == "sample() gives 'x' twice"
    assert "'trial' is the number" in error(lambda: sample(8, trial=(0, 1)))
    assert "explored twice: x" in error(lambda: sample(8, x=(0, 1)) * product(x=[1]))


def test_more_points_than_a_sobol_sequence_has_are_an_error():
    assert "has 2**30 = 1,073,741,824 points" in error(lambda: sample(2**30 + 1, x=(0, 1)))
    assert len(sample(2**30 + 1, x=(0, 1), method="halton")) == 2**30 + 1


def test_a_million_points_are_drawn_a_block_at_a_time_when_they_are_asked_for(monkeypatch):
    drawn = []
    draw = Sequence.drawn
    monkeypatch.setattr(
        Sequence, "drawn", lambda self, start, size: drawn.append(size) or draw(self, start, size)
    )
    space = product(m=[1, 2]) * sample(10**6, **dict.fromkeys("abcdef", (0, 1)))
    assert len(space.repeat(3)) == 6 * 10**6
    assert drawn == []
    assert space[10**6 + 5]["m"] == 2
    assert space[10**6 + 6]["m"] == 2
    assert drawn == [2**16]
