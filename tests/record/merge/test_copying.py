"""Texts, checkpoints and chunks go from file to file as they are."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import simkit
from simkit import explore

F = """
from simkit import experiment

@experiment
def f(x=0.0):
    return {"z": x}
"""


TEXT = h5py.string_dtype()


@pytest.fixture
def two(study):
    """``a.h5`` with the points 1 and 2, ``b.h5`` with 3."""
    study.run(F, space=explore(x=[1.0, 2.0]), output="a.h5").close()
    study.run(F, space=explore(x=[3.0]), output="b.h5").close()
    return study


def test_texts_that_sessions_share_are_there_once(two):
    for file, keys in (("a.h5", "pq"), ("b.h5", "qr")):
        with h5py.File(file, "r+") as opened:
            for key in keys:
                opened.create_dataset(f"f/info/sources/{key}", data=key * 3, dtype=TEXT)
    simkit.merge("m.h5", "a.h5", "b.h5").close()
    with h5py.File("m.h5") as merged:
        store = merged["f/info/sources"]
        texts = {key: store[key].asstr()[()] for key in "pqr"}
        assert texts == {"p": "ppp", "q": "qqq", "r": "rrr"}
        assert len(store) > 3  # and the sources of the study itself, once
        assert [key for key in merged["f/info"] if key.isdigit()] == ["001", "002"]


def test_compressed_chunks_stay_compressed(two):
    for file, n in (("a.h5", 2), ("b.h5", 1)):
        with h5py.File(file, "r+") as opened:
            made = opened["f/results"].create_dataset(
                "big", (n, 50_000), "f8", maxshape=(None, 50_000), chunks=(1, 50_000), compression="gzip"
            )
            made.attrs["codec"] = "array"
            for row in range(n):
                made[row] = row + (10 if file == "b.h5" else 0)
    with simkit.merge("m.h5", "a.h5", "b.h5") as merged:
        assert merged["big"].sum(1).tolist() == [0, 50_000, 500_000]
    with h5py.File("a.h5", "r+") as opened:
        del opened["f/results/big"]
    simkit.merge("n.h5", "a.h5", "b.h5").close()  # a new name there
    for file in ("m.h5", "n.h5"):
        with h5py.File(file) as opened:
            dataset = opened["f/results/big"]
            assert dataset.compression == "gzip"
            assert dataset.id.get_storage_size() < 3000
            assert dataset[2].tolist() == [10.0] * 50_000


def test_a_sparse_shard_stays_sparse(study):
    text = """
    import numpy as np
    from simkit import experiment

    @experiment
    def f(x=0.0):
        assert x % 10 == 0
        return {"a": np.full(100_000, x)}
    """
    study.run(text, space=explore(x=np.arange(100.0)), output="a.h5").close()
    study.run(text, space=explore(x=np.arange(100.0) + 1000), output="b.h5").close()
    with simkit.merge("m.h5", "a.h5", "b.h5") as merged:
        assert len(merged) == 200
        assert merged.runs[190].a[7] == 1090.0
    with h5py.File("m.h5") as opened:
        assert opened["f/results/a"].id.get_storage_size() == 20 * 800_000
