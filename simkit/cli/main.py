"""What does ``simkit`` do with its arguments, and with which exit code does it end?"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import simkit
from simkit.errors import SimkitError

if TYPE_CHECKING:
    import argparse

INTERRUPTED, BUG, USAGE = 2, 3, 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns
    -------
    int
        The exit code; see ``simkit --help``.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what runs print may be anything: show it all the same
            stream.reconfigure(errors="backslashreplace")
    try:
        is_verb = bool(arguments) and arguments[0] in _VERBS
        code = _verb(arguments[0], arguments[1:]) if is_verb else _run(arguments)
        sys.stdout.flush()  # here rather than at exit, where a closed pipe can't be handled any more
    except SimkitError as error:
        print(f"simkit: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("simkit: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # noqa: BLE001 - whatever it is, it is ours
        return _bug()
    return code


def _run(arguments: list[str]) -> int:
    from simkit.cli.options import parser

    options = _parsed(parser(), arguments)
    if isinstance(options, int):
        return options
    if options.version:
        print(f"simkit {simkit.__version__}")
        return 0
    from simkit.cli.command import command

    return command(options, arguments)


# Each has a module of its own here, with its `parser` and its `main`.
_VERBS = ("show", "export", "merge", "verify", "diff", "restore", "repair")


def _verb(name: str, arguments: list[str]) -> int:
    module = importlib.import_module(f"simkit.cli.verbs.{name}")
    options = _parsed(module.parser(), arguments)
    return options if isinstance(options, int) else int(module.main(options))


def _parsed(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace | int:
    """The options, or the exit code where argparse has had the last word."""
    try:
        return parser.parse_intermixed_args(arguments)
    except SystemExit as end:
        return USAGE if end.code else 0


def _bug() -> int:
    import traceback

    traceback.print_exc()
    print(
        f"\nsimkit {simkit.__version__}: this is a bug in simkit; what was committed is safe.",
        file=sys.stderr,
    )
    print("Please report it with the lines above and the command that you typed.", file=sys.stderr)
    return BUG
