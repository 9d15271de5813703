"""Batches as bytes between processes; large arrays through memory that both ends share.

A pipe moves a megabyte in half a millisecond, a shared page in a tenth of that. The worker keeps two
halves of a mapped file and fills them in turn. It may, because the owner asks for a batch only after it
has recorded the last but one.
"""

from __future__ import annotations

import mmap
import os
import pickle
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from simkit.declare.axes import Index

LARGE = 65_536  # bytes from which a buffer does not travel in the message
_HALF = 16 << 20
_FOLDER = "/dev/shm" if os.path.isdir("/dev/shm") else None
_PIPE = -1  # the offset of a buffer that follows on the pipe


@attrs.frozen
class _Head:
    """What stands before a message: the shared file when it is new, and where each large buffer lies."""

    file: str | None
    places: Sequence[tuple[int, int]]  # offset, size


class Sender:
    """A worker's end."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.shared: mmap.mmap | None = None
        self.usable = sys.platform != "win32"  # a mapped file can't be removed there
        self.half = 0

    def send(self, message: Any, *, shared: bool = False) -> None:
        """Send an object; its arrays are not copied into the message.

        Parameters
        ----------
        shared
            Whether large arrays may go through the shared file: only messages that answer a request may,
            since only the requests tell that the owner has read the last but one.
        """
        large: list[memoryview] = []

        def beside(buffer: pickle.PickleBuffer) -> bool:
            raw = buffer.raw()
            if raw.nbytes < LARGE:
                return True  # keep it in the message
            large.append(raw)
            return False

        data = pickle.dumps(message, 5, buffer_callback=beside)
        file = self._open() if shared and large and self.shared is None and self.usable else None
        places = self._place(large) if shared else [(_PIPE, buffer.nbytes) for buffer in large]
        head = pickle.dumps(_Head(file, places))
        self.connection.send_bytes(len(head).to_bytes(4, "little") + head + data)
        for buffer, (offset, _) in zip(large, places, strict=True):
            if offset == _PIPE:
                self.connection.send_bytes(buffer)

    def _open(self) -> str | None:
        """Make the shared file, its space reserved: a full memory file system would kill with SIGBUS."""
        path = ""
        try:
            handle, path = tempfile.mkstemp(prefix="simkit-", dir=_FOLDER)
            try:
                os.posix_fallocate(handle, 0, 2 * _HALF) if hasattr(os, "posix_fallocate") else os.truncate(
                    handle, 2 * _HALF
                )
                self.shared = mmap.mmap(handle, 2 * _HALF)
            finally:
                os.close(handle)
        except OSError:
            self.usable = False
            if path:
                os.unlink(path)
            return None
        return path

    def _place(self, buffers: Sequence[memoryview]) -> list[tuple[int, int]]:
        offset, end = self.half * _HALF, (self.half + 1) * _HALF
        self.half = 1 - self.half
        places = []
        for buffer in buffers:
            size = buffer.nbytes
            if self.shared is None or offset + size > end:
                places.append((_PIPE, size))
                continue
            self.shared[offset : offset + size] = buffer
            places.append((offset, size))
            offset += (size + 63) // 64 * 64
        return places


class Receiver:
    """The owner's end. Arrays of the last but one message are overwritten by the next."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.shared: memoryview | None = None

    def receive(self) -> Any:
        """Receive what was sent.

        Raises
        ------
        EOFError, OSError
            When the other process is gone.
        """
        data = memoryview(self.connection.recv_bytes())
        size = int.from_bytes(data[:4], "little")
        head: _Head = pickle.loads(data[4 : 4 + size])
        if head.file is not None:
            self._open(head.file)
        buffers = [self._buffer(offset, size) for offset, size in head.places]
        return pickle.loads(data[4 + size :], buffers=buffers)

    def _open(self, path: str) -> None:
        with open(path, "r+b") as file:
            self.shared = memoryview(mmap.mmap(file.fileno(), 0))
        os.unlink(path)

    def _buffer(self, offset: int, size: int) -> Any:
        if offset == _PIPE:
            return self.connection.recv_bytes()
        assert self.shared is not None  # the worker said where it is before
        return self.shared[offset : offset + size]


def pack_runs(runs: Index) -> bytes:
    """Run numbers, short where they are consecutive."""
    first, last = int(runs[0]), int(runs[-1])
    if last - first + 1 == len(runs):
        return np.array([1, first, last + 1], np.int64).tobytes()
    return np.concatenate([[0], runs]).astype(np.int64).tobytes()


def unpack_runs(data: bytes) -> Index:
    """What `pack_runs` packed."""
    numbers = np.frombuffer(data, np.int64)
    return np.arange(numbers[1], numbers[2]) if numbers[0] else numbers[1:]
