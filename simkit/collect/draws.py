"""Which generators of random numbers outlive the runs that draw from them?

The global ones of Python and of libraries, and objects that modules, classes and functions of the project hold.
"""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from simkit.collect.code import Reached, globals_of, is_users, value_of
from simkit.collect.graph import Graph, Place, project_file
from simkit.collect.objects import attributes, carried, cells, names_of
from simkit.collect.scopes import Use
from simkit.declare.reflection import is_a, is_one_of, own_attributes, package_of, pretends, qualname_of

RANDOM, NUMPY = "random", "numpy.random"
BRIAN2, NUMBA, TORCH = "brian2", "numba", "torch"
LIBRARIES = (BRIAN2, NUMBA, TORCH, "tensorflow", "cupy")  # with generators of their own, once they are loaded
GENERATORS = (
    np.random.Generator,
    np.random.BitGenerator,
    np.random.RandomState,
    np.random.SeedSequence,
    random.Random,
)
_GLOBAL: tuple[Any, Any] = (random.random.__self__, np.random.normal.__self__)  # type: ignore[attr-defined]
CACHE = type(lru_cache(int))  # what it keeps are none of its attributes
_PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None))
_WITHOUT = ("brian2", "pandas", "xarray", "simkit")  # packages whose objects are large, and hold no generator
_MOST = 2_000  # objects that are looked at from one name


def streams(graph: Graph, code: Reached) -> frozenset[str]:
    """The global generators that these pieces of code use, whatever names they import them by."""
    paths = {path for path, _ in code.units}
    found = {BRIAN2 for path in paths if _uses_brian2(graph.namespaces.get(path, {}))}
    for path, unit in code.units:
        for use in unit.uses:
            if use.kind == "reads":
                found.update(_streams_of(value_of(graph, path, use)))
                found.update({_package(graph, path, use)}.intersection(LIBRARIES))
    for function in code.unfiled:
        names, mentioned = globals_of(function), names_of(function)
        values = [*carried(function).values(), *(names[name] for name in mentioned & names.keys())]
        found.update({*mentioned, *map(package_of, values)}.intersection(LIBRARIES))
    return frozenset(found)


def _uses_brian2(namespace: Mapping[str, Any]) -> bool:
    tops = {package_of(value) for value in namespace.values()}
    return BRIAN2 in sys.modules and BRIAN2 in tops


def _streams_of(value: Any) -> Iterator[str]:
    if value is np.random.seed:
        yield NUMPY
    owner = value.__self__ if is_a(value, BuiltinFunctionType, MethodType) else None
    if owner is _GLOBAL[0]:
        yield RANDOM
    elif owner is _GLOBAL[1]:
        yield NUMPY


def _package(graph: Graph, path: Path, use: Use) -> str:
    """The package that a use reads from, as far as its name tells; it may not be imported yet."""
    for binding in use.bindings:
        return binding.module.partition(".")[0]
    return package_of(graph.namespaces.get(path, {}).get(use.chain[0]))


def generators(graph: Graph, code: Reached, things: Sequence[Any], own: Path) -> dict[str, Any]:
    """The generator objects that the reached code finds in its modules, by name.

    Parameters
    ----------
    things
        The functions whose arguments are injected: their defaults are parameters.
    own
        The experiment's file: what it holds is told without the module's name, and so keeps its numbers when the
        file is renamed, or run as a script.
    """
    found: dict[str, Any] = {}
    known = {id(one) for one in _GLOBAL}
    named = [(_label(graph, place, own), graph.value(place)) for place in code.places]
    for function in code.unfiled:
        names = globals_of(function)
        named += [(name, names[name]) for name in names_of(function) & names.keys()]
    named += [
        (getattr(thing, "__qualname__", "").rpartition(".")[2], thing) for thing in (*code.unfiled, *things)
    ]
    for label, value in sorted(named, key=lambda each: each[0]):
        for name, generator in generators_in(value, label, things):
            if id(generator) not in known:
                known.add(id(generator))
                found[name if name not in found else f"{name}#{len(found)}"] = generator
    return found


def _label(graph: Graph, place: Place, own: Path) -> str:
    module = "" if place.path == own else f"{graph.namespaces.get(place.path, {}).get('__name__', '')}."
    return f"{module}{place.name}"


def generators_in(value: Any, label: str, given: Sequence[Any] = ()) -> Iterator[tuple[str, Any]]:
    """The generators that an object is, or holds at any depth, by the way that leads to them.

    Parameters
    ----------
    given
        Functions that get their arguments from elsewhere: their defaults are not looked into.
    """
    waiting, seen = [(label, value)], set[int]()
    while waiting and len(seen) < _MOST:
        name, one = waiting.pop(0)
        if pretends(one) or is_a(one, *_PLAIN) or id(one) in seen:
            continue
        seen.add(id(one))
        if is_a(one, *GENERATORS) or _is_torchs(one):
            if not is_a(one, random.SystemRandom):
                yield name, one
        else:
            waiting += [(f"{name}.{part}", inner) for part, inner in _inside(one, given)]


def _is_torchs(one: Any) -> bool:
    return package_of(type(one)) == TORCH and qualname_of(type(one)) == "Generator"


def _inside(one: Any, given: Sequence[Any]) -> Iterable[tuple[object, Any]]:
    """What an object holds, with names that are the same in each process."""
    if is_a(one, np.ndarray):
        one = cells(one)
    match one:
        case ModuleType():
            return _of_module(one)
        case type():
            return attributes(one).items()
        case FunctionType():
            return _of_function(one, given)
        case BuiltinFunctionType() | MethodType():
            return [("self", one.__self__)]
        case dict():
            items = enumerate(dict.items(one))  # not by methods that its class may have overwritten
            return [
                (key if is_one_of(type(key), str, int) else number, part) for number, (key, part) in items
            ]
        case list():
            return enumerate(list.__iter__(one))
        case tuple():
            return enumerate(tuple.__iter__(one))
    return _of_instance(one)


def _of_instance(one: Any) -> Iterable[tuple[object, Any]]:
    """The attributes of an object, or what the garbage collector knows of it; nothing is asked of itself."""
    if package_of(type(one)) in _WITHOUT:
        return ()
    inner = own_attributes(one)
    is_opaque = not inner or is_a(one, CACHE)
    parts = enumerate(gc.get_referents(one)) if is_opaque else inner.items()
    return [*parts, ("class", type(one))]


def _of_function(function: FunctionType, given: Sequence[Any]) -> Iterable[tuple[str, Any]]:
    if not is_users(function):
        return ()
    held = carried(function)
    injected = function.__code__.co_varnames if any(function is one for one in given) else ()
    return [(name, value) for name, value in held.items() if name not in injected]


def _of_module(module: ModuleType) -> Iterable[tuple[str, Any]]:
    """The generators that a library's module has; the project's own are reached by the names that are used."""
    names, top = own_attributes(module), package_of(module)
    if (
        project_file(names) is not None
        or top in sys.stdlib_module_names
        or top in ("numpy", "scipy", "simkit")
    ):
        return ()
    return [(name, value) for name, value in names.items() if is_a(value, *GENERATORS)]
