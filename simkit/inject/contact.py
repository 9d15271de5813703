"""What a run's process and its owner tell each other: the beat, checkpoints, tracebacks.

The run it is in (-1 between batches), since when (``time.perf_counter``), whether it shall start no
further run, how much output there was before this run, and the process group of the program that it
is running (0: none).
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, MutableSequence
from dataclasses import FrozenInstanceError
from itertools import dropwhile
from types import TracebackType
from typing import Any, Protocol, TypeAlias

import attrs

from simkit.collect.graph import is_project_file
from simkit.declare.reflection import answered, formatted, traceback_of
from simkit.declare.workplace import Saved
from simkit.errors import Unstorable, is_ours, missing, shown_path
from simkit.inject.generators import stream_of
from simkit.inject.seeds import RANDOM_STATE
from simkit.values.batch import Checkpoint, Portion, Restored, RunReport
from simkit.values.columns import Column
from simkit.values.encode import encode, explain

Beat: TypeAlias = MutableSequence[float]
RUN, BEGAN, STOP, LOGGED, PROGRAM = range(5)
SIZE = 5
ENOUGH = 2.0  # at STOP: as many runs have failed as are wanted; whoever else stops a batch says 1
BEAT = 8 * SIZE  # bytes per worker in the shared file


def local_beat() -> Beat:
    """The beat of runs in the owner's own process."""
    return [-1.0, 0.0, 0.0, 0.0, 0.0]


def open_beats(path: str, slot: int) -> Beat:
    """The numbers that a worker shares with the owner."""
    with open(path, "r+b") as file:
        shared = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")
    return shared[slot * SIZE : (slot + 1) * SIZE]  # type: ignore[return-value]


def never(_: Beat) -> bool:
    """A KeyboardInterrupt in a run is the run's own: in a worker, Ctrl-C does not arrive."""
    return False


def signalled(beat: Beat) -> bool:
    """It is Ctrl-C if a signal has asked to stop; else the run raised it itself."""
    return bool(beat[STOP])


def always(_: Beat) -> bool:
    """It is Ctrl-C, as far as anybody can tell where no signal is handled: the caller gets it."""
    return True


Save = Callable[[Checkpoint | RunReport], bool]


class Streams(Protocol):
    """The generators that outlive runs."""

    def moved(self) -> dict[str, Any]:
        """By name those that the run drew from so far, as something that can be recorded."""

    def resume(self, kept: Mapping[str, Any]) -> None:
        """Let each of them go on from there."""


_RNG = "rng"


class Vault:
    """What the runs of one process hand to the owner of the file while they go on, and where they may begin.

    Parameters
    ----------
    save
        Hands over a checkpoint or a report; gives the answer to a question.
    streams
        The generators that a run draws from besides its own.

    Attributes
    ----------
    generators
        By run number each run's ``rng``.
    said
        By run number how many things each run of a portion said of itself, those before its checkpoint counted.
    """

    def __init__(self, save: Save, streams: Streams) -> None:
        self.hand_over = save
        self.streams = streams
        self.restorable: Mapping[int, Restored] = {}
        self.generators: Mapping[int, Any] = {}
        self.stops: Mapping[int, int] | None = None
        self.said: dict[int, int] = {}

    def begin(self, portion: Portion) -> None:
        """Other runs are executed from now on."""
        self.restorable, self.stops, self.said = portion.restorable, portion.stops, {}

    def report(self, run: int, step: int, value: float, place: int) -> None:
        """Tell how a run gets on, unless that is known."""
        if self.stops is None:
            self.said[run] = place + 1
            self.hand_over(RunReport(run, step, value, place))

    def should_stop(self, run: int, step: int, place: int) -> bool:
        """Whether a run shall stop: as it was decided before, or as the owner says."""
        if self.stops is None:
            self.said[run] = place + 1
            return self.hand_over(RunReport(run, step, place=place))
        return run in self.stops and step >= self.stops[run]

    def save(self, run: int, state: dict[str, Any], rows: Mapping[str, list[Any]], *, first: bool) -> None:
        """Encode a checkpoint now, while its arrays are as they are, and hand it over."""
        columns = {name: _encoded(new, f"series {name}") for name, new in rows.items() if new}
        streams = self.streams.moved()
        if run in self.generators:
            streams[_RNG] = self.generators[run]
        state = {**state, "streams": list(streams.items())}  # their names may have dots
        problem = (
            explain(state["state"], "checkpoint")
            or explain(state["added"], "result")
            or explain(streams, "generators")
        )
        if problem is not None:
            raise problem
        self.hand_over(Checkpoint(run, encode([state]), columns, first))

    def find(self, run: int) -> Saved | None:
        """What an earlier attempt committed last."""
        restored = self.restorable.get(run)
        if restored is None:
            return None
        state, added, series, said, streams = restored.values()
        kept = dict(streams)
        if run in self.generators and _RNG in kept:
            stream_of(_RNG, self.generators[run]).resume(kept.pop(_RNG))
        self.streams.resume(kept)
        if said:
            self.said[run] = len(said["steps"]) + len(said["asked"])
        return state, added, series, said


def _encoded(rows: list[Any], path: str) -> Column:
    try:
        return encode(rows)
    except Unstorable as error:
        raise explain(rows, path) or error from None


_SCAFFOLD = (contextlib.__file__,)  # what stands between simkit and a fixture's teardown


def user_traceback(error: BaseException) -> str:
    """The formatted traceback without simkit's own frames."""
    return formatted(error, lambda: _user_traceback(error))


def _user_traceback(error: BaseException) -> str:
    report = traceback.TracebackException.from_exception(error)
    inner: traceback.TracebackException | None = report
    while inner is not None:
        frames = dropwhile(lambda frame: frame.filename in _SCAFFOLD or is_ours(frame.filename), inner.stack)
        inner.stack = traceback.StackSummary.from_list([f for f in frames if not is_ours(f.filename)])
        inner = inner.__cause__ or inner.__context__
    return "".join(report.format()).rstrip()


def raised_by(error: BaseException) -> str:
    """Which object of the user's raised this while simkit looked at it, in words; nothing if it is simkit's own."""
    frames = [(trace.tb_frame.f_code, trace.tb_lineno) for trace in _traces(traceback_of(error))]
    last = max((i for i, (code, _) in enumerate(frames) if is_ours(code.co_filename)), default=-1)
    told = formatted(error, lambda: traceback.format_exception_only(error)[-1]).strip().rpartition("\n")[2]
    if last >= 0 and type(error) is ReferenceError:
        return f"an object is gone that a weakref.proxy stands for ({told}): keep the object itself as well"
    has_library = False
    for code, line in frames[last + 1 :] if last >= 0 else ():
        package = _package_at(code.co_filename)
        if is_project_file(code.co_filename) or (
            package and package not in LIBRARIES and (_SPECIAL.fullmatch(code.co_name) or not has_library)
        ):
            return (
                f"{shown_path(code.co_filename)}:{line}: {code.co_qualname} raised {told}\n"
                "    when simkit looked at the object; let it not raise there, or make the object in a fixture"
            )
        has_library |= package in LIBRARIES
    return ""


# What simkit calls itself; what they call in turn for it raises because of simkit, too.
LIBRARIES = (
    "SALib", "attr", "attrs", "bokeh", "brian2", "dask", "dask_jobqueue", "dill", "distributed", "git",
    "gitdb", "h5netcdf", "h5py", "jinja2", "matplotlib", "mpi4py", "multiprocess", "numpy", "optuna",
    "packaging", "pandas", "pluggy", "pyarrow", "rich", "scipy", "scoop", "starlette", "sumatra",
    "threadpoolctl", "uvicorn", "xarray", "xxhash", "yaml",
)  # fmt: skip
_SPECIAL = re.compile("__[a-z]+__")  # an object's own methods, which Python calls
_MOCK = os.path.join("unittest", "mock.py")


def _package_at(file: str) -> str:
    """The installed package that a file is of, or Python's mocks, which are objects of anybody's; else nothing."""
    if file.endswith(_MOCK):
        return "unittest.mock"
    parts = file.split(os.sep)
    folder = next((name for name in ("site-packages", "dist-packages") if name in parts), None)
    return "" if folder is None else parts[parts.index(folder) + 1].removesuffix(".py")


def _traces(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def first_user_frame(error: BaseException) -> BaseException:
    """The same error with simkit's frames cut off the top, for a debugger."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return error.with_traceback(trace)


_READ_ONLY = re.compile(r"\bread-only\b|cannot set WRITEABLE flag")
_TOO_LARGE = re.compile(r"2 ?\*\* ?32|4294967295|too large to convert to C|int too big")


def hint(error: BaseException, wants: Collection[str]) -> str:
    """What to do where a name is missing, an injected value can't be changed, or a seed is too large for a library."""
    return answered(lambda: _hint(error, wants), "")  # what the error holds may raise when it is shown


def _hint(error: BaseException, wants: Collection[str]) -> str:
    if words := missing(error):
        return f"\n{words}"
    if isinstance(error, ValueError) and _READ_ONLY.search(str(error)):
        return "\n(arrays that are parameters are read-only, since all runs share them: change a copy, x = x.copy())"
    if isinstance(error, FrozenInstanceError | attrs.exceptions.FrozenInstanceError):
        return "\n(groups of parameters are frozen: attrs.evolve(group, field=value) gives a changed copy)"
    if "seed" not in wants or RANDOM_STATE in wants or not _TOO_LARGE.search(str(error)):
        return ""
    return (
        f"\n(seed is an int below 2**63; for seeds below 2**32 ask for the argument {RANDOM_STATE} instead)"
    )
