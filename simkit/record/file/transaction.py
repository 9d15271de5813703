"""A file whose changes count all at once: HDF5 on top, a redo log beside it.

HDF5 updates a file in many small writes, and a kill in between leaves what nothing repairs. This file
object stands under h5py's public ``fileobj`` driver:

- Writes at or beyond the committed end go straight to the file: the committed superblock does not reach
  that far, so nobody sees them.
- Writes inside the committed area are kept as pages in memory.
- `commit` appends the changed pages as one checksummed frame to ``FILE.wal``; from then on they count. Then
  it writes them in place under an exclusive ``flock`` and truncates the log. While a reader holds HDF5's
  shared lock, the pages stay in the log for the next commit, and the reader keeps a stable snapshot.
- Whoever opens the file next goes on with the log that a killed process left behind; `recover` brings it in.

Nothing is ever raised inside HDF5's callbacks, which would leave the library in an unknown state: an
error is kept, further writes stay in memory, and `commit` raises it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.errors import Damaged
from simkit.record.file.locks import check_names
from simkit.record.file.log import PAGE, Head, RedoLog, fitting_log, frame, log_path, overlay, write_sums
from simkit.record.file.sums import (
    BLOCK,
    IDENTITY,
    BlockCheck,
    Checksums,
    altered,
    blocks,
    computed,
    digest,
    digests,
    read_of,
    read_trailer,
    write_trailer,
)
from simkit.record.file.system import (
    PATIENCE,
    READ_WRITE,
    Owned,
    closed_by_run,
    exclusive,
    read_at,
    remove,
    sync,
    sync_folder,
    write_at,
)

_NOWHERE = 1 << 62
_STEP = 16 << 20  # bytes that are copied at once
_ROOMY = 1 << 20  # bytes of log that are not worth rewriting
_CAPACITY = 1024  # blocks that a log's table has room for in the beginning


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
        self._owned = Owned()
        self._fd = self._owned.add(os.open(path, flags, 0o644))
        self._pages: dict[int, bytearray] = {}  # changed since the last commit, and not yet applied
        self._before: dict[int, bytes] = {}  # those pages as they were committed
        self._unapplied: dict[int, bytes] = {}
        self._position = 0
        self._error: OSError | None = None
        self._truncate_to: int | None = None
        self._log = -1
        try:
            log = None if create or uncommitted else fitting_log(path, self._fd)
            self._begin(log, create=create, uncommitted=uncommitted)
            self._apply(final=False)
        except OSError:  # no room: the checksums stay where they are
            self._owned.close()
            raise

    def _begin(self, log: RedoLog | None, *, create: bool, uncommitted: bool) -> None:
        """Move the file's checksums from its trailer, or from the log that was left, to the head of a new log."""
        if log is not None:
            self._unapplied = dict(log.pages)
        self._end = os.fstat(self._fd).st_size
        checksums = (
            log.checksums if log is not None else None if create else read_trailer(self.path, self._fd)
        )
        if checksums is None:
            check_names(self.path, self._fd)
            checksums = computed(self._fd, 0 if create else self._end, secrets.token_bytes(IDENTITY))
        self._guard = BlockCheck(self.path, checksums)
        self._identity = secrets.token_bytes(IDENTITY) if uncommitted else checksums.identity
        self._sums = checksums.sums[:0] if uncommitted else checksums.sums.copy()
        self._end, self._committed_end = checksums.end, 0 if uncommitted else checksums.end
        # Checksums of changed blocks; None is computed when committed.
        self._changed: dict[int, int | None] = dict(enumerate(checksums.sums.tolist())) if uncommitted else {}
        try:
            self._rewrite_log(_CAPACITY, beside=log is not None)
        except OSError:
            remove(log_path(self.path) if log is None else f"{log_path(self.path)}.new")
            raise
        if not self._unapplied:  # else a reader may look at what stands behind
            os.ftruncate(self._fd, self._end)

    def _start_log(self, log: int, capacity: int = _CAPACITY) -> None:
        """Write a log's head and table; frames come behind them."""
        capacity = max(capacity, 2 * len(self._sums))
        self._head = Head(self._identity, capacity, self._committed_end, secrets.randbits(63), 0)
        self._head = attrs.evolve(self._head, whole=self._head.start)
        self._log_end, self._logged = self._head.start, set[int]()
        write_at(log, memoryview(self._head.packed()), 0)
        table = np.zeros(capacity, "<u4")
        table[: len(self._sums)] = self._sums
        write_at(log, memoryview(table.tobytes()), len(self._head.packed()))

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
        self._check_own()
        got = read_of(self.path, self._fd, view, start)
        view[got:] = bytes(size - got)
        overlay(self._pages, view, start, self._committed_end)
        self._check(start, start + size)
        self._position = start + size
        return size

    def _check(self, start: int, stop: int) -> None:
        """Compare what is read, or is about to be changed, with its checksums, the first time."""
        try:
            self._guard.check(self._read_committed, start, stop)
        except Damaged as error:
            self._give_up(error)
            raise

    def _read_committed(self, view: memoryview, start: int) -> int:
        """The bytes that were last committed: what has been written over them since does not count."""
        got = read_of(self.path, self._fd, view, start)
        view[got:] = bytes(len(view) - got)
        overlay(self._before, view, start, self._committed_end)
        return len(view)

    def write(self, buffer: Any) -> int:
        """Write at the position; never fails, see the module."""
        view = memoryview(buffer).cast("B")
        start, size = self._position, len(view)
        if start + size > self._committed_end:  # what lies before stays in memory until the commit
            self._check_own()
        inside = max(0, min(size, self._committed_end - start))
        if inside:
            self._write_pages(view[:inside], start)
        if inside < size:
            try:
                self._check(start + inside, start + size)
                write_at(self._fd, view[inside:], start + inside)
                self._note(view[inside:], start + inside)
            except OSError as error:
                self._give_up(error)
                self._write_pages(view[inside:], start + inside)
        self._position, self._end = start + size, max(self._end, start + size)
        return size

    def _note(self, view: memoryview, start: int) -> None:
        """Remember the checksums of blocks that were written beyond the committed end, whole ones at once."""
        stop = start + len(view)
        first, last = -(-start // BLOCK), stop // BLOCK
        if first < last:
            whole = digests(view[first * BLOCK - start : last * BLOCK - start])
            self._changed.update(zip(range(first, last), whole, strict=True))
        for number in {start // BLOCK, last} - set(range(first, last)):
            self._changed[number] = None

    def _write_pages(self, view: memoryview, start: int) -> None:
        number, within = divmod(start, PAGE)
        offset, size = -within, len(view)  # where the page begins in the view
        while offset < size:
            page = self._pages.get(number)
            if page is None:
                page = self._page_from_file(number)
            part = view[max(0, offset) : offset + PAGE]
            page[within : within + len(part)] = part
            offset, number, within = offset + PAGE, number + 1, 0

    def _page_from_file(self, number: int) -> bytearray:
        self._check_own()
        try:
            self._check(number * PAGE, (number + 1) * PAGE)
        except Damaged:
            pass  # kept as the error that the commit raises
        known = max(0, min(PAGE, self._committed_end - number * PAGE))
        page = bytearray(PAGE)
        got = read_at(self._fd, memoryview(page)[:known], number * PAGE)
        page[got:known] = bytes(known - got)
        self._before[number], self._pages[number] = bytes(page), page
        return page

    def _check_own(self) -> None:
        """Write nothing more once a run has closed our files: their numbers may be those of files of its own."""
        if not self._owned.are_open():
            self._fd = self._owned.again(self._fd, self.path)
            self._give_up(closed_by_run())

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
        self._check_own()
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
            sums = self._new_sums(changed)
            self._append_frame(changed, sums)
            if len(self._sums) != blocks(self._end):
                self._sums = np.resize(self._sums, blocks(self._end))
            self._sums[list(sums)] = list(sums.values())
            self._logged.update(sums)
        self._unapplied.update(changed)
        self._changed.clear()
        self._committed_end = self._end

    def _new_sums(self, pages: Mapping[int, bytes]) -> dict[int, int]:
        """The checksums of all blocks that changed since the last commit."""
        changed = self._changed | dict.fromkeys(number * PAGE // BLOCK for number in pages)
        if self._end != self._committed_end:
            ends = {max(0, end - 1) // BLOCK for end in (self._committed_end, self._end)}
            changed |= dict.fromkeys(ends)
            new = range(blocks(self._committed_end), blocks(self._end))  # some of them may never be written
            changed |= dict.fromkeys(number for number in new if number not in changed)
        buffer = memoryview(bytearray(BLOCK))
        for number in [number for number, checksum in changed.items() if checksum is None]:
            block = buffer[: max(0, min(BLOCK, self._end - number * BLOCK))]
            got = read_at(self._fd, block, number * BLOCK)
            block[got:] = bytes(len(block) - got)
            self._check_committed(number, block[: max(0, self._committed_end - number * BLOCK)])
            overlay(self._pages, block, number * BLOCK, min(self._committed_end, self._end))
            changed[number] = digest(block)
        return {
            n: checksum for n, checksum in changed.items() if checksum is not None and n < blocks(self._end)
        }

    def _check_committed(self, number: int, block: memoryview) -> None:
        """Compare a block that is about to change: what others wrote into it meanwhile gets no checksum of ours."""
        if number >= len(self._sums) or self._end < self._committed_end:
            return
        overlay(self._before, block, number * BLOCK, self._committed_end)
        if digest(block) != self._sums[number]:
            raise altered(self.path, number * BLOCK)

    def _complete_last_page(self) -> None:
        """What stands behind the old end in its last page was written straight to the file."""
        number, within = divmod(self._committed_end, PAGE)
        page = self._pages.get(number)
        if page is not None and within:
            read_at(self._fd, memoryview(page)[within:], self._committed_end)

    def _append_frame(self, pages: Mapping[int, bytes], sums: Mapping[int, int]) -> None:
        if blocks(self._end) > self._head.capacity:
            self._rewrite_log(blocks(self._end))
        record = frame(self._head, self._end, pages, sums)
        before = self._log_end
        try:
            write_at(self._log, memoryview(record), before)
            if self.durable:
                sync(self._log)
            self._log_end += len(record)
            self._write_head(whole=self._log_end)
        except OSError:
            self._log_end = before
            os.ftruncate(self._log, before)
            raise

    def _write_head(self, **changes: Any) -> None:
        self._head = attrs.evolve(self._head, **changes)
        write_at(self._log, memoryview(self._head.packed()), 0)

    def apply(self) -> None:
        """Write what waits in the log in place, if its readers have gone by now."""
        if self._waits and self._error is None and not self._pages_changed():
            self._apply(final=False)

    @property
    def _waits(self) -> bool:
        """Whether commits wait in the log."""
        return self._log_end > self._head.start

    def _pages_changed(self) -> bool:
        return any(page != self._before[number] for number, page in self._pages.items())

    def _apply(self, *, final: bool) -> None:
        """Write the logged pages in place, unless a reader wants the file to stay as it is."""
        self._pages = {n: bytearray(page) for n, page in self._unapplied.items()}
        self._before = dict(self._unapplied)
        if not self._waits:
            return
        with exclusive(self._fd, patience=PATIENCE if final else 0, otherwise=final) as alone:
            if not alone:
                self._compact()
                return
            for number, page in self._unapplied.items():
                size = max(0, min(PAGE, self._committed_end - number * PAGE))
                write_at(self._fd, memoryview(page)[:size], number * PAGE)
            self._empty_log()
        self._unapplied, self._pages, self._before = {}, {}, {}

    def _empty_log(self) -> None:
        """Say at the log's head what its frames say; then they are not needed any more."""
        if self.durable:
            sync(self._fd)  # before the head says that the frames do not count any more
        write_sums(self._log, {n: int(self._sums[n]) for n in self._logged})
        if self.durable:
            sync(self._log)  # before the head says that the table is what counts
        start = self._head.start
        self._write_head(end=self._committed_end, generation=secrets.randbits(63), whole=start)
        if self.durable:
            sync(self._log)
        os.ftruncate(self._log, start)
        self._log_end = start
        self._logged.clear()

    def _compact(self) -> None:
        """While a reader stays, keep of the log what counts: the newest version of each page."""
        if self._log_end - self._head.start >= _ROOMY + 4 * PAGE * len(self._unapplied):
            try:
                self._rewrite_log(self._head.capacity)
            except OSError:  # no room for a second log: the first goes on
                remove(f"{log_path(self.path)}.new")

    def _rewrite_log(self, capacity: int, *, beside: bool = True) -> None:
        """Another log with room for this many checksums, and one frame for all that waits.

        Parameters
        ----------
        beside
            The one that is there counts until this one is whole.
        """
        path = log_path(self.path)
        new = f"{path}.new" if beside else path
        before = () if self._log < 0 else (self._head, self._log_end, self._logged)
        fd = os.open(new, READ_WRITE | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            self._start_log(fd, capacity)
            if self._unapplied:
                record = frame(self._head, self._committed_end, self._unapplied, {})
                write_at(fd, memoryview(record), self._log_end)
                self._log_end += len(record)
                self._head = attrs.evolve(self._head, whole=self._log_end)
                write_at(fd, memoryview(self._head.packed()), 0)
            if self.durable:
                sync(fd)
        except OSError:
            os.close(fd)
            if before:
                self._head, self._log_end, self._logged = before
            raise
        if beside:
            os.replace(new, path)
            if self.durable:
                sync_folder(Path(path).parent)
        if self._log >= 0:
            self._owned.close(self._log)
        self._log = self._owned.add(fd)

    @property
    def number(self) -> int:
        """The file's descriptor."""
        return self._fd

    def copy_to(self, path: str) -> None:
        """Write what is committed as a new file."""
        end = self._committed_end
        fd = os.open(path, READ_WRITE | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            for start in range(0, end, _STEP):
                block = memoryview(bytearray(min(_STEP, end - start)))
                self._read_committed(block, start)
                write_at(fd, block, start)
            write_trailer(fd, Checksums(self._identity, end, self._sums))
        finally:
            os.close(fd)

    def abandon(self) -> None:
        """Forget everything since the last commit; what HDF5 still writes stays in memory."""
        self._give_up(OSError("abandoned"))

    def close(self, *, is_ours: bool = True) -> None:
        """Close the file; a log that could not be applied stays for the next to open it, another process's as it is."""
        end = self._committed_end if self._truncate_to is None else self._truncate_to
        applied = is_ours and not self._waits and self._fd >= 0 and self._owned.are_open()
        if applied:
            applied = self._write_trailer(end)
        self._owned.close()
        if applied:
            remove(log_path(self.path))

    def _write_trailer(self, end: int) -> bool:
        """Move the checksums from the log to the file; on a full disk the log keeps them."""
        try:
            write_trailer(self._fd, Checksums(self._identity, end, self._sums))
            if self.durable:
                sync(self._fd)
        except OSError:
            return False
        return True
