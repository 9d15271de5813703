"""The parts of composite values as columns of their own: ``table.x`` of N tables at once."""

from __future__ import annotations

import numpy as np

from simkit.declare.axes import Index
from simkit.values.columns import Column, Node, Record
from simkit.values.decode import ABSENT, decode
from simkit.values.encode import encode
from simkit.values.stored import Stored


def part(column: Column, name: str) -> Column | None:
    """One part of a column's values: a dictionary's key, a table's column, a field.

    Returns
    -------
    Column or None
        With as many rows; absent where a value has no such part. None if no value has it.
    """
    variants: list[tuple[Index | None, Node]] = []
    for at, node in column.variants:
        if not isinstance(node, Record):
            continue
        if node.type == "mapping" or not node.attributes:
            inner = _from_values(Column(_rows(node), ((None, node),)), name)
        else:
            inner = node.fields.get(name)
        if inner is not None:
            variants += (inner if at is None else inner.spread(column.n, at)).variants
    return Column(column.n, tuple(variants)) if variants else None


def _rows(node: Record) -> int:
    return next(iter(node.fields.values())).n


def _from_values(column: Column, name: str) -> Column | None:
    """Where keys are kept row by row, each row tells whether it has this one."""
    found = [
        value[name] if isinstance(value, (dict, Stored)) and name in value else ABSENT
        for value in decode(column)
    ]
    there = [i for i, value in enumerate(found) if value is not ABSENT]
    if not there:
        return None
    return encode([found[i] for i in there]).spread(column.n, np.array(there))
