"""Carry along what is known of runs besides their values: times, seeds, sessions, texts, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from simkit.declare.axes import Index
from simkit.record.bulk import pieces, weight
from simkit.record.layout import append, create_column, is_text, put
from simkit.record.origins import TABLE
from simkit.record.recorded import Recorded, session_groups
from simkit.values.status import Status

_ONCE = ("session", "attempt")  # columns that stand for 1 in each attempted run while there is none


def carry(root: h5py.Group, recorded: Recorded, source: Index, target: Index) -> None:
    """Add what is known of a source's rows to the merged trajectory, ``target`` ascending."""
    earlier = len(session_groups(root))
    for number, group in enumerate(session_groups(recorded.root), earlier + 1):
        root.copy(group, root["info"], f"{number:03d}")
    for name, group in recorded.root["info"].items():
        if not name.isdigit() and name != TABLE:  # what sessions share, by its digest
            _missing(root["info"], group, name)
    if isinstance(notes := recorded.root.get("notes"), h5py.Group):  # on the trajectory and on names
        ours = root.require_group("notes")
        for name, dataset in notes.items():
            _extend(ours, name, dataset, dataset[:])
    _columns(root["runs"], recorded, source, target, earlier)
    order = np.argsort(source)
    for kind, group in recorded.root["runs"].items():
        if isinstance(group, h5py.Group) and "run" in group:
            _texts(root["runs"].require_group(kind), recorded, group, source[order], target[order])


def _columns(runs: h5py.Group, recorded: Recorded, source: Index, target: Index, earlier: int) -> None:
    """Times, seeds, trials and the like; session numbers go on after the earlier sources'."""
    theirs = {k: v for k, v in recorded.root["runs"].items() if isinstance(v, h5py.Dataset) and k != "status"}
    attempted = runs["status"][:] != Status.PENDING
    used = [name for name in _ONCE if name in runs or name in theirs]
    used += ["attempt"] if attempted[target].any() else []
    for name in dict.fromkeys([*theirs, *used, "session"]):
        if name not in runs:
            dtype = theirs[name].dtype if name in theirs else np.dtype("u2")
            create_column(runs, name, len(attempted), dtype)
            if name in _ONCE:
                runs[name][:] = attempted
    fresh = {name: runs[name] for name in runs if isinstance(runs[name], h5py.Dataset) and name != "status"}
    for name, column in fresh.items():
        for part in pieces(source, target, 8):
            values = _values(recorded, theirs, name, source[part])
            if name == "session":
                values = np.where(values > 0, values + earlier, 0)
            if name == "attempt":  # those that an earlier source made of the same run count too
                values = values + column[:][target[part]]
            put(column, target[part], values)
    status = recorded.root["runs/status"][:]
    put(runs["status"], target, status[source])


def _values(recorded: Recorded, theirs: dict[str, h5py.Dataset], name: str, source: Index) -> Any:
    if name in theirs:
        first = int(source.min())
        return theirs[name][first : int(source.max()) + 1][source - first]
    if name in _ONCE:
        return (recorded.root["runs/status"][:][source] != Status.PENDING).astype("u2")
    return np.zeros(len(source), "u1")


def _texts(ours: h5py.Group, recorded: Recorded, theirs: h5py.Group, source: Index, target: Index) -> None:
    """Errors, logs, notes: entries with a run number; ``source`` ascending."""
    count = len(theirs["run"])
    rows = np.arange(count)
    for part in pieces(rows, rows, weight(recorded.path, theirs, count)):
        numbers = theirs["run"][part]
        at = np.minimum(np.searchsorted(source, numbers), max(0, len(source) - 1))
        taken = source[at] == numbers if len(source) else np.zeros(len(numbers), bool)
        if not taken.any():
            continue
        for name, dataset in theirs.items():
            values = target[at] if name == "run" else dataset[part]
            _extend(ours, name, dataset, values[taken])


def _extend(ours: h5py.Group, name: str, like: h5py.Dataset, values: Any) -> None:
    """Append to a flat dataset, made like another where there is none."""
    if name not in ours:
        chunks = (64 if is_text(like) else 1024,)
        ours.create_dataset(name, (0,), like.dtype, maxshape=(None,), chunks=chunks)
    append(ours[name], values)


def _missing(info: h5py.Group, theirs: Any, name: str) -> None:
    """Copy what is not there yet."""
    if name not in info:
        info.copy(theirs, name)
    elif isinstance(theirs, h5py.Group):
        for key in theirs:
            if key not in info[name]:
                info.copy(theirs[key], info[name], key)


def carry_checkpoints(root: h5py.Group, recorded: Recorded, places: Mapping[int, int]) -> None:
    """Add what unfinished runs go on from, by run number in the source; the first source's count."""
    for run, row in places.items():
        vault = root["runs"].require_group("checkpoint")
        if str(row) not in vault:
            root.copy(recorded.root[f"runs/checkpoint/{run}"], vault, str(row))
