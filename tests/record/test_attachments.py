from __future__ import annotations

import hashlib
import sys

import h5py
import numpy as np
import pytest

import simkit
from simkit import SimkitError
from simkit.declare.attachment import Attachment
from simkit.record.attachments import (
    FileTable,
    RecordedFile,
    blocks,
    copy_files,
    forget,
    lost_files,
    read_files,
)

FILES = {0: {"a": b"zero", "b": b""}, 2: {"a": b"two", "same": b"zero"}, 3: {"a": b"x" * 100_000}}


def attachment(name, data):
    return Attachment(name, len(data), hashlib.sha256(data).hexdigest(), np.frombuffer(data, np.uint8))


@pytest.fixture
def runs(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("runs")
        table = FileTable(group)
        for run, files in FILES.items():
            table.add([(run, attachment(name, data)) for name, data in files.items()])
        yield group


def contents(runs, wanted=None):
    found = {}
    for file in read_files(runs, wanted):
        found.setdefault(file.run, {})[file.name] = b"".join(block.tobytes() for block in blocks(runs, file))
    return found


def test_files_are_read_as_they_were_attached(runs):
    assert contents(runs) == FILES
    assert contents(runs, np.array([2])) == {2: FILES[2]}
    assert contents(runs, np.array([1])) == {}


def test_equal_files_are_stored_once(runs):
    assert len(runs["files/data"]) == len(b"zero" + b"two") + 100_000
    table = FileTable(runs)
    table.add([(7, attachment("again", b"zero"))])
    assert len(runs["files/data"]) == len(b"zero" + b"two") + 100_000
    assert contents(runs)[7] == {"again": b"zero"}


def test_a_digest_that_lies_is_not_believed(runs):
    """Whoever made the file shall not choose what later runs are said to have attached."""
    runs["files/data"][0] = ord("X")
    FileTable(runs).add([(7, attachment("again", b"zero"))])
    assert contents(runs, np.array([7])) == {7: {"again": b"zero"}}


def test_an_attempt_that_is_made_again_has_no_files_any_more(runs):
    forget(runs, np.array([0, 3]))
    assert contents(runs) == {2: FILES[2]}
    FileTable(runs).add([(0, attachment("a", b"x" * 100_000))])
    assert contents(runs)[0] == {"a": b"x" * 100_000}
    assert len(runs["files/data"]) == len(b"zero" + b"two") + 100_000


def test_files_are_copied_to_other_runs(runs, tmp_path):
    with h5py.File(tmp_path / "b.h5", "w") as file:
        ours = file.create_group("runs")
        FileTable(ours).add([(0, attachment("mine", b"zero"))])
        copy_files(runs, ours, np.array([2, 3]), np.array([9, 1]))
        assert contents(ours) == {0: {"mine": b"zero"}, 9: FILES[2], 1: FILES[3]}
        assert len(ours["files/data"]) == len(b"zero" + b"two") + 100_000


@pytest.mark.parametrize("start", [-1, 10**9, 100_005])
def test_a_place_that_is_none_is_damage(runs, start):
    runs["files/start"][0] = start
    with pytest.raises(SimkitError, match="run 0: where the file 'a' lies is damaged"):
        list(read_files(runs))


@pytest.mark.parametrize(
    ("column", "value"), [("size", 3), ("start", 1), ("sha256", b"0" * 64), ("sha256", b"\xff")]
)
def test_other_bytes_are_never_read_as_the_file(runs, column, value):
    runs[f"files/{column}"][0] = value
    first = next(read_files(runs))
    with pytest.raises(SimkitError, match="run 0: the file 'a' does not fit its digest"):
        list(blocks(runs, first))
    assert lost_files(runs) == [0]


def test_a_large_file_is_read_in_parts(runs):
    data = np.arange(9 << 20, dtype=np.uint8)
    digest = hashlib.sha256(data.tobytes()).hexdigest()
    FileTable(runs).add([(5, Attachment("large", len(data), digest, data))])
    (file,) = read_files(runs, np.array([5]))
    parts = list(blocks(runs, file))
    assert [len(part) for part in parts] == [4 << 20, 4 << 20, 1 << 20]
    assert np.array_equal(np.concatenate(parts), data)


def test_a_copy_that_was_cut_is_not_recorded(runs, tmp_path):
    path = tmp_path / "copy"
    path.write_bytes(b"abc")
    with pytest.raises(SimkitError, match="a copy of an attached file has 3 bytes instead of 5"):
        FileTable(runs).add([(1, Attachment("a", 5, "0" * 64, path=str(path)))])


# Whole trajectories

STUDY = f"""
    import os
    from pathlib import Path
    from simkit import experiment, product

    @experiment(retries={{retries}})
    @product(x={{xs}})
    def f(x, run, workdir):
        count = Path({{folder!r}}) / str(x)
        count.write_text(count.read_text() + "I" if count.exists() else "I")
        (workdir / "a").write_text(f"{{{{x}}}} {{{{count.read_text()}}}}")
        (workdir / "same").write_text("same")
        run.attach("a")
        run.attach("same")
        run.command([{sys.executable!r}, "-c", ""])
        if x == 1 and count.read_text() == "I":
            raise ValueError(x)
        return x
"""


def of(traj):
    return [traj.files(i).get("a", b"").decode() for i in range(len(traj))]


@pytest.fixture
def counts(tmp_path):
    (tmp_path / "counts").mkdir()
    return str(tmp_path / "counts")


@pytest.mark.filterwarnings("ignore:.*not done")
def test_a_new_attempt_replaces_the_files_of_the_last(study, counts):
    text = STUDY.format(retries=0, xs=[0, 1, 2], folder=counts)
    with study.run(text) as traj:
        assert of(traj) == ["0 I", "1 I", "2 I"]
        assert traj.status.tolist() == ["done", "failed", "done"]
    with study.run(text) as traj:
        assert of(traj) == ["0 I", "1 II", "2 I"]
        assert [len(traj.commands(i)) for i in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_retry_replaces_them_too(study, counts, workers):
    traj = study.run(STUDY.format(retries=1, xs=[0, 1, 2], folder=counts), workers=workers)
    assert of(traj) == ["0 I", "1 II", "2 I"]
    assert [len(traj.commands(i)) for i in range(3)] == [1, 1, 1]


@pytest.mark.filterwarnings("ignore:.*not done")
def test_merged_extracted_and_selected_runs_keep_their_files(study, counts, tmp_path):
    text = STUDY.format(retries=0, xs=[0, 1], folder=counts)
    one = study.run(text, output=tmp_path / "one.h5")
    two = study.run(text, space=simkit.product(x=[2, 1]), output=tmp_path / "two.h5")
    with one, two:
        assert (of(one), of(two)) == (["0 I", "1 I"], ["2 I", "1 II"])
        two.where("x == 2").export(tmp_path / "part.h5")
    with simkit.merge(tmp_path / "merged.h5", tmp_path / "one.h5", tmp_path / "two.h5") as merged:
        assert dict(zip(merged["x"].tolist(), of(merged), strict=True)) == {0: "0 I", 1: "1 II", 2: "2 I"}
        assert merged.where("x == 2").files(-1) == {"a": b"2 I", "same": b"same"}
        assert [len(merged.commands(i)) for i in range(3)] == [1, 1, 1]
        with h5py.File(merged.path) as file:
            assert len(file["f/runs/files/data"]) == len("same" + "0 I" + "1 I" + "1 II" + "2 I")
    with simkit.open(tmp_path / "part.h5") as part:
        assert part.files(0) == {"a": b"2 I", "same": b"same"}


def test_tables_and_other_columns_do_not_know_of_them(study, counts):
    traj = study.run(STUDY.format(retries=0, xs=[0, 2], folder=counts))
    assert traj.to_dataframe().columns.tolist() == ["x", "result"]
    assert "files" not in traj
    assert "commands" not in traj.to_dataframe(info=True).columns
    assert repr(traj)


def test_a_recorded_file_says_where_it_lies():
    assert RecordedFile(1, "a", 2, "0", 3).start == 3
