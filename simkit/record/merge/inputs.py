"""What is to be merged: files, their runs, names, types, units, constants."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import h5py
import numpy as np

from simkit.declare.forms import Array
from simkit.errors import SimkitError, shown_path
from simkit.record.catalogue import experiments
from simkit.record.columns.rows import is_text, read_rows
from simkit.record.file.locks import WriterLock
from simkit.record.file.store import open_for_reading
from simkit.record.format import AFTER, FIRST, PART_OF, SHARDS
from simkit.record.recorded import Recorded
from simkit.values.batch import Status

_MEANING = ("codec", "layout", "dtype", "fields", "attributes", "length")
_WIDE = {"U": "str", "S": "bytes"}  # their widths do not matter


@attrs.frozen
class Input:
    """One trajectory of a file that is to be merged.

    Attributes
    ----------
    held
        Whether this process has the file's lock already, because it is the target too.
    """

    path: Path
    group: str
    held: bool = False

    def __str__(self) -> str:
        return shown_path(self.path)

    def open(self) -> Recorded:
        """Open it as it was last committed.

        Raises
        ------
        SimkitError
            While it is being written.
        """
        recorded = Recorded.open(self.path, self.group)
        try:
            if not self.held:
                check_unwritten(self.path)
        except BaseException:
            recorded.close()
            raise
        return recorded


def check_unwritten(path: Path) -> None:
    """Refuse a file that another process is writing.

    Raises
    ------
    SimkitError
        With that process's number and host.
    """
    try:
        lock = WriterLock(path)
    except OSError:  # a folder where nobody may write
        return
    lock.release()


@attrs.frozen
class Known:
    """What a source says of one name.

    Attributes
    ----------
    types
        In words, such as ``float`` and ``array float64``; ``None`` is of every type.
    digest
        Of a constant's value; empty for a column.
    """

    section: str
    types: frozenset[str]
    unit: str
    digest: str
    explored: bool

    @property
    def constant(self) -> bool:
        """Whether it has one value for all runs."""
        return bool(self.digest)


@attrs.frozen(eq=False)
class Survey:
    """One source at a glance.

    Attributes
    ----------
    fingerprint
        Digests of the constants that the user gave, and the names that the space gives.
    code
        Of the newest session, by piece.
    """

    source: Input
    n: int
    status: Array
    node_id: str
    root_seed: str
    created: float
    explored: tuple[str, ...]
    fingerprint: Mapping[str, Any]
    code: Mapping[str, str]
    names: Mapping[str, Known]
    has_summary: bool
    has_seeds: bool

    @property
    def attempted(self) -> int:
        """How many runs were tried."""
        return int((self.status != Status.PENDING).sum())


def survey(source: Input) -> Survey:
    """Look at a source without reading its columns."""
    recorded = source.open()
    try:
        facts, sessions = recorded.attributes, recorded.sessions
        status = recorded.run_column("status")
        assert status is not None
        return Survey(
            source,
            len(recorded),
            status,
            node_id=str(facts["node_id"]),
            root_seed=str(facts["root_seed"]),
            created=float(facts["created"]),
            explored=recorded.explored,
            fingerprint=json.loads(facts["fingerprint"]),
            code=sessions[-1].get("code", {}) if sessions else {},
            names={
                name: _known(recorded, section, name, thing)
                for section in ("parameters", "results")
                for name, thing in of_runs(recorded, section).items()
            },
            has_summary=bool(recorded.names("summary")),
            has_seeds="seed" in recorded.root["runs"],
        )
    except KeyError as error:
        msg = f"{source}: its experiment {source.group!r} was not recorded to its beginning: {error}"
        raise SimkitError(msg) from None
    finally:
        recorded.close()


def _known(recorded: Recorded, section: str, name: str, thing: Any) -> Known:
    about = recorded.about(name)
    value = stored_digest(thing) if about.constant else ""
    return Known(section, frozenset(types(thing)), about.unit, value, about.explored)


def of_runs(recorded: Recorded, section: str) -> dict[str, Any]:
    """The names of a section that runs have to do with; others belong to what followed them, as the summary."""
    things = recorded.sections.get(section, {})
    return {name: thing for name, thing in things.items() if AFTER not in thing.attrs}


def stored_digest(thing: Any) -> str:
    """A fingerprint of what stands at a place: equal for values of equal types and bits."""
    hasher = hashlib.sha256()

    def feed(path: str, part: Any) -> None:
        told = [(key, str(part.attrs[key])) for key in _MEANING if key in part.attrs]
        hasher.update(repr((path, told)).encode())
        if isinstance(part, h5py.Dataset):
            values = np.asarray(read_rows(part, slice(0, len(part))) if part.shape else part[()])
            hasher.update(repr((part.shape, str(part.dtype))).encode())
            hasher.update(repr(values.tolist()).encode() if is_text(part) else values.tobytes())

    feed("", thing)
    if isinstance(thing, h5py.Group):
        thing.visititems(feed)
    return hasher.hexdigest()


def types(thing: Any) -> set[str]:
    """The types of a name's values, in words; shapes do not matter."""
    if thing.attrs.get("layout") == "variants":
        return {word for part in thing.values() for word in types(part)}
    codec = str(thing.attrs["codec"])
    if codec in ("scalar", "array"):
        flat = thing if isinstance(thing, h5py.Dataset) else thing["values"]
        dtype = np.dtype(flat.attrs.get("dtype") or ("U" if is_text(flat) else flat.dtype))
        return {f"{codec} {_WIDE.get(dtype.kind, dtype)}"}
    return {"dict" if codec == "mapping" else codec} - {"none"}


def is_listed(target: Path, files: Sequence[str | os.PathLike[str]]) -> bool:
    """Whether the target is one of the sources."""
    return any(os.path.realpath(_split(file)[0]) == os.path.realpath(target) for file in files)


def _split(file: str | os.PathLike[str]) -> tuple[Path, str]:
    """A file, and the experiment after ``::``."""
    path, _, name = os.fspath(file).partition("::")
    return Path(path), name


def source_sets(target: Path, files: Sequence[str | os.PathLike[str]]) -> dict[str, list[Input]]:
    """Which sources make which experiment: groups of one name, or those that were named."""
    named = any(_split(file)[1] for file in files)
    sets: dict[str, list[Input]] = {}
    seen: set[tuple[str, str]] = set()
    for file in files:
        path, name = _split(file)
        groups = experiments(path)
        if named and not name and len(groups) > 1:
            msg = (
                f"{shown_path(path)} holds several experiments: name one of {', '.join(groups)} as FILE::NAME"
            )
            raise SimkitError(msg)
        held = os.path.realpath(path) == os.path.realpath(target)
        if held and named and len(groups) > 1:
            msg = f"{shown_path(path)} holds other experiments too: merge into a new file"
            raise SimkitError(msg)
        for group in [name] if name else groups:
            if (os.path.realpath(path), group) in seen:
                msg = f"{shown_path(path)} is named twice"
                raise SimkitError(msg)
            seen.add((os.path.realpath(path), group))
            Recorded.open(path, group).close()  # says so if it is not there
            key = next(iter(sets), group) if named else group
            sets.setdefault(key, []).append(Input(path, group, held))
    _check_common(sets, [_split(file)[0] for file in files])
    return sets


def _check_common(sets: dict[str, list[Input]], paths: Sequence[Path]) -> None:
    """Each file must have an experiment in common with another."""
    shared = {source.path for sources in sets.values() if len(sources) > 1 for source in sources}
    known = {source.path for sources in sets.values() for source in sources}
    for path in sorted(paths, key=known.__contains__):  # those without any first
        if len(set(paths)) > 1 and path not in shared:
            mine = [group for group, sources in sets.items() if any(s.path == path for s in sources)]
            others = [group for group in sets if group not in mine]
            msg = (
                f"{shown_path(path)} holds {', '.join(mine) or 'no experiment'}, "
                f"the other files {', '.join(others)}\n    only trajectories of one experiment can be merged"
            )
            raise SimkitError(msg)
    if not sets:
        msg = "no trajectory is in these files"
        raise SimkitError(msg)


def is_master(path: Path) -> bool:
    """Whether a file is the master of a set of shards."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with open_for_reading(path) as file:
        return any(SHARDS in group for group in file.values() if isinstance(group, h5py.Group))


def check_part(sets: Mapping[str, Sequence[Input]]) -> None:
    """Someone who writes ``simkit merge all.h5 study-001.shards/*.h5`` means the set, whose master knows the order.

    Raises
    ------
    SimkitError
        For a file of a set.
    """
    for source in (one for sources in sets.values() for one in sources):
        with closing(Recorded.open(source.path, source.group)) as recorded:
            if FIRST in recorded.attributes:
                master = shown_path(source.path.parent.with_name(str(recorded.attributes[PART_OF])))
                msg = (
                    f"{source} is a part of a set of shards: merge the set\n    simkit merge OUT.h5 {master}"
                )
                raise SimkitError(msg)
