"""A worker's output: what is written to its descriptors 1 and 2 belongs to the run that it is in."""

from __future__ import annotations

import io
import os
import sys
from typing import BinaryIO

LIMIT = 64 << 10  # bytes kept of one run's output: the beginning and the end


class OutputLog:
    """Redirects this process's standard output and error, subprocesses and C code included.

    Parameters
    ----------
    path
        Where it goes; the owner reads it there when this process dies.
    """

    def __init__(self, path: str) -> None:
        self.file = open(path, "w+b", buffering=0)  # noqa: SIM115 - open as long as the process
        self.early = (sys.stdout, sys.stderr)  # a module may have kept one of them, or a logging handler
        self.flush_early()
        for stream in self.early:
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(line_buffering=True)
        os.dup2(self.file.fileno(), 1)
        os.dup2(self.file.fileno(), 2)
        # Write through, so that every line stands at the right run, and lies beside what C code wrote.
        sys.stdout = io.TextIOWrapper(
            io.FileIO(1, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True
        )
        sys.stderr = io.TextIOWrapper(
            io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True
        )

    def flush_early(self) -> None:
        """Let what was written to the streams of before stand where it belongs."""
        for stream in self.early:
            stream.flush()

    def position(self) -> int:
        """How much was written so far, in bytes."""
        self.flush_early()
        return os.lseek(1, 0, os.SEEK_CUR)

    def text(self, start: int, stop: int) -> str:
        """What was written between two positions; the middle of very long output is cut, and says so."""
        end = self.position()
        text = read_text(self.file, start, stop)
        self.file.seek(end)  # the position is that of the redirected descriptors
        return text

    def forget(self) -> None:
        """Start over once a batch's output was handed on, or the file would grow for ever."""
        if self.position() > 16 * LIMIT:
            os.lseek(1, 0, os.SEEK_SET)
            os.ftruncate(self.file.fileno(), 0)


def read_text(file: BinaryIO | io.FileIO, start: int, stop: int) -> str:
    """A part of a log as text, its middle cut where it is long."""

    def part(at: int, size: int) -> str:
        file.seek(at)
        return (file.read(size) or b"").decode("utf-8", "backslashreplace")

    size = stop - start
    if size <= LIMIT:
        return part(start, size)
    half = LIMIT // 2
    return f"{part(start, half)}\n… {size - LIMIT} bytes of output cut here …\n{part(stop - half, half)}"


def last_words(path: str, start: int) -> str:
    """What a worker that died wrote since a position."""
    try:
        with open(path, "rb") as file:
            return read_text(file, start, os.fstat(file.fileno()).st_size)
    except OSError:
        return ""
