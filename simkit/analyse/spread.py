"""A result's mean and spread over trials, at each value of one or two parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
import numpy as np

from simkit.analyse.coding import Coded, coded, numbered, together
from simkit.analyse.missing import data_of, mask_of
from simkit.analyse.units import magnitude
from simkit.declare.axes import Array
from simkit.errors import SimkitError, listed

if TYPE_CHECKING:
    from simkit.analyse.trajectory import Trajectory

_LONGEST = 40  # a comment that still fits beside an axis


@attrs.frozen(eq=False)
class Labelled:
    """The values along one direction of a figure, ascending where they are numbers.

    Attributes
    ----------
    label
        Name, comment and unit.
    values
        Shape ``(n,)``: numbers, or the words for anything else.
    """

    name: str
    label: str
    values: Array

    @property
    def is_numeric(self) -> bool:
        """Whether they have places on a scale."""
        return self.values.dtype.kind in "iuf"


@attrs.frozen(eq=False)
class Spread:
    """Means over trials.

    Attributes
    ----------
    over
        The parameters, one or two.
    mean, deviation, count
        Shape: a value of each parameter; NaN where there is no run. The deviation is that of the sample.
    """

    label: str
    over: tuple[Labelled, ...]
    mean: Array
    deviation: Array
    count: Array


def spread(trajectory: Trajectory, name: str, over: Sequence[str | None]) -> Spread:
    """Average a result over the runs that share the values of up to two parameters.

    Parameters
    ----------
    over
        The parameters; None stands for an explored one that varies and is not named yet, if there is any.

    Raises
    ------
    SimkitError
        For a result that is no real number per run, or when other parameters vary too.
    """
    values, label = _numbers(trajectory, name)
    names = _completed(trajectory, name, over)
    parts = [_labelled(trajectory, each) for each in names]
    shape = tuple(len(labelled.values) for labelled, _ in parts)
    cells = np.zeros(len(values), np.int64)
    for labelled, codes in parts:
        cells = cells * len(labelled.values) + codes
    there = np.isfinite(values)
    size = int(np.prod(shape))
    count = np.bincount(cells[there], minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(cells[there], values[there], size) / count
        squares = np.bincount(cells[there], (values[there] - mean[cells[there]]) ** 2, size)
        deviation = np.sqrt(squares / (count - 1))
    arrays = (array.reshape(shape) for array in (mean, deviation, count))
    return Spread(label, tuple(labelled for labelled, _ in parts), *arrays)


def _numbers(trajectory: Trajectory, name: str) -> tuple[Array, str]:
    column, unit = magnitude(trajectory, name, trajectory[name])
    if column.ndim > 1 or not trajectory._columns.is_scalar(name):
        one = f"traj.runs[0].{name}"
        msg = f"{name} is more than a number per run: plot one run's, {one}, or reduce it to a number first"
        raise SimkitError(msg)
    if column.dtype.kind not in "biuf":
        msg = f"{name} is no real number in every run, so it can't be plotted: {column.dtype}"
        raise SimkitError(msg)
    values = data_of(column).astype(float)
    values[mask_of(column)] = np.nan
    return values, _label(trajectory, name, unit)


def _label(trajectory: Trajectory, name: str, unit: str) -> str:
    comment = trajectory.describe(name).comment.partition("\n")[0].rstrip(".") if name in trajectory else ""
    text = f"{name}: {comment}" if 0 < len(comment) <= _LONGEST else name
    return f"{text} [{unit}]" if unit else text


def _completed(trajectory: Trajectory, result: str, over: Sequence[str | None]) -> list[str]:
    """The parameters' names, the missing ones chosen among those that vary."""
    given = [name for name in over if name is not None]
    free = _free(trajectory, given)
    names = [name or (free.pop(0) if free else None) for name in over]
    found = [name for name in names if name is not None]
    if not found:
        msg = (
            f"nothing that was explored varies in these runs, so there is nothing to plot {result} over\n"
            f"    explored: {listed('', trajectory.explored)}"
        )
        raise SimkitError(msg)
    if free:
        shown = ", ".join(free)
        value = trajectory[free[0]].tolist()[0]
        msg = (
            f"{result} over {' and '.join(found)}: {shown} varies too\n"
            f"    choose its value first, as in traj.where({free[0]}={value!r}).plot"
        )
        raise SimkitError(msg)
    return found


def _free(trajectory: Trajectory, given: Sequence[str]) -> list[str]:
    """The explored names that vary here, one for each that move together, apart from those given."""
    chosen = [_coded(trajectory, name) for name in given]
    left = {name: _coded(trajectory, name) for name in trajectory.explored if name not in given}
    left = {name: c for name, c in left.items() if c.varies and not any(o.determines(c) for o in chosen)}
    return [names[0] for names in together(left)]


def _coded(trajectory: Trajectory, name: str) -> Coded:
    if name in trajectory._columns.run_names:
        return numbered(trajectory[name])
    column = coded(trajectory._columns.column(trajectory._known(name)))
    if column is None:
        msg = f"{name} is absent in some runs: choose others with traj.where(...) first"
        raise SimkitError(msg)
    return column


def _labelled(trajectory: Trajectory, name: str) -> tuple[Labelled, Array]:
    """A parameter's values, each once, and which of them each run has."""
    column = _coded(trajectory, name)
    values, unit = magnitude(trajectory, name, trajectory[name][column.first])
    label = _label(trajectory, name, unit)
    if values.dtype.kind not in "iuf" or values.ndim > 1:
        words = np.array([str(value) for value in values], object)
        return Labelled(name, label, words), column.codes
    order = np.argsort(values)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return Labelled(name, label, values[order]), rank[column.codes]
