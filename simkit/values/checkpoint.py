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
    """Where a new attempt may begin: the user's state, the results added, and the series so far."""

    state: dict[str, Any]
    added: dict[str, Any]
    series: dict[str, list[Any]]


class Checkpoints:
    """The latest checkpoint of each run that is not done."""

    def __init__(self, known: Mapping[int, Restored] | None = None) -> None:
        self.known = dict(known or {})

    def take(self, checkpoint: Checkpoint) -> None:
        """Remember a checkpoint."""
        before = None if checkpoint.first else self.known.get(checkpoint.run)
        series = {} if before is None else {name: list(rows) for name, rows in before.series.items()}
        for name, column in checkpoint.rows.items():
            series.setdefault(name, []).extend(decode(column))
        self.known[checkpoint.run] = restored(checkpoint.state, series)

    def of(self, runs: Iterable[int]) -> dict[int, Restored]:
        """What these runs may begin from."""
        return {run: self.known[run] for run in runs if run in self.known} if self.known else {}

    def forget(self, runs: Iterable[int]) -> None:
        """These runs are done."""
        for run in runs if self.known else ():
            self.known.pop(run, None)


def restored(state: Column, series: dict[str, list[Any]]) -> Restored:
    """A checkpoint as Python values; instances of classes that this process knows are such instances again."""
    values = decode(state)[0]
    rows = {name: [revived(row, loaded) for row in each] for name, each in series.items()}
    return Restored(revived(values["state"], loaded), revived(values["added"], loaded), rows)
