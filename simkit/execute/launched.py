"""How do MPI and SCOOP carry tasks? Their launchers start all processes, this one among them."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simkit.errors import SimkitError

if TYPE_CHECKING:
    from simkit.execute.transports import Executors, Outcome, Pooled

EXIT_CODE = "SIMKIT_EXIT_CODE"  # the environment variable that names the file for it
_BACKOFF = 0.01  # seconds between two looks for a message, for which mpi4py has no other way
_RESEND = 5.0  # seconds after which SCOOP is asked what became of tasks


def launcher() -> str:
    """The module that started this process: ``mpi4py.futures``, ``scoop.bootstrap``, or anything else."""
    words = [*sys.orig_argv, "-m", ""]
    return words[words.index("-m") + 1]


def mpi(share: int) -> Executors:
    """The processes of an MPI job, of which this one is the first.

    Raises
    ------
    SimkitError
        Where there is no such job.
    """
    _check_installed("mpi", "mpi4py")
    from simkit.execute.transports import Executors

    return Executors("mpi", _mpi_pool, share=share, is_renewable=False)


def _mpi_pool() -> Pooled:
    from mpi4py import MPI
    from mpi4py.futures import MPIPoolExecutor

    from simkit.execute.transports import Pooled

    if launcher() != "mpi4py.futures" or MPI.COMM_WORLD.Get_size() < 2:
        msg = (
            "engine mpi: this process is not the first of several of an MPI job\n"
            "    start it as: mpiexec -n 4 python -m mpi4py.futures -m simkit --engine mpi"
        )
        raise SimkitError(msg)
    executor = MPIPoolExecutor(main=False, backoff=_BACKOFF)
    return Pooled(executor, lambda: int(executor.num_workers), executor.shutdown)


def _check_installed(engine: str, package: str) -> None:
    if find_spec(package) is None:
        msg = f'engine {engine} needs the package {package}\n    pip install "simkit[{engine}]"'
        raise SimkitError(msg)


def is_by_scoop() -> bool:
    """Whether SCOOP started this process."""
    scoop = sys.modules.get("scoop")
    return bool(getattr(scoop, "IS_RUNNING", False))


def launched_by_scoop(arguments: Sequence[str], workers: int) -> int:
    """Have SCOOP start this command again, with so many workers beside it; the command's exit code.

    SCOOP's own is always 0.
    """
    _check_installed("scoop", "scoop")
    from simkit.execute.processes.groups import STOPPING, lead_group

    handle, path = tempfile.mkstemp(prefix="simkit-scoop-")
    os.close(handle)
    main = Path(__file__).parents[1] / "__main__.py"
    command = [sys.executable, "-m", "scoop", "-q", "-n", str(workers + 1), str(main), *arguments]
    signals: list[int] = []
    previous = {}
    try:
        # SCOOP's own processes would end at Ctrl-C: they are in another process group than this one.
        with subprocess.Popen(
            command,
            env={**os.environ, EXIT_CODE: path},
            preexec_fn=partial(lead_group, "SIGTERM") if hasattr(os, "setpgid") else None,  # noqa: PLW1509 - no threads
        ) as process:

            def hand_on(number: int, frame: Any) -> None:
                signals.append(number)
                told, _, host = Path(path).read_text("utf-8").partition(" on ")
                if host == platform.node():  # the command there, which decides
                    with suppress(ProcessLookupError):  # it has just ended
                        os.kill(int(told), number)
                else:
                    process.terminate()

            previous = {number: signal.signal(number, hand_on) for number in STOPPING}
        code = Path(path).read_text("utf-8")
        with suppress(OSError, AttributeError):
            os.killpg(process.pid, signal.SIGTERM)  # what is left where SCOOP itself was killed
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        Path(path).unlink(missing_ok=True)
    if code.isdecimal():
        return int(code)
    if signals:
        raise KeyboardInterrupt
    msg = "engine scoop: it ended without a word\n    what is committed is safe: type the same command again"
    raise SimkitError(msg)


def leave_process(file: str) -> None:
    """Tell the launcher in a file which process decides what to do at a signal."""
    Path(file).write_text(f"{os.getpid()} on {platform.node()}", "utf-8")


def leave_code(file: str, code: int) -> None:
    """Tell the launcher in a file what came of it."""
    Path(file).write_text(str(code), "utf-8")


class Scoop:
    """The processes that SCOOP's launcher started: this one hands out tasks, and executes none.

    Parameters
    ----------
    share
        How many runs each of the others executes at once.
    """

    name = "scoop"
    words = ""

    def __init__(self, share: int) -> None:
        _check_installed("scoop", "scoop")
        self.share, self.launcher = share, os.getppid()
        self.futures: dict[int, Any] = {}
        self.count = 0
        self.asked = 0.0

    def start(self) -> None:
        """Have others to hand tasks to.

        Raises
        ------
        SimkitError
            Where SCOOP did not start this process, or no other.
        """
        import scoop

        if not is_by_scoop() or scoop.SIZE < 2:
            msg = "engine scoop: SCOOP started no process beside this one\n    start it as: simkit --engine scoop -n 4"
            raise SimkitError(msg)
        scoop.logger.setLevel("ERROR")  # it shows whole tasks that it sends again

    def width(self) -> int:
        """How many tasks are done at once."""
        import scoop

        self.start()
        return int(scoop.SIZE) - 1

    def alive(self) -> int:
        """How many workers there are, as far as SCOOP tells."""
        return self.width()

    def submit(self, task: bytes) -> int:
        """Hand over a task; its ticket."""
        from scoop import futures

        from simkit.execute.tasks import execute

        self.count += 1
        self.asked = time.monotonic()
        self.futures[self.count] = None if self._is_gone() else futures.submit(execute, task)
        return self.count

    def _is_gone(self) -> bool:
        """Whether SCOOP's launcher has ended: its broker has, too, and who sends it anything waits for ever."""
        return os.getppid() != self.launcher

    def cancel(self, ticket: int) -> bool:
        """Nothing that was handed over is taken back."""
        return False

    def finished(self, seconds: float) -> list[tuple[int, Outcome]]:
        """The tasks that came back."""
        from scoop import _control, futures

        deadline, pause = time.monotonic() + seconds, 0.0005
        while True:
            if self._is_gone():
                lost, self.futures = list(self.futures), {}
                return [(ticket, BrokenExecutor("its launcher is gone")) for ticket in lost]
            futures.wait(list(self.futures.values()), timeout=0)
            done = [ticket for ticket, future in self.futures.items() if future._ended()]
            if done or time.monotonic() >= deadline:
                return [(ticket, self._outcome(ticket)) for ticket in done]
            if (
                self.futures and time.monotonic() - self.asked > _RESEND
            ):  # a task whose worker is gone is sent again
                self.asked = time.monotonic()
                _control.execQueue.askForPreviousFutures()
            time.sleep(pause)
            pause = min(2 * pause, 0.01)

    def _outcome(self, ticket: int) -> Outcome:
        future = self.futures.pop(ticket)
        error: BaseException | None = future.exceptionValue
        outcome: Outcome = future.resultValue if error is None else error
        return outcome

    def renew(self) -> bool:
        """SCOOP starts once."""
        return False

    def close(self) -> None:
        """SCOOP ends with the command."""
