"""A file whose changes count all at once: HDF5 on top, a redo log beside it.

HDF5 updates a file in many small writes, and a kill in between leaves what nothing repairs. This file
object stands under h5py's public ``fileobj`` driver:

- Writes at or beyond the committed end go straight to the file: the committed superblock does not reach
  that far, so nobody sees them.
- Writes inside the committed area are kept as pages in memory.
- `commit` appends the changed pages as one checksummed frame to ``FILE.wal``; from then on they count. Then
  it writes them in place under an exclusive ``flock`` and truncates the log. While a reader holds HDF5's
  shared lock, the pages stay in the log for the next commit, and the reader keeps a stable snapshot.
- `recover` replays the complete frames of a log that a killed process left behind.

Nothing is ever raised inside HDF5's callbacks, which would leave the library in an unknown state: an
error is kept, further writes stay in memory, and `commit` raises it.
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: readers there can't be held off, and open between two applies
    fcntl = None  # type: ignore[assignment]

PAGE = 4096
_MAGIC = b"SKWAL1\0\0"
_HEADER = struct.Struct("<8sQQQQI")  # magic, old end, new end, pages, bytes of body, crc32 of body
_PAGE_HEADER = struct.Struct("<QI")
_NOWHERE = 1 << 62
_PATIENCE = 1.0  # seconds to wait for readers at the end


class TransactionalFile:
    """What h5py writes to; see the module.

    Parameters
    ----------
    path
        The HDF5 file.
    create
        Start an empty file.
    durable
        Survive a power loss too: each commit waits for the disk (fdatasync).
    """

    def __init__(self, path: str, *, create: bool = False, durable: bool = False) -> None:
        self.path, self.durable = path, durable
        flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if create else 0) | getattr(os, "O_BINARY", 0)
        self._fd = os.open(path, flags, 0o644)
        if create:
            _remove(log_path(path))
        else:
            recover(path)
        self._log = os.open(log_path(path), os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        self._log_end = 0
        self._committed_end = self._end = os.fstat(self._fd).st_size
        self._pages: dict[int, bytearray] = {}  # changed since the last commit, and not yet applied
        self._before: dict[int, bytes] = {}  # those pages as they were committed
        self._unapplied: dict[int, bytes] = {}
        self._position = 0
        self._error: OSError | None = None
        self._truncate_to: int | None = None

    @property
    def failed(self) -> OSError | None:
        """The first error; nothing written since then counts."""
        return self._error

    # The file protocol of h5py's driver

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to an offset from the start, the position or the end."""
        self._position = offset + (0, self._position, self._end)[whence]
        return self._position

    def tell(self) -> int:
        """The present offset."""
        return self._position

    def truncate(self, size: int | None = None) -> int:
        """Set the end of the file as HDF5 sees it."""
        if size is not None:
            self._end = size
        return self._end

    def flush(self) -> None:
        """Nothing: `commit` decides what counts."""

    def read(self, size: int = -1) -> bytes:
        """The bytes from the position on; h5py takes an object for a file if it can do this."""
        buffer = bytearray(self._end - self._position if size < 0 else size)
        self.readinto(buffer)
        return bytes(buffer)

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the position on, with zeros beyond the end."""
        view = memoryview(buffer).cast("B")
        start, size = self._position, len(view)
        got = _read_at(self._fd, view, start)
        view[got:] = bytes(size - got)
        if self._pages and start < self._committed_end:
            for number in range(start // PAGE, (min(start + size, self._committed_end) - 1) // PAGE + 1):
                page = self._pages.get(number)
                if page is not None:
                    low, high = (
                        max(start, number * PAGE),
                        min(start + size, (number + 1) * PAGE, self._committed_end),
                    )
                    view[low - start : high - start] = page[low - number * PAGE : high - number * PAGE]
        self._position = start + size
        return size

    def write(self, buffer: Any) -> int:
        """Write at the position; never fails, see the module."""
        view = memoryview(buffer).cast("B")
        start, size = self._position, len(view)
        inside = max(0, min(size, self._committed_end - start))
        if inside:
            self._write_pages(view[:inside], start)
        if inside < size:
            try:
                _write_at(self._fd, view[inside:], start + inside)
            except OSError as error:
                self._give_up(error)
                self._write_pages(view[inside:], start + inside)
        self._position = start + size
        self._end = max(self._end, self._position)
        return size

    def _write_pages(self, view: memoryview, start: int) -> None:
        offset = 0
        while offset < len(view):
            number, within = divmod(start + offset, PAGE)
            count = min(PAGE - within, len(view) - offset)
            page = self._pages.get(number)
            if page is None:
                page = self._page_from_file(number)
            page[within : within + count] = view[offset : offset + count]
            offset += count

    def _page_from_file(self, number: int) -> bytearray:
        known = max(0, min(PAGE, self._committed_end - number * PAGE))
        page = bytearray(PAGE)
        got = _read_at(self._fd, memoryview(page)[:known], number * PAGE)
        page[got:known] = bytes(known - got)
        self._before[number] = bytes(page)
        self._pages[number] = page
        return page

    def _give_up(self, error: OSError) -> None:
        if self._error is None:
            self._error, self._truncate_to = error, self._committed_end
            self._committed_end = _NOWHERE

    # The transaction

    def commit(self, *, final: bool = False) -> None:
        """Make everything written so far count. HDF5 must have flushed before.

        Parameters
        ----------
        final
            Wait a second for readers, so that no log is left.

        Raises
        ------
        OSError
            When the disk is full, or a write failed since the last commit; nothing of this transaction
            counts then.
        """
        if self._error is not None:
            raise self._error
        try:
            self._commit()
        except OSError as error:
            self._give_up(error)
            raise
        self._apply(final=final)

    def _commit(self) -> None:
        self._complete_last_page()
        changed = {n: bytes(page) for n, page in self._pages.items() if page != self._before[n]}
        grown = self._end > self._committed_end
        if grown and os.fstat(self._fd).st_size < self._end:
            os.ftruncate(self._fd, self._end)
        if self.durable and grown:
            _sync(self._fd)
        if changed or self._end != self._committed_end:
            self._append_frame(changed)
        self._unapplied.update(changed)
        self._committed_end = self._end

    def _complete_last_page(self) -> None:
        """What stands behind the old end in its last page was written straight to the file."""
        number, within = divmod(self._committed_end, PAGE)
        page = self._pages.get(number)
        if page is not None and within:
            _read_at(self._fd, memoryview(page)[within:], self._committed_end)

    def _append_frame(self, pages: Mapping[int, bytes]) -> None:
        body = b"".join(_PAGE_HEADER.pack(number, len(page)) + page for number, page in pages.items())
        header = _HEADER.pack(_MAGIC, self._committed_end, self._end, len(pages), len(body), zlib.crc32(body))
        try:
            _write_at(self._log, memoryview(header + body), self._log_end)
        except OSError:
            os.ftruncate(self._log, self._log_end)
            raise
        self._log_end += len(header) + len(body)
        if self.durable:
            _sync(self._log)

    def _apply(self, *, final: bool) -> None:
        """Write the logged pages in place, unless a reader wants the file to stay as it is."""
        self._pages = {n: bytearray(page) for n, page in self._unapplied.items()}
        self._before = dict(self._unapplied)
        if not self._log_end:
            return
        with _exclusive(self._fd, wait=final) as alone:
            if not alone:
                return
            for number, page in self._unapplied.items():
                size = max(0, min(PAGE, self._committed_end - number * PAGE))
                _write_at(self._fd, memoryview(page)[:size], number * PAGE)
            if self.durable:
                _sync(self._fd)
            os.ftruncate(self._log, 0)
        self._log_end = 0
        self._unapplied, self._pages, self._before = {}, {}, {}

    def abandon(self) -> None:
        """Forget everything since the last commit; what HDF5 still writes stays in memory."""
        self._give_up(OSError("abandoned"))

    def close(self) -> None:
        """Close the file; a log that could not be applied stays for the next one to open it."""
        end = self._committed_end if self._truncate_to is None else self._truncate_to
        applied = not self._log_end
        if applied and os.fstat(self._fd).st_size > end:
            os.ftruncate(self._fd, end)
        os.close(self._fd)
        os.close(self._log)
        if applied:
            _remove(log_path(self.path))


class LoggedView:
    """A file seen through its log, for reading where nothing may be written.

    Raises
    ------
    OSError
        When the file can't be opened.
    """

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - open as long as HDF5 reads
        self._pages: dict[int, bytes] = {}
        self._end = os.fstat(self._file.fileno()).st_size
        self._position = 0
        for end, pages in read_frames(log_path(path)):
            self._pages.update(pages)
            self._end = end

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
        self._file.seek(start)
        got = self._file.readinto(view)
        view[got:] = bytes(size - got)
        for number in range(start // PAGE, (start + size - 1) // PAGE + 1) if self._pages else ():
            page = self._pages.get(number)
            if page is not None:
                low, high = max(start, number * PAGE), min(start + size, number * PAGE + len(page))
                view[low - start : high - start] = page[low - number * PAGE : high - number * PAGE]
        self._position = start + size
        return size


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
        fd = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            for end, pages in frames:
                if os.fstat(fd).st_size < end:
                    os.ftruncate(fd, end)
                for number, page in pages.items():
                    size = max(0, min(len(page), end - number * PAGE))
                    _write_at(fd, memoryview(page)[:size], number * PAGE)
            os.fsync(fd)
        finally:
            os.close(fd)
    _remove(log_path(path))
    return len(frames)


def read_frames(log: str) -> Iterator[tuple[int, dict[int, bytes]]]:
    """The committed frames of a log: the end of file and the pages of each."""
    try:
        with open(log, "rb") as file:
            record = file.read()
    except FileNotFoundError:
        return
    position = 0
    while len(record) - position >= _HEADER.size:
        magic, _, end, count, size, crc = _HEADER.unpack_from(record, position)
        body = record[position + _HEADER.size : position + _HEADER.size + size]
        if magic != _MAGIC or len(body) != size or zlib.crc32(body) != crc:
            return
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


@contextmanager
def _exclusive(fd: int, *, wait: bool) -> Iterator[bool]:
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


def _read_at(fd: int, view: memoryview, offset: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(fd, [view], offset)
    os.lseek(fd, offset, os.SEEK_SET)
    data = os.read(fd, len(view))
    view[: len(data)] = data
    return len(data)


def _write_at(fd: int, view: memoryview, offset: int) -> None:
    while len(view):
        if hasattr(os, "pwrite"):
            written = os.pwrite(fd, view, offset)
        else:
            os.lseek(fd, offset, os.SEEK_SET)
            written = os.write(fd, view)
        view, offset = view[written:], offset + written


def _sync(fd: int) -> None:
    getattr(os, "fdatasync", os.fsync)(fd)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
