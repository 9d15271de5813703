"""How is the master of a set of shards made, and kept true to the files of the set?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from simkit.errors import SimkitError
from simkit.record.columns.datasets import layout_group
from simkit.record.columns.rows import is_text
from simkit.record.file.locks import WriterLock
from simkit.record.file.store import Store, open_for_reading
from simkit.record.format import MASK, SHARDS, description, home, names_in
from simkit.record.readings import Content, read_inputs, write_inputs
from simkit.record.recorded import Recorded
from simkit.record.shards import Stretch, check_place, folder_of, stretches_of
from simkit.values.batch import Status

_SECTIONS = ("parameters", "results")


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """While entered, no other process changes the master; others wait for their turn.

    Raises
    ------
    SimkitError
        Where another process has it for a minute.
    """
    folder = folder_of(path)
    folder.mkdir(parents=True, exist_ok=True)
    check_place(folder / "set")
    lock = WriterLock(folder / "set", briefly=True, patient=True)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def master_group(path: Path, name: str, *, durable: bool) -> Iterator[h5py.Group]:
    """The group of a set in its master, to change it; as it was if that fails."""
    with changing(path):
        store, failed = Store(path, durable=durable), True
        try:
            yield store.file[name]
            failed = False
        finally:
            store.close(failed=failed)


def lay(root: h5py.Group, path: Path, stretches: Sequence[Stretch]) -> None:
    """Have a master consist of these stretches, all its columns virtual datasets over their files."""
    if SHARDS in root:
        del root[SHARDS]
    table = [(stretch.number, stretch.first, stretch.stop) for stretch in stretches]
    root.create_dataset(SHARDS, data=np.array(table, "i8"))
    for section in (*_SECTIONS, "runs"):
        _lay_again(root[section], path, stretches)


def _lay_again(group: h5py.Group, path: Path, stretches: Sequence[Stretch]) -> None:
    """Lay the virtual columns below a group anew; its names keep their order."""
    keys = list(group)
    for key in keys:
        node = group[key]
        if isinstance(node, h5py.Group):
            _lay_again(node, path, stretches)
        elif node.is_virtual or group.name.endswith("/runs"):
            _lay_column(group, key, node, path, stretches)
    _order(group, keys)


def _order(group: h5py.Group, keys: Sequence[str]) -> None:
    """Let names stand in this order, as if they had been made one after the other."""
    for key in keys if list(group) != list(keys) else ():
        group.move(key, f"{key}.moving")
        group.move(f"{key}.moving", key)


def _lay_column(
    parent: h5py.Group, key: str, like: h5py.Dataset, path: Path, stretches: Sequence[Stretch]
) -> None:
    """A column like another, whose rows lie in the files of the set; past h5py's layouts, which cost ten times more."""
    shape = (stretches[-1].stop, *like.shape[1:])
    attributes, kind = dict(like.attrs), h5py.h5t.py_create(like.dtype, logical=True)
    space, plan = h5py.h5s.create_simple(shape), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if not is_text(like):
        plan.set_fill_value(np.array(like.fillvalue, like.dtype))
    source = like.name.encode()
    for stretch in stretches if 0 not in shape else ():
        count = (stretch.stop - stretch.first, *shape[1:])
        space.select_hyperslab((stretch.first, *(0,) * len(shape[1:])), count)
        file = f"{folder_of(path).name}/{stretch.file}".encode()
        plan.set_virtual(space, file, source, h5py.h5s.create_simple(count))
    space.select_all()
    if key in parent:
        del parent[key]
    h5py.h5d.create(parent.id, key.encode(), kind, space, plan)
    parent[key].attrs.update(attributes)


# What the files of the set have, and the master does not know of


def adopt(path: Path, shard: h5py.Group, inputs: Mapping[str, Content], *, durable: bool) -> None:
    """Have a master know the columns of a file of its set, and the files that its runs read.

    Parameters
    ----------
    path
        The master.
    shard
        The experiment's group in the file.
    """
    name = shard.name[1:]
    with closing(open_for_reading(path)) as file:
        if not _unknown(file[name], shard) and inputs.items() <= read_inputs(file[name]["info"]).items():
            return
    with master_group(path, name, durable=durable) as root:
        stretches = stretches_of(root, path)
        for place in _unknown(root, shard):
            _take_in(root, place, shard[place], path, stretches)
        known = read_inputs(root["info"])
        write_inputs(root["info"], {key: one for key, one in inputs.items() if known.get(key) != one}, 1)


def _unknown(root: h5py.Group, shard: h5py.Group) -> list[str]:
    """The places of columns that the master does not have, or has of other types."""
    places = [f"runs/{name}" for name in shard["runs"] if isinstance(shard["runs"][name], h5py.Dataset)]
    for section in _SECTIONS:
        columns = (node for _, node in names_in(shard[section]) if not node.attrs.get("constant", False))
        places += [node.name[len(shard.name) + 1 :] for node in columns]
    return [place for place in places if place not in root or _kinds(shard[place]) - _kinds(root[place])]


def _kinds(node: Any) -> set[str]:
    """The types of a name's values, and how they lie."""
    if node.attrs.get("layout") == "variants":
        return {kind for part in node.values() for kind in _kinds(part)}
    meaning = [str(node.attrs.get(key, "")) for key in ("codec", "dtype", "layout", "fields", "attributes")]
    if isinstance(node, h5py.Dataset):
        rows = node.shape[1:] if node.name.rpartition("/")[2] not in ("values", "rows") else ()
        return {repr((meaning, node.dtype.str, rows))}
    inner = [(key, sorted(_kinds(part))) for key, part in node.items() if not key.endswith(MASK)]
    return {repr((meaning, inner))}


def _take_in(root: h5py.Group, place: str, node: Any, path: Path, stretches: Sequence[Stretch]) -> None:
    """Have a column in the master: virtual as long as all files have one type for it."""
    parent, key = home(root, place)
    known = parent.get(key)
    if known is None and node.attrs.get("layout") != "variants":
        _lay_tree(parent, key, node, path, stretches)
        return
    parts = [*(_variants(known) if known is not None else ()), *_variants(node)]
    aside, kinds = layout_group(parent, f"{key}.moving", "variants", ""), set[str]()
    del aside.attrs["codec"]
    aside.attrs.update(description(node if known is None else known))
    for part in parts:
        if not _kinds(part) <= kinds:
            kinds |= _kinds(part)
            _outline(aside, str(len(aside) + 1), part)
    keys = [name for name in parent if name != f"{key}.moving"]
    if known is not None:
        del parent[key]
    parent.move(f"{key}.moving", key)
    _order(parent, keys if key in keys else [*keys, key])


def _variants(node: Any) -> list[Any]:
    return list(node.values()) if node.attrs.get("layout") == "variants" else [node]


def _lay_tree(parent: h5py.Group, key: str, node: Any, path: Path, stretches: Sequence[Stretch]) -> None:
    """A column that is virtual wherever a row of it is one of a dataset."""
    if isinstance(node, h5py.Dataset):
        _lay_column(parent, key, node, path, stretches)
    elif node.attrs["layout"] == "record":
        group = parent.create_group(key, track_order=True)
        group.attrs.update(node.attrs)
        for name, part in node.items():
            if not name.endswith(MASK):
                _lay_tree(group, name, part, path, stretches)
    else:
        _outline(parent, key, node)


def _outline(parent: h5py.Group, key: str, node: Any) -> None:
    """What a column consists of, without its rows."""
    if isinstance(node, h5py.Dataset):
        copy = parent.create_dataset(key, (0, *node.shape[1:]), node.dtype)
    else:
        copy = parent.create_group(key, track_order=True)
        for name, part in node.items():
            if not name.endswith(MASK):
                _outline(copy, name, part)
    copy.attrs.update(node.attrs)


# How the runs are divided


def divide(path: Path, name: str, cuts: Sequence[int], *, durable: bool) -> None:
    """Cut what is not begun yet at these run numbers, and have as many runs as the last one says.

    Parameters
    ----------
    cuts
        Ascending.
    """
    with closing(Recorded.open(path, name)) as recorded:
        stretches = recorded.shards.stretches if recorded.shards is not None else ()
        wanted = _free_from(recorded, cuts)
    if not wanted and (not stretches or stretches[-1].stop >= cuts[-1]):
        return
    with master_group(path, name, durable=durable) as root:
        stretches = stretches_of(root, path)
        number, pieces = max(stretch.number for stretch in stretches) + 1, []
        for stretch in stretches:
            bounds = (
                _bounds(path, name, stretch, cuts)
                if stretch.number in wanted
                else [stretch.first, stretch.stop]
            )
            pieces.append(Stretch(stretch.number, *bounds[:2]))
            for first, stop in pairwise(bounds[1:]):
                pieces.append(Stretch(number, first, stop))
                number += 1
        end = stretches[-1].stop
        bounds = [end, *(cut for cut in cuts if cut > end)]
        more = enumerate(pairwise(bounds), number)
        lay(root, path, [*pieces, *(Stretch(new, first, stop) for new, (first, stop) in more)])


def _free_from(recorded: Recorded, cuts: Sequence[int]) -> set[int]:
    """The numbers of stretches that are to be cut where nothing of them was begun."""
    wanted = set()
    shards = recorded.shards
    assert shards is not None
    for k, stretch in enumerate(shards.stretches):
        if any(stretch.first < cut < stretch.stop for cut in cuts):
            book = shards.book(k)
            begun = 0 if book is None else _begun(book, stretch)
            if any(stretch.first + begun < cut < stretch.stop for cut in cuts):
                wanted.add(stretch.number)
    return wanted


def _begun(book: Any, stretch: Stretch) -> int:
    """How many runs from the first one on stand before those of which nothing was begun."""
    status = np.asarray(book.run_column("status"))[: stretch.stop - stretch.first]
    tried = [*np.flatnonzero(status != Status.PENDING).tolist(), *book.checkpoints()]
    return max(tried, default=-1) + 1


def _bounds(path: Path, name: str, stretch: Stretch, cuts: Sequence[int]) -> list[int]:
    """Where a stretch is cut, its ends included; nowhere while somebody has its file."""
    file = folder_of(path) / stretch.file
    try:
        lock = WriterLock(file)
    except SimkitError:
        return [stretch.first, stretch.stop]
    try:
        begun = 0
        if file.exists() and file.stat().st_size:
            with closing(Recorded.open(file, name)) as book:
                begun = _begun(book, stretch)
        start = stretch.first + begun
        inner = [cut for cut in cuts if start < cut < stretch.stop]
        first = [start] if begun and inner else []
        return [stretch.first, *first, *inner, stretch.stop]
    finally:
        lock.release()
