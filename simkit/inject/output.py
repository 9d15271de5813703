"""Which run of a batch has printed what?"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Protocol

from simkit.inject.contact import LOGGED, Beat

START = 1  # where output begins: /dev/null, to which a run may lead its own, is always at 0
LIMIT = 64 << 10  # bytes kept of one run's output: the beginning and the end
TOGETHER = 2e-5  # seconds: runs that are over sooner are asked together whether they have written anything


class Log(Protocol):
    """Where a run's output goes, if anybody collects it.

    Attributes
    ----------
    printed
        Not empty once Python's standard output or error was written to; emptied by who takes note of it.
    is_quiet
        Whether nothing was written so far but by Python's streams, which tell.
    """

    printed: list[bool]
    is_quiet: bool

    def position(self) -> int:
        """How much was written so far: a system call."""

    def text(self, start: int, stop: int) -> str:
        """What was written between two positions."""


class Output:
    """What the runs of one batch write.

    Asking the system after every run would cost more than a short run. What Python's streams write is told at
    once; programs and libraries written in other languages are looked for after 20 µs of runs, and after every
    run when they have written once.

    Parameters
    ----------
    runs
        The runs' numbers, in the order in which they are executed.
    """

    def __init__(self, log: Log, beat: Beat, runs: Sequence[int]) -> None:
        self.log, self.beat, self.runs = log, beat, runs
        self.texts: dict[int, str] = {}
        self.taken = 0
        self.beat[LOGGED] = self.end = (
            log.position()
        )  # what was written before the first run is none of its output
        log.printed.clear()

    def take(self, executed: int, now: float) -> float:
        """Keep what was written since the last time; the last of so many runs has just ended.

        Returns
        -------
        float
            When to come again, on the clock of ``now``, unless Python prints.
        """
        start, self.end = self.end, self.log.position()
        suspects, self.taken = self.runs[self.taken : executed], executed
        if self.end != start and suspects:
            self.keep(suspects, self.log.text(start, self.end))
            self.beat[LOGGED] = self.end
        self.log.printed.clear()
        return now + TOGETHER if self.log.is_quiet else 0.0

    def keep(self, suspects: Sequence[int], text: str) -> None:
        """Record a text for the last of these runs, and say so where another of them may have written it."""
        if not self.log.printed:
            self.log.is_quiet = False
            if len(suspects) > 1:
                text = f"(written by one of the runs {suspects[0]} to {suspects[-1]})\n{text}"
        self.texts[suspects[-1]] = text


class NoticedOutput(io.FileIO):
    """A descriptor of Python's standard output or error that tells of each write."""

    def __init__(self, number: int, printed: list[bool]) -> None:
        super().__init__(number, "w", closefd=False)
        self.printed = printed

    def write(self, data: Any, /) -> int:
        """Write as `io.FileIO` does."""
        if not self.printed:
            self.printed.append(True)
        return super().write(data)


class OutputLog:
    """Redirects this process's standard output and error, subprocesses and C code included.

    Parameters
    ----------
    path
        Where it goes; the owner reads it there when this process dies.
    """

    def __init__(self, path: str) -> None:
        self.file = open(path, "w+b", buffering=0)  # noqa: SIM115 - open as long as the process
        streams = [getattr(stream, "stream", stream) for stream in (sys.stdout, sys.stderr)]
        self.early = [stream for stream in streams if isinstance(stream, io.TextIOWrapper)]
        for stream in self.early:  # a module may have kept one of them, or a logging handler
            stream.flush()
            stream.reconfigure(line_buffering=True)
        self.last = self.file.seek(START)
        self.redirect()
        self.printed: list[bool] = []
        self.is_quiet = True
        # Write through, so that every line stands at the right run, and lies beside what C code wrote.
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(
                NoticedOutput(number, self.printed),
                encoding="utf-8",
                errors="backslashreplace",
                write_through=True,
            )
            for number in (1, 2)
        )

    def redirect(self) -> None:
        """Let descriptors 1 and 2 be the log: again, after a run has closed them or led them elsewhere."""
        for number in (1, 2):
            os.dup2(self.file.fileno(), number)

    def position(self) -> int:
        """How much was written so far, in bytes: asked after every run."""
        try:
            for stream in self.early:
                if not stream.closed:
                    stream.flush()
            end = os.lseek(1, 0, os.SEEK_CUR)  # the same as that of the log, unless a run has moved it
        except OSError:
            end = -1
        if end != self.last:
            self.last = os.lseek(self.file.fileno(), 0, os.SEEK_CUR)
            if end != self.last:
                self.redirect()
        return self.last

    def text(self, start: int, stop: int) -> str:
        """What was written between two positions; the middle of very long output is cut, and says so."""
        end = self.position()
        text = read_text(self.file, start, stop)
        self.file.seek(end)  # the position is that of the redirected descriptors
        return text

    def forget(self) -> None:
        """Start over once a batch's output was handed on, or the file would grow for ever."""
        if self.position() > 16 * LIMIT:
            os.ftruncate(self.file.fileno(), 0)
            self.file.seek(START)


def read_text(file: BinaryIO | io.FileIO, start: int, stop: int) -> str:
    """A part of a log as text: of lines drawn over and over the last state, the middle cut where it is long."""
    head, tail, size = bytearray(), bytearray(), 0
    file.seek(start)
    for part in _states(file, stop - start):
        size += len(part)
        room = LIMIT // 2 - len(head)
        head += part[:room]
        tail += part[room:]
        del tail[: max(0, len(tail) - LIMIT // 2)]
    cut = f"\n… {size - LIMIT} bytes of output cut here …\n" if size > LIMIT else ""
    return _decoded(head + tail) if not cut else _decoded(head) + cut + _decoded(tail)


def _decoded(data: bytearray) -> str:
    return data.decode("utf-8", "backslashreplace")


def _states(file: BinaryIO | io.FileIO, size: int) -> Iterator[bytes]:
    """The bytes that a terminal would still show: carriage returns go back to the beginning of the line."""
    rest = b""  # of a line whose end has not come
    while size > 0 and (block := file.read(min(size, LIMIT)) or b""):
        size -= len(block)
        *lines, rest = (rest + block).split(b"\n")
        yield b"".join(_last_state(line) + b"\n" for line in lines)
        if b"\r" not in rest:
            yield rest
            rest = b""
        else:
            before, _, present = rest.rpartition(b"\r")
            rest = _last_state(before) + b"\r" + present
    yield _last_state(rest)


def _last_state(line: bytes) -> bytes:
    """What was drawn last, and is not blank; the end of a line in the manner of Windows stays."""
    if b"\r" not in line:
        return line
    body, end = (line[:-1], b"\r") if line.endswith(b"\r") else (line, b"")
    drawn = [state for state in body.split(b"\r") if state.strip()]
    return (drawn[-1] if drawn else b"") + end


def last_words(path: str, start: int) -> str:
    """What a worker that died wrote since a position."""
    try:
        with open(path, "rb") as file:
            return read_text(file, start, os.fstat(file.fileno()).st_size)
    except OSError:
        return ""


def unheard(executed: int, now: float) -> float:
    """Nobody asks what was written; when to look at the clock again."""
    return now + 1e-3
