"""Does a file that anybody may have made lead elsewhere, or declare more than it holds?

HDF5 follows links, raw files and virtual datasets to any place that a file names, and takes the memory that a
shape asks for, whether anything was written or not. What simkit records does neither.
"""

from __future__ import annotations

import math
from pathlib import Path

import h5py

from simkit.errors import SimkitError, listed, shown_path
from simkit.record.format import MASK, SHARDS

PLENTY = 64 << 20  # bytes that may be asked for in any case
MOST_ROWS = 1_000_000  # that a small file may have, none of them written yet
_DEFLATED = 1100  # zeros are compressed to so small a part
_PLAIN = 10
_MOST_VIRTUAL = 1 << 30  # rows
_NO_FILES = ("", ".", "..")
_COLUMNS = (b"parameters", b"results", b"runs")


def check_physical(dataset: h5py.Dataset) -> None:
    """Refuse to read through a virtual dataset: HDF5 looks for its sources in the file object that simkit reads by.

    Raises
    ------
    SimkitError
        For a virtual dataset.
    """
    if dataset.id.get_create_plist().get_layout() == h5py.h5d.VIRTUAL:
        raise SimkitError(f"{dataset.name} takes its data from other files: refused")


def check_links(file: h5py.File, path: Path) -> None:
    """Refuse links to other files; none is followed for that.

    Raises
    ------
    SimkitError
        With the link's place.
    """
    elsewhere: list[str] = []

    def look(name: bytes, about: h5py.h5l.LinkInfo) -> None:
        if about.type not in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT):
            elsewhere.append(name.decode(errors="backslashreplace"))

    file.id.links.visit(look, info=True)
    if elsewhere:
        raise _refused(path, f"{elsewhere[0]!r} is a link to another file")


def dataset_at(file: h5py.File, place: str, path: Path) -> h5py.h5d.DatasetID | None:
    """A dataset that is not a link's, and whose data are here, without a look at the rest of the file; else None."""
    here, steps = file.id, place.encode().split(b"/")
    for step in steps:
        if not isinstance(here, (h5py.h5f.FileID, h5py.h5g.GroupID)) or step not in here:
            return None
        if here.links.get_info(step).type != h5py.h5l.TYPE_HARD:
            return None
        here = h5py.h5o.open(here, step)
    if not isinstance(here, h5py.h5d.DatasetID) or here.get_create_plist().get_layout() == h5py.h5d.VIRTUAL:
        return None
    return None if _problem(here, steps[-1], path, max(MOST_ROWS, _PLAIN * path.stat().st_size)) else here


def problem_of(group: h5py.Group, path: Path) -> str:
    """Why a group is not read: data that lie in other files, or sizes that nothing in this one stands for."""
    most_rows, is_set = max(MOST_ROWS, _PLAIN * path.stat().st_size), SHARDS.encode() in group.id

    def look(name: bytes) -> str | None:
        thing, problem = h5py.h5o.open(group.id, name), ""
        if isinstance(thing, h5py.h5d.DatasetID):
            problem = _problem(thing, name, path, most_rows, is_set=is_set)
        return f"{group.name}/{name.decode(errors='backslashreplace')} {problem}" if problem else None

    problem = h5py.h5o.visit(
        group.id, look
    )  # without h5py's objects: each costs more than what is asked of it
    return str(_refused(path, problem)) if problem else ""


def check_amount(dataset: h5py.Dataset, nbytes: int) -> None:
    """Refuse to read more than a dataset holds: what was never written takes memory, too.

    Raises
    ------
    SimkitError
        For more bytes than are stored, some megabytes and what compressing saves apart.
    """
    if nbytes > PLENTY and nbytes > _held(dataset.id):
        msg = f"{dataset.name} declares {nbytes:,} bytes and holds {dataset.id.get_storage_size():,} of them"
        raise SimkitError(f"{msg}: it is damaged, or was not made by simkit")


def _held(dataset: h5py.h5d.DatasetID) -> int:
    factor = _PLAIN if dataset.get_create_plist().get_nfilters() == 0 else _DEFLATED
    return int(dataset.get_storage_size()) * factor


def _problem(
    dataset: h5py.h5d.DatasetID, name: bytes, path: Path, most_rows: int, *, is_set: bool = False
) -> str:
    plan = dataset.get_create_plist()
    if plan.get_external_count():
        return "keeps its data in another file"
    layout = plan.get_layout()
    if layout == h5py.h5d.VIRTUAL:
        of_none = "takes its data from other files, and no set of shards is described here"
        return _problem_of_virtual(dataset, plan, name, path) if is_set else of_none
    size, shape = dataset.get_type().get_size(), dataset.shape or ()
    rows = shape[0] if shape else 1
    if rows > most_rows and rows * size > _held(dataset):
        return f"declares {rows:,} rows that it does not hold"
    chunk = math.prod(plan.get_chunk()) if layout == h5py.h5d.CHUNKED else 0
    largest = size * max(math.prod(shape[1:]), chunk)
    return f"declares {largest:,} bytes for one run" if largest > PLENTY and largest > _held(dataset) else ""


def _problem_of_virtual(dataset: h5py.h5d.DatasetID, plan: h5py.h5p.PropDCID, name: bytes, path: Path) -> str:
    """A master has virtual columns over the files in the set's own folder, which other tools look through."""
    folder = f"{path.stem}.shards"
    sources = {plan.get_virtual_filename(i) for i in range(plan.get_virtual_count())}
    parts = (source.split("/") for source in sources)
    if not all(len(steps) == 2 and steps[0] == folder and steps[1] not in _NO_FILES for steps in parts):
        return f"takes its data from other files than those in {folder}, which a set of shards has"
    section, *inner = name.split(b"/")
    is_column = (
        section in _COLUMNS and not name.endswith(MASK.encode()) and (section != b"runs" or len(inner) == 1)
    )
    if not is_column or not dataset.shape or dataset.shape[0] > _MOST_VIRTUAL:
        return "is no column of a set of shards"
    return ""


def _refused(path: Path, what: str) -> SimkitError:
    return SimkitError(f"{shown_path(path)}: {what}: refused, since simkit records nothing of the kind")


def problem_of_choice(path: Path, names: list[str], name: str | None) -> str:
    """Why none of a file's experiments can be opened by this name, or without one."""
    where = shown_path(path)
    if not names:
        return f"{where}: an HDF5 file, but no trajectory of simkit's is in it"
    if name is not None and name not in names:
        return f"{where} has no experiment {name!r}\n    experiments there: {listed(name, names)}"
    if name is None and len(names) > 1:
        cure = f'name one: simkit.open("{where}", "{names[0]}")'
        return f"{where} holds several experiments: {', '.join(names)}\n    {cure}"
    return ""
