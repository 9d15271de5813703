"""Which of the project's code do the runs reach, and is it the same code as before?

From the experiment and its providers on, each name that a unit mentions leads to the unit that defines it, and
to those that change what it stands for, through the project's files (`graph`). Two versions of a unit are the
same if their syntax trees agree without docstrings, annotations and simkit's decorators, so that neither a
comment nor a grown grid is a change.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import attrs

from simkit.collect.graph import EVERYTHING, Graph, Place, is_project_file, project_file
from simkit.collect.objects import given_to_python, held, names_of
from simkit.collect.scopes import SPACES, Use, names_in
from simkit.collect.syntax import CodeUnit, normal_form, source_of
from simkit.declare.reflection import answered, is_a, module_of, own_attributes, qualname_of
from simkit.errors import is_ours

_NAMESPACES = (("globals",), ("locals",), ("vars",), ("eval",), ("exec",))  # they reach every name of a file


@attrs.frozen(eq=False)
class Reached:
    """The project's code that functions and classes reach.

    Attributes
    ----------
    units
        The statements, each with its file.
    places
        The names that they lead to.
    mentioned
        Those that stand in the code: others are only held by an object.
    unfiled
        The functions that are no statement of a file: lambdas, those within others, those that no file holds.
    code
        The source of each piece by ``file::name``, sorted.
    """

    units: tuple[tuple[Path, CodeUnit], ...]
    places: frozenset[Place]
    mentioned: frozenset[Place]
    unfiled: tuple[FunctionType, ...]
    code: dict[str, str]


def reached(graph: Graph, things: Iterable[Any]) -> Reached:
    """Follow these functions and classes, and all that they mention, through the project."""
    waiting = [place for thing in things for place in _starts(graph, thing)]
    mentioned, seen = set(waiting), set[Place]()
    units: dict[tuple[Path, CodeUnit], None] = {}
    code: dict[str, str] = {}
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        if place.name == EVERYTHING:
            waiting += graph.everything(place.path)
            continue
        pieces = graph.units(place)
        units.update(dict.fromkeys(pieces))
        if pieces:
            key = f"{graph.key(place.path)}::{place.name}"
            code[key] = "\n".join(_text(graph, path, unit) for path, unit in pieces)
        names = {name for path, unit in pieces for name in _mentioned(graph, path, unit)}
        mentioned |= names
        waiting += [*names, *_held(graph, graph.value(place))]
    unfiled = {key: one for thing in things for key, one in _unfiled(graph, thing, code)}
    code.update({key: source_of(one) for key, one in unfiled.items()})
    return Reached(
        tuple(units),
        frozenset(seen),
        frozenset(mentioned),
        tuple(unfiled.values()),
        dict(sorted(code.items())),
    )


def graph_of(things: Iterable[Any], starts: Iterable[Path], rootdir: Path) -> Graph:
    """The graph of the files that define functions and classes, and of `starts`."""
    return Graph.of(starts, [globals_of(thing) for thing in things], rootdir)


def _starts(graph: Graph, thing: Any) -> Iterator[Place]:
    path = project_file(globals_of(thing))
    if path is not None:
        yield Place(path, thing.__qualname__.partition(".")[0])
    yield from _held(graph, thing)


def _unfiled(graph: Graph, thing: Any, known: Mapping[str, str]) -> Iterator[tuple[str, FunctionType]]:
    """A function that is no statement of a file, and those beside it that it mentions, by ``file::name``."""
    path = project_file(globals_of(thing))
    label = "" if path is None else graph.key(path)
    waiting, seen = [thing], set()
    while waiting:
        one = waiting.pop()
        if is_a(one, ModuleType):  # that is mentioned, such as NumPy
            continue
        key = f"{label}::{qualname_of(one)}"
        if id(one) in seen or key in known or globals_of(one) is not globals_of(thing):
            continue
        seen.add(id(one))
        if is_a(one, FunctionType) and not _is_generated(one.__code__.co_filename):
            yield key, one
        waiting += held(one)
        waiting += [f for name in names_of(one) for f in held(globals_of(one).get(name))]


def _is_generated(filename: str) -> bool:
    """Whether a function was written by attrs, or stands for a script."""
    return filename.startswith("<attrs generated") or is_ours(filename)


def is_users(function: FunctionType) -> bool:
    """Whether a function belongs to the project, or was typed in."""
    names = globals_of(function)
    return project_file(names) is not None or names.get("__name__") == "__main__"


def globals_of(thing: Any) -> Mapping[str, Any]:
    """The globals of the module that defines a function or class."""
    if is_a(thing, FunctionType):
        return thing.__globals__
    return own_attributes(sys.modules.get(module_of(thing)))


def _text(graph: Graph, path: Path, unit: CodeUnit) -> str:
    kept = [decorator for decorator, _ in _decorators(graph, path, unit)]
    return graph.files[path].text(unit, [d for d in unit.decorators if d not in kept])


def _decorators(graph: Graph, path: Path, unit: CodeUnit) -> Iterator[tuple[ast.expr, tuple[Use, ...]]]:
    """Those that are no spaces, by what they are called or by what they are."""
    from simkit.declare.space import Space

    for decorator, uses in unit.uses_of_decorators:
        value = graph.value(Place(path, names_in(decorator)[-1]))
        is_imported = is_a(value, FunctionType) and is_ours(value.__code__.co_filename)  # under another name
        if not is_a(value, Space) and not (is_imported and value.__name__ in SPACES):
            yield decorator, uses


def _mentioned(graph: Graph, path: Path, unit: CodeUnit) -> Iterator[Place]:
    """What the names in a unit lead to."""
    uses = [*unit.uses, *(use for _, some in _decorators(graph, path, unit) for use in some)]
    for use in uses:
        if use.kind == "reads":
            yield from graph.places(path, use.chain, use.bindings)
            if not use.bindings and use.chain[0] not in graph.namespaces.get(path, {}):
                yield from _held(graph, given_to_python(use.chain[0]))
            if use.chain[-1] == "__subclasses__":
                yield from _subclasses(graph, path, use)
        if use.kind == "calls" and use.chain[-1] in ("import_module", "__import__"):
            yield from (Place(module, EVERYTHING) for module in graph.by_name(path))
        is_own = use.later and use.chain == ("locals",)  # a function's names, not its module's
        calls = use.kind == "calls" and use.chain in _NAMESPACES and not is_own
        if calls or use.chain[:2] == ("sys", "modules"):
            yield Place(path, EVERYTHING)


def _subclasses(graph: Graph, path: Path, use: Use) -> Iterator[Place]:
    classes = [graph.value(place) for place in graph.places(path, use.chain[:-1], use.bindings)]
    while classes:
        one = classes.pop()
        if is_a(one, type) and one is not type:
            yield from _place_of(graph, one)
            classes += type.__subclasses__(one)


def _held(graph: Graph, value: Any) -> Iterator[Place]:
    """The places of all functions, classes and modules of the project that an object holds."""
    for one in held(value):
        yield from _place_of(graph, one)


def _place_of(graph: Graph, one: FunctionType | type | ModuleType) -> Iterator[Place]:
    """Where a function, class or module of the project is defined; nothing for what no import leads to."""
    path = project_file(own_attributes(one) if is_a(one, ModuleType) else globals_of(one))
    if is_a(one, ModuleType):
        place = None if path is None else Place(path, EVERYTHING)
    elif is_a(one, FunctionType) and is_project_file(one.__code__.co_filename):
        path = Path(one.__code__.co_filename)
        unit = graph.files[path].at(one.__code__.co_firstlineno) if path in graph.files else None
        place = Place(path, unit.names[0]) if unit is not None and unit.names else None
    else:
        place = None if path is None else Place(path, qualname_of(one).partition(".")[0])
    if place is not None and place.path in graph.files:
        yield place


def changes(before: Mapping[str, str], now: Mapping[str, str], valued: Collection[str] = ()) -> list[str]:
    """The pieces of code that differ, in words: ``sim_a.py::f changed``.

    Parameters
    ----------
    valued
        Those whose defaults are parameters, which are compared by their values.
    """
    words = [f"{key} is new" for key in now if key not in before]
    words += [f"{key} is not used any more" for key in before if key not in now]
    both = (key for key in now if key in before and before[key] != now[key])
    return sorted(
        words
        + [
            f"{key} changed"
            for key in both
            if normal_form(before[key], defaults=key not in valued)
            != normal_form(now[key], defaults=key not in valued)
        ]
    )


def value_of(graph: Graph, path: Path, use: Use) -> Any:
    """What a dotted name through modules stands for; nothing is executed for it."""
    value = graph.namespaces.get(path, {}).get(use.chain[0])
    for binding in use.bindings:
        value = sys.modules.get(binding.module)
        value = value if binding.name is None else _attribute(value, binding.name)
    for name in use.chain[1:]:
        value = own_attributes(value).get(name) if is_a(value, ModuleType) else None
    return value


def _attribute(value: Any, name: str) -> Any:
    """What an import of a name gives, of a module that may be any object."""
    return answered(lambda: getattr(value, name, None), None)
