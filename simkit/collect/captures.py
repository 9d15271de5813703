"""Which values do an experiment's functions carry with them, beside their code?

What they close over, the globals that they read, attributes of their classes, the environment: two studies of
one code with other values are two studies.
"""

from __future__ import annotations

import ast
import os
import reprlib
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import attrs

from simkit.collect.code import Reached, globals_of, is_users, value_of
from simkit.collect.graph import EVERYTHING, Graph, Place, cells_of, project_file
from simkit.collect.objects import (
    State,
    attributes,
    carried,
    given_to_python,
    held,
    is_loose,
    is_made,
    is_of_module,
    named,
    names_of,
)
from simkit.collect.scopes import uses
from simkit.collect.syntax import source_of
from simkit.declare.reflection import (
    answered,
    is_a,
    is_declared,
    is_one_of,
    own_attributes,
    package_of,
    qualname_of,
)

_PLAIN = (dict, list, set, str, int, float, complex, tuple, bytes)
_SCALARS = (bool, int, float, complex, str, bytes, tuple)
_LARGE = 16 << 20  # bytes of an array that a command would look through each time it is typed


@attrs.frozen
class Captures:
    """Values that code carries.

    Attributes
    ----------
    values
        The fingerprint of each by name, empty where it can't be compared, and how it is shown to people.
    imported
        Whether modules are as importing them left them: then what they hold follows from the code.
    """

    values: Mapping[str, tuple[str, str]] = attrs.field(factory=dict)
    imported: bool = True

    def changes(self, known: Mapping[str, Any], told: Container[str] = ()) -> Iterator[str]:
        """What differs from recorded ones, in words; those aside whose definition is told to differ."""
        follows = self.imported and known.get("imported", True)
        for name, (digest, shown) in self.values.items():
            before = known.get("captured", {}).get(name)
            if before is None or (follows and "::" in name) or name in told:
                continue
            label = _label(name)
            if not digest or not before[0]:
                yield f"{label} ({shown}) can't be compared"
            elif digest != before[0]:
                yield (
                    f"{label} was {before[1]}, now {shown}"
                    if shown != before[1]
                    else f"{label} is another {shown}"
                )

    def others(self, owners: Captures) -> list[str]:
        """Numbers, texts, tables and arrays of modules that are others than in the owner's process, in words."""
        return [
            f"{name} ({owners.values[name][1]} in one process, {shown} in another)"
            for name, (digest, shown) in self.values.items()
            if "::" in name and name in owners.values and owners.values[name][0] != digest
            if digest and owners.values[name][0] and (shown == "ndarray" or not shown.isidentifier())
        ]

    @property
    def incomparable(self) -> list[str]:
        """Those that can't be compared: a study that depends on one is never continued."""
        return [f"{_label(name)} ({shown})" for name, (digest, shown) in self.values.items() if not digest]

    def recorded(self) -> dict[str, Any]:
        """For the record."""
        return {"captured": dict(self.values), "imported": self.imported} if self.values else {}


def _label(name: str) -> str:
    """A name without the file and the function that it belongs to."""
    return name.rpartition("::")[2].rpartition(": ")[2]


def captures(graph: Graph, code: Reached, things: Iterable[Any], *, imported: bool) -> Captures:
    """The values that these functions and classes, and the code that they reach, carry.

    Parameters
    ----------
    imported
        Whether the modules were imported for this, and nothing changed them since.
    """
    values: dict[str, tuple[str, str]] = {}
    for thing in things:
        values.update(_of_function(thing))
    for function in code.unfiled:
        names = globals_of(function)
        for name in names_of(function) & names.keys():
            values.update(_of_global(f"::{name}", names[name], known=False))
    memos = _changed_by_runs(graph, code)
    for place in code.places:
        value = graph.value(place)
        is_memo = place in memos and _may_be_memo(value)
        if not is_memo and not (imported and _size(value) > _LARGE):
            label = f"{graph.key(place.path)}::{place.name}"
            known = bool(graph.units(place)) and (imported or not _is_bound_later(graph, place))
            values.update(_of_global(label, value, known=known))
    for path in (place.path for place in code.places if place.name == EVERYTHING):
        for name, value in _unwritten(graph, path).items():
            values.update(_of_global(f"{graph.key(path)}::{name}", value, known=False))
    values.update(_outside(graph, code, imported=imported))
    return Captures(dict(sorted(values.items())), imported)  # sets have no order that stays


def _unwritten(graph: Graph, path: Path) -> dict[str, Any]:
    """What a module holds under names that no statement of its file gives: set through ``globals()``, by another."""
    names, file = graph.namespaces.get(path, {}), graph.files.get(path)
    if file is None or cells_of(names) is not None:
        return {}
    stars = [own_attributes(sys.modules.get(star)) for star in file.stars]
    return {
        name: value
        for name, value in names.items()
        if not (name.startswith("__") or name in file.defined or name in file.bindings)
        if not any(star.get(name) is value for star in stars)
    }


def _size(value: Any) -> int:
    """Bytes of an array; an object that answers to every name is not asked."""
    if not is_declared(type(value), "nbytes"):
        return 0
    size = answered(lambda: value.nbytes, 0)
    return size if type(size) is int else 0


def _of_function(thing: Any) -> Iterator[tuple[str, tuple[str, str]]]:
    """What a function closes over, and what the functions that it holds carry; its own defaults are parameters."""
    for function in held(thing):
        if is_a(function, FunctionType) and is_users(function):
            names = carried(function)
            own = {} if function is not thing else dict.fromkeys(function.__code__.co_varnames)
            memos = _memos_of(function)
            for name, value in names.items():
                if name in memos and _may_be_memo(value):
                    continue
                if is_a(value, FunctionType, type) and name != "__wrapped__":
                    yield f"{function.__qualname__}: {name}", _of_code(value)
                elif name not in own and not _is_code(value):
                    yield f"{function.__qualname__}: {name}", _captured(value)


def _of_code(value: FunctionType | type) -> tuple[str, str]:
    """The fingerprint of a function or class that is held; what those carry that a file tells of, counts by itself."""
    if is_a(value, type):
        state = State(value if is_made(value) else named(value))
        return state.digest if state.is_whole else "", qualname_of(value)
    if is_a(value, FunctionType) and is_made(value) and not (is_users(value) and is_of_module(value)):
        state = State(value)
        if state.is_whole:
            return state.digest, qualname_of(value)
    return State(named(value)).digest, qualname_of(value)


def _memos_of(function: FunctionType) -> set[str]:
    """The closed-over names that a function changes itself: what runs leave there is no input."""
    names = function.__code__.co_freevars
    if not names:
        return set()
    try:
        tree = ast.parse(source_of(function))
    except SyntaxError:  # only its bytecode is known
        return set()
    changes = (use for statement in tree.body for use in uses(statement) if use.kind in ("binds", "changes"))
    return {use.chain[0] for use in changes}.intersection(names)


def _may_be_memo(value: Any) -> bool:
    """Whether a value is of a kind that runs fill: a table of what is known, a counter."""
    return value is None or is_a(value, *_PLAIN)


def _changed_by_runs(graph: Graph, code: Reached) -> set[Place]:
    """The names that the runs set themselves, such as a table of results that are known: no input."""
    called = (
        each for each in code.units if Place(each[0], getattr(each[1].node, "name", "")) in code.mentioned
    )
    return {
        place
        for path, unit in called
        for use in unit.uses
        if use.later and use.kind in ("binds", "changes")
        for place in graph.places(path, use.chain, use.bindings)
    }


def _is_bound_later(graph: Graph, place: Place) -> bool:
    """Whether a function of its file binds a name, so that the statement that defines it does not tell what it is."""
    units = graph.files[place.path].units if place.path in graph.files else ()
    return any(
        use.later and use.kind == "binds" and use.chain[0] == place.name for u in units for use in u.uses
    )


def _of_global(label: str, value: Any, *, known: bool) -> Iterator[tuple[str, tuple[str, str]]]:
    """What a module's name stands for, if it is no code; what can't be compared is told by its definition."""
    if is_a(value, FunctionType):
        for name, one in _of_function(value):
            yield f"{label.rpartition('::')[0]}::{name}", one
    elif is_a(value, type):
        for name, one in attributes(value).items():
            if not _is_code(one):
                yield f"{label}.{name}", _captured(one, known=known)
    elif value is not None and not _is_code(value):
        yield label, _captured(value, known=known)


def _is_code(value: Any) -> bool:
    """Whether a value is code, and compared as such; so are simkit's own objects."""
    if is_a(value, ModuleType):
        return not is_loose(value)
    kinds = (FunctionType, type, classmethod, staticmethod, property)
    return is_a(value, *kinds) or package_of(type(value)) == "simkit"


def _captured(value: Any, *, known: bool = False) -> tuple[str, str]:
    """The fingerprint of a value; of one whose definition is known, of as much as can be compared."""
    state = State(value)
    shown = qualname_of(type(value)).rpartition(".")[2]
    if is_a(value, str, int, float, complex, tuple, list, dict):
        shown = answered(lambda: reprlib.repr(value), shown)  # not an integer of more than 4,300 digits
    return state.digest if state.is_whole or known else "", shown


def _of_builtin(name: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """What somebody put among Python's own names."""
    value = given_to_python(name)
    if is_a(value, FunctionType, type):
        yield f"builtins.{name}", _of_code(value)
        yield from _of_function(value)
    elif value is not None and not _is_code(value):
        yield f"builtins.{name}", _captured(value)


def _outside(graph: Graph, code: Reached, *, imported: bool) -> Iterator[tuple[str, tuple[str, str]]]:
    """What the code reads of the environment, and of a script's command line."""
    for path, unit in code.units:
        for use in unit.uses:
            if use.kind != "reads":
                continue
            if not use.bindings and use.chain[0] not in graph.namespaces.get(path, {}):
                yield from _of_builtin(use.chain[0])
            owner = (
                value_of(graph, path, attrs.evolve(use, chain=use.chain[:-1])) if len(use.chain) > 1 else None
            )
            if owner is os.environ or owner is os.getenv:
                name = use.chain[-1]
                yield (
                    f"the environment variable {name}",
                    (State(os.environ.get(name)).digest, "set" if name in os.environ else "unset"),
                )
            elif not imported and value_of(graph, path, use) is sys.argv:
                yield "sys.argv", _captured(sys.argv[1:])
            elif not imported and is_a(owner, ModuleType) and project_file(own_attributes(owner)) is None:
                value = own_attributes(owner).get(use.chain[-1])  # which a script may set
                if is_one_of(type(value), *_SCALARS) and use.chain[-1][:1] != "_":
                    yield f"{'.'.join(use.chain)}", _captured(value)
