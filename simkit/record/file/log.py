"""The redo log beside a file, and positioned reads, writes and locks."""

from __future__ import annotations

import os
import struct
import time
import weakref
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: readers there can't be held off, and open between two applies
    fcntl = None  # type: ignore[assignment]


READ_WRITE = os.O_RDWR | getattr(os, "O_BINARY", 0)
_STEP = 64 << 20  # bytes that are copied at once
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
        fcntl.flock(fd, fcntl.LOCK_UN)


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


PAGE = 4096
_MAGIC = b"SKWAL1\0\0"
_HEADER = struct.Struct("<8sQQQQI")  # magic, generation, end, pages, bytes of body, crc32
_PAGE_HEADER = struct.Struct("<QI")


def frame(generation: int, end: int, pages: Mapping[int, bytes]) -> bytes:
    """One commit: the changed pages by number, and where the file ends.

    Parameters
    ----------
    generation
        The same in all frames from one emptying of the log to the next: what a disk that lost the emptying
        shows behind the newest frame belongs to an older one, and does not count.
    """
    body = b"".join(_PAGE_HEADER.pack(number, len(page)) + page for number, page in pages.items())
    return _header(generation, end, len(pages), body) + body


def _header(generation: int, end: int, count: int, body: bytes) -> bytes:
    """Everything before the body; the checksum covers the header's own numbers too."""
    numbers = _HEADER.pack(_MAGIC, generation, end, count, len(body), 0)
    return _HEADER.pack(_MAGIC, generation, end, count, len(body), zlib.crc32(body, zlib.crc32(numbers)))


def log_path(path: str) -> str:
    """The redo log beside a file."""
    return path + ".wal"


def recover(path: str) -> int:
    """Replay the complete frames of a log that was left behind; a torn tail never counted.

    Returns
    -------
    int
        How many commits were replayed.
    """
    frames = list(read_frames(log_path(path)))
    if frames:
        fd = os.open(path, READ_WRITE)
        try:
            for end, pages in frames:
                if os.fstat(fd).st_size < end:
                    os.ftruncate(fd, end)
                for number, page in pages.items():
                    size = max(0, min(len(page), end - number * PAGE))
                    write_at(fd, memoryview(page)[:size], number * PAGE)
            os.fsync(fd)
        finally:
            os.close(fd)
    remove(log_path(path))
    return len(frames)


def read_frames(log: str) -> Iterator[tuple[int, dict[int, bytes]]]:
    """The committed frames of a log: the end of file and the pages of each."""
    try:
        with open(log, "rb") as file:
            record = file.read()
    except FileNotFoundError:
        return
    position, first = 0, None
    while len(record) - position >= _HEADER.size:
        _, generation, end, count, size, _ = _HEADER.unpack_from(record, position)
        body = record[position + _HEADER.size : position + _HEADER.size + size]
        if (
            len(body) != size
            or _header(generation, end, count, body) != record[position : position + _HEADER.size]
        ):
            return
        if first not in (None, generation):
            return
        first = generation
        yield end, _pages(body, count)
        position += _HEADER.size + size


def _pages(body: bytes, count: int) -> dict[int, bytes]:
    pages, position = {}, 0
    for _ in range(count):
        number, size = _PAGE_HEADER.unpack_from(body, position)
        position += _PAGE_HEADER.size
        pages[number] = body[position : position + size]
        position += size
    return pages


class LoggedView:
    """A file as it was last committed: what stands in it, and over that what stands in its log.

    It holds the lock that all HDF5 readers hold, so that a writer leaves both as they are meanwhile. Unlike
    a plain ``h5py.File`` it is not shared with other readers in this process, and so never out of date.

    Raises
    ------
    BlockingIOError
        While a writer is applying a commit: try again.
    OSError
        When the file can't be opened.
    """

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._fd).atexit = False  # the system does it then
        share(self._fd)
        self._pages: dict[int, bytes] = {}
        self._end = os.fstat(self._fd).st_size
        self._position = 0
        for end, pages in read_frames(log_path(path)):
            self._pages.update(pages)
            self._end = end

    def copy_to(self, path: str, pause: Callable[[], None]) -> None:
        """Write what was last committed into another file.

        Parameters
        ----------
        pause
            Called between two steps: the moment for an interrupt.
        """
        fd = os.open(path, READ_WRITE | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            done, count = 0, 1
            while count and done < self._end:
                pause()
                count = copy_at(self._fd, fd, done, min(_STEP, self._end - done))
                done += count
            for number, page in self._pages.items():
                size = max(0, min(len(page), self._end - number * PAGE))
                write_at(fd, memoryview(page)[:size], number * PAGE)
            os.ftruncate(fd, self._end)
        finally:
            os.close(fd)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to an offset from the start, the position or the end."""
        self._position = offset + (0, self._position, self._end)[whence]
        return self._position

    def tell(self) -> int:
        """The present offset."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """The bytes from the position on."""
        buffer = bytearray(self._end - self._position if size < 0 else size)
        self.readinto(buffer)
        return bytes(buffer)

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the position on, with zeros beyond the end."""
        view = memoryview(buffer).cast("B")
        start, size = self._position, len(view)
        got = read_at(self._fd, view, start)
        view[got:] = bytes(size - got)
        for number in range(start // PAGE, (start + size - 1) // PAGE + 1) if self._pages else ():
            page = self._pages.get(number)
            if page is not None:
                low, high = max(start, number * PAGE), min(start + size, number * PAGE + len(page))
                view[low - start : high - start] = page[low - number * PAGE : high - number * PAGE]
        self._position = start + size
        return size
