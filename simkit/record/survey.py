"""What is in a trajectory that is to be merged: runs, names, types, units, constants?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import h5py
import numpy as np

from simkit.declare.axes import Array
from simkit.errors import SimkitError, shown_path
from simkit.record.layout import MASK, is_text, place
from simkit.record.recorded import Recorded
from simkit.record.store import WriterLock
from simkit.values.status import Status

AFTER = "after"  # the attribute of parameters that only what follows the runs asked for
_MEANING = ("codec", "layout", "dtype", "fields", "attributes", "length")
_WIDE = {"U": "str", "S": "bytes"}  # their widths do not matter


@attrs.frozen
class Source:
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
    plain
        The stored type where each row is one number in one dataset without holes, else empty.
    """

    section: str
    types: frozenset[str]
    unit: str
    digest: str
    explored: bool
    plain: str

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

    source: Source
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


def survey(source: Source) -> Survey:
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
    holes = place(section, name) + MASK in recorded.root
    complete = about.constant or (about.explored and not holes)
    plain = stored_type(thing) if complete and section == "parameters" else ""
    return Known(section, frozenset(types(thing)), about.unit, value, about.explored, plain)


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
            values = np.asarray(part[()])
            hasher.update(repr((part.shape, str(part.dtype))).encode())
            hasher.update(repr(values.tolist()).encode() if is_text(part) else values.tobytes())

    feed("", thing)
    if isinstance(thing, h5py.Group):
        thing.visititems(feed)
    return hasher.hexdigest()


def stored_type(thing: Any) -> str:
    """Codec and type of a dataset of single numbers, else nothing."""
    scalar = isinstance(thing, h5py.Dataset) and thing.ndim == (0 if thing.attrs.get("constant") else 1)
    if not scalar or thing.dtype.kind not in "biuf" or thing.dtype.itemsize > 8:
        return ""
    return f"{thing.attrs['codec']} {thing.attrs.get('dtype') or thing.dtype.str}"


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
