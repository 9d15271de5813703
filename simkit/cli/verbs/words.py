"""What verbs on files share: which file is meant, and how values and commands are shown."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from simkit.analyse.open import recorded_at
from simkit.errors import SimkitError, shown_path
from simkit.inform.progress import briefly
from simkit.record.catalogue import bytes_of, existing, experiments, writer_in
from simkit.record.damage import alterations
from simkit.record.recorded import Recorded
from simkit.replay.comparison import Deviation
from simkit.values.batch import tally
from simkit.values.compare import Gap, Tolerance
from simkit.values.decode import ABSENT

FILE = "a trajectory, or the name of an experiment for its newest; FILE::NAME where it holds several"


def add_file(parser: argparse.ArgumentParser) -> None:
    """The arguments ``FILE [NAME]``."""
    parser.add_argument("file", metavar="FILE", help=FILE)
    parser.add_argument("name", metavar="NAME", nargs="?", help="one of several experiments in the file")


def experiments_at(file: str, name: str | None, *, codecs: bool = True) -> Iterator[Recorded]:
    """What ``FILE [NAME]`` stands for: every experiment of a file where none is named; each is closed after use."""
    path = Path(file)
    every: list[str | None] = [*experiments(path)] if name is None and os.path.exists(path) else []
    for each in every or [name]:
        with closing(recorded_at(file, each, codecs=codecs)) as recorded:
            yield recorded


def file_at(target: str) -> str:
    """``FILE`` or ``FILE::NAME`` as it is, or the file that the name of an experiment stands for.

    Raises
    ------
    SimkitError
        As `simkit.open` does for a name.
    """
    if not target.isidentifier() or os.path.exists(target):
        return target
    with closing(recorded_at(target, codecs=False)) as recorded:
        return shown_path(recorded.path)


def on_files(arguments: Sequence[str], action: Callable[[], int]) -> int:
    """Do what a verb does; what another program changed in the files among its arguments is told.

    Raises
    ------
    Damaged
        When a file can't be read for that.
    """
    with alterations(_files_among(arguments)):
        return action()


def _files_among(arguments: Sequence[str]) -> Iterator[Path]:
    for argument in arguments:
        with suppress(SimkitError, OSError, ValueError):
            path = Path(file_at(argument).partition("::")[0])
            if path.is_file():
                yield path


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option ``--json``."""
    parser.add_argument(
        "--json", action="store_true", help="say it as JSON objects, one a line (docs/reference/json.md)"
    )


def facts_of(recorded: Recorded) -> dict[str, Any]:
    """What an object with ``--json`` says of any trajectory."""
    status = recorded.run_column("status")
    counts = {} if status is None else tally(status)
    sessions = recorded.sessions
    return {
        "file": recorded.path.absolute(),
        "name": recorded.name,
        "experiment": str(recorded.attributes["node_id"]),
        "runs": len(recorded),
        "done": counts.get("done", 0),
        "counts": counts,
        "bytes": bytes_of(recorded.path),
        "session": sessions[-1].get("ended", sessions[-1]["started"]) if sessions else None,
        "writer": writer_in(recorded.path),
    }


def add_tolerance(parser: argparse.ArgumentParser) -> None:
    """The options ``--rtol`` and ``--atol``."""
    for name, kind in (("rtol", "relative"), ("atol", "absolute")):
        text = f"{kind} difference that a float may have"
        parser.add_argument(f"--{name}", metavar="X", type=float, default=0.0, help=text)


def tolerance(options: argparse.Namespace) -> Tolerance:
    """What ``--rtol`` and ``--atol`` say.

    Raises
    ------
    SimkitError
        Unless they are numbers from 0 on.
    """
    for name in ("rtol", "atol"):
        if not getattr(options, name) >= 0:
            msg = f"--{name} {getattr(options, name)}: give a number from 0 on"
            raise SimkitError(msg)
    return Tolerance(options.rtol, options.atol)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of words as lines, each column as wide as its widest word."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{word:<{width}}" for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


# With these, the code alone does not tell points and parameters: the file does.
_SHAPING = ("--set", "--params", "--product", "--explore", "--repeat", "--output", "--into", "--shard")


def replay_line(path: Path, name: str, node_id: str, sessions: Sequence[Mapping[str, Any]], run: int) -> str:
    """The shortest way to replay a run, in a shell where that is possible."""
    command = str(sessions[-1].get("command", "")) if sessions else ""
    if command.startswith("simkit.script("):
        return verify_command(path, name, run)
    if command.startswith("simkit."):
        function = node_id.partition("::")[2]
        return f"{open_call(path, name)}.replay({run})   # in Python, where {function} is defined"
    words = [word.partition("=")[0] for word in command.split()]
    if any(word in _SHAPING for word in words) or not _is_newest(path, name):
        return verify_command(path, name, run)
    return shlex.join(["simkit", f"{node_id}[{run}]", "--pdb"])


def _is_newest(path: Path, name: str) -> bool:
    slots = existing(path.parent, name)
    return bool(slots) and slots[0].path.resolve() == path.resolve()


def verify_command(path: Path, name: str, run: int) -> str:
    """Replays a run under the debugger from what the file says, whatever is the newest trajectory."""
    names = [name] if len(experiments(path)) > 1 else []
    return shlex.join(["simkit", "verify", shown_path(path), *names, "--runs", str(run), "--pdb"])


def open_call(path: Path, name: str) -> str:
    """The Python call that opens a trajectory."""
    second = f', "{name}"' if len(experiments(path)) > 1 else ""
    return f'simkit.open("{shown_path(path)}"{second})'


_MOST = 32  # characters of a value
_SMALL = 4  # elements of an array that is shown as it is


def pair(one: Any, other: Any, units: tuple[str, str] = ("", "")) -> tuple[str, str]:
    """Both values in a few characters; of arrays the elements that lie farthest apart, with their place."""
    first, second = (f"{_shown(v)} {unit}".rstrip() for v, unit in zip((one, other), units, strict=True))
    if _alike(one, other):
        cell = _farthest(one, other)
        place = ", ".join(map(str, cell))
        return f"[{place}] {briefly(one[cell])}", f"[{place}] {briefly(other[cell])}"
    if first == second:  # they differ in type, or behind what is shown
        return f"{_kind(one)} {first}", f"{_kind(other)} {second}"
    return first, second


def deviation_facts(deviation: Deviation) -> dict[str, Any]:
    """A difference for programs: the values as recorded and as compared with."""
    gap = deviation.gap
    return {
        "name": deviation.name,
        "runs": None if deviation.runs is None else list(deviation.runs),
        "values": deviation.values,
        "absolute": None if gap is None else gap.absolute,
        "relative": None if gap is None else gap.relative,
    }


def apart(gap: Gap | None) -> str:
    """How far two values lie apart, if that is a number."""
    return (
        "" if gap is None or not gap.absolute else f"off by {gap.absolute:.2g} ({gap.relative:.2g} relative)"
    )


def _alike(one: Any, other: Any) -> bool:
    """Whether these are arrays of numbers of one type and shape, too large to be shown whole."""
    arrays = type(one) is np.ndarray and type(other) is np.ndarray
    return bool(
        arrays
        and one.size > _SMALL
        and one.dtype == other.dtype
        and one.shape == other.shape
        and one.dtype.kind in "biufc"
    )


def _farthest(one: Any, other: Any) -> tuple[int, ...]:
    """Where they lie farthest apart; a zero of another sign is the least difference."""
    a, b = (side.astype(np.result_type(side, "f8")) for side in (one, other))
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(a - b)
    distance[np.isnan(distance)] = np.inf  # a NaN or an infinity on one side
    distance[((a == b) & (np.signbit(a.real) == np.signbit(b.real))) | (np.isnan(a) & np.isnan(b))] = -1
    return tuple(map(int, np.unravel_index(int(distance.argmax()), distance.shape)))


def _shown(value: Any) -> str:
    """A value, the type and shape of an array, or a remark in parentheses as it is."""
    if value is ABSENT:
        return "(nothing)"
    return value if isinstance(value, str) and value == "(varies)" else briefly(value, _MOST, _SMALL)


def _kind(value: Any) -> str:
    """A type, with NumPy's own names."""
    return str(value.dtype) if isinstance(value, (np.ndarray, np.generic)) else type(value).__name__
