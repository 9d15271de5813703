"""Which trajectories does the page show?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

from simkit.errors import Damaged, SimkitError, listed, shown_path
from simkit.record.catalogue import experiments


@attrs.frozen
class Entry:
    """One trajectory on the page.

    Attributes
    ----------
    key
        What addresses call it: the file's name, and ``::NAME`` where the file holds several experiments.
    name
        The experiment's group in the file.
    """

    key: str
    path: Path
    name: str


class Catalogue:
    """The trajectories of the files and folders that were named at the start; no other file is ever opened.

    Parameters
    ----------
    places
        Files, and folders whose ``.h5`` files count, those that turn up later too.

    Raises
    ------
    SimkitError
        For a place that does not exist.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        for place in places:
            if not place.exists():
                msg = f"no such file or folder: {shown_path(place)}"
                raise SimkitError(msg)
        self.places = tuple(place.absolute() for place in places)
        self._names: dict[Path, tuple[int, list[str]]] = {}

    def entries(self) -> list[Entry]:
        """What there is now, the newest file first."""
        paths = sorted(self._paths(), key=_modified, reverse=True)
        files = [path.name for path in paths]
        entries = []
        for path in paths:
            key = path.name if files.count(path.name) == 1 else str(path)
            names = self._experiments(path)
            entries += [Entry(f"{key}::{name}" if len(names) > 1 else key, path, name) for name in names]
        return entries

    def entry(self, key: str) -> Entry:
        """The trajectory of this key.

        Raises
        ------
        SimkitError
            Where there is none, whatever else the key may name.
        """
        entries = {entry.key: entry for entry in self.entries()}
        if key not in entries:
            msg = f"no trajectory {key!r} here\n    there: {listed(key, entries)}"
            raise SimkitError(msg)
        return entries[key]

    def _paths(self) -> Iterable[Path]:
        paths: dict[Path, None] = {}
        for place in self.places:
            paths.update(dict.fromkeys(place.glob("*.h5") if place.is_dir() else [place]))
        return [path for path in paths if path.is_file()]

    def _experiments(self, path: Path) -> list[str]:
        """The experiments in a file; none in one that is not simkit's, a nameless one in a damaged file."""
        modified = _modified(path)
        known = self._names.get(path)
        if known is None or known[0] != modified:
            try:
                known = (modified, experiments(path))
            except Damaged:
                known = (modified, [""])
            except SimkitError:
                known = (modified, [])
            self._names[path] = known
        return known[1]


def one_of(target: str) -> Entry:
    """What ``FILE`` or ``FILE::NAME`` stands for.

    Raises
    ------
    SimkitError
        When there is no such file or experiment, or the file holds several and none is named.
    """
    file, _, name = target.partition("::")
    entries = Catalogue([Path(file)]).entries()
    there = [entry.name for entry in entries]
    if not there:
        msg = f"{shown_path(file)}: no trajectory of simkit's is in it"
        raise SimkitError(msg)
    if name and name not in there:
        msg = f"{shown_path(file)} has no experiment {name!r}\n    experiments there: {listed(name, there)}"
        raise SimkitError(msg)
    if not name and len(there) > 1:
        msg = f"{shown_path(file)} holds several experiments: {', '.join(there)}\n    name one: {file}::{there[0]}"
        raise SimkitError(msg)
    return entries[there.index(name) if name else 0]


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # removed in between
        return 0
