"""What of a file is damaged, and which runs can't be read because of it?"""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import numpy as np

from simkit.declare.forms import Index
from simkit.errors import SimkitError
from simkit.record.catalogue import experiments
from simkit.record.file.locks import written_name
from simkit.record.file.log import checked
from simkit.record.recorded import Recorded

_UNREADABLE = (SimkitError, OSError, RuntimeError, KeyError, ValueError)  # what HDF5 and h5py raise on damage


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
        By experiment and name, the numbers of the done runs whose value can't be read.
    structure
        Why nothing at all can be read of an experiment, or of the file; empty where something can.
    """

    is_checked: bool
    size: int
    places: list[tuple[int, int]]
    lost: dict[tuple[str, str], list[int]] = attrs.field(factory=dict)
    structure: str = ""


def damage_of(path: Path) -> Damage:
    """Compare a whole file with its checksums; where they differ, try what can still be read.

    Raises
    ------
    Damaged
        When the file has been cut short, or its checksums or its log are damaged themselves.
    """
    if not path.is_file():
        raise SimkitError(f"no such file: {path}")
    path = written_name(path)
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        size, places = checked(str(path), fd)
    finally:
        os.close(fd)
    damage = Damage(size is not None, size or path.stat().st_size, places)
    if not places:
        return damage
    try:
        for name in experiments(path):
            recorded = Recorded.open(path, name)
            try:
                damage.lost.update({(name, of): runs for of, runs in _unreadable(recorded).items()})
            finally:
                recorded.close()
    except _UNREADABLE as error:
        return attrs.evolve(damage, structure=str(error).partition("\n")[0])
    return damage


def _unreadable(recorded: Recorded) -> dict[str, list[int]]:
    lost: dict[str, list[int]] = {}
    for section in ("parameters", "results"):
        for name in recorded.names(section):
            runs = _lost_runs(recorded, name, recorded.done)
            if runs:
                lost[name] = runs
    return lost


def _lost_runs(recorded: Recorded, name: str, runs: Index) -> list[int]:
    """Halve the runs until those stand alone that can't be read."""
    if not len(runs):
        return []
    try:
        recorded.values(recorded.rows(name, runs))
    except _UNREADABLE:
        if len(runs) == 1 or recorded.is_constant(name):
            return [int(run) for run in runs]
        middle = len(runs) // 2
        return _lost_runs(recorded, name, runs[:middle]) + _lost_runs(
            recorded, name, np.asarray(runs[middle:])
        )
    return []
