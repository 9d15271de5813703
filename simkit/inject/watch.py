"""The first run is watched for what its author may not know of."""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from types import FunctionType, GeneratorType
from typing import Any

import attrs
import numpy as np

from simkit.collect.code import globals_of
from simkit.collect.draws import CACHE, GENERATORS, LIBRARIES, generators_in
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

    def __init__(self, plan: Plan, lineage: Lineage, variables: Variables) -> None:
        self.plan, self.lineage, self.variables = plan, lineage, variables
        self.changed: dict[str, None] = {}  # the parameters that a run changed in place
        self.files: Mapping[str, Any] = {}
        self.libraries: frozenset[str] = frozenset()
        self.processes: Sequence[str] = ()
        self.generators: Mapping[int, str] = {}

    def begin(self) -> None:
        """The first run is about to start."""
        self.files, self.libraries = _files(), _libraries()
        self.variables.note()
        self.generators = _generators(self.plan)
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
            *self.variables.warnings(),
            *_made(self.generators, self.plan),
            *_hidden(self.processes, self.started()),
            *_large(results),
        )


class Variables:
    """The plain data in the modules of an experiment, as it was before the first run of this process.

    A change of it can't be undone, since only its author knows what else would have to be; so it is said.

    Attributes
    ----------
    is_each
        Whether it pays to look after each run.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.before: Mapping[str, str] = {}
        self.marks: Sequence[_Mark] = ()
        self.misses = 0  # how often a quick look found what the slow one did not
        self.is_each = plan.suspicion.of_variables

    def note(self) -> None:
        """Note how it is now."""
        modules = _modules(self.plan)
        self.before = _globals(modules)
        self.marks = list(_marks(modules))

    def warnings(self) -> Iterable[Warned]:
        """What has changed, once; a quick look comes before the one that takes as long as many runs."""
        if not any(mark.is_off() for mark in self.marks):
            return
        after = _globals(_modules(self.plan))
        names = [name for name, state in after.items() if name in self.before and self.before[name] != state]
        self.misses += not names
        self.marks = list(_marks(_modules(self.plan))) if not names and self.misses < _MISSES else ()
        self.is_each = self.is_each and bool(self.marks)
        if names:
            text = f"a run changed {', '.join(names)}, which later runs of the same worker find changed: "
            cure = "keep it in a fixture, or give each run a process of its own: @experiment(isolate=True)"
            yield "changed_global", text + cure


@attrs.frozen
class _Mark:
    """Tells at a glance whether a variable is bound to something else, or that has changed in place."""

    space: Mapping[str, Any]
    name: str
    value: Any
    inside: Any

    def is_off(self) -> bool:
        """Whether it differs, or nobody knows."""
        try:
            return self.space.get(self.name) is not self.value or bool(_inside(self.value) != self.inside)
        except Exception:  # noqa: BLE001 - another array stands in it, which has no one truth: the slow look tells
            return True


_SMALL = 100  # entries that a glance compares; of what is larger only how many there are
_MISSES = 10
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


def left_behind(names: Sequence[str], unseen: int) -> Iterable[Warned]:
    """What is to be said where runs are cared for from now on, and so many before it were not.

    Parameters
    ----------
    names
        What a run was found to have left.
    """
    if names and unseen:
        text = f"a run left {', '.join(names)} changed; each run begins afresh from now on, but of those before it "
        cure = "some may have found it changed, and put it back unseen: --fresh and @experiment(isolate=True)"
        yield "left_behind", text + cure


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


def _generators(plan: Plan) -> dict[int, str]:
    """The generators of random numbers that the experiment's modules hold, by the way that leads to them.

    None are looked for where each run has a process of its own.
    """
    spaces, found = [] if plan.isolate else _modules(plan), dict[int, str]()
    own = {name for space in spaces if is_a(name := space.get("__name__"), str)}
    for space in spaces:
        looked = {name: value for name, value in list(space.items()) if _may_keep(name, value, own)}
        for name, generator in generators_in(looked, str(space.get("__name__", ""))):
            found[id(generator)] = name
    return found


def _may_keep(name: str, value: Any, modules: Set[str]) -> bool:
    """Whether a variable may come to hold a generator: it is one, a table or an object of the project's."""
    if name.startswith("__"):
        return False
    if is_a(value, *GENERATORS, GeneratorType, CACHE):
        return True
    if is_one_of(type(value), *_SIZED, tuple):
        return len(value) <= _SMALL
    return module_of(value if is_a(value, type, FunctionType) else type(value)) in modules


def _made(before: Mapping[int, str], plan: Plan) -> Iterable[Warned]:
    names = [name for number, name in _generators(plan).items() if number not in before]
    if names:
        text = f"a run made {', '.join(names)}, from which later runs of the same worker draw, too: "
        cure = (
            "their random numbers depend on who ran what; make it as the module is imported, or draw from rng"
        )
        yield "unseeded_random", text + cure


def _hidden(before: Sequence[str], after: Sequence[str]) -> Iterable[Warned]:
    if list(before) != list(after):
        text = (
            "a run started processes: files that they read, and modules that they load by name, are not seen "
        )
        cure = "as its inputs and code; name such a file by a parameter of type Path"
        yield "unseen_processes", text + cure


def _files() -> dict[str, Any]:
    """The files and folders in the working directory, and when they changed; trajectories being written have a log."""
    found: dict[str, Any] = {}
    try:
        with os.scandir() as entries:
            for entry in entries:
                if len(found) < _MANY and not entry.name.startswith((".", "__")) and entry.name != "results":
                    status = entry.stat()
                    found[entry.name] = "folder" if entry.is_dir() else (status.st_mtime_ns, status.st_size)
    except OSError:  # it is gone, or may not be read
        return {}
    logged = {name.removesuffix(".wal") for name in found if name.endswith(".wal")}
    return {name: found[name] for name in found if name.removesuffix(".wal") not in logged}


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


def _modules(plan: Plan) -> list[Mapping[str, Any]]:
    """What the modules hold that the experiment needs."""
    own = [globals_of(thing) for thing in (plan.function, *providers_of(plan.nodes))]
    files = {os.path.join(plan.rootdir, name) for name in plan.sources.files}
    loaded = map(own_attributes, list(sys.modules.values()))
    others = [names for names in loaded if type(names.get("__file__")) is str and names["__file__"] in files]
    return list({id(names): names for names in (*own, *others)}.values())


def _globals(modules: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The state of the plain data that modules hold."""
    states: dict[str, str] = {}
    for place, _, _, value in _plain(modules):
        try:
            states[place] = digest(value)
        except Exception:  # noqa: BLE001 - it holds objects, such as a library's tables: no plain data
            continue
    return states


def _marks(modules: Iterable[Mapping[str, Any]]) -> Iterator[_Mark]:
    for _, space, name, value in _plain(modules):
        yield _Mark(space, name, value, _inside(value))


def _inside(value: Any) -> Any:
    """What a glance sees of a value's inside."""
    kind = type(value)
    if is_a(value, np.ndarray):
        return np.ndarray.tobytes(value)
    if kind in _SINGLE or kind in (str, bytes):
        return None
    if len(value) > _SMALL:
        return len(value)
    return dict(value) if isinstance(value, dict) else set(value) if kind is set else list(value)


_Plain = tuple[str, Mapping[str, Any], str, Any]  # a name for people, where it is bound, to what


def _plain(modules: Iterable[Mapping[str, Any]]) -> Iterator[_Plain]:
    """The plain data that modules hold: objects that several of them hold are one."""
    spaces, seen = list(modules), set[int]()
    own = {name for space in spaces if is_a(name := space.get("__name__"), str)}
    for space in spaces:
        for name, value in list(space.items()):
            if name.startswith("_") or id(value) in seen:
                continue
            parts = list(_parts(space, name, value, own))
            if parts and not is_one_of(type(value), *_SINGLE):
                seen.add(id(value))
            yield from parts


def _parts(space: Mapping[str, Any], name: str, value: Any, modules: Set[str]) -> Iterator[_Plain]:
    """Plain data that a name holds: itself, or the attributes of a class, function or instance of the project's."""
    place = f"{space.get('__name__', '')}.{name}"
    if _is_plain(value):
        yield place, space, name, value
        return
    of, attributes = value if is_a(value, type, FunctionType) else type(value), own_attributes(value)
    if module_of(of) in modules:
        for attribute, part in list(attributes.items()):
            if not attribute.startswith("_") and _is_plain(part):
                yield f"{place}.{attribute}", attributes, attribute, part


def _is_plain(value: Any) -> bool:
    """Whether it is data of moderate size."""
    if is_a(value, np.ndarray):
        return bool(np.ndarray.view(value, np.ndarray).nbytes <= _MANY)
    kind = type(value)  # which may not be hashed: its own class may raise anything
    return is_one_of(kind, *_SINGLE) or (is_one_of(kind, *_SIZED) and len(value) <= _MANY)


def _large(columns: Mapping[str, Column]) -> Iterable[Warned]:
    for name, column in columns.items():
        size = column.nbytes
        if size > LARGE:
            yield (
                "large_return",
                f"result {name!r} of one run takes {size / 1e6:.0f} MB; run.append() records a series bit by bit",
            )
