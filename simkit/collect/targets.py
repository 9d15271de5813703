"""What the command line points at: files, experiments, and which of their runs."""

from __future__ import annotations

import ast
import operator
import os
import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.collect.text import parse, split
from simkit.declare.expressions import Vocabulary
from simkit.declare.forms import BLOCK, Array, Values, passing
from simkit.declare.operators import matching
from simkit.declare.space import Space
from simkit.errors import NothingToRun, SimkitError, listed

PARTS = 100  # into which ``--shard auto`` divides the points
Closed = Callable[[OSError], None]
_SKIPPED = ("__pycache__", "node_modules", "build", "dist", "results", "venv", "*.egg", "*.egg-info", ".*")


@attrs.frozen
class Selector:
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


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


@attrs.frozen
class Target:
    """One argument of the command: a path, perhaps with an experiment and its runs.

    Where it lies is settled at once: a file that is imported may change the working directory.
    """

    path: Path = attrs.field(converter=_absolute)
    experiment: str | None = None
    runs: Selector | None = None


@attrs.frozen
class Shard:
    """Part ``i`` of ``n`` of the points; without ``i`` one part after the other, as they are free."""

    i: int | None
    n: int

    def part(self, size: int) -> slice:
        """The consecutive runs that are meant."""
        return (
            slice(0, size)
            if self.i is None
            else slice(self.i * size // self.n, (self.i + 1) * size // self.n)
        )

    def cuts(self, size: int) -> list[int]:
        """Where each part ends, ascending; the last one is the number of all runs."""
        return sorted({(k + 1) * size // self.n for k in range(self.n)} - {0})


def parse_target(argument: str) -> Target:
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
        typed = re.fullmatch(r"[^\W\d][\w.]*=.+", argument, re.DOTALL)
        cure = f"\n    to give a parameter another value: --set {argument}" if typed else ""
        if re.fullmatch(r"-?[\d.]+(e-?\d+)?,?", argument):
            cure = "\n    several values of a parameter are joined by commas, without blanks: --product x=0.1,0.2"
        msg = f"no such file or folder: {path}{cure}"
        raise SimkitError(msg)
    if separator and (not name or target.path.is_dir()):
        msg = f"{argument}: write FILE::EXPERIMENT, with a file before the colons and a name behind them"
        raise SimkitError(msg)
    return target


def _runs(argument: str, inside: str) -> Selector:
    if match := re.fullmatch(r"\s*(\d+)\s*", inside):
        return Selector(inside, int(match[1]), int(match[1]) + 1)
    if match := re.fullmatch(r"\s*(\d*)\s*:\s*(\d*)\s*", inside):
        return Selector(inside, int(match[1] or 0), int(match[2]) if match[2] else None)
    values = [re.fullmatch(r"\s*([\w.]+)\s*=\s*(.+?)\s*", part, re.DOTALL) for part in split(inside)]
    if all(values):
        return Selector(inside, values=tuple((match[1], match[2]) for match in values if match))
    msg = f"{argument}: cannot read [{inside}]: write [3], [3:7] or [x=1.0,y=6.0]"
    raise SimkitError(msg)


def files(targets: Sequence[Target], patterns: Sequence[str], closed: Closed | None = None) -> list[Path]:
    """The files to collect, each once, in order: those below the current folder where none is asked for.

    A file that is named always counts.

    Parameters
    ----------
    closed
        Told of folders that may not be read.
    """
    found: dict[Path, None] = {}
    for target in targets or [Target(Path.cwd())]:
        inside = _below(target.path, patterns, closed) if target.path.is_dir() else iter([target.path])
        found.update(dict.fromkeys(inside))
    return list(found)


def _below(folder: Path, patterns: Sequence[str], closed: Closed | None) -> Iterator[Path]:
    for here, folders, names in os.walk(folder, onerror=closed):
        folders[:] = sorted(name for name in folders if not _is_skipped(Path(here, name)))
        yield from (Path(here, n) for n in sorted(names) if any(fnmatch(n, p) for p in patterns))


def _is_skipped(folder: Path) -> bool:
    environment = os.path.isfile(folder / "pyvenv.cfg") or os.path.isdir(folder / "conda-meta")
    return environment or any(fnmatch(folder.name, pattern) for pattern in _SKIPPED)


def matches(expression: str, node_id: str) -> bool:
    """Whether words joined by ``and``, ``or``, ``not`` match a node id; a word matches a part, in any case.

    Raises
    ------
    SimkitError
        For anything else than words, parentheses, ``and``, ``or``, ``not``.
    """
    if not expression.strip():
        return True

    def problem(_: str) -> SimkitError:
        return SimkitError(f"-k {expression!r}: write names joined by and, or, not; quote anything else")

    def is_part(word: Any) -> bool:
        if not isinstance(word, str):
            raise problem(word)
        return word.lower() in node_id.lower()

    words = Vocabulary({ast.And: all, ast.Or: any, ast.Not: operator.not_}, is_part, is_part, problem)
    try:
        return bool(words.read(expression))
    except SyntaxError:
        raise problem("") from None


def selected(space: Space, runs: Sequence[Selector], where: str, node_id: str) -> Array | None:
    """A boolean per run, or None where all are meant.

    Raises
    ------
    SimkitError
        For a number beyond the last run, or a name that is not explored.
    NothingToRun
        When nothing is left.
    """
    if not runs and not where:
        return None
    chosen = np.zeros(len(space), bool)
    for wanted in runs:
        chosen |= _matching(space, wanted, node_id)
    if not runs:
        chosen[:] = True
    if where:
        chosen &= _passing(space, where)
    if not chosen.any():
        what = f"--where {where!r}" if where else f"[{runs[0].text}]"
        msg = f"{node_id}: {what} selects none of its {len(space)} runs"
        raise NothingToRun(msg)
    return chosen


def _passing(space: Space, where: str) -> Array:
    blocks = [np.arange(start, min(start + BLOCK, len(space))) for start in range(0, len(space), BLOCK)]
    return np.concatenate([passing(where, space.at(block), len(block), "--where") for block in blocks])


def _matching(space: Space, wanted: Selector, node_id: str) -> Array:
    chosen = np.zeros(len(space), bool)
    if wanted.values is None:
        if wanted.start is not None and wanted.start >= len(space):
            msg = f"{node_id}[{wanted.text}]: the last of its {len(space)} runs is number {len(space) - 1}"
            raise SimkitError(msg)
        chosen[wanted.start : wanted.stop] = True
        return chosen
    chosen[:] = True
    columns = space.at(np.arange(len(space)))
    for name, text in wanted.values:
        if name not in columns:
            msg = f"{node_id}[{wanted.text}]: {name!r} is not explored\n    explored: {listed(name, space.names)}"
            raise SimkitError(msg)
        chosen &= _equal(columns[name], text)
    return chosen


def _equal(values: Values, text: str) -> Array:
    wanted = parse(text)
    if isinstance(wanted, (int, float, complex)) and values.array.dtype.kind in "biufc":
        return matching(values.array, wanted)
    return np.array([value == wanted or str(value) == text for value in values.elements()], bool)
