"""The runs that are looked at: their columns, and which of them match a condition."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from simkit.declare.expressions import compared_floats
from simkit.declare.forms import Array, Closed, Index, Test, Values, objects, passing
from simkit.declare.operators import is_near, matching, several
from simkit.errors import SimkitError, did_you_mean, listed
from simkit.inform.progress import briefly
from simkit.record.book import About
from simkit.record.format import DECLARED
from simkit.record.recorded import Recorded
from simkit.values.batch import WORDS, Status, tally
from simkit.values.columns import Column
from simkit.values.decode import ABSENT, as_array, part
from simkit.values.instances import Stored
from simkit.values.registry import is_mutable


def data_of(column: Any) -> Any:
    """The values without the mask; where they are masked they mean nothing."""
    return np.asarray(column) if isinstance(column, np.ma.MaskedArray) else column


def mask_of(column: Any) -> Array:
    """Where values are masked, shape of the column."""
    mask = column.mask if isinstance(column, np.ma.MaskedArray) else False
    return np.broadcast_to(np.asarray(mask, bool), column.shape)


def missing(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array in which all is missing: NaN, NaT or None."""
    if dtype.kind == "O":
        return np.full(shape, None, dtype)
    return np.full(shape, "NaT" if dtype.kind in "mM" else np.nan, dtype)


_LABELLED = ("pandas.core.frame", "xarray.core.dataset")


class Unknown(KeyError):
    """A name that is not there; the message lists those that are."""

    def __str__(self) -> str:
        return str(self.args[0])


def holder_of(name: str, names: Container[str]) -> str:
    """The recorded name that a name is, or lies in: ``table`` for ``table.x``; empty if there is none."""
    while name and name not in names:
        name = name.rpartition(".")[0]
    return name


def inside(value: Any, full: str, holder: str) -> Any:
    """The part of the holder's value that a full name leads to: the value itself for the holder's own name.

    Raises
    ------
    LookupError
        With the parts that are there.
    """
    for key in full[len(holder) + 1 :].split(".") if full != holder else ():
        has_parts = isinstance(value, (dict, Stored)) or type(value).__module__.startswith(_LABELLED)
        if not has_parts or key not in value:
            there = listed(key, map(str, value)) if has_parts else "it has no parts"
            msg = f"no {full!r}: {there}"
            raise LookupError(msg)
        value = value[key]
    return value


RUN_NAMES = ("run", "status", "seconds", "trial", "seed", "block", "role", "generation")
_SECTIONS = ("parameters", "results", "summary")


def run_label(name: str, user_names: Container[str]) -> str:
    """What a column such as ``status`` is called: ``run_status`` beside a user's name ``status``."""
    return f"run_{name}" if name in user_names else name


@attrs.frozen(eq=False)
class Selection:
    """Some or all runs of a recorded trajectory: what every verb on a `Trajectory` works with.

    Attributes
    ----------
    recorded
        The trajectory.
    chosen
        The runs' numbers, shape ``(n,)``; None means all of them.
    """

    recorded: Recorded
    chosen: Index | None = None

    def __len__(self) -> int:
        return len(self.recorded) if self.chosen is None else len(self.chosen)

    def __contains__(self, name: object) -> bool:
        """Whether something is recorded under this name."""
        return isinstance(name, str) and self.recorded.section_of(name) is not None

    def at(self, runs: Index) -> Selection:
        """Other runs of the same trajectory, by their numbers."""
        return Selection(self.recorded, runs)

    def where(self, test: Test | Array | None, equal: Mapping[str, Any]) -> Selection:
        """The runs that match a condition, or a boolean for each run, and have these values.

        Raises
        ------
        SimkitError
            For a name that is not recorded.
        """
        names = [*self.names_in("parameters"), *self.names_in("results"), *self.run_names]
        columns = _Columns(self.with_presence, names, self.is_column)
        chosen = np.ones(len(self), bool) if test is None else _tested(test, columns, len(self), self.closed)
        if isinstance(test, str) and not chosen.any():
            _warn_of_near_in(test, columns)
        for name, wanted in equal.items():
            if name == DECLARED and name not in columns:
                chosen &= self.declared == bool(wanted)
                continue
            chosen &= _equal(columns, name, wanted, self.closed)
        return self.at(self.runs[chosen])

    @property
    def declared(self) -> Array:
        """Which runs' points were declared when the last session looked, shape ``(n,)``."""
        known = self.has_run_column(DECLARED)
        return self.run_column(DECLARED) > 0 if known else np.ones(len(self), bool)

    @property
    def closed(self) -> dict[str, tuple[str, ...]]:
        """The words that a run column may hold, where it is no name of the user's."""
        return {} if "status" in self else {"status": WORDS}

    # Names

    def names_in(self, section: str) -> list[str]:
        """The full names of a section: ``parameters``, ``results`` or ``summary``."""
        return self.recorded.names(section)

    @property
    def names(self) -> dict[str, None]:
        """All user names, in order; a dictionary, so that membership costs nothing."""
        return dict.fromkeys(name for section in _SECTIONS for name in self.names_in(section))

    @property
    def run_names(self) -> list[str]:
        """What is known of every run, as far as no name of the user's stands in the way."""
        always = ("run", "status", "seconds")
        used = [name for name in RUN_NAMES if name in always or self.has_run_column(name)]
        return [name for name in used if name not in self]

    @property
    def constants(self) -> list[str]:
        """The parameters that have one value."""
        return [name for name in self.names_in("parameters") if self.recorded.is_constant(name)]

    def known(self, name: str) -> str:
        """The name itself.

        Raises
        ------
        Unknown
            For a name that is not recorded, with the nearest that is.
        """
        if name in self:
            return name
        names = [*self.names, *self.run_names]
        fields = [known for known in names if known.startswith(f"{name}.")]
        hint = f"; it is a group of {', '.join(fields[:5])}" if fields else did_you_mean(name, names)
        counts = tally(np.asarray(self.recorded.run_column("status")))
        why = (
            ""
            if "done" in counts
            else f": no run is done ({', '.join(f'{n} {w}' for w, n in counts.items())})"
        )
        msg = f"{self.recorded.name} has no {name!r}{hint}{why}\n    available: {listed(name, names)}"
        raise Unknown(msg)

    def holder(self, name: str) -> str:
        """The recorded name; ``d.a`` may be the key ``a`` of a recorded dictionary ``d``, or a table's column."""
        return holder_of(name, self) or self.known(name)

    def about(self, name: str) -> About:
        """What is known of a name, or of a group of names."""
        if name in self:
            return self.recorded.about(name)
        group = next((known for known in self.names if known.startswith(f"{name}.")), None)
        if group is None:
            return self.recorded.about(self.known(name))
        section = self.recorded.section_of(group) or ""
        comment = self.recorded.group_comment(section, name)
        return About(name, section, constant=False, explored=False, comment=comment, unit="", origin="")

    def unit(self, name: str) -> str:
        """The unit that stands beside a name in the file."""
        return self.recorded.about(name).unit if name in self else ""

    def is_scalar(self, name: str) -> bool:
        """Whether a run has a number, a quantity or text under this name."""
        if name not in self or self.recorded.is_scalar(name):
            return True
        dtype_probe = as_array(self.recorded.column(name, slice(0, 0)))
        return dtype_probe.ndim == 1 and dtype_probe.dtype.kind in "biufcmM"

    def is_value(self, name: str) -> bool:
        """Whether a run has one value under this name, such as a number, tuple or time: no array, no table."""
        if not self.recorded.is_constant(name):
            return self.is_scalar(name) or self.recorded.is_value(name)
        value = self.parameter(name)
        if hasattr(value, "shape"):
            return bool(value.shape == ())
        return not isinstance(value, (list, dict)) and not is_mutable(type(value))

    # Values

    def array(self, name: str) -> Any:
        """The column of a user's name, a key of a recorded dictionary, or a run column; a derived value as it is."""
        if not isinstance(name, str):
            msg = f"{name!r} is no name: columns have names, as in traj['z']; runs are numbered, as in traj.runs[3]"
            raise Unknown(msg)
        if name not in self and name in self.run_names:
            return self.of_runs(name)
        holder = self.holder(name)
        if self.recorded.section_of(holder) == "summary":
            return self.derived(name)
        if holder == name:
            return self.dense(name, self.column(name))
        column = self.part_of(name)
        return self._with_classes(as_array(column), column)

    def part_of(self, name: str) -> Column:
        """The column of a dictionary's key, or of a table's column, by dotted name.

        Raises
        ------
        Unknown
            Where no run has such a part.
        """
        holder = self.holder(name)
        column: Column | None = self.column(holder)
        for key in name[len(holder) + 1 :].split("."):
            column = None if column is None else part(column, key)
        if column is None:
            self.known(name)
        assert column is not None  # else the name is not known
        return column

    def is_column(self, name: str) -> bool:
        """Whether ``traj[name]`` is a column of these runs: also a part of what is recorded."""
        holder = holder_of(name, self)
        if name in self.run_names or not holder or self.recorded.section_of(holder) == "summary":
            return name in self.run_names
        try:
            return holder == name or self.part_of(name) is not None
        except Unknown:
            return False

    def _with_classes(self, array: Any, column: Column) -> Any:
        """Objects are instances of the classes that were asked for."""
        if array.dtype != object or self.recorded.classes is None:
            return array
        values = [None if value is ABSENT else value for value in self.recorded.values(column)]
        if not isinstance(array, np.ma.MaskedArray):
            return objects(values)
        masked: Any = np.ma.MaskedArray
        return masked(objects(values), array.mask)

    def parameter(self, name: str) -> Any:
        """A constant's value, or the column of what varies."""
        holder = self.holder(name)
        if not self.recorded.is_constant(holder):
            return self.array(name)
        return inside(self.recorded.values(self.recorded.constant(holder))[0], name, holder)

    def derived(self, name: str) -> Any:
        """A value of the summary, or a part of one."""
        holder = holder_of(name, self.names_in("summary"))
        return inside(self.recorded.values(self.recorded.derived(holder))[0], name, holder)

    def with_presence(self, name: str) -> tuple[Array, Array]:
        """A column for a condition, and in which runs it is present."""
        if name not in self and name in self.run_names:
            array = self.array(name)
            return array, np.ones(len(array), bool)
        if name not in self:
            part_column = self.part_of(name)
            return data_of(self._with_classes(as_array(part_column), part_column)), part_column.present()
        column = self.column(name)
        return data_of(self.dense(name, column)), column.present()

    def dense(self, name: str, column: Column) -> Any:
        """Rows of a name as users compute with them; of its own type even where all of them are absent."""
        array = self._with_classes(as_array(column), column)
        if column.variants or not column.n:
            return array
        dtype_probe = as_array(self.recorded.column(name, slice(0, 0)))
        shape, dtype = (column.n, *dtype_probe.shape[1:]), dtype_probe.dtype
        if dtype.kind in "fcmM":
            return missing(shape, dtype)
        masked: Any = np.ma.MaskedArray
        return masked(np.zeros(shape, dtype), True) if dtype.kind != "O" else array

    # What is known of every run

    @property
    def runs(self) -> Index:
        """The run numbers, shape ``(n,)``."""
        return np.arange(len(self.recorded)) if self.chosen is None else self.chosen

    def number(self, run: int) -> int:
        """A run's number in the file; negative ones count from the end.

        Raises
        ------
        IndexError
            When the trajectory has no such run.
        """
        n = len(self.recorded)
        if not -n <= run < n:
            msg = f"run {run} of a trajectory with {n} runs"
            raise IndexError(msg)
        return run % n

    def of_runs(self, name: str) -> Array:
        """A run column as users read it: numbers, words, seconds."""
        if name == "run":
            return self.runs
        if name == "status":
            return np.array(WORDS)[self.run_column("status")]
        if name == "seconds":
            return np.where(self.run_column("status") == Status.PENDING, np.nan, self.run_column("seconds"))
        return self.run_column(name)

    def has_run_column(self, name: str) -> bool:
        """Whether it was used."""
        return name == "run" or self.recorded.run_column(name, slice(0, 0)) is not None

    def run_column(self, name: str) -> Array:
        """A run column as it is recorded."""
        column = self.recorded.run_column(name)
        if column is None:
            self.known(name)
        column = np.asarray(column)
        return column if self.chosen is None else column[self.chosen]

    # Reading

    def column(self, name: str) -> Column:
        """A user's name at the chosen runs."""
        if self.chosen is None and not self.recorded.is_constant(name):
            return self.recorded.column(name, slice(0, len(self.recorded)))
        return self.recorded.rows(name, self.runs)


Read = Callable[[str], tuple[Array, Array]]


class _Columns(Mapping[str, Values]):
    """Columns by name, read when they are touched."""

    def __init__(self, read: Read, names: Sequence[str], has: Callable[[str], bool]) -> None:
        self.read, self.names, self.has = read, names, has

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.names or ("." in name and self.has(name)))

    def __getitem__(self, name: str) -> Values:
        array, present = self.read(name)
        return Values(array, native=array.dtype == object, present=None if present.all() else present)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _tested(test: Test | Sequence[bool] | Array, columns: _Columns, n: int, closed: Closed) -> Array:
    """Which runs pass a condition: a text, a function, or a boolean for each run, as an array, list or Series."""
    if isinstance(test, str) or callable(test):
        try:
            return np.array(passing(test, columns, n, "where", closed))
        except Exception as error:
            if type(error).__name__ != "DimensionMismatchError":  # Brian2's, which may not be installed
                raise
            cure = "compare quantities in a function: where(lambda tau: tau > 2 * ms)"
            raise SimkitError(f"where {test!r}: {error}\n    {cure}") from None
    given = test if isinstance(test, np.ndarray) else np.asarray(test)
    if given.dtype != bool or given.shape != (n,):
        msg = f"where: an array of {given.dtype} of shape {given.shape}: give one boolean for each of the {n} runs"
        raise SimkitError(msg)
    return np.asarray(data_of(given) & ~mask_of(given))  # what is masked does not match


def _equal(columns: _Columns, name: str, wanted: Any, closed: Closed) -> Array:
    """Which runs have a value, or one of several.

    Raises
    ------
    SimkitError
        For a name that is not recorded, and for what no run could have.
    """
    if name not in columns:
        names = columns.names
        msg = f"where: unknown name {name!r}{did_you_mean(name, names)}\n    available: {listed(name, names)}"
        raise SimkitError(msg)
    words = several(wanted)
    for word in (wanted,) if words is None else words:
        if name in closed and word not in closed[name]:
            known = ", ".join(closed[name])
            msg = f"where: no {name} is called {word!r}{did_you_mean(str(word), closed[name])}\n    there are: {known}"
            raise SimkitError(msg)
    column, present = columns.read(name)
    if (isinstance(wanted, slice) or callable(wanted)) and column.dtype != object:
        cure = (
            f'where("1 <= {name} < 2")' if isinstance(wanted, slice) else f"where(lambda {name}: {name} > 1)"
        )
        msg = f"where: {name}={briefly(wanted)} is no value: give one or several, or a condition, as {cure}"
        raise SimkitError(msg)
    try:
        chosen = matching(column[present], wanted)
    except Exception as error:  # noqa: BLE001 - values of the user's own types may raise anything
        msg = f"where: {name}={briefly(wanted)}: {error}"
        raise SimkitError(msg) from None
    if not chosen.any():
        _warn_of_near(name, column[present], wanted)
    everywhere = np.zeros(len(column), bool)
    everywhere[present] = chosen
    return everywhere


def _warn_of_near_in(test: str, columns: _Columns) -> None:
    """The same for the floats that a condition compares names with."""
    for name, wanted in compared_floats(test):
        if name in columns:
            column, present = columns.read(name)
            if not matching(column[present], wanted).any():
                _warn_of_near(name, column[present], wanted)


def _warn_of_near(name: str, column: Array, wanted: Any) -> None:
    """A float that differs from a typed one in its last digits only was perhaps meant."""
    if type(wanted) is not float or type(column) is not np.ndarray or column.dtype.kind != "f":
        return
    near = column[is_near(column, wanted)]
    if len(near):
        message = (
            f"no run has {name} = {wanted!r}, but {float(near[0])!r} is there: "
            f'where("near({name}, {wanted!r})") selects it'
        )
        warnings.warn(message, stacklevel=5)
