"""What does one type to execute a recorded run once more?"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simkit.errors import shown_path
from simkit.record.catalogue import existing
from simkit.record.recorded import experiments

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
