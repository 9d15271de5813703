"""What a run says about itself while it computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from simkit.errors import SimkitError

_SCALARS = (bool, int, float, complex, np.generic)


class Run:
    """The present run, injected where an experiment has an argument ``run``.

    ``simkit.Run()`` makes one that only collects, for tests of a simulation function.

    Attributes
    ----------
    index
        The run's number in the trajectory.
    trial
        Which repetition of its point it is, from 0.
    """

    __slots__ = ("_notes", "_results", "_series", "index", "trial")

    def __init__(self, index: int = 0, trial: int = 0) -> None:
        self.index, self.trial = index, trial
        self._results: dict[str, Any] = {}
        self._series: dict[str, list[Any]] = {}
        self._notes: list[tuple[str, str]] = []

    def add(self, results: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Record results, as returning them does; each name once.

        Raises
        ------
        SimkitError
            When a name was added or appended before.
        """
        given = {**(results or {}), **named}
        twice = [name for name in given if name in self._results or name in self._series]
        if twice:
            msg = (
                f"run.add(): result {twice[0]!r} was added twice in run {self.index}\n"
                "    use run.append() for a series"
            )
            raise SimkitError(msg)
        self._results.update(given)

    def append(self, rows: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Record one more row of each of these series.

        Rows of one type and shape become one array, others a list.
        """
        for name, row in {**(rows or {}), **named}.items():
            if name in self._results:
                msg = f"run.append(): {name!r} is a result of run {self.index} already"
                raise SimkitError(msg)
            self._series.setdefault(name, []).append(row)

    def note(self, text: str = "", /, **named: str) -> None:
        """Remark something on this run, or on some of its results by name."""
        if text:
            self._notes.append(("", text))
        self._notes.extend(named.items())

    @property
    def results(self) -> dict[str, Any]:
        """What was added and appended so far, series as arrays."""
        if not self._series:
            return self._results
        return {**self._results, **{name: _series(rows) for name, rows in self._series.items()}}

    @property
    def notes(self) -> list[tuple[str, str]]:
        """The remarks so far: ``(name, text)``, the name empty for the run itself."""
        return self._notes

    def __repr__(self) -> str:
        return f"<Run {self.index}: {', '.join(self.results) or 'no results yet'}>"


def _series(rows: list[Any]) -> Any:
    kinds = {type(row) for row in rows}
    arrays = kinds == {np.ndarray} and len({(row.shape, row.dtype) for row in rows}) == 1
    if arrays or (len(kinds) == 1 and issubclass(next(iter(kinds)), _SCALARS)):
        stacked = np.array(rows)
        return rows if stacked.dtype == object else stacked
    return rows
