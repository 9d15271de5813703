"""What the command line points at: folders, files, experiments and their runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

import attrs

from simkit.collect.text import split
from simkit.errors import SimkitError

_SKIPPED = ("__pycache__", "node_modules", "build", "dist", "results", "venv", "*.egg", "*.egg-info", ".*")


@attrs.frozen
class Runs:
    """Which runs of an experiment: ``[3]``, ``[3:7]`` or ``[x=1.0,y=6.0]``.

    Attributes
    ----------
    text
        As it was written.
    start, stop
        Run numbers, ``stop`` excluded; None where the other form is used or a bound is left out.
    values
        Required values by name, else None.
    """

    text: str
    start: int | None = None
    stop: int | None = None
    values: tuple[tuple[str, str], ...] | None = None


@attrs.frozen
class Target:
    """One argument of the command: a path, perhaps with an experiment and its runs."""

    path: Path
    experiment: str | None = None
    runs: Runs | None = None


def parse(argument: str) -> Target:
    """``FILE::NAME[3:7]`` and its shorter forms.

    Raises
    ------
    SimkitError
        Where the path does not exist or the brackets can't be read.
    """
    path, separator, name = argument.partition("::")
    runs = None
    if name.endswith("]") and "[" in name:
        name, _, inside = name[:-1].partition("[")
        runs = _runs(argument, inside)
    target = Target(Path(path or "."), name or None, runs)
    if not target.path.exists():
        msg = f"no such file or folder: {path}"
        raise SimkitError(msg)
    if separator and (not name or target.path.is_dir()):
        msg = f"{argument}: write FILE::EXPERIMENT, with a file before the colons and a name behind them"
        raise SimkitError(msg)
    return target


def _runs(argument: str, inside: str) -> Runs:
    if match := re.fullmatch(r"\s*(\d+)\s*", inside):
        return Runs(inside, int(match[1]), int(match[1]) + 1)
    if match := re.fullmatch(r"\s*(\d*)\s*:\s*(\d*)\s*", inside):
        return Runs(inside, int(match[1] or 0), int(match[2]) if match[2] else None)
    values = [re.fullmatch(r"\s*([\w.]+)\s*=\s*(.+?)\s*", part, re.DOTALL) for part in split(inside)]
    if all(values):
        return Runs(inside, values=tuple((match[1], match[2]) for match in values if match))
    msg = f"{argument}: cannot read [{inside}]: write [3], [3:7] or [x=1.0,y=6.0]"
    raise SimkitError(msg)


def files(targets: Sequence[Target], patterns: Sequence[str], rootdir: Path) -> list[Path]:
    """The files to collect, each once, in order; a file that is named always counts."""
    found: dict[Path, None] = {}
    for target in targets or [Target(rootdir)]:
        inside = _below(target.path, patterns) if target.path.is_dir() else iter([target.path])
        found.update(dict.fromkeys(Path(os.path.abspath(path)) for path in inside))
    return list(found)


def _below(folder: Path, patterns: Sequence[str]) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_skipped(Path(here, name)))
        yield from (Path(here, n) for n in sorted(names) if any(fnmatch(n, p) for p in patterns))


def _is_skipped(folder: Path) -> bool:
    environment = (folder / "pyvenv.cfg").is_file() or (folder / "conda-meta").is_dir()
    return environment or any(fnmatch(folder.name, pattern) for pattern in _SKIPPED)
