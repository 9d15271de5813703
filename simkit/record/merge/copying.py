"""Rows and facts from one file to another, whole chunks where that can be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from simkit.declare.forms import Index
from simkit.record.columns.layout import TEXT, append, create_column, create_flat, is_text, put
from simkit.record.recorded import Recorded, session_groups
from simkit.record.rows import TABLE
from simkit.values.batch import Status

_BLOCK = 16 << 20  # bytes in memory at once
_WORTH = 60_000  # bytes of a chunk that are worth a call of their own


def weight(path: Path, thing: Any, n: int) -> int:
    """About how many bytes one of a name's ``n`` rows takes; the length of text is only known of the whole file."""
    found = 0

    def look(_: str, part: Any) -> None:
        nonlocal found
        if isinstance(part, h5py.Dataset):
            found += os.path.getsize(path) if is_text(part) else part.nbytes

    look("", thing)
    if isinstance(thing, h5py.Group):
        thing.visititems(look)
    return found // max(1, n)


def pieces(source: Index, target: Index, row: int) -> Iterator[slice]:
    """Parts of two lists of row numbers that each span few enough rows of ``row`` bytes for one block.

    Parameters
    ----------
    target
        Ascending.
    """
    most = max(1, _BLOCK // max(1, row))
    waiting = [slice(0, len(target))] if len(target) else []
    while waiting:
        part = waiting.pop()
        here, there = source[part], target[part]
        if len(there) == 1 or max(int(here.max() - here.min()), int(there[-1] - there[0])) < most:
            yield part
            continue
        middle = (part.start + part.stop) // 2
        waiting += [slice(middle, part.stop), slice(part.start, middle)]


def segments(source: Index, target: Index) -> list[tuple[int, int, int]]:
    """Where rows are consecutive on both sides: first row here, first row there, how many."""
    if not len(source):
        return []
    breaks = np.flatnonzero((np.diff(source) != 1) | (np.diff(target) != 1)) + 1
    starts = np.concatenate([[0], breaks])
    sizes = np.diff(np.concatenate([starts, [len(source)]]))
    return list(zip(source[starts].tolist(), target[starts].tolist(), sizes.tolist(), strict=True))


def copy_thing(thing: Any, parent: h5py.Group, name: str, pause: Callable[[], None]) -> None:
    """Copy a dataset or a group with all below it; big datasets in steps."""
    pause()
    if isinstance(thing, h5py.Group):
        group = parent.create_group(name, track_order=True)
        group.attrs.update(thing.attrs)
        for key in thing:
            link = thing.get(key, getlink=True)
            if isinstance(link, h5py.SoftLink):
                group[key] = link
            else:
                copy_thing(thing[key], group, key, pause)
    elif thing.nbytes < _BLOCK or not can_move_chunks(thing, thing):
        parent.copy(thing, parent, name)
    else:
        plan = thing.id.get_create_plist()
        h5py.h5d.create(parent.id, name.encode(), thing.id.get_type(), thing.id.get_space(), plan)
        parent[name].attrs.update(thing.attrs)
        for first, count in _written(thing):
            copy_steps(thing, parent[name], first, first, count, pause)


def _written(dataset: h5py.Dataset) -> list[tuple[int, int]]:
    """The rows whose chunks were ever written: first row and count of each stretch of them."""
    rows = dataset.chunks[0]
    found: list[int] = []
    dataset.id.chunk_iter(lambda chunk: found.append(chunk.chunk_offset[0]))
    starts = np.sort(np.array(found, np.int64))
    stretches = segments(starts // rows, starts // rows)
    return [(first * rows, min(count * rows, len(dataset) - first * rows)) for first, _, count in stretches]


def copy_steps(
    source: h5py.Dataset, target: h5py.Dataset, at: int, to: int, count: int, pause: Callable[[], None]
) -> None:
    """Copy consecutive rows, with a pause now and then."""
    step = max(1, _BLOCK // _row(source) // target.chunks[0]) * target.chunks[0]
    done = 0
    while done < count:
        pause()
        here = min(step - (to + done) % step, count - done)
        copy_rows(source, target, at + done, to + done, here)
        done += here


def _row(dataset: h5py.Dataset) -> int:
    return max(1, int(dataset.dtype.itemsize * np.prod(dataset.shape[1:], dtype=np.int64)))


def copy_rows(source: h5py.Dataset, target: h5py.Dataset, at: int, to: int, count: int) -> None:
    """Copy consecutive rows that have been written."""
    rows = target.chunks[0]
    if (to - at) % rows or not can_move_chunks(source, target):
        _copy_blocks(source, target, at, to, count)
        return
    head = min(-at % rows, count)
    whole = (count - head) // rows * rows
    _copy_blocks(source, target, at, to, head)
    corner = (0,) * (source.ndim - 1)
    read, write = source.id.read_direct_chunk, target.id.write_direct_chunk
    for row in range(head, head + whole, rows):
        mask, data = read((at + row, *corner))
        write((to + row, *corner), data, mask)
    done = head + whole
    _copy_blocks(source, target, at + done, to + done, count - done)


def can_move_chunks(source: h5py.Dataset, target: h5py.Dataset) -> bool:
    """Whether chunks can be moved as bytes, and are worth it: same type, shape and filters, whole rows, big."""
    one, other = source.id.get_create_plist(), target.id.get_create_plist()
    filters = [[p.get_filter(i)[:3] for i in range(p.get_nfilters())] for p in (one, other)]
    return bool(
        source.id.get_type() == target.id.get_type()
        and source.chunks == target.chunks
        and filters[0] == filters[1]
        and not is_text(source)
        and all(chunk == extent for chunk, extent in zip(source.chunks[1:], source.shape[1:], strict=True))
        and (filters[0] or _row(source) * source.chunks[0] >= _WORTH)
    )


def _copy_blocks(source: h5py.Dataset, target: h5py.Dataset, at: int, to: int, count: int) -> None:
    """In blocks that end where the target's chunks end, so that each is written once."""
    chunk = target.chunks[0]
    most = max(1, _BLOCK // _row(source) // chunk) * chunk
    done = 0
    while done < count:
        step = min(most - (to + done) % chunk, count - done)
        target[to + done : to + done + step] = source[at + done : at + done + step]
        done += step


_COLUMNS: dict[str, Any] = {
    "file": TEXT, "experiment": TEXT, "root_seed": TEXT, "created": "f8", "first_session": "u4", "sessions": "u4",
}  # fmt: skip


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
