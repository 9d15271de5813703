"""Does what a run gives depend on which others are computed with it?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from simkit.inject.watch import Warned
from simkit.values.columns import Column
from simkit.values.compare import EXACT, Tolerance, differing, gap
from simkit.values.decode import as_array

DEPENDENT = "dependent_runs"  # the name that silences it
_CURE = (
    "what a run gives depends on which others are computed with it: results must have one row for each run, made of\n"
    "    that run's values only; random numbers come from 'seed', an array with a seed for each run"
)
_ROUNDED = (
    "runs computed alone differ in their last digits (by up to {0:.1g} of the value in {1!r}), since libraries round "
    "differently for other sizes of arrays: simkit verify needs --rtol"
)


class Neighbours:
    """Runs of one call, compared with the same runs computed alone.

    Parameters
    ----------
    columns
        What the call gave, by name.
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = columns
        self.dependent: list[Warned] = []
        self.widest = (0.0, "")  # the largest relative difference by rounding, and its name

    def failed(self, run: int, reason: str) -> None:
        """A run that the call computed fails alone."""
        self.dependent.append((DEPENDENT, f"run {run}, computed alone, fails: {reason}\n    {_CURE}"))

    def compare(self, run: int, row: int, alone: Mapping[str, Column]) -> None:
        """Compare a row of the call with what its run gave alone."""
        for name in dict.fromkeys((*self.columns, *alone)):
            column, other = self.columns.get(name), alone.get(name, Column(1, ()))
            one = Column(1, ()) if column is None else column.take(np.array([row]))
            if not differing(one, other, EXACT)[0]:
                continue
            if differing(one, other, _rounding(column or other, other))[0]:
                text = f"run {run}, computed alone, gives another {name!r}{_both(one, other)}"
                self.dependent.append((DEPENDENT, f"{text}\n    {_CURE}"))
            else:
                apart = gap(one, other)
                self.widest = max(self.widest, (0.0 if apart is None else apart.relative, name))

    @property
    def warnings(self) -> list[Warned]:
        """What is to be said: of the first run that depends on others, else of rounding."""
        if self.dependent:
            return self.dependent[:1]
        return [("", _ROUNDED.format(*self.widest))] if self.widest[1] else []


def without_neighbours(warned: Iterable[Warned]) -> list[Warned]:
    """Warnings without those of a comparison that is explained otherwise."""
    return [warning for warning in warned if warning[0] not in (DEPENDENT, "")]


def _rounding(column: Column, alone: Column) -> Tolerance:
    """How far apart rounding may bring numbers: half of their digits, measured at the largest of the column."""
    arrays = [as_array(each) for each in (column, alone)]
    kinds = [array.dtype for array in arrays if array.dtype.kind in "fc"]
    if not kinds or any(type(array) is not np.ndarray for array in arrays):
        return Tolerance(float(np.sqrt(np.finfo("f8").eps)))
    rtol = max(float(np.sqrt(np.finfo(dtype).eps)) for dtype in kinds)
    finite = [np.abs(array[np.isfinite(array)]) for array in arrays if array.dtype.kind in "iufc"]
    largest = max((float(size.max()) for size in finite if size.size), default=0.0)
    return Tolerance(rtol, rtol * largest)


def _both(one: Column, other: Column) -> str:
    shown = [_short(as_array(side)[0]) if side.variants else "nothing" for side in (other, one)]
    return f" ({shown[0]}) than together with others ({shown[1]})" if all(shown) else ""


def _short(value: Any) -> str:
    text = f"{value}"
    return text if len(text) <= 40 and "\n" not in text else ""
