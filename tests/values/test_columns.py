"""The conformance suite of every storable type: to columns and back, type and bits kept."""

from __future__ import annotations

import collections
import enum
import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storable import EXAMPLES, all_identical, values

from simkit.declare.forms import from_list
from simkit.errors import Unstorable
from simkit.values.columns import Column
from simkit.values.decode import ABSENT, as_array, decode
from simkit.values.encode import encode, encode_values, explain

examples = pytest.mark.parametrize("kind", EXAMPLES)
rows = st.lists(values, max_size=5)


@examples
def test_each_type_comes_back_as_it_was(kind):
    assert all_identical(decode(encode(EXAMPLES[kind])), EXAMPLES[kind])


@examples
def test_each_value_comes_back_from_a_column_of_its_own(kind):
    for value in EXAMPLES[kind]:
        assert all_identical(decode(encode([value])), [value])


@examples
def test_each_type_can_be_read_as_an_array(kind):
    column = as_array(encode(EXAMPLES[kind]))
    assert len(column) == len(EXAMPLES[kind])
    assert not np.ma.isMaskedArray(column)


@examples
def test_each_type_can_be_taken_in_any_order(kind):
    wanted = EXAMPLES[kind]
    index = [*reversed(range(len(wanted))), 0]
    assert all_identical(decode(encode(wanted).take(np.array(index))), [wanted[i] for i in index])


@examples
def test_no_rows_can_be_taken_and_read(kind):
    none = encode(EXAMPLES[kind]).take(np.empty(0, np.int64))
    assert decode(none) == []
    assert len(as_array(none)) == 0


@settings(max_examples=250, deadline=None)
@given(rows)
def test_any_values_come_back_as_they_were(wanted):
    assert all_identical(decode(encode(wanted)), wanted)


@settings(max_examples=150, deadline=None)
@given(rows.filter(len), st.data())
def test_taking_rows_is_taking_values(wanted, data):
    index = data.draw(st.lists(st.integers(0, len(wanted) - 1), max_size=6))
    taken = encode(wanted).take(np.array(index, np.int64))
    assert taken.n == len(index)
    assert all_identical(decode(taken), [wanted[i] for i in index])


@settings(max_examples=100, deadline=None)
@given(rows.filter(len), st.data())
def test_spread_values_stand_at_their_rows_and_the_others_are_absent(wanted, data):
    n = len(wanted) + data.draw(st.integers(0, 3))
    at = np.array(sorted(data.draw(st.permutations(range(n)))[: len(wanted)]))
    column = encode(wanted).spread(n, at)
    assert np.flatnonzero(column.present()).tolist() == at.tolist()
    assert all_identical([decode(column)[i] for i in at], wanted)
    assert [v for i, v in enumerate(decode(column)) if i not in at] == [ABSENT] * (n - len(wanted))
    index = np.arange(n)[::-1]
    assert column.take(index).present().tolist() == column.present()[::-1].tolist()


@settings(max_examples=100, deadline=None)
@given(rows)
def test_a_column_knows_its_size_and_can_be_read_as_an_array(wanted):
    column = encode(wanted)
    assert column.nbytes >= 0
    assert len(as_array(column)) == column.n == len(wanted)


def test_no_values_are_an_empty_column():
    assert decode(encode([])) == []
    assert len(as_array(encode([]))) == 0
    assert decode(Column(2, ())) == [ABSENT, ABSENT]


@settings(deadline=None)
@given(st.lists(st.integers() | st.floats() | st.text(max_size=3) | st.booleans() | st.none(), max_size=5))
def test_a_declared_axis_is_encoded_as_its_elements(wanted):
    assert all_identical(decode(encode_values(from_list(wanted))), wanted)


def test_a_declared_array_is_encoded_as_its_scalars():
    space_values = from_list([np.float32(1), np.float32(2)])
    assert all_identical(decode(encode_values(space_values)), [np.float32(1), np.float32(2)])


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


# What can't be kept


class Color(enum.IntEnum):
    RED = 1


class Words(str):
    pass


Pair = collections.namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "a value of type object"),
        (Words("a"), "Words"),
        (lambda: 1, "a function"),
        (len, "a function"),
        ("".join, "a function"),
        (int, "a class"),
        (np, "a module"),
        ((i for i in ()), "a generator"),
        (io.StringIO(), "an open file"),
    ],
)
def test_what_has_no_lossless_form_is_refused_by_its_type(value, words):
    with pytest.raises(Unstorable, match="cannot store") as error:
        encode([value])
    assert words in str(error.value)
    assert str(explain(value, "z")).startswith("z: cannot store ")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, {"f": len}]}, "z.a[1].f"),
        ([1, (2, len)], "z[1][1]"),
        ({3: len}, "z[3]"),
        ({"two words": len}, "z.two words"),
        ([[0.5], [len]], "z[1][0]"),
    ],
)
def test_the_path_leads_to_the_part_that_is_to_blame(value, path):
    problem = explain(value, "z")
    assert str(problem) == f"{path}: cannot store a function"


def test_a_list_that_contains_itself_is_refused():
    endless = [1]
    endless.append(endless)
    assert "contains itself" in str(explain(endless, "z"))


@settings(max_examples=50, deadline=None)
@given(values)
def test_what_can_be_kept_needs_no_explanation(value):
    assert explain(value, "z") is None
