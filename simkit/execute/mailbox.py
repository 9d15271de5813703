"""What do owner and guards tell each other while a task is under way? Files in a folder that both reach.

An engine carries a task there and a report back, and nothing between. What can't wait are checkpoints, whose run goes
on when they are committed, and that nothing more shall be executed. Where the folder can't be reached, checkpoints
come with the report. What need not go through the engine are large replies of guards on the owner's machine: they lie
in a folder in memory, and only their names are carried.
"""

from __future__ import annotations

import os
import pickle
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path

import attrs

from simkit.errors import shown_path
from simkit.execute.job import pickled
from simkit.inject.leftovers import SHARED, prefix
from simkit.values.batch import Checkpoint

_ANSWER = 60.0  # seconds within which the owner takes a checkpoint; else it does not see the folder
_HALT, _STOP, _ENDING = "halt", "stop", ".checkpoint"


@attrs.define(eq=False)
class Mailbox:
    """A folder of one study; it is made by whoever has something to say first.

    Attributes
    ----------
    path
        Beside the trajectory.
    memory
        In the memory of the owner's machine: only guards of this machine see it.
    problem
        Why checkpoints can't be handed over.
    """

    path: Path
    memory: Path
    problem: str = ""

    @classmethod
    def beside(cls, folder: Path) -> Mailbox:
        """A new one."""
        key = secrets.token_hex(4)
        memory = Path(SHARED or tempfile.gettempdir(), f"{prefix('replies')}{key}")
        return cls(folder / f".{prefix('mail')}{key}", memory)

    # The owner's side

    def open(self) -> None:
        """Let guards of this machine leave large replies in its memory, where there is such a folder."""
        with suppress(OSError):
            self.memory.mkdir(0o700)

    def halt(self, *, now: bool = False) -> None:
        """Let no further run start; give up those under way, too."""
        with suppress(OSError):
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / (_STOP if now else _HALT)).touch()

    def checkpoints(self) -> Iterator[Checkpoint]:
        """What runs handed over; each is taken when the next is asked for."""
        try:
            names = os.listdir(self.path)  # asked after each task
        except OSError:
            return
        for file in [self.path / name for name in sorted(names) if name.endswith(_ENDING)]:
            try:
                checkpoint: Checkpoint = pickle.loads(file.read_bytes())
            except OSError:
                continue
            yield checkpoint
            file.unlink(missing_ok=True)

    def remove(self) -> None:
        """Leave nothing behind."""
        for folder in (self.path, self.memory):
            shutil.rmtree(folder, ignore_errors=True)

    # The guards' side

    def is_halted(self) -> bool:
        """Whether no further run shall start."""
        return (self.path / _HALT).exists() or self.is_stopped()

    def is_stopped(self) -> bool:
        """Whether runs under way are given up."""
        return (self.path / _STOP).exists()

    def hand_over(self, checkpoint: Checkpoint, is_gone: Callable[[], bool]) -> bool:
        """Have the owner commit a checkpoint; whether that could be.

        Parameters
        ----------
        is_gone
            Whether nobody waits for the run any more.
        """
        if self.problem:
            return False
        file = self.path / f"{time.time_ns():020}-{os.getpid()}{_ENDING}"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file.with_suffix(".part").write_bytes(pickled(checkpoint))
            file.with_suffix(".part").replace(file)
        except OSError as error:
            self.problem = (
                f"checkpoints wait for the end of their run: {shown_path(self.path.parent)}: {error}"
            )
            return False
        deadline, pause = time.monotonic() + _ANSWER, 0.001
        while file.exists() and not is_gone():
            if time.monotonic() > deadline:
                file.unlink(missing_ok=True)
                self.problem = (
                    "checkpoints wait for the end of their run: the study's process does not see "
                    f"{shown_path(self.path.parent)} of this machine"
                )
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        return True


class Withheld:
    """Checkpoints that could not be handed over: the latest of each run."""

    def __init__(self) -> None:
        self.by_run: dict[int, list[Checkpoint]] = {}

    def take(self, checkpoint: Checkpoint) -> None:
        """Keep one; the first of an attempt replaces what was before."""
        before = [] if checkpoint.first else self.by_run.get(checkpoint.run, [])
        self.by_run[checkpoint.run] = [*before, checkpoint]

    def of_pending(self, done: Collection[int]) -> tuple[Checkpoint, ...]:
        """Those of runs that are not done."""
        return tuple(one for run, kept in self.by_run.items() if run not in done for one in kept)
