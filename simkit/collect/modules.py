"""Import a user's file once; know the plug-ins and codecs that it brings."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import Any

from simkit.collect.config import SIMCONF, import_folders, is_below
from simkit.collect.effects import effects
from simkit.collect.graph import Graph, folders_of, home_of, module_file
from simkit.collect.installed import offers
from simkit.collect.listener import OpenedFiles, listener
from simkit.collect.surroundings import usable
from simkit.declare.plugins import OWN, Codec
from simkit.declare.reflection import formatted, is_a, own_attributes, shown, told
from simkit.errors import SimkitError, is_ours, missing, shown_path

USERS = (
    "simkit_user"  # the package of the user's modules that can't have the name that they were written under
)


def load(path: Path, rootdir: Path) -> ModuleType:
    """The module of a file; imported before under any name, it is that same module.

    Its folder and the rootdir are importable from it, and ``import simconf`` gives the nearest one.

    Raises
    ------
    SimkitError
        When the import fails, with the traceback from the user's first line on.
    """
    path = Path(os.path.abspath(path))
    _check_name(path, rootdir)
    module = _loaded(path)
    if module is None:
        nearest = simconfs(path, rootdir)
        if nearest:
            load(nearest[0], rootdir)
    if effects().is_new(path):
        effects().put_in_place(path, simconfs(path, rootdir))
    turn_to(path, rootdir)
    with effects().importing(path, module):
        return module or _execute(path, rootdir)


def _check_name(path: Path, rootdir: Path) -> None:
    """What is recorded names files as text; the folders above the rootdir may be called as they like."""
    name = os.path.relpath(path, rootdir)
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = name.encode("utf-8", "backslashreplace").decode()
        msg = f"{shown}: this name is no text in UTF-8, and can't be recorded: give the file or folder another one"
        raise SimkitError(msg) from None


def simconfs(path: Path, rootdir: Path) -> list[Path]:
    """The simconf.py files that serve a file, nearest first, up to the rootdir."""
    folders = [path.parent, *path.parent.parents]
    folders = folders[: folders.index(rootdir) + 1] if rootdir in folders else folders[:1]
    found = [folder / SIMCONF for folder in folders]
    return [file for file in found if os.path.isfile(file) and file != path]


def turn_to(path: Path, rootdir: Path) -> None:
    """Let imports mean what they mean for this file alone: each folder's own modules, and the nearest simconf.

    Of two folders each may have a ``helper.py``. What other files imported by a name that means another file here
    is put aside, and comes back when it is their turn again.
    """
    users, own = _users(), _folders(path, rootdir)
    if users.own != own:
        users.own, users.meant = own, {}
    users.meant.pop(path.stem, None)
    loaded = [
        (name, module, _file(module))
        for name, module in _importable({*users.folders, *map(str, own)}, users.meant)
    ]
    kept = [
        entry
        for entry in sys.path
        if not is_a(entry, str) or entry not in users.folders or Path(entry) in own
    ]
    new = [str(folder) for folder in own if str(folder) not in kept]
    users.folders.update(new)
    sys.path[:] = [*new, *kept]
    for name, module, file in loaded:
        meant = _meant(name, own)
        if meant != file and not (is_collected(module) and meant in (None, path)):
            names = [each for each in sys.modules if each == name or each.startswith(f"{name}.")]
            users.aside[name, file] = {each: sys.modules.pop(each) for each in names}
        elif meant in (None, file):
            users.meant[name] = module
    for name in {name for name, _ in users.aside} - sys.modules.keys():
        meant = _meant(name, own)
        sys.modules.update(users.aside.pop((name, meant), {}))
    nearest = next(iter(simconfs(path, rootdir)), None)
    simconf = None if nearest is None else _loaded(nearest)
    sys.modules.pop("simconf", None)
    if simconf is not None:
        sys.modules["simconf"] = simconf


def is_collected(module: ModuleType) -> bool:
    """Whether simkit imported a module from its file, not another module by its name."""
    return getattr(module.__spec__, "loader_state", None) == USERS


def namesakes(name: str) -> list[Path]:
    """The files that modules of one name were imported from, for whichever folder."""
    modules = [
        *([sys.modules[name]] if name in sys.modules else []),
        *(m[name] for (n, _), m in _users().aside.items() if n == name),
    ]
    return sorted({file for module in modules if (file := _file(module)) is not None})


def check_shared(graph: Graph, path: Path) -> None:
    """A module that several folders share may not import what each of them has its own of.

    Raises
    ------
    SimkitError
        With the files that the import may mean: it would depend on which experiment was collected first.
    """
    names = {name for name, _ in _users().aside}
    for shared, file in graph.files.items() if names else ():
        for name in names.intersection(file.imports) if shared.parent != path.parent else ():
            files = namesakes(name)
            if len(files) > 1 and shared.parent not in {file.parent for file in files}:
                here = " and ".join(map(shown_path, files))
                msg = (
                    f"{shown_path(shared)} imports {name!r}, which is {here}, each for the experiments beside it\n"
                    "    give them different names, or import it in the experiments' files only"
                )
                raise SimkitError(msg)


class _Users(ModuleType):
    """The package of the user's modules; it knows what was done to the import system for them.

    Attributes
    ----------
    folders
        The folders that were put on the path.
    aside
        Modules by their name and file, each with those below it, that have no place in ``sys.modules`` now.
    own, meant
        The folders of the file whose turn it is, and the modules that are what their names mean there.
    """

    def __init__(self) -> None:
        super().__init__(USERS)
        self.__path__: list[str] = []
        self.folders: set[str] = set()
        self.aside: dict[tuple[str, Path | None], dict[str, ModuleType]] = {}
        self.own: list[Path] = []
        self.meant: dict[str, ModuleType] = {}


def _users() -> _Users:
    users = sys.modules.setdefault(USERS, _Users())
    assert isinstance(users, _Users)
    return users


def _folders(path: Path, rootdir: Path) -> list[Path]:
    """The folders that a file imports from, nearest first."""
    shared = (file.parent for file in simconfs(path, rootdir))
    folders = [path.parent, _above_package(path), *shared, rootdir, *import_folders(rootdir)]
    return list(dict.fromkeys(folders))


def _above_package(path: Path) -> Path:
    """The folder that holds the package that a file is in; its own folder where it is in none."""
    return next(folder for folder in path.parents if not (folder / "__init__.py").is_file())


def _importable(folders: set[str], known: Mapping[str, ModuleType]) -> list[tuple[str, ModuleType]]:
    """The top-level modules that lie in these folders, but for those that are known."""
    tops = [
        (n, m)
        for n, m in list(sys.modules.items())
        if is_a(n, str) and "." not in n and n not in (USERS, "__main__", "simconf") and known.get(n) is not m
    ]
    return [(name, module) for name, module in tops if str(home_of(module)) in folders]


def _meant(name: str, own: Sequence[Path]) -> Path | None:
    """The file that an import of a name means in these folders."""
    return next((file for folder in own if (file := module_file(folder, [name])) is not None), None)


def _loaded(path: Path) -> ModuleType | None:
    """The module that was imported from a file, under whatever name."""
    aside = (module for modules in _users().aside.values() for module in modules.values())
    for module in (*list(sys.modules.values()), *aside):
        names = own_attributes(module)
        file, is_main = names.get("__file__"), names.get("__name__") == "__main__"
        if type(file) is str and file.endswith(path.name) and _file(module) == path and not is_main:
            return module
    return None


def _file(module: ModuleType) -> Path | None:
    """A module's file, or the folder of a package without one."""
    file = own_attributes(module).get("__file__")
    places = [file] if is_a(file, str) else [each for each in folders_of(module) if is_a(each, str)]
    return Path(os.path.abspath(places[0])) if places else None


def _execute(path: Path, rootdir: Path) -> ModuleType:
    name = _name(path, rootdir)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or not isinstance(spec.loader, SourceFileLoader):
        msg = f"{shown_path(path)}: not a Python file"
        raise SimkitError(msg)
    spec.loader_state = USERS
    module = importlib.util.module_from_spec(spec)
    try:
        if "." in name and name == _own_name(path):
            importlib.import_module(module.__package__ or "")
        _settle(name, module)
        # From the source, never from a cached .pyc: that of a file which was changed within a second, and
        # kept its size, is the old code.
        code = spec.loader.source_to_code(spec.loader.get_data(str(path)), str(path))
        with listener().to(OpenedFiles(rootdir)), usable(shown_path(path)):
            exec(code, vars(module))
    except SimkitError:
        sys.modules.pop(name, None)
        raise
    except BaseException as error:
        sys.modules.pop(name, None)
        if is_a(error, KeyboardInterrupt):
            raise
        raise SimkitError(f"{shown_path(path)}: cannot be imported\n{_users_part(error)}") from None
    return module


def _name(path: Path, rootdir: Path) -> str:
    """The name by which others import a file, that of its package included; a longer one where that is taken."""
    own = _own_name(path)
    package = sys.modules.get(own.partition(".")[0])
    is_free = own not in sys.modules and own not in sys.stdlib_module_names
    if "." in own:
        is_free = is_free and (package is None or home_of(package) == _above_package(path))
    if (
        is_free and path.name != SIMCONF
    ):  # the plain name of that means another file in every folder: see `turn_to`
        return own
    inside = path.is_relative_to(rootdir)
    parts = (path.relative_to(rootdir) if inside else path).with_suffix("").parts
    dotted = ".".join(part for part in parts if part != path.anchor)
    return dotted if path.name != SIMCONF and dotted != path.stem else f"{USERS}.{dotted}"


def _own_name(path: Path) -> str:
    """``package.sim_a`` for a file in a package, else ``sim_a``."""
    return ".".join(path.relative_to(_above_package(path)).with_suffix("").parts)


def _settle(name: str, module: ModuleType) -> None:
    """Make a module importable by its name, packages of ours above it included: pickle looks classes up there."""
    sys.modules[name] = module
    parent, _, last = name.rpartition(".") if name.startswith(f"{USERS}.") else ("", "", name)
    if parent and parent not in sys.modules:
        package = ModuleType(parent)
        package.__path__ = []
        _settle(parent, package)
    if parent:
        setattr(sys.modules[parent], last, module)


def _users_part(error: BaseException) -> str:
    return indent(formatted(error, lambda: _reported(error)), "    ")


def _reported(error: BaseException) -> str:
    steps = traceback.TracebackException.from_exception(error)
    kept = [f for f in steps.stack if not (is_ours(f.filename) or f.filename.startswith("<frozen importlib"))]
    steps.stack = traceback.StackSummary.from_list(kept)
    return "\n".join(filter(None, ["".join(steps.format()).rstrip(), missing(error)]))


ENTRY_POINTS = "simkit"


def know_codecs(modules: Iterable[ModuleType]) -> None:
    """Know the codecs of these modules, and of installed plug-ins, from now on.

    Raises
    ------
    SimkitError
        When a hook of the project's fails, or gives anything but codecs.
    """
    installed_codecs()
    for module in modules:
        for codec in _codecs(module, shown_path(_file(module) or shown(module))):
            OWN.add(codec)


def know_codecs_of(node_id: str, rootdir: Path) -> None:
    """Know the codecs that an experiment of the present project would know; its own file is not run."""
    file = node_id.partition("::")[0]
    path = rootdir / (file if is_below(file) else "notebook")
    know_codecs(load(file, rootdir) for file in simconfs(path, rootdir))


def _entry_points() -> Iterable[Any]:
    """What installed plug-ins offer."""
    if not offers(ENTRY_POINTS):
        return ()
    from importlib import metadata

    return metadata.entry_points(group=ENTRY_POINTS)


@lru_cache(maxsize=1)
def installed_codecs() -> None:
    """Know the codecs of installed plug-ins; a broken one is a warning."""
    for entry in _entry_points():
        try:
            for codec in _codecs(entry.load(), f"plug-in {entry.name}"):
                OWN.add(codec)
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
            words = f"the plug-in {entry.name!r} ({entry.value}) is broken and left out: {error}"
            warnings.warn(words, stacklevel=2)


def hooked_engines(files: Iterable[Path], rootdir: Path) -> dict[str, Callable[..., Any]]:
    """The functions that make engines, by name: of installed plug-ins, and of these simconf.py files.

    Raises
    ------
    SimkitError
        When a hook of the project's fails, or gives anything but functions by name.
    """
    engines: dict[str, Callable[..., Any]] = {}
    for entry in _entry_points():
        try:
            engines.update(_engines(entry.load(), f"plug-in {entry.name}"))
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
            words = f"the plug-in {entry.name!r} ({entry.value}) is broken and left out: {error}"
            warnings.warn(words, stacklevel=2)
    for file in files:
        engines.update(_engines(load(file, rootdir), shown_path(file)))
    return engines


def _engines(plugin: Any, where: str) -> dict[str, Callable[..., Any]]:
    engines: dict[str, Callable[..., Any]] = {}
    for offered in _hooked(plugin, where, "simkit_engines"):
        is_table = isinstance(offered, Mapping)
        if not is_table or not all(isinstance(k, str) and callable(v) for k, v in offered.items()):
            msg = f"{where}: simkit_engines gives {offered!r}: give functions by name, as in {{'ours': make_ours}}"
            raise SimkitError(msg)
        engines.update(offered)
    return engines


def _hooked(plugin: Any, where: str, hook: str) -> list[Any]:
    """What a module gives for one hook."""
    if not any(own_attributes(thing).get("simkit_impl") for thing in vars(plugin).values()):
        return []
    import pluggy

    from simkit.declare.hooks import Hooks

    manager = pluggy.PluginManager("simkit")
    manager.add_hookspecs(Hooks)
    try:
        manager.register(plugin)
        manager.check_pending()
        return list(getattr(manager.hook, hook)())
    except BaseException as error:
        if is_a(error, KeyboardInterrupt):
            raise
        msg = f"{where}: {hook}: {told(error)}"
        raise SimkitError(msg) from error


def _codecs(plugin: Any, where: str) -> list[Codec]:
    given = _hooked(plugin, where, "simkit_codecs")
    found = [each for answer in given for each in (answer if is_a(answer, list, tuple) else [answer])]
    for codec in found:
        if not is_a(codec, Codec):
            cure = "give a list of simkit.Codec(name, type, encode, decode)"
            msg = f"{where}: simkit_codecs gives {shown(codec)}: {cure}"
            raise SimkitError(msg)
        if not codec.name or "." not in codec.name or "/" in codec.name:
            msg = f"{where}: a codec is named with its project, as in 'lab.Spikes', not {codec.name!r}"
            raise SimkitError(msg)
    return found
