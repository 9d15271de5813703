"""The redo log: replayed when whole, ignored where torn, an error where damaged or another file's."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from transactional import after_a_kill, get, put

import simkit
from simkit.cli.main import main
from simkit.errors import Damaged
from simkit.record.file.log import log_path, overlay, recover
from simkit.record.file.sums import BLOCK
from simkit.record.file.transaction import TransactionalFile
from simkit.record.file.view import LoggedView


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


@pytest.fixture
def file(path):
    made = TransactionalFile(str(path), create=True)
    yield made
    made.close()


# A reader keeps its snapshot


@pytest.fixture
def reader(file, path):
    """Two committed states, of which a reader holds the first."""
    put(file, 0, b"a" * 10_000)
    file.commit()
    with open(path, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        yield held


def test_a_torn_tail_of_the_log_never_counts(file, path, reader):
    """A kill while a frame is appended: the log's head does not know of it yet."""
    state = b"a" * 10_000
    log = Path(log_path(str(path)))
    for mark in (b"1", b"2", b"3"):
        before = log.read_bytes()
        put(file, 5000, mark * 30)
        file.commit()
        whole = log.read_bytes()[len(before) :]
        for size in [*range(0, len(whole), 397), 1, len(whole) - 1]:
            assert after_a_kill(path, 10_000, before + whole[:size]) == state
        state = get(file, 0, 10_000)
        assert after_a_kill(path, 10_000, before + whole) == state
        assert after_a_kill(path, 10_000) == state


def test_a_log_that_was_hardly_begun_holds_nothing(path, tmp_path):
    """A kill while the log is made: nothing has been committed to it."""
    file = TransactionalFile(str(path), create=True)
    put(file, 0, b"a" * 10_000)
    file.commit()
    file.close()
    sealed = path.read_bytes()
    again = TransactionalFile(str(path))
    begun = Path(log_path(str(path))).read_bytes()
    again.close()
    for size in (0, 1, 30, 55, 56, 57, 1000, len(begun) - 1):
        copy = tmp_path / f"copy{size}"
        copy.write_bytes(sealed)
        Path(log_path(str(copy))).write_bytes(begun[:size])
        assert recover(str(copy)) == 0
        assert copy.read_bytes() == sealed


@pytest.mark.parametrize("at", [0, 9, 20, 30, 41, 54, 4160, 4180, 4200, 4300, 6000, -9, -1])
@pytest.mark.parametrize("bit", [1, 128])
def test_a_damaged_log_is_an_error_and_stays(file, path, reader, at, bit, tmp_path):
    for mark in (b"b", b"c"):
        put(file, 0, mark)
        file.commit()
    copy, log = tmp_path / "copy", Path(log_path(str(tmp_path / "copy")))
    shutil.copy(path, copy)
    record = bytearray(Path(log_path(str(path))).read_bytes())
    record[at] ^= bit
    log.write_bytes(record)
    before = copy.read_bytes()
    with pytest.raises(Damaged, match=r"copy"):
        recover(str(copy))
    assert log.read_bytes() == record
    assert copy.read_bytes() == before


@pytest.mark.parametrize("how", ["cut in its head", "cut in its table", "a zeroed page", "a zeroed head"])
def test_a_log_that_was_begun_is_never_taken_for_none(file, path, reader, how, tmp_path):
    """Its commits would be gone without a word, and the file be read as it was before."""
    put(file, 0, b"b")
    file.commit()
    copy, log = tmp_path / "copy", Path(log_path(str(tmp_path / "copy")))
    shutil.copy(path, copy)
    record = Path(log_path(str(path))).read_bytes()
    size = {"cut in its head": 30, "cut in its table": 100}.get(how, 0)
    zeros = {"a zeroed page": 4096, "a zeroed head": 56}.get(how, 0)
    log.write_bytes(record[:size] if size else bytes(zeros) + record[zeros:])
    with pytest.raises(Damaged, match=r"copy\.wal: its head is damaged"):
        recover(str(copy))
    with pytest.raises(Damaged, match=r"copy\.wal: its head is damaged"):
        LoggedView(str(copy))
    assert log.exists()


def test_a_log_of_a_kind_that_is_not_known_here_stays(file, path, reader, tmp_path):
    put(file, 0, b"b")
    file.commit()
    copy, log = tmp_path / "copy", Path(log_path(str(tmp_path / "copy")))
    shutil.copy(path, copy)
    log.write_bytes(b"SKWAL3" + Path(log_path(str(path))).read_bytes()[6:])
    with pytest.raises(
        Damaged, match=r"copy\.wal is of another kind than this simkit writes: a newer one made it"
    ):
        recover(str(copy))
    assert log.exists()


def test_a_log_is_only_replayed_upon_its_own_file(file, path, reader, tmp_path):
    """An older copy put back, another file, or one that was cut: the log and the file stay as they are."""
    older = path.read_bytes()
    put(file, 3000, b"b" * 40_000)
    file.commit()
    fcntl.flock(reader, fcntl.LOCK_UN)
    put(file, 0, b"c")
    file.commit()
    fcntl.flock(reader, fcntl.LOCK_SH)
    put(file, 60_000, b"d")
    file.commit()
    log, newest = Path(log_path(str(path))).read_bytes(), path.read_bytes()
    other = bytearray(newest)
    other[20_000] ^= 1
    copy = tmp_path / "copy"
    for there in (older, newest[:-1], b"x" * len(newest), bytes(other)):
        copy.write_bytes(there)
        Path(log_path(str(copy))).write_bytes(log)
        with pytest.raises(Damaged, match=r"not the file that \S+copy\.wal was written upon, or damaged:\s"):
            recover(str(copy))
        assert copy.read_bytes() == there
        assert Path(log_path(str(copy))).read_bytes() == log
    copy.write_bytes(newest)
    assert recover(str(copy)) == 1


@pytest.fixture
def under_way(tmp_path, monkeypatch):
    """A study of three sessions, the third one in the log; the file after the first, and another one's.

    Of each session there is more than its log holds of the file's blocks: else an older copy would be a right base.
    """
    monkeypatch.chdir(tmp_path)

    def f(x):
        return np.full(20_000, float(x))

    def other(x):
        return np.full(20_000, -float(x))

    simkit.run(f, simkit.product(x=[1, 2]), output="f.h5").close()
    shutil.copy("f.h5", "older.h5")
    simkit.run(other, simkit.product(x=[1, 2, 3]), output="other.h5").close()
    simkit.run(f, simkit.product(x=[1, 2, 3]), into="f.h5").close()
    with open("f.h5", "rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        simkit.run(f, simkit.product(x=[1, 2, 3, 4]), into="f.h5").close()
        shutil.copy("f.h5", "kept.h5")
        shutil.copy("f.h5.wal", "kept.h5.wal")
    return f


@pytest.mark.parametrize("there", ["older.h5", "other.h5"])
def test_whatever_looks_at_a_file_beside_anothers_log_changes_neither(under_way, there, capsys):
    """A backup that was put back, or a log that was left by a file of the same name."""
    shutil.copy(there, "kept.h5")
    before, log = Path("kept.h5").read_bytes(), Path("kept.h5.wal").read_bytes()
    for words in (
        ["show", "kept.h5"], ["show", "kept.h5", "--run", "0"], ["list", "kept.h5"], ["export", "kept.h5", "o.nc"],
        ["verify", "--file", "kept.h5"], ["verify", "kept.h5"], ["repair", "kept.h5"], ["diff", "kept.h5", "f.h5"],
        ["diff", "f.h5", "kept.h5"], ["merge", "all.h5", "kept.h5", "f.h5"], ["restore", "kept.h5", "then"],
        ["report", "kept.h5"], ["watch", "kept.h5"], ["rename", "f", "g", "kept.h5"],
    ):  # fmt: skip
        code, said = main(words), capsys.readouterr()
        assert code == (1 if words[:2] == ["verify", "--file"] else 4), (words, said)
        assert "kept.h5 is not the file that kept.h5.wal was written upon" in said.out + said.err, words
    for act in (
        lambda: simkit.open("kept.h5"),
        lambda: simkit.open("kept.h5", mode="r+"),
        lambda: simkit.run(under_way, simkit.product(x=[1, 2, 3, 4, 5]), into="kept.h5"),
    ):
        with pytest.raises(Damaged, match=r"not the file that kept\.h5\.wal was written upon"):
            act()
    assert (Path("kept.h5").read_bytes(), Path("kept.h5.wal").read_bytes()) == (before, log)
    assert not Path("all.h5").exists()


def test_a_kill_between_the_two_renames_of_a_new_file_costs_nothing(under_way, tmp_path):
    """The file has its name by then, and its log is still called after what it was before."""
    folder = tmp_path / "results"
    folder.mkdir()
    os.replace("kept.h5", folder / "f-001.h5")
    os.replace("kept.h5.wal", folder / ".f-001.h5.new.wal")
    with simkit.run(under_way, simkit.product(x=[1, 2, 3, 4]), into=folder / "f-001.h5") as traj:
        assert traj["result"][:, 0].tolist() == [1, 2, 3, 4]
        began = [session["started"] for session in traj.info.sessions]
    with simkit.open("f.h5") as undisturbed:
        assert began == [session["started"] for session in undisturbed.info.sessions]
    assert os.listdir(folder) == ["f-001.h5"]


def test_opening_replays_the_log(file, path, reader, tmp_path):
    put(file, 0, b"b")
    file.commit()
    copy = tmp_path / "copy"
    shutil.copy(path, copy)
    shutil.copy(log_path(str(path)), log_path(str(copy)))
    again = TransactionalFile(str(copy))
    assert get(again, 0, 2) == b"ba"
    again.close()


def test_recovering_without_a_log_changes_nothing(path):
    path.write_bytes(b"abc")
    assert recover(str(path)) == 0
    assert path.read_bytes() == b"abc"


def test_recovering_tells_how_many_commits_it_replayed(file, path, reader, tmp_path):
    for mark in (b"1", b"2"):
        put(file, 0, mark)
        file.commit()
    copy = tmp_path / "copy"
    shutil.copy(path, copy)
    shutil.copy(log_path(str(path)), log_path(str(copy)))
    assert recover(str(copy)) == 2


# What readers read


@pytest.fixture
def noise(path):
    """A file of 61 blocks and a bit, and what stands in it."""
    written = random.Random(1).randbytes(61 * BLOCK + 1234)
    file = TransactionalFile(str(path), create=True)
    put(file, 0, written)
    file.commit()
    file.close()
    return written


@pytest.mark.parametrize("size", [1, 100, 4096, 8191, BLOCK, BLOCK + 1, 65_536, 65_537, 300_000])
def test_pieces_of_any_size_are_what_was_written(path, noise, size):
    view, dice = LoggedView(str(path)), random.Random(size)
    starts = [*range(100, 20 * size, size), *(dice.randrange(len(noise)) for _ in range(20)), 0]
    for start in starts:
        view.seek(start)
        assert (
            view.read(size) == (noise + bytes(size))[start : start + size]
            if start < len(noise)
            else bytes(size)
        )


@pytest.mark.parametrize("size", [1000, 8192, 40_000, 100_000])
def test_a_damaged_block_costs_only_what_is_read_of_it(path, noise, size):
    damaged = 30
    with path.open("r+b") as file:
        file.seek(damaged * BLOCK + 77)
        file.write(b"\0\0\0\0")
    view = LoggedView(str(path))
    for start in range(0, len(noise) - size, size):
        view.seek(start)
        if start < (damaged + 1) * BLOCK and start + size > damaged * BLOCK:
            with pytest.raises(Damaged, match="near byte 491,520"):
                view.read(size)
        else:
            assert view.read(size) == noise[start : start + size]


def test_a_short_page_covers_only_its_own_bytes():
    """The file has grown behind it since, in the same page."""
    view = memoryview(bytearray(b"x" * 3000))
    overlay({0: b"p" * 500}, view, 1000, 4096)
    assert bytes(view) == b"x" * 3000
    overlay({0: b"p" * 1500}, view, 1000, 4096)
    assert bytes(view) == b"p" * 500 + b"x" * 2500
