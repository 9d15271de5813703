"""A worker's output: what is written to its descriptors 1 and 2 belongs to the run that it is in."""

from __future__ import annotations

import io
import os
import sys
import tempfile

LIMIT = 64 << 10  # bytes kept of one run's output: the beginning and the end


class OutputLog:
    """Redirects this process's standard output and error, subprocesses and C code included."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - open as long as the process
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.dup2(self.file.fileno(), 1)
        os.dup2(self.file.fileno(), 2)
        # Write through, so that every line stands at the right run, and lies beside what C code wrote.
        sys.stdout = io.TextIOWrapper(
            io.FileIO(1, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True
        )
        sys.stderr = io.TextIOWrapper(
            io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True
        )

    def position(self) -> int:
        """How much was written so far, in bytes."""
        return os.lseek(1, 0, os.SEEK_CUR)

    def text(self, start: int, stop: int) -> str:
        """What was written between two positions; the middle of very long output is cut, and says so."""
        size = stop - start
        if size <= LIMIT:
            return self._read(start, size)
        half = LIMIT // 2
        cut = f"\n… {size - LIMIT} bytes of output cut here …\n"
        return self._read(start, half) + cut + self._read(stop - half, half)

    def _read(self, start: int, size: int) -> str:
        if hasattr(os, "pread"):
            data = os.pread(self.file.fileno(), size, start)
        else:
            end = os.lseek(1, 0, os.SEEK_CUR)
            os.lseek(1, start, os.SEEK_SET)
            data = os.read(self.file.fileno(), size)
            os.lseek(1, end, os.SEEK_SET)
        return data.decode("utf-8", "backslashreplace")

    def forget(self) -> None:
        """Start over once a batch's output was handed on, or the file would grow for ever."""
        if self.position() > 16 * LIMIT:
            os.lseek(1, 0, os.SEEK_SET)
            os.ftruncate(self.file.fileno(), 0)
