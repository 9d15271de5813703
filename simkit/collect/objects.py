"""What does an object hold, a table of functions, a decorated function or a model; and is it in the same state?"""

from __future__ import annotations

import ast
import enum
import gc
import hashlib
import io
import linecache
import logging
import random
import sys
import textwrap
import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from simkit.collect.graph import project_file
from simkit.collect.syntax import normal_form
from simkit.declare.reflection import (
    answered,
    is_a,
    module_of,
    own_attributes,
    pretends,
    qualname_of,
    slots_of,
)
from simkit.declare.tags import Tag
from simkit.values.compare import digest
from simkit.values.encode import LONG

_PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None), BuiltinFunctionType, Tag, type(...))
_MOST = 5_000  # objects that are looked at: a table of functions is small, and a table of numbers holds none


def held(value: Any) -> Iterator[Any]:
    """The functions, classes and modules that an object is, or holds at any depth.

    Of functions that is what they close over, their defaults and attributes, among them what they wrap; of classes
    their attributes; of any other object what the garbage collector knows of it, so that functions in objects
    of compiled types are seen: ``functools.partial``, ``numpy.frompyfunc``.
    """
    waiting = [value]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST:
        one = waiting.pop()
        if is_a(one, *_PLAIN) or id(one) in seen:
            continue
        seen.add(id(one))
        if is_a(one, FunctionType, type, ModuleType):
            yield one
        if is_a(one, FunctionType):
            waiting += carried(one).values()
        elif is_a(one, type):
            waiting += attributes(one).values()
        elif is_a(one, np.ndarray):
            waiting += cells(one)
        elif not is_a(one, ModuleType):
            waiting += [type(one), *gc.get_referents(one)]


def cells(array: Any) -> list[Any]:
    """The first objects that an array of them holds."""
    plain = np.ndarray.view(array, np.ndarray)  # a subclass may do anything when it is asked
    return plain.ravel()[:_MOST].tolist() if plain.dtype == object else []


def attributes(kind: type) -> dict[str, Any]:
    """The attributes of a class of the user's, those that Python gives aside."""
    names = own_attributes(sys.modules.get(module_of(kind)))
    if project_file(names) is None and names.get("__name__") != "__main__":
        return {}
    return {name: value for name, value in own_attributes(kind).items() if not name.startswith("__")}


def is_made(kind: type) -> bool:
    """Whether no module has a class under its name: a function made it, with values that no source tells."""
    place: Any = sys.modules.get(module_of(kind))
    for name in qualname_of(kind).split("."):
        place = own_attributes(place).get(name)
    return place is not kind


def carried(function: FunctionType) -> dict[str, Any]:
    """What a function carries with it, by name: closed-over values, defaults, attributes."""
    values = dict(getattr(function, "__dict__", {}))
    values.pop("__signature__", None)  # its defaults are parameters
    defaults = function.__defaults__ or ()
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    values.update(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    values.update(function.__kwdefaults__ or {})
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            values[name] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    return values


def names_of(one: FunctionType | type) -> set[str]:
    """The names that a function, or the methods of a class, may look up in their module."""
    functions = (
        [one]
        if is_a(one, FunctionType)
        else [f for f in own_attributes(one).values() if is_a(f, FunctionType)]
    )
    return {name for function in functions for code in _codes(function.__code__) for name in code.co_names}


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def named(one: FunctionType | type) -> str:
    """What tells a function or class from others: its name, of one within another its source too."""
    inner = is_a(one, FunctionType) and "<" in one.__qualname__
    return f"{module_of(one)}.{qualname_of(one)}" + (normal_form(source_of(one)) if inner else "")  # type: ignore[arg-type]


def source_of(function: FunctionType) -> str:
    """The source of exactly this function, whatever else stands on its lines; its bytecode where there is none."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename)
    nodes = [node for node in _functions(tuple(lines)) if _is_of(node, code)]
    if not nodes:
        return _bytecode(code)
    node = min(nodes, key=lambda node: (node.end_lineno or 0, node.end_col_offset or 0))
    if isinstance(node, ast.Lambda):
        return ast.unparse(node)
    return textwrap.dedent("".join(lines[node.lineno - 1 : node.end_lineno]))


@lru_cache(maxsize=8)
def _functions(lines: tuple[str, ...]) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda]:
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError):
        return []
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def _is_of(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, code: CodeType) -> bool:
    """Whether a node is the source of this code: its name, its line and, of a lambda, the place in the line."""
    if not isinstance(node, ast.Lambda):
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        return node.name == code.co_name and first == code.co_firstlineno
    body = (node.body.lineno, node.body.col_offset), (node.body.end_lineno, node.body.end_col_offset)
    places = [(line, column) for line, _, column, _ in code.co_positions() if line and column is not None]
    return code.co_name == "<lambda>" and bool(places[1:]) and body[0] <= max(places) <= body[1]


def _bytecode(code: CodeType) -> str:
    """Code without a source, as text that differs where it does something else."""
    constants = [_bytecode(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_name}{code.co_varnames} {code.co_names} {constants} {code.co_code.hex()}"


_SIMPLE = (str, bytes, int, float, complex, bool, type(None), type(...), enum.Enum, PurePath)
# What is seeded for each run, or has no state that a result could depend on: that there is one is what counts.
_STATELESS = (
    np.random.Generator,
    np.random.RandomState,
    random.Random,
    type(threading.Lock()),
    type(threading.RLock()),
)


class State:
    """A fingerprint of an object's state, of all that it holds.

    Attributes
    ----------
    is_whole
        Whether all of it could be compared: not so for what only its own library can look into.
    """

    def __init__(self, value: Any) -> None:
        self.hasher = hashlib.sha256()
        self.seen: dict[int, tuple[int, Any]] = {}  # kept alive: the id of one that is gone may be another's
        self.is_whole = True
        try:
            self.feed(value)
        except RecursionError:  # a list of a thousand nodes, each of which holds the next
            self.is_whole = False

    @property
    def digest(self) -> str:
        """Equal for equal states."""
        return self.hasher.hexdigest()[:32]

    def note(self, *words: object) -> None:
        """Let these count."""
        self.hasher.update(repr(words).encode())

    def feed(self, value: Any) -> None:
        """Let a value count, and all that it holds."""
        try:
            self._feed(value)
        except (RecursionError, KeyboardInterrupt):
            raise
        except BaseException:  # noqa: BLE001 - its class may raise anything
            self.is_whole = False

    def _feed(self, value: Any) -> None:
        kind = type(value)
        self.note(module_of(kind), qualname_of(kind))
        if pretends(value):
            self.is_whole = False
        elif kind is int and value.bit_length() > LONG:
            self.note(hex(value))
        elif is_a(value, *_SIMPLE):
            self.note(str(value) if is_a(value, PurePath) else value)
        elif id(value) in self.seen:
            self.note(self.seen[id(value)][0])
        elif len(self.seen) >= _MOST:
            self.is_whole = False
        elif not is_a(value, *_STATELESS):
            self.seen[id(value)] = len(self.seen), value
            self.inside(value)

    def all(self, values: Iterable[Any]) -> None:
        """Let these values count, in this order."""
        for value in values:
            self.feed(value)

    def inside(self, value: Any) -> None:
        """Let count what an object holds: as it would be stored, else part by part."""
        match value:
            case ModuleType() | logging.Logger() | io.IOBase():
                self.note(getattr(value, "__name__", None) or getattr(value, "name", None))
            case MethodType() | BuiltinFunctionType():
                self.note(value.__name__)
                self.feed(value.__self__)
            case FunctionType():
                self.note(named(value))
                self.all(item for pair in sorted(carried(value).items()) for item in pair)
            case type():
                self.note(module_of(value), qualname_of(value))
                self.made(value)
            case _ if is_a(own_attributes(value).get("py_func"), FunctionType):  # compiled by numba
                self.feed(own_attributes(value)["py_func"])
            case _:
                self.made(type(value))
                try:
                    self.note(digest(value))
                except Exception:  # noqa: BLE001 - it can't be stored, and its class may raise anything
                    self.parts(value)

    def made(self, kind: type) -> None:
        """Let count the data of a class that was made while code ran; the others' are in the code."""
        if is_made(kind):
            is_dataclass = module_of(kind) == "types"  # of make_dataclass
            data = own_attributes(kind) if is_dataclass else attributes(kind)
            plain = {
                n: part
                for n, part in data.items()
                if not n.startswith("_") and not hasattr(type(part), "__get__")
            }
            self.all(item for pair in sorted(plain.items()) for item in pair)

    def parts(self, value: Any) -> None:
        """Let count the items or attributes of an object that can't be stored."""
        match value:
            case dict():
                self.all(item for pair in dict.items(value) for item in pair)
            case list():
                self.all(list.__iter__(value))
            case tuple():
                self.all(tuple.__iter__(value))
            case set() | frozenset():
                self.note(sorted(State(item).digest for item in value))
            case np.ndarray() if value.dtype.kind == "O":
                self.all(value.ravel().tolist())
            case BaseException():
                self.all([value.args, *(item for pair in own_attributes(value).items() for item in pair)])
            case partial():
                self.all([value.func, value.args, value.keywords])
            case _:
                names = {**slots_of(value), **own_attributes(value)}
                self.all(item for pair in names.items() for item in pair)
                if not (names or type(value) is object):
                    self.pickled(value)

    def pickled(self, value: Any) -> None:
        """Let count what an object of a compiled type would be pickled as, such as ``operator.itemgetter``."""
        form = answered(lambda: value.__reduce_ex__(4), None)
        if form is None:  # it can't be pickled
            self.is_whole = False
            return
        self.all(
            [form] if isinstance(form, str) else [list(p) if isinstance(p, Iterator) else p for p in form]
        )
