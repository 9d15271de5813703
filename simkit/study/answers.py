"""What became of the points that were asked for, and of those in earlier sessions?"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from simkit.declare.forms import Array, Index
from simkit.errors import listed
from simkit.record.recorded import Recorded
from simkit.values.batch import Batch
from simkit.values.columns import Column

LARGE = 65_536  # bytes of one run's value that is read from the file when it is wanted


class Answers(Mapping[str, Any]):
    """What some points gave: columns by name, in the order of the points, missing where a run failed.

    Attributes
    ----------
    runs
        Their run numbers, shape ``(n,)``.
    status
        ``done``, ``failed``, ``timeout`` or ``crashed``, shape ``(n,)``.
    """

    def __init__(
        self, runs: Index, status: Array, columns: Mapping[str, Any], large: Callable[[str], Any] | None = None,
        others: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.runs, self.status = runs, status
        self._columns, self._large, self._others = dict(columns), large, others

    def __getitem__(self, name: str) -> Any:
        if name not in self._columns:
            if name not in self._others or self._large is None:
                msg = f"no run gave {name!r}; there are: {listed(name, self)}"
                raise KeyError(msg)
            self._columns[name] = self._large(name)
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self._columns, *(name for name in self._others if name not in self._columns)))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        return f"<Answers of {len(self.runs)} points: {', '.join(self)}>"


class History:
    """What was asked for and answered in earlier sessions.

    Attributes
    ----------
    runs
        The run numbers of the points that were asked for, in this order.
    asked
        How many answers had been given before each of them was asked for.
    told
        The place of each among the answers, -1 where there was none.
    """

    def __init__(self, recorded: Recorded | None) -> None:
        asked = None if recorded is None else recorded.run_column("asked")
        told = None if recorded is None else recorded.run_column("told")
        self.runs: Index = np.empty(0, np.int64) if asked is None else np.flatnonzero(asked >= 0)
        self.asked = self.runs if asked is None else asked[self.runs]
        self.told = np.full(len(self.runs), -1) if told is None else told[self.runs]
        self.next = 0

    def take(self, count: int) -> Index:
        """The recorded runs of the next points that are asked for: at most this many."""
        runs = self.runs[self.next : self.next + count]
        self.next += len(runs)
        return runs

    def forget(self, from_run: int) -> Index:
        """From this run on other points are asked for; the runs that are not asked for any more."""
        gone = self.runs[self.runs >= from_run]
        self.runs = self.runs[self.runs < from_run]
        return gone

    def is_told(self, runs: Index) -> Array:
        """Which of these runs were answered."""
        answered = self.runs[self.told[: len(self.runs)] >= 0]
        return np.isin(runs, answered)


class Pieces:
    """The columns of batches, by the positions of their runs."""

    def __init__(self) -> None:
        self.columns: dict[str, list[tuple[Index, Column]]] = {}
        self.large: dict[str, None] = {}

    def take(self, positions: Index, batch: Batch) -> None:
        """Keep a batch's columns; large ones are in the file."""
        for name, column in {**batch.parameters, **batch.results}.items():
            if column.nbytes > LARGE * max(1, column.n):
                self.large[name] = None
                self.columns.pop(name, None)
            elif name not in self.large:
                self.columns.setdefault(name, []).append((positions, owned(column)))


def owned(column: Column) -> Column:
    """A column that stays as it is: large arrays lie in memory that a worker fills again."""
    if column.nbytes < LARGE:
        return column
    arrays: list[pickle.PickleBuffer] = []
    data = pickle.dumps(column, 5, buffer_callback=arrays.append)
    return pickle.loads(data, buffers=[bytearray(array.raw()) for array in arrays])  # type: ignore[no-any-return]


def missing_column(n: int, empty: Array) -> Array:
    """A column of a name that no run gave this time: missing, of the type that it had before."""
    shape = (n, *empty.shape[1:])
    if empty.dtype.kind in "fcmM":
        return np.full(shape, "NaT" if empty.dtype.kind in "mM" else np.nan, empty.dtype)
    masked: Any = np.ma.MaskedArray
    return np.asanyarray(masked(np.zeros(shape, empty.dtype), True))
