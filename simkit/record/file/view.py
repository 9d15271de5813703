"""A file as it was last committed, for those that read it while somebody may write it.

HDF5 reads in small pieces; blocks are read ahead and compared with their checksums together, which costs less than
to read them piece by piece without looking at them.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

from simkit.errors import Damaged, shown_path
from simkit.record.file.log import PAGE, RedoLog, log_path, overlay, read_log
from simkit.record.file.sums import (
    BLOCK,
    BlockCheck,
    Checksums,
    Read,
    blocks,
    digests,
    read_of,
    read_trailer,
    write_trailer,
)
from simkit.record.file.system import READ_WRITE, copy_at, read_parts, share, unlock, write_at

_STEP = 64 << 20  # bytes that are copied at once
_SMALL = 65_536  # bytes of a read that is served from blocks
_LARGE = 262_144  # bytes of a read that is looked at in strides
_STRIDE = 524_288
_AHEAD = 8  # blocks that are read at once where one is read after the other
_MOST_BLOCKS = 32


class LoggedView:
    """A file as it was last committed: what stands in it, and over that what stands in its log.

    It holds the lock that all HDF5 readers hold, so that a writer leaves both as they are meanwhile. Unlike
    a plain ``h5py.File`` it is not shared with other readers in this process, and so never out of date.
    Blocks are compared with their checksums before HDF5 gets to see them: where there are no locks, each time.

    Parameters
    ----------
    leave
        Called with the path when the file is closed, or at the process's end, if there is a log beside it.

    Raises
    ------
    BlockingIOError
        While a writer is applying a commit: try again.
    Damaged
        When the file has been cut short, or its log or checksums are damaged.
    OSError
        When the file can't be opened.
    """

    def __init__(self, path: str, leave: Callable[[str], None] | None = None) -> None:
        self._path, self._fd = path, os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        closing = weakref.finalize(self, os.close, self._fd)
        closing.atexit = False  # the system does it then
        self._ends: list[Callable[[], object]] = [closing]
        try:
            self._is_locked = share(self._fd)
            if leave is not None:  # called before the other
                self._ends.insert(0, weakref.finalize(self, _leave, path, self._fd, os.getpid(), leave))
            log, checksums = _state(path, self._fd)
        except BaseException:
            self.close()
            raise
        self._pages = {} if log is None else log.pages
        self._end = os.fstat(self._fd).st_size if checksums is None else checksums.end
        self._position = 0
        self._blocks: dict[int, memoryview] = {}  # read last, by number: small reads lie near each other
        self.checksums = checksums
        beside = "" if log is None else log_path(path)
        self.guard = BlockCheck(path, checksums, again=not self._is_locked, beside=beside)

    def close(self) -> None:
        """Let the file go, as when this object ceases to exist: what refuses a file may be kept with its traceback."""
        for end in self._ends:
            end()

    def damaged(self) -> list[tuple[int, int]]:
        """Compare all blocks with their checksums: the first byte of each damaged one, and the byte behind it."""
        if self.checksums is None:
            return []
        wrong = self.checksums.check(self._read)
        return [(number * BLOCK, min(self._end, (number + 1) * BLOCK)) for number in wrong]

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
            if self.checksums is not None:  # what is damaged here is damaged there
                write_trailer(fd, self.checksums)
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
        if not self._is_locked or start + size > self._end:
            self._read_checked(view, start)
        elif size <= _SMALL:
            first = start % BLOCK
            block = self._blocks.get(start // BLOCK)
            if block is not None and first + size <= len(block):  # as nearly all reads
                view[:] = block[first : first + size]
            else:
                self._copy(view, start)
        elif size < _LARGE or not self._read_large(view, start):
            self._read_checked(view, start)
        self._position = start + size
        return size

    def _read_large(self, view: memoryview, start: int) -> bool:
        """Fill a large buffer bit by bit, each of which is looked at before it leaves the processor's cache.

        False where pages of the log have to be put over it, or it can't be read at once.
        """
        stop = start + len(view)
        low, high = -(-start // BLOCK) * BLOCK, stop // BLOCK * BLOCK
        sums: list[int] = []
        if self._pages or not self.guard.is_new(low, high):
            return False
        for offset in range(low, high, _STRIDE):
            piece = view[offset - start : min(offset + _STRIDE, high) - start]
            try:
                if not read_parts(self._fd, (piece,), offset):
                    return False
            except OSError:  # the slow way says which bytes
                return False
            sums += digests(piece)
        self.guard.compare(low // BLOCK, sums)
        self._copy(view[: low - start], start)
        self._copy(view[high - start :], high)
        return True

    def _copy(self, view: memoryview, start: int) -> None:
        """Fill a small buffer from blocks, which are read together with those behind them."""
        done = 0
        while done < len(view):
            number, first = divmod(start + done, BLOCK)
            part = self._block(number, blocks(first + len(view) - done))[first : first + len(view) - done]
            view[done : done + len(part)] = part
            done += len(part)

    def _block(self, number: int, least: int) -> memoryview:
        """A checked block; at least so many are read, and some more where one is read after the other."""
        if (block := self._blocks.get(number)) is not None:
            return block
        if len(self._blocks) >= _MOST_BLOCKS:
            last = {key: value for key, value in self._blocks.items() if key == number - 1}
            self._blocks = last
        count = max(least, _AHEAD if number - 1 in self._blocks else 1)
        try:
            self._fetch(number, count)
        except Damaged:
            if count == 1:
                raise
            self._fetch(number, 1)  # nobody may ask for the others
        return self._blocks[number]

    def _fetch(self, number: int, count: int) -> None:
        """Read blocks, and compare them."""
        low, high = number * BLOCK, min((number + count) * BLOCK, self._end)
        stretch = memoryview(bytearray(high - low))
        self._read(stretch, low)
        self.guard.check(self._read, low, high, stretch)
        for first in range(0, len(stretch), BLOCK):
            self._blocks[number + first // BLOCK] = stretch[first : first + BLOCK]

    def _read_checked(self, view: memoryview, start: int) -> None:
        """Fill a buffer, at once with the rest of the blocks in which it begins and ends."""
        stop = start + len(view)
        head = memoryview(bytearray(start % BLOCK))
        tail = memoryview(bytearray(max(0, min(blocks(stop) * BLOCK, self._end) - stop)))
        low = start - len(head)

        def boundary(block: memoryview, offset: int) -> int:
            whole = head if offset == low else view[offset - start :]
            rest = view if offset == low else tail
            block[: len(whole)], block[len(whole) :] = whole, rest[: len(block) - len(whole)]
            return len(block)

        read: Read = boundary
        if len(view) < BLOCK or not self._is_locked or not self._read_parts((head, view, tail), low):
            self._read(view, start)
            read = self._read
        try:
            self.guard.check(read, start, stop, view)
        except Damaged:
            self._check_present()
            raise

    def _read_parts(self, views: tuple[memoryview, ...], start: int) -> bool:
        """Fill neighbouring buffers; False where some of it can't be read at once."""
        try:
            if start + sum(map(len, views)) > self._end or not read_parts(self._fd, views, start):
                return False
        except OSError:
            return False
        for view in views:
            overlay(self._pages, view, start, self._end)
            start += len(view)
        return True

    def _check_present(self) -> None:
        """Without locks nobody holds a writer off: is it damage, or has the file been written since?"""
        if self._is_locked or self.checksums is None:
            return
        now = _state(self._path, self._fd)[1]
        if now is None or now.end != self.checksums.end or (now.sums != self.checksums.sums).any():
            raise Damaged(
                f"{shown_path(self._path)} has been written since it was opened: open it again\n"
                "    (no file can be locked here, so that readers can't hold a writer off)"
            )

    def _read(self, view: memoryview, start: int) -> int:
        got = read_of(self._path, self._fd, view[: max(0, self._end - start)], start)
        view[got:] = bytes(len(view) - got)
        overlay(self._pages, view, start, self._end)
        return len(view)


def _leave(path: str, fd: int, owner: int, leave: Callable[[str], None]) -> None:
    """Hold the writer off no longer; a forked child has no part in it."""
    if os.getpid() == owner:
        unlock(fd)
        if os.path.exists(log_path(path)):
            leave(path)


def _state(path: str, fd: int) -> tuple[RedoLog | None, Checksums | None]:
    """A file's log and checksums; its writer may begin or end at this very moment."""
    log = read_log(path, fd)
    if log is not None:
        return log, log.checksums
    try:
        return None, read_trailer(path, fd)
    except Damaged:
        log = read_log(path, fd)
        if log is None:
            raise
        return log, log.checksums
