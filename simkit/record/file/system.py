"""Positioned reads and writes, and locks, as the operating system has them."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

try:
    import fcntl
except ImportError:  # Windows: readers there can't be held off, and open between two applies
    fcntl = None  # type: ignore[assignment]


READ_WRITE = os.O_RDWR | getattr(os, "O_BINARY", 0)
_PATIENCE = 1.0  # seconds to wait for readers at the end


@contextmanager
def exclusive(fd: int, *, wait: bool) -> Iterator[bool]:
    """HDF5's readers hold a shared lock on the file; yields whether none does."""
    if fcntl is None:
        yield True
        return
    deadline = time.monotonic() + (_PATIENCE if wait else 0)
    while not (locked := _try_lock(fd)) and time.monotonic() < deadline:
        time.sleep(0.01)
    if not locked:
        yield False
        return
    try:
        yield True
    finally:
        try:
            fcntl.flock(fd, fcntl.LOCK_UN)
        except OSError as error:
            if not has_no_locks(error):
                raise


def has_no_locks(error: OSError) -> bool:
    """Whether an error says that the file system knows no locks."""
    return error.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where HDF5's readers have none either
        return True
    return True


def share(fd: int) -> None:
    """Hold a reader's lock until the file is closed, where there are locks.

    Raises
    ------
    BlockingIOError
        While a writer is applying a commit.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        return


def is_unread(fd: int) -> bool:
    """Whether no reader holds the file; takes the lock for itself if so."""
    return fcntl is None or _try_lock(fd)


def read_at(fd: int, view: memoryview, offset: int) -> int:
    """Fill a buffer from an offset; how many bytes were there."""
    if hasattr(os, "preadv"):
        return os.preadv(fd, [view], offset)
    os.lseek(fd, offset, os.SEEK_SET)
    data = os.read(fd, len(view))
    view[: len(data)] = data
    return len(data)


def copy_at(source: int, target: int, offset: int, count: int) -> int:
    """Copy bytes from one file to the same offset of another; how many were there."""
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, target, count, offset, offset)
        except OSError:  # not between these file systems; what else is wrong shows below
            pass
    buffer = memoryview(bytearray(min(count, 1 << 20)))
    got = read_at(source, buffer, offset)
    write_at(target, buffer[:got], offset)
    return got


def write_at(fd: int, view: memoryview, offset: int) -> None:
    """Write all of a buffer at an offset."""
    while len(view):
        if hasattr(os, "pwrite"):
            written = os.pwrite(fd, view, offset)
        else:
            os.lseek(fd, offset, os.SEEK_SET)
            written = os.write(fd, view)
        view, offset = view[written:], offset + written


def sync(fd: int) -> None:
    """Wait until the disk has it."""
    getattr(os, "fdatasync", os.fsync)(fd)


def remove(path: str) -> None:
    """Remove a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def sync_folder(folder: os.PathLike[str]) -> None:
    """Wait until the disk has a folder's names, where a folder can be waited for."""
    if os.name != "posix":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
