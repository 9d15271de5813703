"""The command's options, its verbs and its exit codes."""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from simkit._version import __version__
from simkit.cli.mistakes import check_word, wrong_options
from simkit.errors import SimkitError, has_folder, refused, visible

if TYPE_CHECKING:
    import argparse

EPILOG = """\
exit codes: 0 the selection is complete   1 a selected run failed, or the disk is full   2 interrupted
            3 a bug in simkit   4 usage, collection, configuration or file error   5 nothing to run

on files:   simkit list [NAME]              what is recorded here, how far it is, what would be continued
            simkit show FILE [--run N | --provenance]      simkit repair FILE
            simkit serve [FILE…]            a live page         simkit report FILE    one HTML file     simkit watch
            simkit verify FILE              simkit diff A B     simkit restore FILE DIR    simkit merge OUT FILE…
            simkit rename OLD NEW           what was renamed in the code goes on
            simkit export FILE OUT.csv|.parquet|.nc|.h5|crate/
"""


def parser() -> argparse.ArgumentParser:
    """The parser of ``simkit [PATH | FILE::NAME | FILE::NAME[3:7] …]``."""
    import argparse

    top = argparse.ArgumentParser(
        prog="simkit",
        description="Find the experiments of a project, run every point of their spaces, record every run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="folder, file, FILE::NAME, FILE::NAME[3], [3:7] or [x=1.0]",
    )
    _select(top.add_argument_group("which runs"))
    _values(top.add_argument_group("parameters and points"))
    _execution(top.add_argument_group("how to run"))
    _output(top.add_argument_group("what to show"))
    return top


def _select(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "-k",
        metavar="EXPR",
        default="",
        help="only experiments whose node id matches, as in 'lorenz and not slow'",
    )
    add("--where", metavar="EXPR", default="", help="only the points that pass, as in 'x > 2 and y == 7'")
    add("--co", "--collect-only", action="store_true", dest="collect_only", help="show what would run")
    add("--parameters", action="store_true", help="show all parameters: value, unit, comment, definition")


def _values(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="give a parameter this value in all runs",
    )
    add(
        "--params",
        metavar="FILE",
        action="append",
        default=[],
        help="values from a TOML file, or the constants of a trajectory",
    )
    add(
        "--product",
        metavar="NAME=V,V…",
        action="append",
        default=[],
        help="replace this axis, or multiply a new one",
    )
    add(
        "--explore",
        metavar="NAME=V,V…",
        action="extend",
        nargs="+",
        default=[],
        help="replace the space by these axes, moving together",
    )
    add(
        "--sample",
        metavar=("N", "NAME=LOW:HIGH"),
        action="extend",
        nargs="+",
        default=[],
        help="replace the space by N points spread over these ranges, or lists to choose from (NAME=V,V…)",
    )
    add("--repeat", metavar="N", type=int, help="each point N times, with different random numbers")
    add("--seed", metavar="N", type=int, help="root seed of all random streams")


def _execution(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "-n",
        metavar="N",
        dest="workers",
        help="worker processes: a number, 'auto' for all cores, 0 for none (default 1)",
    )
    add("-x", action="store_const", const=1, dest="maxfail", help="stop at the first failure")
    add("--maxfail", metavar="N", type=int, dest="maxfail", default=0, help="stop after N failures")
    add(
        "--pdb",
        action="store_true",
        help="debug a failing run; with FILE::NAME[3], replay it without recording",
    )
    add("--output", metavar="FILE.h5", help="record into this file, which may hold several experiments")
    add("--fresh", action="store_true", help="begin a new trajectory, even if one could be continued")
    add(
        "--into",
        metavar="FILE.h5",
        help="continue this trajectory although code or constants changed; done runs stay",
    )
    add(
        "--lf",
        action="store_true",
        help="run again what failed in the nearest trajectory, whatever changed since",
    )
    add(
        "--allow-incomplete",
        action="store_true",
        help="go over the done runs of another experiment although some are missing",
    )
    add(
        "--shard",
        metavar="I/N|auto",
        help="only part I (from 0) of N, in a file of its own; auto: parts that no other task has",
    )
    add("--timeout", metavar="TIME", help="stop a run that takes longer, as in 90, '90s' or '10min'")
    add("--sumatra", action="store_true", help="enter each study in Sumatra's lab notebook, too")
    add("--reason", metavar="TEXT", default="", help="why you run this, for the record")
    add(
        "--engine",
        metavar="ENGINE",
        help="where to run: local, dask, dask:ADDRESS, slurm, sge, pbs, lsf, mpi, scoop, or module:function",
    )
    add("--start-method", choices=("fork", "spawn", "forkserver"), help="how worker processes are started")


def _output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("-q", "--quiet", action="count", default=0, help="less")
    add("-v", "--verbose", action="count", default=0, help="more: every failure, every run with --co")
    add("-s", action="store_true", dest="show_output", help="show what runs print, instead of recording it")
    add("--durations", metavar="N", type=int, help="show the N slowest runs")
    add("--version", action="store_true", help="show the version")
    add("--init", action="store_true", help="write a small study to begin with into TARGET, or this folder")
    group.add_argument(
        "--json", action="store_true", help="say it as JSON objects, one a line (docs/reference/json.md)"
    )


LOST, INTERRUPTED, BUG, USAGE = 1, 2, 3, 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns
    -------
    int
        The exit code; see ``simkit --help``.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    with _outlets() as outlets:
        code = _ended(arguments)
        lost = next((outlet.error for outlet in outlets if outlet.error is not None), None)
        if lost is not None and not isinstance(lost, BrokenPipeError):  # the reader of a pipe has seen enough
            print(f"simkit: what was said could not be written: {lost}", file=sys.stderr)
            code = code or LOST
    return code


def _ended(arguments: list[str]) -> int:
    """Do what is asked for; the exit code, whatever happens."""
    try:
        is_verb = bool(arguments) and arguments[0] in (*_VERBS, *_ALIASES)
        code = _verb(arguments[0], arguments[1:]) if is_verb else _run(arguments)
        sys.stdout.flush()  # here rather than at exit, where what can't be written can't be handled any more
    except SimkitError as error:
        print(visible(f"simkit: {error}"), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return _interrupted()
    except OSError as error:
        if error.filename is None and has_folder():
            return _interrupted() if _is_by_interrupt(error) else _raised(error)
        print(visible(f"simkit: {refused(error)}"), file=sys.stderr)
        return LOST if error.errno in _FULL else USAGE
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is ours, or an object's that raises anything
        return _interrupted() if _is_by_interrupt(error) else _raised(error)
    return code


def _raised(error: BaseException) -> int:
    """Say what went wrong: in an object of the user's that simkit looked at, else in simkit."""
    from simkit.inject.contact import raised_by

    words = raised_by(error)
    if not words and not issubclass(type(error), Exception):
        raise error
    if not words:
        return _bug(error)
    print(visible(f"simkit: {words}"), file=sys.stderr)
    return USAGE


def _interrupted() -> int:
    print("simkit: interrupted", file=sys.stderr)
    return INTERRUPTED


def _is_by_interrupt(error: BaseException | None) -> bool:
    """Whether it is what Ctrl-C left half done that failed, as the end of an interrupted call of another library."""
    from simkit.declare.reflection import is_a, reason_of

    while error is not None and not is_a(error, KeyboardInterrupt):
        error = reason_of(error)
    return error is not None


class _Outlet:
    """Standard output or error; where it can't be written, what is said is lost, and the study goes on."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        stream.reconfigure(errors="backslashreplace")  # what runs print may be anything: show it all the same
        self.stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        return self._tried(self.stream.write, text) or len(text)

    def flush(self) -> None:
        self._tried(self.stream.flush)

    def _tried(self, action: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return action(*arguments)
        except OSError as error:  # a full disk, a closed pipe, a terminal that is gone
            self.error = self.error or error
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, self.stream.fileno())  # what is still in the buffer goes there too, at exit
            os.close(sink)
            return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def _outlets() -> Iterator[list[_Outlet]]:
    """Have standard output and error that can be written to, whatever the command was started with."""
    for number in range(3):
        _have_open(number)
    before = sys.stdout, sys.stderr
    outlets: list[_Outlet] = []
    for name, stream in zip(("stdout", "stderr"), before, strict=True):
        if stream is None:  # it was closed
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the whole command
        elif isinstance(stream, io.TextIOWrapper):
            outlets.append(_Outlet(stream))
            setattr(sys, name, outlets[-1])
    try:
        yield outlets
    finally:
        sys.stdout, sys.stderr = before


def _have_open(number: int) -> None:
    """Have a file descriptor open, so that no file of ours becomes the standard output of a run."""
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)


def _run(arguments: list[str]) -> int:
    options = _parsed(parser(), arguments)
    if isinstance(options, int):
        return options
    if options.version:
        print(f"simkit {__version__}")
        return 0
    return _said(options, lambda: _commanded(options, arguments))


def _commanded(options: argparse.Namespace, arguments: list[str]) -> int:
    for target in () if options.init else options.targets:
        check_word(target, (*_VERBS, *_ALIASES))
    with _uncollected():
        from simkit.cli.command import command

    return command(options, arguments)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """What is imported stays: the collector need not look at it, neither now nor ever again."""
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if is_on:
            gc.enable()


def _said(options: argparse.Namespace, action: Callable[[], int]) -> int:
    """Do it; with ``--json`` only objects go to standard output, an error and the exit code among them."""
    if not getattr(options, "json", False):
        return action()
    from simkit.inform.events import Events

    code = BUG
    with _alone_on_output() as outlet:
        options.json = events = Events(outlet)
        try:
            code = action()
        except SimkitError as error:
            code = error.exit_code
            events.emit("error", where="", message=str(error))
            raise
        except KeyboardInterrupt:
            code = INTERRUPTED
            raise
        finally:
            events.emit("finished", exit_code=code)
    lost = outlet.error is not None and not isinstance(outlet.error, BrokenPipeError)
    return code or (LOST if lost else 0)


@contextlib.contextmanager
def _alone_on_output() -> Iterator[_Outlet]:
    """Standard output for whoever enters; what others write there goes to standard error meanwhile."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    stream = open(own, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - closed below, whatever it can't write
    try:
        yield _Outlet(stream)
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os.dup2(own, 1)
        os.close(own)


# Each has a module of its own here, with its `parser` and its `main`.
_VERBS = (
    "show",
    "export",
    "merge",
    "verify",
    "diff",
    "restore",
    "repair",
    "serve",
    "watch",
    "report",
    "list",
    "rename",
)
_ALIASES = {"status": "list"}


def _verb(name: str, arguments: list[str]) -> int:
    module = importlib.import_module(f"simkit.cli.verbs.{_ALIASES.get(name, name)}")
    options = _parsed(module.parser(), arguments)
    if isinstance(options, int):
        return options
    if name == "watch":  # whose objects are states, as the page has them
        return int(module.main(options))
    from simkit.cli.verbs.words import on_files

    def act() -> int:
        return on_files(arguments, lambda: int(module.main(options)))

    if name in _LIVE or getattr(options, "pdb", False):
        return _said(options, act)
    with contextlib.redirect_stdout(VisibleText(sys.stdout)):
        return _said(options, act)


_LIVE = ("serve",)  # what it writes to a terminal is not only text


class VisibleText(io.TextIOBase):
    """A stream for what a file says: whoever made it has no say on the terminal that it is shown on."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As of the stream behind it."""
        return self.stream.encoding

    def write(self, text: str) -> int:
        """Write text with escapes for control characters."""
        return self.stream.write(visible(text))

    def flush(self) -> None:
        """Hand on what waits; Python does so once more when nobody holds this any longer."""
        if not self.stream.closed:
            self.stream.flush()

    def fileno(self) -> int:
        """As of the stream behind it."""
        return self.stream.fileno()

    def isatty(self) -> bool:
        """As of the stream behind it."""
        return self.stream.isatty()


def _parsed(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace | int:
    """The options, or the exit code where argparse has had the last word."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return parser.parse_intermixed_args(arguments)
    except SystemExit as end:
        if end.code:
            print(visible(wrong_options(parser, said.getvalue())), file=sys.stderr)
        return USAGE if end.code else 0


_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def _bug(error: BaseException) -> int:
    import traceback

    from simkit.declare.reflection import formatted

    print(formatted(error, traceback.format_exc), file=sys.stderr)
    print(f"\nsimkit {__version__}: this is a bug in simkit; what was committed is safe.", file=sys.stderr)
    print("Please report it with the lines above and the command that you typed.", file=sys.stderr)
    return BUG
