"""Runs of one trajectory copied into another: their columns, and what is known of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import h5py
import numpy as np

from simkit.declare.forms import ASKED, MARKS, TOLD, Index
from simkit.errors import check_replaceable, shown_path
from simkit.record.attachments import FILES, copy_files, forget
from simkit.record.columns.rows import BLOCK_BYTES, append, create_column, is_text, put, read_rows
from simkit.record.facts import session_groups, take_back_reports
from simkit.record.file.store import Store
from simkit.record.format import AFTER, MERGED, PART_OF, SHARDS, description, home, place
from simkit.record.readings import INPUTS, add_inputs
from simkit.record.recorded import Recorded
from simkit.record.table import Table
from simkit.values.batch import Status
from simkit.values.columns import Column

_ONCE = ("session", "attempt")  # columns that stand for 1 in each attempted run while there is none
_ORDER = (ASKED.removeprefix("runs/"), TOLD.removeprefix("runs/"))  # when one strategy asked and was told
_RUNS = 1 << 20  # run numbers, times and the like that are read at once


def copy_columns(
    recorded: Recorded,
    source: Index,
    target: Index,
    table: Table,
    names: Mapping[str, Collection[str]],
    pause: Callable[[], None],
) -> None:
    """Copy parameters, results and statuses of runs into rows of a table; compressed arrays as they are.

    Parameters
    ----------
    target
        Ascending.
    names
        The columns, by section; constants of the source are repeated, and what it lacks is absent.
    pause
        Called between two batches.
    """
    start = 0
    empty = {section: [n for n in names[section] if n not in recorded.names(section)] for section in names}
    for batch in recorded.batches(source, {n for section in names.values() for n in section}, packed=True):
        pause()
        rows = target[start : start + len(batch.runs)]
        start += len(rows)
        absent = Column(len(rows), ())
        tried = np.flatnonzero(batch.status != Status.PENDING)
        parameters = {
            name: column.take(tried).spread(len(rows), tried)
            if recorded.is_constant(name) and name not in table.explored
            else column
            for name, column in batch.parameters.items()
        }
        table.put(
            attrs.evolve(
                batch,
                runs=rows,
                parameters={**dict.fromkeys(empty["parameters"], absent), **parameters},
                results={**dict.fromkeys(empty["results"], absent), **batch.results},
            )
        )
    for section, ours in names.items():
        for name in ours:
            path = place(section, name)
            if path in recorded.root and path in table.root:
                attributes = table.root[path].attrs
                more = description(recorded.root[path])
                attributes.update({key: value for key, value in more.items() if key not in attributes})


def copy_facts(recorded: Recorded, source: Index, target: Index, root: h5py.Group, earlier: int = 0) -> None:
    """Copy what is known of runs besides their values; before `copy_columns`, which copies their statuses.

    Parameters
    ----------
    target
        Ascending.
    earlier
        How many sessions stand before the source's own. If there are any, other runs come from another source: its
        strategy's order of questions and answers stays, and these runs have no place in it.
    """
    runs = root["runs"]
    left = {"status", *(_ORDER if earlier else ())}
    columns = {
        k: v for k, v in recorded.root["runs"].items() if isinstance(v, h5py.Dataset) and k not in left
    }
    attempted = runs["status"][:] != Status.PENDING
    has_sessions = bool(earlier) or recorded.shards is not None
    needed = {
        *columns,
        *(["session"] if has_sessions else []),
        *(["attempt"] if attempted[target].any() else []),
    }
    for name in [*columns, *_ONCE]:
        if name in needed and name not in runs:
            create_column(
                runs, name, len(attempted), columns[name].dtype if name in columns else np.dtype("u2"),
                blank=MARKS.get(f"runs/{name}"),
            )  # fmt: skip
            if name in _ONCE:
                runs[name][:] = attempted
    for name, ours in runs.items():
        for start in (
            range(0, len(source), _RUNS) if isinstance(ours, h5py.Dataset) and name not in left else ()
        ):
            part, rows = source[start : start + _RUNS], target[start : start + _RUNS]
            values = _values(recorded, name, part)
            if name == "session":
                values = np.where(values > 0, values + earlier, 0)
            if name == "attempt":  # those that an earlier source made of the same run count too
                values = values + read_rows(ours, rows)
            put(ours, rows, values)
    forget(runs, target)
    take_back_reports(runs, target)
    for book, numbers, rows in _books(recorded, source, target):
        order = np.argsort(numbers)
        for kind, group in book.root["runs"].items():
            if kind == FILES:
                copy_files(book.root["runs"], runs, numbers[order], rows[order])
            elif isinstance(group, h5py.Group) and "run" in group:
                blank = _ORDER if earlier else ()
                copy_entries(book, group, runs.require_group(kind), numbers[order], rows[order], blank)


def _books(recorded: Recorded, source: Index, target: Index) -> Iterator[tuple[Any, Index, Index]]:
    """The files that hold these runs, the runs' numbers there, and the rows that they are copied to."""
    if recorded.shards is None:
        yield recorded, source, target
        return
    for positions, book, numbers in recorded.shards.parts(source):
        yield book, numbers, target[positions]


def _values(recorded: Recorded, name: str, source: Index) -> Any:
    """What is known of these runs, whether or not it is recorded."""
    if (values := recorded.run_column(name, source)) is not None:
        return values
    if name in _ONCE:
        return (np.asarray(recorded.run_column("status", source)) != Status.PENDING).astype("u2")
    return np.full(len(source), MARKS.get(f"runs/{name}", 0))


def copy_entries(
    recorded: Recorded,
    theirs: h5py.Group,
    ours: h5py.Group,
    source: Index,
    target: Index,
    blank: Collection[str] = (),
) -> None:
    """Errors, logs, notes, reports: entries with a run number; ``source`` ascending, columns that are ``blank`` -1."""
    count = len(theirs["run"])
    step = max(
        1, BLOCK_BYTES * count // os.path.getsize(recorded.path)
    )  # nobody knows how long the texts are
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        numbers = theirs["run"][part]
        positions = np.minimum(np.searchsorted(source, numbers), max(0, len(source) - 1))
        taken = source[positions] == numbers if len(source) else np.zeros(len(numbers), bool)
        if taken.any():
            for name, dataset in theirs.items():
                values = target[positions] if name == "run" else dataset[part]
                chosen = values[taken]
                extend(ours, name, dataset, np.full_like(chosen, -1) if name in blank else chosen)


def extend(group: h5py.Group, name: str, like: h5py.Dataset, values: Any) -> None:
    """Append to a flat dataset, made like another where there is none."""
    if name not in group:
        chunks = (64 if is_text(like) else 1024,)
        group.create_dataset(name, (0,), like.dtype, maxshape=(None,), chunks=chunks)
    append(group[name], values)


def add_sessions(root: h5py.Group, recorded: Any) -> int:
    """Copy the sessions of a source and the remarks on it as a whole; how many sessions there were before."""
    earlier = len(session_groups(root))
    for number, group in enumerate(session_groups(recorded.root), earlier + 1):
        root.copy(group, root["info"], f"{number:03d}")
    for name, group in recorded.root["info"].items():
        if name == INPUTS:
            add_inputs(root["info"], recorded.root["info"], earlier)
        elif not name.isdigit() and name != MERGED:  # what sessions share, by its digest
            _missing(root["info"], group, name)
    if isinstance(notes := recorded.root.get("notes"), h5py.Group):  # on the trajectory and on names
        for name, dataset in notes.items():
            extend(root.require_group("notes"), name, dataset, dataset[:])
    return earlier


def _missing(info: h5py.Group, theirs: Any, name: str) -> None:
    """Copy what is not there yet."""
    if name not in info:
        info.copy(theirs, name)
    elif isinstance(theirs, h5py.Group):
        for key in theirs:
            if key not in info[name]:
                info.copy(theirs[key], info[name], key)


def copy_checkpoints(recorded: Recorded, root: h5py.Group, places: Mapping[int, int]) -> None:
    """Copy what unfinished runs go on from, by run number in the source; one that is there already stays."""
    for run, row in places.items():
        vault = root["runs"].require_group("checkpoint")
        place = (recorded, run) if recorded.shards is None else recorded.shards.at(run)
        if str(row) not in vault and place is not None:
            root.copy(place[0].root[f"runs/checkpoint/{place[1]}"], vault, str(row))


def extract(
    recorded: Recorded,
    runs: Index,
    names: Collection[str],
    path: Path,
    *,
    pause: Callable[[], None] = lambda: None,
) -> None:
    """Write a trajectory of these runs, ascending, with these parameters and results.

    Unless it is the whole trajectory it remembers what it is a part of, and is never continued: its runs have
    other numbers now, and with them new runs would draw the random numbers of recorded ones.

    Raises
    ------
    StorageFailed
        When the disk is full.
    """
    check_replaceable(path)
    path = Path(os.path.realpath(path))  # a link stays a link
    aside = path.with_name(f".{path.name}.part")
    store = Store(aside)
    try:
        _extract(recorded, runs, names, store, pause)
    except BaseException:
        store.close(failed=True)
        aside.unlink(missing_ok=True)
        raise
    store.close()
    os.replace(aside, path)


def is_whole(recorded: Recorded, runs: Index, names: Collection[str]) -> bool:
    """Whether nothing is left out."""
    everything = {*recorded.names("parameters"), *recorded.names("results")}
    return everything <= set(names) and np.array_equal(runs, np.arange(len(recorded)))


def _extract(
    recorded: Recorded, runs: Index, names: Collection[str], store: Store, pause: Callable[[], None]
) -> None:
    def check() -> None:
        pause()
        store.check()

    source, target = recorded.root, np.arange(len(runs))
    root = store.file.create_group(recorded.name, track_order=True)
    root.attrs.update(source.attrs)
    for section in ("parameters", "results", "runs"):
        root.create_group(section, track_order=True)
    create_column(root["runs"], "status", len(runs), source["runs/status"].dtype)
    chosen = {part: [n for n in recorded.names(part) if n in names] for part in ("parameters", "results")}
    fixed = [name for name in chosen["parameters"] if recorded.is_constant(name)]
    _copy_constants(recorded, root, fixed, of_after=False)
    copy_facts(recorded, runs, target, root)
    numbers = dict(zip(runs.tolist(), target.tolist(), strict=True))
    copy_checkpoints(recorded, root, {run: numbers[run] for run in recorded.checkpoints() if run in numbers})
    columns = {part: [n for n in ours if n not in fixed] for part, ours in chosen.items()}
    explored = tuple(name for name in columns["parameters"] if recorded.about(name).explored)
    copy_columns(recorded, runs, target, Table(root, explored=explored), columns, check)
    _copy_constants(recorded, root, fixed, of_after=True)
    describe_groups(recorded, root, chosen)
    whole = is_whole(recorded, runs, names)
    for key in source:
        if key == "info" or (whole and key not in root and key != SHARDS):
            source.copy(key, root)
    for book in () if recorded.shards is None else recorded.shards.all():
        add_sessions(root, book)
    if not whole:
        root.attrs[PART_OF] = shown_path(recorded.path)
        root["runs"].create_dataset("origin", data=runs)


def _copy_constants(recorded: Recorded, root: h5py.Group, names: Sequence[str], *, of_after: bool) -> None:
    """Copy parameters that do not vary, as they are.

    Parameters
    ----------
    of_after
        Only those that what follows the runs asked for, which stand behind the columns; else only the others.
    """
    for name in names:
        path = place("parameters", name)
        if (AFTER in recorded.root[path].attrs) == of_after:
            recorded.root.copy(path, *home(root, path))


def describe_groups(recorded: Recorded, root: h5py.Group, names: Mapping[str, Collection[str]]) -> None:
    """Copy what is known of groups of names."""
    for section, chosen in names.items():
        for name in chosen:
            parts = name.split(".")
            for depth in range(1, len(parts)):
                path = place(section, ".".join(parts[:depth]))
                if path in root:
                    root[path].attrs.update(recorded.root[path].attrs)
