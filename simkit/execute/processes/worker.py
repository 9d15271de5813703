"""What a worker process does, and how portions travel to it and batches from it.

A pipe moves a megabyte in half a millisecond, a shared page in a tenth of that. Each side keeps two halves of a
mapped file and fills them in turn. The worker may, because the owner hands out a portion only after it has
recorded the last batch but one; the owner may, because a worker holds two portions at most.
"""

from __future__ import annotations

import gc
import mmap
import os
import pickle
import struct
import sys
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.declare.forms import Index
from simkit.declare.reflection import formatted
from simkit.execute.job import Declared, Source
from simkit.execute.processes.groups import ignore_signals, lead_group
from simkit.execute.resources import limit_memory, limit_threads, lower_priority, see
from simkit.inject.baseline import Company
from simkit.inject.contact import LOGGED, Beat, open_beats, raised_by
from simkit.inject.injector import Injector
from simkit.inject.leftovers import SHARED, prefix
from simkit.inject.lineage import end_daemons
from simkit.inject.output import OutputLog
from simkit.values.alone import OnePoint, OneRun, element_of
from simkit.values.batch import Batch, Checkpoint, Portion, RunReport

LARGE = 65_536  # bytes from which a buffer does not travel in the message
HALF = 16 << 20  # bytes of a batch that travel beside the message
_PLAIN = b"\xff" * 4  # before a message that needs nothing but what pickle knows by itself
_PIPE = -1  # the offset of a buffer that follows on the pipe


@attrs.frozen
class _Head:
    """What stands before a message with large buffers: where each lies, and the shared file when it is new."""

    file: str | None
    places: Sequence[tuple[int, int]]  # offset, size


_LENGTH, _LONGER = struct.Struct("!i"), struct.Struct("!Q")  # before each message of a `Connection`
_SHORT = 16_384  # bytes of a message that travels together with its length


def send_frame(connection: Any, data: Any) -> None:
    """Send bytes as a `Connection` does, which has three times as many steps for what is short."""
    size = len(data)
    if os.name != "posix" or size > _SHORT:
        connection.send_bytes(data)
        return
    rest = _LENGTH.pack(size) + data
    while rest:
        rest = rest[os.write(connection.fileno(), rest) :]


def read_frame(connection: Any) -> bytes:
    """Read bytes as a `Connection` does."""
    if os.name != "posix":
        return connection.recv_bytes()  # type: ignore[no-any-return]
    handle = connection.fileno()
    (size,) = _LENGTH.unpack(_read(handle, _LENGTH.size))
    if size < 0:  # of 2 GB and more
        (size,) = _LONGER.unpack(_read(handle, _LONGER.size))
    return _read(handle, size)


def _read(handle: int, size: int) -> bytes:
    data = os.read(handle, size)
    if len(data) == size:
        return data
    parts = [data]
    while parts[-1]:
        size -= len(parts[-1])
        if not size:
            return b"".join(parts)
        parts.append(os.read(handle, size))
    raise EOFError


class Sender:
    """The end that sends.

    Parameters
    ----------
    declared
        Objects that the other end knows.
    half
        How many bytes of one message may go through the shared file.
    """

    def __init__(self, connection: Any, declared: Declared, half: int = HALF) -> None:
        self.connection, self.declared, self.half = connection, declared, half
        self.shared: mmap.mmap | None = None
        self.path = ""  # of the shared file, until the other end has opened it
        self.usable = sys.platform != "win32"  # a mapped file can't be removed there
        self.second = False

    def send(self, message: Any, *, shared: bool = False) -> None:
        """Send an object; its arrays are not copied into the message.

        Parameters
        ----------
        shared
            Whether large arrays may go through the shared file: only where the other end has read the last
            message but one.
        """
        self.send_frames(self.frames(message, shared=shared))

    def send_frames(self, frames: Sequence[Any]) -> None:
        """Send what `frames` made; blocks while it is more than fits a pipe and nobody reads."""
        for frame in frames:
            send_frame(self.connection, frame)

    def frames(self, message: Any, *, shared: bool = False) -> list[Any]:
        """A message in the parts that go through the pipe: itself, and the buffers that found no other place."""
        large: list[memoryview] = []

        def beside(buffer: pickle.PickleBuffer) -> bool:
            raw = buffer.raw()
            if raw.nbytes < LARGE:
                return True  # keep it in the message
            large.append(raw)
            return False

        data = self.declared.dumps(message, beside)
        file = self._open() if shared and large and self.shared is None and self.usable else None
        places = self._place(large) if shared else [(_PIPE, buffer.nbytes) for buffer in large]
        head = pickle.dumps(_Head(file, places)) if places else b""
        rest = [buffer for buffer, (offset, _) in zip(large, places, strict=True) if offset == _PIPE]
        return [len(head).to_bytes(4, "little") + head + data, *rest]

    def _open(self) -> str | None:
        """Make the shared file, its space reserved: a full memory file system would kill with SIGBUS."""
        size = 2 * self.half
        try:
            handle, self.path = tempfile.mkstemp(prefix=prefix("batches"), dir=SHARED)
            try:
                os.posix_fallocate(handle, 0, size) if hasattr(os, "posix_fallocate") else os.truncate(
                    handle, size
                )
                self.shared = mmap.mmap(handle, size)
            finally:
                os.close(handle)
        except OSError:
            self.usable = False
            self.remove()
            return None
        return self.path

    def remove(self) -> None:
        """Remove the shared file if the other end has not come to it."""
        if self.path:
            Path(self.path).unlink(missing_ok=True)

    def _place(self, buffers: Sequence[memoryview]) -> list[tuple[int, int]]:
        offset, end = self.second * self.half, (self.second + 1) * self.half
        self.second = not self.second
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


def plain_frames(message: Any) -> list[bytes]:
    """Numbers, texts and containers of these as `Sender.frames` makes other messages, which takes longer."""
    return [_PLAIN + pickle.dumps(message, 5)]


class Receiver:
    """The end that receives.

    Parameters
    ----------
    declared
        Objects that the other end knows.
    copies
        Whether arrays are copied from the shared file; else those of the last but one message are overwritten by
        the next.
    """

    def __init__(self, connection: Any, declared: Declared, *, copies: bool) -> None:
        self.connection, self.declared, self.copies = connection, declared, copies
        self.shared: memoryview | None = None

    def receive(self) -> Any:
        """Receive what was sent.

        Raises
        ------
        EOFError, OSError
            When the other process is gone.
        """
        octets = read_frame(self.connection)
        if octets.startswith(_PLAIN):
            return pickle.loads(memoryview(octets)[4:])
        data = memoryview(octets)
        size = int.from_bytes(data[:4], "little")
        if not size:
            return self.declared.loads(data[4:])
        head: _Head = pickle.loads(data[4 : 4 + size])
        if head.file is not None:
            self._open(head.file)
        buffers = [self._buffer(offset, size) for offset, size in head.places]
        return self.declared.loads(data[4 + size :], buffers)

    def _open(self, path: str) -> None:
        with open(path, "r+b") as file:
            self.shared = memoryview(mmap.mmap(file.fileno(), 0))
        os.unlink(path)

    def _buffer(self, offset: int, size: int) -> Any:
        if offset == _PIPE:
            return self.connection.recv_bytes()
        assert self.shared is not None  # the other end said where it is before
        part = self.shared[offset : offset + size]
        return bytes(part) if self.copies else part


class Inbox:
    """What the owner sends: portions in advance, and answers to what a run said: whether it shall stop.

    Parameters
    ----------
    receiver, sender
        The ends of the pipe to the owner.
    """

    def __init__(self, receiver: Receiver, sender: Sender) -> None:
        self.receiver, self.sender = receiver, sender
        self.early: deque[Any] = deque()  # portions that came before an answer

    def next(self) -> Any:
        """The next portion as a message; None at the end."""
        return self.early.popleft() if self.early else self.receiver.receive()

    def save(self, said: Checkpoint | RunReport) -> bool:
        """Hand over a checkpoint and wait until it is committed, or a report, or a question for its answer."""
        self.sender.send(Answer(said=said))
        while said.waits and not isinstance(message := self.receiver.receive(), bool):
            self.early.append(message)
        return said.waits and message


def packed(portion: Portion) -> Any:
    """A portion as a message: with those checkpoints that are its runs' own."""
    known = portion.restorable
    own = {run: known[run] for run in portion.runs.tolist() if run in known} if known else {}
    return _pack_runs(portion.runs), portion.points, own, portion.memory, portion.stops


def plain(portion: Portion) -> tuple[int, Mapping[str, float]] | None:
    """A portion of one run at a point of numbers as a plain message; None where there is more to it."""
    if isinstance(portion, OnePoint):
        return None if portion.restorable else (portion.run, portion.point)
    if len(portion) > 1 or portion.restorable or portion.memory is not None or portion.stops is not None:
        return None
    elements = {name: element_of(values) for name, values in portion.points.items()}
    kept = {name: element for name, element in elements.items() if element is not None}
    return (int(portion.runs[0]), kept) if len(kept) == len(elements) else None


def unpacked(message: Any) -> Portion:
    """The portion of a message; arrays that are a point's value are read-only, as they were declared."""
    if len(message) == 2:
        return OnePoint.of(*message)
    runs, points, restorable, memory, stops = message
    for values in points.values():
        for element in values.array if values.array.dtype == object else ():
            if isinstance(element, np.ndarray):
                element.flags.writeable = False
    return Portion(_unpack_runs(runs), points, restorable, memory, stops)


_CONSECUTIVE = struct.Struct("=3q")


def _pack_runs(runs: Index) -> bytes:
    """Run numbers, short where they are consecutive."""
    first, last = int(runs[0]), int(runs[-1])
    if last - first + 1 == len(runs):
        return _CONSECUTIVE.pack(1, first, last + 1)
    return np.concatenate([[0], runs]).astype(np.int64).tobytes()


def _unpack_runs(data: bytes) -> Index:
    numbers = np.frombuffer(data, np.int64)
    return np.arange(numbers[1], numbers[2]) if numbers[0] else numbers[1:]


@attrs.frozen
class Answer:
    """A worker's message beside a batch and its seconds: that it has started, what a run said, or what went wrong."""

    problem: str = ""
    bug: str = ""
    said: Checkpoint | RunReport | None = None
    process: int = 0


@attrs.frozen
class Seat:
    """Where a worker sits: its slot, its number, the file of the beats, whether output is shown, and its GPU."""

    slot: int
    number: int
    beats: str
    show: bool
    device: str = ""
    is_limited: bool = False  # whether the process that it is forked from has limited its threads

    @property
    def log(self) -> str:
        """Where its output goes."""
        return f"{self.beats}-{self.slot}.log"

    @property
    def aside(self) -> str:
        """How the names of copies of attached files begin; the owner removes what is left of them."""
        return f"{self.beats}-files-"


def work(connection: Any, source: Source, seat: Seat) -> None:
    """Be a worker; ends when the owner closes the connection or is gone."""
    lead_group()
    with ignore_signals(connection.fileno()):
        _close_input()
        _work(Sender(connection, Declared()), source, seat)


def _work(sender: Sender, source: Source, seat: Seat) -> None:
    try:
        if not seat.is_limited:
            limit_threads()
        if seat.device:
            see(seat.device)
        beat = open_beats(seat.beats, seat.slot)
        log = None if seat.show else OutputLog(seat.log)
        job, declared = source()
        inbox = Inbox(Receiver(sender.connection, declared, copies=True), sender)
        injector = job.injector(save=inbox.save, aside=seat.aside)
        injector.baseline.company = Company.RUNS
        if job.plan.isolate:
            injector.stand_alone(is_first=seat.number == 1)
        limit_memory(job.plan.limits.memory)
        lower_priority(job.plan.limits.nice)
        gc.freeze()  # what was imported stays: looking at all of it again and again can double a run's cost
    except BaseException as error:  # noqa: BLE001 - whatever the user's modules raise; the owner reports it
        sender.send(Answer(problem=formatted(error, traceback.format_exc)))
        return
    sender.send(Answer(process=os.getpid()))
    try:
        _serve(inbox, sender, injector, beat, log, seat.number)
        problem = injector.close()
        end_daemons()
        sender.send(Answer(problem=problem))
    except (EOFError, OSError):
        injector.close()  # the owner is gone
    except BaseException as error:  # noqa: BLE001 - runs' errors are recorded: this is simkit's, or an object's
        words = raised_by(error)
        sender.send(Answer(problem=words) if words else Answer(bug=formatted(error, traceback.format_exc)))


def _serve(
    inbox: Inbox, sender: Sender, injector: Injector, beat: Beat, log: OutputLog | None, number: int
) -> None:
    while (message := inbox.next()) is not None:
        start = time.perf_counter()
        portion = unpacked(message)
        limit_memory(portion.memory or injector.plan.limits.memory)
        batch = injector.batch(portion, beat, log)
        if log is not None:
            log.forget()
            beat[LOGGED] = log.position()
        reply(sender, batch, number, time.perf_counter() - start)


def reply(sender: Sender, batch: Batch, worker: int, seconds: float) -> None:
    """Send what a portion gave in a worker, and how long it took."""
    if isinstance(batch, OneRun):
        sender.send_frames(plain_frames((batch.from_worker(worker), seconds)))
    else:
        sender.send((attrs.evolve(batch, worker=worker), seconds), shared=True)


def _close_input() -> None:
    """What a run starts finds the end of its input, rather than the terminal's keyboard or the owner's pipe."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
