"""Runs copied from file to file are what they were, and no larger."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import simkit
from simkit import experiment, explore, product

N = 24
F = """
from simkit import experiment

@experiment
def f(x=0.0):
    return {"z": x}
"""


def results(i: int) -> dict[str, object]:
    return {
        "smooth": np.sin(np.arange(20_000) / 500 + i),
        "noise": np.random.default_rng(i).random(9_000),
        "ragged": np.arange(9_000 + i),
        "small": np.arange(3) + i,
        "times": (np.arange(2_000) + i).astype("M8[s]"),
        "inside": {"counts": np.full(5_000, i), "word": "w" * i},
        "mixed": np.full(4_000, i) if i % 2 else f"run {i}",
    }


@pytest.fixture
def whole(record):
    @experiment(compress=True)
    def f(i, k):
        if i == 5:
            raise ValueError("five")
        return results(i)

    return record(f, product(i=range(N), k=[0]))


def chunks(path) -> dict[str, list[tuple[int, bytes]]]:
    """The stored chunks of every compressed dataset of one row a chunk, and its rows, by name."""
    found = {}

    def look(name, node):
        if isinstance(node, h5py.Dataset) and node.compression is not None and node.ndim > 1:
            count = node.id.get_num_chunks()
            infos = sorted(node.id.get_chunk_info(k).chunk_offset for k in range(count))
            found[name] = [node.id.read_direct_chunk(offset) for offset in infos]

    with h5py.File(path) as file:
        file["f"].visititems(look)
    return found


def test_an_exported_part_is_as_compressed_as_the_whole(whole, tmp_path):
    part = tmp_path / "part.h5"
    half = whole.where("i < 12")
    half.export(part)
    assert part.stat().st_size < 0.75 * whole.path.stat().st_size
    before, after = chunks(whole.path), chunks(part)
    assert set(before) == set(after)
    assert len(before) >= 4
    for name, stored in after.items():
        assert stored
        assert stored == before[name][: len(stored)]
    with simkit.open(part) as again, h5py.File(part) as file:
        assert file["f/results/ragged/values"].compression == "gzip"
        assert again.status.tolist() == half.status.tolist()
        for i in (0, 3, 11):
            for name, value in results(i).items():
                np.testing.assert_equal(again.runs[i][name], value)


def test_a_part_of_scattered_runs_is_what_they_were(whole, tmp_path):
    part = tmp_path / "part.h5"
    whole.where("i % 5 == 3").export(part)
    with simkit.open(part) as again:
        assert again["i"].tolist() == [3, 8, 13, 18, 23]
        for run in again.runs:
            for name, value in results(run.i).items():
                np.testing.assert_equal(run[name], value)


def test_merged_chunks_are_those_of_the_sources(record, tmp_path):
    @experiment(compress=True)
    def f(i):
        return results(i)

    one, other = record(f, explore(i=[1, 2, 3])), record(f, explore(i=[7, 8]))
    with simkit.merge(tmp_path / "m.h5", one.path, other.path) as merged:
        assert merged["i"].tolist() == [1, 2, 3, 7, 8]
    first, second, both = chunks(one.path), chunks(other.path), chunks(tmp_path / "m.h5")
    assert both == {name: first[name] + second[name] for name in first}
    sizes = [path.stat().st_size for path in (one.path, other.path, tmp_path / "m.h5")]
    assert sizes[2] < 1.1 * (sizes[0] + sizes[1])


@pytest.fixture
def two(study):
    """``a.h5`` with the points 1 and 2, ``b.h5`` with 3."""
    study.run(F, space=explore(x=[1.0, 2.0]), output="a.h5").close()
    study.run(F, space=explore(x=[3.0]), output="b.h5").close()
    return study


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


FORMS = [{"compression": "gzip"}, {"fletcher32": True}, {"chunks": (1, 1000)}, {"chunks": (3, 2000)}]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_file_that_was_repacked_goes_on(record, tmp_path, form):
    @experiment(compress=True)
    def f(i):
        return {"a": np.arange(20_000) + i, "noise": np.random.default_rng(i).random(9_000)}

    def repack(path):
        with h5py.File(path, "r+") as file:
            for name in ("a", "noise"):
                old = file[f"f/results/{name}"]
                rows, attributes, extents = old[:], dict(old.attrs), old.maxshape
                del file[f"f/results/{name}"]
                chunks = {"chunks": (1, rows.shape[1]), **form}
                new = file["f/results"].create_dataset(name, data=rows, maxshape=extents, **chunks)
                new.attrs.update(attributes)

    def check(traj, wanted):
        assert traj["i"].tolist() == wanted
        for run in traj.runs:
            for name, value in f(run.i).items():
                np.testing.assert_array_equal(run[name], value)

    with record(f, explore(i=[1, 2])) as traj:
        path = traj.path
    repack(path)
    with simkit.run(f, explore(i=[1, 2, 3, 4]), output=path) as traj:
        check(traj, [1, 2, 3, 4])
    other = record(f, explore(i=[7])).path
    with simkit.merge(tmp_path / "m.h5", path, other) as merged:
        check(merged, [1, 2, 3, 4, 7])
    with simkit.merge(tmp_path / "n.h5", other, path) as merged:
        check(merged, [7, 1, 2, 3, 4])
        merged.where("i > 2").export(tmp_path / "part.h5")
    with simkit.open(tmp_path / "part.h5") as part:
        check(part, [7, 3, 4])
