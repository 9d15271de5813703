"""Runs as a pandas table."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from simkit.analyse.selection import Selection, data_of, mask_of, run_label
from simkit.declare.forms import Array, Index, objects
from simkit.errors import SimkitError
from simkit.inform.progress import has_unit
from simkit.values.batch import WORDS, Status
from simkit.values.columns import Column, Leaf, Node

if TYPE_CHECKING:
    import pandas as pd


def magnitude(selection: Selection, name: str, values: Any) -> tuple[Any, str]:
    """A name's values without their unit, and the unit: the quantity's own, else the declared one."""
    if hasattr(values, "magnitude") and hasattr(values, "units"):  # pint
        return np.asanyarray(values.magnitude), str(values.units)
    if hasattr(values, "dim") and hasattr(values, "get_best_unit"):  # Brian2, whose numbers are SI
        return np.asarray(values), str(type(values)(1.0, dim=values.dim).get_best_unit())
    if has_unit(values):  # astropy, or a quantity of a package that is not installed here
        return np.asarray(values), str(values.unit)
    return values, selection.unit(name)


def numbers_of(selection: Selection, name: str) -> tuple[Any, str]:
    """A column without its unit, and the unit."""
    return magnitude(selection, name, selection.array(name))


def real_numbers(selection: Selection, name: str, use: str) -> tuple[Array, str]:
    """A column as floats without their unit, NaN where one is missing, and the unit.

    Parameters
    ----------
    use
        What can't be done with anything else: ``plotted``.

    Raises
    ------
    SimkitError
        For a name that is no real number per run.
    """
    column, unit = numbers_of(selection, name)
    if column.ndim > 1 or not selection.is_scalar(name):
        one = f"traj.runs[0].{name}"
        msg = (
            f"{name} is more than a number per run: look at one run's, {one}, or reduce it to a number first"
        )
        raise SimkitError(msg)
    if column.dtype.kind not in "biuf":
        msg = f"{name} is no real number in every run, so it can't be {use}: {column.dtype}"
        raise SimkitError(msg)
    values = data_of(column).astype(float)
    values[mask_of(column)] = np.nan
    return values, unit


def dataframe(
    selection: Selection, names: str | Sequence[str] | None, *, info: bool | Sequence[str] = False
) -> pd.DataFrame:
    """A table of the named columns, by default of all that fits into one; see `Trajectory.to_dataframe`.

    Parameters
    ----------
    info
        The run columns to add, or whether to add all.
    """
    import pandas as pd

    wanted = default_names(selection) if names is None else as_names(names)
    columns: dict[str, Any] = {}
    units: dict[str, str] = {}
    for name in wanted:
        if selection.recorded.section_of(name) == "summary":
            msg = f"{name!r} is one value for all runs, not a column: it is traj.summary.{name}"
            raise SimkitError(msg)
        if name in selection.closed:
            columns[name] = _words(selection, name)
            continue
        values, unit = (
            _constant(selection, name) if name in selection.constants else numbers_of(selection, name)
        )
        columns[name] = _series(values)
        units.update({name: unit} if unit else {})
    if names is None and selection.has_run_column("trial"):
        columns = _with_trial(selection, columns)
    for name in (RUN_COLUMNS if info else ()) if isinstance(info, bool) else info:
        if selection.has_run_column(name) and not (name == "trial" and names is None):
            columns[run_label(name, columns)] = _run_column(selection, name)
    index = _index(selection, run_label("run", columns))
    of_runs = {n: c.set_axis(index) if isinstance(c, pd.Series) else c for n, c in columns.items()}
    frame = pd.DataFrame(of_runs, index=index, copy=False)
    frame.attrs["units"] = units
    if names is None:
        frame.attrs["left_out"] = left_out(selection, wanted)
    return frame


@attrs.define(eq=False, slots=False)
class TableBlocks:
    """The table of the named columns in pieces that memory holds at ease, of the types that it has as a whole.

    Attributes
    ----------
    info
        The run columns to add.
    """

    selection: Selection
    names: Sequence[str]
    info: Sequence[str] = ()

    def __iter__(self) -> Iterator[pd.DataFrame]:
        types = self.sample.dtypes
        for runs in self._blocks or [self.selection.runs]:
            frame = dataframe(self.selection.at(runs), self.names, info=self.info)
            differ = {name: types[name] for name in frame.columns if frame[name].dtype != types[name]}
            yield frame.astype(differ) if differ else frame

    @cached_property
    def _blocks(self) -> list[Index]:
        return self.selection.recorded.blocks(self.selection.runs, self.names)

    @cached_property
    def sample(self) -> pd.DataFrame:
        """The table of the chosen few."""
        return dataframe(self.few, self.names, info=self.info)

    @cached_property
    def few(self) -> Selection:
        """Some of the runs that have between them all that tells types and forms: their table has those of all runs."""
        recorded = self.selection.recorded
        varying = [name for name in self.names if name in self.selection and not recorded.is_constant(name)]
        has_several = {name: not recorded.column(name, slice(0, 0)).variants for name in varying}
        telling: dict[Any, tuple[int, int]] = {}  # how much a run tells of something, and its number
        for runs in self._blocks:
            for name in varying:
                column = recorded.rows(name, runs)
                values = _series(magnitude(self.selection, name, self.selection.dense(name, column))[0])
                for what, rank, row in [*_types(column, ranked=has_several[name]), *_forms(values)]:
                    if (name, what) not in telling or telling[name, what][0] < rank:
                        telling[name, what] = rank, int(runs[row])
        runs = self.selection.runs
        chosen = {run for _, run in telling.values()} | set(runs[:1].tolist())
        return self.selection.at(np.array(sorted(chosen), np.int64))


_TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}  # in a second
_DAY = 86_400  # seconds
_WHOLE_SECONDS = ("m", "h", "D", "W")
_CALENDAR = ("M", "Y")  # a date has these in seconds, a duration has not


def _types(column: Column, *, ranked: bool) -> Iterator[tuple[Any, int, int]]:
    """Each type in a column, and a row of it; of integers beside other types the largest, which floats may not hold."""
    present = column.present()
    if not present.all():
        yield "absent", 0, int(np.argmin(present))
    for positions, node in column.variants:
        if node.n:
            rank, row = _largest(node) if ranked else (0, 0)
            yield node.signature, rank, row if positions is None else int(positions[row])


def _largest(node: Node) -> tuple[int, int]:
    """The magnitude of the largest integer, and its row."""
    rows = node.rows if isinstance(node, Leaf) else None
    if not isinstance(rows, np.ndarray) or rows.dtype.kind not in "iu" or not rows.size:
        return 0, 0
    ends = [int(rows.argmin()), int(rows.argmax())]
    return max((abs(int(rows.flat[end])), end * len(rows) // rows.size) for end in ends)


def _forms(values: Any) -> Iterator[tuple[str, int, int]]:
    """A row of times that are written with most digits; one of text that ends a line."""
    import pandas as pd

    if values.dtype.kind in "mM":
        times: Any = pd.Series(values).array
        ticks = _TICKS[times.unit]
        units = (_DAY * ticks, *(ticks // coarser for coarser in _TICKS.values() if coarser < ticks))
        digits = np.zeros(len(times), int)
        for unit in units:
            digits += np.where(pd.isna(times), 0, times.asi8 % unit != 0)
        if len(digits):
            yield "digits", int(digits.max()), int(digits.argmax())
    elif values.dtype.kind == "O":
        row = next((i for i, value in enumerate(values) if isinstance(value, str) and "\r" in value), None)
        if row is not None:
            yield "return", 0, row


RUN_COLUMNS = (
    "status",
    "seconds",
    "started",
    "worker",
    "trial",
    "seed",
    "session",
    "attempt",
    "block",
    "role",
)


def as_names(names: str | Sequence[str]) -> list[str]:
    """One name or several."""
    return [names] if isinstance(names, str) else list(names)


def default_names(selection: Selection) -> list[str]:
    """What a table shows by default: explored names whatever they are, then what is a value rather than an array.

    Of the other parameters, constants too, and of the results: numbers, text, times, tuples and the like.
    """
    recorded = selection.recorded
    names = [*recorded.names("parameters"), *recorded.names("results")]
    shown = [name for name in names if name not in recorded.explored and selection.is_value(name)]
    return [*recorded.explored, *shown]


def left_out(selection: Selection, names: Sequence[str]) -> dict[str, str]:
    """What is recorded besides these names, each with its type in a few words."""
    recorded = selection.recorded
    every = [*recorded.names("parameters"), *recorded.names("results")]
    return {name: recorded.kind(name) for name in every if name not in names}


def table_names(selection: Selection) -> list[str]:
    """What varies and is a number or text per run, explored names first: what text tables and figures hold."""
    recorded = selection.recorded
    names = [*recorded.names("parameters"), *recorded.names("results")]
    varying = [n for n in names if not recorded.is_constant(n) and selection.is_scalar(n)]
    explored = recorded.explored
    return sorted(varying, key=lambda name: name not in explored)


def _constant(selection: Selection, name: str) -> tuple[Any, str]:
    """A constant repeated, and its unit: quick however many runs there are."""
    one = Selection(selection.recorded, selection.runs[:1] if len(selection) else np.zeros(1, np.int64))
    values, unit = numbers_of(one, name)
    return values[np.zeros(len(selection), np.int64)], unit


def _run_column(selection: Selection, name: str) -> Any:
    """A run column as a table shows it: the status as a category, times as times, missing where it did not run."""
    import pandas as pd

    codes = selection.run_column("status")
    if name == "status":
        return pd.Categorical.from_codes(codes.astype(np.int8), list(WORDS))
    values = selection.of_runs(name)
    if name == "started":
        seconds = np.where(codes == Status.PENDING, np.nan, values)
        return pd.to_datetime(pd.Series(seconds), unit="s", utc=True).array
    return values


def _words(selection: Selection, name: str) -> Any:
    """A run column of a few words, each handed to pandas once: a text for each run takes it longer than all else."""
    import pandas as pd

    return pd.Series(list(selection.closed[name])).array.take(selection.run_column(name))


def _with_trial(selection: Selection, columns: dict[str, Any]) -> dict[str, Any]:
    """The trial numbers after the explored columns."""
    names = selection.recorded.explored
    explored = {name: column for name, column in columns.items() if name in names}
    return {**explored, run_label("trial", columns): selection.run_column("trial"), **columns}


def _index(selection: Selection, name: str) -> pd.Index:
    import pandas as pd

    runs = selection.runs
    is_whole = selection.chosen is None or np.array_equal(runs, np.arange(len(runs)))
    return pd.RangeIndex(len(runs), name=name) if is_whole else pd.Index(runs, name=name)


def _series(column: Any) -> Any:
    import pandas as pd

    if column.ndim > 1:
        return _with_none(objects(list(data_of(column))), _missing(column))
    if column.dtype == object:
        missing = _missing(column)
        values = _with_none(data_of(column), missing)
        here = values[~missing]
        kinds = set(map(type, here))
        if kinds == {str}:
            return pd.array(values, dtype="str")
        is_time = kinds and all(issubclass(kind, (datetime.datetime, datetime.timedelta)) for kind in kinds)
        return pd.Series(values).infer_objects().array if is_time else values
    if column.dtype.kind in "mM":
        times = times_in_pandas_units(data_of(column))
        return pd.Series(times, dtype=object) if times.dtype == object else times  # else pandas rounds them
    if not isinstance(column, np.ma.MaskedArray):
        return column
    nullable = {"i": "Int", "u": "UInt"}.get(column.dtype.kind)
    if nullable is None and column.dtype.kind != "b":
        return _with_none(data_of(column), mask_of(column))
    dtype = f"{nullable}{8 * column.dtype.itemsize}" if nullable else "boolean"
    values = pd.array(column.filled(0), dtype=dtype)
    values[mask_of(column)] = pd.NA
    return values


def times_in_pandas_units(times: Array) -> Array:
    """Times in a unit that pandas and xarray have, which round others without a word.

    Objects, NumPy's own and None, where there is none that has them all: picoseconds, months of no year.
    """
    unit = np.datetime_data(times.dtype)[0]
    coarse = (*_WHOLE_SECONDS, *(_CALENDAR if times.dtype.kind == "M" else ()))
    missing = np.isnat(times)
    if unit in _TICKS or unit in coarse:
        with suppress(OverflowError):  # NumPy before 2.5 goes on with other numbers
            fitting = times.astype(f"{times.dtype.kind}8[{'s' if unit in coarse else unit}]")
            if (missing | (fitting.astype(times.dtype) == times)).all():  # else it is too long
                return fitting
    values = times.ravel()
    own: Array = _with_none(objects(list(values)), missing.ravel())
    return own.reshape(times.shape)


def _missing(column: Any) -> Any:
    """Which rows are absent as a whole."""
    mask = mask_of(column)
    has_cells = all(mask.shape[1:])
    return mask.all(axis=tuple(range(1, mask.ndim))) if has_cells else np.zeros(len(column), bool)


def _with_none(data: Any, mask: Any) -> Any:
    values = data.astype(object)
    values[mask] = None
    return values


_OTHER_WORDS = {
    "df": "to_dataframe()", "to_pandas": "to_dataframe()", "frame": "to_dataframe()", "keys": "columns",
    "query": "where(…)", "filter": "where(…)", "isel": "runs[…]", "shape": "grid(name)",
}  # fmt: skip


def words_of_tables(name: str) -> str:
    """Where somebody who knows tables finds what a trajectory has not: in a table of it."""
    if name in _OTHER_WORDS:
        return f": write trajectory.{_OTHER_WORDS[name]}"
    if name[0] == "_":
        return ""
    import pandas as pd

    return f": a table has it, trajectory.to_dataframe().{name}" if hasattr(pd.DataFrame, name) else ""
