"""What is known of a trajectory: its file, its runs, and the names that they have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simkit.analyse.names import Rows
from simkit.analyse.notes import Info, info
from simkit.analyse.selection import Selection
from simkit.declare.forms import Array, Index
from simkit.declare.space import Space, explore
from simkit.record.book import About
from simkit.record.recorded import Recorded
from simkit.values.decode import decode


class Overview:
    """The facts of a `Trajectory`, which adds the verbs."""

    def __init__(self, recorded: Recorded, index: Index | None = None) -> None:
        self._selection, self._rows = Selection(recorded, index), Rows(recorded)

    # Facts

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self._selection.recorded.name

    @property
    def path(self) -> Path:
        """The file."""
        return self._selection.recorded.path

    @property
    def index(self) -> Index:
        """The run numbers, shape ``(n,)``."""
        return self._selection.runs

    @property
    def status(self) -> Array:
        """What became of each run, as words, shape ``(n,)``: pending, done, failed, timeout, crashed."""
        return self._selection.of_runs("status")

    @property
    def seconds(self) -> Array:
        """How long each run took, in seconds, shape ``(n,)``; NaN where it did not run."""
        return self._selection.of_runs("seconds")

    @property
    def seeds(self) -> Array | None:
        """The seed of each run, shape ``(n,)``, where one was requested; else None."""
        return self._selection.run_column("seed") if self._selection.has_run_column("seed") else None

    @property
    def explored(self) -> tuple[str, ...]:
        """The names that the space gives."""
        return self._selection.recorded.explored

    @property
    def columns(self) -> list[str]:
        """The names that ``traj[name]`` gives a column of: parameters, then results, in the file's order."""
        return [*self.names("parameters"), *self.names("results")]

    @property
    def space(self) -> Space:
        """The points of these runs, as a space again."""
        return explore({name: decode(self._selection.column(name)) for name in self.explored})

    @property
    def info(self) -> Info:
        """Seed, code, machine and versions of each session."""
        return info(self._selection.recorded)

    def describe(self, name: str) -> About:
        """Comment, unit, origin of a parameter, result or group, and whether it is constant or explored.

        Raises
        ------
        KeyError
            For an unknown name, with the nearest.
        """
        return self._selection.about(name)

    def names(self, section: str) -> list[str]:
        """The full names of a section: ``parameters``, ``results`` or ``summary``."""
        return self._selection.names_in(section)

    def constants(self) -> dict[str, Any]:
        """The parameters that have one value, by name."""
        return {name: self._selection.parameter(name) for name in self._selection.constants}

    def __len__(self) -> int:
        return len(self._selection)

    def __contains__(self, name: object) -> bool:
        return name in self._selection
