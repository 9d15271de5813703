"""The conformance suite of every codec: values taken apart into columns and put together again."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from identity import all_identical, identical
from kinds import KINDS, back

from simkit.declare.snapshot import snapshot
from simkit.values.compare import digest, same
from simkit.values.decode import ABSENT, as_array, decode
from simkit.values.encode import encode, explain
from simkit.values.results import take_apart

kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_each_kind_comes_back_as_it_was(kind):
    assert all_identical(back(decode(encode(KINDS[kind]))), KINDS[kind])


@kinds
def test_each_value_comes_back_from_a_column_of_its_own(kind):
    for value in KINDS[kind]:
        assert all_identical(back(decode(encode([value]))), [value])


@kinds
def test_each_kind_is_written_as_it_was_when_it_was_returned(kind):
    """Taken apart in the run, written later."""
    held = [snapshot(value, take_apart) for value in [*KINDS[kind], list(KINDS[kind])]]
    assert all_identical(back(decode(encode(held))), [*KINDS[kind], list(KINDS[kind])])


@kinds
def test_each_kind_comes_back_nested(kind):
    wanted = [{"v": v, "more": [v, {"two words": (v,)}]} for v in KINDS[kind]]
    assert all_identical(back(decode(encode(wanted))), wanted)


@kinds
def test_each_kind_stands_among_others_and_where_rows_are_absent(kind):
    wanted = [1, *KINDS[kind], "x", None]
    n = 2 * len(wanted)
    column = encode(wanted).spread(n, np.arange(1, n, 2))
    got = decode(column)
    assert all_identical(back(got[1::2]), wanted)
    assert got[::2] == [ABSENT] * len(wanted)
    assert column.present().tolist() == [False, True] * len(wanted)


@kinds
def test_each_kind_can_be_taken_in_any_order(kind):
    wanted = KINDS[kind]
    index = [*reversed(range(len(wanted))), 0]
    assert all_identical(back(decode(encode(wanted).take(np.array(index)))), [wanted[i] for i in index])
    assert decode(encode(wanted).take(np.empty(0, np.int64))) == []


@kinds
def test_each_kind_can_be_read_as_an_array_and_has_a_size(kind):
    column = encode(KINDS[kind])
    assert len(as_array(column)) == len(KINDS[kind])
    assert len(as_array(column.spread(2 * column.n, np.arange(column.n)))) == 2 * column.n
    assert column.nbytes >= 0


@kinds
def test_each_kind_is_the_same_as_its_copy_and_as_what_comes_back(kind):
    """By this, points and constants are recognised when a study goes on."""
    for value in KINDS[kind]:
        wanted = digest(value)
        assert digest(copy.deepcopy(value)) == wanted
        assert digest(decode(encode([value]))[0]) == wanted
        (anew,) = back(decode(encode([value])))
        assert digest(anew) == wanted
        assert same(value, anew)
        assert explain(value, "z") is None


@kinds
def test_the_values_of_a_kind_are_told_apart(kind):
    values = KINDS[kind]
    for i, one in enumerate(values):
        for other in values[i + 1 :]:
            assert (digest(one) == digest(other)) == identical(one, other)


def test_one_of_everything_under_one_name():
    wanted = [values[0] for values in KINDS.values()]
    assert all_identical(back(decode(encode(wanted))), wanted)
    assert identical(back(decode(encode([wanted])))[0], wanted)


def test_records_that_could_not_be_put_together_are_written_as_they_were_read():
    wanted = [v for name in ("attrs", "dataclass", "instances in containers") for v in KINDS[name]]
    again = decode(encode(decode(encode(wanted))))
    assert all_identical(back(again), wanted)
