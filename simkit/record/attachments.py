"""Which files did runs attach, and which programs did they run?

``runs/files`` is a table, a row for each file: ``run``, ``name``, ``size`` and ``sha256``, and ``start``, where its
bytes begin in ``data``; equal files share them. ``runs/commands`` has a row for each program: ``run``, ``arguments``
as JSON, ``exit_code`` and ``seconds``. Rows of an earlier attempt have the run number -1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs
import h5py
import numpy as np

from simkit.declare.attachment import BLOCK, Attachment
from simkit.declare.external import Command
from simkit.declare.forms import Array, Index
from simkit.errors import Damaged
from simkit.record.columns.rows import TEXT, append, create_flat
from simkit.record.inspection import Texts

FILES, COMMANDS = "files", "commands"
_COLUMNS: dict[str, Any] = {"run": "i8", "name": TEXT, "size": "i8", "sha256": "S64", "start": "i8"}
_OF_COMMANDS: dict[str, Any] = {"run": "i8", "arguments": TEXT, "exit_code": "i4", "seconds": "f4"}
UNREADABLE_BYTES = (Damaged, OSError, RuntimeError, ValueError)
_CHUNK = 65_536  # bytes of files
_MOST_DIGESTS = 100_000  # of the latest files, that further ones are compared with
_MOST_ROWS = 100_000  # that are read at once


@attrs.frozen
class RecordedFile:
    """A file that a run attached.

    Attributes
    ----------
    start
        Where its bytes begin among those of all files.
    """

    run: int
    name: str
    size: int
    sha256: str
    start: int


class FileTable:
    """The attached files of one trajectory, open for writing.

    Parameters
    ----------
    runs
        The group ``runs``.
    """

    def __init__(self, runs: h5py.Group) -> None:
        self.runs = runs
        self.known: dict[bytes, int] = {}  # by digest: where the bytes begin
        self.earlier: dict[bytes, int] = {}  # the same, of files that earlier sessions recorded
        if FILES in runs:
            group = runs[FILES]
            digests, starts = (group[name][-_MOST_DIGESTS:] for name in ("sha256", "start"))
            self.earlier = dict(zip(digests.tolist(), starts.tolist(), strict=True))

    def add(self, files: Sequence[tuple[int, Attachment]]) -> None:
        """Record files with their runs."""
        if not files:
            return
        rows = [
            (run, file.name, file.size, file.sha256, self._start(file.sha256, file.size, file.blocks()))
            for run, file in files
        ]
        self._append(rows)

    def copy(self, theirs: h5py.Group, files: Iterable[RecordedFile], runs: Iterable[int]) -> None:
        """Copy files from another trajectory to these runs."""
        rows = [
            (
                run,
                file.name,
                file.size,
                file.sha256,
                self._start(file.sha256, file.size, blocks(theirs, file)),
            )
            for file, run in zip(files, runs, strict=True)
        ]
        self._append(rows)

    def _start(self, sha256: str, size: int, parts: Iterable[Any]) -> int:
        """Where a file's bytes begin, written unless they are there."""
        digest = sha256.encode()
        start = self.earlier.pop(digest, -1)
        if digest not in self.known and start >= 0 and self._is_there(sha256, size, start):
            self.known[digest] = start
        if digest not in self.known:
            data = self._group()["data"]
            start = len(data)
            for part in parts:
                append(data, part)
            if len(data) - start != size:
                raise Damaged(
                    f"a copy of an attached file has {len(data) - start:,} bytes instead of {size:,}"
                )
            if len(self.known) >= _MOST_DIGESTS:
                del self.known[next(iter(self.known))]
            self.known[digest] = start
        return self.known[digest]

    def _is_there(self, sha256: str, size: int, start: int) -> bool:
        """Whether the bytes of an earlier file are what its digest says."""
        try:
            for _ in blocks(self.runs, RecordedFile(-1, "", size, sha256, start)):
                pass
        except UNREADABLE_BYTES:
            return False
        return True

    def _append(self, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            _extend(self._group(), _COLUMNS, rows)

    def _group(self) -> h5py.Group:
        group = self.runs.require_group(FILES)
        if "data" not in group:
            group.create_dataset("data", (0,), "u1", maxshape=(None,), chunks=(_CHUNK,))
        return group


def write_commands(runs: h5py.Group, commands: Sequence[tuple[int, Command]]) -> None:
    """Record programs with their runs."""
    if commands:
        rows = [
            (run, json.dumps([_clean(word) for word in one.arguments]), one.exit_code, one.seconds)
            for run, one in commands
        ]
        _extend(runs.require_group(COMMANDS), _OF_COMMANDS, rows)


def _clean(word: str) -> str:
    """An argument as text: bytes that are none are shown as escapes."""
    return word.encode("utf-8", "backslashreplace").decode()


def _extend(group: h5py.Group, columns: dict[str, Any], rows: Sequence[tuple[Any, ...]]) -> None:
    for (name, dtype), values in zip(columns.items(), zip(*rows, strict=True), strict=True):
        dataset = group[name] if name in group else create_flat(group, name, dtype)
        append(dataset, np.array(values, object if dtype is TEXT else dtype))


def forget(runs: h5py.Group, numbers: Index) -> None:
    """These runs are made again: what earlier attempts attached and ran is theirs no more."""
    for kind in (FILES, COMMANDS):
        if kind in runs and len(numbers):
            column = runs[f"{kind}/run"]
            whole = column[:]
            old = np.isin(whole, numbers)
            if old.any():
                column[:] = np.where(old, -1, whole)


def read_files(runs: h5py.Group, wanted: Index | None = None) -> Iterator[RecordedFile]:
    """The files that runs attached, of these runs only if they are given; in the order in which they came."""
    group = runs.get(FILES)
    count = 0 if group is None else len(group["run"])
    for begin in range(0, count, _MOST_ROWS):
        part = slice(begin, min(begin + _MOST_ROWS, count))
        numbers = group["run"][part]
        rows = begin + np.flatnonzero(numbers >= 0 if wanted is None else np.isin(numbers, wanted))
        yield from _files_at(group, rows)


def _files_at(group: h5py.Group, rows: Index) -> Iterator[RecordedFile]:
    if not len(rows):
        return
    part = slice(int(rows[0]), int(rows[-1]) + 1)
    inside, end = (rows - rows[0]).tolist(), len(group["data"])
    names, digests = Texts(group["name"])[part], group["sha256"][part]
    columns = [group[name][part].tolist() for name in ("run", "size", "start")]
    for row in inside:
        run, size, start = (column[row] for column in columns)
        if not (0 <= start <= start + size <= end):
            raise Damaged(f"run {run}: where the file {names[row]!r} lies is damaged")
        yield RecordedFile(run, str(names[row]), size, digests[row].decode("ascii", "replace"), start)


def blocks(runs: h5py.Group, file: RecordedFile) -> Iterator[Array]:
    """A file's bytes, not all of them at once.

    Raises
    ------
    Damaged
        When they are not those that were attached.
    """
    hasher, end = hashlib.sha256(), file.start + file.size
    for start in range(file.start, end, BLOCK):
        block = runs[f"{FILES}/data"][start : min(start + BLOCK, end)]
        hasher.update(block)
        yield block
    if hasher.hexdigest() != file.sha256:
        raise Damaged(f"run {file.run}: the file {file.name!r} does not fit its digest")


def read_commands(runs: h5py.Group, run: int) -> list[Command]:
    """The programs that a run has run, in order."""
    group = runs.get(COMMANDS)
    rows = [] if group is None else np.flatnonzero(group["run"][:] == run).tolist()
    commands = []
    for row in rows:
        words = json.loads(group["arguments"].asstr()[row])
        code, seconds = (group[name][row].item() for name in ("exit_code", "seconds"))
        commands.append(Command(tuple(map(str, words)), code, seconds))
    return commands


def copy_files(theirs: h5py.Group, ours: h5py.Group, source: Index, target: Index) -> None:
    """Copy what runs attached to other runs of another trajectory; ``source`` ascending."""
    table, batch = FileTable(ours), 1000
    waiting: list[RecordedFile] = []
    for file in read_files(theirs, source):
        waiting.append(file)
        if len(waiting) == batch:
            _copy_batch(table, theirs, waiting, source, target)
    _copy_batch(table, theirs, waiting, source, target)


def _copy_batch(
    table: FileTable, theirs: h5py.Group, files: list[RecordedFile], source: Index, target: Index
) -> None:
    positions = np.searchsorted(source, [file.run for file in files])
    table.copy(theirs, files, target[positions].tolist())
    files.clear()


def lost_files(runs: h5py.Group) -> list[int]:
    """The runs of which an attached file can't be read."""
    lost = set()
    for file in read_files(runs):
        try:
            for _ in blocks(runs, file):
                pass
        except UNREADABLE_BYTES:
            lost.add(file.run)
    return sorted(lost)
