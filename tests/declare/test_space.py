"""Spaces and their algebra."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit import SimkitError, explore, product


def points(space: Any) -> list[dict[str, Any]]:
    return [space[i] for i in range(len(space))]


def line_here(text: str) -> bool:
    return "test_space.py:" in text


# The verbs


def test_product_lists_all_combinations_last_name_fastest():
    space = product(x=[1, 2], y=["a", "b", "c"])
    assert [(p["x"], p["y"]) for p in space] == list(itertools.product([1, 2], "abc"))


def test_explore_moves_its_names_together():
    assert points(explore(x=[1, 2], y=[3.0, 4.0])) == [{"x": 1, "y": 3.0}, {"x": 2, "y": 4.0}]


def test_explore_of_unequal_lengths_names_each_length_and_the_line():
    with pytest.raises(SimkitError, match="x has 2, y has 3, z has 2") as error:
        explore(x=[1, 2], y=[1, 2, 3], z=[0, 0])
    assert line_here(str(error.value))
    assert "product()" in str(error.value)


def test_dotted_names_stand_in_the_leading_mapping():
    space = product({"syn.w": [1, 2]}, dt=[0.1, 0.2])
    assert space.names == ("syn.w", "dt")
    assert space[1] == {"syn.w": 1, "dt": 0.2}
    assert explore({"syn.w": [1, 2]}, dt=[0.1, 0.2])[1] == {"syn.w": 2, "dt": 0.2}


def test_explore_takes_the_rows_of_a_dataframe():
    frame = pd.DataFrame({"x": [1, 2], "name": ["a", "b"]})
    space = explore(frame)
    assert points(space) == [{"x": 1, "name": "a"}, {"x": 2, "name": "b"}]
    assert type(space[0]["x"]) is np.int64


def test_explore_takes_a_list_of_points_and_a_point_may_lack_a_name():
    space = explore([{"x": 1}, {"x": 2, "y": 3}])
    assert points(space) == [{"x": 1}, {"x": 2, "y": 3}]
    assert space.optional == {"y"}


def test_explore_of_nothing_is_one_point_without_names():
    assert points(explore()) == points(product()) == [{}]


@pytest.mark.parametrize("space", [product(x=[]), explore(x=[], y=[]), product(x=[1, 2], y=[])])
def test_an_empty_axis_makes_an_empty_space(space):
    assert len(space) == 0
    assert points(space) == []


@pytest.mark.parametrize("verb", [explore, product])
def test_a_name_given_twice_is_refused(verb):
    with pytest.raises(SimkitError, match=rf"{verb.__name__}\(\) gives 'x' twice"):
        verb({"x": [1]}, x=[2])


@pytest.mark.parametrize("name", ["a b", "2x", "", "a..b", ".a", "a-b", 3])
def test_a_name_must_be_identifiers_joined_by_dots(name):
    with pytest.raises(SimkitError, match="cannot name a parameter"):
        product({name: [1]})


@pytest.mark.parametrize("make", [lambda: product(trial=[1]), lambda: explore([{"trial": 1}])])
def test_trial_is_reserved_for_repeat(make):
    with pytest.raises(SimkitError, match=r"'trial' is the number that repeat\(\) counts"):
        make()


def test_explore_of_something_else_says_what_it_takes():
    with pytest.raises(SimkitError, match="a mapping, a DataFrame or a list of points, not int"):
        explore(3)


def test_a_negative_index_counts_from_the_end_and_an_index_beyond_is_an_error():
    space = product(x=[1, 2, 3])
    assert space[-1] == {"x": 3}
    for i in (3, -4):
        with pytest.raises(IndexError, match="3 points"):
            space[i]


def test_to_dataframe_has_a_row_per_point():
    frame = product(x=[1, 2], y=["a", "b"]).to_dataframe()
    assert frame["x"].tolist() == [1, 1, 2, 2]
    assert frame["y"].tolist() == ["a", "b", "a", "b"]


def test_to_dataframe_shows_a_lacking_name_as_missing():
    frame = (explore(x=[1.0]) + explore(y=[2.0])).to_dataframe()
    assert frame.isna().to_numpy().tolist() == [[False, True], [True, False]]


def test_repr_tells_size_and_names():
    assert repr(product(x=[1, 2], y=[3])) == "<Space of 2 points: x, y>"
    assert repr(explore(x=[1])) == "<Space of 1 point: x>"


# The algebra


def test_times_makes_the_left_side_slowest():
    space = explore(x=[1, 2], y=[3, 4]) * product(z=[5, 6])
    assert points(space) == [
        {"x": 1, "y": 3, "z": 5},
        {"x": 1, "y": 3, "z": 6},
        {"x": 2, "y": 4, "z": 5},
        {"x": 2, "y": 4, "z": 6},
    ]


def test_exploring_a_name_twice_is_an_error_with_the_line():
    with pytest.raises(SimkitError, match="explored twice: x") as error:
        product(x=[1], y=[1]) * explore(x=[2])
    assert line_here(str(error.value))


def test_plus_lists_one_after_the_other_and_leaves_out_what_a_side_lacks():
    space = product(x=[1, 2]) + product(x=[3.5], y=["a"])
    assert points(space) == [{"x": 1}, {"x": 2}, {"x": 3.5, "y": "a"}]
    assert [type(p["x"]) for p in space] == [int, int, float]
    assert space.optional == {"y"}
    assert space.columns()["y"].mask.tolist() == [True, True, False]


@pytest.mark.parametrize("other", [3, [1, 2], None])
def test_the_algebra_refuses_what_is_no_space(other):
    with pytest.raises(TypeError):
        product(x=[1]) * other
    with pytest.raises(TypeError):
        product(x=[1]) + other


def test_where_keeps_the_points_that_pass():
    space = product(x=[1, 2, 3], y=[1, 2, 3])
    assert points(space.where("x < y")) == points(space.where(lambda x, y: x < y))
    assert [(p["x"], p["y"]) for p in space.where("x < y")] == [(1, 2), (1, 3), (2, 3)]


def test_where_may_name_a_group_field():
    assert points(product({"syn.w": [1, 2, 3]}).where("syn.w >= 2")) == [{"syn.w": 2}, {"syn.w": 3}]


def test_a_point_that_lacks_a_name_in_the_test_does_not_pass():
    space = explore(x=[1, 2]) + explore(y=[0, 5])
    assert points(space.where("x < 9")) == [{"x": 1}, {"x": 2}]
    assert points(space.where("not x > 9")) == [{"x": 1}, {"x": 2}]
    assert points(space.where(lambda y: y == 0)) == [{"y": 0}]


def test_where_of_an_unknown_name_says_which_there_are():
    with pytest.raises(SimkitError, match="unknown name 'widht'; did you mean 'width'") as error:
        len(product(width=[1]).where("widht > 0"))
    assert line_here(str(error.value))


def test_where_by_function_of_an_unknown_name_says_which_there_are():
    with pytest.raises(SimkitError, match=r"asks for 'z', which is not explored\n    explored: x, y"):
        len(product(x=[1], y=[1]).where(lambda z: z))


def test_repeat_counts_trials_of_each_point():
    space = explore(x=["a", "b"]).repeat(2)
    assert points(space) == [
        {"x": "a", "trial": 0},
        {"x": "a", "trial": 1},
        {"x": "b", "trial": 0},
        {"x": "b", "trial": 1},
    ]


@pytest.mark.parametrize("times", [0, -1, 1.5, True, "3", None])
def test_repeat_wants_a_whole_number_of_at_least_one(times):
    with pytest.raises(SimkitError, match="whole number of at least 1"):
        product(x=[1]).repeat(times)


def test_repeating_twice_is_refused():
    with pytest.raises(SimkitError, match="has trials already"):
        product(x=[1]).repeat(2).repeat(2)


@pytest.mark.parametrize(
    "space",
    [
        product(x=[1, 2], y=["a", None]),
        product(x=[1, 2, 3]).where(lambda x: x > 1),
        (explore(x=[1]) + explore(y=[2])).repeat(2),
    ],
)
def test_a_space_survives_pickling_even_with_a_lambda(space):
    assert points(pickle.loads(pickle.dumps(space))) == points(space)


# The algebra against a plain model: a list of dictionaries


@st.composite
def modelled(draw, names="abc"):
    """A space over some of the names, and the points that it must have."""
    kind = draw(st.sampled_from(["zip", "grid", "plus", "where", "repeat"] + ["times"] * (len(names) > 1)))
    values = st.lists(st.integers(0, 3) | st.sampled_from(["s", 0.5, None]), max_size=3)
    if kind == "times":
        left, one = draw(modelled(names[:1]))
        right, other = draw(modelled(names[1:]))
        if "trial" in left.names and "trial" in right.names:
            return left, one
        return left * right, [{**p, **q} for p in one for q in other]
    if kind == "zip":
        rows = draw(st.lists(st.tuples(*[st.integers(0, 3)] * len(names)), max_size=4))
        space = explore({name: [row[i] for row in rows] for i, name in enumerate(names)})
        return space, [dict(zip(names, row, strict=True)) for row in rows]
    if kind == "grid":
        axes = {name: draw(values) for name in names}
        combinations = itertools.product(*axes.values())
        return product(axes), [dict(zip(axes, row, strict=True)) for row in combinations]
    inner, model = draw(modelled(names))
    if kind == "plus":
        other, more = draw(modelled(names[draw(st.integers(0, len(names) - 1)) :]))
        together = model + more
        if "trial" in (*inner.names, *other.names):  # a side without trials has trial 0 of each
            together = [{**point, "trial": point.get("trial", 0)} for point in together]
        return inner + other, together
    if kind == "where":
        name = names[0]
        kept = [p for p in model if name in p and p[name] != 1]
        return inner.where(f"{name} != 1") if name in inner.names else inner, (
            kept if name in inner.names else model
        )
    if "trial" in inner.names:
        return inner, model
    return inner.repeat(2), [{**p, "trial": i} for p in model for i in range(2)]


@given(modelled(), st.data())
def test_any_space_has_the_points_of_its_model(pair, data):
    space, model = pair
    assert points(space) == model
    if model:
        start = data.draw(st.integers(0, len(model) - 1))
        columns = space.columns(start)
        for name in space.names:
            shown = np.ma.asarray(columns[name])
            absent = np.ma.getmaskarray(shown).tolist()
            assert absent == [name not in p for p in model[start:]]
            assert [v for v, gone in zip(shown.data.tolist(), absent, strict=True) if not gone] == [
                p[name] for p in model[start:] if name in p
            ]
