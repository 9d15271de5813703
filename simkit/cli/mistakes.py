"""What was meant by a word or an option that there is not?"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simkit.errors import SimkitError, nearest

if TYPE_CHECKING:
    import argparse

_WORDS = {  # that are no verbs
    **dict.fromkeys(("run", "test", "start"), "simkit itself runs: simkit [FILE…]"),
    "collect": "simkit --co shows what would run",
    "plot": "in Python: simkit.open(NAME).plot(RESULT)",
    "open": "simkit show NAME, or in Python simkit.open(NAME)",
    "help": "simkit --help",
    "version": "simkit --version",
}

_OPTIONS = {  # of other tools
    **dict.fromkeys(("-j", "--jobs", "--workers", "--numprocesses", "--processes", "--cores"), "-n N"),
    **dict.fromkeys(("--dry-run", "--list"), "--co"),
    **dict.fromkeys(("-m", "--multirun", "--sweep", "--grid"), "--product NAME=V,V…"),
    **dict.fromkeys(("--param", "-p", "--override"), "--set NAME=VALUE"),
    **dict.fromkeys(("--config", "-c"), "--params FILE"),
    **dict.fromkeys(("--exitfirst", "--fail-fast"), "-x"),
    **dict.fromkeys(("--last-failed", "--failed"), "--lf"),
    **dict.fromkeys(("--overwrite", "--force", "-f"), "--fresh"),
    **dict.fromkeys(("-o", "--out"), "--output FILE.h5"),
    "--debug": "--pdb",
    "--random-seed": "--seed N",
    "--trials": "--repeat N",
}
_CONTINUED = ("--resume", "--continue", "--restart")


def check_word(target: str, verbs: Sequence[str]) -> None:
    """Say what somebody may have meant by a word that is no file or folder."""
    if not target.isidentifier() or os.path.exists(target):
        return
    verb = target if target in _WORDS else next(iter(nearest(target, verbs, 1)), "")
    named = f"an experiment is named with its file, FILE::{target}, or by simkit -k {target}"
    meant = _WORDS.get(verb) or (f"did you mean simkit {verb}?" if verb else named)
    msg = f"no such file or folder: {target}\n    {meant}"
    raise SimkitError(msg)


def wrong_options(parser: argparse.ArgumentParser, said: str) -> str:
    """What to say where argparse can't read the options; its list of all of them only where that is short.

    Parameters
    ----------
    said
        What argparse would have said.
    """
    usage, _, words = said.rpartition(f"{parser.prog}: error: ")
    lines = [f"{parser.prog}: {words.strip()}"]
    match = re.search(r"unrecognized arguments: (-[^\s=]*)", words)
    if match:
        lines.append(_meant(match[1], parser.format_usage()))
    short = usage if len(usage.splitlines()) <= 3 else ""
    return short + "\n    ".join([*filter(None, lines), f"{parser.prog} --help lists the options"])


def _meant(option: str, usage: str) -> str:
    """What an option may have meant, of those that a parser's usage names."""
    if option in _CONTINUED:
        return "type the same command again without it: simkit goes on where it was"
    known = {name: name for name in re.findall(r"(?<![\w-])--?[a-z][\w-]*", usage)}
    known |= {other: meant for other, meant in _OPTIONS.items() if meant.partition(" ")[0] in known}
    words = {name.lstrip("-"): meant for name, meant in known.items() if name.startswith("--")}
    near = known.get(option) or words.get(next(iter(nearest(option.lstrip("-"), words, 1)), ""))
    return f"did you mean {near}?" if near else ""
