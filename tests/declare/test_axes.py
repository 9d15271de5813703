"""The values of one explored name, as the user gave them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr

from simkit import SimkitError, explore, product
from simkit.declare.axes import declared


def line_here(text: str) -> bool:
    return "test_axes.py:" in text


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


def test_masked_values_are_no_points():
    with pytest.raises(
        SimkitError, match=r"x has masked values, and each point needs one: give x\.compressed\(\)"
    ):
        product(x=np.ma.array([1.0, 2.0, 3.0], mask=[0, 1, 0]))
    assert [type(point["x"]) for point in product(x=np.ma.array([1.0, 2.0]))] == [np.float64] * 2
    rows = product(x=np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[0, 1], [0, 0]]))  # each is a masked array
    assert [point["x"].tolist() for point in rows] == [[1.0, None], [3.0, 4.0]]


@pytest.mark.parametrize(
    "axis",
    [
        pd.Series(pd.arrays.SparseArray([0, 0, 5], fill_value=0)),
        pd.Index(pd.arrays.SparseArray([0, 0, 5], fill_value=0)),
        pd.arrays.SparseArray([0, 0, 5], fill_value=0),
    ],
)
def test_sparse_values_are_of_one_type_those_that_are_left_out_too(axis):
    assert [(type(point["x"]), point["x"]) for point in product(x=axis)] == [
        (np.int64, value) for value in (0, 0, 5)
    ]


def test_arrow_s_and_polars_values_are_python_s():
    assert [point["x"] for point in product(x=pa.array([1, None, 3]))] == [1, None, 3]
    assert [point["x"] for point in product(x=pa.chunked_array([["a"], ["b"]]))] == ["a", "b"]
    assert [point["x"] for point in product(x=pl.Series([1, None, 3]))] == [1, None, 3]


def test_an_iterator_is_read_once():
    space = product(x=(i * i for i in range(4)), y=range(2))
    assert [p["x"] for p in space] == [0, 0, 1, 1, 4, 4, 9, 9]


def test_a_space_keeps_what_was_declared_when_the_array_changes_later():
    array, inner = np.zeros(2), np.zeros(2)
    space = explore(x=array, y=[inner, inner])
    array[:] = inner[:] = 7
    assert space[0]["x"] == 0
    np.testing.assert_array_equal(space[1]["y"], [0, 0])


@pytest.mark.parametrize("table", [pd.DataFrame({"a": [1, 2]}), xr.Dataset({"a": ("t", [1, 2])})])
def test_a_table_is_no_axis(table):
    with pytest.raises(SimkitError, match=r"x is a Data\w+, and a table is no list of values"):
        product(x=table)
    assert product(x=[table])[0]["x"] is table


@pytest.mark.parametrize(
    "values",
    [
        range(3),
        range(9, 1, -2),
        range(0),
        range(2**63 - 2, 2**63 + 2),
        range(0, 9, 10**30),
        range(-(2**63), 2, 2**62),
    ],
    ids=str,
)
def test_a_range_is_the_list_of_its_numbers(values):
    given, listed = declared("x", values), declared("x", list(values))
    assert given.elements() == listed.elements() == list(values)
    assert {type(element) for element in given.elements()} <= {int}
    assert (given.array.dtype, given.native) == (listed.array.dtype, listed.native)
