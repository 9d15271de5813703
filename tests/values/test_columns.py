"""Rows of columns: taken, spread, counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from storable import EXAMPLES, all_identical, identical, values

import simkit
from simkit import product
from simkit.values.columns import Column, concatenated
from simkit.values.decode import ABSENT, as_array, decode
from simkit.values.encode import encode

examples = pytest.mark.parametrize("kind", EXAMPLES)


rows = st.lists(values, max_size=5)


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


@given(rows.filter(len), st.data())
def test_taking_rows_is_taking_values(wanted, data):
    index = data.draw(st.lists(st.integers(0, len(wanted) - 1), max_size=6))
    taken = encode(wanted).take(np.array(index, np.int64))
    assert taken.n == len(index)
    assert all_identical(decode(taken), [wanted[i] for i in index])


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


@given(rows)
def test_a_column_knows_its_size_and_can_be_read_as_an_array(wanted):
    column = encode(wanted)
    assert column.nbytes >= 0
    assert len(as_array(column)) == column.n == len(wanted)


def test_no_values_are_an_empty_column():
    assert decode(encode([])) == []
    assert len(as_array(encode([]))) == 0
    assert decode(Column(2, ())) == [ABSENT, ABSENT]


@given(st.lists(rows, max_size=4))
def test_columns_end_to_end_are_their_values_end_to_end(parts):
    columns = [encode(part) if part else Column(0, ()) for part in parts]
    assert all_identical(decode(concatenated(columns)), [value for part in parts for value in part])


@examples
def test_each_type_can_be_laid_end_to_end_and_lies_together(kind):
    wanted = EXAMPLES[kind]
    singly = concatenated([encode([value]) for value in wanted])
    assert all_identical(decode(singly), wanted)
    assert len(singly.variants) <= len(wanted)


ALIKE = {
    "indices": lambda i: pd.Index([i]) if i % 2 else pd.DatetimeIndex([f"{2000 + i}"]),
    "object arrays": lambda i: np.array([i] if i % 2 else [[i]], object),
    "text that HDF5 can't hold": lambda i: np.array([f"{i}\0" + "x" * (1 + i % 2)]),
    "texts of any length": lambda i: np.array([f"{i}"] if i % 2 else [[f"{i}"]], np.dtypes.StringDType()),
    "in a list": lambda i: [np.array([i] if i % 3 else [[i]], object)] * (i % 2),
}


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("kind", ALIKE)
def test_each_run_has_its_own_of_values_that_are_stored_alike(tmp_path, kind, workers):
    make = ALIKE[kind]

    def f(i):
        return {"z": make(i)}

    space = product(i=range(60))
    with simkit.run(f, space, workers=workers, output=tmp_path / "f.h5", check=True) as traj:
        assert [run.i for run in traj.runs if not identical(run.z, make(run.i))] == []


def test_arrays_of_several_shapes_and_absent_rows_lie_in_one_variant():
    arrays = [np.ones(2), np.ones((2,)), np.ones(3), np.empty(0)]
    column = concatenated([encode(arrays[:2]), Column(2, ()), encode(arrays[2:])])
    assert [type(node).__name__ for _, node in column.variants] == ["Ragged"]
    assert all_identical(decode(column), [*arrays[:2], ABSENT, ABSENT, *arrays[2:]])
