"""Where does each run stand in the grid that was explored?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import attrs
import numpy as np

from simkit.analyse.selection import Selection, data_of
from simkit.declare.forms import TRIAL, Array, Index
from simkit.record.recorded import Recorded
from simkit.values.columns import Column
from simkit.values.compare import keys
from simkit.values.decode import as_array

_SPARSEST = 10  # cells per run; points that fill less are scattered, not a grid


class Grid(NamedTuple):
    """A column over the axes of the explored grid.

    Attributes
    ----------
    values
        Shape ``(*axes, *shape of one value)``; NaN, NaT or masked where no run stands or a value is absent.
    axes
        The coordinates of each dimension by name, in order. Of parameters that move together only the one
        that tells the points apart.
    """

    values: Any
    axes: dict[str, Array]


@attrs.frozen(eq=False)
class Coded:
    """A column as numbers, equal for equal values, counted in the order in which they turn up.

    Attributes
    ----------
    codes
        Shape ``(n,)``.
    first
        The row at which each number turns up first.
    """

    codes: Index
    first: Index

    @property
    def varies(self) -> bool:
        """Whether there is more than one value."""
        return len(self.first) > 1

    def among(self, chosen: Index | None) -> tuple[Index, Index]:
        """Which numbers some rows have, and which of these each row has."""
        if chosen is None:
            return np.arange(len(self.first)), self.codes
        used, codes = np.unique(self.codes[chosen], return_inverse=True)
        return used, codes.reshape(-1)

    def is_finer(self, other: Coded) -> bool:
        """Whether it has more values."""
        return len(self.first) > len(other.first)

    def determines(self, other: Coded) -> bool:
        """Whether this value always comes with the same of the other's."""
        return self.varies and bool((other.codes[self.first][self.codes] == other.codes).all())


def coded(column: Column) -> Coded | None:
    """A column as numbers; None where some rows are absent."""
    return numbered(keys(column)) if column.present().all() else None


def numbered(array: Any) -> Coded:
    """An array of numbers or text as numbers in the order in which they turn up."""
    import pandas as pd

    values: Array = np.asarray(array)
    codes = np.asarray(pd.factorize(values, use_na_sentinel=False)[0], np.int64)
    first = np.empty(int(codes.max(initial=-1)) + 1, np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # the last one written is the first that turns up
    return Coded(codes, first)


def together(columns: Mapping[str, Coded]) -> dict[tuple[str, ...], Coded]:
    """Names that move together: the one that tells all of them apart comes first.

    A name with a single value moves with none. The groups come in the order of their earliest names.
    """
    left, groups = dict(columns), {}
    while left:
        name = _leading(left)
        column = left.pop(name)
        following = [other for other in left if left[other].varies and column.determines(left[other])]
        groups[name, *following] = column
        left = {other: coded for other, coded in left.items() if other not in following}
    order = list(columns)
    return dict(sorted(groups.items(), key=lambda group: min(map(order.index, group[0]))))


def _leading(columns: Mapping[str, Coded]) -> str:
    """The first name that none with more values determines."""
    for name, column in columns.items():
        finer = (other for other in columns.values() if other.is_finer(column))
        if not column.varies or not any(other.determines(column) for other in finer):
            return name
    return next(iter(columns))


@attrs.frozen(eq=False)
class Axis:
    """One dimension.

    Attributes
    ----------
    name
        The parameter that spans it, ``trial`` or ``run``.
    coordinates
        Its values, and those of the parameters that move with it, shape ``(size,)`` each.
    is_parameter
        Whether a parameter spans it, which may be called ``run``, too.
    """

    name: str
    size: int
    coordinates: dict[str, Any]
    is_parameter: bool = True


@attrs.frozen(eq=False)
class Placement:
    """The axes, and which run stands in each cell.

    Attributes
    ----------
    cells
        The cell of each run, as if the grid were flat, shape ``(n,)``.
    """

    axes: tuple[Axis, ...]
    cells: Index

    @property
    def shape(self) -> tuple[int, ...]:
        """The grid's shape."""
        return tuple(axis.size for axis in self.axes)

    def rows(self) -> Index:
        """Which of the runs stands in each cell, -1 where none does; shape of the grid."""
        rows = np.full(self.shape, -1, np.int64)
        rows.reshape(-1)[self.cells] = np.arange(len(self.cells))
        return rows


def placement(selection: Selection) -> Placement:
    """Place the runs by their coordinates.

    Names that move together share an axis. The whole trajectory tells whether it is a grid, so that a
    selection of it keeps its dimensions, with the coordinates that it still has.
    """
    runs = selection.runs
    groups = _groups(selection.recorded)
    if groups is None:
        return Placement((Axis("run", len(runs), {"run": runs}, is_parameter=False),), np.arange(len(runs)))
    axes: list[Axis] = []
    cells = np.zeros(len(runs), np.int64)
    for names, column in groups.items():
        used, codes = column.among(selection.chosen)
        order = _order(_values(selection, names[0], column.first[used]))
        used, codes = used[order], np.argsort(order)[codes]
        values = {name: _values(selection, name, column.first[used]) for name in names}
        axes.append(Axis(names[0], len(used), values, is_parameter=names[0] != TRIAL))
        cells = cells * len(used) + codes
    return Placement(tuple(axes), cells)


def _order(coordinates: Any) -> Index:
    """In which order an axis shows its coordinates: ascending where they have an order, else as they turned up."""
    array = data_of(coordinates)
    if array.ndim > 1:
        return np.arange(len(array))
    try:
        return np.argsort(np.asarray(array), kind="stable")
    except TypeError:  # texts beside numbers
        return np.arange(len(array))


def _values(selection: Selection, name: str, runs: Index) -> Any:
    if name == TRIAL:
        return np.asarray(selection.recorded.run_column(TRIAL))[runs]
    return as_array(selection.recorded.rows(name, runs))


def _groups(recorded: Recorded) -> dict[tuple[str, ...], Coded] | None:
    """The names of each axis, the one that spans it first; None where the points are no grid."""
    n = len(recorded)
    columns: dict[str, Coded] = {}
    for name in recorded.explored if n else ():
        column = coded(recorded.column(name, slice(0, n)))
        if column is None:
            return None
        columns[name] = column
    groups = together(columns)
    if sum(column.varies for column in groups.values()) == 1 and any(len(names) > 1 for names in groups):
        return None  # all names move together: a list of points
    trial = recorded.run_column(TRIAL)
    if trial is not None:
        groups[TRIAL,] = numbered(trial)
    return groups if groups and _is_grid(list(groups.values()), n) else None


def _is_grid(columns: Sequence[Coded], n: int) -> bool:
    """Whether the points fill a good part of their grid, none of them twice."""
    cells = np.zeros(n, np.int64)
    size = 1
    for column in columns:
        size *= len(column.first)
        if size > max(_SPARSEST * n, 64):
            return False
        cells = cells * len(column.first) + column.codes
    taken = np.zeros(size, bool)
    taken[cells] = True
    return int(taken.sum()) == n


def grid(selection: Selection, name: str) -> Grid:
    """One name's values, placed."""
    where = placement(selection)
    values = placed(selection.array(name), where.rows())
    return Grid(values, {axis.name: axis.coordinates[axis.name] for axis in where.axes})


def placed(column: Any, rows: Index) -> Any:
    """A column's rows at these places; missing where the place is -1."""
    hole = rows < 0
    if not hole.any():
        return column[rows]
    values = column[np.where(hole, 0, rows)]
    if column.dtype.kind in "fcmM":
        plain = values.view(np.ndarray) if isinstance(values, np.ndarray) else values  # NaN has no unit
        plain[hole] = np.nan if column.dtype.kind in "fc" else np.array("NaT", column.dtype)
        return values
    masked: Any = np.ma.MaskedArray
    values = masked(values)
    values[hole] = np.ma.masked
    return values
