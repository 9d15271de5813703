"""What a run under way has committed, so that another attempt can go on from there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from simkit.values.classes import loaded, revived
from simkit.values.columns import Column, nbytes
from simkit.values.decode import decode


@attrs.frozen(eq=False)
class Checkpoint:
    """A run's state at one moment, and the rows it appended since the last one.

    Attributes
    ----------
    state
        One row: a dictionary of ``state`` as the user gave it and of the results ``added`` so far.
    rows
        The new rows of each series.
    first
        Whether it is the first of an attempt that did not restore: older ones do not count any more.
    """

    run: int
    state: Column
    rows: Mapping[str, Column]
    first: bool

    @property
    def nbytes(self) -> int:
        """About how much memory it takes, in bytes."""
        return nbytes(self.state) + sum(map(nbytes, self.rows.values()))


@attrs.frozen(eq=False)
class Restored:
    """Where a new attempt may begin, as columns: pickling values on the way to a worker could change them.

    Attributes
    ----------
    state
        As in `Checkpoint`.
    series
        The columns that each series consists of so far.
    """

    state: Column
    series: Mapping[str, tuple[Column, ...]]

    def values(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, list[Any]]]:
        """The user's state, the results added, and the series, with instances of classes that are loaded."""
        told = revived(decode(self.state)[0], loaded)
        series = {
            name: [revived(row, loaded) for column in columns for row in decode(column)]
            for name, columns in self.series.items()
        }
        return told["state"], told["added"], series


class Checkpoints:
    """The latest checkpoint of each run that is not done."""

    def __init__(self, known: Mapping[int, Restored] | None = None) -> None:
        self.known = dict(known or {})

    def take(self, checkpoint: Checkpoint) -> None:
        """Remember a checkpoint."""
        before = None if checkpoint.first else self.known.get(checkpoint.run)
        series = {} if before is None else dict(before.series)
        for name, column in checkpoint.rows.items():
            series[name] = (*series.get(name, ()), column)
        self.known[checkpoint.run] = Restored(checkpoint.state, series)

    def of(self, runs: Iterable[int]) -> dict[int, Restored]:
        """What these runs may begin from."""
        return {run: self.known[run] for run in runs if run in self.known} if self.known else {}

    def forget(self, runs: Iterable[int]) -> None:
        """These runs are done."""
        for run in runs if self.known else ():
            self.known.pop(run, None)
