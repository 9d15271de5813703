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
import secrets
from collections.abc import Mapping
from typing import Any

from simkit.record.file.log import (
    PAGE,
    READ_WRITE,
    exclusive,
    frame,
    log_path,
    read_at,
    recover,
    remove,
    sync,
    write_at,
)

_NOWHERE = 1 << 62
_ROOMY = 1 << 20  # bytes of log that are not worth rewriting


class TransactionalFile:
    """What h5py writes to; see the module.

    Parameters
    ----------
    path
        The HDF5 file.
    create
        Start an empty file.
    uncommitted
        Nothing in the file counts yet: nobody else knows of it, so that all is written straight to it.
    durable
        Survive a power loss too: each commit waits for the disk (fdatasync).
    """

    def __init__(
        self, path: str, *, create: bool = False, uncommitted: bool = False, durable: bool = False
    ) -> None:
        self.path, self.durable = path, durable
        flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if create else 0) | getattr(os, "O_BINARY", 0)
        self._fd = os.open(path, flags, 0o644)
        if create or uncommitted:
            remove(log_path(path))
        else:
            recover(path)
        self._log = os.open(log_path(path), os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        self._log_end = 0
        self._generation = secrets.randbits(63)
        self._end = os.fstat(self._fd).st_size
        self._committed_end = 0 if uncommitted else self._end
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
        got = read_at(self._fd, view, start)
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
                write_at(self._fd, view[inside:], start + inside)
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
        got = read_at(self._fd, memoryview(page)[:known], number * PAGE)
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
            sync(self._fd)
        if changed or self._end != self._committed_end:
            self._append_frame(changed)
        self._unapplied.update(changed)
        self._committed_end = self._end

    def _complete_last_page(self) -> None:
        """What stands behind the old end in its last page was written straight to the file."""
        number, within = divmod(self._committed_end, PAGE)
        page = self._pages.get(number)
        if page is not None and within:
            read_at(self._fd, memoryview(page)[within:], self._committed_end)

    def _append_frame(self, pages: Mapping[int, bytes]) -> None:
        record = frame(self._generation, self._end, pages)
        try:
            write_at(self._log, memoryview(record), self._log_end)
        except OSError:
            os.ftruncate(self._log, self._log_end)
            raise
        self._log_end += len(record)
        if self.durable:
            sync(self._log)

    def apply(self) -> None:
        """Write what waits in the log in place, if its readers have gone by now."""
        if self._log_end and self._error is None and not self._pages_changed():
            self._apply(final=False)

    def _pages_changed(self) -> bool:
        return any(page != self._before[number] for number, page in self._pages.items())

    def _apply(self, *, final: bool) -> None:
        """Write the logged pages in place, unless a reader wants the file to stay as it is."""
        self._pages = {n: bytearray(page) for n, page in self._unapplied.items()}
        self._before = dict(self._unapplied)
        if not self._log_end:
            return
        with exclusive(self._fd, wait=final) as alone:
            if not alone:
                self._compact()
                return
            for number, page in self._unapplied.items():
                size = max(0, min(PAGE, self._committed_end - number * PAGE))
                write_at(self._fd, memoryview(page)[:size], number * PAGE)
            if self.durable:
                sync(self._fd)
            os.ftruncate(self._log, 0)
        self._log_end, self._generation = 0, secrets.randbits(63)
        self._unapplied, self._pages, self._before = {}, {}, {}

    def _compact(self) -> None:
        """While a reader stays, keep of the log what counts: the newest version of each page."""
        if self._log_end < _ROOMY + 4 * PAGE * len(self._unapplied):
            return
        record = frame(self._generation, self._committed_end, self._unapplied)
        path = log_path(self.path)
        fd = os.open(f"{path}.new", READ_WRITE | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            write_at(fd, memoryview(record), 0)
            if self.durable:
                sync(fd)
        except OSError:  # no room for a second log: the first goes on
            os.close(fd)
            remove(f"{path}.new")
            return
        os.replace(f"{path}.new", path)
        os.close(self._log)
        self._log, self._log_end = fd, len(record)

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
            remove(log_path(self.path))
