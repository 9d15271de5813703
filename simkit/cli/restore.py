"""``simkit restore``: the recorded sources in a folder of their own, ready to be run again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simkit.cli.words import counted
from simkit.errors import shown_path
from simkit.provenance.checkout import checkout, found_repository, project_folder
from simkit.provenance.restore import check_target, restore, session_of
from simkit.record.recorded import Recorded


def restore_file(file: str, target: str, name: str | None, session: int | None, git: str | None) -> int:
    """Write a session's sources and requirements to a new folder; say how to go on."""
    folder = Path(target)
    check_target(folder)
    recorded = Recorded.open(Path(file), name)
    try:
        number, facts = session_of(recorded, session)
        home = folder
        if git is not None:
            origin = git or found_repository(Path.cwd(), recorded.path.parent)
            told = checkout(facts, recorded.diff(number), origin, folder)
            home = project_folder(facts, folder)
            print(f"{shown_path(folder)}: {told}, from {origin}")
        written = restore(recorded, facts, home)
    finally:
        recorded.close()
    print(f"{shown_path(home)}: {counted(len(written.files), 'source')} of {recorded.name}, session {number}")
    for path in written.files:
        print(f"    {path}")
    for package in written.by_hand:
        print(f"{package} was not installed from an index: install it by hand")
    requirements = shlex.quote(shown_path(home / written.requirements))
    print(f"the same packages (Python {facts['python']}):  pip install -r {requirements}")
    print(f"in that folder, the runs were made by:  {facts['command']}{_seed(facts)}")
    return 0


def _seed(facts: Mapping[str, Any]) -> str:
    """What the command lacks to draw the same random numbers."""
    given = facts["command"].split(" ")[0] != "simkit" or "--seed" in facts["command"]
    return "" if given or "root_seed" not in facts else f" --seed {facts['root_seed']}"
