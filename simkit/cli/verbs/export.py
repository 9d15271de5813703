"""``simkit export``: a trajectory's runs for other programs, or a smaller trajectory."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from simkit.analyse.open import recorded_at
from simkit.analyse.trajectory import Trajectory
from simkit.cli.verbs.serve import replayed
from simkit.cli.verbs.words import FILE, add_json
from simkit.errors import NothingToRun, SimkitError, shown_path
from simkit.inform.progress import counted, size
from simkit.serve.files import one_of
from simkit.serve.reading import Reader


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit export``."""
    top = argparse.ArgumentParser(
        prog="simkit export",
        description="Write a trajectory's runs to a table (.csv, .parquet), to labelled arrays (.nc), "
        "to a smaller trajectory (.h5), or to an archive: an RO-Crate (a folder, as in crate/); or write the files "
        "that they attached into a folder (--files).",
    )
    top.add_argument("file", metavar="FILE", help=FILE)
    top.add_argument(
        "out", metavar="OUT", nargs="?", help="the new file, its ending tells the format; or a folder/"
    )
    top.add_argument("name", metavar="NAME", nargs="?", help="one of several experiments in the file")
    top.add_argument("--where", metavar="EXPR", help="only these runs, as in \"x > 2 and status == 'done'\"")
    top.add_argument(
        "--names",
        metavar="A,B,…",
        action="append",
        help="only these parameters and results, as in z,neuron.tau",
    )
    top.add_argument("--files", metavar="DIR", help="write what the runs attached into this new folder")
    top.add_argument(
        "--license", metavar="NAME", default="", help="of an archive: an address or SPDX name, as CC-BY-4.0"
    )
    top.add_argument(
        "--safe",
        action="store_true",
        help="in .csv, mark text that a spreadsheet would compute: for files from others",
    )
    top.add_argument("--force", action="store_true", help="write over OUT if it exists")
    add_json(top)
    return top


def main(options: argparse.Namespace) -> int:
    """Export, and say what was written and what was not."""
    if options.files is not None:
        return export_files(options)
    if options.out is None:
        raise SimkitError("name the file to be written: simkit export FILE OUT, or a folder: --files DIR")
    given = ",".join(options.names or ())
    names = [name for name in map(str.strip, given.split(",")) if name] or None
    out = Path(options.out)
    if options.out.endswith(("/", "\\")) or out.is_dir():
        return export_crate(options, out)
    with Trajectory(recorded_at(options.file, options.name)) as trajectory:
        chosen = _chosen(trajectory, options)
        try:
            written = chosen.export(out, names, force=options.force, safe=options.safe)
        except KeyError as error:
            msg = f"--names: {error}"
            raise SimkitError(msg) from None
        if options.json:
            n, nbytes = len(chosen), out.stat().st_size
            options.json.emit("written", file=out.absolute(), runs=n, bytes=nbytes, remarks=written.remarks)
            return 0
        print(f"{shown_path(out)}   {counted(len(chosen), 'run')}   {size(out.stat().st_size)}")
        for remark in written.remarks:
            print(f"    {remark}")
    return 0


def _chosen(trajectory: Trajectory, options: argparse.Namespace) -> Trajectory:
    """The runs that are meant."""
    chosen = trajectory if options.where is None else trajectory.where(options.where)
    if not len(chosen):
        msg = f"--where {options.where!r}: no run of {shown_path(options.file)} matches"
        raise NothingToRun(msg)
    return chosen


def export_files(options: argparse.Namespace) -> int:
    """Write what runs attached, and say how much it is."""
    if options.name is not None or options.names or options.safe or options.force:
        raise SimkitError("--files DIR goes with FILE, NAME and --where: no other file is written")
    folder = Path(options.files)
    with Trajectory(recorded_at(options.file, options.out)) as trajectory:  # FILE NAME: there is no OUT
        count, nbytes = _chosen(trajectory, options).export_files(folder)
    print(f"{shown_path(folder)}{os.sep}   {counted(count, 'file')}   {size(nbytes)}")
    return 0


def export_crate(options: argparse.Namespace, folder: Path) -> int:
    """Write an archive, and say what is missing in it."""
    from simkit.serve.crate import write_crate

    if options.where or options.names:
        raise SimkitError("an archive holds the whole trajectory: leave out --where and --names")
    entry = one_of(f"{options.file}::{options.name}" if options.name else options.file)
    with Reader().reading(entry) as reading:
        remarks = write_crate(reading, folder, replayed, license=options.license)
        n = len(reading)
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    if options.json:
        options.json.emit("written", file=folder.absolute(), runs=n, bytes=sum(sizes), remarks=remarks)
        return 0
    print(f"{shown_path(folder)}{os.sep}   {counted(len(sizes), 'file')}   {size(sum(sizes))}")
    for remark in remarks:
        print(f"    {remark}")
    return 0
