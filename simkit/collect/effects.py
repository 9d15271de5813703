"""What does importing a file change around it in the process, and how does each file find what it alone leaves?

All files of a command are imported into one process, where one may set NumPy's error state, Brian2's clock, a
variable of the environment or of a module that others import, too. So before a file is imported everything is put
back to how it was before the first one, what the modules that it imports had changed is changed again, and how it
is then is kept: that is put in place before the file's experiments are run.
"""

from __future__ import annotations

import importlib.util
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import numpy as np

from simkit.collect import brian
from simkit.collect.contents import Contents, Same, contents, restore
from simkit.collect.graph import is_project_file
from simkit.collect.surroundings import LIBRARIES, State, Surrounding, merged, put_back, surroundings
from simkit.collect.syntax import parsed
from simkit.declare.reflection import is_a, own_attributes
from simkit.errors import shown_path

_GENERATOR: Any = np.random.normal.__self__  # type: ignore[attr-defined]
_GENERATORS = ("random", "numpy.random")
_MODULES = "the project's modules"
_CONTENTS = "what the project's modules hold"
_DEVICES = (
    "what was set up for Brian2's standalone device while files were imported is there for {}, too: set it up in the "
    "run, or run each file by a command of its own"
)
_DRAWN = (
    "{} draws from {}, or seeds it, while it is imported: these numbers are the same in every session; those of a "
    "@parameter follow --seed"
)


@attrs.frozen(eq=False)
class Effect:
    """How everything was before and after a module was imported."""

    before: State
    after: State

    def repeated(self, now: State) -> dict[str, Any]:
        """The same change of another state."""
        return {
            name: merged(self.before[name], state, now[name])
            for name, state in self.after.items()
            if name in self.before and name in now and self.before[name] != state
        }


class Effects:
    """What importing modules changed around them in this process; a finder of modules that finds none by itself.

    Attributes
    ----------
    fresh
        How what belongs to a library was when that had just been imported, by name.
    origin
        How everything was before the first file was imported; None unless files are kept apart.
    states
        How everything is when a file alone was imported.
    of_modules
        What importing a module changed, if anything.
    modules
        Those of the project.
    foreign
        By module the identities of objects that it has from libraries.
    present
        The names of the modules that are imported where everything is as now, and by file those where that alone was.
    is_collecting
        Whether files are imported and planned, rather than run.
    depth
        How many of the project's modules are being imported.
    remarks
        What is to be said of a file.
    """

    def __init__(self) -> None:
        self.fresh: dict[str, Any] = {}
        self.origin: dict[str, Any] | None = None
        self.states: dict[Path, dict[str, Any]] = {}
        self.of_modules: dict[ModuleType, Effect] = {}
        self.modules: dict[ModuleType, None] = {}
        self.foreign: dict[ModuleType, frozenset[int]] = {}
        self.present: frozenset[str] = frozenset()
        self.presences: dict[Path, frozenset[str]] = {}
        self.is_collecting = False
        self.depth = 0
        self.remarks: dict[Path, list[str]] = {}
        self.own = (
            Surrounding("random", random.getstate, random.setstate),
            Surrounding("numpy.random", _numpy, _to_numpy),
            Surrounding(_MODULES, self._globals, _to_globals),
            Surrounding(_CONTENTS, self._contents, restore),
        )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Notice which libraries are imported."""
        is_new = self not in sys.meta_path
        if is_new:
            sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            if is_new and self in sys.meta_path:
                sys.meta_path.remove(self)

    @contextmanager
    def apart(self, *, is_one: bool = False) -> Iterator[None]:
        """Keep files apart: what importing one of them changes is not there for the others, nor afterwards.

        Parameters
        ----------
        is_one
            Whether one file is imported, which then stays as it is.
        """
        if self.origin is not None:
            yield
            return
        before = self._look()
        self.origin = {**before, **_seeded()}
        try:
            with self.watching():
                yield
        finally:
            self.origin = None
            if not is_one:
                put_back(self._all(), before)
            for known in (
                self.states,
                self.presences,
                self.of_modules,
                self.modules,
                self.foreign,
                self.remarks,
            ):
                known.clear()

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """While files are imported, and planned."""
        before, self.is_collecting = self.is_collecting, self.origin is not None
        try:
            yield
        finally:
            self.is_collecting = before

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """What the other finders find; the module's import is noticed."""
        finders = [getattr(each, "find_spec", None) for each in sys.meta_path if each is not self]
        specs = (find(name, path, target) for find in finders if find is not None)
        spec: ModuleSpec | None = next((spec for spec in specs if spec is not None), None)
        if spec is not None and self._is_noticed(spec):
            self._attach(spec.loader)
        return spec

    def _is_noticed(self, spec: ModuleSpec) -> bool:
        if spec.name in LIBRARIES or self.origin is None:
            return spec.name in LIBRARIES
        is_library = "." not in spec.name and spec.name not in sys.stdlib_module_names
        return is_library or is_project_file(spec.origin)

    def _attach(self, loader: Any) -> None:
        """Let a loader tell when it executes a module."""
        execute = getattr(loader, "exec_module", None)
        if (
            execute is None
            or isinstance(loader, type)
            or "exec_module" in getattr(loader, "__dict__", ["exec_module"])
        ):
            return

        def exec_module(module: ModuleType) -> None:
            vars(loader).pop("exec_module", None)
            self.execute(module, execute)

        loader.exec_module = exec_module

    def execute(self, module: ModuleType, execute: Callable[[ModuleType], object]) -> None:
        """Execute a module, and note what that changed."""
        if self.origin is None:
            execute(module)
            self._arrive(module.__name__)
            return
        is_ours = is_project_file(getattr(module, "__file__", None))
        before = self._look()
        if is_ours:
            self._repeat(module, Path(str(module.__file__)))
            self.modules[module] = None
        self.depth += is_ours
        try:
            execute(module)
        finally:
            self.depth -= is_ours
        effect = self._note(module, before)
        if effect is not None and not self.depth and not is_ours:
            for state in (self.origin, *self.states.values()):  # it was imported for none of the files alone
                state.update(effect.repeated(state))

    def _note(self, module: ModuleType, before: State) -> Effect | None:
        """Note how everything is after a module was imported; what that changed, if anything."""
        self._arrive(module.__name__)
        after = self._look(module.__name__)
        effect = Effect({**{name: self.fresh[name] for name in self.fresh if name in after}, **before}, after)
        origin = self.origin or {}
        for part in origin.keys() & {_MODULES, _CONTENTS}:
            # A variable that came with its module may have been set since, an object that came may have been changed.
            came = {each: state for each, state in origin[part].items() if each in after[part]}
            effect = attrs.evolve(effect, before={**effect.before, part: {**came, **before[part]}})
        if any(name in effect.before and effect.before[name] != state for name, state in after.items()):
            self.of_modules[module] = effect
            return effect
        return None

    def _arrive(self, name: str) -> None:
        """A module was loaded: for the other files it is as its import left it."""
        self.fresh.update({one.name: one.look() for one in surroundings(name) if one.library == name})
        now: dict[str, dict[Any, Any]] = {_MODULES: self._globals(), _CONTENTS: self._contents()}
        for state in (self.origin or {}, *self.states.values()):
            state.update({each: self.fresh[each] for each in self.fresh.keys() - state.keys()})
            state.update({part: {**new, **state.get(part, {})} for part, new in now.items()})

    def is_new(self, path: Path) -> bool:
        """Whether it is to be found out how importing a file leaves everything."""
        return self.is_collecting and path not in self.states and not self.depth

    def put_in_place(self, path: Path, above: Sequence[Path] = ()) -> None:
        """Let everything be as importing a file alone left it, or as it was before it is imported.

        Parameters
        ----------
        above
            The simconf.py files that serve it, nearest first.
        """
        path = Path(os.path.abspath(path))
        if self.origin is not None and not self.depth:
            base = next((each for each in (path, *above) if each in self.states), path)
            state = self.states.get(base, self.origin)
            self.present = self.presences.get(base, frozenset())
            put_back(self._all(), self._without_devices(state, path))

    def leave(self) -> None:
        """Let everything be as it was before the first file was imported, the working directory too."""
        if self.origin is not None and not self.depth:
            put_back(self._all(), self.origin)

    def _without_devices(self, state: dict[str, Any], path: Path) -> dict[str, Any]:
        """A state without what Brian2's devices were told before they run: that can't be told again."""
        kept = state.get(brian.NAME)
        now = None if kept is None or brian.brian2() is None else brian.look()
        if now is None or brian.used(kept) == brian.used(now):
            return state
        self._say(path, _DEVICES.format(shown_path(path)))
        return {**state, brian.NAME: brian.with_used(kept, now)}

    def _say(self, path: Path, words: str) -> None:
        known = self.remarks.setdefault(path, [])
        known += [words] if words not in known else []

    @contextmanager
    def importing(self, path: Path, module: ModuleType | None) -> Iterator[None]:
        """While a file is imported by itself, or is found to be loaded: how everything is then is its state."""
        if not self.is_new(path):
            yield
            return
        before = self._look()
        self._repeat(module, path)
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
        self._arrive("")
        self.states[path] = after = self._look()
        self.presences[path] = self.present
        for name in _GENERATORS:
            if before[name] != after[name]:
                self._say(path, _DRAWN.format(shown_path(path), name))

    def _repeat(self, module: ModuleType | None, path: Path) -> None:
        """Change again what modules had changed when they were imported: those that a file imports, and itself."""
        if not self.of_modules:
            self.present |= self._reached(path, module)
            return
        names = self._reached(path, module) - self.present
        self.present |= names
        for other, effect in list(self.of_modules.items()):
            if other is module or (other.__name__ in names and sys.modules.get(other.__name__) is other):
                put_back(self._all(), effect.repeated(self._look()))

    def _reached(self, path: Path, module: ModuleType | None) -> frozenset[str]:
        """The modules that a file imports, with those that the project's among them import."""
        package = getattr(module, "__package__", None) or ""
        waiting, names = [(path, package)], set[str]()
        while waiting:
            new = _imported(*waiting.pop()) - names
            names |= new
            ours = [other for other in self.modules if other.__name__ in new]
            waiting += [(Path(str(other.__file__)), other.__package__ or "") for other in ours]
        return frozenset(names)

    def _globals(self) -> dict[tuple[ModuleType, str], Same]:
        """What the variables of the project's modules are bound to; another module is no value."""
        return {
            (module, name): Same(value)
            for module in self.modules
            for name, value in list(vars(module).items())
            if not name.startswith("__") and not is_a(value, ModuleType)
        }

    def _contents(self) -> dict[Same, Contents]:
        """What the objects contain that these variables hold."""
        return contents(map(vars, self.modules), frozenset().union(*map(self._foreign, self.modules)))

    def _foreign(self, module: ModuleType) -> frozenset[int]:
        """The identities of what a module may have from the libraries that it imports."""
        if module not in self.foreign:
            names = _imported(Path(str(module.__file__)), module.__package__ or "")
            others = [sys.modules[name] for name in names if name in sys.modules]
            held = (own_attributes(other).values() for other in others if other not in self.modules)
            known = frozenset(id(value) for values in held for value in values)
            if _is_initializing(module):
                return known
            self.foreign[module] = known
        return self.foreign[module]

    def _all(self, done: str = "") -> list[Surrounding]:
        return [*surroundings(done), *self.own]

    def _look(self, done: str = "") -> dict[str, Any]:
        return {one.name: one.look() for one in self._all(done)}


def _imported(path: Path, package: str) -> set[str]:
    """The modules that a file may import, with the packages that they are in."""
    try:
        imports = parsed(path).imports
    except OSError:
        return set()
    names: set[str] = set()
    for name in imports:
        try:
            full = importlib.util.resolve_name(name, package) if name.startswith(".") else name
        except ImportError:  # it is in no package
            continue
        parts = full.split(".")
        names |= {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
    return names


def _numpy() -> tuple[Any, ...]:
    state = _GENERATOR.get_state(legacy=False)
    inner = state["state"]
    is_usual = state["bit_generator"] == "MT19937"
    return (inner["key"].tobytes(), inner["pos"], state["has_gauss"], state["gauss"]) if is_usual else ()


def _to_numpy(state: tuple[Any, ...]) -> None:
    if state and _numpy():
        _GENERATOR.set_state(("MT19937", np.frombuffer(state[0], np.uint32), *state[1:]))


def _seeded() -> dict[str, Any]:
    """How generators are before a file is imported: always alike, or what it draws differed between processes."""
    legacy: Any = np.random.RandomState(0).get_state(legacy=False)
    numbers = legacy["state"]["key"].tobytes(), legacy["state"]["pos"], 0, 0.0
    return {"random": random.Random(0).getstate(), "numpy.random": numbers}


def _is_initializing(module: ModuleType) -> bool:
    return bool(getattr(module.__spec__, "_initializing", False))


def _to_globals(values: Mapping[tuple[ModuleType, str], Same]) -> None:
    for (module, name), bound in values.items():
        if vars(module).get(name, bound.value) is not bound.value:
            setattr(module, name, bound.value)


@lru_cache(maxsize=1)
def effects() -> Effects:
    """The one of this process."""
    return Effects()
