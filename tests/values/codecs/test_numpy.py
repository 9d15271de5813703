"""NumPy's arrays that HDF5 has no type for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from identity import all_identical
from kinds import CHECKS, conform
from kinds.generated import structured
from kinds.numbers_and_arrays import ARRAYS

from simkit.values.compare import digest
from simkit.values.decode import decode
from simkit.values.encode import encode


@pytest.mark.parametrize("kind", ARRAYS)
@CHECKS
def test_each_kind_is_kept(check, kind):
    conform(check, ARRAYS[kind])


# Whatever NumPy can make


@given(st.lists(structured(), min_size=1, max_size=3))
def test_any_structured_arrays_come_back_as_they_were(wanted):
    assert all_identical(decode(encode(wanted)), wanted)
    assert all(digest(a) == digest(b) for a, b in zip(decode(encode(wanted)), wanted, strict=True))


@pytest.mark.parametrize(
    "array", [np.ma.array([1, 2], mask=[True, False]), np.ma.array(["a", "bc"], mask=[0, 1])]
)
def test_a_masked_array_whose_fill_value_was_read_is_the_same_point(array):
    before = digest(array)
    assert array.fill_value is not None  # which NumPy keeps from then on
    assert digest(array) == before
    array.fill_value = "z" if array.dtype.kind == "U" else 7
    assert digest(array) != before
