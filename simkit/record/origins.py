"""Where does each run of a merged trajectory come from?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from simkit.declare.axes import Index
from simkit.record.layout import TEXT, append, create_column, create_flat, put
from simkit.record.recorded import Recorded, session_groups
from simkit.values.status import Status

TABLE = "merged"
_COLUMNS: dict[str, Any] = {
    "file": TEXT, "experiment": TEXT, "root_seed": TEXT, "created": "f8", "first_session": "u4", "sessions": "u4",
}  # fmt: skip


class Origin(NamedTuple):
    """The file that a run was recorded in, and its number there.

    The file is told as it was called when it was merged, relative to the folder of the merged one.
    """

    file: str
    run: int


def write_origins(
    root: h5py.Group, recorded: Recorded, folder: Path, source: Index, target: Index, earlier: int
) -> None:
    """Note where rows come from: the file, or where that had them from.

    Parameters
    ----------
    earlier
        How many sessions stand before the source's own.
    """
    runs = root["runs"]
    n = len(runs["status"])
    for name, dtype in (("source", "u4"), ("source_run", "i8")):
        if name not in runs:
            create_column(runs, name, n, np.dtype(dtype))
    table = root["info"].require_group(TABLE)
    known = len(table["file"]) if "file" in table else 0
    theirs = _rows(recorded)
    own = {
        "file": os.path.relpath(recorded.path, folder),
        "experiment": recorded.name,
        "root_seed": str(recorded.attributes["root_seed"]),
        "created": float(recorded.attributes["created"]),
        "first_session": 1,
        "sessions": len(session_groups(recorded.root)),
    }
    for row in (*theirs, own):
        for name, dtype in _COLUMNS.items():
            value = row[name] + earlier if name == "first_session" else row[name]
            dataset = table[name] if name in table else create_flat(table, name, dtype)
            append(dataset, np.array([value], object if dtype is TEXT else dtype))
    status = recorded.run_column("status")
    assert status is not None
    tried = status[source] != Status.PENDING  # what is to run yet comes from nowhere
    source, target = source[tried], target[tried]
    before = recorded.run_column("source")
    numbers = np.zeros(len(source), "i8") if before is None else before[source].astype("i8")
    here = recorded.run_column("source_run")
    own_run = source if here is None else np.where(numbers > 0, here[source], source)
    put(runs["source"], target, np.where(numbers > 0, numbers + known, known + len(theirs) + 1))
    put(runs["source_run"], target, own_run)


def forget_origins(root: h5py.Group) -> None:
    """Begin anew: what a copied file told of its runs' origins is written again with its own name."""
    for name in (f"info/{TABLE}", "runs/source", "runs/source_run"):
        if name in root:
            del root[name]


def _rows(recorded: Recorded) -> list[dict[str, Any]]:
    table = recorded.root.get(f"info/{TABLE}")
    if table is None:
        return []
    columns = {
        name: table[name].asstr()[:] if dtype is TEXT else table[name][:] for name, dtype in _COLUMNS.items()
    }
    return [{name: column[i] for name, column in columns.items()} for i in range(len(columns["file"]))]


def origin(recorded: Recorded, run: int) -> Origin:
    """Where a run was recorded first; in the file itself if it was not merged."""
    number = recorded.run_column("source", slice(run, run + 1))
    if number is None or not number[0]:
        return Origin(recorded.path.name, run)
    row = recorded.run_column("source_run", slice(run, run + 1))
    assert row is not None
    return Origin(str(recorded.root[f"info/{TABLE}/file"].asstr()[int(number[0]) - 1]), int(row[0]))
