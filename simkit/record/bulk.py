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
        _copy_attributes(thing, group)
        for key in thing:
            link = thing.get(key, getlink=True)
            if isinstance(link, h5py.SoftLink):
                group[key] = link
            else:
                copy_thing(thing[key], group, key, pause)
    elif thing.nbytes < _BLOCK or thing.chunks is None or is_text(thing):
        parent.copy(thing, parent, name)
    else:
        plan = thing.id.get_create_plist()
        h5py.h5d.create(parent.id, name.encode(), thing.id.get_type(), thing.id.get_space(), plan)
        _copy_attributes(thing, parent[name])
        copy_steps(thing, parent[name], 0, 0, len(thing), pause)


def _copy_attributes(thing: Any, copy: Any) -> None:
    copy.attrs.update(thing.attrs)


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
    """Copy consecutive rows."""
    rows = target.chunks[0]
    if not _alike(source, target) or (to - at) % rows:
        _copy_blocks(source, target, at, to, count)
        return
    head = min(-at % rows, count)
    whole = (count - head) // rows * rows
    _copy_blocks(source, target, at, to, head)
    for row in range(head, head + whole, rows):
        _copy_chunk(source, target, at + row, to + row)
    done = head + whole
    _copy_blocks(source, target, at + done, to + done, count - done)


def _alike(source: h5py.Dataset, target: h5py.Dataset) -> bool:
    """Whether chunks can be moved as bytes: same type, shape and filters, and a chunk is a number of rows."""
    one, other = source.id.get_create_plist(), target.id.get_create_plist()
    filters = [[p.get_filter(i)[:3] for i in range(p.get_nfilters())] for p in (one, other)]
    return bool(
        source.id.get_type() == target.id.get_type()
        and source.chunks == target.chunks
        and filters[0] == filters[1]
        and not is_text(source)
        and all(chunk >= extent for chunk, extent in zip(source.chunks[1:], source.shape[1:], strict=True))
    )


def _copy_chunk(source: h5py.Dataset, target: h5py.Dataset, at: int, to: int) -> None:
    corner = (0,) * (source.ndim - 1)
    if source.id.get_chunk_info_by_coord((at, *corner)).byte_offset is None:
        return  # never written
    mask, data = source.id.read_direct_chunk((at, *corner))
    target.id.write_direct_chunk((to, *corner), data, mask)


def _copy_blocks(source: h5py.Dataset, target: h5py.Dataset, at: int, to: int, count: int) -> None:
    """In blocks that end where the target's chunks end, so that each is written once."""
    chunk = target.chunks[0]
    most = max(1, _BLOCK // _row(source) // chunk) * chunk
    done = 0
    while done < count:
        step = min(most - (to + done) % chunk, count - done)
        target[to + done : to + done + step] = source[at + done : at + done + step]
        done += step
