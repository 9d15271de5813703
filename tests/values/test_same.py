from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storable import EXAMPLES, identical, values

from simkit.errors import Unstorable
from simkit.values.compare import digest, same


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


@settings(max_examples=150, deadline=None)
@given(st.tuples(values, values))
def test_two_values_have_one_digest_exactly_if_they_are_identical(pair):
    one, other = pair
    assert (digest(one) == digest(other)) == identical(one, other)
    assert same(one, other) == identical(one, other)
