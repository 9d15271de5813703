"""Rows of one dataset: written with any gaps, read as they lie in the file."""

from __future__ import annotations

import math

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simkit.record.columns.rows import create_column, put, read_plain, read_rows
from simkit.record.file.store import open_with_bytes
from simkit.record.file.view import LoggedView


@pytest.mark.parametrize("kind", ["f8", "i2", "c16", "?", "status", "text", ">i4"])
@given(rows=st.sets(st.integers(0, 40_000), max_size=12), shape=st.sampled_from([(), (3,)]))
@settings(max_examples=25)
def test_rows_with_any_gaps_are_put_where_they_belong(kind, rows, shape):
    types = {"status": h5py.enum_dtype({"pending": 0, "done": 1}, "u1"), "text": h5py.string_dtype()}
    numbers = np.array(sorted(rows), np.int64)
    with h5py.File("rows.h5", "w", driver="core", backing_store=False) as file:
        column = create_column(
            file, "column", 40_001, types[kind] if kind in types else np.dtype(kind), shape
        )
        before = column[:]
        values = np.arange(len(numbers) * int(np.prod(shape))).reshape(-1, *shape) % 2
        values = (
            values.astype("u1" if kind == "status" else kind)
            if kind != "text"
            else values.astype(str).astype(object)
        )
        put(column, numbers, values)
        after = column.asstr()[:] if kind == "text" else column[:]
    assert (after[numbers] == values).all()
    others = np.setdiff1d(np.arange(40_001), numbers)
    assert after.dtype == (object if kind == "text" else before.dtype)
    assert np.array_equal(before[others], after[others], equal_nan=kind in ("f8", "c16")) or kind == "text"


def filled(path, dtype, tail, chunk, order):
    """A file with a dataset whose chunks are written in this order, and another's between each two of them."""
    with h5py.File(path, "w") as file:
        one, other = (
            file.create_dataset(name, (40, *tail), dtype, chunks=(chunk, *tail), fillvalue=np.array(7, dtype))
            for name in ("one", "other")
        )
        values = np.arange(one.size).reshape(one.shape).astype(dtype)
        for number, is_between in order:
            dataset = other if is_between else one
            if number * chunk < len(one):
                dataset[number * chunk : (number + 1) * chunk] = values[number * chunk : (number + 1) * chunk]
                file.flush()  # else chunks are placed in their own order
        return one[:]


@given(
    st.sampled_from(["f8", ">f8", "i2", "?", "c16"]), st.sampled_from([(), (3,), (2, 2)]), st.sampled_from([3, 8]),
    st.lists(st.tuples(st.integers(0, 13), st.booleans()), max_size=30), st.integers(0, 40), st.integers(0, 40),
)  # fmt: skip
def test_numbers_are_read_however_their_chunks_lie(tmp_path_factory, dtype, tail, chunk, order, one, other):
    first, stop = sorted((one, other))
    path = tmp_path_factory.mktemp("rows") / "rows.h5"
    wanted = filled(path, dtype, tail, chunk, order)[first:stop]
    file, octets = open_with_bytes(path)
    with file:
        array = np.empty((stop - first, *tail), dtype)
        read_plain(file["one"].id, octets, first, array)
    np.testing.assert_array_equal(array, wanted)


@pytest.mark.parametrize("dtype", ["f8", h5py.string_dtype()], ids=["numbers", "texts"])
@pytest.mark.parametrize("rows", [[2, 0, 1], [0, 1, 3, 2], [1, 1], [5, 0]])
def test_rows_in_another_order_are_not_written(tmp_path, dtype, rows):
    """Their values would come to stand in each other's place, or in rows that nobody meant."""
    with h5py.File(tmp_path / "f.h5", "w") as file:
        dataset = create_column(file, "z", 6, dtype)
        before = dataset[:].tolist()
        with pytest.raises(ValueError, match="/z: rows are written in ascending order, these are "):
            put(dataset, np.array(rows), np.arange(len(rows)).astype(dtype if dtype == "f8" else object))
        assert repr(dataset[:].tolist()) == repr(before)


def test_what_lies_where_a_chunk_is_missing_is_not_read(tmp_path):
    """Three chunks end to end in the file, the middle one of which is another dataset's."""
    begun = [(4, False), (4, True), (3, False), (3, True)]
    wanted = filled(tmp_path / "rows.h5", "f8", (), 8, [*begun, (0, False), (1, True), (2, False)])
    file, octets = open_with_bytes(tmp_path / "rows.h5")
    with file:
        places = [file["one"].id.get_chunk_info(number).byte_offset for number in range(2)]
        assert places[1] - places[0] == 2 * 8 * 8
        array = np.empty(40)
        read_plain(file["one"].id, octets, 0, array)
    assert (array[8:16] == 7).all()
    np.testing.assert_array_equal(array, wanted)


def odd_type():
    """Numbers of 12 bits that begin at the third one of their two bytes."""
    type = h5py.h5t.STD_I16LE.copy()
    type.set_precision(12)
    type.set_offset(2)
    return h5py.Datatype(type)


@pytest.mark.parametrize("shape", [(60_000,), (60_004,), (203, 300)])
@pytest.mark.parametrize("part", [1, 4])
@pytest.mark.parametrize("kind", ["f8", ">f4", "i2", "c16", "?", "M8", "odd", "compressed", "block"])
def test_a_column_is_the_same_past_hdf5(tmp_path, kind, shape, part):
    """All of its rows or few of them, of types that are read past HDF5 and of some that are not."""
    dtype = {"odd": odd_type(), "M8": "i8", "compressed": "f8", "block": "f8"}.get(kind, kind)
    options = {"compression": "gzip"} if kind == "compressed" else {}
    with h5py.File(tmp_path / "rows.h5", "w", userblock_size=512 if kind == "block" else 0) as file:
        values = (np.arange(math.prod(shape)).reshape(shape) % 2000).astype("i2" if kind == "odd" else dtype)
        made = file.create_dataset("one", shape, dtype, chunks=(8, *shape[1:]), **options)
        made[:] = values
        if kind == "M8":
            made.attrs["dtype"] = "datetime64[s]"
            values = values.astype("M8[s]")
    file, octets = open_with_bytes(tmp_path / "rows.h5")
    with file:
        read = read_rows(file["one"], slice(0, shape[0] // part), octets)
    assert read.dtype.kind == values.dtype.kind
    np.testing.assert_array_equal(read, values[: shape[0] // part])


def test_most_of_a_column_of_arrays_is_read_in_few_pieces(tmp_path, monkeypatch):
    """HDF5 reads each chunk by itself."""
    values = np.arange(100 * 10_000.0).reshape(100, 10_000)
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file.create_dataset("one", data=values, chunks=(1, 10_000))
    file, octets = open_with_bytes(tmp_path / "rows.h5")
    sizes = []

    def readinto(view, buffer, original=LoggedView.readinto):
        sizes.append(memoryview(buffer).nbytes)
        return original(view, buffer)

    monkeypatch.setattr(LoggedView, "readinto", readinto)
    with file:
        np.testing.assert_array_equal(read_rows(file["one"], slice(10, 100), octets), values[10:])
    assert max(sizes) > 20 * 80_000
    assert sum(size >= 80_000 for size in sizes) < 10
