"""``simkit merge``: trajectories of one experiment become one file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simkit.cli.verbs.words import add_json, file_at
from simkit.errors import shown_path
from simkit.inform.progress import counted, size
from simkit.record.merge.merging import merge

_MOST = 20


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit merge``."""
    top = argparse.ArgumentParser(
        prog="simkit merge",
        description="Merge trajectories of one experiment, shards too. Run order is the order of the files; "
        "a run that is done in one file and not in another is taken from where it is done.",
    )
    top.add_argument("target", metavar="OUT", help="the merged file; a trajectory there is the first source")
    top.add_argument(
        "sources",
        metavar="FILE",
        nargs="+",
        help="a trajectory, FILE::NAME in it, or the name of an experiment for its newest; it stays as it is",
    )
    top.add_argument(
        "--duplicates",
        choices=("error", "first", "all"),
        default="error",
        help="runs that are done in two files: stop (the default), keep the first, or keep all as further trials",
    )
    add_json(top)
    return top


def main(options: argparse.Namespace) -> int:
    """Merge these files."""
    path, sources = Path(options.target), [file_at(source) for source in options.sources]
    merged = merge(path, sources, options.duplicates)
    if options.json:
        for one in merged:
            taken = [{"file": file, "runs": runs} for file, runs in one.taken]
            options.json.emit(
                "merged", file=path.absolute(), name=one.group, runs=sum(one.counts.values()),
                counts=one.counts, sources=taken, bytes=path.stat().st_size, remarks=one.remarks,
            )  # fmt: skip
    else:
        tell(path, merged)
    return 0


def tell(path: Path, merged: Sequence[Any]) -> None:
    """Say how many runs came from where."""
    for one in merged:
        total = sum(one.counts.values())
        told = ", ".join(f"{number} {word}" for word, number in one.counts.items()) or "no runs"
        print(f"{one.group}: {counted(total, 'run')} from {counted(len(one.taken), 'file')}: {told}")
        for name, runs in one.taken[:_MOST]:
            print(f"    {name}   {counted(runs, 'run') if runs else 'nothing new'}")
        if len(one.taken) > _MOST:
            print(f"    … and {counted(len(one.taken) - _MOST, 'more file')}")
        for remark in one.remarks:
            print(f"note: {remark}")
        if total > one.counts.get("done", 0):
            print("note: runs that are not done yet run when simkit continues this trajectory")
    several = f', "{merged[0].group}"' if len(merged) > 1 else ""
    print(f"{shown_path(path)}   {size(path.stat().st_size)}")
    print(f'    import simkit; traj = simkit.open("{shown_path(path)}"{several}); traj.to_dataframe()')
