"""A recorded trajectory: columns over its runs, runs by number, and verbs on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simkit.analyse import edit
from simkit.analyse.info import Info, info
from simkit.analyse.naming import Names, Unknown, unchangeable
from simkit.analyse.rows import Rows
from simkit.analyse.runs import Runs
from simkit.analyse.select import matching
from simkit.declare.axes import Array, Index, objects
from simkit.declare.space import Space, explore
from simkit.errors import did_you_mean, listed, shown_path
from simkit.record.origins import Origin, origin
from simkit.record.recorded import RUN_COLUMNS, About, Recorded
from simkit.values.columns import Column
from simkit.values.decode import ABSENT, as_array, decode
from simkit.values.status import WORDS, Status
from simkit.values.take import take

if TYPE_CHECKING:
    import pandas as pd


class Trajectory:
    """All runs of one experiment, as recorded; made by `simkit.open` and `simkit.run`.

    ``traj["z"]`` is a column over the runs, ``traj.runs[3].z`` one run's value, ``traj.parameters.dt`` a
    parameter, ``traj.where("x > 2")`` the trajectory of some runs. Nothing is read before it is asked for.
    """

    def __init__(self, recorded: Recorded, index: Index | None = None) -> None:
        self._recorded, self._index = recorded, index
        self._rows = Rows(recorded)

    # Facts

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self._recorded.name

    @property
    def path(self) -> Path:
        """The file."""
        return self._recorded.path

    @property
    def index(self) -> Index:
        """The run numbers, shape ``(n,)``."""
        return np.arange(len(self._recorded)) if self._index is None else self._index

    @property
    def status(self) -> Array:
        """What became of each run, as words, shape ``(n,)``: pending, done, failed, timeout, crashed."""
        return np.array(WORDS)[self._run_column("status")]

    @property
    def seconds(self) -> Array:
        """How long each run took, in seconds, shape ``(n,)``; NaN where it did not run."""
        return np.where(self._run_column("status") == Status.PENDING, np.nan, self._run_column("seconds"))

    @property
    def seeds(self) -> Array | None:
        """The seed of each run, shape ``(n,)``, where one was requested; else None."""
        column = self._recorded.run_column("seed")
        return None if column is None else self._chosen(column)

    @property
    def explored(self) -> tuple[str, ...]:
        """The names that the space gives."""
        return self._recorded.explored

    @property
    def space(self) -> Space:
        """The points of these runs, as a space again."""
        return explore({name: decode(self._column(name)) for name in self.explored})

    @property
    def info(self) -> Info:
        """Seed, code, machine and versions of each session."""
        return info(self._recorded)

    def describe(self, name: str) -> About:
        """Comment, unit, origin of a parameter or result, and whether it is constant or explored."""
        self._known(name)
        return self._recorded.about(name)

    # Names

    @property
    def parameters(self) -> Names:
        """Parameters by natural naming: a constant is its value, an explored one its column."""
        return Names(self._recorded.names("parameters"), self._parameter, "parameters")

    @property
    def results(self) -> Names:
        """Results by natural naming, each a column."""
        return Names(self._recorded.names("results"), self.__getitem__, "results")

    @property
    def summary(self) -> Names:
        """What `after` functions and `add` derived from the runs, by natural naming."""
        return edit.summary(self)

    @property
    def links(self) -> Names:
        """Second names: a run, a selection, or a column."""
        return edit.links(self)

    @property
    def runs(self) -> Runs:
        """The runs in order."""
        return Runs(self, self.index)

    def __getitem__(self, name: str) -> Any:
        """A column over the runs.

        Returns
        -------
        ndarray
            Shape ``(n, *shape)``; NaN or NaT where a float, complex or time is absent, else a masked array;
            an object array where values are ragged, text or composite; a constant repeats.
        """
        if name in ("status", "seconds") and self._recorded.section_of(name) is None:
            return getattr(self, name)
        if name in ("run", "trial", "seed") and self._recorded.section_of(name) is None:
            return self.index if name == "run" else self._chosen(self._present_run_column(name))
        holder = self._holder(name)
        if self._recorded.section_of(holder) == "summary":
            return self.summary[name]
        column = self._column(holder)
        if holder != name:
            keys = name[len(holder) + 1 :].split(".")
            values = decode(column)
            if not any(_has(value, keys) for value in values):
                self._known(name)
            return objects([reduce(getitem, keys, v) if _has(v, keys) else None for v in values])
        return as_array(column)

    def _parameter(self, name: str) -> Any:
        if self._recorded.is_constant(name):
            return decode(self._recorded.constant(name))[0]
        return self[name]

    def _at(self, runs: Index) -> Trajectory:
        """The trajectory of these run numbers."""
        return Trajectory(self._recorded, runs)

    def _holder(self, name: str) -> str:
        """The recorded name; ``d.a`` may be the key ``a`` of a recorded dictionary ``d``."""
        holder = name
        while holder and self._recorded.section_of(holder) is None:
            holder = holder.rpartition(".")[0]
        return holder or self._known(name)

    def _known(self, name: str) -> str:
        """The name itself, or an error that names the nearest."""
        if self._recorded.section_of(name) is None:
            names = [*self._names(), "status", "seconds", "run"]
            hint = did_you_mean(name, names)
            msg = f"{self.name} has no {name!r}{hint}\n    available: {listed(name, names)}"
            raise Unknown(msg)
        return name

    def names(self, section: str) -> list[str]:
        """The full names of a section: ``parameters``, ``results`` or ``summary``."""
        return self._recorded.names(section)

    def constants(self) -> dict[str, Any]:
        """The parameters that have one value, by name."""
        names = self._recorded.names("parameters")
        return {name: self._parameter(name) for name in names if self._recorded.is_constant(name)}

    def _names(self) -> list[str]:
        return [
            name for section in ("parameters", "results", "summary") for name in self._recorded.names(section)
        ]

    def _column(self, name: str) -> Column:
        n = len(self._recorded)
        if self._recorded.is_constant(name):
            return take(self._recorded.constant(name), np.zeros(len(self), np.int64))
        if self._index is None or not len(self._index):
            whole = self._recorded.column(name, slice(0, n))
            return whole if self._index is None else take(whole, self._index)
        first, last = int(self._index.min()), int(self._index.max())
        return take(self._recorded.column(name, slice(first, last + 1)), self._index - first)

    def _chosen(self, column: Array) -> Array:
        return column if self._index is None else column[self._index]

    def _run_column(self, name: str) -> Array:
        return self._chosen(self._present_run_column(name))

    def _present_run_column(self, name: str) -> Array:
        column = self._recorded.run_column(name)
        if column is None:
            self._known(name)
        return np.asarray(column)

    def run(self, run: int) -> Names:
        """One run by its number in the file."""
        names = [*self._recorded.names("parameters"), *self._recorded.names("results")]
        return Names(names, lambda name: self._value(name, run), f"run {run}")

    def _value(self, name: str, run: int) -> Any:
        value = self._rows.value(name, run)
        if value is ABSENT:
            status = Status(int(self._recorded.run_column("status", slice(run, run + 1))[0])).word  # type: ignore[index]
            why = f"; traj.error({run}) tells why" if status not in ("done", "pending") else ""
            msg = f"run {run} has no {name!r}: its status is {status}{why}"
            raise LookupError(msg)
        return value

    # One run's texts

    def error(self, run: int | str) -> str:
        """The traceback of a run that is not done, the latest attempt's, or of an `after`; empty if there is none."""
        if isinstance(run, str):
            return edit.error_of(self, run)
        run = self._number(run)
        status = self._recorded.run_column("status", slice(run, run + 1))
        texts = self._recorded.texts("error", run)
        return texts[-1] if texts and status is not None and status[0] != Status.DONE else ""

    def log(self, run: int) -> str:
        """What a run wrote to its standard output and error, the latest attempt's."""
        texts = self._recorded.texts("log", self._number(run))
        return texts[-1] if texts else ""

    def notes(self, about: int | str | None = None) -> list[str]:
        """The remarks on a run by its number, on a name or group, or without argument on the trajectory.

        A run's remarks on a result begin with its name; among the remarks on a name, those of single runs
        begin with the run.
        """
        return edit.notes(self, about)

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
        """
        from simkit.analyse.verify import replayed

        return replayed(self._recorded, self._number(run), function)

    def source(self, run: int) -> Origin:
        """Where a run was recorded, ``(file, run)``: after `simkit.merge` the source's name and the number there."""
        return origin(self._recorded, self._number(run))

    def _number(self, run: int) -> int:
        """A run's number in the file; negative ones count from the end."""
        n = len(self._recorded)
        if not -n <= run < n:
            msg = f"run {run} of a trajectory with {n} runs"
            raise IndexError(msg)
        return run % n

    # Additions

    def note(self, text: str | Mapping[str, str] = "", /, *, run: int | None = None, **named: str) -> None:
        """Remark something on the trajectory, a run, or on parameters, results and groups by name.

        ``traj.note("first try")``, ``traj.note("odd", run=3)``, ``traj.note(z="in mV")``,
        ``traj.note({"neuron.tau": "from the lab"})``; on a selection, a text is a remark on each of its runs.

        Raises
        ------
        SimkitError
            For an unknown name, or when the file is open for reading only.
        """
        edit.note(self, text, run, named)

    def add(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Add values that are derived from the runs: ``traj.add(mean_rate=array)``, then ``traj.summary.mean_rate``.

        What was added before under a name is replaced; recorded parameters and results can't be.

        Raises
        ------
        SimkitError
            For a name that is recorded or given by an `after`, for a value that has no form in the file, or
            when the file is open for reading only.
        """
        edit.add(self, {**(values or {}), **named})

    def link(self, name: str, target: Any = None, /, *, run: int | None = None) -> None:
        """Give a run, a selection or a recorded name a second name under ``traj.links``.

        ``traj.link("best", run=3)``, ``traj.link("fast", traj.where("seconds < 1"))``,
        ``traj.link("rate", "spikes.rate")``: a soft link in the file. An older link of that name is replaced.

        Raises
        ------
        SimkitError
            For a target that is none of these, or when the file is open for reading only.
        """
        edit.link(self, name, target, run)

    def __setitem__(self, name: str, value: Any) -> None:
        """Refuse: recorded values can't be changed."""
        raise unchangeable(name)

    if not TYPE_CHECKING:  # a type checker shall go on to complain

        def __getattr__(self, name: str) -> Any:
            known = name[0] != "_" and name in (full.partition(".")[0] for full in self._names())
            hint = f': a column is trajectory["{name}"], natural naming trajectory.results' if known else ""
            msg = f"'Trajectory' object has no attribute {name!r}{hint}"
            raise AttributeError(msg)

    # Verbs

    def where(self, test: str | Callable[..., Any] | None = None, /, **equal: Any) -> Trajectory:
        """The trajectory of the runs that match.

        Parameters
        ----------
        test
            A condition on parameters, results, ``status``, ``seconds``, ``trial`` and ``run``, such as
            ``"x > 2 and status == 'done'"``, or a function of some of them, called per run. A run that
            lacks a value in the test does not match.
        **equal
            Names (dots as in ``{"neuron.tau": 1}``) that must have these values.
        """
        chosen = matching(self._values, self._test_names(), len(self), test, equal)
        return Trajectory(self._recorded, self.index[chosen])

    def _test_names(self) -> list[str]:
        names = [*self._recorded.names("parameters"), *self._recorded.names("results")]
        return [*names, *(n for n in ("run", "status", "seconds", "trial") if n not in names)]

    def _values(self, name: str) -> tuple[Array, Array]:
        """A column for a test, and where it is present."""
        if self._recorded.section_of(name) is None:
            array = self[name]
            return array, np.ones(len(array), bool)
        column = self._column(name)
        return np.ma.getdata(as_array(column)), column.present()

    def to_dataframe(self, names: Sequence[str] | None = None) -> pd.DataFrame:
        """The runs as a table, indexed by run number.

        Parameters
        ----------
        names
            Which parameters and results; by default all that vary between runs and are scalars or text.

        Returns
        -------
        DataFrame
            One row per run, and the columns ``status`` and ``seconds`` (with the prefix ``run_`` where a
            user's name is the same). Missing integers and booleans have pandas' nullable types.
        """
        from simkit.analyse.frames import dataframe

        return dataframe(self, self._columns_for_table() if names is None else names)

    def _columns_for_table(self) -> list[str]:
        names = [
            n for n in self._names() if not self._recorded.is_constant(n) and self._recorded.is_scalar(n)
        ]
        trial = ["trial"] if self._recorded.run_column("trial", slice(0, 0)) is not None else []
        explored = [name for name in self.explored if name in names]
        return [*explored, *trial, *(name for name in names if name not in explored)]

    def __len__(self) -> int:
        return len(self._recorded) if self._index is None else len(self._index)

    def __iter__(self) -> Iterator[Names]:
        return iter(self.runs)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._recorded.section_of(name) is not None

    def close(self) -> None:
        """Close the file."""
        self._recorded.close()

    def __enter__(self) -> Trajectory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ipython_key_completions_(self) -> list[str]:
        return [*self._names(), *RUN_COLUMNS]

    def __repr__(self) -> str:
        from simkit.analyse.describe import summary

        return summary(self, self._recorded, shown_path(self.path))


def _has(value: Any, keys: Sequence[str]) -> bool:
    """Whether a recorded dictionary leads along these keys."""
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True
