"""``simkit repair``: replay the log that a killed writer left behind."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simkit.cli.verbs.words import add_json, file_at
from simkit.errors import Damaged, SimkitError, shown_path, visible
from simkit.inform.progress import counted
from simkit.record.catalogue import check_formats, files_of
from simkit.record.file.store import repaired
from simkit.record.inspection import unasked


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit repair``."""
    top = argparse.ArgumentParser(
        prog="simkit repair",
        description="Replay what a killed simkit had committed to FILE.wal, so that any HDF5 tool reads it.",
    )
    top.add_argument(
        "files", metavar="FILE", nargs="+", help="a trajectory, or the name of an experiment for its newest"
    )
    add_json(top)
    return top


@unasked()
def main(options: argparse.Namespace) -> int:
    """Repair these files."""
    paths = [path for file in options.files for path in files_of(Path(file_at(file)))]
    return repair([str(path) for path in paths], options.json or None)


def repair(files: Sequence[str], events: Any = None) -> int:
    """Replay each file's log, see whether the file can be opened, and say what was done, or give it to ``events``."""
    code = 0
    for file in files:
        try:
            replayed = repaired(Path(file))
            if replayed and events is None:
                print(f"{shown_path(file)}: replayed {counted(replayed, 'commit')}", flush=True)
            check_formats(Path(file))
        except SimkitError as error:
            cure = f"\n    {_CURE}" if isinstance(error, Damaged) else ""
            print(visible(f"simkit: {error}{cure}"), file=sys.stderr)
            if events is not None:
                events.emit("error", where=file, message=f"{error}{cure}")
            code = error.exit_code
            continue
        if events is not None:
            events.emit("repaired", file=Path(file).absolute(), commits=replayed)
        elif not replayed:
            print(f"{shown_path(file)}: nothing to repair")
    return code


_CURE = "it can't be repaired: no log beside it mends that; take it from a backup, or record it again"
