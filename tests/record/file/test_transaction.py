"""A file whose changes count all at once, against a plain model of bytes."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transactional import after_a_kill, content, get, put, waiting

from simkit.record.file.log import PAGE, log_path, recover
from simkit.record.file.transaction import TransactionalFile


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


@pytest.fixture
def file(path):
    made = TransactionalFile(str(path), create=True)
    yield made
    made.close()


def test_what_is_written_can_be_read_at_once(file):
    put(file, 0, b"hello")
    assert get(file, 1, 3) == b"ell"
    file.commit()
    put(file, 1, b"EL")
    assert get(file, 0, 5) == b"hELlo"
    assert file.seek(0, 2) == 5
    assert file.tell() == 5


def test_beyond_the_end_there_are_zeros(file):
    put(file, 3, b"x")
    assert get(file, 0, 6) == b"\0\0\0x\0\0"


def test_only_what_is_committed_is_there_after_a_kill(file, path):
    put(file, 0, b"one" * 5000)
    file.commit()
    put(file, 2, b"two" * 3000)
    put(file, 15000, b"new")
    assert after_a_kill(path, 15000) == b"one" * 5000
    file.commit()
    assert after_a_kill(path, 15003) == b"on" + b"two" * 3000 + (b"one" * 5000)[9002:] + b"new"


def test_a_commit_leaves_no_log(file, path):
    put(file, 0, b"a" * 10)
    file.commit()
    put(file, 0, b"b")
    file.commit()
    assert waiting(path) == 0


def test_closing_leaves_the_file_alone_and_as_committed(path):
    file = TransactionalFile(str(path), create=True)
    put(file, 0, b"abc")
    file.commit()
    put(file, 1, b"X")
    put(file, 3, b"never")
    file.close()
    assert content(path) == b"abc"
    assert not os.path.exists(log_path(str(path)))


def test_abandoning_forgets_everything_since_the_last_commit(path):
    file = TransactionalFile(str(path), create=True)
    put(file, 0, b"abc")
    file.commit()
    put(file, 0, b"X" * 9000)
    file.abandon()
    put(file, 1, b"still written by HDF5")
    assert get(file, 0, 3) == b"Xst"
    with pytest.raises(OSError, match="abandoned"):
        file.commit()
    file.close()
    assert content(path) == b"abc"


def test_the_end_can_be_moved(file, path):
    put(file, 0, b"abcdef")
    file.truncate(9000)
    file.commit()
    assert after_a_kill(path, 9000) == b"abcdef" + bytes(8994)
    assert file.truncate() == 9000


# A reader keeps its snapshot


@pytest.fixture
def reader(file, path):
    """Two committed states, of which a reader holds the first."""
    put(file, 0, b"a" * 10_000)
    file.commit()
    with open(path, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        yield held


def test_while_a_reader_holds_the_file_commits_stay_in_the_log(file, path, reader):
    put(file, 10, b"b" * 5000)
    file.commit()
    put(file, 20, b"c")
    put(file, 10_000, b"tail")
    file.commit()
    assert path.read_bytes()[:10_000] == b"a" * 10_000
    expected = b"a" * 10 + b"b" * 10 + b"c" + b"b" * 4989 + b"a" * 4990 + b"tail"
    assert get(file, 0, 10_004) == expected
    assert after_a_kill(path, 10_004) == expected


def test_once_the_reader_is_gone_the_next_commit_applies_all(file, path, reader):
    put(file, 10, b"b" * 5000)
    file.commit()
    fcntl.flock(reader, fcntl.LOCK_UN)
    put(file, 0, b"c")
    file.commit()
    assert path.read_bytes() == b"c" + b"a" * 9 + b"b" * 5000 + b"a" * 4990


# Any story against the model


writes = st.tuples(
    st.just("write"),
    st.integers(0, 3 * PAGE) | st.sampled_from([PAGE - 1, PAGE, 2 * PAGE - 1]),
    st.binary(min_size=1, max_size=8) | st.sampled_from([b"\x11" * PAGE, b"\x22" * (PAGE + 5)]),
)


steps = st.lists(
    writes | writes | st.sampled_from([("commit",), ("reopen",), ("hold",), ("release",), ("end", 5000)]),
    max_size=25,
)


@given(steps)
def test_any_story_keeps_exactly_what_was_committed(story):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        file = TransactionalFile(str(path), create=True)
        model, committed = bytearray(), b""
        with open(path, "rb") as reader:
            for step in story:
                match step:
                    case ("write", offset, data):
                        put(file, offset, data)
                        model.extend(bytes(max(0, offset + len(data) - len(model))))
                        model[offset : offset + len(data)] = data
                    case ("end", size):
                        file.truncate(max(size, len(model)))
                        model.extend(bytes(max(0, size - len(model))))
                    case ("commit",):
                        file.commit()
                        committed = bytes(model)
                    case ("reopen",):
                        fcntl.flock(reader, fcntl.LOCK_UN)
                        file.close()
                        file = TransactionalFile(str(path))
                        # What was never committed may still stand beyond the end.
                        model = bytearray(path.read_bytes())
                        assert model.startswith(committed)
                        committed = bytes(model)
                    case ("hold",):
                        fcntl.flock(reader, fcntl.LOCK_SH)
                    case ("release",):
                        fcntl.flock(reader, fcntl.LOCK_UN)
                assert get(file, 0, len(model)) == bytes(model)
                assert after_a_kill(path, len(committed)) == committed
        file.close()
        recover(str(path))
        assert path.read_bytes().startswith(committed)


# Errors


@pytest.fixture
def full_disk():
    """No file of this process may grow beyond 64 KiB while this is on."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_by_the_commit_and_costs_only_what_was_not_committed(path, full_disk):
    file = TransactionalFile(str(path), create=True)
    put(file, 0, b"a" * 60_000)
    file.commit()
    put(file, 60_000, b"b" * 10_000)
    put(file, 5, b"inside")
    assert get(file, 60_000, 10_000) == b"b" * 10_000
    with pytest.raises(OSError, match="File too large"):
        file.commit()
    assert file.failed is not None
    with pytest.raises(OSError, match="File too large"):
        file.commit()
    file.close()
    assert content(path) == b"a" * 60_000


# With HDF5 on top


def test_plain_h5py_sees_only_what_is_committed(path):
    medium = TransactionalFile(str(path), create=True)
    file = h5py.File(medium, "w", libver=("v110", "v110"))
    file["z"] = np.arange(100)
    file.flush()
    medium.commit()
    file["z"][:] = 7
    file["big"] = np.zeros(10_000)
    file.flush()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.h5"
        shutil.copy(path, copy)
        with h5py.File(copy, "r") as seen:
            assert list(seen) == ["z"]
            assert seen["z"][:].tolist() == list(range(100))
    medium.commit()
    with h5py.File(path, "r") as seen:
        assert seen["z"][:].tolist() == [7] * 100
        assert seen["big"].shape == (10_000,)
    file.close()
    medium.commit(final=True)
    medium.close()
    with h5py.File(path, "r") as seen:
        assert sorted(seen) == ["big", "z"]
