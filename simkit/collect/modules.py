"""Import a user's file once; know the plug-ins and codecs that it brings."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import metadata
from importlib.abc import SourceLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from simkit.collect.config import SIMCONF
from simkit.declare.plugins import OWN, Codec, Hooks
from simkit.errors import SimkitError, is_ours, shown_path


def load(path: Path, rootdir: Path) -> ModuleType:
    """The module of a file; imported before under any name, it is that same module.

    Its folder and the rootdir are importable from it, and ``import simconf`` gives the nearest one.

    Raises
    ------
    SimkitError
        When the import fails, with the traceback from the user's first line on.
    """
    path = Path(os.path.abspath(path))
    for module in list(sys.modules.values()):
        if _file(module) == path and getattr(module, "__name__", "") != "__main__":
            return module
    for folder in (rootdir, path.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    nearest = simconfs(path, rootdir)
    with _simconf_is(load(nearest[0], rootdir) if nearest else None):
        return _execute(path, rootdir)


def simconfs(path: Path, rootdir: Path) -> list[Path]:
    """The simconf.py files that serve a file, nearest first, up to the rootdir."""
    folders = [path.parent, *path.parent.parents]
    folders = folders[: folders.index(rootdir) + 1] if rootdir in folders else folders[:1]
    found = [folder / SIMCONF for folder in folders]
    return [file for file in found if file.is_file() and file != path]


def _file(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(os.path.abspath(file)) if isinstance(file, str) else None


def _execute(path: Path, rootdir: Path) -> ModuleType:
    name = _name(path, rootdir)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or not isinstance(spec.loader, SourceLoader):
        msg = f"{shown_path(path)}: not a Python file"
        raise SimkitError(msg)
    module = importlib.util.module_from_spec(spec)
    _settle(name, module)
    try:
        # From the source, never from a cached .pyc: that of a file which was changed within a second, and
        # kept its size, is the old code.
        code = spec.loader.source_to_code(spec.loader.get_data(str(path)), str(path))
        exec(code, vars(module))
    except SimkitError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's file raises
        del sys.modules[name]
        raise SimkitError(f"{shown_path(path)}: cannot be imported\n{_users_part(error)}") from None
    return module


def _name(path: Path, rootdir: Path) -> str:
    """The stem, as a neighbour would import it; a longer name where that is another file's."""
    inside = path.is_relative_to(rootdir)
    parts = (path.relative_to(rootdir) if inside else path).with_suffix("").parts
    dotted = ".".join(part for part in parts if part != path.anchor)
    if path.name == SIMCONF:  # the plain name means another file in every folder: see `_simconf_is`
        return f"simkit_user.{dotted}"
    taken = path.stem in sys.modules or path.stem in sys.stdlib_module_names
    return path.stem if not taken else dotted if dotted != path.stem else f"simkit_user.{dotted}"


def _settle(name: str, module: ModuleType) -> None:
    """Make a module importable by its name, packages of ours above it included: pickle looks classes up there."""
    sys.modules[name] = module
    parent, _, last = name.rpartition(".") if name.startswith("simkit_user.") else ("", "", name)
    if parent and parent not in sys.modules:
        package = ModuleType(parent)
        package.__path__ = []
        _settle(parent, package)
    if parent:
        setattr(sys.modules[parent], last, module)


def _users_part(error: BaseException) -> str:
    steps = traceback.TracebackException.from_exception(error)
    kept = [f for f in steps.stack if not (is_ours(f.filename) or f.filename.startswith("<frozen importlib"))]
    steps.stack = traceback.StackSummary.from_list(kept)
    return "".join("    " + line for line in "".join(steps.format()).splitlines(keepends=True)).rstrip()


@contextmanager
def _simconf_is(module: ModuleType | None) -> Iterator[None]:
    """While a file is imported, ``from simconf import …`` means the nearest simconf.py above it."""
    before = sys.modules.pop("simconf", None)
    if module is not None:
        sys.modules["simconf"] = module
    try:
        yield
    finally:
        sys.modules.pop("simconf", None)
        if before is not None:
            sys.modules["simconf"] = before


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
        for codec in _codecs(module, shown_path(getattr(module, "__file__", None) or module.__name__)):
            OWN.add(codec)


def know_codecs_of(node_id: str, rootdir: Path) -> None:
    """Know the codecs that an experiment of the present project would know; its own file is not run."""
    path = rootdir / node_id.partition("::")[0]
    know_codecs(load(file, rootdir) for file in simconfs(path, rootdir))


@lru_cache(maxsize=1)
def installed_codecs() -> None:
    """Know the codecs of installed plug-ins; a broken one is a warning."""
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            for codec in _codecs(entry.load(), f"plug-in {entry.name}"):
                OWN.add(codec)
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
            words = f"the plug-in {entry.name!r} ({entry.value}) is broken and left out: {error}"
            warnings.warn(words, stacklevel=2)


def _codecs(plugin: Any, where: str) -> list[Codec]:
    if not any(getattr(thing, "__dict__", {}).get("simkit_impl") for thing in vars(plugin).values()):
        return []
    manager = pluggy.PluginManager("simkit")
    manager.add_hookspecs(Hooks)
    try:
        manager.register(plugin)
        manager.check_pending()
        found = [codec for codecs in manager.hook.simkit_codecs() for codec in codecs]
    except Exception as error:
        msg = f"{where}: simkit_codecs: {type(error).__name__}: {error}"
        raise SimkitError(msg) from error
    for codec in found:
        if not isinstance(codec, Codec):
            msg = f"{where}: simkit_codecs gives {codec!r}: give a list of simkit.Codec(name, type, encode, decode)"
            raise SimkitError(msg)
        if not codec.name or "." not in codec.name or "/" in codec.name:
            msg = f"{where}: a codec is named with its project, as in 'lab.Spikes', not {codec.name!r}"
            raise SimkitError(msg)
    return found
