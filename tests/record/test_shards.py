"""Which files hold the runs of a set, and what is read of them: whole, missing, being written, broken, a stranger's."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simkit
from simkit import SimkitError
from simkit.cli.main import main
from simkit.record.file.store import Store
from simkit.record.file.view import LoggedView
from simkit.values.columns import Column, united
from simkit.values.decode import ABSENT, decode
from simkit.values.encode import encode

STUDY = """
import numpy as np
from simkit import experiment, explore

@experiment
@explore(x=range(12), label=[f"l{i}" for i in range(12)])
def study(x, label, run, rng):
    run.add(z=2.0 * x, t=f"t{x}", ragged=np.arange(x % 4), mixed=x if x < 6 else float(x), pair={"a": x, "b": [x] * 2})
    if x > 8:
        run.add(late=x)
    run.note(f"n{x}")
"""


def three_shards(folder, name, text):
    """The results of a study that was executed as a set of three."""
    (folder / "pyproject.toml").write_text("[tool.simkit]\n")
    (folder / f"sim_{name}.py").write_text(text)
    with contextlib.chdir(folder):
        for i in range(3):
            assert main(["--shard", f"{i}/3", "-n", "0", "-q", "--seed", "1"]) == 0
    return folder / "results"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return three_shards(tmp_path_factory.mktemp("made"), "study", STUDY)


@pytest.fixture
def results(made, tmp_path):
    """A set of three shards that a test may change."""
    return shutil.copytree(made, tmp_path / "results")


def test_each_kind_of_column_is_read_from_all_files(made):
    with simkit.open(made / "study-001.h5") as trajectory:
        x = np.arange(12)
        assert np.array_equal(trajectory["x"], x)
        assert np.array_equal(trajectory["z"], 2.0 * x)
        assert trajectory["t"].tolist() == [f"t{i}" for i in x]
        assert [v.tolist() for v in trajectory["ragged"]] == [list(range(i % 4)) for i in x]
        assert [type(trajectory.runs[i].mixed) for i in (2, 5, 6)] == [int, int, float]
        assert [dict(v) for v in trajectory["pair"]] == [{"a": i, "b": [i, i]} for i in x]
        assert trajectory["late"].mask.tolist() == [i <= 8 for i in x]
        odd = trajectory.where("x in (11, 3, 7)")
        assert odd["label"].tolist() == ["l3", "l7", "l11"]
        assert trajectory.runs[5].t == "t5"
        assert [trajectory.notes(i) for i in (4, 7)] == [["n4"], ["n7"]]
        assert trajectory.source(7) == ("study-001.shards/0001.h5", 3)
        assert len(trajectory.info.sessions) == 4


def test_other_tools_see_numbers_and_text_through_the_master(made):
    with h5py.File(made / "study-001.h5") as file:
        root = file["study"]
        assert np.array_equal(root["results/z"][:], 2.0 * np.arange(12))
        assert root["results/t"].asstr()[:].tolist() == [f"t{i}" for i in range(12)]
        assert root["runs/status"][:].tolist() == [1] * 12
        assert root["results/pair/a"][:].tolist() == list(range(12))
        assert not isinstance(root["results/ragged"], h5py.Dataset)


def test_a_file_that_is_missing_stands_for_pending_runs(results):
    (results / "study-001.shards/0001.h5").unlink()
    with simkit.open(results / "study-001.h5") as trajectory:
        assert trajectory.status.tolist() == ["done"] * 4 + ["pending"] * 4 + ["done"] * 4
        assert np.isnan(trajectory["z"][4:8]).all()
        assert trajectory["x"].mask.tolist() == [4 <= i < 8 for i in range(12)]
        assert trajectory["t"].mask.tolist() == [4 <= i < 8 for i in range(12)]
        assert trajectory.log(5) == ""
        assert trajectory.notes(5) == []
        assert len(trajectory.to_dataframe(["z", "t"], info=True)) == 12
    with h5py.File(results / "study-001.h5") as file:
        assert file["study/runs/status"][:].tolist() == [1] * 4 + [0] * 4 + [1] * 4


def test_a_file_that_is_being_written_is_read_as_it_was_committed(results):
    store = Store(results / "study-001.shards/0001.h5")
    store.file["study/results/z"][0] = 99.0
    with simkit.open(results / "study-001.h5") as trajectory:
        assert trajectory["z"][4] == 8.0
    store.commit()
    with simkit.open(results / "study-001.h5") as trajectory:
        assert trajectory["z"][4] == 99.0
        assert trajectory.runs[4].z == 99.0
    store.close()


LONG = """
import numpy as np
from simkit import experiment, explore

@experiment(vectorized=True)
@explore(x=np.arange(60_000) / 4)
def long(x):
    return {"z": x * 3, "v": np.stack([x, -x], axis=1).astype("f4")}
"""


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    return three_shards(tmp_path_factory.mktemp("long"), "long", LONG)


X = np.arange(60_000) / 4


def rows_of(trajectory, name, start, stop):
    return np.stack(decode(trajectory._selection.recorded.column(name, slice(start, stop))))


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 60_000), (1, 59_999), (8_191, 8_193), (19_999, 40_001), (30_000, 30_001)]
)
def test_numbers_are_copied_over_chunks_and_files(long, monkeypatch, start, stop):
    sizes = []

    def readinto(view, buffer, original=LoggedView.readinto):
        sizes.append(len(memoryview(buffer).cast("B")))
        return original(view, buffer)

    with simkit.open(long / "long-001.h5") as trajectory:
        monkeypatch.setattr(LoggedView, "readinto", readinto)
        for name, wanted in (("z", X * 3), ("x", X), ("v", np.stack([X, -X], axis=1).astype("f4"))):
            np.testing.assert_array_equal(rows_of(trajectory, name, start, stop), wanted[start:stop])
    if stop - start > 20_000:
        assert max(sizes) > 8 * 8_192  # many chunks at once


def without_a_chunk(dataset):
    values = np.arange(len(dataset), dtype="f8")
    new = dataset.file.create_dataset(
        f"{dataset.name}.new", dataset.shape, "f8", chunks=(3_000,), fillvalue=7.0
    )
    new[6_000:] = values[6_000:]
    return new, np.where(values < 6_000, 7.0, values)


def compressed(dataset):
    values = np.arange(len(dataset), dtype="f8")
    return dataset.file.create_dataset(
        f"{dataset.name}.new", data=values, chunks=(3_000,), compression=1
    ), values


def scattered(dataset):
    values = np.arange(len(dataset), dtype="f8")
    new = dataset.file.create_dataset(f"{dataset.name}.new", dataset.shape, "f8", chunks=(1_000,))
    for first in np.random.default_rng(1).permutation(20) * 1_000:  # chunks lie in any order
        new[first : first + 1_000] = values[first : first + 1_000]
    return new, values


@pytest.mark.parametrize("changed", [without_a_chunk, compressed, scattered])
def test_however_a_column_lies_in_a_file_it_is_read(long, tmp_path, changed):
    results = shutil.copytree(long, tmp_path / "results")
    store = Store(results / "long-001.shards/0001.h5")
    old = store.file["long/results/z"]
    new, values = changed(old)
    new.attrs.update(dict(old.attrs))
    del store.file["long/results/z"]
    store.file.move(new.name, "long/results/z")
    store.commit()
    store.close()
    with simkit.open(results / "long-001.h5") as trajectory:
        for start, stop in ((0, 60_000), (20_000, 40_000), (26_500, 33_333)):
            wanted = np.concatenate([X[:20_000] * 3, values, X[40_000:] * 3])[start:stop]
            np.testing.assert_array_equal(rows_of(trajectory, "z", start, stop), wanted)


def cut_short(path):
    os.truncate(path, path.stat().st_size // 2)


def garbage(path):
    path.write_bytes(b"nothing of HDF5's" * 1000)


def flipped(path):
    octets = bytearray(path.read_bytes())
    for place in range(4096, len(octets) - 4096, 97):
        octets[place] ^= 0xFF
    path.write_bytes(octets)


def of_another_place(path):
    shutil.copy(path.with_name("0000.h5"), path)


@pytest.mark.parametrize("harm", [cut_short, garbage, flipped, of_another_place])
def test_a_broken_file_is_an_error_that_names_it_and_costs_no_other_run(results, harm):
    harm(results / "study-001.shards/0001.h5")
    with simkit.open(results / "study-001.h5") as trajectory:
        assert trajectory.runs[2].z == 4.0
        for read in (lambda: trajectory["z"], lambda: trajectory.status, lambda: trajectory.runs[5].t):
            with pytest.raises(SimkitError, match=r"0001\.h5") as error:
                read()
            assert "pending" in str(error.value) or "damaged" in str(error.value)
    (results / "study-001.shards/0001.h5").rename(results / "away.h5")
    with simkit.open(results / "study-001.h5") as trajectory:
        assert (trajectory.status == "pending").sum() == 4


def linked_file(results):
    path = results / "study-001.shards/0001.h5"
    path.rename(results / "elsewhere.h5")
    path.symlink_to(results / "elsewhere.h5")


def linked_folder(results):
    (results / "study-001.shards").rename(results / "elsewhere")
    (results / "study-001.shards").symlink_to(results / "elsewhere")


def changed(place, **attributes):
    def change(results):
        with h5py.File(results / "study-001.h5", "r+") as file:
            if place in file:
                del file[place]
            layout = h5py.VirtualLayout((12,), "f8")
            layout[:] = h5py.VirtualSource(attributes["source"], "/study/results/z", (12,))
            file.create_virtual_dataset(place, layout).attrs["codec"] = "float"

    return change


def table(rows):
    def change(results):
        with h5py.File(results / "study-001.h5", "r+") as file:
            del file["study/shards"]
            file["study/shards"] = np.array(rows, "i8").reshape(-1, 3)

    return change


@pytest.mark.parametrize(
    "change",
    [
        linked_file, linked_folder, changed("study/results/z", source="other.shards/0000.h5"),
        changed("study/results/z", source="study-001.shards/../../0000.h5"), changed("study/results/z", source="."),
        changed("study/results/z", source="/etc/0000.h5"), changed("study/results/z", source="study-001.shards/.."),
        changed("study/results/z.present", source="study-001.shards/0000.h5"),
        changed("study/runs/error/run", source="study-001.shards/0000.h5"),
        changed("study/info/1/host", source="study-001.shards/0000.h5"),
        table([[0, 0, 4], [1, 4, 8]]), table([[0, 0, 4], [0, 4, 12]]), table([[0, 0, 8], [1, 4, 12]]),
        table([[0, 0, 12], [1, 12, 12]]), table([]), table([[0, 1, 12]]),
    ],
)  # fmt: skip
def test_what_a_stranger_made_of_a_set_is_refused(results, change):
    change(results)
    with pytest.raises(SimkitError, match=r"refused|damaged, or was not made by simkit"):
        simkit.open(results / "study-001.h5")["z"]


@pytest.mark.parametrize(
    "place", ["results/z", "runs/status", "runs/error/run", "parameters/x", "runs/started"]
)
def test_a_plain_file_has_no_virtual_columns(results, tmp_path, place):
    plain = tmp_path / "plain.h5"
    simkit.run(lambda x: {"z": x}, simkit.product(x=[1, 2]), output=plain).close()
    (tmp_path / "plain.shards").mkdir()
    shutil.copy(results / "study-001.shards/0000.h5", tmp_path / "plain.shards/0000.h5")
    with h5py.File(plain, "r+") as file:
        name = next(iter(file))
        attributes = {"codec": "float"}
        if f"{name}/{place}" in file:
            attributes |= dict(file[f"{name}/{place}"].attrs)
            del file[f"{name}/{place}"]
        layout = h5py.VirtualLayout((2,), "u1" if place == "runs/status" else "f8")
        layout[:] = h5py.VirtualSource("plain.shards/0000.h5", f"/study/{place}", (2,))
        file.create_virtual_dataset(f"{name}/{place}", layout).attrs.update(attributes)
    lines = "import sys; from simkit.record.readings import *; digest_of(sys.argv[1], state_of(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", lines, plain], check=True)  # as an input, too
    with pytest.raises(SimkitError, match="refused"):
        simkit.open(plain)["z"]


VALUES = st.one_of(
    st.none(), st.integers(-9, 9), st.floats(allow_nan=False), st.text(max_size=3),
    st.lists(st.integers(0, 3), max_size=3), st.dictionaries(st.sampled_from("ab"), st.booleans(), max_size=2),
    st.lists(st.integers(0, 3), max_size=3).map(lambda v: np.array(v, "i8")),
)  # fmt: skip


@given(st.lists(VALUES, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_columns_of_some_rows_each_are_one_column(values, random):
    order = list(range(len(values)))
    random.shuffle(order)
    cut = random.randint(0, len(order))
    parts = [np.array(part, np.int64) for part in (order[:cut], order[cut:]) if part]
    column = united(len(values) + 1, [(part, encode([values[i] for i in part])) for part in parts])
    assert isinstance(column, Column)
    rows = decode(column)
    assert [repr(row) for row in rows[:-1]] == [repr(row) for row in decode(encode(values))]
    assert rows[-1] is ABSENT
