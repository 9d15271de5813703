"""How often is each point repeated: until its results are known well enough?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np

from simkit.declare.expressions import evaluate, names_of
from simkit.declare.forms import Array, Form, Index, Repeat, Subset, Values
from simkit.declare.operators import FUNCTIONS
from simkit.errors import SimkitError

Table = np.ndarray[Any, np.dtype[np.float64]]


@attrs.frozen(eq=False)
class Until:
    """Each point several times, and further times until a condition on its results holds.

    As a form it has the trials that each point gets in any case.

    Attributes
    ----------
    first
        These trials.
    test
        The condition, such as ``sem(z) < 0.01``.
    most
        How many trials a point gets at most.
    where
        Where it stands in the user's code.
    """

    first: Repeat
    test: str
    most: int
    where: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the points give, ``trial`` the last one."""
        return self.first.names

    @property
    def optional(self) -> frozenset[str]:
        """The names that some points may lack."""
        return self.first.optional

    @property
    def parts(self) -> tuple[Form, ...]:
        """What is repeated."""
        return self.first.parts

    def __len__(self) -> int:
        return len(self.first)

    def at(self, index: Index) -> dict[str, Values]:
        """The values at these points."""
        return self.first.at(index)

    def chosen(self, index: Index) -> Subset:
        """Any trials of the points: number ``point * most + trial`` is one of them."""
        return Subset(Repeat(self.first.inner, self.most), index)

    @property
    def start(self) -> Index:
        """The numbers of the trials that each point gets in any case, in order."""
        point, trial = np.divmod(np.arange(len(self), dtype=np.int64), self.first.times)
        numbers: Index = point * self.most + trial
        return numbers

    @property
    def results(self) -> list[str]:
        """The names in the condition that are not explored."""
        return [name for name in names_of(self.test) if name not in self.names]

    def is_enough(self, results: Mapping[str, Table], values: Mapping[str, Values]) -> Array:
        """For which points the condition holds.

        Parameters
        ----------
        results
            By name, shape ``(points, trials)``; NaN where a trial gave no number.
        values
            The explored values of the points.

        Raises
        ------
        SimkitError
            For a name that is neither, and for what can't be computed.
        """

        def column(name: str) -> Array:
            return results[name] if name in results else values[name].array

        points = len(next(iter(results.values())))
        with np.errstate(all="ignore"):
            verdict = evaluate(self.test, (*results, *values), column, f"{self.where}: until", _OF_TRIALS)
        if np.shape(verdict) not in ((), (points,)):
            msg = f"{self.where}: until={self.test!r}: a result has a value for each trial: write {_STATED}"
            raise SimkitError(msg)
        return np.broadcast_to(verdict, (points,))


def _count(table: Table) -> Array:
    return np.asarray((~np.isnan(table)).sum(-1))


def _mean(table: Table) -> Array:
    return np.asarray(np.nansum(table, -1) / _count(table))


def _std(table: Table) -> Array:
    squares = (table - _mean(table)[..., None]) ** 2
    return np.asarray(np.sqrt(np.nansum(squares, -1) / np.maximum(_count(table) - 1, 0)))


def _sem(table: Table) -> Array:
    return np.asarray(_std(table) / np.sqrt(_count(table)))


def _over_trials(function: Callable[[Table], Array]) -> Callable[[Any], Array]:
    def checked(table: Any) -> Array:
        if np.ndim(table) != 2:
            msg = "it is no result, which has a value for each trial"
            raise TypeError(msg)
        return function(table)

    return checked


_STATISTICS: dict[str, Callable[[Table], Array]] = {
    "mean": _mean,
    "std": _std,
    "sem": _sem,
    "rel": lambda table: np.asarray(_sem(table) / np.abs(_mean(table))),
    "count": _count,
}
_STATED = "mean(z), std(z), sem(z), rel(z) = sem(z) / abs(mean(z)), or count(z)"
_OF_TRIALS = {**FUNCTIONS, **{name: _over_trials(function) for name, function in _STATISTICS.items()}}


def until(repeat: Repeat, test: Any, most: Any, where: str) -> Until:
    """Repeat until a condition holds; it is read with made-up results, so that a mistake is found at once.

    Raises
    ------
    SimkitError
        For what is no condition, and without a number of trials that is enough in any case.
    """
    if not isinstance(test, str):
        msg = f"{where}: until={test!r}: write the condition as a text, such as until='sem(z) < 0.01'"
        raise SimkitError(msg)
    if isinstance(most, bool) or not isinstance(most, (int, np.integer)) or most < repeat.times:
        msg = (
            f"{where}: repeat({repeat.times}, until=…, most={most!r}): say how many trials a point gets at most, "
            f"as in most={20 * repeat.times}"
        )
        raise SimkitError(msg)
    form = Until(repeat, test, int(most), where)
    try:
        size = min(2, len(repeat.inner))
    except SimkitError:  # of another experiment's runs, of which none is recorded yet
        size = 0
    made_up = {name: np.ones((size, 3)) for name in form.results}
    if made_up or not names_of(test):
        form.is_enough(made_up or {"": np.ones((size, 3))}, repeat.inner.at(np.arange(size)))
    if not made_up:
        msg = f"{where}: until={test!r} names no result, so that no trial could change it: write {_STATED}"
        raise SimkitError(msg)
    return form
