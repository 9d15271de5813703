"""pandas' tables, series and indices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from identity import all_identical
from kinds import CHECKS, conform
from kinds.generated import frames, indices, series
from kinds.tables import TABLES

from simkit.declare.snapshot import snapshot
from simkit.values.decode import decode
from simkit.values.encode import encode
from simkit.values.results import take_apart


@pytest.mark.parametrize("kind", TABLES)
@CHECKS
def test_each_kind_is_kept(check, kind):
    conform(check, TABLES[kind])


@given(st.lists(frames(), min_size=1, max_size=3))
def test_any_frames_come_back_as_they_were(wanted):
    assert all_identical(decode(encode(wanted)), wanted)
    assert all_identical(decode(encode([snapshot(frame, take_apart) for frame in wanted])), wanted)


@given(st.lists(series() | indices(), min_size=1, max_size=3))
def test_any_series_and_indices_come_back_as_they_were(wanted):
    assert all_identical(decode(encode(wanted)), wanted)
