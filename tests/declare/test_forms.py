"""The values of an explored name, point by point and as columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simkit import SimkitError, explore, product


def line_here(text: str) -> bool:
    return "test_forms.py:" in text


@pytest.mark.parametrize("axis", [3, 1.5, None, "abc", b"abc", np.array(1.0), {"a": 1}])
def test_what_is_no_list_of_values_is_refused_with_its_name(axis):
    with pytest.raises(SimkitError, match=r"x=.* is not a list of values") as error:
        product(x=axis)
    assert line_here(str(error.value))
    assert "x=[" in str(error.value)


def test_a_set_is_refused_because_it_has_no_order():
    with pytest.raises(SimkitError, match="has no order"):
        explore(x={1, 2})


# The declared elements


@pytest.mark.parametrize(
    "values",
    [
        [1, 2],
        [1, True, 1.0],
        [0.1, float("inf"), -0.0],
        [2**63, -1],
        [2**80, 1],
        [None, "a", b"b", ("t", 1)],
        [np.float32(0.1), 0.1, np.int8(3)],
        [[1, 2], [3]],
        [1j, 2.0],
    ],
)
def test_a_list_gives_back_its_elements_as_they_are(values):
    got = [point["x"] for point in product(x=values)]
    assert got == values
    assert [type(v) for v in got] == [type(v) for v in values]


@pytest.mark.parametrize("dtype", ["f4", "i2", "u8", "?", "M8[D]", "U3", "c8"])
def test_an_array_gives_numpy_scalars_of_its_type(dtype):
    array = np.zeros(2, dtype)
    value = product(x=array)[1]["x"]
    assert type(value) is type(array[1])
    assert value.dtype == array[1].dtype


def test_the_rows_of_a_2d_array_are_read_only_elements():
    value = explore(x=np.arange(6).reshape(3, 2))[1]["x"]
    np.testing.assert_array_equal(value, [2, 3])
    assert not value.flags.writeable


def test_a_series_gives_numpy_scalars_and_a_nullable_one_its_elements():
    assert type(product(x=pd.Series([1, 2]))[0]["x"]) is np.int64
    assert product(x=pd.Series(["a", "b"], dtype="str"))[1] == {"x": "b"}


def test_an_iterator_is_read_once():
    space = product(x=(i * i for i in range(4)), y=range(2))
    assert [p["x"] for p in space] == [0, 0, 1, 1, 4, 4, 9, 9]


def test_a_space_keeps_what_was_declared_when_the_array_changes_later():
    array, inner = np.zeros(2), np.zeros(2)
    space = explore(x=array, y=[inner, inner])
    array[:] = inner[:] = 7
    assert space[0]["x"] == 0
    np.testing.assert_array_equal(space[1]["y"], [0, 0])


# Laziness, indexing


def test_ten_axes_of_ten_values_are_declared_and_indexed_without_listing_them():
    space = product(**{f"x{i}": list(range(10)) for i in range(10)})
    assert len(space) == 10**10
    assert "".join(str(v) for v in space[1234567890].values()) == "1234567890"
    assert set(space[-1].values()) == {9}
    assert space.columns(10**10 - 2)["x9"].tolist() == [8, 9]


def test_columns_are_arrays_of_a_slice_of_the_points():
    columns = product(x=[1.0, 2.0], y=[3, 4]).columns(1, 3)
    assert {name: column.tolist() for name, column in columns.items()} == {"x": [1.0, 2.0], "y": [4, 3]}
    assert columns["x"].dtype == float


def test_columns_stop_at_the_end():
    assert product(x=[1, 2]).columns(1, 9)["x"].tolist() == [2]
    assert product(x=[1, 2]).columns(5)["x"].tolist() == []


def test_take_gives_points_in_the_given_order():
    assert [p["x"] for p in product(x=[1, 2, 3]).take([2, 0, 2])] == [3, 1, 3]


def test_where_works_across_blocks():
    space = product(x=range(300), y=range(300)).where("x == 299 and y >= 298")
    assert [(p["x"], p["y"]) for p in space] == [(299, 298), (299, 299)]
