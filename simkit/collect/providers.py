"""Who provides which name, from the nearest definition to the farthest."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from simkit.collect.modules import load, simconfs
from simkit.collect.plugins import know_codecs
from simkit.declare.tags import Kind, Tag, tag_of
from simkit.errors import SimkitError, location


@attrs.frozen(eq=False)
class Provider:
    """A parameter or fixture and where it stands."""

    name: str
    thing: Any
    tag: Tag

    @property
    def where(self) -> str:
        """``file:line``."""
        return location(self.thing)

    @property
    def is_group(self) -> bool:
        """Whether it is a parameter class."""
        return inspect.isclass(self.thing)


Level = dict[str, Provider]


def tagged(module: ModuleType, *kinds: Kind) -> list[tuple[Any, Tag]]:
    """What a module defines itself, in order; what it imports belongs to the module that defines it."""
    found: dict[int, tuple[Any, Tag]] = {}
    for thing in vars(module).values():
        tag = tag_of(thing)
        if tag is not None and tag.kind in kinds and thing.__module__ == module.__name__:
            found.setdefault(id(thing), (thing, tag))
    return list(found.values())


def imported(module: ModuleType, *kinds: Kind) -> dict[str, str]:
    """Names of tagged things that a module only imports, with the module that defines them."""
    pairs = ((thing, tag_of(thing)) for thing in vars(module).values())
    return {
        tag.name or thing.__name__: thing.__module__
        for thing, tag in pairs
        if tag is not None and tag.kind in kinds and thing.__module__ != module.__name__
    }


def level(module: ModuleType) -> Level:
    """The providers of one module by name.

    Raises
    ------
    SimkitError
        When two of them provide one name.
    """
    providers: Level = {}
    for thing, tag in tagged(module, "parameter", "fixture"):
        provider = Provider(tag.name or thing.__name__, thing, tag)
        first = providers.get(provider.name)
        if first is not None:
            msg = f"{provider.where}: {provider.name!r} is provided a second time, first at {first.where}"
            raise SimkitError(msg)
        providers[provider.name] = provider
    return providers


def levels(path: Path, rootdir: Path, module: ModuleType) -> list[Level]:
    """The module's own providers, then those of each simconf.py from its folder up to the rootdir."""
    modules = [module, *(load(file, rootdir) for file in simconfs(path, rootdir))]
    know_codecs(reversed(modules))
    return [level(each) for each in modules]
