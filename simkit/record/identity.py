"""Which runs of two trajectories are the same point? Points as numbers, block by block."""

from __future__ import annotations

import numpy as np

from simkit.declare.axes import Array
from simkit.declare.forms import TRIAL
from simkit.record.agreement import Agreement
from simkit.record.bulk import pieces, weight
from simkit.record.layout import place
from simkit.record.recorded import Recorded
from simkit.record.survey import Survey
from simkit.values.columns import Column, Leaf
from simkit.values.decode import ABSENT, decode
from simkit.values.same import digest

_ABSENT = np.uint64(1)


def keys(recorded: Recorded, survey: Survey, agreed: Agreement) -> list[Array]:
    """One number per row and name, equal for values of equal type and bits; uint64, shape ``(n,)`` each."""
    return [_key(recorded, survey, name, plain=name in agreed.plain) for name in agreed.keys]


def _key(recorded: Recorded, survey: Survey, name: str, *, plain: bool) -> Array:
    if name == TRIAL:
        trials = recorded.run_column(TRIAL)
        return np.zeros(survey.n, "u8") if trials is None else trials.astype("u8")
    known = survey.names.get(name)
    if known is None:
        return np.full(survey.n, _ABSENT)
    if plain:
        column = recorded.constant(name) if known.constant else recorded.column(name, slice(0, survey.n))
        return np.resize(_bits(column), survey.n)
    if known.constant:
        return np.full(survey.n, _number(digest(decode(recorded.constant(name))[0])))
    return _digests(recorded, name, survey.n)


def _bits(column: Column) -> Array:
    node = column.whole
    assert isinstance(node, Leaf)
    rows = np.ascontiguousarray(node.rows)
    return rows.view(f"u{rows.dtype.itemsize}").astype("u8")


def _digests(recorded: Recorded, name: str, n: int) -> Array:
    found = np.empty(n, "u8")
    rows = np.arange(n)
    thing = recorded.root[place("parameters", name)]
    for block in pieces(rows, rows, weight(recorded.path, thing, n)):
        values = decode(recorded.column(name, block))
        found[block] = [_ABSENT if value is ABSENT else _number(digest(value)) for value in values]
    return found


def _number(text: str) -> np.uint64:
    return np.uint64(int(text[:16], 16))
