"""What of a file is damaged, and which runs can't be read because of it?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import h5py
import numpy as np

from simkit.declare.forms import Index
from simkit.declare.reflection import is_a
from simkit.errors import Damaged, SimkitError, shown_path
from simkit.record.attachments import FILES, lost_files
from simkit.record.catalogue import experiments
from simkit.record.columns.rows import read_rows
from simkit.record.file.locks import written_name
from simkit.record.file.store import viewed
from simkit.record.recorded import Recorded
from simkit.record.shards import is_there

_AT_ONCE = 16 << 20  # bytes of values that are read at once
UNREADABLE = (SimkitError, OSError, RuntimeError, KeyError, ValueError)  # what HDF5 and h5py raise on damage


@attrs.frozen
class Damage:
    """What is wrong with a file.

    Attributes
    ----------
    is_checked
        Whether the file has checksums: another program that changed it has dropped them.
    size
        Bytes that were compared.
    places
        The first byte of each damaged block, and the byte behind it.
    lost
        By experiment and name, the numbers of the runs whose value can't be read; none for a constant. Names such as
        ``runs/seconds`` are what is known of each run besides.
    structure
        Why nothing at all can be read of an experiment, or of the file; empty where something can.
    """

    is_checked: bool
    size: int
    places: list[tuple[int, int]]
    lost: dict[tuple[str, str], list[int]] = attrs.field(factory=dict)
    structure: str = ""

    def runs(self, experiment: str) -> Index:
        """The runs of which something can't be read, ascending; a constant costs none."""
        lost = [run for (of, _), runs in self.lost.items() if of == experiment for run in runs]
        return np.unique(np.array(lost, np.int64))


@contextmanager
def alterations(paths: Iterable[Path]) -> Iterator[None]:
    """Tell what another program did to files that are read here; any other failure goes its way.

    Parameters
    ----------
    paths
        Asked for only when something fails.

    Raises
    ------
    Damaged
        When reading fails in a way of its own, and a file has lost simkit's checksums, as it does when it is changed by
        another program.
    """
    try:
        yield
    except SimkitError:
        raise
    except Exception as error:
        altered = [] if is_a(error, OSError) and error.errno else [*filter(is_altered, paths)]
        if not altered:
            raise
        what = " ".join(str(error).split()) or type(error).__name__
        raise Damaged(
            f"{shown_path(altered[0])}: another program has changed it, and its parts do not fit together any more: "
            f"{what}\n    take the file as it was before, or undo what that program did"
        ) from error


def is_altered(path: Path) -> bool:
    """Whether another program wrote a file after simkit had: simkit's checksums are gone."""
    try:
        return viewed(written_name(path)).checksums is None
    except (SimkitError, OSError):
        return False


def damage_of(path: Path) -> Damage:
    """Compare a whole file with its checksums; where they differ, try what can still be read.

    Raises
    ------
    Damaged
        When the file has been cut short, or its checksums or its log are damaged themselves.
    """
    if not path.is_file():
        raise SimkitError(f"no such file: {shown_path(path)}")
    view = viewed(written_name(path))
    places = view.damaged()
    damage = Damage(view.checksums is not None, view.seek(0, os.SEEK_END), places)
    if not places:
        return damage
    try:
        for name in experiments(path):
            recorded = Recorded.open(path, name)
            try:
                damage.lost.update({(name, of): runs for of, runs in _unreadable(recorded).items()})
            finally:
                recorded.close()
    except UNREADABLE as error:
        return attrs.evolve(damage, structure=str(error).partition("\n")[0])
    return damage


def files_of_set(path: Path) -> list[Path]:
    """The files that hold the runs of a file's experiments, where it is the master of a set; those that are there."""
    files: list[Path] = []
    with suppress(*UNREADABLE):  # what is wrong with the master is said of that
        for name in experiments(path):
            recorded = Recorded.open(path, name)
            shards = recorded.shards
            if shards is not None:
                places = (shards.path(stretch) for stretch in shards.stretches)
                files += [file for file in places if is_there(file)]
            recorded.close()
    return files


def _unreadable(recorded: Recorded) -> dict[str, list[int]]:
    """By name, and ``runs/…`` for what is known of each run besides, the runs whose value can't be read."""
    lost: dict[str, list[int]] = {}
    every = np.arange(len(recorded))
    for section in ("parameters", "results"):
        for name in recorded.names(section):
            read, size = partial(_read, recorded, name), recorded.row_bytes(name)
            if recorded.is_constant(name):
                lost.update({name: []} if _lost_runs(read, np.zeros(1, np.int64)) else {})
            elif recorded.shards is not None:
                continue  # in the files of the set, which have their own checksums
            elif runs := _lost_of_each(read, every if recorded.about(name).explored else recorded.done, size):
                lost[name] = runs
    for name, dataset in recorded.root["runs"].items():
        if not isinstance(dataset, h5py.Dataset) or name == "status" or recorded.shards is not None:
            continue
        if runs := _lost_runs(partial(_read_column, dataset), every):
            lost[f"runs/{name}"] = runs
    if runs := lost_files(recorded.root["runs"]):
        lost[f"runs/{FILES}"] = runs
    return lost


def _read(recorded: Recorded, name: str, runs: Index) -> Any:
    return recorded.values(recorded.rows(name, runs))


def _read_column(dataset: h5py.Dataset, runs: Index) -> Any:
    return read_rows(dataset, slice(int(runs[0]), int(runs[-1]) + 1))


def _lost_of_each(read: Callable[[Index], Any], runs: Index, size: int) -> list[int]:
    """The same of some megabytes at a time."""
    step = max(1, _AT_ONCE // size)
    return [
        run for start in range(0, len(runs), step) for run in _lost_runs(read, runs[start : start + step])
    ]


def _lost_runs(read: Callable[[Index], Any], runs: Index) -> list[int]:
    """Halve the runs until those stand alone that can't be read."""
    if not len(runs):
        return []
    try:
        read(runs)
    except UNREADABLE:
        if len(runs) == 1:
            return [int(runs[0])]
        middle = len(runs) // 2
        return _lost_runs(read, runs[:middle]) + _lost_runs(read, runs[middle:])
    return []


def listing(runs: Sequence[int]) -> str:
    """Run numbers in words, neighbours together."""
    parts: list[str] = []
    for run in np.split(np.asarray(runs), np.flatnonzero(np.diff(runs) != 1) + 1):
        parts.append(f"{run[0]}" if len(run) == 1 else f"{run[0]} to {run[-1]}")
    shown = ", ".join(parts[:10]) + (" …" if len(parts) > 10 else "")
    return f"run {shown}" if len(runs) == 1 else f"{len(runs)} runs: {shown}"
