"""The redo log beside a file: what has been committed and does not yet stand in the file itself.

    head       56 bytes           magic, identity of the file, capacity of the table, end of the file, generation,
                                  how far the frames are whole, checksum of the head
    checksums  uint32 [capacity]  of the file's blocks, see `sums`
    frames     one a commit: header, changed pages, changed checksums

All frames from one emptying of the log to the next have one generation: what a disk that lost the emptying shows
belongs to an older one, and does not count. Behind the point up to which frames are known to be whole a frame
may be torn, since nobody was told that it counts; before it, a broken frame is damage.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from simkit.errors import Damaged, shown_path
from simkit.record.file.sums import (
    IDENTITY,
    UNKNOWN,
    Checksums,
    blocks,
    has_trailer,
    write_trailer,
)
from simkit.record.file.system import (
    READ_WRITE,
    exclusive,
    read_at,
    remove,
    write_at,
)

PAGE = 4096
_CURE = "\n    nothing was changed; move it away to read the file as it is without these commits"
_MAGIC, _FRAME_MAGIC = b"SKWAL2\0\0", b"SKFRAME2"
_HEAD = struct.Struct(f"<8s{IDENTITY}sIQQQI")
_FRAME = struct.Struct("<8sQQIIQI")  # magic, generation, end, pages, checksums, bytes of body, crc32
_PAGE_HEADER = struct.Struct("<QI")


def log_path(path: str) -> str:
    """The redo log beside a file."""
    return path + ".wal"


@attrs.frozen
class Head:
    """The beginning of a log."""

    identity: bytes
    capacity: int
    end: int
    generation: int
    whole: int

    @property
    def start(self) -> int:
        """Where the first frame stands."""
        return _HEAD.size + 4 * self.capacity

    def packed(self) -> bytes:
        """As it stands in the log."""
        numbers = _HEAD.pack(_MAGIC, self.identity, self.capacity, self.end, self.generation, self.whole, 0)[
            :-4
        ]
        return numbers + struct.pack("<I", zlib.crc32(numbers))


def write_sums(log: int, numbers: Mapping[int, int]) -> None:
    """Write the checksums of some blocks into the table at the log's head, neighbours at once."""
    if not numbers:
        return
    index = np.array(sorted(numbers))
    for run in np.split(index, np.flatnonzero(np.diff(index) != 1) + 1):
        data = np.array([numbers[number] for number in run.tolist()], "<u4").tobytes()
        write_at(log, memoryview(data), _HEAD.size + 4 * int(run[0]))


def frame(head: Head, end: int, pages: Mapping[int, bytes], sums: Mapping[int, int]) -> bytes:
    """One commit: the changed pages by number, where the file ends, and the checksums that changed."""
    parts = [_PAGE_HEADER.pack(number, len(page)) + page for number, page in pages.items()]
    table = np.array([*sums.items()], "<u4").reshape(-1, 2).tobytes()
    body = b"".join([*parts, table])
    return _frame_header(head, end, len(pages), len(sums), body) + body


def _frame_header(head: Head, end: int, pages: int, sums: int, body: bytes) -> bytes:
    """Everything before the body; the checksum covers the header's own numbers and the file's identity too."""
    numbers = _FRAME.pack(_FRAME_MAGIC, head.generation, end, pages, sums, len(body), 0)[:-4]
    return numbers + struct.pack("<I", zlib.crc32(body, zlib.crc32(numbers + head.identity)))


@attrs.frozen(eq=False)
class RedoLog:
    """What a log says of its file.

    Attributes
    ----------
    checksums
        Of the blocks as they are once the pages are in the file.
    pages
        The newest committed version of each page that need not stand in the file yet.
    commits
        How many there are in the log.
    """

    checksums: Checksums
    pages: Mapping[int, bytes]
    commits: int

    def overlay(self, view: memoryview, start: int) -> None:
        """Put the committed pages over bytes that were read from the file at an offset."""
        overlay(self.pages, view, start, self.checksums.end)


def overlay(pages: Mapping[int, bytes | bytearray], view: memoryview, start: int, end: int) -> None:
    """Put pages, as far as they lie before ``end``, over bytes that were read at an offset."""
    if not pages:
        return
    size = len(view)
    for number in range(start // PAGE, (min(start + size, end) - 1) // PAGE + 1):
        page = pages.get(number)
        if page is not None:
            low, high = max(start, number * PAGE), min(start + size, number * PAGE + len(page), end)
            if low < high:  # a page that was the file's last one may end before the bytes
                view[low - start : high - start] = page[low - number * PAGE : high - number * PAGE]


def read_log(path: str, fd: int) -> RedoLog | None:
    """The log beside a file, which is open; None where there is none, or one that was never begun.

    Raises
    ------
    Damaged
        When something in it that counts is not what was written. The log stays as it is.
    """
    record = _bytes_of(path)
    if _is_hardly_begun(record):
        if not record or has_trailer(
            fd
        ):  # which goes when a log is begun: nothing has been committed to this one
            return None
        record = _bytes_of(path)  # begun by now
        if _is_hardly_begun(record):
            raise Damaged(f"{shown_path(log_path(path))}: its head is damaged{_CURE}")
    if record.startswith(b"SKWAL1"):
        raise Damaged(
            f"{os.path.basename(log_path(path))} was left by an older simkit: repair it with that one"
        )
    if record.startswith(_MAGIC[:5]) and not record.startswith(_MAGIC):
        raise Damaged(f"{shown_path(log_path(path))} is of {UNKNOWN}")
    head = Head(*_HEAD.unpack_from(record)[1:6])
    if record[: _HEAD.size] != head.packed():
        raise Damaged(f"{shown_path(log_path(path))}: its head is damaged{_CURE}")
    table = np.frombuffer(record, "<u4", head.capacity, _HEAD.size).copy()
    end, pages, commits = _frames(path, record, head, table)
    return RedoLog(Checksums(head.identity, end, table[: blocks(end)]), pages, commits)


def _bytes_of(path: str) -> bytes:
    """The log beside a file; nothing where there is none."""
    try:
        with open(log_path(path), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _is_hardly_begun(record: bytes) -> bool:
    """Whether a log has no head yet, or not all of its table."""
    if len(record) < _HEAD.size or not any(record[: _HEAD.size]):
        return True
    head = Head(*_HEAD.unpack_from(record)[1:6])
    return record[: _HEAD.size] == head.packed() and len(record) < head.start


def _frames(path: str, record: bytes, head: Head, table: Any) -> tuple[int, dict[int, bytes], int]:
    """The end of the file, the pages and the number of commits; the table gets their checksums."""
    pages: dict[int, bytes] = {}
    end, commits, position = head.end, 0, head.start
    while len(record) - position >= _FRAME.size:
        _, generation, frame_end, count, sums, size, _ = _FRAME.unpack_from(record, position)
        body = record[position + _FRAME.size : position + _FRAME.size + size]
        written = record[position : position + _FRAME.size]
        numbered = attrs.evolve(head, generation=generation)
        if len(body) != size or _frame_header(numbered, frame_end, count, sums, body) != written:
            break
        if generation != head.generation:
            break
        end, commits = frame_end, commits + 1
        rest = _take_pages(body, count, pages)
        changed = np.frombuffer(body, "<u4", 2 * sums, rest).reshape(-1, 2)
        table[changed[:, 0]] = changed[:, 1]
        position += _FRAME.size + size
    if position < head.whole:
        raise Damaged(f"{shown_path(log_path(path))} is damaged behind its first {commits} commits{_CURE}")
    return end, {n: page for n, page in pages.items() if n * PAGE < end}, commits


def _take_pages(body: bytes, count: int, pages: dict[int, bytes]) -> int:
    position = 0
    for _ in range(count):
        number, size = _PAGE_HEADER.unpack_from(body, position)
        position += _PAGE_HEADER.size
        pages[number] = body[position : position + size]
        position += size
    return position


def recover(path: str) -> int:
    """Bring the commits of a log that was left behind into its file; a torn tail never counted.

    Returns
    -------
    int
        How many commits were replayed.

    Raises
    ------
    BlockingIOError
        While somebody reads the file: both stay as they are.
    Damaged
        When the log is damaged, or the file is not the one that it was written upon: both stay as they are.
    """
    fd = os.open(path, READ_WRITE)
    try:
        log = fitting_log(path, fd)
        with exclusive(fd, patience=0, otherwise=True) as alone:
            if not alone:
                raise BlockingIOError(errno.EAGAIN, "somebody reads it")
            if log is not None:
                _bring_in(fd, log)
            remove(log_path(path))
    finally:
        os.close(fd)
    return 0 if log is None else log.commits


def _bring_in(fd: int, log: RedoLog) -> None:
    for number, page in log.pages.items():
        size = max(0, min(len(page), log.checksums.end - number * PAGE))
        write_at(fd, memoryview(page)[:size], number * PAGE)
    write_trailer(fd, log.checksums)
    os.fsync(fd)


def fitting_log(path: str, fd: int) -> RedoLog | None:
    """The log beside a file, which was written upon it; None where there is none, or one that was never begun.

    Raises
    ------
    Damaged
        When something in the log is not what was written, or the file is another one.
    """
    log = read_log(path, fd)
    if log is not None:
        _check_fit(path, fd, log)
    return log


def _check_fit(path: str, fd: int, log: RedoLog) -> None:
    """Whether a file, with the log's pages over it, is what the log says that it is."""

    def read(view: memoryview, start: int) -> int:
        got = read_at(fd, view, start)
        view[got:] = bytes(len(view) - got)
        log.overlay(view, start)
        return len(view)

    size, end = os.fstat(fd).st_size, log.checksums.end
    wrong = log.checksums.check(read) if size >= end else []
    if size < end or wrong:
        differs = (
            f"{len(wrong)} of {blocks(end)} blocks differ"
            if wrong
            else f"{size:,} of {end:,} bytes are there"
        )
        raise Damaged(
            f"{shown_path(path)} is not the file that {shown_path(log_path(path))} was written upon, or damaged:"
            f" {differs}\n"
            "    both stay as they are; if an older copy was put back, put back its log, too, or move this one away"
        )
