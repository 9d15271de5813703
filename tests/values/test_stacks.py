"""Values of many runs as one array, and such arrays as columns: the same as value by value."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from simkit.errors import NotForEach, Unstorable
from simkit.values.decode import as_array, decode
from simkit.values.encode import encode
from simkit.values.stacks import array_of, column_of, named_stacks

DTYPES = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(endianness="?"),
    arrays.floating_dtypes(endianness="?"),
    arrays.complex_number_dtypes(),
    arrays.datetime64_dtypes(),
    arrays.unicode_string_dtypes(),
    arrays.byte_string_dtypes(),
)


@given(arrays.arrays(DTYPES, arrays.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)))
def test_an_array_is_the_column_of_its_rows(array):
    assert column_of(array, len(array), "v").digest() == encode(list(array)).digest()


@pytest.mark.parametrize(
    "stack",
    [
        [1, 2.5, "x"],
        [None, None],
        [np.arange(2), np.arange(3)],
        np.array([{"a": 1}, [2]], object),
        np.zeros(2, [("a", int), ("b", float)]),
        np.zeros((2, 10_000)),
        np.zeros((2, 0)),
    ],
)
def test_any_stack_is_the_column_of_its_rows(stack):
    assert column_of(stack, len(stack), "v").digest() == encode(list(stack)).digest()


def test_what_libraries_have_for_arrays():
    assert decode(column_of(pd.Series([1.5, 2.5]), 2, "v")) == [1.5, 2.5]
    assert decode(column_of(pd.Series([1, 2], dtype="Int64"), 2, "v")) == [1, 2]
    assert decode(column_of(pd.Index(["a", "b"]), 2, "v")) == ["a", "b"]
    masked = column_of(np.ma.MaskedArray([1, 2, 3], [0, 1, 0]), 3, "v")
    assert masked.present().tolist() == [True, False, True]
    assert column_of(np.ma.MaskedArray([1, 2], [1, 1]), 2, "v").variants == ()


def test_quantities_are_one_column_with_their_unit():
    brian2 = pytest.importorskip("brian2")
    for rows in (np.arange(3.0) * brian2.mV, np.ones((3, 2)) * brian2.nS):
        column = column_of(rows, 3, "v")
        assert column.digest() == encode(list(rows)).digest()
        assert (as_array(column) == rows).all()


@pytest.mark.parametrize(
    "stack",
    [
        *(1, "text", {"a": [1, 2]}, (1, 2), {1, 2}, None, np.float64(1), np.array(1), iter([1, 2])),
        *(xr.Dataset({"v": ("run", [1, 2])}), xr.DataArray([1, 2]), pd.DataFrame({"v": [1, 2]}), object()),
    ],
)
def test_what_has_no_rows_is_an_error(stack):
    with pytest.raises(
        NotForEach, match=r"v is .*, and the call computed 2 runs\n.*an array with the runs first"
    ):
        column_of(stack, 2, "v")


def test_a_wrong_number_of_rows_is_an_error_with_both():
    with pytest.raises(NotForEach, match="v has 3 rows, and the call computed 1 run\n"):
        column_of([1, 2, 3], 1, "v")
    with pytest.raises(
        NotForEach, match=r"v has 3 rows, its shape is \(3, 2\), and the call computed 2 runs"
    ):
        column_of(np.ones((3, 2)), 2, "v")
    with pytest.raises(NotForEach, match="v has 1 row, and the call computed 2 runs\n"):
        column_of([1], 2, "v")
    with pytest.raises(Unstorable):
        column_of([1, lambda: 0], 2, "v")


@pytest.mark.parametrize(
    ("elements", "dtype", "shape"),
    [
        ([1, 2], "i8", (2,)),
        ([1, 2.5], "f8", (2,)),
        ([1.0, 2.0], "f8", (2,)),
        ([True, False], "?", (2,)),
        ([np.ones(2), np.zeros(2)], "f8", (2, 2)),
        ([np.ones(2), np.zeros(3)], "O", (2,)),
        (["a", "b"], "O", (2,)),
        ([None, 1], "O", (2,)),
        ([{"a": 1}, {"a": 2}], "O", (2,)),
        ([[1, 2], [3, 4]], "O", (2,)),
        ([print, len], "O", (2,)),
        ([datetime.datetime(2020, 1, 1), datetime.datetime(2021, 1, 1)], "M8[us]", (2,)),
    ],
)
def test_values_as_an_array(elements, dtype, shape):
    array = array_of(elements)
    assert (array.dtype, array.shape) == (np.dtype(dtype), shape)
    if dtype == "O":
        assert all(one is other for one, other in zip(array, elements, strict=True))


def test_results_by_name():
    assert dict(named_stacks({"a": [1]})) == {"a": [1]}
    assert dict(named_stacks(None)) == {}
    assert list(named_stacks(np.arange(2))) == ["result"]
    assert list(named_stacks(pd.DataFrame({"a": [1], "b": [2]}))) == ["a", "b"]
    assert list(named_stacks([1, 2])) == ["result"]
