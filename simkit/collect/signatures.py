"""What functions and classes ask for, and what they provide under which name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import attrs

from simkit.collect.conversion import expected
from simkit.collect.fields import NOTHING, Member, fields_depend, group_class, group_fields, is_group, members
from simkit.collect.modules import is_collected, know_codecs, load, simconfs, turn_to
from simkit.declare.annotations import Note, notes
from simkit.declare.tags import Kind, Tag, tag_of
from simkit.errors import SimkitError, did_you_mean, listed, location

MISSING: Final = inspect.Parameter.empty


@attrs.frozen(eq=False)
class Request:
    """One argument: its name, default (or `MISSING`) and annotation; of a field, whether others determine it."""

    name: str
    default: Any
    note: Note
    keyword: bool = False
    is_computed: bool = False

    @property
    def kind(self) -> Any:
        """The type that a value from outside is converted to."""
        return expected(self.note.type, None if self.default is MISSING else self.default)


@attrs.frozen
class NoField:
    """Where a dotted path leads to no field.

    Attributes
    ----------
    group
        The last group that is there, as what is added to the first one's name: ``.synaptic``.
    words
        What it lacks, and what it has.
    """

    group: str
    words: str


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
    try:
        parameters = inspect.signature(function).parameters.values()
    except (AttributeError, TypeError, ValueError) as error:
        msg = (
            f"{location(function)}: nobody can tell which arguments it takes: {error}\n"
            "    take away its __signature__ or __wrapped__, or have it lead to a function"
        )
        raise SimkitError(msg) from None
    known = notes(function)
    kinds = inspect.Parameter
    return [
        Request(p.name, p.default, known.get(p.name, Note()), p.kind is kinds.KEYWORD_ONLY)
        for p in parameters
        if p.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
    ]


def fields(group: Any) -> dict[str, Request]:
    """The fields of a group that its class's constructor takes.

    Parameters
    ----------
    group
        The class, or an instance, whose values then stand for the defaults.
    """
    kind = group if inspect.isclass(group) else type(group)
    values = {} if kind is group else group_fields(group)
    known = notes(kind)
    return {
        name: Request(
            name, values.get(name, _default(member)), known.get(name, Note()), keyword=True,
            is_computed=member.is_computed,
        )
        for name, member in members(kind).items()
        if member.argument
    }  # fmt: skip


def _default(member: Member) -> Any:
    return MISSING if member.default is NOTHING else member.default


def field_at(group: Any, path: str) -> Request | NoField:
    """The field that a dotted path leads to from a group, or from its class."""
    name, _, rest = path.partition(".")
    known = fields(group)
    if name not in known:
        return NoField("", f"no field {name!r}{did_you_mean(name, known)}\n    fields: {listed(name, known)}")
    request = known[name]
    if not rest:
        return request
    inner = inner_group(request)
    if inner is None:
        return NoField(f".{name}", f"no fields, as it is no group: there is no {rest!r} in it")
    found = field_at(inner, rest)
    return attrs.evolve(found, group=f".{name}{found.group}") if isinstance(found, NoField) else found


def inner_group(request: Request) -> Any:
    """The group that a field or argument is by default, else the class of groups that it is annotated with."""
    if request.default is not MISSING and request.default is not None:
        return request.default if is_group(request.default) else None
    return group_class(request.note.type)


def changes_others(group: Any, path: str) -> bool:
    """Whether another value of a field, by its dotted path, may change other fields of a group or its class."""
    kind = group if inspect.isclass(group) else type(group)
    name, _, rest = path.partition(".")
    if fields_depend(kind):
        return True
    if not rest:
        return False
    request = fields(group).get(name)
    inner = None if request is None else inner_group(request)
    return inner is None or changes_others(inner, rest)


def every_field(name: str, group: Any, above: tuple[Any, ...] = ()) -> dict[str, Request]:
    """All fields of a group or its class by dotted name, those of the groups in it instead of these."""
    kind = group if inspect.isclass(group) else type(group)
    found: dict[str, Request] = {}
    for field, request in fields(group).items():
        inner = inner_group(request)
        full = f"{name}.{field}"
        if inner is None or inner in above or request.default is None:
            found[full] = request
        else:
            found.update(every_field(full, inner, (*above, kind)))
    return found


def requester(words: str, key: str, thing: Any) -> Requester:
    """Somebody who asks."""
    return Requester(key, f"{words} {key.partition('@')[0]}", location(thing))


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
    for request in requests(function):
        if name.startswith(f"{request.name}.") and (group := inner_group(request)) is not None:
            return _kind_at(group, name[len(request.name) + 1 :])
    holder = name
    while holder and not any(holder in level for level in levels):
        holder = holder.rpartition(".")[0]
    if not holder:
        return None
    provider = next(level[holder] for level in levels if holder in level)
    returned = None if provider.is_group else notes(provider.thing).get("return", Note()).type
    if holder == name:
        return returned
    group = provider.thing if provider.is_group else group_class(returned)
    return None if group is None else _kind_at(group, name[len(holder) + 1 :])


def _kind_at(group: Any, path: str) -> Any:
    field = field_at(group, path)
    return None if isinstance(field, NoField) else field.kind
