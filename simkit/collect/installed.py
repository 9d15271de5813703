"""Which packages are installed, and what do the files beside them say?

`importlib.metadata` answers the same; importing it takes as long as a short study, and it parses each package's
header for each question. It is asked where packages may lie otherwise than in folders on the path.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

import attrs

_INFO = re.compile(r"(?P<name>[^-]+)(-.*)?\.(dist-info|egg-info)")


class Package(Protocol):
    """An installed package: what tells of it, file by file."""

    def read_text(self, filename: str, /) -> str | None:
        """A file that stands beside the package; None where there is none."""


@attrs.frozen
class Folder:
    """The folder ``NAME-VERSION.dist-info`` of a package."""

    path: str

    def read_text(self, filename: str, /) -> str | None:
        """A file of the folder; None where there is none."""
        try:
            with open(os.path.join(self.path, filename), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return None


def spelled(name: str) -> str:
    """The name of a package in the one spelling that all others mean."""
    return re.sub(r"[-_.]+", "-", name).lower()


def place() -> tuple[tuple[str, int], ...]:
    """What tells whether something was installed since: the folders to import from, and when they changed."""
    folders = []
    for entry in _entries():
        try:
            folders.append((entry, os.stat(entry or os.curdir).st_mtime_ns))
        except OSError:
            continue
    return tuple(folders)


def _entries() -> list[str]:
    """The path, but for folders that a package brings for itself: setuptools puts its ``_vendor`` on it."""
    entries = [entry for entry in sys.path if type(entry) is str]  # Python passes over anything else
    above = [os.path.dirname(os.path.abspath(entry)) for entry in entries]
    inside = [os.path.isfile(os.path.join(folder, "__init__.py")) for folder in above]
    return [entry for entry, is_inside in zip(entries, inside, strict=True) if not is_inside]


def every_package() -> Iterator[Package]:
    """All of them, in the order of the path: of one that is installed twice, the first is imported."""
    if _is_plain():
        yield from (folder for _, folder in _folders(place()))
        return
    from importlib import metadata

    yield from metadata.distributions(path=_entries())


def package(name: str) -> Package | None:
    """The one of this name."""
    if _is_plain():
        return _by_name(place()).get(spelled(name))
    from importlib import metadata

    found = metadata.distributions(name=name, path=_entries()) if name else ()
    return next(iter(found), None)


def offers(group: str) -> bool:
    """Whether a package may offer something to a group of entry points."""
    return any(f"[{group}]" in (each.read_text("entry_points.txt") or "") for each in every_package())


def _is_plain() -> bool:
    """Whether packages lie in folders only: none in archives, and none that another finder knows of."""
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    is_usual = all(getattr(finder, "__name__", "") == "PathFinder" for finder in finders)
    return is_usual and not any(entry.endswith(".egg") or os.path.isfile(entry) for entry in _entries())


@lru_cache(maxsize=2)
def _folders(where: tuple[tuple[str, int], ...]) -> list[tuple[str, Folder]]:
    found = []
    for entry, _ in where:
        try:
            names = os.listdir(entry or os.curdir)
        except OSError:
            continue
        for name in names:
            if name.endswith(("-info", ".egg")) and (match := _INFO.fullmatch(name)):
                found.append((spelled(match["name"]), Folder(os.path.join(entry, name))))
    return found


@lru_cache(maxsize=2)
def _by_name(where: tuple[tuple[str, int], ...]) -> dict[str, Folder]:
    by_name: dict[str, Folder] = {}
    for name, folder in _folders(where):
        by_name.setdefault(name, folder)
    return by_name
