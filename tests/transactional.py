"""Bytes in a transactional file, and what is there after a kill."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from simkit.record.file.log import log_path, read_log, recover
from simkit.record.file.sums import read_trailer
from simkit.record.file.transaction import TransactionalFile


def put(file: TransactionalFile, offset: int, data: bytes) -> None:
    file.seek(offset)
    assert file.write(data) == len(data)


def get(file: TransactionalFile, offset: int, size: int) -> bytes:
    file.seek(offset)
    buffer = bytearray(size)
    assert file.readinto(buffer) == size
    return bytes(buffer)


def content(path: Path) -> bytes:
    """The bytes of a closed file without the checksums behind its end."""
    with path.open("rb") as file:
        checksums = read_trailer(str(path), file.fileno())
    assert checksums is not None
    return path.read_bytes()[: checksums.end]


def waiting(path: os.PathLike[str]) -> int:
    """How many commits wait in the log beside a file."""
    with open(path, "rb") as file:
        log = read_log(str(path), file.fileno())
    return 0 if log is None else log.commits


def after_a_kill(path: Path, size: int, log: bytes | None = None) -> bytes:
    """The first bytes of the file as the next process finds it, if this one died now."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copy(path, copy)
        if os.path.exists(log_path(str(path))):
            left = Path(log_path(str(path))).read_bytes()
            Path(log_path(str(copy))).write_bytes(left if log is None else log)
        recover(str(copy))
        assert not os.path.exists(log_path(str(copy)))
        assert os.path.getsize(copy) < 1_000_000
        with open(copy, "rb") as found:
            return found.read(size)
