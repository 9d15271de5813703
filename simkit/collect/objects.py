"""What does an object hold, a table of functions, a decorated function or a model; and is it in the same state?"""

from __future__ import annotations

import builtins
import copyreg
import enum
import gc
import hashlib
import io
import logging
import mmap
import os
import random
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import PurePath
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np

from simkit.collect.graph import project_file
from simkit.collect.syntax import bytecode, normal_form, source_of
from simkit.declare.reflection import (
    answered,
    bases_of,
    is_a,
    is_one_of,
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
    their attributes and methods; of a module that was made while code ran what it holds; of any other object what the
    garbage collector knows of it, so that functions in objects of compiled types are seen: ``functools.partial``,
    ``numpy.frompyfunc``.
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
            waiting += [type(one), *attributes(one).values(), *_written(one)]
        elif is_a(one, np.ndarray):
            waiting += cells(one)
        elif is_a(one, ModuleType):
            waiting += variables(one).values() if is_loose(one) else ()
        else:
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


def _written(kind: type) -> list[Any]:
    """The methods of the user's that Python calls by itself, such as ``__call__``, but those that a library wrote."""
    special = [one for name, one in own_attributes(kind).items() if name.startswith("__")]
    return [
        one for one in special if is_a(one, FunctionType) and not one.__code__.co_filename.startswith("<")
    ]


def given_to_python(name: str) -> Any:
    """What somebody put among Python's own names, so that every module has it; None for what belongs there."""
    value = own_attributes(builtins).get(name)
    if (
        name == "_"
        or name[:2] == "__"
        or is_a(value, BuiltinFunctionType, type(NotImplemented), type(...), bool)
    ):
        return None
    home = module_of(value if is_a(value, type, FunctionType) else type(value))
    is_of_python = home == "builtins" and is_a(value, type)
    # The prompt's own are `exit` and `help`, in a notebook `display` and `get_ipython`.
    return None if is_of_python or home == "_sitebuiltins" or _is_of_prompt(value) else value


def _is_of_prompt(value: Any) -> bool:
    function = value.__func__ if is_a(value, MethodType) else value
    return is_a(function, FunctionType) and module_of(function).partition(".")[0] in ("IPython", "ipykernel")


def is_loose(module: ModuleType) -> bool:
    """Whether a module was made while code ran: it is none that an import gives, whose file tells what it holds."""
    names = own_attributes(module)
    name = names.get("__name__")
    if type(name) is not str or sys.modules.get(name) is not module:
        return True
    if name == "__main__" or names.get("__spec__") is not None:
        return False
    package = own_attributes(sys.modules.get(name.partition(".")[0]))  # which may have made it for itself
    return package is names or package.get("__spec__") is None


def variables(module: ModuleType) -> dict[str, Any]:
    """What a module holds under names of its own."""
    names = own_attributes(module)
    return {name: one for name, one in names.items() if not name.startswith("__") or name == "__getattr__"}


def is_of_module(function: FunctionType) -> bool:
    """Whether the globals of a function are those of a module that is loaded."""
    names = function.__globals__
    return own_attributes(sys.modules.get(str(names.get("__name__")))) is names


def is_made(kind: type | FunctionType) -> bool:
    """Whether no module has it under its name: a function made it, with values that no source tells."""
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
    """What tells a function or class from others: its name, of one that was made while code ran its source too."""
    inner = is_a(one, FunctionType) and ("<" in one.__qualname__ or one.__code__.co_filename.startswith("<"))
    return f"{module_of(one)}.{qualname_of(one)}" + (normal_form(source_of(one)) if inner else "")  # type: ignore[arg-type]


_REPRS: Mapping[type, Callable[[Any], str]] = {
    kind: kind.__repr__ for kind in (str, bytes, int, float, complex)
}
_SIMPLE = (*_REPRS, bool, type(None), type(...), enum.Enum, PurePath)
# What is seeded for each run, or has no state that a result could depend on: that there is one is what counts.
_STATELESS = (
    np.random.Generator,
    np.random.RandomState,
    random.Random,
    type(threading.Lock()),
    type(threading.RLock()),
)
_OF_PYTHON = {  # what a class or member has beside what its author gave it
    *("__module__", "__qualname__", "__doc__", "__annotations__", "__firstlineno__", "__static_attributes__"),
    *("_abc_impl", "__attrs_base_of_slotted__", "_value_", "_name_", "_sort_order_", "__objclass__"),
    *("__slotnames__", "_inverted_", "gauss_next"),
}
_OF_LOGGERS = frozenset(own_attributes(logging.Logger("a"))) | {"_cache", "manager"}
_METHODS = (*(FunctionType, property, classmethod, staticmethod, MemberDescriptorType, GetSetDescriptorType),)
_MOST_BYTES = 16 << 20  # of a file that is open


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
        elif is_a(value, *_SIMPLE):
            self.simple(value)
        elif id(value) in self.seen:
            self.note(self.seen[id(value)][0])
        elif len(self.seen) >= _MOST:
            self.is_whole = False
        elif is_a(value, *_STATELESS):
            self.given(own_attributes(value))
            if is_a(value, type(threading.Lock())):
                self.note(value.locked())
        else:
            self.seen[id(value)] = len(self.seen), value
            self.inside(value)

    def simple(self, value: Any) -> None:
        """Let count a value that is one text, whatever its class shows of it, and what it was given beside."""
        kind = type(value)
        if is_a(value, int) and value.bit_length() > LONG:
            self.note(int.__format__(value, "#x"))
        elif is_a(value, PurePath):
            self.note(str(value))
        elif is_a(value, enum.Enum):
            self.feed(own_attributes(value).get("_value_"))
        else:
            text = next((each for each in _REPRS if is_a(value, each) and kind is not bool), kind)
            self.note(value) if text is kind else self.note(_REPRS[text](value))
        if not is_one_of(kind, *_SIMPLE):
            self.feed_made(kind)
            self.given(own_attributes(value) if is_a(value, PurePath) else _attributes(value))

    def given(self, names: Mapping[str, Any]) -> None:
        """Let count these attributes, but those that Python gives itself."""
        own = sorted((n, one) for n, one in names.items() if type(n) is str and n not in _OF_PYTHON)
        self.all(item for pair in own for item in pair)

    def all(self, values: Iterable[Any]) -> None:
        """Let these values count, in this order."""
        for value in values:
            self.feed(value)

    def inside(self, value: Any) -> None:
        """Let count what an object holds: as it would be stored, else part by part."""
        match value:
            case ModuleType():
                self.note(own_attributes(value).get("__name__"))
                self.given(variables(value) if is_loose(value) else {})
            case logging.Logger():  # what it is set to say is no input
                self.note(value.name)
                self.given({n: one for n, one in own_attributes(value).items() if n not in _OF_LOGGERS})
            case io.IOBase():
                self.file(value)
            case memoryview() | mmap.mmap():
                self.note(getattr(value, "format", None), getattr(value, "shape", None))
                self.note(hashlib.sha256(value).hexdigest())
            case CodeType():
                self.note(bytecode(value))
            case MappingProxyType():
                self.all(gc.get_referents(value))
            case MethodType() | BuiltinFunctionType():
                self.note(value.__name__)
                self.feed(value.__self__)
            case FunctionType():
                self.note(named(value))
                self.given(carried(value))
                self.given(_looked_up(value))
            case type():
                self.note(module_of(value), qualname_of(value))
                self.made(value)
            case _ if (told := _of_library(value)) is not None:
                self.all(told)
            case _:
                self.feed_made(type(value))
                try:
                    self.note(digest(value))
                except Exception:  # noqa: BLE001 - it can't be stored, and its class may raise anything
                    self.parts(value)

    def feed_made(self, kind: type) -> None:
        """Let count a class that was made while code ran."""
        if is_made(kind):
            self.feed(kind)

    def made(self, kind: type) -> None:
        """Let count the data of a class that was made while code ran, and of its bases; others' are in the code."""
        if is_made(kind):
            data = own_attributes(kind).items()
            self.given({name: one for name, one in data if not is_a(one, *_METHODS)})
            for each in (type(kind), *bases_of(kind)[1:]):
                self.feed_made(each)

    def file(self, value: Any) -> None:
        """Let count what reading from an open file gives; one that is only written to is no input."""
        self.given(own_attributes(value))
        if is_a(value, io.StringIO, io.BytesIO):
            self.note(value.getvalue(), value.tell())
            return
        self.note(getattr(value, "name", None))
        if value.closed or not value.readable():
            return
        about = os.fstat(value.fileno())
        if value.writable() or not stat.S_ISREG(about.st_mode) or about.st_size > _MOST_BYTES:
            self.is_whole = False  # what was written may be on its way, and a pipe is read only once
        else:
            self.note(hashlib.sha256(os.pread(value.fileno(), _MOST_BYTES, 0)).hexdigest(), value.tell())

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
                names = _attributes(value)
                self.all(item for pair in names.items() for item in pair)
                if not (names or type(value) is object):
                    self.pickled(value)

    def pickled(self, value: Any) -> None:
        """Let count what an object of a compiled type would be pickled as, such as ``operator.itemgetter``."""
        known = copyreg.dispatch_table.get(type(value)) if not is_a(value, np.ufunc) else None
        form = answered(lambda: value.__reduce_ex__(4) if known is None else known(value), None)
        if form is None:  # it can't be pickled
            self.is_whole = False
            return
        self.all(
            [form] if isinstance(form, str) else [list(p) if isinstance(p, Iterator) else p for p in form]
        )


def _of_library(value: Any) -> list[Any] | None:
    """What tells objects of these libraries from others; their parts and what they are pickled as do not."""
    names = own_attributes(value)
    if is_a(names.get("py_func"), FunctionType):  # compiled by numba
        return [names["py_func"], names.get("targetoptions")]
    for (module, name), told in _OF_LIBRARIES.items():
        kind = own_attributes(sys.modules.get(module)).get(name)
        if is_a(kind, type) and is_a(value, kind):
            return told(value)
    return None


def _database(connection: Any) -> list[Any]:
    """A database as it is seen through a connection: by what it holds, a large one by how much was changed in it."""
    pages, size = (connection.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "page_size"))
    if pages * size > _MOST_BYTES or not hasattr(connection, "serialize"):
        return [pages, connection.total_changes]
    held = bytearray(connection.serialize())
    held[24:28] = held[92:100] = b""  # how often it was written, and by which version
    return [hashlib.sha256(held).hexdigest()]


_OF_LIBRARIES: Mapping[tuple[str, str], Callable[[Any], list[Any]]] = {
    ("sqlite3", "Connection"): _database,
    ("sympy", "Basic"): lambda value: [sys.modules["sympy"].srepr(value)],
    ("brian2", "TimedArray"): lambda value: [value.values, float(value.dt), repr(value.dim)],
}


def _attributes(value: Any) -> dict[str, Any]:
    """The attributes of an instance."""
    return {**slots_of(value), **own_attributes(value)}


def _looked_up(function: FunctionType) -> dict[str, Any]:
    """The globals that a function reads, if no module has them: what they are, no file tells."""
    names = function.__globals__
    return {} if is_of_module(function) else {n: names[n] for n in names_of(function) & names.keys()}
