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
        """The experiment's name.

        Returns
        -------
        str
            As the function is called, unless `experiment` names it.

        Examples
        --------
        >>> traj.name
        'multiply'
        """
        return self._selection.recorded.name

    @property
    def path(self) -> Path:
        """The file.

        Returns
        -------
        Path
            As it was opened.

        Examples
        --------
        >>> traj.path.name
        'multiply-001.h5'
        """
        return self._selection.recorded.path

    @property
    def index(self) -> Index:
        """The run numbers, shape ``(n,)``.

        Returns
        -------
        ndarray
            Whole numbers, counted from 0 in the file.

        Examples
        --------
        >>> traj.where("x > 3").index
        array([ 9, 10, 11])
        """
        return self._selection.runs

    @property
    def status(self) -> Array:
        """What became of each run, as words, shape ``(n,)``: pending, done, failed, timeout, crashed.

        Returns
        -------
        ndarray
            Text.

        Examples
        --------
        >>> cell.status.tolist()
        ['done', 'done', 'failed']
        """
        return self._selection.of_runs("status")

    @property
    def seconds(self) -> Array:
        """How long each run took, in seconds, shape ``(n,)``; NaN where it did not run.

        Returns
        -------
        ndarray
            Floats.

        Examples
        --------
        >>> bool((traj.seconds >= 0).all())
        True
        """
        return self._selection.of_runs("seconds")

    @property
    def seeds(self) -> Array | None:
        """The seed of each run, shape ``(n,)``, where one was requested; else None.

        Returns
        -------
        ndarray or None
            Whole numbers below 2**63.

        Examples
        --------
        >>> traj.seeds is None, cell.seeds.shape
        (True, (3,))
        """
        return self._selection.run_column("seed") if self._selection.has_run_column("seed") else None

    @property
    def explored(self) -> tuple[str, ...]:
        """The names that the space gives.

        Returns
        -------
        tuple of str
            In the order of the space.

        Examples
        --------
        >>> traj.explored
        ('x', 'y')
        """
        return self._selection.recorded.explored

    @property
    def columns(self) -> list[str]:
        """The names that ``traj[name]`` gives a column of: parameters, then results, in the file's order.

        Returns
        -------
        list of str
            Dotted where they are in groups.

        Examples
        --------
        >>> traj.columns
        ['x', 'y', 'z']
        """
        return [*self.names("parameters"), *self.names("results")]

    @property
    def space(self) -> Space:
        """The points of these runs, as a space again.

        Returns
        -------
        Space
            With the points in the order of the runs.

        Examples
        --------
        >>> traj.where("z > 24").space
        <Space of 2 points: x, y>
        """
        return explore({name: decode(self._selection.column(name)) for name in self.explored})

    @property
    def info(self) -> Info:
        """Seed, code, machine and versions of each session.

        Returns
        -------
        Info
            With ``name``, ``node_id``, ``doc``, ``root_seed``, ``created`` (UTC) and ``sessions``.

        Examples
        --------
        >>> traj.info.node_id, len(traj.info.sessions)
        ('sim_multiply.py::multiply', 1)
        """
        return info(self._selection.recorded)

    def describe(self, name: str) -> About:
        """Comment, unit, origin of a parameter, result or group, and whether it is constant or explored.

        Parameters
        ----------
        name
            The full name.

        Returns
        -------
        About
            With ``comment``, ``unit``, ``origin``, ``section``, ``constant`` and ``explored``.

        Raises
        ------
        KeyError
            For an unknown name, with the nearest.

        Examples
        --------
        >>> about = cell.describe("tau")
        >>> about.comment, about.unit, about.constant
        ('membrane time constant', 'ms', True)
        """
        return self._selection.about(name)

    def names(self, section: str) -> list[str]:
        """The full names of a section: ``parameters``, ``results`` or ``summary``.

        Parameters
        ----------
        section
            One of these three.

        Returns
        -------
        list of str
            Dotted where they are in groups.

        Raises
        ------
        SimkitError
            Where the file is closed.

        Examples
        --------
        >>> traj.names("results")
        ['z']
        """
        return self._selection.names_in(section)

    def constants(self) -> dict[str, Any]:
        """The parameters that have one value, by name.

        Returns
        -------
        dict of str to object
            By full name.

        Raises
        ------
        SimkitError
            Where the file is closed, or damaged there.

        Examples
        --------
        >>> cell.constants()
        {'tau': 20.0}
        """
        return {name: self._selection.parameter(name) for name in self._selection.constants}

    def __len__(self) -> int:
        return len(self._selection)

    def __contains__(self, name: object) -> bool:
        return name in self._selection
