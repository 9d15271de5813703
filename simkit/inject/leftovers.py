"""Whose is a temporary file, and which of them did the dead leave behind?

All names say which process made the file: by number and start, since numbers are given again, and by the machine
and the space of process numbers, since containers may share a folder.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from simkit.errors import file_stem

SHARED = "/dev/shm" if os.path.isdir("/dev/shm") else None
_NAME = re.compile(r"simkit-([0-9a-f]{8})-(\d+)-(\d+)-.+")
_RUN = "run"  # links to the working directories of runs that are under way


def prefix(kind: str) -> str:
    """How the name of a temporary file of this process begins."""
    return f"simkit-{_here()}-{_me(os.getpid())}-{kind}-"


@cache
def _here() -> str:
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    return f"{zlib.crc32(f'{platform.node()}/{space}'.encode()):08x}"


@cache
def _me(process: int) -> str:
    return f"{process}-{_start(process) or 0}"


def _start(process: int) -> int | None:
    """When a process started, by the system's clock; 0 where that is not told, None where there is no such process."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{process}/stat").read_text("latin-1").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else int(fields[19])
    if sys.platform != "win32":  # where `os.kill` would end it
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return None
        except OSError:
            pass
    return 0


def sweep() -> None:
    """Remove the temporary files of processes that have died; those of failed runs were kept on purpose."""
    for folder in dict.fromkeys(filter(None, (tempfile.gettempdir(), SHARED))):
        for path in _of_the_dead(Path(folder)):
            with suppress(OSError):
                _remove(path)


def _of_the_dead(folder: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name)
            if match is None or match[1] != _here() or _start(int(match[2])) == int(match[3]):
                continue
            with suppress(OSError):
                if not hasattr(os, "getuid") or entry.stat(follow_symlinks=False).st_uid == os.getuid():
                    yield Path(entry.path)


def _remove(path: Path) -> None:
    if path.is_symlink():
        target = path.with_name(os.path.basename(path.readlink()))
        if target.name.startswith("simkit-") and not target.is_symlink():
            shutil.rmtree(target, ignore_errors=True)
        path.unlink(missing_ok=True)
    elif path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def run_folder(name: str) -> tuple[Path, Path | None]:
    """Make the working directory of a run.

    Returns
    -------
    Path
        The directory.
    Path or None
        A link to it that stands while the run is under way: without it the directory is kept. None where no links
        can be made.
    """
    while True:
        key = secrets.token_hex(4)
        folder = Path(tempfile.gettempdir(), f"simkit-{file_stem(name)}-{key}")
        mark: Path | None = folder.with_name(prefix(_RUN) + key)
        try:
            folder.with_name(prefix(_RUN) + key).symlink_to(folder.name)
        except FileExistsError:
            continue
        except (OSError, NotImplementedError):
            mark = None
        try:
            folder.mkdir(0o700)
        except FileExistsError:
            if mark is not None:
                mark.unlink()
            continue
        return folder, mark


def kept_folders(process: int) -> list[Path]:
    """The working directories of the runs that a process was in when it died; from now on they are kept."""
    folder, kept = Path(tempfile.gettempdir()), []
    for link in folder.glob(f"simkit-{_here()}-{process}-*-{_RUN}-*"):
        with suppress(OSError):
            target = folder / os.path.basename(link.readlink())
            link.unlink()
            kept.extend([target] if target.is_dir() else [])
    return kept
