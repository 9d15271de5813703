"""``simkit restore``: the recorded sources in a folder of their own, ready to be run again."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from simkit.analyse.open import recorded_at
from simkit.cli.verbs.words import FILE, add_json
from simkit.errors import shown_path
from simkit.inform.progress import counted
from simkit.provenance.restore import (
    RestoredFiles,
    check_target,
    checkout,
    found_repository,
    project_folder,
    restore,
    session_of,
)
from simkit.record.inspection import unasked


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit restore``."""
    top = argparse.ArgumentParser(
        prog="simkit restore",
        description="Write the recorded sources, and a requirements.txt of the recorded versions, to a new folder.",
    )
    top.add_argument("file", metavar="FILE", help=FILE)
    top.add_argument("folder", metavar="DIR", help="a new folder, or an empty one")
    top.add_argument("--name", metavar="NAME", help="one of several experiments in the file")
    top.add_argument(
        "--session", metavar="N", type=int, help="the sources of session N (from 1) instead of the last"
    )
    top.add_argument(
        "--git",
        metavar="REPOSITORY",
        nargs="?",
        const="",
        help="check out the recorded commit and apply the recorded changes; by default from the repository here",
    )
    add_json(top)
    return top


@unasked()
def main(options: argparse.Namespace) -> int:
    """Write a session's sources and requirements to a new folder; say how to go on."""
    folder = Path(options.folder)
    check_target(folder)
    remarks: list[str] = []
    say = remarks.append if options.json else print  # at once: what follows may be refused
    with closing(recorded_at(options.file, options.name, codecs=False)) as recorded:
        number, facts = session_of(recorded, options.session)
        home = folder
        if options.git is not None:
            origin = options.git or found_repository(Path.cwd(), recorded.path)
            words, left = checkout(facts, recorded.diff(number), origin, folder)
            home = project_folder(facts, folder)
            say(f"{shown_path(folder)}: {words}, from {origin}")
            for path in left:
                say(f"{path}: a link or a submodule among what differed; it is not made, do so by hand")
        written = restore(recorded, facts, home)
    if options.json:
        options.json.emit(
            "restored", folder=home.absolute(), name=recorded.name, session=number, files=written.files,
            requirements=(home / written.requirements).absolute(), by_hand=written.by_hand,
            python=facts["python"], command=f"{facts['command']}{_seed(facts)}", remarks=remarks,
        )  # fmt: skip
    else:
        print(
            f"{shown_path(home)}: {counted(len(written.files), 'source')} of {recorded.name}, session {number}"
        )
        tell(written, home, facts)
    return 0


def tell(written: RestoredFiles, home: Path, facts: Mapping[str, Any]) -> None:
    """Say what was written, and how to go on."""
    for path in written.files:
        print(f"    {path}")
    for package in written.by_hand:
        print(f"{package} was not installed from an index: install it by hand")
    requirements = shlex.quote(shown_path(home / written.requirements))
    print(f"the same packages (Python {facts['python']}):  pip install -r {requirements}")
    print(f"in that folder, the runs were made by:  {facts['command']}{_seed(facts)}")


def _seed(facts: Mapping[str, Any]) -> str:
    """What the command lacks to draw the same random numbers."""
    given = facts["command"].split(" ")[0] != "simkit" or "--seed" in facts["command"]
    return "" if given or "root_seed" not in facts else f" --seed {facts['root_seed']}"
