"""A value that does not vary, and what is known of any name."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from simkit.declare.annotations import Note
from simkit.record.layout import home, place, stored_dtype, to_stored
from simkit.record.sink import Sink
from simkit.values.columns import Column, Leaf
from simkit.values.encode import encode

AFTER = "after"  # the attribute of what an `@after` gave or asked for


def write_constant(root: h5py.Group, name: str, value: Any, note: Note, origin: str) -> None:
    """Write a parameter's one value, unless it is there: a dataset without a row axis where it fits in one.

    What only an ``@after`` asked for so far is replaced: it says nothing of any run.
    """
    parent, key = home(root, place("parameters", name))
    if key in parent:
        if AFTER not in parent[key].attrs:
            return
        del parent[key]
    thing = write_single(parent, key, encode([value]))
    annotate(thing, note, origin)


def write_single(parent: h5py.Group, key: str, column: Column) -> Any:
    """Write a column of one row as what does not vary; the dataset or group that holds it."""
    node = column.whole
    if isinstance(node, Leaf):
        dtype, logical = stored_dtype(node)
        rows = node.rows if isinstance(node.rows, np.ndarray) else np.array(node.rows)
        thing = parent.create_dataset(key, data=to_stored(rows)[0], dtype=dtype)
        thing.attrs["codec"] = node.type
        if logical:
            thing.attrs["dtype"] = logical
    else:
        Sink(parent, key, 1, lambda: np.zeros(1, bool)).write(np.arange(1), column)
        thing = parent[key]
    thing.attrs["constant"] = True
    return thing


def annotate(thing: Any, note: Note, origin: str, *, explored: bool = False) -> None:
    """Comment, unit and origin, where there are any."""
    facts = {"comment": note.comment, "unit": note.unit, "origin": origin}
    thing.attrs.update({key: text for key, text in facts.items() if text})
    if explored:
        thing.attrs["explored"] = True
