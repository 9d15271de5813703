"""How verbs tell: two values beside each other, and the command that replays a run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simkit.errors import shown_path
from simkit.inform.progress import short
from simkit.record.catalogue import existing, experiments
from simkit.values.compare import Gap
from simkit.values.decode import ABSENT

# With these, the code alone does not tell points and parameters: the file does.
_SHAPING = ("--set", "--params", "--product", "--explore", "--repeat", "--output", "--into", "--shard")


def replay_line(path: Path, name: str, node_id: str, sessions: Sequence[Mapping[str, Any]], run: int) -> str:
    """The shortest way to replay a run, in a shell where that is possible."""
    command = str(sessions[-1].get("command", "")) if sessions else ""
    if command.startswith("simkit.run("):
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
        at = _farthest(one, other)
        place = ", ".join(map(str, at))
        return f"[{place}] {short(one[at])}", f"[{place}] {short(other[at])}"
    if first == second:  # they differ in type, or behind what is shown
        return f"{_kind(one)} {first}", f"{_kind(other)} {second}"
    return first, second


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
    if isinstance(value, np.ndarray) and value.size > _SMALL:
        return f"array {value.dtype} {value.shape}"
    return value if isinstance(value, str) and value == "(varies)" else short(value, _MOST)


def _kind(value: Any) -> str:
    """A type, with NumPy's own names."""
    return str(value.dtype) if isinstance(value, (np.ndarray, np.generic)) else type(value).__name__
