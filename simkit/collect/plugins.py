"""Which plug-ins are there: the ``simconf.py`` files of a project, and installed packages."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from simkit.collect.modules import load, simconfs
from simkit.declare.codec import OWN, Codec
from simkit.declare.hooks import Hooks
from simkit.errors import SimkitError, shown_path

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
    if not any(getattr(thing, "simkit_impl", None) for thing in vars(plugin).values()):
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
    return found
