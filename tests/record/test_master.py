"""The master of a set: its virtual columns, what it learns of the files, how the runs are divided."""

from __future__ import annotations

from contextlib import closing

import h5py
import numpy as np
import pytest

import simkit
from simkit.record.file.locks import WriterLock
from simkit.record.file.store import Store
from simkit.record.master import adopt, divide, lay
from simkit.record.recorded import Recorded
from simkit.record.shards import Stretch, folder_of
from simkit.record.writer import Writer
from simkit.values.batch import Batch
from simkit.values.columns import Column, Leaf
from simkit.values.encode import encode

FACTS = {"node_id": "a.py::f", "root_seed": "1", "doc": "", "explored": "[]"}
FINGERPRINT = '{"constants": {}, "explored": []}'


def write(path, stretches, values, status=1):
    """A set's master, and those of its files that have values by number."""
    for stretch in stretches:
        if stretch.number in values:
            store = Store(folder_of(path) / stretch.file)
            n = stretch.stop - stretch.first
            writer = Writer(store, "f", n)
            writer.describe(
                {**FACTS, "fingerprint": FINGERPRINT, "first": stretch.first, "part_of": path.name}
            )
            writer.session({"started": 0.0})
            column = values[stretch.number]
            count = column.n
            batch = Batch(np.arange(count), np.full(count, status, "u1"), np.zeros(count), np.zeros(count),
                          results={"z": column})  # fmt: skip
            writer.put(batch)
            store.close()
    store = Store(path)
    writer = Writer(store, "f", 0)
    writer.describe({**FACTS, "fingerprint": FINGERPRINT})
    writer.session({"started": 0.0})
    lay(writer.root, path, stretches)
    store.close()
    for stretch in stretches:
        if stretch.number in values:
            with closing(Recorded.open(folder_of(path) / stretch.file)) as recorded:
                adopt(path, recorded.root, {}, durable=False)


def divided(path):
    with closing(Recorded.open(path)) as recorded:
        return [(s.number, s.first, s.stop) for s in recorded.shards.stretches]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "f-001.h5"


def test_the_master_learns_of_types_one_after_the_other(path):
    stretches = [Stretch(0, 0, 2), Stretch(1, 2, 4), Stretch(2, 4, 6), Stretch(3, 6, 8)]
    values = {0: encode([1.5, 2.5]), 1: encode([3.5, 4.5]), 2: encode([1, 2]), 3: encode(["a", [1]])}
    write(path, stretches[:2], values)
    with h5py.File(path) as file:
        assert file["f/results/z"].is_virtual
        assert file["f/results/z"][:].tolist() == [1.5, 2.5, 3.5, 4.5]
    path.unlink()
    write(path, stretches, values)
    with h5py.File(path) as file:
        assert file["f/results/z"].attrs["layout"] == "variants"
        assert len(file["f/results/z"]) == 4
    with simkit.open(path) as trajectory:
        assert trajectory["z"].tolist() == [1.5, 2.5, 3.5, 4.5, 1, 2, "a", [1]]
        assert trajectory.describe("z") is not None


def test_what_nobody_has_begun_is_cut(path):
    stretches = [Stretch(0, 0, 6), Stretch(1, 6, 12)]
    write(path, stretches, {0: encode([1.0, 2.0])})
    divide(path, "f", [3, 6, 9, 12], durable=False)
    assert divided(path) == [(0, 0, 2), (2, 2, 3), (3, 3, 6), (1, 6, 9), (4, 9, 12)]
    with h5py.File(path) as file:  # the first file has room for six runs, of which two are its own now
        assert file["f/results/z"][:2].tolist() == [1.0, 2.0]
        assert np.isnan(file["f/results/z"][2:]).all()
    with simkit.open(path) as trajectory:
        assert trajectory.status.tolist() == ["done"] * 2 + ["pending"] * 10
    before = path.read_bytes()
    divide(path, "f", [3, 6, 9, 12], durable=False)
    assert path.read_bytes() == before


def test_what_is_being_made_is_not_cut(path):
    write(path, [Stretch(0, 0, 6), Stretch(1, 6, 12)], {0: encode([1.0] * 6)})
    lock = WriterLock(folder_of(path) / "0001.h5")
    divide(path, "f", [3, 9, 12, 15], durable=False)
    lock.release()
    assert divided(path) == [(0, 0, 6), (1, 6, 12), (2, 12, 15)]
    with closing(Recorded.open(path)) as recorded:
        assert len(recorded) == 15


@pytest.mark.parametrize("count", [1000])
def test_a_set_of_a_thousand_files(path, count):
    stretches = [Stretch(k, 2 * k, 2 * k + 2) for k in range(count)]
    column = Column(2, ((None, Leaf("float", np.array([1.0, 2.0]))),))
    write(path, stretches, {0: column, 500: column, 999: column})
    with simkit.open(path) as trajectory:
        assert len(trajectory) == 2000
        assert np.flatnonzero(trajectory.status == "done").tolist() == [0, 1, 1000, 1001, 1998, 1999]
        assert trajectory["z"][1000:1002].tolist() == [1.0, 2.0]
        assert trajectory.runs[1999].z == 2.0
    with h5py.File(path) as file:
        assert np.nansum(file["f/results/z"][:]) == 9.0
