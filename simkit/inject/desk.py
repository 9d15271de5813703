"""Where do the runs of an injector work: in which folder, with which parameters?"""

from __future__ import annotations

import glob
import itertools
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from simkit.collect.fields import leaves
from simkit.collect.listener import OpenedFiles
from simkit.collect.plan import Plan
from simkit.declare.forms import Values
from simkit.errors import SimkitError
from simkit.inject.contact import PROGRAM, RUN, Beat, local_beat
from simkit.inject.leftovers import prefix
from simkit.inject.provide import own_folder
from simkit.values.decode import ABSENT


class Desk:
    """The workplace of each run of an injector, one after the other.

    Parameters
    ----------
    values
        The parameters that do not vary, by node key.
    readings
        Told which of the project's files the runs read.
    aside
        How the names of copies of large files begin, that are attached; None where nothing can be.
    """

    def __init__(
        self, plan: Plan, values: Mapping[str, Any], readings: OpenedFiles, aside: str | None
    ) -> None:
        self.plan, self.values, self.readings, self.stem = plan, values, readings, aside
        self.beat: Beat = local_beat()
        self.numbers = itertools.count()
        self.points: Mapping[str, Values] = {}
        self.environment: MutableMapping[str, Any] | None = None  # of a run that is made step by step
        self.make: Callable[[], Path] | None = None  # gives the folder of such a run
        self.runs: Sequence[int] = ()  # of the batch
        self.folders: list[Path] = []  # that of a run for which nothing else is made, once it has one
        self.teardown = ExitStack()

    def begin(self, runs: Sequence[int], points: Mapping[str, Values], beat: Beat) -> None:
        """A batch begins; nothing is left of one that an exception has ended."""
        self.leave()
        self.runs, self.points, self.beat, self.environment, self.make = runs, points, beat, None, None

    def lend(self, environment: MutableMapping[str, Any], make: Callable[[], Path]) -> None:
        """A run begins that is made step by step, and has a folder of its own if it wants one."""
        self.environment, self.make = environment, make

    def leave(self, error: BaseException | None = None) -> None:
        """The run is over; its folder stays if it has failed."""
        self.folders.clear()
        self.teardown.__exit__(type(error) if error is not None else None, error, None)

    @property
    def kept(self) -> str:
        """What to say of the folder where the run has failed."""
        return f"\n(its working directory is kept: {self.folders[0]})" if self.folders else ""

    def folder(self) -> Path:
        """The run's folder, made when it is asked for first."""
        if self.make is not None:
            return self.make()
        if not self.folders:
            self.folders.append(own_folder(self.plan, self.teardown))
        return self.folders[0]

    def home(self) -> Path:
        """The folder of the experiment's file, or of the session where it is in none."""
        folder = self.plan.path.parent
        return folder if self.plan.path.is_file() else Path.cwd()

    def parameters(self) -> Mapping[str, Any]:
        """The run's parameters, those that were computed for it included, by their full names."""
        values: dict[str, Any] = {}
        for name, node in self.plan.parameters.items():
            value = self._value(node.key)
            if value is not ABSENT:
                values.update(leaves(name, value))
        return values

    def _value(self, key: str) -> Any:
        if self.environment is not None:
            return self.environment.get(key, ABSENT)
        if key in self.points:
            position = self.runs.index(int(self.beat[RUN]))
            return self.points[key].take(np.array([position])).elements()[0]
        return self.values.get(key, ABSENT)

    def aside(self) -> str:
        """The name of a new file, for a copy of one that is attached."""
        if self.stem is None:
            raise SimkitError("run.attach(): only runs have files; return what you want to keep")
        return f"{self.stem}{os.getpid()}-{next(self.numbers)}"

    def began(self, group: int) -> None:
        """A program was started, or has ended: whoever ends this process ends it, too."""
        self.beat[PROGRAM] = float(group)

    def reads(self, path: Path) -> None:
        """The run reads a file, or starts it: one of the project is an input."""
        full = os.path.abspath(path)
        if full.startswith(self.readings.below):
            self.readings.add(full)


def kept_folder(environment: Mapping[str, Any]) -> str:
    """Of a run that failed: where its folder is to be found."""
    folder = environment.get("workdir")
    return f"\n(its working directory is kept: {folder})" if folder is not None else ""


def spool() -> str:
    """How the names of copies begin that one engine in this process makes of attached files."""
    return os.path.join(tempfile.gettempdir(), f"{prefix('files')}{secrets.token_hex(4)}-")


def clear(stem: str) -> None:
    """Remove the copies that nobody has recorded."""
    for path in glob.glob(f"{glob.escape(stem)}*"):
        with suppress(OSError):
            os.unlink(path)
