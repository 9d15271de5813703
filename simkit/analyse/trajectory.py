"""A recorded trajectory: columns over its runs, runs by number, and verbs on both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simkit.analyse import notes
from simkit.analyse.names import Names, Runs, unchangeable
from simkit.analyse.overview import Overview
from simkit.analyse.run_files import Files, commands, write_files
from simkit.analyse.show import as_html, as_text, caption_of
from simkit.declare.external import Command
from simkit.declare.forms import Array, Index
from simkit.record.facts import Origin

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from simkit.analyse.export import Exported
    from simkit.analyse.grid import Grid
    from simkit.analyse.plot import Plot
    from simkit.analyse.sensitivity import Sensitivity


class Trajectory(Overview):
    """All runs of one experiment, as recorded; made by `simkit.open` and `simkit.run`.

    ``traj["z"]`` is a column over the runs, ``traj.runs[3].z`` one run's value, ``traj.parameters.dt`` a
    parameter, ``traj.where("x > 2")`` the trajectory of some runs. Nothing is read before it is asked for.

    Examples
    --------
    >>> with simkit.open("results/multiply-001.h5") as traj:
    ...     print(traj["z"][:4], traj.runs[3].x, len(traj.where("x > 2")))
    [ 6.  7.  8. 12.] 2.0 6
    """

    # Names

    @cached_property  # rather than a property, which IPython's tab completion does not look into
    def parameters(self) -> Names:
        """Parameters by natural naming: a constant is its value, an explored one its column.

        Returns
        -------
        Names
            The value of a constant; of others a column, shape ``(n, …)``.

        Examples
        --------
        >>> cell.parameters.tau, cell.parameters.drive
        (20.0, array([ 0.5,  1. , -1. ]))
        """
        return self._names_in("parameters")

    @cached_property
    def results(self) -> Names:
        """Results by natural naming, each a column.

        Returns
        -------
        Names
            Columns, shape ``(n, …)``, as ``traj[name]`` gives them.

        Examples
        --------
        >>> traj.results.z[:3]
        array([6., 7., 8.])
        """
        return self._names_in("results")

    def _names_in(self, section: str) -> Names:
        names = dict.fromkeys(self.names(section))
        caption = partial(caption_of, self._selection.recorded)
        return Names(names, self._selection.parameter, section, caption=caption)

    @property
    def summary(self) -> Names:
        """What `after` functions and `add` derived from the runs, by natural naming.

        Returns
        -------
        Names
            A value each.

        Examples
        --------
        >>> with simkit.open("multiply", mode="r+") as traj:
        ...     traj.add(mean=traj["z"].mean())
        ...     traj.summary.mean
        np.float64(17.5)
        """
        return notes.summary(self._selection)

    @property
    def links(self) -> Names:
        """Second names: a run, a selection, or a column.

        Returns
        -------
        Names
            For each second name what it stands for: the run, the `Trajectory` of the selection, or the column.

        Examples
        --------
        >>> with simkit.open("multiply", mode="r+") as traj:
        ...     traj.link("best", run=11)
        ...     traj.links.best.z
        32.0
        """
        return Names(list(self._selection.recorded.additions.links()), self._linked, "links")

    def _linked(self, name: str) -> Any:
        """What a second name stands for."""
        target = self._selection.recorded.additions.links()[name]
        if isinstance(target, int):
            return self.run(target)
        if not isinstance(target, str):
            return Trajectory(self._selection.recorded, target)
        sections = {"parameters": self.parameters, "summary": self.summary}
        return sections.get(self.describe(target).section, self)[target]

    @property
    def runs(self) -> Runs:
        """The runs in order.

        Returns
        -------
        Runs
            A sequence of runs by natural naming, read when they are touched.

        Examples
        --------
        >>> traj.runs[3].x, traj.runs[3].z
        (2.0, 12.0)
        >>> [run.z for run in traj.runs[:3]]
        [6.0, 7.0, 8.0]
        """
        chosen = self._selection.chosen
        return Runs(self._rows, range(len(self)) if chosen is None else chosen)

    def __getitem__(self, name: str | list[str]) -> Any:
        """A column over the runs; of a list of names a table, as `to_dataframe` gives it.

        Returns
        -------
        ndarray
            Shape ``(n, *shape)``; NaN or NaT where a float, complex or time is absent, else a masked array;
            an object array where values are ragged, text or composite; a constant repeats.
        """
        return self.to_dataframe(name) if isinstance(name, list) else self._selection.array(name)

    def run(self, run: int) -> Names:
        """One run by its number in the file.

        Parameters
        ----------
        run
            The number, also where the trajectory is a selection of runs.

        Returns
        -------
        Names
            The run's parameters and results.

        Raises
        ------
        IndexError
            For a number that no run has.

        Examples
        --------
        >>> traj.where("x > 2").run(6).z
        18.0
        """
        return self._rows.run(run)

    # One run's texts

    def error(self, run: int | str) -> str:
        """The traceback of a run that is not done, the latest attempt's, or of an `after`; empty if there is none.

        Parameters
        ----------
        run
            Its number in the file, negative ones count from the end; or the name of an `after`.

        Returns
        -------
        str
            As Python prints it.

        Raises
        ------
        IndexError
            For a number that no run has.
        SimkitError
            For a name that no `after` has.

        Examples
        --------
        >>> print(cell.error(2))
        Traceback (most recent call last):
          ...
        ValueError: no such drive: -1.0
        ...
        >>> cell.error(0)
        ''
        """
        if isinstance(run, str):
            return notes.error_of(self._selection.recorded, run)
        return notes.error(self._selection.recorded, self._selection.number(run))

    def log(self, run: int) -> str:
        r"""What a run wrote to its standard output and error, the latest attempt's.

        Parameters
        ----------
        run
            Its number in the file; negative ones count from the end.

        Returns
        -------
        str
            Empty where it wrote nothing.

        Raises
        ------
        IndexError
            For a number that no run has.

        Examples
        --------
        >>> cell.log(1)
        'drive 1.0\nready\n'
        """
        return notes.log(self._selection.recorded, self._selection.number(run))

    def files(self, run: int) -> Files:
        """What a run attached: ``traj.files(3)["trace.dat"]`` are a file's bytes.

        Parameters
        ----------
        run
            Its number in the file; negative ones count from the end.

        Returns
        -------
        mapping of str to bytes
            By the name under which each was attached.

        Raises
        ------
        IndexError
            For a number that no run has.

        Examples
        --------
        >>> dict(cell.files(1))
        {'trace.txt': b'0 1 2'}
        """
        return Files(self._selection.recorded, self._selection.number(run))

    def commands(self, run: int) -> list[Command]:
        """The programs that a run has run, in order: arguments, exit codes, seconds.

        Parameters
        ----------
        run
            Its number in the file; negative ones count from the end.

        Returns
        -------
        list of Command
            With ``arguments``, ``exit_code`` and ``seconds``.

        Raises
        ------
        IndexError
            For a number that no run has.

        Examples
        --------
        >>> [(command.arguments[-1], command.exit_code) for command in cell.commands(1)]
        [("print('ready')", 0)]
        """
        return commands(self._selection.recorded, self._selection.number(run))

    def notes(self, about: int | str | None = None) -> list[str]:
        """The remarks on a run by its number, on a name or group, or, without `about`, on the trajectory.

        A run's remarks on a result begin with its name; among the remarks on a name, those of single runs
        begin with the run.

        Parameters
        ----------
        about
            A run's number, or a name or group.

        Returns
        -------
        list of str
            The oldest first.

        Raises
        ------
        IndexError
            For a number that no run has.
        SimkitError
            For an unknown name, with the nearest.

        Examples
        --------
        >>> cell.notes(0)
        ['rate: of the first second']
        """
        return notes.notes(self._selection, about)

    def reports(self, run: int) -> list[tuple[int, float]]:
        """What a run reported while it went on by ``run.report``: ``(step, value)``, the last of each step.

        Parameters
        ----------
        run
            Its number in the file; negative ones count from the end.

        Returns
        -------
        list of tuple of int and float
            By growing steps.

        Raises
        ------
        IndexError
            For a number that no run has.

        Examples
        --------
        >>> cell.reports(1)
        [(1, 1.0)]
        """
        return notes.reports(self._selection, run)

    def replay(self, run: int, function: Callable[..., Any] | None = None) -> dict[str, Any]:
        """Execute a run again from its recorded parameters and seed, in this process, recording nothing.

        Parameters
        ----------
        run
            Its number in the file; negative ones count from the end.
        function
            The experiment; by default the one that the trajectory's node id names, as its code is now.

        Returns
        -------
        dict of str to object
            The results by name, as `simkit.call` gives them.

        Raises
        ------
        SimkitError
            When the experiment can't be found, or can't run with what is recorded.
        Exception
            Whatever the experiment raises.

        Examples
        --------
        >>> traj.replay(3)
        {'z': 12.0}
        >>> traj.replay(3, lambda x, y: {"z": x * y + 0.5})
        {'z': 12.5}
        """
        from simkit.replay.verify import replayed

        return replayed(self._selection.recorded, self._selection.number(run), function)

    def source(self, run: int) -> Origin:
        """Where a run was recorded, ``(file, run)``: after `simkit.merge` the source's name and the number there.

        Parameters
        ----------
        run
            Its number in this file; negative ones count from the end.

        Returns
        -------
        Origin
            A named tuple.

        Raises
        ------
        IndexError
            For a number that no run has.

        Examples
        --------
        >>> traj.source(3).run
        3
        """
        return self._selection.recorded.origin(self._selection.number(run))

    # Additions

    def note(self, text: str | Mapping[str, str] = "", /, *, run: int | None = None, **named: str) -> None:
        """Remark something on the trajectory, a run, or on parameters, results and groups by name.

        ``traj.note("first try")``, ``traj.note("odd", run=3)``, ``traj.note(z="in mV")``,
        ``traj.note({"neuron.tau": "from the lab"})``; on a selection, a text is a remark on each of its runs.

        Parameters
        ----------
        text
            The remark, or remarks by name.
        run
            The number of the run that it is about.
        **named
            Remarks by the name of a parameter, result or group.

        Raises
        ------
        SimkitError
            For an unknown name, or when the file is open for reading only.

        Examples
        --------
        >>> with simkit.open("multiply", mode="r+") as traj:
        ...     traj.note("first try")
        ...     traj.note("odd", run=3)
        ...     traj.notes(), traj.notes(3)
        (['first try'], ['odd'])
        """
        notes.note(self._selection, text, run, named)

    def add(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Add values that are derived from the runs: ``traj.add(mean_rate=array)``, then ``traj.summary.mean_rate``.

        What was added before under a name is replaced; recorded parameters and results can't be.

        Parameters
        ----------
        values, **named
            Values by name, of any type that can be a result.

        Raises
        ------
        SimkitError
            For a name that is recorded or given by an `after`, for a value that has no form in the file, or
            when the file is open for reading only.

        Examples
        --------
        >>> with simkit.open("multiply", mode="r+") as traj:
        ...     traj.add(largest=traj["z"].max())
        >>> simkit.open("multiply").summary.largest
        np.float64(32.0)
        """
        notes.add(self._selection.recorded, {**(values or {}), **named})

    def link(self, name: str, target: Any = None, /, *, run: int | None = None) -> None:
        """Give a run, a selection or a recorded name a second name under ``traj.links``.

        ``traj.link("best", run=3)``, ``traj.link("fast", traj.where("seconds < 1"))``,
        ``traj.link("rate", "spikes.rate")``: a soft link in the file. An older link of that name is replaced.

        Parameters
        ----------
        name
            The second name.
        target
            A selection of this trajectory's runs, or a recorded name.
        run
            Or a run's number.

        Raises
        ------
        SimkitError
            For a target that is none of these, or when the file is open for reading only.

        Examples
        --------
        >>> with simkit.open("multiply", mode="r+") as traj:
        ...     traj.link("high", traj.where("z > 20"))
        ...     len(traj.links.high)
        5
        """
        if isinstance(target, (Trajectory, Runs)):
            target = target.selection if isinstance(target, Runs) else target._selection
        notes.link(self._selection, name, target, run)

    def __setitem__(self, name: str, value: Any) -> None:
        """Refuse: recorded values can't be changed."""
        raise unchangeable(name)

    if not TYPE_CHECKING:  # a type checker shall go on to complain

        def __getattr__(self, name: str) -> Any:
            known = name[0] != "_" and name in (full.partition(".")[0] for full in self._selection.names)
            from simkit.analyse.tables import words_of_tables

            column = f': a column is trajectory["{name}"], natural naming trajectory.results'
            hint = column if known else words_of_tables(name)
            msg = f"'Trajectory' object has no attribute {name!r}{hint}"
            raise AttributeError(msg)

    # Verbs

    def where(
        self,
        test: str | Callable[..., Any] | Array | Mapping[str, Any] | None = None,
        /,
        **equal: Any,
    ) -> Trajectory:
        """The trajectory of the runs that match.

        Parameters
        ----------
        test
            A condition on parameters, results, ``status``, ``seconds``, ``trial`` and ``run``, such as
            ``"x > 2 and status == 'done'"``; a function of some of them, called per run; or a boolean for
            each run, as of ``traj["z"] > 2``; or values by name, as in ``{"neuron.tau": 1}``. A run that lacks a
            value in the test does not match. ``near(x, 0.3)`` is true but for rounding, ``near(x, 0.3, 0.01)``
            within that distance.
        **equal
            Names that must have these values; ``declared=True`` leaves out
            runs whose points were not declared any more when the last session looked.

        Returns
        -------
        Trajectory
            Of these runs, with their numbers in the file; it reads the same open file.

        Raises
        ------
        SimkitError
            For what is no condition.
        KeyError
            For an unknown name, with the nearest.

        Examples
        --------
        >>> traj.where("x > 2 and y == 7")["z"]
        array([21., 28.])
        >>> traj.where(x=2.0).index
        array([3, 4, 5])
        >>> traj.where(traj["z"] > 24)["z"]
        array([28., 32.])
        >>> cell.where("status != 'done'").index
        array([2])
        """
        if isinstance(test, Mapping):
            equal = {**test, **equal}
            test = None
        return Trajectory(self._selection.recorded, self._selection.where(test, equal).chosen)

    def sel(
        self,
        points: Mapping[str, Any] | None = None,
        /,
        *,
        method: str | None = None,
        tolerance: Any = None,
        **named: Any,
    ) -> Trajectory:
        """The trajectory of the runs at some coordinates, as `xarray.Dataset.sel` chooses them.

        Parameters
        ----------
        points
            Values by name: one, several in a list, or ``slice(low, high)``, both ends included.
        method
            ``"nearest"``, ``"pad"`` (the next lower one) or ``"backfill"`` (the next higher one) where no run has
            just this number; None for exact matches only.
        tolerance
            How far the value may be away then.
        **named
            The same, as in ``traj.sel(p=0.5, method="nearest")``.

        Returns
        -------
        Trajectory
            Of these runs, in their order in the file.

        Raises
        ------
        KeyError
            For an unknown name, and where no run has the value; the nearest one is named.
        SimkitError
            For a method that there is none of, or that the values have no order for.

        Examples
        --------
        >>> traj.sel(x=2.0, y=slice(7, 8))["z"]
        array([14., 16.])
        >>> traj.sel(x=2.2, method="nearest").index
        array([3, 4, 5])
        """
        from simkit.analyse.coordinates import at_points

        return Trajectory(
            self._selection.recorded,
            at_points(self._selection, {**(points or {}), **named}, method, tolerance).chosen,
        )

    def best(self, name: str, *, lowest: bool = False) -> Names:
        """The run with the highest value of a result, the first of several.

        Parameters
        ----------
        name
            A result or parameter that is a number per run; runs without one don't count.
        lowest
            The run with the lowest value instead, as of a loss.

        Returns
        -------
        Names
            The run by natural naming.

        Raises
        ------
        SimkitError
            For a name that is no number per run, and where no run has one.

        Examples
        --------
        >>> best = traj.best("z")
        >>> best.x, best.y, best.z
        (4.0, 8.0, 32.0)
        """
        from simkit.analyse.coordinates import best_of

        return self.run(best_of(self._selection, name, lowest=lowest))

    def head(self, n: int = 5) -> pd.DataFrame:
        """The first runs as a table; all but the last ones where ``n`` is negative.

        Parameters
        ----------
        n
            How many.

        Returns
        -------
        DataFrame
            As `to_dataframe` gives it.

        Raises
        ------
        SimkitError
            Where the file is closed, or damaged at these runs.

        Examples
        --------
        >>> traj.head(2)
               x    y    z
        run
        0    1.0  6.0  6.0
        1    1.0  7.0  7.0
        """
        return Trajectory(self._selection.recorded, self.index[:n]).to_dataframe()

    def to_dataframe(self, names: str | Sequence[str] | None = None, *, info: bool = False) -> pd.DataFrame:
        """The runs as a table, indexed by run number.

        Parameters
        ----------
        names
            Which parameters, results and run columns; by default the explored parameters, ``trial`` where points
            are repeated, and of the other parameters and the results all whose values are numbers, text, tuples,
            times and the like, rather than arrays, tables or groups of values.
        info
            Add what is known of each run: ``status``, ``seconds``, ``started``, ``worker`` and, where they are
            used, ``seed``, ``session``, ``attempt``. Where a user's name is the same, these have the prefix ``run_``.

        Returns
        -------
        DataFrame
            One row per run. Missing integers and booleans have pandas' nullable types. The units stand in
            ``.attrs["units"]``, by name, and what is left out, each with its type, in ``.attrs["left_out"]``.

        Raises
        ------
        KeyError
            For an unknown name, with the nearest.

        Examples
        --------
        >>> traj.to_dataframe().shape
        (12, 3)
        >>> list(cell.to_dataframe(info=True).columns)
        ['drive', 'tau', 'rate', 'status', 'seconds', 'started', 'worker', 'seed']
        """
        from simkit.analyse.tables import dataframe

        return dataframe(self._selection, names, info=info)

    def to_xarray(self, names: str | Sequence[str] | None = None) -> xr.Dataset:
        """The runs as labelled arrays, read when they are touched (the file must still be open then).

        Parameters
        ----------
        names
            Which parameters and results; by default all.

        Returns
        -------
        Dataset
            A dimension per axis of the explored grid, and ``trial`` where points are repeated; runs stand
            where their coordinates say, holes are missing. Where the points are no grid, one dimension
            ``run``. Arrays have dimensions of their own (``v_dim_0`` …); values without one shape or type are
            objects. Units and comments are attributes.

        Raises
        ------
        SimkitError
            Without xarray: ``pip install "simkit[xarray]"``.

        Examples
        --------
        >>> traj.to_xarray()["z"].sel(x=3.0, y=7.0).item()
        21.0
        """
        from simkit.analyse.xarray import dataset

        return dataset(self._selection, names)

    def grid(self, name: str) -> Grid:
        """One name as an array over the axes of the explored grid: ``values, axes = traj.grid("z")``.

        The values' shape is that of the axes, then of one value; missing as in ``traj[name]``. ``axes`` holds
        the coordinates by name, or just ``run`` where the points are no grid.

        Parameters
        ----------
        name
            A parameter or result.

        Returns
        -------
        Grid
            A named tuple: ``values`` of shape ``(*axes, *shape of one value)``, and ``axes``.

        Raises
        ------
        KeyError
            For an unknown name, with the nearest.

        Examples
        --------
        >>> values, axes = traj.grid("z")
        >>> values.shape, axes["y"]
        ((4, 3), array([6., 7., 8.]))
        """
        from simkit.analyse.grid import grid

        return grid(self._selection, name)

    def sensitivity(self, name: str, *, resamples: int = 100, confidence: float = 0.95) -> Sensitivity:
        """How much a result depends on each parameter, after an exploration by `saltelli` or `morris`.

        Parameters
        ----------
        name
            A result that is a number per run; trials are averaged.
        resamples
            How often the blocks are drawn anew for the confidence intervals (bootstrap).
        confidence
            The probability that the intervals stand for.

        Returns
        -------
        Sensitivity
            A table of indices by parameter, from those blocks of the design in which every run is done; how
            many and which blocks are left out stands above it. `simkit` runs what is missing.

        Raises
        ------
        SimkitError
            Without SALib (``pip install "simkit[sensitivity]"``), without such a design or a complete block,
            and for a result that is no number or the same in all runs.

        Examples
        --------
        >>> @experiment
        ... @saltelli(64, x=(0, 1), y=(0, 1))
        ... def plane(x, y):
        ...     return {"z": 3 * x + y}
        >>> simkit.run(plane).sensitivity("z").table["S1"].round(1).to_dict()
        {'x': 0.9, 'y': 0.1}
        """
        from simkit.analyse.sensitivity import sensitivity

        return sensitivity(self._selection, name, resamples, confidence)

    @property
    def plot(self) -> Plot:
        """Figures of one or two explored parameters: ``traj.plot.line("z")``, ``traj.plot.heatmap("z")``.

        Returns
        -------
        Plot
            To be called, or with the verbs ``line`` and ``heatmap``.

        Raises
        ------
        SimkitError
            Without matplotlib: ``pip install "simkit[plot]"``.

        Examples
        --------
        >>> ax = traj.plot.line("z", "x", by="y")
        >>> ax.get_xlabel(), len(ax.lines)
        ('x', 3)
        """
        from simkit.analyse.plot import Plot

        return Plot(self._selection)

    def export(
        self,
        path: str | os.PathLike[str],
        names: str | Sequence[str] | None = None,
        *,
        force: bool = False,
        safe: bool = False,
    ) -> Exported:
        """Write these runs to a ``.csv``, ``.parquet``, ``.nc`` or ``.h5`` file; ``.h5`` is a trajectory again.

        Parameters
        ----------
        path
            The file; its ending tells the format.
        names
            Which parameters and results; by default all.
        force
            Write over a file that is there.
        safe
            In a ``.csv`` file, put an apostrophe before text that a spreadsheet would take for a formula.

        Returns
        -------
        Exported
            What the format does not hold is told there.

        Raises
        ------
        SimkitError
            When the file exists (unless ``force``), or its format can't hold a value, with the names.

        Examples
        --------
        >>> written = traj.where("x > 2").export("high.csv")
        >>> written.path.read_text().splitlines()[0]
        'run,x,y,z,status,seconds'
        """
        from simkit.analyse.export import export

        return export(self._selection, Path(path), names, force=force, safe=safe)

    def export_files(self, folder: str | os.PathLike[str]) -> tuple[int, int]:
        """Write what these runs attached into a new folder, ``3/NAME`` of run 3; how many files and bytes.

        Parameters
        ----------
        folder
            A path where nothing is yet.

        Returns
        -------
        tuple of int
            How many files, and bytes.

        Raises
        ------
        SimkitError
            When the folder is there already, a file is damaged, or its name would lead out of the folder.

        Examples
        --------
        >>> cell.export_files("traces")
        (2, 10)
        """
        return write_files(self._selection, Path(folder))

    def __iter__(self) -> Iterator[Names]:
        return iter(self.runs)

    def close(self) -> None:
        """Close the file.

        Raises
        ------
        StorageFailed
            When what was added can't be written.

        Examples
        --------
        >>> traj = simkit.open("multiply")
        >>> traj.close()
        """
        self._selection.recorded.close()

    def __enter__(self) -> Trajectory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ipython_key_completions_(self) -> list[str]:
        return [*self._selection.names, *self._selection.run_names]

    def __repr__(self) -> str:
        return as_text(self._selection)

    def _repr_html_(self) -> str:
        return as_html(self._selection)


def errors(trajectory: Trajectory, runs: Index) -> dict[int, str]:
    """The tracebacks of runs by their numbers, the latest attempt's: in one reading, however many they are."""
    return trajectory._selection.recorded.latest_texts("error", runs)
