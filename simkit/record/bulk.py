"""Many rows from one dataset to another: whole chunks as they are, the rest in blocks of bounded size."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from simkit.declare.axes import Index
from simkit.record.layout import is_text

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
