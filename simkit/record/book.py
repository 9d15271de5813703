"""What can be asked of a recorded trajectory?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs
import h5py

from simkit.declare.forms import Array, Index
from simkit.record.additions import Additions
from simkit.record.columns.rows import Rows
from simkit.record.facts import Origin
from simkit.values.batch import Batch, Restored
from simkit.values.columns import Column


@attrs.frozen
class About:
    """What is known of a recorded name."""

    name: str
    section: str
    constant: bool
    explored: bool
    comment: str
    unit: str
    origin: str


class Book(Protocol):
    """Reads one trajectory: row i of every column is run i."""

    @property
    def explored(self) -> tuple[str, ...]:
        """The explored names, in the order in which they were declared."""

    @property
    def sessions(self) -> Sequence[dict[str, Any]]:
        """The circumstances of each session, in order."""

    @property
    def additions(self) -> Additions:
        """What was added after the runs: derived values, remarks, second names."""

    def __len__(self) -> int: ...

    def names(self, section: str) -> list[str]:
        """The names of a section: ``parameters``, ``results`` or ``summary``."""

    def about(self, name: str) -> About:
        """What is known of a name besides its values."""

    def constant(self, name: str) -> Column:
        """The value of a name that does not vary, as a column of one row."""

    def column(self, name: str, rows: slice) -> Column:
        """Consecutive rows of a name that varies."""

    def rows(self, name: str, runs: Index, *, packed: bool = False) -> Column:
        """A name's rows at these run numbers, in any order; a constant is repeated."""

    def batches(self, runs: Index, names: Collection[str], *, packed: bool = False) -> Iterator[Batch]:
        """These runs in this order, a batch being what memory holds at ease, with these parameters and results."""

    def run_column(self, name: str, rows: slice | None = None) -> Array | None:
        """What is known of each run: ``status``, ``started``, ``seconds`` …; None where it was not used."""

    def texts(self, kind: str, run: int) -> list[str]:
        """The entries of kind ``error``, ``log`` or ``notes`` of a run, the newest last."""


class ShardBook(Book, Protocol):
    """One file of a set: run 0 there is the first run of its stretch."""

    path: Path
    attributes: Mapping[str, Any]

    @property
    def root(self) -> h5py.Group:
        """The experiment's group."""

    def section_of(self, name: str) -> str | None:
        """Where a name stands."""

    def is_constant(self, name: str) -> bool:
        """Whether a name has one value for all runs."""

    def row_bytes(self, name: str) -> int:
        """About how many bytes one row takes."""

    def present(self, name: str) -> Array:
        """Which rows of a name hold a value."""

    def latest_texts(self, kind: str, runs: Index) -> dict[int, str]:
        """The newest error or log of each of these runs that has one."""

    def origin(self, run: int) -> Origin:
        """Where a run was recorded first."""

    def diff(self, session: int) -> bytes:
        """What differed from the commit in a session."""

    def note_names(self, run: int) -> list[str]:
        """Which results a run's notes are on."""

    def checkpoints(self) -> dict[int, Restored]:
        """What runs that are not done committed last."""

    def run_column(self, name: str, rows: Rows | None = None) -> Array | None:
        """What is known of each run."""

    def close(self) -> None:
        """Close the file."""
