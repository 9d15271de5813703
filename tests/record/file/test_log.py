"""The redo log: replayed when whole, ignored when torn."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest
from transactional import after_a_kill, get, put

from simkit.record.file.log import log_path, recover
from simkit.record.file.transaction import TransactionalFile


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
