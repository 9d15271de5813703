"""What goes to an engine's worker and comes back, and what does it do there?

It asks a *guarded child*: simkit's own supervised workers, beside the engine's process. So a run that dies never
reaches the transport: plain MPI would abort the whole job, SCOOP vanish. The child is started once by each worker, by
exec and without what tells a process of its MPI job; it is kept between tasks and studies, and is gone with its worker.
"""

from __future__ import annotations

import mmap
import os
import pickle
import platform
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import attrs

from simkit._version import __version__
from simkit.declare.tags import Limits
from simkit.errors import SimkitError
from simkit.execute.job import Source, pickled
from simkit.execute.mailbox import Mailbox
from simkit.execute.processes.nursery import signal_name
from simkit.execute.resources import Gpus
from simkit.values.batch import Checkpoint, RunReport, Teardown

_FOREIGN = (
    "OMPI_",
    "PMIX_",
    "PMI_",
    "MPI4PY_",
    "PRTE_",
)  # what tells a process that it is part of an MPI job


_NUMBER = struct.Struct("<q")  # how many parts a reply has, and how large each is


@attrs.frozen(eq=False)
class Assignment:
    """What a guard has to know of a study; it gets it once.

    Attributes
    ----------
    source
        Makes the job in each worker.
    declared
        How many objects the points refer to by their numbers.
    workers
        How many runs each guard executes at once.
    together
        How many runs one call computes at most, as in `Plan`.
    gpus
        The devices that the workers of each guard share.
    mailbox
        Where owner and guards tell each other what can't wait for the end of a task.
    path, folder
        The owner's ``sys.path`` and working directory.
    versions
        Of Python, simkit and the packages that the experiment imports, as the owner has them.
    """

    source: Source
    declared: int
    workers: int
    together: int | None
    limits: Limits
    isolate: bool
    show: bool
    gpus: Gpus
    mailbox: Mailbox
    path: tuple[str, ...]
    folder: str
    versions: Mapping[str, str]


@attrs.frozen
class Task:
    """What one call of `execute` is to do.

    Attributes
    ----------
    study
        The key of the assignment.
    assignment
        The pickled `Assignment`, where the guard may not have it.
    portion
        The packed runs; empty to hear whether somebody is there.
    is_last
        Tear down what the study's runs shared.
    """

    study: str
    assignment: bytes = b""
    portion: bytes = b""
    is_last: bool = False


@attrs.frozen(eq=False)
class Reply:
    """What became of a task.

    Attributes
    ----------
    guard
        Which one answers: its machine and process number.
    is_unknown
        The guard needs the assignment.
    lost
        How the guard died; its runs are to be done again.
    problem
        Why the study can't be executed there.
    batches
        What the runs gave: each a pickled `Batch`, and the large arrays beside it.
    seconds
        How long they took.
    checkpoints
        Of runs that are not done, where they could not be handed over at once.
    reports
        What runs said of themselves, for the record: nobody could answer.
    remarks
        What went wrong beside the runs.
    teardown
        What came of it when the fixtures were torn down.
    """

    guard: str = ""
    is_unknown: bool = False
    lost: str = ""
    problem: str = ""
    bug: str = ""
    batches: tuple[tuple[Any, ...], ...] = ()
    seconds: float = 0.0
    checkpoints: tuple[Checkpoint, ...] = ()
    reports: tuple[RunReport, ...] = ()
    remarks: tuple[str, ...] = ()
    teardown: Teardown = Teardown()


def joined(reply: Reply) -> list[Any]:
    """The parts of a reply as bytes: the sizes of those that follow, itself, and what lies beside it."""
    beside: list[pickle.PickleBuffer] = []
    head = pickled(reply, beside.append)
    parts = [memoryview(head), *(buffer.raw() for buffer in beside)]
    numbers = [len(parts), *(part.nbytes for part in parts)]
    return [b"".join(map(_NUMBER.pack, numbers)), *parts]


def elsewhere(path: str) -> bytes:
    """What is sent instead of a reply that lies in a file on the owner's machine."""
    return bytes(_NUMBER.size) + os.fsencode(path)


def parted(reply: bytes) -> Reply:
    """The reply in these bytes, or in the file that they name; its large arrays lie there, and can't be written to."""
    view, (count,) = memoryview(reply), _NUMBER.unpack_from(reply)
    if not count:
        try:
            view = _mapped(Path(os.fsdecode(reply[_NUMBER.size :])))
        except OSError as error:
            return Reply(lost=f"its reply can't be read: {error}")
        (count,) = _NUMBER.unpack_from(view)
    parts, end = [], _NUMBER.size * (count + 1)
    for (size,) in _NUMBER.iter_unpack(view[_NUMBER.size : end]):
        parts.append(view[end : end + size])
        end += size
    return pickle.loads(parts[0], buffers=parts[1:])  # type: ignore[no-any-return]


def _mapped(file: Path) -> memoryview:
    """A file's bytes; its name is gone, and its memory when nobody looks at them any more."""
    with file.open("rb") as handle:
        file.unlink()
        return memoryview(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ))


def versions_of(packages: Mapping[str, str]) -> dict[str, str]:
    """The versions here of Python, simkit and these packages."""
    from importlib import metadata

    here = {"Python": platform.python_version(), "simkit": __version__}
    for name in packages:
        if name not in here:
            try:
                here[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                here[name] = "not installed"
    return here


# In the engine's worker


def execute(task: bytes) -> bytes:
    """Have the guarded child of this worker do a task: all that engines ever call.

    Parameters
    ----------
    task
        A pickled `Task`.

    Returns
    -------
    bytes
        The `Reply`, for `parted`.
    """
    guard: GuardedChild | None = getattr(_HERE, "guard", None)
    with _undisturbed():
        if guard is None or not guard.is_alive:
            guard = _HERE.guard = GuardedChild()
        return guard.ask(task)


# This simkit is taken, not another that is installed there as well; Python's own modules stay ahead of its folder.
_FROM_HOME = """\
import sys
packages = [index for index, entry in enumerate(sys.path) if entry.endswith("-packages")]
sys.path.insert((packages or [len(sys.path)])[0], {home!r})
{code}
"""


def with_this_simkit(code: str, *arguments: str) -> list[str]:
    """The command that has Python execute this code in a process of its own, with the simkit that asks for it."""
    home = str(Path(__file__).parents[2])
    return [sys.executable, "-P", "-c", _FROM_HOME.format(home=home, code=code), *arguments]


_CHILD = "from simkit.execute.warden import serve; serve(int(sys.argv[1]))"
_HERE = threading.local()  # a guard for each thread that executes tasks


class GuardedChild:
    """The engine's side: a child and the line to it."""

    def __init__(self) -> None:
        if sys.platform == "win32":
            msg = "engines need pipes that children inherit, which Windows has not: use --engine local"
            raise SimkitError(msg)
        self.connection, theirs = Pipe()
        self.process = subprocess.Popen(
            with_this_simkit(_CHILD, str(theirs.fileno())),
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=_clean_environment(), cwd="/",
        )  # fmt: skip
        theirs.close()
        self.has_started = False

    def __del__(self) -> None:
        self.connection.close()  # it ends then
        with suppress(Exception):
            self.process.wait(10)

    @property
    def is_alive(self) -> bool:
        """Whether it may be asked."""
        return not self.connection.closed

    def ask(self, task: bytes) -> bytes:
        """Hand on a task, and wait for the reply."""
        try:
            if not self.has_started:
                self.connection.recv_bytes()
                self.has_started = True
            self.connection.send_bytes(task)
            path, reply = self.connection.recv_bytes(), self.connection.recv_bytes()
            return _taken(path) if path else reply
        except (EOFError, OSError):
            self.connection.close()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            code = self.process.poll()
            words = f"the guarded child on {socket.gethostname()} died: {signal_name(code)}"
            # Where somebody killed it, whatever it was doing, another one may do better.
            is_lost = self.has_started or (code is not None and code < 0)
            died = Reply(lost=words) if is_lost else Reply(problem=f"{words} before it was ready")
            return b"".join(joined(died))


def _taken(path: bytes) -> bytes:
    """A large reply, which came beside the line."""
    file = Path(os.fsdecode(path))
    try:
        return file.read_bytes()
    finally:
        file.unlink(missing_ok=True)


def _clean_environment() -> dict[str, str]:
    """Without the engine's own; sets of texts have the same order in all guards."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
    return {"PYTHONHASHSEED": "0", **kept}


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C in the terminal reaches the owner, who decides; not a worker that waits for its runs."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and "mpi4py.futures" in sys.modules:
        # A scheduler tells all processes of an MPI job to end, and the death of one would be the job's: for good.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _ignored)
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    before = signal.signal(signal.SIGINT, _ignored)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _ignored(number: int, frame: Any) -> None:
    pass
