"""When are two columns the same?"""

from __future__ import annotations

import copy
import itertools
import math
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from storable import EXAMPLES, identical, values

from simkit.errors import Unstorable
from simkit.values.columns import Column
from simkit.values.compare import Tolerance, differing, digest, gap, keys, same
from simkit.values.encode import encode


def one(a, b, **tolerance) -> bool:
    return bool(differing(encode([a]), encode([b]), Tolerance(**tolerance))[0])


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_column_is_the_same_as_its_copy_and_no_other(name):
    rows = EXAMPLES[name]
    copied = copy.deepcopy(rows)
    assert not differing(encode(rows), encode(copied)).any()
    changed = [*copied[:-1], "another"]
    assert differing(encode(rows), encode(changed)).tolist() == [False] * (len(rows) - 1) + [True]


def test_rows_are_found_among_others_of_other_types_and_shapes():
    mixed = [value for rows in EXAMPLES.values() for value in rows]
    column = encode(mixed)
    assert not differing(column, encode(copy.deepcopy(mixed))).any()
    for start in range(len(mixed)):  # the same value, built as a column of its own
        assert not differing(encode(mixed[start : start + 1]), encode([copy.deepcopy(mixed[start])])).any()
    # Rotated by one, only neighbours that are equal agree.
    rotated = mixed[1:] + mixed[:1]
    expected = [not (identical(a, b) or both_nan(a, b)) for a, b in zip(mixed, rotated, strict=True)]
    assert differing(column, encode(rotated)).tolist() == expected


def both_nan(a, b) -> bool:
    return type(a) is type(b) and isinstance(a, (float, np.floating)) and bool(np.isnan(a) and np.isnan(b))


@given(values, values)
def test_exactly_identical_values_are_the_same(a, b):
    assert not one(a, copy.deepcopy(a))
    if not one(a, b):
        assert not one(b, a)
        assert type(a) is type(b)
    if identical(a, b):
        assert not one(a, b)


def test_absent_rows_are_the_same_only_as_absent_rows():
    here, gone = encode([1.0, 2.0]), Column(2, ())
    assert differing(here, gone).tolist() == [True, True]
    assert differing(gone, gone).tolist() == [False, False]
    partly = encode([1.0]).spread(2, np.array([0]))
    assert differing(here, partly).tolist() == [False, True]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 1.0),
        (1.0, np.float64(1.0)),
        (np.float32(1), np.float64(1)),
        (0.0, -0.0),
        (True, 1),
        ("a", "b"),
        ([1, 2], [1, 3]),
        ([1, 2], [1, 2, 3]),
        ([1, 2], (1, 2)),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (np.zeros(3), np.zeros(4)),
        (np.zeros(3), np.zeros(3, "f4")),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (1.0, np.nextafter(1.0, 2)),
        (None, 0),
    ],
    ids=repr,
)
def test_types_shapes_and_the_last_bit_count(a, b):
    assert one(a, b)


def test_any_nan_is_the_same_as_another():
    odd = np.array([0x7FF8000000000001], "u8").view("f8")
    assert not one(float("nan"), float(odd[0]))
    assert not one(np.array([math.nan, 1.0]), np.array([odd[0], 1.0]))
    assert not one(complex(math.nan, 1), complex(float(odd[0]), 1))
    assert one(math.nan, 1.0)


def test_tolerance_is_for_floating_point_numbers_wherever_they_lie():
    near = 1 + 1e-9
    for a, b in (
        (1.0, near),
        (1j, 1j * near),
        ([1.0, 2.0], [near, 2.0]),
        ({"a": [1.0, "x"]}, {"a": [near, "x"]}),
        (np.ones((2, 2)), np.ones((2, 2)) * near),
        (np.float32(1), np.float32(1) + np.finfo("f4").eps),
    ):
        assert one(a, b)
        assert not one(a, b, rtol=1e-6)
        assert one(a, b, rtol=1e-12)
    assert one(0.0, 1e-15, rtol=1e-6)
    assert not one(0.0, 1e-15, atol=1e-12)
    assert not one(0.0, -0.0, rtol=1e-12)
    assert one(1_000_000, 1_000_001, rtol=1e-3)  # a count is right or wrong
    assert one(1, 1.0, rtol=1e-3)
    assert one(math.inf, 1e308, rtol=0.5)
    assert one(math.inf, -math.inf, rtol=10)
    assert not one(math.inf, math.inf, rtol=0.1)
    assert one(math.nan, 1.0, rtol=1.0, atol=1e9)


def test_ragged_rows_are_compared_row_by_row():
    rows = [np.arange(3.0), np.arange(5.0), np.arange(0.0), np.arange(4.0)]
    other = [np.arange(3.0), np.array([0, 1, 2, 3, 4 + 1e-12]), np.arange(1.0), np.arange(4.0)]
    assert differing(encode(rows), encode(other)).tolist() == [False, True, True, False]
    assert differing(encode(rows), encode(other), Tolerance(1e-9)).tolist() == [False, False, True, False]


def test_how_far_apart():
    found = gap(encode([np.array([1.0, 2.0, 4.0])]), encode([np.array([1.0, 2.5, 4.0])]))
    assert found is not None
    assert (found.absolute, found.relative) == (0.5, 0.2)
    infinite = gap(encode([1.0]), encode([math.nan]))
    assert infinite is not None
    assert infinite.absolute == math.inf
    assert gap(encode(["a"]), encode(["b"])) is None
    assert gap(encode([np.zeros(2)]), encode([np.zeros(3)])) is None
    assert gap(encode([2]), encode([2.5])).absolute == 0.5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        (1.0, np.float64(1.0)),
        (np.float32(1), np.float64(1)),
        ("a", b"a"),
        ("a", np.str_("a")),
        ([1], (1,)),
        ([1, 2], [1.0, 2.0]),
        ([], ()),
        ([[]], []),
        ([[1], [2, 3]], [[1, 2], [3]]),
        (np.zeros(2), np.zeros((2, 1))),
        (np.zeros(2, "i4"), np.zeros(2, "i8")),
        (np.zeros((0, 2)), np.zeros((2, 0))),
        (np.zeros(4, "i2"), np.zeros(2, "i4")),
        (np.array(1.0), 1.0),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"b": 1}),
        ({}, None),
        ("", None),
        (["ab", "c"], ["a", "bc"]),
        ([b"ab", b"c"], [b"a", b"bc"]),
        (np.array(["2020"], "M8[D]"), np.array(["2020"], "M8[s]")),
        (2**64, str(2**64)),
    ],
)
def test_values_of_other_type_shape_or_bits_differ(one, other):
    assert not same(one, other)
    assert digest(one) != digest(other)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_equal_value_made_anew_is_the_same(kind):
    for value in EXAMPLES[kind]:
        anew = value.copy() if isinstance(value, np.ndarray) else value
        assert same(value, anew)
        assert digest(value) == digest(anew)


def test_nan_is_the_same_as_nan():
    assert same(float("nan"), float("nan"))
    assert same([np.nan, {"a": np.array([np.nan])}], [np.nan, {"a": np.array([np.nan])}])
    assert same(np.datetime64("NaT", "s"), np.datetime64("NaT", "s"))


def test_the_padding_of_long_doubles_means_nothing():
    clean = np.zeros(16 * 2, "u1").view("g")
    dirty = np.full(16 * 2, 255, "u1").view("g")
    clean[:] = dirty[:] = np.longdouble(1) / 3
    assert same(clean, dirty)


def test_the_layout_in_memory_means_nothing():
    square = np.arange(6.0).reshape(2, 3)
    assert same(square, np.asfortranarray(square))


def test_what_can_not_be_stored_is_compared_by_equality():
    assert same(len, len)
    assert same(print.__call__, print.__call__)
    assert not same(len, print)
    with pytest.raises(Unstorable):
        digest(len)


@given(st.tuples(values, values))
def test_two_values_have_one_digest_exactly_if_they_are_identical(pair):
    one, other = pair
    assert (digest(one) == digest(other)) == identical(one, other)
    assert same(one, other) == identical(one, other)


# Keys of points


SAME = [
    [1, 1.0, np.float32(1), np.uint8(1), np.int64(1), 1 + 0j, np.longdouble(1), np.complex64(1)],
    [0, 0.0, -0.0, np.float16(-0.0), complex(-0.0, -0.0), np.longdouble(0)],
    [float("nan"), -np.float64("nan"), np.float32("nan"), np.longdouble("nan")],
    [np.inf, np.float16("inf"), np.longdouble("inf")],
    [True, np.True_],
    [False, np.False_],
    ["", np.str_("")],
    ["a\0b", np.str_("a\0b")],
    [2**53, float(2**53)],
    [2**53 + 1, np.int64(2**53 + 1), np.uint64(2**53 + 1)],
    [-(2**53) - 1, np.int64(-(2**53) - 1)],
    [2**63, 2.0**63, np.uint64(2**63)],
    [2**64 - 1, np.uint64(2**64 - 1)],
    [2**64, 2.0**64],
    [2**70, 2.0**70, np.longdouble(2) ** 70],
    [2**70 + 1],
    [10**400],
    [0.1],
    [np.float32(0.1)],
    [1j, np.complex64(1j)],
    [complex(1, float("nan"))],
    ["1"],
    [b"1"],
    [np.bytes_(b"1")],
    [None],
    [(1, 2)],
    [[1, 2]],
    [np.array([1, 2])],
    [np.array(1.0)],
    [np.datetime64("1970-01-01"), np.datetime64(0, "D")],
    [np.datetime64(0, "s")],
    [np.timedelta64(0, "s")],
    [{"a": 1}],
    [pathlib.Path("a")],
]


def test_keys_are_equal_for_equal_points_only():
    """In columns of one value, of one type, and of all of them."""
    rows = [value for group in SAME for value in group]
    groups = [i for i, group in enumerate(SAME) for _ in group]
    numbers = keys(encode(rows)).tolist()
    assert [int(keys(encode([value]))[0]) for value in rows] == numbers
    assert len(set(numbers)) == len(SAME)
    assert len(set(zip(groups, numbers, strict=True))) == len(SAME)


def test_exact_keys_are_equal_for_equal_types_and_bits_only():
    rows = [value for group in SAME for value in group]
    numbers = keys(encode(rows), exact=True).tolist()
    for (a, mine), (b, theirs) in itertools.product(zip(rows, numbers, strict=True), repeat=2):
        assert (mine == theirs) == same(a, b), (a, b)


def test_rows_without_a_value_have_a_key_of_their_own():
    column = encode([1.0, "a"]).spread(4, np.array([0, 2]))
    numbers = keys(column).tolist()
    assert numbers[1] == numbers[3]
    assert len(set(numbers)) == 3


@given(
    st.lists(
        st.integers(-(2**65), 2**65) | st.floats() | st.booleans() | st.text(max_size=2),
        min_size=1,
        max_size=9,
    )
)
def test_keys_agree_with_python_on_numbers(rows):
    numbers = keys(encode(rows)).tolist()
    for (a, mine), (b, theirs) in itertools.product(zip(rows, numbers, strict=True), repeat=2):
        alike = type(a) is type(b) or {type(a), type(b)} == {int, float}
        assert (mine == theirs) == ((alike and a == b) or (repr(a) == repr(b) == "nan"))
