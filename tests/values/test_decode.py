"""Columns read as arrays to compute with."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from storable import EXAMPLES

from simkit.values.decode import as_array
from simkit.values.encode import encode

examples = pytest.mark.parametrize("kind", EXAMPLES)


@examples
def test_each_type_can_be_read_as_an_array(kind):
    column = as_array(encode(EXAMPLES[kind]))
    assert len(column) == len(EXAMPLES[kind])
    assert not np.ma.isMaskedArray(column)


# As arrays


@pytest.mark.parametrize(
    ("wanted", "dtype"),
    [
        ([1, 2], "i8"),
        ([1.0, 2.0], "f8"),
        ([True, False], "?"),
        ([1j, 2j], "c16"),
        ([np.float16(1), np.float16(2)], "f2"),
        ([1, 2.5], "f8"),
        ([np.int8(1), 300], "i8"),
        ([np.float32(1.5), 2.5], "f8"),
        ([1, 1j], "c16"),
        ([1.0, 1j], "c16"),
        ([2**53 + 1, 0.5], "O"),
        ([2**63 - 1, 0.5], "O"),
        ([2**70, 1], "O"),
        ([True, 1], "O"),
        ([1, "a"], "O"),
        (["a", "b"], "O"),
        ([None, 1.0], "O"),
        ([{"a": 1}, {"a": 2}], "O"),
        ([b"a", b"b"], "O"),
    ],
)
def test_numbers_that_fit_one_type_without_loss_are_one_array(wanted, dtype):
    column = as_array(encode(wanted))
    assert column.dtype == np.dtype(dtype)
    assert column.tolist() == wanted


def test_times_of_one_unit_are_one_array():
    column = as_array(encode([np.datetime64("2020-01-01"), np.datetime64("NaT", "D")]))
    np.testing.assert_array_equal(column, np.array(["2020-01-01", "NaT"], "M8[D]"))


def test_arrays_of_one_shape_stack():
    column = as_array(encode([np.zeros((2, 3)), np.ones((2, 3))]))
    assert column.shape == (2, 2, 3)


def test_arrays_of_several_shapes_are_objects():
    column = as_array(encode([np.zeros(2), np.ones(3)]))
    assert column.dtype == object
    assert [v.tolist() for v in column] == [[0, 0], [1, 1, 1]]


def test_equal_lists_do_not_become_rows_of_a_matrix():
    column = as_array(encode([[np.zeros(2)], [np.zeros(2)]]))
    assert column.shape == (2,)


@pytest.mark.parametrize(
    "value", [1.5, np.float16(1.5), 1j, np.datetime64("2020", "s"), np.timedelta64(1, "s")]
)
def test_where_a_float_or_time_is_absent_there_is_nan_or_nat(value):
    column = as_array(encode([value]).spread(2, np.array([1])))
    assert not np.ma.isMaskedArray(column)
    assert np.isnat(column[0]) if column.dtype.kind in "mM" else np.isnan(column[0])
    assert column[1] == value


@pytest.mark.parametrize("value", [3, True, np.uint8(3)])
def test_where_another_number_is_absent_the_array_is_masked(value):
    column = as_array(encode([value]).spread(2, np.array([1])))
    assert column.mask.tolist() == [True, False]
    assert column[1] == value
    assert column.dtype == np.array(value).dtype


def test_where_a_matrix_of_integers_is_absent_all_of_it_is_masked():
    column = as_array(encode([np.ones((2, 2), int)]).spread(2, np.array([1])))
    assert column.mask.tolist() == [[[True, True]] * 2, [[False, False]] * 2]


def test_reading_as_an_array_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for mixed in ([1.0, 1j], [2**63 - 1, 0.5], [np.nan, 1j], [np.uint64(2**64 - 1), 0.5]):
            as_array(encode(mixed))
