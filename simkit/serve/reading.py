"""What stands in a trajectory at this moment? Opened, read and closed for each answer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import attrs
import numpy as np
import pandas as pd

from simkit.analyse.open import open_alone
from simkit.analyse.spread import Labelled
from simkit.analyse.tables import dataframe, table_names
from simkit.analyse.trajectory import Trajectory
from simkit.declare.forms import TRIAL, Array, Index, Values, passing
from simkit.errors import SimkitError
from simkit.inform.progress import briefly, counted
from simkit.record.catalogue import version_of
from simkit.record.damage import alterations
from simkit.serve.files import Entry

_BUDGET = 40 << 20  # bytes of columns that are kept from one answer to the next
_BLOCK = 25_000  # rows that are read at once
_EXACT = 2**53  # floats hold all integers up to here
_LONGEST = 100  # characters of a word in a table or beside an axis
_FEW = 30  # values of two names that are put beside each other by hand, in whatever order
_SPARSEST = 10  # cells of the grid per run: points that fill less are scattered


@attrs.frozen(eq=False)
class Field:
    """One name's values over all runs.

    Attributes
    ----------
    kind
        ``float``, ``int``, ``bool``, or ``word`` for all that is no number.
    values
        Numbers, NaN where there is none; or places in ``words``, -1 where there is none. Shape ``(n,)``.
    """

    name: str
    label: str
    unit: str
    kind: str
    values: Array
    words: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether it has places on a scale."""
        return self.kind != "word"

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return int(self.values.nbytes) + 100 * len(self.words)

    def at(self, rows: Index) -> Labelled:
        """The values at these rows, as figures take them."""
        values = self.values[rows]
        if not self.is_number:
            values = np.array([*self.words, ""], object)[values]
        return Labelled(self.name, self.label, values)

    def text(self, row: int) -> str:
        """One value for people; empty where there is none."""
        value = self.values[row]
        if not self.is_number:
            return self.words[value] if value >= 0 else ""
        return number(value, self.kind)


@attrs.frozen(eq=False)
class PageAxis:
    """An explored name: its values, each once, and which of them each run has."""

    told: Labelled
    codes: Index
    kind: str
    unit: str

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.told.name

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return int(self.codes.nbytes) + 100 * len(self.told.values)

    def field(self) -> Field:
        """The column over the runs."""
        if self.kind == "word":
            return Field(self.name, self.told.label, self.unit, "word", self.codes, tuple(self.told.values))
        return Field(self.name, self.told.label, self.unit, self.kind, self.told.values[self.codes])

    def words(self) -> list[str]:
        """The values for people."""
        values = self.told.values.tolist()
        return [number(value, self.kind) for value in values] if self.kind != "word" else values


def number(value: float, kind: str = "float") -> str:
    """A number for people: as it is where that is short, else to six digits; empty for NaN."""
    if value != value:  # noqa: PLR0124 - NaN
        return ""
    if kind == "bool":
        return "true" if value else "false"
    if kind == "int":
        return str(int(value))
    text = repr(float(value))
    return text if len(text) <= 10 else f"{value:.6g}"


class Reader:
    """Opens files, one at a time, and keeps columns of those that did not change.

    A reader that stayed would keep a study's writer from applying its log, and readers side by side would take
    turns in staying; so there is one at a time.
    """

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self._kept: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    @contextmanager
    def reading(self, entry: Entry) -> Iterator[Reading]:
        """A trajectory while it is open."""
        with self._turn:
            version = version_of(entry.path)
            with alterations([entry.path]), open_alone(entry.path, entry.name) as trajectory:
                yield Reading(trajectory, version, self)

    def kept(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What was made for this key, at the latest now; what was not asked for longest is forgotten."""
        if key not in self._kept:
            self._kept[key] = make()
        self._kept.move_to_end(key)
        size = sum(map(_nbytes, self._kept.values()))
        while size > _BUDGET and len(self._kept) > 1:
            size -= _nbytes(self._kept.popitem(last=False)[1])
        return self._kept[key]


def _nbytes(thing: Any) -> int:
    """About how much memory something takes."""
    if isinstance(thing, dict):
        return sum(map(_nbytes, thing.values()))
    return len(thing) if isinstance(thing, bytes) else getattr(thing, "nbytes", 1000)


class Reading:
    """An open trajectory, and what the page asks of it."""

    def __init__(self, trajectory: Trajectory, version: str, reader: Reader) -> None:
        self.trajectory, self.version, self.reader = trajectory, version, reader
        self.path, self.name = trajectory.path, trajectory.name
        self.selection = trajectory._selection
        self.recorded = self.selection.recorded  # the columns of runs as they stand in the file
        self._run_columns: dict[str, Array | None] = {}

    def __len__(self) -> int:
        return len(self.trajectory)

    def kept(self, what: Any, make: Callable[[], Any], *, fixed: bool = False) -> Any:
        """Something of this version of the file; ``fixed``: of all versions with the same points."""
        mark = (self.recorded.attributes["created"], len(self)) if fixed else self.version
        return self.reader.kept((self.path, self.name, mark, what), make)

    @cached_property
    def columns(self) -> dict[str, bool]:
        """The names whose values are numbers or words per run, explored ones first, and whether they are numbers."""

        def names() -> dict[str, bool]:
            nothing = self.selection.at(np.zeros(0, np.int64))
            frame = dataframe(nothing, table_names(self.selection))
            known = {name: frame[name].dtype.kind in "fiub" for name in frame.columns}
            explored = [name for name in self.trajectory.explored if name not in known]
            return {**dict.fromkeys(explored, False), **known}

        found: dict[str, bool] = self.kept("columns", names)
        return found

    @property
    def results(self) -> list[str]:
        """Results and computed parameters that are a number or a word per run."""
        return [name for name in self.columns if name not in self.trajectory.explored]

    def run_column(self, name: str) -> Array | None:
        """Status codes, times, trials, as recorded; None where a column was not used."""
        if name not in self._run_columns:
            self._run_columns[name] = self.recorded.run_column(name)
        return self._run_columns[name]

    def field(self, name: str) -> Field:
        """A name's column; that of an axis is made anew from its few values."""
        if name in self.axes:
            return self.axes[name].field()
        is_explored = name in self.trajectory.explored
        found: Field = self.kept(("field", name), lambda: self._field(name), fixed=is_explored)
        return found

    def _field(self, name: str) -> Field:
        if name not in self.trajectory:
            return self._run_field(name)
        filling = _Filling(len(self))
        unit = ""
        for start in range(0, len(self), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(self)))
            frame = dataframe(self.selection.at(rows), [name])
            unit = frame.attrs["units"].get(name, unit)
            filling.add(rows, frame[name])
        comment = self.trajectory.describe(name).comment.partition("\n")[0].rstrip(".")
        label = f"{name}: {comment}" if 0 < len(comment) <= 40 else name
        return filling.field(name, f"{label} [{unit}]" if unit else label, unit)

    def _run_field(self, name: str) -> Field:
        if name == "status":
            column = self.trajectory.status
            words, codes = np.unique(column, return_inverse=True)
            return Field(name, name, "", "word", codes.astype(np.int32), tuple(words.tolist()))
        values = np.asarray(self.trajectory[name], float)
        unit = "s" if name == "seconds" else ""
        return Field(name, f"{name} [{unit}]" if unit else name, unit, "float" if unit else "int", values)

    @cached_property
    def axes(self) -> dict[str, PageAxis]:
        """The explored names that vary; of those that move together the first, unless all do: a list of points."""
        found: dict[str, PageAxis] = self.kept("axes", self._axes, fixed=True)
        return found

    def _axes(self) -> dict[str, PageAxis]:
        axes = {name: self._axis(name) for name in self.trajectory.explored}
        axes = {name: axis for name, axis in axes.items() if len(axis.told.values) > 1}
        if _is_list(axes):
            return axes
        first: dict[str, PageAxis] = {}
        for name, axis in axes.items():
            if not any(_together(axis, other) for other in first.values()):
                first[name] = axis
        return first

    def _axis(self, name: str) -> PageAxis:
        field = self._field(name)
        if not field.is_number:
            words = np.array(field.words, object)
            return PageAxis(
                Labelled(name, field.label, words), _small(field.values, len(words)), "word", field.unit
            )
        codes, values = pd.factorize(field.values, sort=True, use_na_sentinel=False)
        return PageAxis(
            Labelled(name, field.label, values), _small(codes, len(values)), field.kind, field.unit
        )

    @property
    def is_grid(self) -> bool:
        """Whether the runs fill a good part of the grid that their axes span."""
        cells = 1.0
        for axis in self.axes.values():
            cells *= len(axis.told.values)
        is_list = self.kept("is a list", lambda: _is_list(self.axes), fixed=True)
        return bool(self.axes) and not is_list and cells <= max(_SPARSEST * len(self), 64)

    @property
    def has_trials(self) -> bool:
        """Whether points are repeated."""
        return self.run_column(TRIAL) is not None

    def matching(self, condition: str) -> Array:
        """Which runs match a condition, shape ``(n,)``.

        Raises
        ------
        SimkitError
            For a condition that can't be read.
        """
        if not condition.strip():
            return np.ones(len(self), bool)

        def mask() -> Array:
            return np.asarray(
                passing(condition, _PageColumns(self), len(self), "where", self.selection.closed)
            )

        found: Array = self.kept(("where", condition), mask)
        return found

    def checked(self, name: str, known: Sequence[str]) -> str:
        """A name that an address gave.

        Raises
        ------
        SimkitError
            Where it is none of those.
        """
        if name not in known:
            msg = f"{self.name} has no {name!r} to show here: {', '.join(known) or 'nothing'}"
            raise SimkitError(msg)
        return name

    def checked_run(self, run: int) -> int:
        """The number of a run that an address gave.

        Raises
        ------
        SimkitError
            Where no run has it.
        """
        if not 0 <= run < len(self):
            raise SimkitError(f"{self.name} has {counted(len(self), 'run')}: no run {run}")
        return run


class _Filling:
    """A column under way: numbers as long as all are, words otherwise."""

    def __init__(self, n: int) -> None:
        self.numbers = np.full(n, np.nan)
        self.codes = np.full(n, -1, np.int32)
        self.words: dict[str, int] = {}
        self.kinds: dict[str, None] = {}

    def add(self, rows: Index, column: Any) -> None:
        """The values of some rows, a pandas Series."""
        kind = {"f": "float", "i": "int", "u": "int", "b": "bool"}.get(
            getattr(column.dtype, "kind", "O"), "word"
        )
        if kind != "word":
            values = column.to_numpy(np.float64, na_value=np.nan)
            kind = "word" if kind == "int" and (np.abs(values) >= _EXACT).any() else kind
        self.kinds[kind] = None
        if kind != "word":
            self.numbers[rows] = values
            return
        codes, words = _factorized(column)
        places = np.array([*(self._place(word) for word in words), -1], np.int32)
        self.codes[rows] = places[codes]

    def _place(self, word: str | None) -> int:
        """Which of the words this is; -1 for none."""
        return -1 if word is None else self.words.setdefault(word, len(self.words))

    def field(self, name: str, label: str, unit: str) -> Field:
        """The whole column."""
        if "word" not in self.kinds:
            kind = next(iter(self.kinds)) if len(self.kinds) == 1 else "float"
            return Field(name, label, unit, kind, self.numbers)
        for row in np.flatnonzero(np.isfinite(self.numbers)).tolist():  # numbers among words
            self.codes[row] = self.words.setdefault(number(float(self.numbers[row])), len(self.words))
        return Field(name, label, unit, "word", self.codes, tuple(self.words))


class _PageColumns(Mapping[str, Values]):
    """The columns that a condition may name, as they are shown."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def __getitem__(self, name: str) -> Values:
        reading = self.reading
        present = reading.recorded.present(name) if name in reading.trajectory else None
        if name in reading.selection.names and not reading.selection.is_scalar(name):
            return Values(reading.trajectory[name], native=True, present=present)
        field = reading.field(name)
        if field.kind == "bool":
            return Values(field.values == 1, native=False, present=present)
        array = field.values if field.is_number else np.array([*field.words, ""], object)[field.values]
        return Values(array, native=False, present=present)

    def __iter__(self) -> Iterator[str]:
        sections = (
            name for section in ("parameters", "results") for name in self.reading.trajectory.names(section)
        )
        return iter([*sections, *self.reading.selection.run_names])

    def __len__(self) -> int:
        return len(list(iter(self)))


def _factorized(column: Any) -> tuple[Index, list[str | None]]:
    """The distinct values of a Series as words, and which of them each row has, -1 where it has none."""
    if column.dtype == object:  # where True, 1 and 1.0 are equal, and have words of their own
        column = pd.Series([_text(value) for value in column], dtype=object)
    codes, values = pd.factorize(column)
    return codes, [_text(value) for value in values.tolist()]


def _text(value: Any) -> Any:
    """A value as a word; None where there is none."""
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return None
    text = value if isinstance(value, str) else briefly(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _small(codes: Index, n: int) -> Index:
    """Numbers below ``n`` in as few bytes as they need; -1 stays what it is."""
    return codes.astype(np.min_scalar_type(-n))


def _is_list(axes: Mapping[str, PageAxis]) -> bool:
    """Whether a value of one of several axes tells those of all others: points that were listed, or drawn."""
    if len(axes) < 2:
        return False
    widest = max(axes.values(), key=lambda axis: len(axis.told.values))
    return all(_values_told(widest, axis) is not None for axis in axes.values())


def _values_told(one: PageAxis, other: PageAxis) -> Index | None:
    """Which value of an axis comes with each value of another one; None where several do."""
    told = np.zeros(len(one.told.values), other.codes.dtype)
    told[one.codes] = other.codes
    return told if np.array_equal(told[one.codes], other.codes) else None


def _together(one: PageAxis, other: PageAxis) -> bool:
    """Whether two names move together: each value of one comes with the same value of the other, in their order."""
    n = len(one.told.values)
    told = _values_told(one, other) if n == len(other.told.values) else None
    if told is None:
        return False
    steps = np.diff(told.astype(np.int64))
    is_free = n <= _FEW or not (one.told.is_numeric and other.told.is_numeric)
    return is_free or bool((steps > 0).all() or (steps < 0).all())
