"""How is an external program run, and how does it end with all that it started?"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import attrs
import numpy as np

from simkit.declare.tags import seconds
from simkit.errors import SimkitError

_TICK = 0.05  # seconds after which it is looked whether a program has ended, while something holds its output open
_PATIENCE = 5.0  # seconds without any output after a program's death: somebody else holds the pipe
_BLOCK = 65_536
_IN_MEMORY = 1 << 20  # bytes of output; more is kept in a file
_LAST_LINES = 12  # of its output, in the error of a program that failed


@attrs.frozen
class Command:
    """A program that a run has run.

    Attributes
    ----------
    arguments
        The program and its arguments.
    exit_code
        Negative where a signal ended it: the number of the signal.
    seconds
        How long it took.
    """

    arguments: tuple[str, ...]
    exit_code: int
    seconds: float

    def __str__(self) -> str:
        return f"{shlex.join(self.arguments)}: {_end_of(self.exit_code)} after {self.seconds:.3g} s"


class ProgramOutput:
    """What a program wrote: in memory, or in a file once it is much."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.file: IO[bytes] | None = None

    def write(self, block: bytes) -> None:
        """Add a part."""
        self.size += len(block)
        if self.file is not None:
            self.file.write(block)
            return
        self.parts.append(block)
        if self.size > _IN_MEMORY:
            self.file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this object lives
            weakref.finalize(self, self.file.close)
            self.file.writelines(self.parts)
            self.parts.clear()

    def read(self) -> bytes:
        """All of it."""
        if self.file is None:
            return b"".join(self.parts)
        self.file.seek(0)
        return self.file.read()


class Finished(subprocess.CompletedProcess[Any]):
    """A program that has ended; its output is read when it is asked for."""

    def __init__(
        self, args: Sequence[str], returncode: int, output: Sequence[ProgramOutput | None], *, text: bool
    ) -> None:
        super().__init__(args, returncode)
        self._output, self._text = output, text

    def _read(self, number: int) -> bytes | str | None:
        output = self._output[number]
        if output is None:
            return None
        data = output.read()
        return data.decode("utf-8", "backslashreplace") if self._text else data

    @property
    def stdout(self) -> Any:
        """What it wrote to its standard output; None where that went to a file."""
        return self._read(0)

    @stdout.setter
    def stdout(self, value: Any) -> None:
        pass  # `CompletedProcess` says that there is none

    @property
    def stderr(self) -> Any:
        """What it wrote to its standard error."""
        return self._read(1)

    @stderr.setter
    def stderr(self, value: Any) -> None:
        pass

    def __repr__(self) -> str:
        return f"<Finished {shlex.join(self.args)}: {_end_of(self.returncode)}>"


class CommandFailed(subprocess.CalledProcessError):
    """A program has ended with an exit code that is not zero."""

    def __str__(self) -> str:
        words = f"{shlex.join(self.cmd)}: {_end_of(self.returncode)}"
        said = _text(self.stderr) or _text(self.output)
        return f"{words}\n{_last_lines(said)}" if said.strip() else words


class CommandTimeout(subprocess.TimeoutExpired):
    """A program took too long, and was killed with all that it had started."""

    def __str__(self) -> str:
        words = f"{shlex.join(self.cmd)}: killed after {self.timeout:g} s, its timeout"
        said = _text(self.stderr) or _text(self.output)
        return f"{words}\n{_last_lines(said)}" if said.strip() else words


def _text(output: Any) -> str:
    return output.decode("utf-8", "backslashreplace") if isinstance(output, bytes) else output or ""


def _last_lines(text: str) -> str:
    lines = text.rstrip().splitlines()
    cut = ["…"] if len(lines) > _LAST_LINES else []
    return "\n".join([*cut, *lines[-_LAST_LINES:]])


def _end_of(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def as_arguments(arguments: Any) -> list[str]:
    """The program and its arguments as text; nothing in them is expanded.

    Raises
    ------
    SimkitError
        For one text instead of a list, and for what has no certain text.
    """
    if isinstance(arguments, (str, bytes, os.PathLike)) or not isinstance(arguments, Sequence):
        words = (
            shlex.split(arguments) if isinstance(arguments, str) and "'" not in arguments else ["./solver"]
        )
        raise SimkitError(
            f"run.command(): give the program and its arguments as a list, such as {words}, not {arguments!r}"
        )
    if not arguments:
        raise SimkitError("run.command(): the list is empty: give the program and its arguments")
    return [_argument(number, value) for number, value in enumerate(arguments)]


def _argument(number: int, value: Any) -> str:
    if isinstance(value, (str, bytes, os.PathLike)):
        return os.fsdecode(value)
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return str(value)
    raise SimkitError(
        f"run.command(): argument {number} is {value!r}: give text, a path or a number, as in str(…)"
    )


def left_at_home(arguments: Sequence[str], folder: Path, home: Path) -> str:
    """What to say of arguments that name files of the project, and nothing in the folder that a program runs in."""
    relative = [name for name in arguments if name and not os.path.isabs(name)]
    names = [name for name in relative if not (folder / name).exists() and (home / name).is_file()]
    if not names:
        return ""
    cure = f"give the whole path, Path(__file__).with_name({names[0].removeprefix('./')!r})"
    return f"(the program runs in the run's folder, and {', '.join(names)} lies in {home}: {cure})"


@attrs.frozen(eq=False)
class ExternalProgram:
    """A program to be run.

    Attributes
    ----------
    arguments
        The program and its arguments.
    folder
        Its working directory.
    environment
        Its whole environment.
    timeout
        Seconds; None is no limit.
    stdin
        The bytes, or the file, that it reads.
    stdout
        The file that its standard output goes to, instead of being returned.
    text
        Whether its output is returned as ``str``.
    began
        Called with the number of its process group, and with 0 once that has ended.
    """

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    timeout: float | None = None
    stdin: bytes | Path | None = None
    stdout: Path | None = None
    text: bool = False
    began: Callable[[int], None] = lambda group: None

    def run(self, tell: Callable[[Command], None]) -> Finished:
        """Run it to its end, or for as long as it may take; what it writes is shown meanwhile.

        Parameters
        ----------
        tell
            Called once it has ended, however that came.

        Raises
        ------
        CommandTimeout
            When it took too long.
        SimkitError
            When it can't be started.
        """
        out, err = None if self.stdout else ProgramOutput(), ProgramOutput()
        start, is_over = time.perf_counter(), False
        with ExitStack() as files:
            process = self._started(files)
            try:
                self.began(process.pid)
                readers = [_PipeReader(process.stderr, err, "stderr")]
                readers += [_PipeReader(process.stdout, out, "stdout")] if out is not None else []
                is_over = _is_over(process, readers, start, self.timeout)
            finally:
                _end(process)
                self.began(0)
                tell(Command(tuple(self.arguments), process.returncode, time.perf_counter() - start))
            for reader in readers:
                reader.finish()
        finished = Finished(self.arguments, process.returncode, (out, err), text=self.text)
        if not is_over:
            assert self.timeout is not None
            raise CommandTimeout(list(self.arguments), self.timeout, finished.stdout, finished.stderr)
        return finished

    def _started(self, files: ExitStack) -> subprocess.Popen[bytes]:
        group: dict[str, Any] = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if sys.platform == "win32"
            else {"process_group": 0}
        )
        try:
            stdin, stdout = self._input(files), self._output(files)
        except OSError as error:
            raise SimkitError(f"run.command(): {error.filename}: {error.strerror}") from None
        try:
            return subprocess.Popen(
                list(self.arguments), cwd=self.folder, env=dict(self.environment),
                stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, **group,
            )  # fmt: skip
        except OSError as error:
            raise SimkitError(f"run.command(): {self._problem(error)}") from None
        except ValueError as error:  # a NUL in an argument
            raise SimkitError(f"run.command(): {error} in {list(self.arguments)}") from None

    def _input(self, files: ExitStack) -> Any:
        if self.stdin is None:
            return subprocess.DEVNULL
        if isinstance(self.stdin, Path):
            return files.enter_context(open(self.stdin, "rb"))
        file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe would have to be filled meanwhile
        files.enter_context(file)
        file.write(self.stdin)
        file.seek(0)
        return file

    def _output(self, files: ExitStack) -> Any:
        return subprocess.PIPE if self.stdout is None else files.enter_context(open(self.stdout, "wb"))

    def _problem(self, error: OSError) -> str:
        """Why the program could not be started."""
        program = self.arguments[0]
        if not self.folder.is_dir():
            return f"the folder {self.folder} is not there any more"
        has_folder = os.path.dirname(program) != ""
        if isinstance(error, FileNotFoundError):
            path = self.folder / program
            if has_folder and path.exists():
                return f"{program} is there, but what its first line (#!…) or its loader names is not"
            where = f"in the run's folder {self.folder}" if has_folder else "along PATH"
            more = "" if has_folder else "; write ./NAME for one in the run's folder"
            return f"there is no program {program!r} {where}{more}"
        if isinstance(error, PermissionError):
            return f"{program} may not be executed: chmod +x"
        if error.strerror == "Exec format error":
            return f"{program} is no program for this machine, or a script whose first line is not #!…"
        return f"{program}: {error.strerror}"


class _PipeReader:
    """Reads what a program writes: shows it, and keeps it."""

    def __init__(self, pipe: IO[bytes] | None, kept: ProgramOutput, stream: str) -> None:
        assert pipe is not None
        self.pipe, self.kept, self.stream = pipe, kept, getattr(sys, stream)
        self.is_over = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def finish(self) -> None:
        """Wait for the last of what a program wrote that has ended."""
        before = -1
        while self.thread.is_alive() and self.kept.size > before:
            before = self.kept.size
            self.thread.join(_PATIENCE)
        self.is_over = True

    def _read(self) -> None:
        with self.pipe:
            while (block := os.read(self.pipe.fileno(), _BLOCK)) and not self.is_over:
                self.kept.write(block)
                with suppress(OSError, ValueError):  # a closed stream, a full disk: what is shown may be lost
                    _show(self.stream, block)


def _show(stream: Any, block: bytes) -> None:
    if stream is None:
        return
    binary = getattr(stream, "buffer", None)
    if binary is None:  # in a notebook
        stream.write(block.decode("utf-8", "backslashreplace"))
        return
    stream.flush()
    while block:
        block = block[binary.write(block) :]
    binary.flush()


def _is_over(
    process: subprocess.Popen[bytes], readers: Sequence[_PipeReader], start: float, timeout: float | None
) -> bool:
    """Wait for a program's end; False where it takes too long."""
    for reader in readers:
        while reader.thread.is_alive():
            left = _TICK if timeout is None else min(_TICK, start + timeout - time.perf_counter())
            if left <= 0:
                return process.poll() is not None
            reader.thread.join(left)
            if reader.thread.is_alive() and process.poll() is not None:
                return True  # what it left behind holds its output open
    try:
        process.wait(None if timeout is None else max(0.0, start + timeout - time.perf_counter()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that has not ended, and what it has left behind."""
    if process.poll() is None:
        kill_family(process.pid)
    else:
        kill_group(process.pid)
    process.wait()


def kill_family(leader: int) -> None:
    """Kill a process, its group, and what descends from it in other groups; 0 is none."""
    if not leader:
        return
    if sys.platform == "win32":
        with suppress(OSError):
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(leader)], capture_output=True, check=False)
        return
    members = descendants(leader)
    kill_group(leader)
    for member in (leader, *members):
        with suppress(OSError):
            os.kill(member, signal.SIGKILL)


def kill_group(leader: int) -> None:
    """Kill what is left of a process group; 0 is none."""
    if leader and hasattr(os, "killpg"):
        with suppress(OSError):
            os.killpg(leader, signal.SIGKILL)


def descendants(process: int) -> list[int]:
    """Children and theirs, whatever group they are in; none where the system does not tell."""
    children: dict[int, list[int]] = defaultdict(list)
    for number, (parent, _, _) in _processes().items():
        children[parent].append(number)
    family = list(children.get(process, ()))
    for member in family:
        family.extend(children.get(member, ()))
    return family


def kill_orphans(session: int) -> None:
    """Kill what leads a process group in a session that the process that started it has left, and its descendants.

    So ends a program whose starter was killed before it could note the group. A program that leads a session of its
    own, as a service does, is not meant. Nothing is done where the system does not tell.
    """
    processes = _processes()
    inside = {number for number, (_, _, its_session) in processes.items() if its_session == session}
    for number in inside - {session}:
        parent, group, _ = processes[number]
        if group == number and parent not in inside:
            kill_family(number)


def _processes() -> dict[int, tuple[int, int, int]]:
    """By number the parent, group and session of each process; none where the system does not tell."""
    processes = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            _, parent, group, session, *_ = entry.read_text("latin-1").rpartition(")")[2].split()
            processes[int(entry.parent.name)] = (int(parent), int(group), int(session))
    return processes


def as_timeout(timeout: Any) -> float | None:
    """A timeout in seconds, given as ``90`` or ``"10min"``."""
    return None if timeout is None else seconds(timeout, f"run.command(): timeout={timeout!r}")


def as_environment(changes: Mapping[str, Any] | None) -> dict[str, str]:
    """The environment with some variables changed; None takes one away."""
    environment = dict(os.environ)
    for name, value in (changes or {}).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = _argument_of_environment(name, value)
    return environment


def _argument_of_environment(name: str, value: Any) -> str:
    if isinstance(value, (str, bytes, os.PathLike)):
        return os.fsdecode(value)
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return str(value)
    raise SimkitError(f"run.command(): env={{{name!r}: {value!r}}}: give text, a path or a number")
