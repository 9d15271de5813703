"""Spaces and their algebra."""

from __future__ import annotations

import itertools
import pickle
import tempfile
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simkit
from simkit import SimkitError, each, explore, morris, product, saltelli, sample
from simkit.errors import shown_path


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


def test_explore_takes_the_rows_of_other_tables():
    rows, columns = [(1, "a"), (2, "b")], {"x": [1, 2], "name": ["a", "b"]}
    structured = np.array(rows, [("x", "i4"), ("name", "U1")])
    for table, kind in [
        (structured, np.int32),
        (structured.view(np.recarray), np.int32),
        (pl.DataFrame(columns), int),
        (pa.table(columns), int),
    ]:
        space = explore(table)
        assert points(space) == [{"x": x, "name": name} for x, name in rows]
        assert type(space[0]["x"]) is kind


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


@pytest.mark.parametrize(
    "answer", ["x.max() if hasattr(x, 'max') else x", "None", "'no'", "np.array([True, False])"]
)
def test_a_function_that_answers_neither_true_nor_false_is_an_error(answer):
    with pytest.raises(SimkitError, match=r"the function answers .* not true or false"):
        len(product(x=[0.5, 2.5]).where(eval(f"lambda x: {answer}", {"np": np})))


def test_a_function_may_bring_values_of_its_own():
    spaces = [product(x=[1, 2, 3]).where(lambda x, k=k: x > k) for k in (1, 2)]
    assert [points(space) for space in spaces] == [[{"x": 2}, {"x": 3}], [{"x": 3}]]


def test_a_condition_on_arrays_has_one_answer_per_point():
    space = product(v=np.eye(2))
    with pytest.raises(SimkitError, match=r"more than one answer per run.*where\(lambda v: v.max"):
        len(space.where("v > 0"))
    assert len(space.where(lambda v: v[0] > 0)) == 1


def test_a_table_with_a_column_twice_is_no_space():
    table = pd.DataFrame([[1, 2, 5], [3, 4, 6]], columns=["x", "x", "y"])
    with pytest.raises(SimkitError, match=r"several columns 'x'\n    rename or drop them"):
        explore(table)


def test_where_of_an_unknown_name_says_which_there_are():
    with pytest.raises(SimkitError, match="unknown name 'widht'; did you mean 'width'") as error:
        len(product(width=[1]).where("widht > 0"))
    assert line_here(str(error.value))


def test_where_by_function_of_an_unknown_name_says_which_there_are():
    with pytest.raises(SimkitError, match=r"asks for 'z', which is not explored\n    explored: x, y"):
        len(product(x=[1], y=[1]).where(lambda z: z))


class _Odd(Exception):
    """One that can't be shown."""

    def __str__(self):
        raise ValueError


def _inverse(x, y):
    return 1 / (x - y) > 0


def _odd(y):
    raise _Odd


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (_inverse, "ZeroDivisionError: division by zero\n    at x=3, y=3: "),
        (_odd, "_Odd\n    at y=3: "),
        (lambda x: {}["z"] > x, "KeyError: 'z'\n    at x=3"),
    ],
)
def test_where_by_a_function_that_raises_says_at_which_point(function, told):
    space = product(x=[3], y=[3, 4]).where(function)
    with pytest.raises(SimkitError) as error:
        len(space)
    text = str(error.value)
    assert told in text
    assert text.startswith(f"{shown_path(__file__)}:")
    line = function.__code__.co_firstlineno + (function.__name__ != "<lambda>")
    assert text.endswith(f": {shown_path(__file__)}:{line}")
    assert error.value.__cause__ is not None


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


VALUES = st.integers(0, 3) | st.sampled_from(["s", 0.5, None])


def source_a(a=0, b=0, c=0, d=0):
    return {"z": a}


def source_b(a=0, b=0, c=0, d=0):
    return {"z": b}


def source_c(a=0, b=0, c=0, d=0):
    return {"z": c}


def source_d(a=0, b=0, c=0, d=0):
    return {"z": d}


@cache
def recorded(names):
    """A trajectory over some names; its experiment is called after the first of them."""
    folder = tempfile.TemporaryDirectory()
    axes = {name: [0, 1, 2][: 3 - i] for i, name in enumerate(names)}
    experiment = {"a": source_a, "b": source_b, "c": source_c, "d": source_d}[names[0]]
    trajectory = simkit.run(experiment, product(axes), output=f"{folder.name}/{names}.h5", seed=1)
    return trajectory, points(product(axes)), folder


@st.composite
def leaves(draw, names):
    """A space that is not built from others, and the points that it must have."""
    kinds = ["zip", "grid", "points", "frame", "sample", "each", *["saltelli", "morris"] * (len(names) > 1)]
    kind = draw(st.sampled_from(kinds))
    if kind == "each":
        trajectory, model, _ = recorded(names)
        if draw(st.booleans()):
            return each(trajectory), model
        return each(trajectory, where="z != 1"), [point for point in model if point[names[0]] != 1]
    if kind == "grid":
        axes = {name: draw(st.lists(VALUES, max_size=3)) for name in names}
        combinations = itertools.product(*axes.values())
        return product(axes), [dict(zip(axes, row, strict=True)) for row in combinations]
    if kind in ("zip", "points", "frame"):
        value = st.integers(0, 3) if kind == "frame" else VALUES
        rows = draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, value)), max_size=4))
        if kind == "points" and rows:  # of which some may lack a name, as long as the first one has all
            rows[1:] = [{k: v for k, v in row.items() if v != 3} for row in rows[1:]]
            return explore(rows), rows
        axes = {name: [row[name] for row in rows] for name in names}
        return explore(pd.DataFrame(axes, columns=list(names)) if kind == "frame" else axes), rows
    axes = {name: draw(st.sampled_from([(0, 1), [0, 1, 2], [1, "s"]])) for name in names}
    n, seed = draw(st.integers(1, 4)), draw(st.integers(0, 9))
    if kind == "sample":
        space = sample(n, axes, method=draw(st.sampled_from(["sobol", "halton", "lhs", "random"])), seed=seed)
    else:
        space = saltelli(n, axes, seed=seed) if kind == "saltelli" else morris(n, axes, seed=seed)
    return space, points(space)


@st.composite
def modelled(draw, names="abc", *, plain=False, depth=2):
    """A space over some of the names, and its points; a plain one has neither trials nor a design."""
    kinds = ["leaf", "plus", "where", "take", "repeat", *["times"] * (len(names) > 1)]
    kind = draw(st.sampled_from(kinds)) if depth else "leaf"
    depth -= 1
    if kind == "leaf":
        space, model = draw(leaves(names))
        if plain and space.form.parts == () and space.form.design:
            return product({name: [1] for name in names}), [dict.fromkeys(names, 1)]
        return space, model
    if kind == "times":
        left, one = draw(modelled(names[:1], plain=True, depth=depth))
        right, other = draw(modelled(names[1:], plain=plain, depth=depth))
        return left * right, [{**p, **q} for p in one for q in other]
    inner, model = draw(modelled(names, plain=plain, depth=depth))
    if kind == "plus":
        other, more = draw(modelled(names[draw(st.integers(0, len(names) - 1)) :], plain=plain, depth=depth))
        return inner + other, with_trials(model + more, inner, other)
    if kind == "where" and names[0] in inner.names:
        name = names[0]
        has_text = any(isinstance(point.get(name), str) for point in model)  # text is not compared with 1
        tests = [eval(f"lambda {name}: {name} != 1"), *[f"{name} != 1"] * (not has_text)]
        test = draw(st.sampled_from(tests))
        return inner.where(test), [p for p in model if name in p and p[name] != 1]
    if kind == "take":
        index = draw(st.lists(st.integers(0, len(model) - 1), max_size=4)) if model else []
        return inner.take(index), [model[i] for i in index]
    if kind == "repeat" and not plain and "trial" not in inner.names:
        return inner.repeat(2), [{**p, "trial": i} for p in model for i in range(2)]
    return inner, model


def with_trials(model, *spaces):
    """A side of a sum without trials has trial 0 of each point."""
    if not any("trial" in space.names for space in spaces):
        return model
    return [{**point, "trial": point.get("trial", 0)} for point in model]


def column_of(model, name):
    return [point[name] for point in model if name in point]


@given(modelled(depth=3), st.data())
def test_any_space_has_the_points_of_its_model(pair, data):
    space, model = pair
    assert len(space) == len(model)
    assert points(space) == list(space) == model
    assert space.optional >= {name for name in space.names if any(name not in point for point in model)}
    start, stop = (data.draw(st.integers(-2, len(model) + 2)) for _ in range(2))
    part, columns = model[start:stop], space.columns(start, stop)
    assert list(space[start:stop]) == part
    step = data.draw(st.sampled_from([-2, -1, 2]))
    assert list(space[start:stop:step]) == model[start:stop:step]
    assert tuple(columns) == space.names
    for name in space.names:
        shown = np.ma.asarray(columns[name])
        absent = np.ma.getmaskarray(shown).tolist()
        assert absent == [name not in point for point in part]
        present = [value for value, gone in zip(shown.data.tolist(), absent, strict=True) if not gone]
        assert present == column_of(part, name)
    assert points(pickle.loads(pickle.dumps(space))) == model


def test_a_slice_of_a_space_is_a_space():
    space = product(x=range(1000), y=range(1000))[999_998:1_000_003] * explore(z=[0])
    assert isinstance(space, simkit.Space)
    assert list(space) == [{"x": 999, "y": 998, "z": 0}, {"x": 999, "y": 999, "z": 0}]


@pytest.mark.parametrize("position", [1.0, "x", [0, 2], None, np.array([True, False])])
def test_what_is_no_position_is_refused(position):
    told = r"space\[.*\]: a position is a whole number or a slice; space\.take\(\[0, 2\]\) takes several"
    with pytest.raises(TypeError, match=told):
        product(x=[1, 2, 3])[position]


@given(modelled("a", plain=True), modelled("bc"), modelled("d", plain=True))
def test_times_is_associative_and_its_left_side_slowest(one, two, three):
    (a, first), (b, second), (c, third) = one, two, three
    left, right = (a * b) * c, a * (b * c)
    assert left.names == right.names
    assert (
        points(left)
        == points(right)
        == [{**p, **q, **r} for p, q, r in itertools.product(first, second, third)]
    )
    assert len(left) == len(first) * len(second) * len(third)


@given(modelled("ab"), modelled("bc"), modelled("ca"))
def test_plus_is_associative_and_keeps_the_order(one, two, three):
    (a, first), (b, second), (c, third) = one, two, three
    left, right = (a + b) + c, a + (b + c)
    assert points(left) == points(right) == with_trials(first + second + third, a, b, c)
    assert left.optional == right.optional
    assert len(left) == len(a) + len(b) + len(c)


@given(modelled("ab", plain=True), modelled("b", plain=True), modelled("cd"))
def test_times_distributes_over_a_sum_on_its_left(one, two, three):
    (a, _), (b, _), (c, _) = one, two, three
    assert points((a + b) * c) == points(a * c + b * c)


@given(
    st.lists(st.integers(-3, 3), max_size=4),
    st.lists(st.integers(-3, 3), max_size=4),
    st.sampled_from(["x < y", "x + y == 0", "x == y or x > 1", "not x < y", "abs(x) <= 1 and y >= 0"]),
)
def test_where_after_a_product_is_the_filtered_list(x, y, condition):
    expected = [
        {"x": p, "y": q}
        for p, q in itertools.product(x, y)
        if eval(condition, {"abs": abs}, {"x": p, "y": q})
    ]
    assert points(product(x=x, y=y).where(condition)) == expected


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(VALUES, max_size=4), max_size=4))
def test_a_product_is_that_of_itertools(axes):
    assert points(product(axes)) == [
        dict(zip(axes, row, strict=True)) for row in itertools.product(*axes.values())
    ]


@settings(max_examples=40)
@given(modelled("ab"), st.integers(1, 3), st.integers(0, 5), st.data())
def test_trials_until_are_any_trials_of_the_points_of_a_space(pair, times, more, data):
    inner, model = pair
    if "trial" in inner.names:
        return
    space = inner.repeat(times, until="sem(z) < 0.1", most=times + more)
    assert points(space) == [{**point, "trial": trial} for point in model for trial in range(times)]
    everything = [{**point, "trial": trial} for point in model for trial in range(times + more)]
    numbers = data.draw(st.lists(st.integers(0, len(everything) - 1), max_size=5)) if everything else []
    chosen = simkit.Space(space.form.chosen(np.array(numbers, np.int64)))
    assert points(chosen) == [everything[number] for number in numbers]
    for combine in (lambda: space * explore(c=[1]), lambda: space + inner, lambda: space.where("trial == 0")):
        with pytest.raises(SimkitError, match="comes last"):
            combine()


@pytest.mark.parametrize("condition", [5, None, ["x < 3"], object(), np.array([True])])
def test_what_is_no_condition_is_refused_where_it_is_written(condition):
    with pytest.raises(
        simkit.SimkitError, match=r"test_space.py:\d+: where\(\) takes a condition as text, or a function"
    ):
        product(x=[1, 2]).where(condition)
