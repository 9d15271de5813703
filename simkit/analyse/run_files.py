"""What did runs attach, and how does it come into a folder again?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from simkit.analyse.selection import Selection
from simkit.declare.attachment import odd_name
from simkit.declare.external import Command
from simkit.errors import SimkitError, did_you_mean, listed, shown_path
from simkit.record.attachments import RecordedFile, blocks, read_commands, read_files
from simkit.record.recorded import Recorded


class Files(Mapping[str, bytes]):
    """The files of one run: the bytes by name, read when they are asked for.

    Parameters
    ----------
    recorded
        The trajectory.
    run
        The run's number in it.
    """

    def __init__(self, recorded: Recorded, run: int) -> None:
        self._recorded, self._run = recorded, run
        self._files = {file.name: file for file in read_files(recorded.root["runs"], np.array([run]))}

    def _file(self, name: str) -> RecordedFile:
        if name not in self._files:
            near = did_you_mean(str(name), self._files)
            there = listed(str(name), list(self._files)) or "none"
            raise KeyError(f"run {self._run} has no file {name!r}{near}; attached: {there}")
        return self._files[name]

    def __getitem__(self, name: str) -> bytes:
        """A file's bytes.

        Raises
        ------
        KeyError
            For an unknown name, with those that there are.
        SimkitError
            When the bytes are damaged.
        """
        file = self._file(name)
        return b"".join(block.tobytes() for block in blocks(self._recorded.root["runs"], file))

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def size(self, name: str) -> int:
        """How many bytes a file has, without reading it."""
        return self._file(name).size

    def sha256(self, name: str) -> str:
        """The digest of a file's bytes, without reading them."""
        return self._file(name).sha256

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} ({file.size:,} B)" for name, file in self._files.items())
        return f"<files of run {self._run}: {sizes or 'none'}>"


def commands(recorded: Recorded, run: int) -> list[Command]:
    """The programs that a run has run, in order."""
    return read_commands(recorded.root["runs"], run)


def write_files(selection: Selection, folder: Path) -> tuple[int, int]:
    """Write what runs attached below a folder: of run 3 as ``3/NAME``, with as many digits as the last run has.

    Returns
    -------
    tuple of int
        How many files, and how many bytes.

    Raises
    ------
    SimkitError
        When the folder is there and not empty, a recorded name would lead out of it, a file is damaged, or the disk is
        too small; also when the runs have no files.
    """
    recorded = selection.recorded
    shown = shown_path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SimkitError(f"{shown} is there already: name a new folder, or an empty one")
    files = list(read_files(recorded.root["runs"], selection.runs))
    if not files:
        raise SimkitError(
            f"{shown_path(recorded.path)}: these runs of {recorded.name} have no files: run.attach(…) keeps them"
        )
    _check(files, folder, shown)
    digits = len(str(len(recorded) - 1))
    try:
        for file in files:
            target = folder / f"{file.run:0{digits}d}" / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as out:
                for block in blocks(recorded.root["runs"], file):
                    out.write(block.data)
    except OSError as error:
        if isinstance(error, SimkitError):
            raise
        raise SimkitError(
            f"{error.filename or shown}: could not be written: {error.strerror or error}"
        ) from None
    return len(files), sum(file.size for file in files)


def _check(files: list[RecordedFile], folder: Path, shown: str) -> None:
    """Before anything is written: names and sizes come from a file that anybody may have made."""
    odd = next((file for file in files if odd_name(file.name)), None)
    if odd is not None:
        raise SimkitError(
            f"run {odd.run}: the recorded name {odd.name!r} leads out of the folder: the file was tampered with"
        )
    above = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    size, free = sum(file.size for file in files), shutil.disk_usage(above).free
    if size > free:
        raise SimkitError(
            f"{shown}: the files have {size:,} bytes, and {free:,} are free in {os.fspath(above)}"
        )
