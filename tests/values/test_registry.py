"""Values of every kind, taken apart into columns and put together again."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
from identity import all_identical, identical
from kinds import CHECKS, KINDS, back, conform
from storable import EXAMPLES

from simkit.values.columns import concatenated
from simkit.values.compare import digest, same
from simkit.values.decode import decode
from simkit.values.encode import encode
from simkit.values.registry import is_mutable


@pytest.mark.parametrize("kind", EXAMPLES)
@CHECKS
def test_each_plain_type_is_kept(check, kind):
    conform(check, EXAMPLES[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_the_same_as_its_copy_and_as_what_comes_back(kind):
    """By this, points and constants are recognised when a study goes on."""
    for value in KINDS[kind]:
        wanted = digest(value)
        assert digest(copy.deepcopy(value)) == wanted
        assert digest(decode(encode([value]))[0]) == wanted
        assert same(value, back(decode(encode([value])))[0])


def test_one_of_everything_under_one_name():
    wanted = [values[0] for values in KINDS.values()]
    assert all_identical(back(decode(encode(wanted))), wanted)
    assert identical(back(decode(encode([wanted])))[0], wanted)


@pytest.mark.parametrize("size", [2, 40, 400])
def test_values_of_all_kinds_that_take_turns_stay_at_their_rows(size):
    """Small columns become one; several types may be stored alike, as indices of numbers and of days are."""
    wanted = [value for values in KINDS.values() for value in values]
    random.Random(17).shuffle(wanted)
    parts = [wanted[start : start + size] for start in range(0, len(wanted), size)]
    column = concatenated(list(map(encode, parts)))
    assert all_identical(back(decode(column)), wanted)
    assert all((np.diff(positions) > 0).all() for positions, _ in column.variants if positions is not None)


def test_records_that_could_not_be_put_together_are_written_as_they_were_read():
    wanted = [v for name in ("attrs", "dataclass", "instances in containers") for v in KINDS[name]]
    again = decode(encode(decode(encode(wanted))))
    assert all_identical(back(again), wanted)


@pytest.mark.parametrize("value", [True, 1, 1.5, 1j, "a", b"a", None])
def test_what_python_never_changes_in_place_is_not_mutable(value):
    assert not is_mutable(type(value))
