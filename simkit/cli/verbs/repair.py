"""``simkit repair``: replay the log that a killed writer left behind."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from simkit.errors import shown_path
from simkit.inform.progress import counted
from simkit.record.file.store import repaired


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit repair``."""
    top = argparse.ArgumentParser(
        prog="simkit repair",
        description="Replay what a killed simkit had committed to FILE.wal, so that any HDF5 tool reads it.",
    )
    top.add_argument("files", metavar="FILE", nargs="+", help="a trajectory")
    return top


def main(options: argparse.Namespace) -> int:
    """Repair these files."""
    return repair(options.files)


def repair(files: Sequence[str]) -> int:
    """Replay each file's log, and say what was done."""
    for file in files:
        replayed = repaired(Path(file))
        told = f"replayed {counted(replayed, 'commit')}" if replayed else "nothing to repair"
        print(f"{shown_path(file)}: {told}")
    return 0
