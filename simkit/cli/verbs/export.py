"""``simkit export``: a trajectory's runs for other programs, or a smaller trajectory."""

from __future__ import annotations

import argparse
from pathlib import Path

from simkit.analyse.open import recorded_at
from simkit.analyse.trajectory import Trajectory
from simkit.cli.verbs.words import FILE
from simkit.errors import NothingToRun, SimkitError, shown_path
from simkit.inform.progress import counted, size


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit export``."""
    top = argparse.ArgumentParser(
        prog="simkit export",
        description="Write a trajectory's runs to a table (.csv, .parquet), to labelled arrays (.nc), "
        "or to a smaller trajectory (.h5).",
    )
    top.add_argument("file", metavar="FILE", help=FILE)
    top.add_argument("out", metavar="OUT", help="the new file; its ending tells the format")
    top.add_argument("name", metavar="NAME", nargs="?", help="one of several experiments in the file")
    top.add_argument("--where", metavar="EXPR", help="only these runs, as in \"x > 2 and status == 'done'\"")
    top.add_argument(
        "--names",
        metavar="A,B,…",
        action="append",
        help="only these parameters and results, as in z,neuron.tau",
    )
    top.add_argument("--force", action="store_true", help="write over OUT if it exists")
    return top


def main(options: argparse.Namespace) -> int:
    """Export, and say what was written and what was not."""
    given = ",".join(options.names or ())
    names = [name for name in map(str.strip, given.split(",")) if name] or None
    out = Path(options.out)
    with Trajectory(recorded_at(options.file, options.name)) as trajectory:
        chosen = trajectory if options.where is None else trajectory.where(options.where)
        if not len(chosen):
            msg = f"--where {options.where!r}: no run of {shown_path(options.file)} matches"
            raise NothingToRun(msg)
        try:
            written = chosen.export(out, names, force=options.force)
        except KeyError as error:
            msg = f"--names: {error}"
            raise SimkitError(msg) from None
        print(f"{shown_path(out)}   {counted(len(chosen), 'run')}   {size(out.stat().st_size)}")
        for remark in written.remarks:
            print(f"    {remark}")
    return 0
