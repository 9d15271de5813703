"""Which files did a trajectory's runs read, and do they still say the same?

``info/inputs`` is a table: a file's path from the rootdir (absolute where it lies elsewhere), the digest of what it
said, what tells without reading whether it is still that file, and the session. The newest row of a path counts.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs
import h5py
import numpy as np

from simkit.collect.listener import NO_FILE, FileState, OpenedFile, is_pattern, state_of
from simkit.errors import SimkitError
from simkit.record.columns.rows import TEXT, append, create_flat
from simkit.record.facts import runs_digest
from simkit.record.file.store import open_for_reading
from simkit.record.format import AFTER
from simkit.record.inspection import Texts, check_physical
from simkit.record.shards import folder_of, stretches_of

INPUTS = "inputs"
WRITTEN = "written"  # instead of a digest: the runs write this file themselves
UNKNOWN = "changed while it was read"
_COLUMNS: dict[str, Any] = {"path": TEXT, "digest": TEXT, "session": "u4"}
_STATE = ("size", "changed", "touched", "number")


@attrs.frozen
class Content:
    """What a file said when runs read it; an empty digest means that there was none."""

    digest: str
    state: FileState


def key_of(path: str, rootdir: Path) -> str:
    """A file's name in records."""
    full = Path(path)
    return full.relative_to(rootdir).as_posix() if full.is_relative_to(rootdir) else full.as_posix()


def input_of(reading: OpenedFile) -> Content:
    """What a file that was read said, if it still is as it was then."""
    if reading.is_written:
        return Content(WRITTEN, NO_FILE)
    digest = digest_of(reading.path, reading.state)
    return Content(digest if state_of(reading.path) == reading.state else UNKNOWN, reading.state)


@lru_cache(maxsize=4096)
def digest_of(path: str, state: FileState) -> str:
    """The digest of what a file in this state says: of a trajectory, of its runs and of what was added to them."""
    if state == NO_FILE:
        return ""
    if is_pattern(path):
        return f"{state[0]} names {state[1] & 0xFFFFFFFF:08x}"
    try:
        if path.endswith(".h5") and (digest := _trajectory_digest(Path(path))):
            return digest
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _trajectory_digest(path: Path) -> str:
    """Notes and sessions in which nothing was run do not count; empty for any other file."""
    hasher = hashlib.sha256()
    is_trajectory = False
    try:
        with open_for_reading(path) as file:
            for name in file:
                if "simkit_format" in file[name].attrs:
                    is_trajectory = True
                    hasher.update(f"{name} {_runs_in(file[name], path)} {_added(file[name])}\n".encode())
    except (SimkitError, KeyError):
        return ""
    return hasher.hexdigest() if is_trajectory else ""


def _runs_in(root: h5py.Group, path: Path) -> str:
    """What became of the runs of an experiment; of a set of shards in each of its files."""
    stretches = stretches_of(root, path)
    if not stretches:
        return _digest_of(root["runs"])
    digests = []
    for file in (folder_of(path) / stretch.file for stretch in stretches):
        if file.exists():
            with open_for_reading(file) as shard:
                digests.append(f"{file.name} {_digest_of(shard[root.name]['runs'])}")
    return " ".join(digests)


def _digest_of(runs: h5py.Group) -> str:
    for name in ("status", "started"):
        check_physical(runs[name])
    return runs_digest(runs["status"][:], runs["started"][:])


def _added(root: h5py.Group) -> str:
    """When functions that follow the experiment were called."""
    groups = root.get(AFTER, {})
    return " ".join(f"{name} {group.attrs.get('called', '')}" for name, group in groups.items())


def write_inputs(info: h5py.Group, inputs: Mapping[str, Content], session: int) -> None:
    """Add files that runs read."""
    if not inputs:
        return
    group = info.require_group(INPUTS)
    values: dict[str, Any] = {
        "path": [path.encode(errors="backslashreplace").decode() for path in inputs],
        "digest": [one.digest for one in inputs.values()],
        "session": np.full(len(inputs), session, "u4"),
    }
    for name, dtype in _COLUMNS.items():
        dataset = group[name] if name in group else create_flat(group, name, dtype)
        append(dataset, np.array(values[name], object) if dtype is TEXT else values[name])
    states = np.array([one.state for one in inputs.values()], "i8")
    for name, column in zip(_STATE, states.T, strict=True):
        append(group[name] if name in group else create_flat(group, name, "i8"), column)


def read_inputs(info: h5py.Group) -> dict[str, Content]:
    """The files that runs read, by path, as they were when they were read last; not those that they wrote."""
    group = info.get(INPUTS)
    if group is None:
        return {}
    paths, digests = (Texts(group[name])[:].tolist() for name in ("path", "digest"))
    states = zip(*(group[name][:].tolist() for name in _STATE), strict=True)
    written = {path for path, digest in zip(paths, digests, strict=True) if digest == WRITTEN}
    rows = zip(paths, digests, states, strict=True)
    return {path: Content(digest, state) for path, digest, state in rows if path not in written}


def add_inputs(info: h5py.Group, theirs: h5py.Group, earlier: int) -> None:
    """Add another trajectory's inputs to a merged one, whose sessions begin after that many.

    A file that was read in two states has no digest that holds for all runs.
    """
    mine, others = read_inputs(info), read_inputs(theirs)
    for path, one in others.items():
        before = mine.get(path, one)
        others[path] = one if before.digest == one.digest else Content(UNKNOWN, NO_FILE)
    write_inputs(info, others, earlier + 1)


def differences(known: Mapping[str, Content], rootdir: Path) -> Iterator[tuple[str, str, str]]:
    """The inputs that say something else now: their path, and the digests before and now."""
    for path, one in known.items():
        file = os.path.join(rootdir, path)
        state = state_of(file)
        if state == one.state and one.digest != UNKNOWN:
            continue
        now = digest_of(file, state)
        if now != one.digest:
            yield path, one.digest, now


def in_words(path: str, before: str, now: str) -> str:
    """``data.txt changed``, ``data.txt is gone``."""
    if before == UNKNOWN:
        return f"{path} changed while runs read it"
    return f"{path} {'is gone' if not now else 'is there now' if not before else 'changed'}"


@attrs.define(eq=False)
class Inputs:
    """The files that the runs of a session read, gathered while they come in."""

    rootdir: Path
    target: Path
    code: Collection[str] = ()  # the files that are compared as code
    known: dict[str, Content] = attrs.field(factory=dict)
    readings: dict[str, OpenedFile] = attrs.field(factory=dict)

    def take(self, readings: Iterable[OpenedFile]) -> dict[str, Content]:
        """What is new among these, by path, for the record."""
        new: dict[str, Content] = {}
        for reading in readings:
            key = key_of(reading.path, self.rootdir)
            before = self.readings.get(key)
            is_code = reading.is_module and key in self.code
            if is_code or reading.path == str(self.target) or (before is not None and before.is_written):
                continue
            if before is None or reading.is_written or before.state != reading.state:
                self.readings[key] = reading
                changed = before is not None and not before.is_named and not reading.is_written
                one = Content(UNKNOWN, NO_FILE) if changed else input_of(reading)
                if self.known.get(key) != one:
                    new[key] = self.known[key] = one
            elif before.is_named:
                self.readings[key] = reading  # by now it is known who opens it
        return new

    def settled(self) -> tuple[dict[str, Content], list[str]]:
        """What changed after runs had read it: for the record, and the files among it for people.

        A folder whose names changed meanwhile is one that the runs write into; a file that is only named is one that
        they write.
        """
        late = {
            key: reading
            for key, reading in self.readings.items()
            if not reading.is_written and state_of(reading.path) != reading.state
        }
        rows = {
            key: Content(WRITTEN if is_pattern(reading.path) or reading.is_named else UNKNOWN, NO_FILE)
            for key, reading in late.items()
        }
        files = [key for key, one in {**self.known, **rows}.items() if one.digest == UNKNOWN]
        return {key: one for key, one in rows.items() if self.known.get(key) != one}, sorted(files)
