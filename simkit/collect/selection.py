"""Which run numbers were asked for, by number, by value or by a condition?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simkit.collect.targets import Runs
from simkit.collect.text import parse
from simkit.declare.axes import Array, Values
from simkit.declare.forms import BLOCK, passing
from simkit.declare.space import Space
from simkit.errors import NothingToRun, SimkitError, listed


def selected(space: Space, runs: Sequence[Runs], where: str, node_id: str) -> Array | None:
    """A boolean per run, or None where all are meant.

    Raises
    ------
    SimkitError
        For a number beyond the last run, or a name that is not explored.
    NothingToRun
        When nothing is left.
    """
    if not runs and not where:
        return None
    chosen = np.zeros(len(space), bool)
    for wanted in runs:
        chosen |= _matching(space, wanted, node_id)
    if not runs:
        chosen[:] = True
    if where:
        chosen &= _passing(space, where)
    if not chosen.any():
        what = f"--where {where!r}" if where else f"[{runs[0].text}]"
        msg = f"{node_id}: {what} selects none of its {len(space)} runs"
        raise NothingToRun(msg)
    return chosen


def _passing(space: Space, where: str) -> Array:
    blocks = [np.arange(start, min(start + BLOCK, len(space))) for start in range(0, len(space), BLOCK)]
    return np.concatenate([passing(where, space.at(block), len(block), "--where") for block in blocks])


def _matching(space: Space, wanted: Runs, node_id: str) -> Array:
    chosen = np.zeros(len(space), bool)
    if wanted.values is None:
        if wanted.start is not None and wanted.start >= len(space):
            msg = f"{node_id}[{wanted.text}]: the last of its {len(space)} runs is number {len(space) - 1}"
            raise SimkitError(msg)
        chosen[wanted.start : wanted.stop] = True
        return chosen
    chosen[:] = True
    columns = space.at(np.arange(len(space)))
    for name, text in wanted.values:
        if name not in columns:
            msg = f"{node_id}[{wanted.text}]: {name!r} is not explored\n    explored: {listed(name, space.names)}"
            raise SimkitError(msg)
        chosen &= _equal(columns[name], text)
    return chosen


def _equal(values: Values, text: str) -> Array:
    wanted = parse(text)
    if values.array.dtype != object and isinstance(wanted, (int, float, complex)):
        return np.asarray(values.array == wanted, bool)
    return np.array([value == wanted or str(value) == text for value in values.elements()], bool)
