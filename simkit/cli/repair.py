"""``simkit repair``: replay the log that a killed writer left behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simkit.cli.words import counted
from simkit.errors import shown_path
from simkit.record.store import repaired


def repair(files: Sequence[str]) -> int:
    """Replay each file's log, and say what was done."""
    for file in files:
        replayed = repaired(Path(file))
        told = f"replayed {counted(replayed, 'commit')}" if replayed else "nothing to repair"
        print(f"{shown_path(file)}: {told}")
    return 0
