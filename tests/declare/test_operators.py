"""Conditions as texts are tested in test_expressions.py; here is what both kinds of conditions rest on."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.declare.forms import objects
from simkit.declare.operators import ARITHMETIC, matching

SYMBOLS = {"Add": operator.add, "Sub": operator.sub, "Mult": operator.mul, "FloorDiv": operator.floordiv}
small = st.integers(-(2**7), 2**7 - 1)


@settings(max_examples=30)
@given(
    st.sampled_from(sorted(SYMBOLS)),
    st.sampled_from(["i1", "i4", "i8"]),
    st.lists(small, min_size=1, max_size=4),
    st.integers(-(2**70), 2**70).filter(bool),
)
def test_arithmetic_of_integers_is_exact(name, dtype, column, constant):
    compute = next(function for kind, function in ARITHMETIC.items() if kind.__name__ == name)
    computed = compute(np.array(column, dtype), constant)
    assert [int(value) for value in computed] == [SYMBOLS[name](value, constant) for value in column]


@pytest.mark.parametrize(
    ("column", "wanted", "rows"),
    [
        (np.array([1.0, np.nan]), np.nan, [1]),
        (np.array([1, 2]), np.nan, []),
        (np.array([1 + 1j, complex(np.nan, 0)]), np.nan, [1]),
        (objects([[1, 2], (1, 2), [1, float("nan")], 1]), [1, 2], [0, 1]),
        (objects([[1, 2], (1, 2), [1, float("nan")], 1]), [1, float("nan")], [2]),
        (objects([{"a": 1}, {"a": 2}]), {"a": 2}, [1]),
        (objects([{1, 2}, {3}]), {1, 2}, [0]),
        (objects([None, "a"]), None, [0]),
        (objects([np.eye(2), np.ones(3)]), np.ones(3), [1]),
        (objects([np.eye(2), np.ones(3)]), [1, 1, 1], [1]),
        (np.zeros((2, 3)), [0, 0], []),
        (np.array([True, False]), [True], [0]),
    ],
)
def test_a_value_or_one_of_several(column, wanted, rows):
    assert np.flatnonzero(matching(column, wanted)).tolist() == rows
