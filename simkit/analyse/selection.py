"""The runs that are looked at: their columns, and which of them match a condition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from simkit.analyse.names import Unknown, holder_of, inside
from simkit.declare.forms import Array, Index, Test, Values, objects, passing
from simkit.errors import SimkitError, did_you_mean, listed
from simkit.record.recorded import About, Recorded
from simkit.values.batch import WORDS, Status
from simkit.values.columns import Column
from simkit.values.decode import ABSENT, as_array, decode, part
from simkit.values.encode import encode


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


RUN_NAMES = ("run", "status", "seconds", "trial", "seed", "block", "role")
_GAP_BYTES = 1 << 20  # reading across a smaller gap is quicker than another call


class Columns:
    """The columns of a recorded trajectory at chosen runs.

    Parameters
    ----------
    recorded
        The trajectory.
    chosen
        The runs' numbers, shape ``(n,)``; None means all of them.
    """

    def __init__(self, recorded: Recorded, chosen: Index | None) -> None:
        self.recorded, self.chosen = recorded, chosen

    def __len__(self) -> int:
        return len(self.recorded) if self.chosen is None else len(self.chosen)

    @property
    def names(self) -> dict[str, None]:
        """All user names; a dictionary, so that membership costs nothing."""
        sections = ("parameters", "results", "summary")
        return dict.fromkeys(name for section in sections for name in self.recorded.names(section))

    @property
    def run_names(self) -> list[str]:
        """What is known of every run, as far as no name of the user's stands in the way."""
        optional = ("trial", "seed", "block", "role")
        used = [name for name in RUN_NAMES if name not in optional or self.has_run_column(name)]
        return [name for name in used if name not in self.names]

    def known(self, name: str) -> str:
        """The name itself.

        Raises
        ------
        Unknown
            For a name that is not recorded, with the nearest that is.
        """
        if name in self.names:
            return name
        names = [*self.names, *self.run_names]
        hint = did_you_mean(name, names)
        msg = f"{self.recorded.name} has no {name!r}{hint}\n    available: {listed(name, names)}"
        raise Unknown(msg)

    def about(self, name: str) -> About:
        """What is known of a name, or of a group of names."""
        group = next((known for known in self.names if known.startswith(f"{name}.")), None)
        if group is None or name in self.names:
            return self.recorded.about(self.known(name))
        section = self.recorded.section_of(group) or ""
        comment = self.recorded.group_comment(section, name)
        return About(name, section, constant=False, explored=False, comment=comment, unit="", origin="")

    def is_scalar(self, name: str) -> bool:
        """Whether a run has a number, a quantity or text under this name."""
        if name not in self.names or self.recorded.is_scalar(name):
            return True
        kind = as_array(self.recorded.column(name, slice(0, 0)))
        return kind.ndim == 1 and kind.dtype.kind in "biufcmM"

    def array(self, name: str) -> Any:
        """The column of a user's name, a key of a recorded dictionary, or a run column."""
        if not isinstance(name, str):
            msg = f"{name!r} is no name: columns have names, as in traj['z']; runs are numbered, as in traj.runs[3]"
            raise Unknown(msg)
        if name not in self.names and name in self.run_names:
            return self.of_runs(name)
        holder = self.holder(name)
        if holder == name:
            return self.dense(name, self.column(name))
        column: Column | None = self.column(holder)
        for key in name[len(holder) + 1 :].split("."):
            column = None if column is None else part(column, key)
        if column is None:
            return self.known(name)
        return self._with_classes(as_array(column), column)

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
        value = self.recorded.values(self.recorded.constant(holder))[0]
        return value if holder == name else inside(value, name, holder)

    def with_presence(self, name: str) -> tuple[Array, Array]:
        """A column for a test, and where it is present."""
        if name not in self.names:
            array = self.array(name)
            return array, np.ones(len(array), bool)
        column = self.column(name)
        return data_of(self.dense(name, column)), column.present()

    def dense(self, name: str, column: Column) -> Any:
        """Rows of a name as users compute with them; of its own type even where all of them are absent."""
        array = self._with_classes(as_array(column), column)
        if column.variants or not column.n:
            return array
        kind = as_array(self.recorded.column(name, slice(0, 0)))
        shape = (column.n, *kind.shape[1:])
        if kind.dtype.kind in "fcmM":
            return missing(shape, kind.dtype)
        masked: Any = np.ma.MaskedArray
        return masked(np.zeros(shape, kind.dtype), True) if kind.dtype.kind != "O" else array

    def holder(self, name: str) -> str:
        """The recorded name; ``d.a`` may be the key ``a`` of a recorded dictionary ``d``, or a table's column."""
        return holder_of(name, self.names) or self.known(name)

    # What is known of every run

    def of_runs(self, name: str) -> Array:
        """A run column as users read it: numbers, words, seconds."""
        if name == "run":
            return np.arange(len(self.recorded)) if self.chosen is None else self.chosen
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
        if self.chosen is not None:
            return self.read(name, self.chosen)
        n = len(self.recorded)
        if self.recorded.is_constant(name):
            return self.recorded.constant(name).take(np.zeros(n, np.int64))
        return self.recorded.column(name, slice(0, n))

    def read(self, name: str, runs: Index) -> Column:
        """A user's name at any runs, in any order, without reading what lies far from them."""
        if self.recorded.is_constant(name):
            return self.recorded.constant(name).take(np.zeros(len(runs), np.int64))
        if not len(runs):
            return self.recorded.column(name, slice(0, 0))
        first, last = int(runs.min()), int(runs.max())
        size = self.recorded.row_bytes(name)
        if (last + 1 - first) * size <= 4 * len(runs) * size + _GAP_BYTES:
            return self.recorded.column(name, slice(first, last + 1)).take(runs - first)
        return self._read_apart(name, runs, max(1, _GAP_BYTES // size))

    def _read_apart(self, name: str, runs: Index, gap: int) -> Column:
        """Rows that lie far apart: a read for each stretch of near ones."""
        wanted = np.unique(runs)
        stretches = np.split(wanted, np.flatnonzero(np.diff(wanted) > gap) + 1)
        values: list[Any] = []
        for stretch in stretches:
            first = int(stretch[0])
            values += decode(
                self.recorded.column(name, slice(first, int(stretch[-1]) + 1)).take(stretch - first)
            )
        there = np.array([value is not ABSENT for value in values], bool)
        found = encode([value for value in values if value is not ABSENT]) if there.any() else Column(0, ())
        return found.spread(len(wanted), np.flatnonzero(there)).take(np.searchsorted(wanted, runs))


Read = Callable[[str], tuple[Array, Array]]


class _Columns(Mapping[str, Values]):
    """Columns by name, read when they are touched."""

    def __init__(self, read: Read, names: Sequence[str]) -> None:
        self.read, self.names = read, names

    def __getitem__(self, name: str) -> Values:
        array, present = self.read(name)
        return Values(array, native=array.dtype == object, present=None if present.all() else present)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def matching(
    read: Read, names: Sequence[str], n: int, test: Test | Array | None, equal: Mapping[str, Any]
) -> Array:
    """A boolean per run.

    Raises
    ------
    SimkitError
        For a name that is not recorded.
    """
    chosen = np.ones(n, bool)
    if isinstance(test, np.ndarray):
        chosen &= _mask(test, n)
    elif test is not None:
        chosen &= _passing(test, _Columns(read, names), n)
    for name, wanted in equal.items():
        if name not in names:
            msg = f"where: unknown name {name!r}{did_you_mean(name, names)}\n    available: {listed(name, names)}"
            raise SimkitError(msg)
        array, present = read(name)
        if array.dtype == object or isinstance(wanted, (list, tuple, dict, np.ndarray)):
            same = np.array([bool(np.all(value == wanted)) for value in array], bool)
        else:
            same = np.asarray(array == wanted, bool)
        chosen &= same & present
    return chosen


def _mask(given: Array, n: int) -> Array:
    """A boolean per run as the user computed it; what is masked does not match."""
    if given.dtype != bool or given.shape != (n,):
        msg = f"where: an array of {given.dtype} of shape {given.shape}: give one boolean for each of the {n} runs"
        raise SimkitError(msg)
    return np.asarray(data_of(given) & ~mask_of(given))


def _passing(test: Test, columns: _Columns, n: int) -> Array:
    try:
        return passing(test, columns, n, "where")
    except Exception as error:
        if type(error).__name__ != "DimensionMismatchError":  # Brian2's, which may not be installed
            raise
        msg = (
            f"where {test!r}: {error}\n    compare quantities in a function: where(lambda tau: tau > 2 * ms)"
        )
        raise SimkitError(msg) from None
