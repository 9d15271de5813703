"""Which checksum has each block of a file, and where do they stand when nobody writes it?

HDF5 checks its own metadata, but neither data nor the heap of its texts, on which a zeroed page makes it loop
for ever. So simkit keeps a checksum of each `BLOCK` bytes of a file and compares before HDF5 sees them, as
SQLite's checksum VFS does. While a file is written they stand at the head of its log; afterwards in a trailer
behind the end that HDF5 knows, which every other reader ignores:

    checksums  uint32 [blocks]    the lower half of XXH3's 64 bits
    footer     40 bytes           magic, identity of the file, end, XXH3 of all of the trailer before it

A program that changes the file drops the trailer when it closes: then nothing is checked until simkit writes
the file again.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

import attrs
import numpy as np
import xxhash

from simkit.declare.forms import Array
from simkit.errors import Damaged, shown_path
from simkit.record.file.system import read_at, write_at

BLOCK = 16_384
IDENTITY = 16  # bytes
_CURE = "\n    put a copy back: nothing of it is taken for a value"
UNKNOWN = "another kind than this simkit writes: a newer one made it (pip install --upgrade simkit), or it is damaged"
_MAGIC = b"SKSUMS1\0"
_FOOTER = struct.Struct(f"<8s{IDENTITY}sQQ")
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SUPERBLOCK = struct.Struct("<8sBBBBQQQ")  # to the end of the file, in versions 2 and 3
Read = Callable[[memoryview, int], int]  # fills a buffer with a file's bytes at an offset


@attrs.frozen(eq=False)
class Checksums:
    """The checksums of a file's blocks, where it ends, and which file it is."""

    identity: bytes
    end: int
    sums: Array

    def check(self, read: Read) -> list[int]:
        """The numbers of the blocks that are not what they were, by a function that fills a buffer at an offset."""
        buffer = memoryview(bytearray(64 * BLOCK))
        wrong: list[int] = []
        for start in range(0, self.end, len(buffer)):
            wrong += self._wrong_in(read, buffer[: min(len(buffer), self.end - start)], start)
        return wrong

    def _wrong_in(self, read: Read, view: memoryview, start: int) -> list[int]:
        first = start // BLOCK
        try:
            got = read(view, start)
        except OSError:  # the disk does not give all of it: which blocks?
            if len(view) <= BLOCK:
                return [first]
            parts = range(0, len(view), BLOCK)
            return [n for at in parts for n in self._wrong_in(read, view[at : at + BLOCK], start + at)]
        view[got:] = bytes(len(view) - got)
        present = digests(view)
        known = self.sums[first : first + len(present)].tolist()
        return [first + i for i, (was, now) in enumerate(zip(known, present, strict=True)) if was != now]


def read_of(path: str, fd: int, view: memoryview, offset: int) -> int:
    """Fill a buffer from an offset of a file; how many bytes were there.

    Raises
    ------
    Damaged
        When the disk, or the connection to it, fails.
    """
    try:
        return read_at(fd, view, offset)
    except OSError as error:
        raise Damaged(
            f"{shown_path(path)} is damaged near byte {offset:,}, or its disk is: {error.strerror or error}\n"
            f"    look after the disk or the connection to it first; simkit verify --file {shown_path(path)} says"
            " what can't be read"
        ) from None


def digest(block: memoryview | bytes) -> int:
    """The checksum of a block's bytes; the last block ends with the file."""
    return xxhash.xxh3_64_intdigest(block) & 0xFFFFFFFF


def digests(view: memoryview) -> list[int]:
    """The checksums of neighbouring blocks, as fast as memory is read: they take as long as all else does there."""
    whole = xxhash.xxh3_64_intdigest
    return [whole(view[offset : offset + BLOCK]) & 0xFFFFFFFF for offset in range(0, len(view), BLOCK)]


def blocks(end: int) -> int:
    """How many blocks a file of this length has."""
    return -(-end // BLOCK)


def computed(fd: int, end: int, identity: bytes) -> Checksums:
    """The checksums of a file as it is."""
    sums: list[int] = []
    buffer = memoryview(bytearray(64 * BLOCK))
    for start in range(0, end, len(buffer)):
        view = buffer[: min(len(buffer), end - start)]
        got = read_at(fd, view, start)
        view[got:] = bytes(len(view) - got)
        sums += digests(view)
    return Checksums(identity, end, np.array(sums, np.uint32))


def trailer(checksums: Checksums) -> bytes:
    """What stands behind a file's end."""
    table = checksums.sums.astype("<u4").tobytes()
    numbers = _FOOTER.pack(_MAGIC, checksums.identity, checksums.end, 0)[:-8]
    return table + numbers + struct.pack("<Q", xxhash.xxh3_64_intdigest(table + numbers))


def has_trailer(fd: int) -> bool:
    """Whether a file ends as one that nobody writes, and simkit wrote last."""
    return _bytes(fd, max(0, os.fstat(fd).st_size - _FOOTER.size), _FOOTER.size).startswith(_MAGIC)


def read_trailer(path: str, fd: int) -> Checksums | None:
    """The checksums behind a file's end; None for a file that simkit did not write last.

    Raises
    ------
    Damaged
        When the file has been cut short, or what stands behind its end is no trailer.
    """
    size = os.fstat(fd).st_size
    footer = _bytes(fd, max(0, size - _FOOTER.size), _FOOTER.size)
    if len(footer) == _FOOTER.size and footer.startswith(_MAGIC):
        _, identity, end, _ = _FOOTER.unpack(footer)
        start = size - _FOOTER.size - 4 * blocks(end)
        if start == end:
            checksums = Checksums(
                identity, end, np.frombuffer(_bytes(fd, end, size - end), "<u4", blocks(end))
            )
            if trailer(checksums)[-_FOOTER.size :] == footer:
                return checksums
        raise Damaged(f"{shown_path(path)}: its end is damaged, where its checksums stand{_CURE}")
    if footer.startswith(_MAGIC[:6]):
        raise Damaged(f"{shown_path(path)}: its end, where its checksums stand, is of {UNKNOWN}")
    end = _end_in_superblock(fd)
    if end is None or size == end:
        return None
    if size < end:
        raise Damaged(f"{shown_path(path)} has been cut short: {size:,} of {end:,} bytes are there{_CURE}")
    if size > end + 4 * blocks(end) + _FOOTER.size:
        raise Damaged(
            f"{shown_path(path)} was being written, and its log is not beside it\n"
            f"    put {os.path.basename(path)}.wal there again, or open it by the name under which it was written"
        )
    raise Damaged(f"{shown_path(path)}: its end is damaged, where its checksums stand{_CURE}")


def write_trailer(fd: int, checksums: Checksums) -> None:
    """End a file with its checksums."""
    os.ftruncate(fd, checksums.end)
    write_at(fd, memoryview(trailer(checksums)), checksums.end)


def _end_in_superblock(fd: int) -> int | None:
    head = _bytes(fd, 0, _SUPERBLOCK.size)
    if len(head) < _SUPERBLOCK.size or not head.startswith(_SIGNATURE) or head[8] not in (2, 3):
        return None
    base, end = _SUPERBLOCK.unpack(head)[5], _SUPERBLOCK.unpack(head)[7]
    return int(base + end)


def _bytes(fd: int, offset: int, size: int) -> bytes:
    buffer = bytearray(size)
    got = read_at(fd, memoryview(buffer), offset)
    return bytes(buffer[:got])


def altered(path: str, byte: int) -> Damaged:
    """The error for a block into which somebody else has written while simkit wrote the file."""
    return Damaged(
        f"{shown_path(path)} was changed by another program while it was being written, near byte {byte:,}\n"
        f"    put a copy back, or see what is left of it: simkit verify --file {shown_path(path)}"
    )


class BlockCheck:
    """Compares blocks with their checksums when they are read for the first time.

    Parameters
    ----------
    path
        The file, for its errors.
    checksums
        What the blocks should be; None compares nothing.
    again
        Compare each time, since somebody may write the file meanwhile.
    beside
        The log that the checksums are from, for errors.
    """

    def __init__(
        self, path: str, checksums: Checksums | None, *, again: bool = False, beside: str = ""
    ) -> None:
        self.path, self.again, self.beside = path, again, beside
        self.sums: Array = np.zeros(0, np.uint32) if checksums is None else checksums.sums
        self.end = 0 if checksums is None else checksums.end
        self.passed = bytearray(blocks(self.end))
        self.wrong: int | None = None

    def check(self, read: Read, start: int, stop: int, view: memoryview | None = None) -> None:
        """Compare the blocks of a range of bytes, which may stand in a buffer already.

        Raises
        ------
        Damaged
            For blocks that are not what was written.
        """
        stop = min(stop, self.end)
        first, last = start // BLOCK, blocks(stop)
        if start >= stop:
            return
        low, high = (
            -(-start // BLOCK),
            last if stop == self.end else stop // BLOCK,
        )  # those that are whole in it
        number = self.passed.find(0, first, last)
        while number >= 0:
            behind = self.passed.find(1, number, last)
            behind = last if behind < 0 else behind
            if view is not None and low <= number < high:
                behind = min(behind, high)
                self.compare(
                    number, digests(view[number * BLOCK - start : min(behind * BLOCK, stop) - start])
                )
            else:
                behind = number + 1
                block = memoryview(bytearray(min(behind * BLOCK, self.end) - number * BLOCK))
                read(block, number * BLOCK)
                self.compare(number, digests(block))
            number = self.passed.find(0, behind, last)

    def is_new(self, low: int, high: int) -> bool:
        """Whether all blocks between two of their boundaries are still to be compared."""
        return high <= self.end and self.passed.find(1, low // BLOCK, high // BLOCK) < 0

    def compare(self, first: int, present: list[int]) -> None:
        """Compare the checksums of blocks as they are, from this one on.

        Raises
        ------
        Damaged
            For blocks that are not what was written.
        """
        known = self.sums[first : first + len(present)].tolist()
        if present != known:
            same = [was == now for was, now in zip(known, present, strict=True)]
            self.wrong = (first + same.index(False)) * BLOCK
            raise self.error()
        if not self.again:
            self.passed[first : first + len(present)] = bytes([1]) * len(present)

    def error(self) -> Damaged:
        """What is wrong, for people."""
        shown = shown_path(self.path)
        another = (
            f", or {shown} is not the file that {shown_path(self.beside)} was written upon"
            if self.beside
            else ""
        )
        return Damaged(
            f"{shown} is damaged near byte {self.wrong:,}: what stands there can't be read{another}\n"
            f"    simkit verify --file {shown} says what is lost; put a copy back to have it again"
        )
