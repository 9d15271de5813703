"""Where does each run stand in the grid that was explored?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import numpy as np

from simkit.analyse.columns import Columns
from simkit.declare.axes import Array, Index, objects
from simkit.declare.forms import TRIAL
from simkit.record.recorded import Recorded
from simkit.values.decode import as_array, decode
from simkit.values.same import digest

if TYPE_CHECKING:
    from simkit.analyse.trajectory import Trajectory

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
class Axis:
    """One dimension.

    Attributes
    ----------
    name
        The parameter that spans it, ``trial`` or ``run``.
    coordinates
        Its values, and those of the parameters that move with it, shape ``(size,)`` each.
    """

    name: str
    size: int
    coordinates: dict[str, Any]


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


@attrs.frozen(eq=False)
class _Coded:
    """A column as numbers, equal for equal values, counted in the order in which they turn up."""

    codes: Index
    first: Index  # where each number turns up first

    def among(self, chosen: Index | None) -> tuple[Index, Index]:
        """Which numbers some runs have, and which of these each run has."""
        if chosen is None:
            return np.arange(len(self.first)), self.codes
        used, codes = np.unique(self.codes[chosen], return_inverse=True)
        return used, codes.reshape(-1)

    def determines(self, other: _Coded) -> bool:
        """Whether this value always comes with the same of the other's."""
        return len(self.first) > 1 and bool((other.codes[self.first][self.codes] == other.codes).all())


def placement(trajectory: Trajectory) -> Placement:
    """Place the runs by their coordinates.

    Names that move together share an axis. The whole trajectory tells whether it is a grid, so that a
    selection of it keeps its dimensions, with the coordinates that it still has.
    """
    columns, runs = trajectory._columns, trajectory.index
    groups = _groups(trajectory._recorded)
    if groups is None:
        return Placement((Axis("run", len(runs), {"run": runs}),), np.arange(len(runs)))
    axes: list[Axis] = []
    cells = np.zeros(len(runs), np.int64)
    for names, coded in groups.items():
        used, codes = coded.among(columns.chosen)
        at = coded.first[used]
        values = {
            n: np.asarray(columns.recorded.run_column(n))[at] if n == TRIAL else _values(columns, n, at)
            for n in names
        }
        axes.append(Axis(names[0], len(used), values))
        cells = cells * len(used) + codes
    return Placement(tuple(axes), cells)


def _values(columns: Columns, name: str, runs: Index) -> Any:
    return as_array(columns.read(name, runs))


def _groups(recorded: Recorded) -> dict[tuple[str, ...], _Coded] | None:
    """The names of each axis, the one that spans it first; None where the points are no grid."""
    n = len(recorded)
    columns = {name: _coded(recorded, name) for name in recorded.explored}
    trial = recorded.run_column(TRIAL)
    if not n or (not columns and trial is None) or any(coded is None for coded in columns.values()):
        return None
    left = {name: coded for name, coded in columns.items() if coded is not None}
    groups: dict[tuple[str, ...], _Coded] = {}
    while left:
        name = _spanning(left)
        coded = left[name]
        mine = [
            other
            for other in left
            if other == name or (_varies(left[other]) and coded.determines(left[other]))
        ]
        groups[name, *(other for other in mine if other != name)] = coded
        left = {other: column for other, column in left.items() if other not in mine}
    if sum(_varies(coded) for coded in groups.values()) == 1 and any(len(names) > 1 for names in groups):
        return None  # all names move together: a list of points
    order = list(recorded.explored)
    groups = dict(sorted(groups.items(), key=lambda item: min(order.index(name) for name in item[0])))
    if trial is not None:
        groups[TRIAL,] = _numbered(trial)
    return groups if _is_grid(list(groups.values()), n) else None


def _varies(coded: _Coded) -> bool:
    return len(coded.first) > 1


def _spanning(left: dict[str, _Coded]) -> str:
    """The next axis' name: the first that no finer one determines."""
    for name, coded in left.items():
        finer = (other for other in left.values() if len(other.first) > len(coded.first))
        if not _varies(coded) or not any(other.determines(coded) for other in finer):
            return name
    return next(iter(left))


def _is_grid(columns: Sequence[_Coded], n: int) -> bool:
    """Whether the points fill a good part of their grid, none of them twice."""
    cells = np.zeros(n, np.int64)
    size = 1
    for coded in columns:
        size *= len(coded.first)
        if size > _SPARSEST * n and size > 64:
            return False
        cells = cells * len(coded.first) + coded.codes
    taken = np.zeros(size, bool)
    taken[cells] = True
    return int(taken.sum()) == n


def _coded(recorded: Recorded, name: str) -> _Coded | None:
    """An explored column as numbers; None where some runs lack it."""
    column = recorded.column(name, slice(0, len(recorded)))
    if not column.present().all():
        return None
    array = np.asarray(as_array(column))
    if array.ndim == 1 and array.dtype.kind in "biufmM" and array.dtype.itemsize <= 8:
        return _numbered(array)
    return _numbered(objects([v if type(v) is str else digest(v) for v in decode(column)]))


def _numbered(array: Array) -> _Coded:
    import pandas as pd

    codes = np.asarray(pd.factorize(array, use_na_sentinel=False)[0], np.int64)
    first = np.empty(int(codes.max(initial=-1)) + 1, np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # the last one written is the first that turns up
    return _Coded(codes, first)


def grid(trajectory: Trajectory, name: str) -> Grid:
    """One name's values, placed."""
    where = placement(trajectory)
    values = placed(trajectory[name], where.rows())
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
