"""Which file does a run attach, under which name, and what did it hold at that moment?"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.declare.forms import Array
from simkit.errors import SimkitError, did_you_mean

BLOCK = 4 << 20  # bytes that are held in memory at once
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names of devices on Windows
_LONGEST = 255  # bytes that file systems take for one part of a path


def odd_name(name: str) -> bool:
    """Whether a path is none that can be written below a folder on any system, without leading out of it."""
    parts = name.split("/")
    is_odd = any(
        part[:1] in ("", ".") or part[-1:] in (".", " ") or _RESERVED.fullmatch(part) for part in parts
    )
    try:
        is_long = any(len(part.encode()) > _LONGEST for part in parts)
    except UnicodeEncodeError:  # bytes that are no text
        return True
    return is_odd or is_long or bool(re.search(r'[\\:*?"<>|]', name)) or not name.isprintable()


@attrs.frozen(eq=False)
class Attachment:
    """A file as it was when a run attached it.

    Attributes
    ----------
    name
        What it is called: a path from the run's folder, with slashes.
    size
        In bytes.
    sha256
        The digest of its bytes.
    data
        The bytes of a small one, ``uint8``; None where they are in a file.
    path
        The file that holds a copy of a large one.
    """

    name: str
    size: int
    sha256: str
    data: Array | None = None
    path: str = ""

    @classmethod
    def of(cls, path: Path, name: str, aside: Callable[[], str], room: int) -> Attachment:
        """Take what a file holds now.

        Parameters
        ----------
        aside
            Names a new file for a copy.
        room
            How many bytes may stay in memory.
        """
        with open(path, "rb") as file:
            start = file.read(room + 1)
            hasher = hashlib.sha256(start)
            if len(start) <= room:
                return cls(name, len(start), hasher.hexdigest(), np.frombuffer(start, np.uint8))
            size, copy = len(start), aside()
            with open(copy, "xb") as copied:
                copied.write(start)
                while block := file.read(BLOCK):
                    hasher.update(block)
                    copied.write(block)
                    size += len(block)
        return cls(name, size, hasher.hexdigest(), path=copy)

    def blocks(self) -> Iterator[Array]:
        """Its bytes, not all of them at once."""
        if self.data is not None:
            yield self.data
            return
        with open(self.path, "rb") as file:
            while block := file.read(BLOCK):
                yield np.frombuffer(block, np.uint8)

    @property
    def content(self) -> bytes:
        """All its bytes."""
        return b"".join(block.tobytes() for block in self.blocks())

    def whole(self) -> Attachment:
        """The same with its bytes in memory, for another machine."""
        if self.data is not None:
            return self
        data = np.fromfile(self.path, np.uint8)
        self.discard()
        return attrs.evolve(self, data=data, path="")

    def discard(self) -> None:
        """Remove the copy."""
        if self.path:
            Path(self.path).unlink(missing_ok=True)


def matching(path: Any, folder: Path, name: str | None) -> list[tuple[Path, str]]:
    """The files that a path or pattern stands for, and what each is called.

    Parameters
    ----------
    folder
        The run's folder, from which paths are relative.
    name
        What a single file shall be called.

    Raises
    ------
    SimkitError
        When there is none, or one can't be attached.
    """
    given = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
    if not given or "\0" in given:
        raise SimkitError(f"run.attach({path!r}): give the path of a file, or a pattern such as '*.dat'")
    full = folder / given
    if os.path.lexists(full) or not re.search(r"[*?\[]", given):
        _check_file(full, given, folder)
        called = name if name is not None else _name_of(full, folder)
        return [(full, _checked_name(called, given))]
    paths = [one for one in _glob(folder, given) if one.is_file()]
    if not paths:
        raise SimkitError(f"run.attach({given!r}): no file matches{_there(folder)}")
    if name is not None and len(paths) > 1:
        raise SimkitError(
            f"run.attach({given!r}, name={name!r}): {len(paths)} files match: they need own names"
        )
    return [(one, _checked_name(name or _name_of(one, folder), given)) for one in paths]


def _glob(folder: Path, pattern: str) -> list[Path]:
    """What a pattern matches, in order; as in a shell, names that begin with a dot only where it says so."""
    pure = Path(pattern)
    root = Path(pure.anchor) if pure.is_absolute() else folder
    parts = pure.parts[1:] if pure.is_absolute() else pure.parts
    if parts[-1] == "**":
        parts = (*parts, "*")
    hidden = any(part.startswith(".") for part in parts)
    found = sorted(root.glob("/".join(parts)))
    below = ((one, one.relative_to(root).parts) for one in found)
    return [one for one, names in below if hidden or not any(part.startswith(".") for part in names)]


def _name_of(path: Path, folder: Path) -> str:
    """A file's path from the run's folder; of one that lies elsewhere its last part."""
    inside = os.path.relpath(os.path.abspath(path), os.path.abspath(folder)).replace(os.sep, "/")
    return os.path.basename(path) if inside.split("/")[0] == ".." or os.path.isabs(inside) else inside


def _checked_name(name: str, given: str) -> str:
    if odd_name(name):
        raise SimkitError(
            f"run.attach({given!r}): {name!r} is no name that a file can have on every system\n"
            "    name it: run.attach(path, name='trace.dat')"
        )
    return name


def _check_file(path: Path, given: str, folder: Path) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        why = (
            "a link to nothing"
            if os.path.islink(path)
            else "there is no such file"
            if missing
            else error.strerror
        )
        near = did_you_mean(given, _names(path.parent)) if missing else ""
        raise SimkitError(f"run.attach({given!r}): {why}{near}{_there(folder) if missing else ''}") from None
    if stat.S_ISDIR(mode):
        cure = f"run.attach({given.rstrip('/') + '/**'!r})"
        raise SimkitError(f"run.attach({given!r}): it is a folder\n    attach the files in it: {cure}")
    if not stat.S_ISREG(mode):
        raise SimkitError(
            f"run.attach({given!r}): it is no plain file: a pipe, a device or a socket has no content"
        )


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _there(folder: Path) -> str:
    names = _names(folder)
    shown = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    return f"\n    in {folder}: {shown or 'nothing'}"
