"""What functions and classes ask for, and what they provide under which name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import attrs

from simkit.collect.conversion import expected
from simkit.collect.modules import is_collected, know_codecs, load, simconfs, turn_to
from simkit.declare.annotations import Note, notes
from simkit.declare.tags import Kind, Tag, tag_of
from simkit.errors import SimkitError, location

MISSING: Final = inspect.Parameter.empty


@attrs.frozen(eq=False)
class Request:
    """One argument: its name, default (or `MISSING`) and annotation."""

    name: str
    default: Any
    note: Note
    keyword: bool = False

    @property
    def kind(self) -> Any:
        """The type that a value from outside is converted to."""
        return expected(self.note.type, None if self.default is MISSING else self.default)


@attrs.frozen
class Requester:
    """Who asks, for messages and to find cycles."""

    key: str
    words: str
    where: str

    def __str__(self) -> str:
        return f"{self.words} ({self.where})"


def requests(function: Callable[..., Any]) -> list[Request]:
    """The injectable arguments of a function, in order; ``*args`` and ``**kwargs`` receive nothing."""
    known = notes(function)
    kinds = inspect.Parameter
    return [
        Request(p.name, p.default, known.get(p.name, Note()), p.kind is kinds.KEYWORD_ONLY)
        for p in inspect.signature(function).parameters.values()
        if p.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
    ]


def fields(group: Any) -> dict[str, Request]:
    """The fields of a parameter class that its constructor takes."""
    known = notes(group)
    return {
        field.name: Request(field.name, _default(field), known.get(field.name, Note()), keyword=True)
        for field in attrs.fields(group)
        if field.init
    }


def _default(field: Any) -> Any:
    if field.default is attrs.NOTHING:
        return MISSING
    if hasattr(field.default, "takes_self"):  # an attrs.Factory
        return None if field.default.takes_self else field.default.factory()
    return field.default


def requester(words: str, key: str, thing: Any) -> Requester:
    """Somebody who asks."""
    return Requester(key, f"{words} {key.partition('@')[0]}", location(thing))


def is_group(value: Any) -> bool:
    """Whether a value is an instance of a ``@parameter`` class."""
    tag = tag_of(type(value))
    return tag is not None and tag.kind == "parameter"


def group_fields(group: Any) -> dict[str, Any]:
    """A group's values by field."""
    return {field.name: getattr(group, field.name) for field in attrs.fields(type(group))}


def leaves(name: str, value: Any) -> dict[str, Any]:
    """What is recorded for a parameter: itself, or the fields of a group by dotted name, nested ones too."""
    if not is_group(value):
        return {name: value}
    found: dict[str, Any] = {}
    for field, inner in group_fields(value).items():
        found.update(leaves(f"{name}.{field}", inner))
    return found


def leaf_notes(name: str, value: Any) -> dict[str, Note]:
    """The comments and units of a group's leaves."""
    if not is_group(value):
        return {}
    known = notes(type(value))
    found: dict[str, Note] = {}
    for field, inner in group_fields(value).items():
        found[f"{name}.{field}"] = known.get(field, Note())
        found.update(leaf_notes(f"{name}.{field}", inner))
    return found


def fields_depend(group: Any) -> bool:
    """Whether some fields of a group are computed from others when it is made."""
    by_self = (getattr(field.default, "takes_self", False) for field in attrs.fields(group))
    return hasattr(group, "__attrs_post_init__") or any(by_self)


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
    if is_collected(module):
        turn_to(path, rootdir)
    know_codecs(reversed(modules))
    return [level(each) for each in modules]


def kind_of(name: str, function: Callable[..., Any], levels: Sequence[Level]) -> Any:
    """The type that a name's values have, as far as the code tells: of an argument, a provider or a field."""
    for request in requests(function):
        if request.name == name and request.kind is not None:
            return request.kind
    group, _, field = name.rpartition(".")
    provider = next((level[group or name] for level in levels if (group or name) in level), None)
    if provider is None:
        return None
    if group and provider.is_group:
        found = fields(provider.thing).get(field)
        return None if found is None else found.kind
    return None if provider.is_group else notes(provider.thing).get("return", Note()).type
