"""The names, words and places of the file's format.

A name's place holds its dataset directly while all rows share one type and shape. Otherwise it is a
group whose ``layout`` attribute says what stands in it:

``ragged``    ``values`` (flat), ``rows`` [n, 2] (start, stop), and ``shapes`` [n, ndim] unless ndim is 1
``items``     ``rows`` [n, 2] and the column ``items``
``record``    a column per field, in the order of the attribute ``fields``; what its codec knows of all rows
              stands in the attribute ``attributes`` as JSON (empty: each row has its own)
``none``      nothing
``variants``  the columns ``1``, ``2`` …; the mask tells which of them holds a row

A mask stands beside its column ``z`` as ``z.present`` [n]: 0 where the row is absent, else the variant.
No name of a user's can be that, since dots lead into groups.

In the master of a set of shards, columns are virtual datasets over the files of the set, or, where their layout
can't be virtual, groups of empty datasets that tell the layout.

``summary/NAME``   one value each; ``after`` says which function gave it, ``added`` that it was given by hand
``notes``          ``name`` and ``text`` of remarks on the trajectory (no name), a group or a name
``links/NAME``     a soft link to a recorded name; or a run number; or the numbers of a selection
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from simkit._version import __version__
from simkit.errors import shown_path, visible

FORMAT = 1
READABLE = (1,)  # formats of older files that can still be read
MASK = ".present"
PART_OF = "part_of"
DECLARED = "declared"  # the column of runs that says whether their points still are
FEEDS = "feeds"  # the attribute that tells which arguments were made from runs of other experiments
AFTER = "after"  # the attribute of what an `@after` gave or asked for
ADDED = "added"
SHARDS = "shards"  # the table of a master: numbers of files, first run, and the one behind the last
FIRST = "first"  # the attribute of a shard: which run of the set its first one is
RENAMED = "renamed"  # of an experiment: the names that were given another one, pairs as JSON
STREAM = "stream"  # of a renamed experiment: the name by which its random streams derive from the root seed
MERGED = "merged"  # the table below ``info`` of the files that runs were merged from
_HOW_VALUES_LIE = frozenset({"layout", "codec", "dtype", "fields", "attributes", "length", "constant"})


def place(section: str, name: str) -> str:
    """Where a dotted name stands below the experiment's group."""
    return f"{section}/{name.replace('.', '/')}"


def home(root: h5py.Group, path: str) -> tuple[h5py.Group, str]:
    """The group that holds a path's last part, made where it is missing, and that part."""
    *groups, name = path.split("/")
    for part in groups:
        child = root.get(part)
        root = root.create_group(part, track_order=True) if child is None else child
    return root, name


def is_column(thing: Any) -> bool:
    """Whether a dataset or group is one name's values, rather than a group of names."""
    return isinstance(thing, h5py.Dataset) or "layout" in thing.attrs


def names_in(group: h5py.Group, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted names below a group, in order, with what holds their values."""
    for key, thing in group.items():
        if key.endswith(MASK):
            continue
        if is_column(thing):
            yield prefix + key, thing
        else:
            yield from names_in(thing, f"{prefix}{key}.")


def description(node: Any) -> dict[str, Any]:
    """What the attributes of a name's dataset or group say, but for how its values lie: comment, unit, origin …"""
    return {key: value for key, value in node.attrs.items() if key not in _HOW_VALUES_LIE}


def unreadable(path: Path, group: h5py.Group) -> str:
    """Why a group of another format can't be read."""
    found = group.attrs["simkit_format"]
    known = f"this simkit ({__version__}) reads format {', '.join(map(str, READABLE))}"
    if not isinstance(found, np.integer):
        return f"{shown_path(path)}: {visible(group.name[1:])} has a format that no simkit writes: {known}"
    if int(found) in READABLE:
        return ""
    where = f"{shown_path(path)}: {visible(group.name[1:])} has format {found}"
    if found > FORMAT:
        return f"{where}, written by a newer simkit; {known}\n    pip install --upgrade simkit"
    return f"{where}, which is too old: {known}\n    open it with the simkit that wrote it"
