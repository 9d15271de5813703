"""``simkit watch``: how far studies are, from another terminal than theirs."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simkit.cli.verbs.serve import places
from simkit.errors import NothingToRun, SimkitError, shown_path, visible
from simkit.inform.progress import duration
from simkit.record.catalogue import check_formats
from simkit.serve.files import Catalogue
from simkit.serve.reading import Reader
from simkit.serve.state import StudyState, state_of

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {
    "done": "blue",
    "failed": "red",
    "timeout": "yellow",
    "crashed": "magenta",
    "pending": "bright_black",
}
_WIDTH = 30  # of a bar
_SHOWN = 10  # trajectories of a folder that nobody is writing


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit watch``."""
    top = argparse.ArgumentParser(
        prog="simkit watch",
        description="Show how far studies are, from another terminal than theirs, until none is running any more.",
        epilog="exit codes: 0 nothing is running any more   4 usage or file error   5 no trajectory",
    )
    add = top.add_argument
    add(
        "places",
        metavar="FILE|FOLDER",
        nargs="*",
        help="trajectories, folders of them, or names of experiments; by default results",
    )
    add(
        "--json",
        action="store_true",
        help="an object per trajectory and line, whenever something has changed",
    )
    add("--interval", metavar="SECONDS", type=float, default=1.0, help="how often to look (default 1)")
    return top


def main(options: argparse.Namespace) -> int:
    """Watch until nothing is running any more, or Ctrl-C."""
    if options.interval <= 0:
        raise SimkitError("--interval: give a positive number of seconds")
    catalogue, reader = Catalogue(places(options.places)), Reader()
    for place in filter(os.path.isfile, options.places):
        if not check_formats(Path(place)):  # or an error that says what is wrong with the file
            raise SimkitError(f"{shown_path(place)}: an HDF5 file, but no trajectory of simkit's is in it")
    if not catalogue.entries():
        raise NothingToRun(
            f"no trajectory in {', '.join(map(shown_path, catalogue.places))}: run simkit first"
        )
    moments = _moments(catalogue, reader, options.interval)
    try:
        _tell(moments) if options.json else _show(moments)
    except KeyboardInterrupt:  # whoever watched has seen enough
        pass
    return 0


def _moments(catalogue: Catalogue, reader: Reader, interval: float) -> Iterator[list[StudyState]]:
    """All states, again and again, the last time when nothing is running."""
    while True:
        states = list(_states(catalogue, reader))
        yield states
        if not any(state.word == "running" for state in states):
            return
        time.sleep(interval)


def _states(catalogue: Catalogue, reader: Reader) -> Iterator[StudyState]:
    for entry in catalogue.entries():
        try:
            with reader.reading(entry) as reading:
                yield state_of(reading)
        except (SimkitError, OSError):  # gone in between, or not readable any more
            continue


def _tell(moments: Iterable[list[StudyState]]) -> None:
    """A line for each state that changed."""
    before: dict[tuple[str, str], tuple[str, str]] = {}
    for states in moments:
        for state in states:
            key, now = (state.path, state.name), (state.version, state.word)
            if before.get(key) != now:
                before[key] = now
                print(json.dumps(state.as_json()), flush=True)


def _show(moments: Iterable[list[StudyState]]) -> None:
    """A table that stays in its place on a terminal; in a pipe the last one."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if not console.is_terminal:
        *_, last = moments
        console.print(_table(last))
        return
    with Live(console=console, auto_refresh=False) as live:
        for states in moments:
            live.update(_table(states), refresh=True)


def _table(states: Sequence[StudyState]) -> Table:
    """A line per trajectory: those that are being written, and the newest others."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("trajectory", "state", "runs", "", "", ""):
        table.add_column(title, no_wrap=True)
    running = [state for state in states if state.word == "running"]
    others = [state for state in states if state.word != "running"]
    for state in [*running, *others[: max(1, _SHOWN - len(running))]]:
        counts = Text("  ").join(Text(f"{n:,} {word}", _COLOURS[word]) for word, n in state.counts.items())
        ended = "" if state.ended is None else f"in {duration(state.ended - state.started)}"
        name = visible(shown_path(state.path))
        table.add_row(Text(name), state.word, f"{state.runs:,}", _bar(state), counts, state.pace or ended)
    return table


def _bar(state: StudyState) -> Any:
    """The share of each status, in its colour."""
    from rich.text import Text

    bar, ends = Text(), 0.0
    for word, count in sorted(state.counts.items(), key=lambda item: list(_COLOURS).index(item[0])):
        begin, ends = round(ends), ends + _WIDTH * count / max(1, state.runs)
        bar.append("━" * (round(ends) - begin), _COLOURS[word])
    return bar
