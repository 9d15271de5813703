"""``simkit show``: what is recorded in a file, as a whole or of one run."""

from __future__ import annotations

import argparse
from pathlib import Path

from simkit.analyse.describe import briefly
from simkit.analyse.find import open as open_trajectory
from simkit.analyse.trajectory import Trajectory
from simkit.cli.again import replay_line
from simkit.cli.provenance import show_provenance
from simkit.cli.words import rule
from simkit.errors import SimkitError
from simkit.record.recorded import experiments


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit show``."""
    top = argparse.ArgumentParser(prog="simkit show", description="What is recorded in a trajectory file.")
    top.add_argument("file", metavar="FILE", help="a trajectory")
    top.add_argument("name", metavar="NAME", nargs="?", help="one of several experiments in the file")
    top.add_argument("--run", metavar="N", type=int, help="one run: parameters, results, log, traceback")
    top.add_argument(
        "--provenance", action="store_true", help="each session: machine, packages, git, sources, command"
    )
    return top


def main(options: argparse.Namespace) -> int:
    """Print what the options ask for."""
    if options.provenance:
        return show_provenance(options.file, options.name)
    return show(options.file, options.name, options.run)


def show(file: str, name: str | None, run: int | None) -> int:
    """Print a file's experiments, or one run of one."""
    path = Path(file)
    everything: list[str | None] = [*experiments(path)] or [None]
    names = everything if name is None and run is None else [name]
    for each in names:
        with open_trajectory(path, each) as trajectory:
            print(trajectory if run is None else told(trajectory, run))
    return 0


def told(trajectory: Trajectory, run: int) -> str:
    """One run: parameters, results, notes, log, traceback, and the command that replays it."""
    if not 0 <= run < len(trajectory):
        msg = f"--run {run}: the runs of {trajectory.name} are numbered 0 to {len(trajectory) - 1}"
        raise SimkitError(msg)
    status, seconds = trajectory.status[run], trajectory.seconds[run]
    lines = [rule(f"{trajectory.info.node_id}[{run}]"), f"status: {status}   seconds: {seconds:.3g}"]
    for title, names in (
        ("parameters", trajectory.names("parameters")),
        ("results", trajectory.names("results")),
    ):
        found = {name: value for name in names if (value := _value(trajectory, run, name)) is not None}
        if found:
            width = max(map(len, found))
            lines += ["", title, *(f"    {name:<{width}}  {value}" for name, value in found.items())]
    texts = (
        ("notes", "\n".join(trajectory.notes(run))),
        ("log", trajectory.log(run)),
        ("error", trajectory.error(run)),
    )
    for title, text in texts:
        if text:
            lines += ["", title, *("    " + line for line in text.rstrip().splitlines())]
    info = trajectory.info
    replay = replay_line(trajectory.path, trajectory.name, info.node_id, info.sessions, run)
    return "\n".join([*lines, "", f"replay: {replay}"])


def _value(trajectory: Trajectory, run: int, name: str) -> str | None:
    try:
        return briefly(trajectory.runs[run][name])
    except KeyError:
        return None
