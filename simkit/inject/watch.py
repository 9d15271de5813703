"""The first run is watched for what its author may not know of."""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from types import FunctionType
from typing import Any

import numpy as np

from simkit.collect.code import globals_of
from simkit.collect.draws import LIBRARIES
from simkit.collect.plan import Plan, providers_of
from simkit.declare.forms import Index
from simkit.declare.reflection import is_a, is_one_of, module_of, own_attributes
from simkit.inject.contact import RUN, Beat, local_beat
from simkit.inject.lineage import Lineage
from simkit.inject.provide import is_copied
from simkit.values.batch import Heard
from simkit.values.columns import Column
from simkit.values.compare import digest, same

LARGE = 64 << 20  # bytes of one run's results
_MANY = 2_000  # entries of a working directory, or bytes of an array, beyond which they are not looked at
_SIZED = (str, bytes, list, dict, set, bytearray, deque, defaultdict, OrderedDict, Counter)
_SINGLE = (bool, int, float, complex, type(None))


Warned = tuple[str, str]  # the name that silences it, none for a remark, and the text


class Watch:
    """Compares what the first run was given, and what is around it, with what it left."""

    def __init__(self, plan: Plan, lineage: Lineage) -> None:
        self.plan, self.lineage = plan, lineage
        self.changed: dict[str, None] = {}  # the parameters that a run changed in place
        self.files: Mapping[str, Any] = {}
        self.globals: Mapping[str, str] = {}
        self.libraries: frozenset[str] = frozenset()
        self.processes: Sequence[str] = ()

    def begin(self) -> None:
        """The first run is about to start."""
        self.files, self.globals, self.libraries = _files(), _globals(self.plan), _libraries()
        self.processes = self.started()

    def started(self) -> list[str]:
        """How many processes were forked here, or started through Python's multiprocessing, or dill's."""
        modules = [sys.modules.get(f"{name}.process") for name in ("multiprocessing", "multiprocess")]
        counts = [repr(getattr(module, "_process_counter", "count(1)")).strip("'") for module in modules]
        return [*counts, str(self.lineage.forks)]

    def compare(self, passed: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Parameters that the experiment changed in place: it has copies, so the change is lost.

        Parameters
        ----------
        passed
            What it was called with.
        environment
            The values that these are copies of.
        """
        for key, value in passed.items():
            if is_copied(value) and not same(value, environment[key]):
                self.changed[self.plan.nodes[key].name] = None

    def warnings(self, results: Mapping[str, Column], drawn: Sequence[str]) -> tuple[Warned, ...]:
        """What the run did that its author may not know of.

        Parameters
        ----------
        drawn
            The generators that it drew from, besides ``rng``.
        """
        loaded = sorted(_libraries() - self.libraries)
        return (
            *_seeded(drawn),
            *_unseeded(loaded),
            *_mutated(self.changed),
            *_unequal(self.plan.unequal),
            *_shared(self.files),
            *_moved(self.globals, _globals(self.plan)),
            *_hidden(self.processes, self.started()),
            *_large(results),
        )


_MOST_HEARD = 1000  # warnings with different words in one batch


class Hearing:
    """While entered, counts the runs that give a warning of Python's; each of them is shown as it would be.

    Python shows a warning once for each place. A run that comes later in the same process shall be heard, too, so
    that what was shown is forgotten after a run that gave one.

    Attributes
    ----------
    fresh
        The warnings since `forget`.
    together
        The runs that one call computes, where that is no single one.
    """

    def __init__(self) -> None:
        self.fresh: list[Heard] = []
        self.runs: dict[Heard, set[int]] = {}
        self.together: Index = np.zeros(0, np.int64)
        self.shown: set[Heard] = set()
        self.beat: Beat = local_beat()
        self.has_log = False
        self.before: Any = None

    def to(self, beat: Beat, *, has_log: bool) -> Hearing:
        """Hear the runs that this beat tells of.

        Parameters
        ----------
        has_log
            Whether each run has a log of its own: else a warning is shown once.
        """
        self.beat, self.has_log = beat, has_log
        return self

    def __enter__(self) -> None:
        self.before, warnings.showwarning = warnings.showwarning, self._hear

    def __exit__(self, *_: object) -> None:
        warnings.showwarning = self.before

    def _hear(
        self, message: Any, category: type[Warning], filename: str, lineno: int, *more: Any, **options: Any
    ) -> None:
        words = " ".join(str(message).split())[:300]
        heard, run = Heard(category.__name__, words, filename, lineno), int(self.beat[RUN])
        runs = self.runs.get(heard)
        if runs is None and len(self.runs) < _MOST_HEARD:
            runs = self.runs[heard] = set()
        if runs is not None and run in runs:
            return
        if runs is not None and run >= 0:
            runs.update(self.together.tolist() or (run,))
        self.fresh.append(heard)
        if self.has_log or heard not in self.shown:
            self.shown.add(heard)
            self.before(message, category, filename, lineno, *more, **options)

    def forget(self) -> None:
        """The run is over: the next one is heard again."""
        self.fresh.clear()
        with warnings.catch_warnings():  # tells the interpreter to forget which it has shown
            pass

    def taken(self) -> tuple[tuple[Heard, int], ...]:
        """Each warning since the last time with the number of runs that gave it."""
        runs, self.runs = self.runs, {}
        return tuple((heard, len(numbers)) for heard, numbers in runs.items() if numbers)


def _mutated(names: Iterable[str]) -> Iterable[Warned]:
    for name in names:
        text = f"a run changed its parameter {name!r} in place; each run has its own copy, "
        yield "mutated_parameter", text + "so what is recorded is the value before"


def _seeded(drawn: Sequence[str]) -> Iterable[Warned]:
    """A remark, no warning: nothing is wrong."""
    if drawn:
        yield "", f"seeded for each run from its seed: {', '.join(drawn)}"


def _unequal(words: Sequence[str]) -> Iterable[Warned]:
    if words:
        which = "; ".join(words[:3])
        text = (
            f"importing the code again gave other values: {which}: runs in other workers have others, too; "
        )
        cure = "compute them in a @parameter, from rng or seed where they are drawn"
        yield "unequal_modules", text + cure


def _libraries() -> frozenset[str]:
    return frozenset(name for name in LIBRARIES if sys.modules.get(name) is not None)


def _unseeded(names: Sequence[str]) -> Iterable[Warned]:
    if names:
        text = f"a run imported {', '.join(names)}, too late to seed the generator there for this run: "
        yield "unseeded_random", text + "import it at the top of the file"


def _hidden(before: Sequence[str], after: Sequence[str]) -> Iterable[Warned]:
    if list(before) != list(after):
        text = (
            "a run started processes: files that they read, and modules that they load by name, are not seen "
        )
        cure = "as its inputs and code; name such a file by a parameter of type Path"
        yield "unseen_processes", text + cure


def _files() -> dict[str, Any]:
    """The files and folders in the working directory, and when they changed."""
    found: dict[str, Any] = {}
    try:
        with os.scandir() as entries:
            for entry in entries:
                if len(found) < _MANY and not entry.name.startswith((".", "__")) and entry.name != "results":
                    status = entry.stat()
                    found[entry.name] = "folder" if entry.is_dir() else (status.st_mtime_ns, status.st_size)
    except OSError:  # it is gone, or may not be read
        return {}
    return found


def _shared(before: Mapping[str, Any]) -> Iterable[Warned]:
    """Files that appeared or changed: in a worker others do the same at the same time."""
    after = _files() if len(before) < _MANY else {}
    names = [name for name, status in after.items() if before.get(name) != status]
    if names:
        shown = ", ".join(sorted(names)[:5]) + (", …" if len(names) > 5 else "")
        text = (
            f"a run wrote into the working directory, which runs in other workers write into, too: {shown}; "
        )
        yield (
            "shared_files",
            text + "write into workdir, or let it be the working directory: @experiment(chdir=True)",
        )


def _globals(plan: Plan) -> dict[str, str]:
    """The state of what the modules hold that the experiment needs, as far as it is plain data."""
    own = [globals_of(thing) for thing in (plan.function, *providers_of(plan.nodes))]
    files = {os.path.join(plan.rootdir, name) for name in plan.sources.files}
    loaded = map(own_attributes, list(sys.modules.values()))
    others = [names for names in loaded if type(names.get("__file__")) is str and names["__file__"] in files]
    modules = {id(names): names for names in (*own, *others)}
    shown = {str(names.get("__name__", "")) for names in modules.values()}
    told: set[int] = set()  # objects that several modules hold are one
    return dict(entry for names in modules.values() for entry in _states(names, shown, told))


def _states(names: Mapping[str, Any], modules: Set[str], told: set[int]) -> Iterator[tuple[str, str]]:
    module = names.get("__name__", "")
    for name, value in list(names.items()):
        if name.startswith("_") or id(value) in told:
            continue
        for place, part in _parts(f"{module}.{name}", value, modules):
            try:
                yield place, digest(part)
            except Exception:  # noqa: BLE001 - it holds objects, such as a library's tables: no plain data
                continue
            if not is_one_of(type(value), *_SINGLE):
                told.add(id(value))


def _parts(place: str, value: Any, modules: Set[str]) -> Iterator[tuple[str, Any]]:
    """Plain data that a name holds: itself, or the attributes of a class, function or instance of the project's."""
    if _is_plain(value):
        yield place, value
        return
    of = value if is_a(value, type, FunctionType) else type(value)
    if module_of(of) in modules:
        for name, part in list(own_attributes(value).items()):
            if not name.startswith("_") and _is_plain(part):
                yield f"{place}.{name}", part


def _is_plain(value: Any) -> bool:
    """Whether it is data of moderate size."""
    if is_a(value, np.ndarray):
        return bool(np.ndarray.view(value, np.ndarray).nbytes <= _MANY)
    kind = type(value)  # which may not be hashed: its own class may raise anything
    return is_one_of(kind, *_SINGLE) or (is_one_of(kind, *_SIZED) and len(value) <= _MANY)


def _moved(before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[Warned]:
    names = [name for name, state in after.items() if name in before and before[name] != state]
    if names:
        text = f"a run changed {', '.join(names)}, which later runs of the same worker find changed: "
        cure = "keep it in a fixture, or give each run a process of its own: @experiment(isolate=True)"
        yield "changed_global", text + cure


def _large(columns: Mapping[str, Column]) -> Iterable[Warned]:
    for name, column in columns.items():
        size = column.nbytes
        if size > LARGE:
            yield (
                "large_return",
                f"result {name!r} of one run takes {size / 1e6:.0f} MB; run.append() records a series bit by bit",
            )
