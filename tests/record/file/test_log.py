"""The redo log: replayed when whole, ignored when torn."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from simkit.record.file.log import log_path, recover
from simkit.record.file.transaction import TransactionalFile


def put(file: TransactionalFile, offset: int, data: bytes) -> None:
    file.seek(offset)
    assert file.write(data) == len(data)


def get(file: TransactionalFile, offset: int, size: int) -> bytes:
    file.seek(offset)
    buffer = bytearray(size)
    assert file.readinto(buffer) == size
    return bytes(buffer)


def after_a_kill(path: Path, size: int, log_bytes: int | None = None) -> bytes:
    """The first bytes of the file as the next process finds it, if this one died now."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copy(path, copy)
        if os.path.exists(log_path(str(path))):
            log = Path(log_path(str(path))).read_bytes()
            Path(log_path(str(copy))).write_bytes(log if log_bytes is None else log[:log_bytes])
        recover(str(copy))
        assert not os.path.exists(log_path(str(copy)))
        assert os.path.getsize(copy) < 1_000_000
        with open(copy, "rb") as found:
            return found.read(size)


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
    states, ends = [b"a" * 10_000], [0]
    for mark in (b"1", b"2", b"3"):
        put(file, 5000, mark * 30)
        file.commit()
        states.append(get(file, 0, 10_000))
        ends.append(os.path.getsize(log_path(str(path))))
    for size in [
        *range(0, ends[-1], 397),
        *ends,
        *(end - 1 for end in ends[1:]),
        *(end + 1 for end in ends[:-1]),
    ]:
        complete = sum(end <= size for end in ends) - 1
        assert after_a_kill(path, 10_000, size) == states[complete]


@pytest.mark.parametrize("at", [0, 9, 20, 30, 41, 60, 500, -1])
def test_a_damaged_frame_never_counts(file, path, reader, at):
    put(file, 0, b"b")
    file.commit()
    log = Path(log_path(str(path)))
    record = bytearray(log.read_bytes())
    record[at] ^= 0xFF
    log.write_bytes(record)
    assert after_a_kill(path, 10_000) in (b"a" * 10_000, b"b" + b"a" * 9999)
    if at >= 44 or at == -1:
        assert after_a_kill(path, 10_000) == b"a" * 10_000


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
