"""``simkit serve``: a live page of trajectories."""

from __future__ import annotations

import argparse
from pathlib import Path

from simkit.cli.verbs.words import file_at, replay_line
from simkit.collect.config import find_rootdir, load_settings
from simkit.errors import SimkitError, shown_path
from simkit.serve.files import Catalogue
from simkit.serve.reading import Reading


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit serve``."""
    top = argparse.ArgumentParser(
        prog="simkit serve",
        description="Show trajectories in a browser, live while they are written. The page only reads.",
    )
    add = top.add_argument
    add(
        "places",
        metavar="FILE|FOLDER",
        nargs="*",
        help="trajectories, folders of them, or names of experiments; by default results",
    )
    add("--port", metavar="N", type=int, help="where to listen; by default the first free port from 8800 on")
    add(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="listen there instead of on this machine only; 0.0.0.0 for whoever can reach it and has the token",
    )
    add("--no-browser", action="store_true", help="print the address, open no browser")
    return top


def main(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    if options.port is not None and not 0 <= options.port < 65536:
        raise SimkitError(f"--port {options.port}: a port is a number from 0 (any that is free) to 65535")
    from simkit.serve.server import Listening, serve

    catalogue = Catalogue(places(options.places))

    def tell(listening: Listening) -> None:
        print(f"serving {', '.join(map(shown_path, catalogue.places))}")
        print(f"    {listening.address}")
        print(f"from another machine:  {listening.tunnel}   then open the address there")
        print("Ctrl-C ends the page; a running study is not disturbed by it", flush=True)

    browse = not options.no_browser
    try:
        serve(catalogue, replayed, host=options.host, port=options.port, browse=browse, tell=tell)
    except KeyboardInterrupt:  # that is how it ends
        pass
    return 0


def places(given: list[str]) -> list[Path]:
    """The files and folders that are meant: by default the project's results, or this folder."""
    if given:
        return [Path(file_at(place)) for place in given]
    results = load_settings(find_rootdir([])).results
    return [results if results.is_dir() else Path.cwd()]


def replayed(reading: Reading, run: int) -> str:
    """The command that replays a run."""
    info = reading.trajectory.info
    return replay_line(reading.path, reading.name, info.node_id, info.sessions, run)
