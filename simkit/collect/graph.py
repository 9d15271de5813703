"""What do the names in the project's source mean, and what do they lead to?

Every file of the project that an experiment imports is parsed once; names lead from file to file, through imports,
packages that hand names on, and what modules hold at present: tables of functions, partial ones, wrapped ones.
Three questions are asked of this graph: which code is reached (`code`), which files are needed (`sources`), and which
global random generators are drawn from (`code` again).
"""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import attrs

from simkit.collect.config import SIMCONF
from simkit.collect.scopes import Binding, Chain, Use
from simkit.collect.syntax import CodeUnit, ParsedFile, parsed, parsed_cells
from simkit.declare.reflection import answered, is_a, own_attributes
from simkit.errors import is_ours

NOTEBOOK = "notebook"  # stands for the file in node ids
EVERYTHING = "*"
_WHOLE = {("globals",), ("locals",), ("vars",), ("exec",), ("eval",), ("dir",)}


@attrs.frozen
class Place:
    """A name in one of the project's files; ``*`` is everything in it."""

    path: Path
    name: str


def cells_of(namespace: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The executed cells in order, if these are the globals of a notebook."""
    cells = namespace.get("In")
    is_shell = namespace.get("__name__") == "__main__" and "__file__" not in namespace
    return tuple(map(str, cells)) if is_shell and isinstance(cells, list) else None


@lru_cache(maxsize=1)
def _not_the_projects() -> tuple[str, ...]:
    """The folders of Python, of installed packages, and of simkit itself."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {sysconfig.get_paths()[name] for name in names} | {
        os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    }
    return tuple(folder + os.sep for folder in folders)


def is_project_file(file: Any) -> bool:
    """Whether a module's ``__file__`` is Python source of the project's, and no installed package's or simkit's."""
    if not is_a(file, str) or not file.endswith(".py") or file.startswith(_not_the_projects()):
        return False
    parts = file.split(os.sep)
    return "site-packages" not in parts and "dist-packages" not in parts


def project_file(namespace: Mapping[str, Any]) -> Path | None:
    """The file of a module's globals if it is the project's own; a notebook's is no file, but has a name."""
    file: Any = namespace.get("__file__")
    if file is None and cells_of(namespace) is not None:
        return Path(NOTEBOOK)
    if not is_project_file(file):
        return None
    return _path(file) if os.path.isabs(file) else Path(os.path.abspath(file))


@lru_cache(maxsize=10_000)
def _path(file: str) -> Path:
    """Each file of the project is asked for once per file that is collected."""
    return Path(os.path.abspath(file))


@attrs.frozen(eq=False)
class Graph:
    """The files that an experiment needs, and the names in them.

    Attributes
    ----------
    files
        The parsed files, by path.
    missing
        The packages outside of the project that they import.
    namespaces
        The globals of those that are loaded.
    """

    rootdir: Path
    files: dict[Path, ParsedFile]
    missing: set[str]
    namespaces: dict[Path, Mapping[str, Any]]
    _found: dict[tuple[str, Path], Path | None] = attrs.field(factory=dict)
    _changes: dict[Place, list[tuple[Path, CodeUnit]]] = attrs.field(factory=dict)

    @classmethod
    def of(cls, starts: Iterable[Path], namespaces: Iterable[Mapping[str, Any]], rootdir: Path) -> Graph:
        """The graph of these files, and of those that these globals belong to, with all that they import."""
        loaded = [own_attributes(module) for module in list(sys.modules.values()) if is_a(module, ModuleType)]
        known = {path: names for names in loaded if (path := project_file(names)) is not None}
        own = {path: names for names in namespaces if (path := project_file(names)) is not None}
        graph = cls(rootdir, {}, set(), {**known, **own})
        graph._follow([*starts, *own])
        graph._index()
        return graph

    def key(self, path: Path) -> str:
        """A file's name in records: from the rootdir, or as it is imported where it lies outside."""
        if path.is_relative_to(self.rootdir):
            return path.relative_to(self.rootdir).as_posix()
        home = next((f for f in path.parents if not (f / "__init__.py").is_file()), path.parent)
        return path.relative_to(home).as_posix()

    def _follow(self, starts: Iterable[Path]) -> None:
        """Parse these files and all that they import."""
        waiting = list(starts)
        while waiting:
            path = waiting.pop()
            if path in self.files or is_ours(str(path)):
                continue
            try:
                file = self._parsed(path)
            except OSError:  # may not be read: then no run can have imported it
                continue
            self.files[path] = file
            waiting += self._packages(path)
            for name in file.imports:
                inside = self._along(name, path)
                waiting += inside
                if not inside and not name.startswith("."):
                    self.missing.add(name.partition(".")[0])
        computing = [path for path, file in self.files.items() if file.by_name]
        unknown = {p for path in computing for p in self.by_name(path)} - self.files.keys()
        if unknown:
            self._follow(sorted(unknown))

    def _parsed(self, path: Path) -> ParsedFile:
        cells = cells_of(self.namespaces.get(path, {})) if path == Path(NOTEBOOK) else None
        return parsed(path) if cells is None else parsed_cells(cells)

    def _packages(self, path: Path) -> Iterator[Path]:
        """The ``__init__.py`` of each package that a file is in: they are imported with it."""
        for folder in path.parents:
            file = folder / "__init__.py"
            if folder == self.rootdir or not file.is_file():
                return
            yield file

    def _along(self, name: str, importer: Path) -> list[Path]:
        """The files that an import runs: of ``a``, ``a.b`` and ``a.b.c``, as far as they are the project's."""
        start = len(name) - len(name.lstrip("."))
        ends = [i for i in range(start, len(name)) if name[i] == "."] + [len(name)]
        paths = (self.find(name[:end], importer) for end in ends)
        return [path for path in paths if path is not None and path.suffix == ".py"]

    def by_name(self, path: Path) -> list[Path]:
        """The modules that a file may load by names that it computes: those that a text in the project names."""
        file = self.files[path]
        known = [p for name in file.by_name for p in self._computed(name, path)]
        if "*" in file.by_name:
            words = sorted(word for each in self.files.values() for word in each.words)
            known += [p for word in words for p in self._along(word, path)]
        return [p for p in dict.fromkeys(known) if p != path]

    def _computed(self, name: str, importer: Path) -> list[Path]:
        """The modules that a name with an open end means: all in ``models.*``, those beside a file in ``.*``."""
        beginning = name.removesuffix("*")
        if beginning == name:
            return self._along(name, importer)
        level = len(beginning) - len(beginning.lstrip("."))
        package, _, stem = beginning[level:].rpartition(".")
        if not beginning:
            return []
        origin = self.find(beginning[:level] + package, importer) if level or package else importer
        folder = None if origin is None else origin if origin.is_dir() else origin.parent
        return (
            [] if folder is None else [p for p in sorted(folder.glob(f"{stem}*.py")) if p.stem != "__init__"]
        )

    def find(self, name: str, importer: Path) -> Path | None:
        """The project's file that an import of this name in a file means; a folder for a package without one."""
        key = name, importer if name.startswith(SIMCONF.removesuffix(".py")) else importer.parent
        if key not in self._found:
            self._found[key] = self._search(name, importer)
        return self._found[key]

    def _search(self, name: str, importer: Path) -> Path | None:
        level = len(name) - len(name.lstrip("."))
        parts = [part for part in name[level:].split(".") if part]
        if level:
            return module_file(importer.parents[min(level, len(importer.parents)) - 1], parts)
        if name == "simconf":
            above = (folder / SIMCONF for folder in importer.parents if folder.is_relative_to(self.rootdir))
            return next((file for file in above if file.is_file() and file != importer), None)
        module = sys.modules.get(parts[0])
        if module is not None:
            home = home_of(module)
            return None if home is None else module_file(home, parts)
        near = (module_file(base, parts) for base in (importer.parent, self.rootdir))
        return next((path for path in near if path is not None), None) or _elsewhere(parts)

    def _index(self) -> None:
        """Note which statements change which names when their files are imported."""
        for path, file in self.files.items():
            for unit in file.units:
                for place in {p for use in unit.on_import for p in self._changed(path, use, frozenset())}:
                    if (path, unit) not in self._changes.setdefault(place, []):
                        self._changes[place].append((path, unit))

    def _changed(self, path: Path, use: Use, calling: frozenset[Place]) -> Iterator[Place]:
        """The names whose objects a use may change."""
        if use.kind == "calls":
            if use.chain in _WHOLE:
                yield Place(path, EVERYTHING)
            for place in () if use.chain in _WHOLE else self.places(path, use.chain, use.bindings):
                if place not in calling:
                    yield from self._changed_by_call(place, calling | {place})
            return
        for place in self.places(path, use.chain, use.bindings):
            if place.name == "__dict__":
                yield Place(place.path, EVERYTHING)
            elif place.name != EVERYTHING and (use.kind == "changes" or _is_changeable(self.value(place))):
                yield place

    def _changed_by_call(self, place: Place, calling: frozenset[Place]) -> Iterator[Place]:
        """What a function of the project changes in its module, or in others, when it is called."""
        for unit in self.files[place.path].defined.get(place.name, ()) if place.path in self.files else ():
            for use in unit.uses:
                if use.later and use.kind == "binds":
                    yield Place(place.path, use.chain[0])
                elif use.later and use.kind in ("changes", "calls"):
                    yield from self._changed(place.path, use, calling)

    def units(self, place: Place) -> list[tuple[Path, CodeUnit]]:
        """The statements that define a name, or change what it stands for."""
        file = self.files.get(place.path)
        if file is None:
            return []
        changing = [*self._changes.get(place, ()), *self._changes.get(Place(place.path, EVERYTHING), ())]
        defining = [(place.path, unit) for unit in self._current(place, file.defined.get(place.name, ()))]
        found = dict.fromkeys([*defining, *(changing if defining or place in self._changes else ())])
        return sorted(found, key=lambda each: (each[0] != place.path, str(each[0]), each[1].first))

    def _current(self, place: Place, units: tuple[CodeUnit, ...]) -> tuple[CodeUnit, ...]:
        """Of several definitions of one function, that of the present one."""
        value = self.value(place)
        code = value.__code__ if is_a(value, FunctionType) else None
        if code is not None and code.co_filename.startswith("<string"):
            return ()  # made by exec
        if len(units) < 2 or code is None or code.co_filename != str(place.path):
            return units
        mine = tuple(unit for unit in units if unit.spans(code.co_firstlineno))
        return mine or units

    def value(self, place: Place) -> Any:
        """What a name stands for at present; None where its file is not loaded."""
        return self.namespaces.get(place.path, {}).get(place.name)

    def places(self, path: Path, chain: Chain, bindings: tuple[Binding, ...] = ()) -> Iterator[Place]:
        """Where the name that a dotted name leads to is defined: several where imports are optional."""
        if bindings:
            for binding in bindings:
                yield from self._imported(path, binding, chain[1:], frozenset())
        else:
            yield from self._named(path, chain, frozenset())

    def _named(self, path: Path, chain: Chain, seen: frozenset[tuple[Path, str]]) -> Iterator[Place]:
        """Where a dotted name of a file's own leads."""
        file, name = self.files.get(path), chain[0]
        if file is None or (path, name) in seen:
            return
        seen |= {(path, name)}
        if name == "__dict__":
            yield Place(path, name)
        places = [Place(path, name)] if name in file.defined or Place(path, name) in self._changes else []
        for binding in file.bindings.get(name, ()):
            places += self._imported(path, binding, chain[1:], seen)
        for star in file.stars if not places else ():
            origin = self.find(star, path)
            if origin is not None and self._has(origin, name, seen):
                places += self._named(origin, chain, seen)
        if not places and name in self.namespaces.get(path, {}):
            places = [Place(path, name)]
        elif not places and "__getattr__" in file.defined:
            places = [Place(path, "__getattr__")]
        yield from places

    def _has(self, path: Path, name: str, seen: frozenset[tuple[Path, str]] = frozenset()) -> bool:
        """Whether a module has a name of its own that is no module below it."""
        file = self.files.get(path)
        if file is None or (path, name) in seen:
            return False
        if name in file.defined or name in file.bindings or Place(path, name) in self._changes:
            return True
        value = self.namespaces.get(path, {}).get(name)
        origins = (self.find(star, path) for star in file.stars)
        return (value is not None and not is_a(value, ModuleType)) or any(
            self._has(origin, name, seen | {(path, name)}) for origin in origins if origin is not None
        )

    def _imported(
        self, path: Path, binding: Binding, rest: Chain, seen: frozenset[tuple[Path, str]]
    ) -> Iterator[Place]:
        """Where what an import binds leads, and the attributes after it."""
        origin = self.find(binding.module, path)
        if origin is not None:
            yield from self._within(origin, rest if binding.name is None else (binding.name, *rest), seen)

    def _within(self, path: Path, chain: Chain, seen: frozenset[tuple[Path, str]]) -> Iterator[Place]:
        """Where attributes of a module lead; a module that is handed on as a whole is everything in it."""
        if not chain:
            yield Place(path, EVERYTHING)
            return
        folder = path.parent if path.name == "__init__.py" else path
        inner = None if path.suffix == ".py" and folder == path else module_file(folder, [chain[0]])
        if inner is None or self._has(path, chain[0], seen):
            yield from self._named(path, chain, seen)
        else:
            yield from self._within(inner, chain[1:], seen)

    def everything(self, path: Path) -> Iterator[Place]:
        """All that a module holds; of a package, what it hands on and its modules that are loaded."""
        file = self.files.get(path)
        if file is not None:
            yield from (Place(path, name) for name in file.defined)
            for name in file.bindings:
                yield from self._named(path, (name,), frozenset())
            for star in file.stars:
                origin = self.find(star, path)
                yield from [] if origin is None else [Place(origin, EVERYTHING)]
        if file is None or path.name == "__init__.py":
            folder = path if file is None else path.parent
            yield from (Place(p, EVERYTHING) for p in self.files if p != path and p.is_relative_to(folder))


def _is_changeable(value: Any) -> bool:
    """Whether a function that is given an object may change it."""
    return not callable(value) and not is_a(value, str, bytes, int, float, complex, tuple, frozenset)


def module_file(base: Path, parts: Sequence[str]) -> Path | None:
    """The file of ``a.b`` below a folder, or its folder where that is a package without a file."""
    path = base.joinpath(*parts)
    candidates = [path / "__init__.py", *([path.with_suffix(".py")] if parts else [])]
    return next((file for file in candidates if file.is_file()), path if path.is_dir() else None)


def folders_of(module: ModuleType) -> list[str]:
    """The folders of a package."""
    folders: list[Any] = answered(lambda: list(own_attributes(module).get("__path__", ())), [])
    return [folder for folder in folders if is_a(folder, str)]


def home_of(module: ModuleType) -> Path | None:
    """The folder from which a top-level module of the project was imported."""
    file = own_attributes(module).get("__file__")
    if is_project_file(file):
        path = Path(os.path.abspath(str(file)))
        return path.parent.parent if path.name == "__init__.py" else path.parent
    folders = map(os.path.abspath, folders_of(module)) if file is None else ()
    return next((Path(f).parent for f in folders if is_project_file(os.path.join(f, "x.py"))), None)


def _elsewhere(parts: list[str]) -> Path | None:
    """A module on the path that is not loaded yet."""
    try:
        spec = importlib.util.find_spec(parts[0])
    except (ImportError, ValueError, AttributeError):
        return None
    places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or [])]
    for place in places:
        if place is not None and is_project_file(
            place if place.endswith(".py") else os.path.join(place, "x.py")
        ):
            path = Path(place)
            home = path.parent.parent if path.name == "__init__.py" or path.is_dir() else path.parent
            return module_file(home if not path.is_dir() else path.parent, parts)
    return None
