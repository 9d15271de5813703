"""Compressed chunks: read as HDF5 reads them, but never to more than a chunk."""

from __future__ import annotations

import zlib

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simkit
from simkit.errors import Damaged, SimkitError
from simkit.record.columns.rows import Inflated, read_rows
from simkit.record.inspection import is_inflated_here

SHAPES = [
    ((9,), (4,)),
    ((9,), (64,)),
    ((5, 7), (1, 7)),
    ((5, 7), (2, 3)),
    ((4, 3, 5), (3, 2, 5)),
    ((0, 3), (2, 3)),
]
DTYPES = ["f8", ">f4", "i2", ">u4", "?", "c16", "f2", "i1"]


@given(
    st.sampled_from(SHAPES), st.sampled_from(DTYPES), st.booleans(), st.integers(0, 9), st.integers(0, 9),
    st.sampled_from([1, 8, 100_000]), st.booleans(),
)  # fmt: skip
def test_rows_are_those_that_hdf5_reads(shape, dtype, shuffles, start, stop, spread, leaves_some):
    """Of any shape and type; chunks that were never written, in part outside, or stored as they are."""
    full, chunk = shape
    values = (np.random.default_rng(1).integers(0, spread, full) % 120).astype(dtype)
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        made = file.create_dataset(
            "a", full, dtype, chunks=chunk, maxshape=(None, *full[1:]), compression="gzip", shuffle=shuffles
        )
        made[: len(values) // 2 if leaves_some else None] = values[
            : len(values) // 2 if leaves_some else None
        ]
        file.flush()
        assert is_inflated_here(made.id, made.id.get_create_plist())
        rows = slice(min(start, full[0]), min(stop, full[0]))
        ours, theirs = Inflated(made)[rows], made[rows]
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("options", [{"fletcher32": True}, {"compression": "lzf"}, {"scaleoffset": 2}, {}])
def test_other_filters_are_left_to_hdf5(tmp_path, options):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset("a", data=np.arange(100), chunks=(8,), **options)
        assert not is_inflated_here(made.id, made.id.get_create_plist())
        assert read_rows(made, slice(3, 50)).tolist() == list(range(3, 50))


@pytest.fixture
def crafted(tmp_path):
    def study(x):
        return {"big": np.full(2000, x), "z": x}

    path = tmp_path / "study.h5"
    simkit.run(study, simkit.product(x=[1, 2]), output=path).close()

    def craft(name, octets, shape=(2, 1024), chunk=(1, 1024), dtype="f8", **options):
        with h5py.File(path, "r+") as file:
            attributes = dict(file[name].attrs)
            del file[name]
            made = file.create_dataset(
                name,
                shape,
                dtype,
                chunks=chunk,
                maxshape=(None, *shape[1:]),
                **{"compression": "gzip", **options},
            )
            made.attrs.update(attributes)
            if octets:
                made.id.write_direct_chunk((0,) * len(shape), octets)
        return path

    return craft


@pytest.fixture(scope="module")
def stream():
    """200 MB of nothing, in 200 kB."""
    deflate = zlib.compressobj(9)
    return b"".join([*(deflate.compress(bytes(1 << 20)) for _ in range(200)), deflate.flush()])


def test_a_chunk_of_a_result_never_grows_to_more_than_a_chunk(crafted, stream):
    path = crafted("study/results/big", stream)
    with simkit.open(path) as trajectory:
        assert trajectory["z"].tolist() == [1, 2]
        for read in (lambda: trajectory["big"], lambda: trajectory.runs[0].big):
            with pytest.raises(Damaged, match=r"big: a compressed chunk is damaged.* more than 8,192 bytes"):
                read()


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("study/runs/status", {"shape": (2,), "chunk": (64,), "dtype": "u1"}),
        ("study/runs/seconds", {"shape": (2,), "chunk": (64,), "dtype": "f4"}),
        ("study/results/big", {"fletcher32": True}),
        ("study/results/big", {"dtype": "S8"}),
    ],
)
def test_where_hdf5_would_inflate_it_the_file_is_refused(crafted, stream, name, how):
    with pytest.raises(
        SimkitError, match=f"{name.removeprefix('study/')} has a compressed chunk that grows to more"
    ):
        simkit.open(crafted(name, stream, **how))


@pytest.mark.parametrize("how", [{"compression": "lzf"}, {"scaleoffset": 2, "compression": None}, "twice"])
def test_filters_that_simkit_does_not_use_are_refused(crafted, tmp_path, how):
    """One behind another a million times what is stored; what HDF5 does not know it loads from elsewhere."""
    path = crafted("study/results/big", None, **({} if how == "twice" else how))
    if how == "twice":
        with h5py.File(path, "r+") as file:
            results = file["study/results"]
            attributes = dict(results["big"].attrs)
            del results["big"]
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_chunk((1, 8))
            plan.set_deflate(9)
            plan.set_deflate(9)
            h5py.h5d.create(results.id, b"big", h5py.h5t.NATIVE_DOUBLE, h5py.h5s.create_simple((2, 8)), plan)
            results["big"].attrs.update(attributes)
    with pytest.raises(
        SimkitError, match="results/big is stored by filters that simkit does not use: refused"
    ):
        simkit.open(path)


@pytest.mark.parametrize("octets", [b"nothing", zlib.compress(bytes(100)), zlib.compress(bytes(8192))[:-9]])
def test_a_stream_that_is_none_or_gives_too_little_is_an_error(crafted, octets):
    with simkit.open(crafted("study/results/big", octets)) as trajectory:
        with pytest.raises(Damaged, match="big: a compressed chunk is damaged"):
            trajectory["big"]
        assert trajectory["z"].tolist() == [1, 2]
