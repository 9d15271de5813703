"""What of a damaged file can be kept: it is written anew without the runs that can't be read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import attrs
import h5py
import numpy as np

from simkit.declare.forms import MARKS, Index
from simkit.errors import Damaged, StorageFailed, shown_path
from simkit.record.attachments import FILES, copy_files
from simkit.record.catalogue import experiments
from simkit.record.columns.rows import create_column, put, read_rows
from simkit.record.copy import copy_columns, copy_entries, describe_groups
from simkit.record.damage import UNREADABLE, Damage
from simkit.record.file.log import log_path
from simkit.record.file.store import Store
from simkit.record.format import AFTER, description, home, place
from simkit.record.recorded import Recorded
from simkit.record.table import Table

_BLOCK = 65_536  # explored values that are copied at once
_ELSEWHERE = ("parameters", "results", "runs")


@attrs.frozen
class Salvage:
    """What was kept of a damaged file.

    Attributes
    ----------
    dropped
        What is missing besides the values of runs, such as their logs.
    original
        Where the damaged file is kept.
    """

    dropped: tuple[str, ...]
    original: Path


def salvage(path: Path, damage: Damage) -> Salvage:
    """Write a damaged file anew; runs that can't be read are pending then, and the damaged file is kept beside it.

    Raises
    ------
    Damaged
        When nobody can tell any more which runs these are: the file stays as it is.
    StorageFailed
        When there is no room for it: the file stays as it is.
    """
    if damage.structure:
        raise _beyond(path, damage.structure)
    store = Store(path, replace=True)
    failed = True
    try:
        dropped = [words for name in experiments(path) for words in _copy(path, name, store, damage)]
        store.check()
        original = _keep(store.path)
        failed = False
    except StorageFailed:
        raise
    except UNREADABLE as error:
        raise _beyond(path, str(error).partition("\n")[0]) from None
    finally:
        store.close(failed=failed)
    return Salvage(tuple(dropped), original)


def _beyond(path: Path, why: str) -> Damaged:
    shown = shown_path(path)
    return Damaged(
        f"{shown} is damaged where it says which runs there are: {why}\n"
        f"    simkit verify --file {shown} says what is lost; put a copy back, or begin anew with simkit --fresh"
    )


def _keep(path: Path) -> Path:
    """Give the damaged file, and its log, another name besides its own."""
    names = (path.with_name(f"{path.name}.damaged{'' if n == 1 else f'-{n}'}") for n in count(1))
    kept = next(name for name in names if not name.exists())
    for file, name in ((path, kept), (Path(log_path(str(path))), Path(log_path(str(kept))))):
        if file.exists():
            try:
                os.link(file, name)
            except OSError:  # a file system without hard links
                shutil.copyfile(file, name)
    return kept


def _copy(path: Path, name: str, store: Store, damage: Damage) -> list[str]:
    """Copy an experiment but for the runs that are lost; what else could not be copied."""
    recorded = Recorded.open(path, name)
    try:
        if recorded.shards is not None:
            raise _beyond(path, "it is the master of a set of shards, whose files are whole")
        return list(_copied(recorded, store, np.setdiff1d(np.arange(len(recorded)), damage.runs(name))))
    finally:
        recorded.close()


def _copied(recorded: Recorded, store: Store, kept: Index) -> Iterator[str]:
    source = recorded.root
    root = store.file.create_group(recorded.name, track_order=True)
    root.attrs.update(source.attrs)
    for section in _ELSEWHERE:
        root.create_group(section, track_order=True)
    parts = [part for part in np.split(kept, np.flatnonzero(np.diff(kept) != 1) + 1) if len(part)]
    _copy_run_columns(recorded, root["runs"], parts)
    fixed = [name for name in recorded.names("parameters") if recorded.is_constant(name)]
    of_after = [name for name in fixed if AFTER in source[place("parameters", name)].attrs]
    yield from _copy_each(source, root, [place("parameters", name) for name in fixed if name not in of_after])
    table = _copy_points(recorded, root)
    parameters = [name for name in recorded.names("parameters") if name not in {*fixed, *table.explored}]
    for part in parts:
        names = {"parameters": parameters, "results": recorded.names("results")}
        copy_columns(recorded, part, part, table, names, store.check)
    yield from _copy_each(source, root, [place("parameters", name) for name in of_after])
    describe_groups(recorded, root, {part: recorded.names(part) for part in ("parameters", "results")})
    yield from _copy_facts(recorded, root, kept)


def _copy_run_columns(recorded: Recorded, runs: h5py.Group, parts: Sequence[Index]) -> None:
    """What is known of each run; of lost ones only what belongs to their point."""
    every = [np.arange(len(recorded))]
    for name, dataset in recorded.root["runs"].items():
        if isinstance(dataset, h5py.Dataset):
            blank = MARKS.get(f"runs/{name}")
            ours = create_column(runs, name, len(recorded), dataset.dtype, blank=blank)
            for part in every if f"runs/{name}" in MARKS else parts if name != "status" else ():
                put(ours, part, read_rows(dataset, slice(int(part[0]), int(part[-1]) + 1)))


def _copy_points(recorded: Recorded, root: h5py.Group) -> Table:
    """The explored values of all runs."""
    explored = tuple(
        name
        for name in recorded.names("parameters")
        if recorded.about(name).explored and not recorded.is_constant(name)
    )
    table = Table(root, explored=explored)
    for start in range(0, len(recorded) if explored else 0, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(recorded)))
        table.points(start, {name: recorded.rows(name, rows) for name in explored})
    for name in explored:
        root[place("parameters", name)].attrs.update(description(recorded.root[place("parameters", name)]))
    return table


def _copy_facts(recorded: Recorded, root: h5py.Group, kept: Index) -> Iterator[str]:
    """Texts of runs, files of those that are kept, checkpoints, sessions, and what was added later."""
    source, runs = recorded.root, np.arange(len(recorded))
    for kind, group in source["runs"].items():
        if isinstance(group, h5py.Group) and "run" in group:
            try:
                if kind == FILES:
                    copy_files(source["runs"], root["runs"], kept, kept)
                else:
                    copy_entries(recorded, group, root["runs"].require_group(kind), runs, runs)
            except UNREADABLE:
                yield {"log": "logs", "error": "tracebacks"}.get(kind, kind) + " of runs"
    yield from _copy_each(
        source, root, [f"runs/checkpoint/{run}" for run in source.get("runs/checkpoint", ())]
    )
    for key in (key for key in source if key not in _ELSEWHERE):
        inner = [f"{key}/{name}" for name in source[key]] if key != "info" else _info(source)
        if isinstance(source[key], h5py.Group):
            root.require_group(key).attrs.update(source[key].attrs)
        yield from _copy_each(source, root, inner, needed=[path for path in inner if path[5:].isdigit()])


def _info(source: h5py.Group) -> list[str]:
    """Each session and each source stands for itself."""
    return [
        path
        for name, group in source["info"].items()
        for path in (
            [f"info/sources/{digest}" for digest in group] if name == "sources" else [f"info/{name}"]
        )
    ]


def _copy_each(
    source: h5py.Group, root: h5py.Group, paths: Sequence[str], needed: Sequence[str] = ()
) -> Iterator[str]:
    """Copy what can be read of these; the names of those that can't."""
    for path in paths:
        parent, name = home(root, path)
        try:
            source.copy(path, parent, name)
        except UNREADABLE:
            if path in needed:
                raise
            if name in parent:
                del parent[name]
            yield path.replace("parameters/", "").replace("/", ".")
