"""What is an object, whatever it says of itself?

Objects of users may answer anything, or raise when they are asked: mocks, proxies whose object is gone, classes of
metaclasses of their own. So this reads Python's records of an object and of its class, and calls nothing of theirs.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import FunctionType, MemberDescriptorType, ModuleType, TracebackType
from typing import Any, TypeGuard, TypeVar, overload

import attrs

from simkit.errors import is_ours

_OF_ERRORS = {
    name: BaseException.__dict__[name].__get__ for name in ("__traceback__", "__cause__", "__context__")
}
_OF_CLASSES = {
    name: type.__dict__[name].__get__ for name in ("__dict__", "__mro__", "__module__", "__qualname__")
}

_OF_MODULES: Any = vars(ModuleType)["__dict__"].__get__
T = TypeVar("T")


@overload
def is_a(thing: Any, kind: type[T], /) -> TypeGuard[T]: ...
@overload
def is_a(thing: Any, *kinds: type) -> bool: ...
def is_a(thing: Any, *kinds: type) -> bool:
    """Whether an object's class is one of these, or below one: ``isinstance`` believes what an object says."""
    return issubclass(type(thing), kinds)


def is_one_of(kind: type, *kinds: type) -> bool:
    """Whether a class is exactly one of these; a metaclass may make classes that compare, or hash, as they like."""
    return any(kind is each for each in kinds)


def own_attributes(thing: Any) -> Mapping[str, Any]:
    """What an object's ``__dict__`` holds; its ``__getattr__``, which may answer to every name, is not asked."""
    try:
        if is_a(thing, type):
            return _OF_CLASSES["__dict__"](thing)  # type: ignore[no-any-return]
        if is_a(thing, ModuleType):
            return _OF_MODULES(thing)  # type: ignore[no-any-return]
        attributes = object.__getattribute__(thing, "__dict__")
    except Exception:  # noqa: BLE001 - it has none, or a property of that name
        return {}
    return attributes if type(attributes) is dict else {}


def slots_of(thing: Any) -> dict[str, Any]:
    """The values of an instance's ``__slots__``, those of Python's aside, as far as they are set."""
    values = {}
    for kind in bases_of(type(thing)):
        for name in _slots(own_attributes(kind)):
            if type(name) is str and not name.startswith("__"):
                with suppress(Exception):  # it is not set
                    values[name] = object.__getattribute__(thing, name)
    return values


def _slots(attributes: Mapping[str, Any]) -> Iterable[Any]:
    """The names in the ``__slots__`` of a class."""
    names = attributes.get("__slots__", ())
    if type(names) in (str, tuple, list, dict, set, frozenset):
        return (names,) if type(names) is str else names
    # It was an iterator.
    return [name for name, one in attributes.items() if type(one) is MemberDescriptorType]


def bases_of(kind: type) -> tuple[type, ...]:
    """A class and those that it is below, the nearest first."""
    return _OF_CLASSES["__mro__"](kind)  # type: ignore[no-any-return]


def is_declared(kind: type, name: str) -> bool:
    """Whether a class or one of its bases has an attribute."""
    return any(name in own_attributes(base) for base in bases_of(kind))


def declared_fields(kind: type) -> tuple[Any, ...] | None:
    """The fields of a class of attrs or `dataclasses`; None where it is neither, whatever stands in their place."""
    if is_declared(kind, "__attrs_attrs__"):
        fields: tuple[Any, ...] = answered(lambda: tuple(attrs.fields(kind)), ())
        return fields if all(is_a(field, attrs.Attribute) for field in fields) else None
    if is_declared(kind, "__dataclass_fields__"):
        return answered(lambda: dataclasses.fields(kind), None)
    return None


def tuple_fields(kind: type) -> tuple[str, ...] | None:
    """The names of a named tuple's fields; None where it is none."""
    if not issubclass(kind, tuple) or not is_declared(kind, "_fields"):
        return None
    names: tuple[Any, ...] = answered(lambda: tuple(kind._fields), ())  # type: ignore[attr-defined]
    return names if all(type(name) is str for name in names) else None


def doc_of(thing: Any) -> str:
    """The docstring of a function, or a class's own; nothing where it is no text."""
    text = own_attributes(thing).get("__doc__") if is_a(thing, type) else answered(lambda: thing.__doc__, "")
    return text if type(text) is str else ""


def module_of(thing: Any) -> str:
    """The name of the module that defines a function or class; nothing where it is no text."""
    try:
        name = thing.__module__ if is_a(thing, FunctionType) else _OF_CLASSES["__module__"](thing)
    except (AttributeError, TypeError):
        return ""
    return name if type(name) is str else ""


def package_of(thing: Any) -> str:
    """The package that an object is from, or that defines its class."""
    if is_a(thing, ModuleType):
        name = own_attributes(thing).get("__name__")
    else:
        name = module_of(thing if is_a(thing, FunctionType, type) else type(thing))
    return name.partition(".")[0] if type(name) is str else ""


def qualname_of(thing: Any) -> str:
    """The qualified name of a function or class."""
    return str(thing.__qualname__ if is_a(thing, FunctionType) else _OF_CLASSES["__qualname__"](thing))


def pretends(thing: Any) -> bool:
    """Whether an object says that it is of another class, as proxies and mocks with a specification do."""
    return answered(lambda: thing.__class__ is not type(thing), True)


def shown(thing: Any) -> str:
    """An object's ``repr``, or its class where that raises or is no text."""
    return answered(lambda: repr(thing), f"<{qualname_of(type(thing))}>")


def told(error: BaseException) -> str:
    """An error's class and what it says, where that can be shown."""
    kind = qualname_of(type(error))
    return answered(lambda: f"{kind}: {error}", kind)


def traceback_of(error: BaseException) -> TracebackType | None:
    """Where an error was raised; its class may answer to that name with anything."""
    return _OF_ERRORS["__traceback__"](error)  # type: ignore[no-any-return]


def reason_of(error: BaseException) -> BaseException | None:
    """The error that one was raised for, or while which it was."""
    cause: BaseException | None = _OF_ERRORS["__cause__"](error)
    return _OF_ERRORS["__context__"](error) if cause is None else cause


def formatted(error: BaseException, report: Callable[[], str]) -> str:
    """A report of an error, or its class and frames where what it holds raises when it is shown."""
    if text := answered(report, ""):
        return text
    frames = traceback.extract_tb(traceback_of(error))
    theirs = [frame for frame in frames if not is_ours(frame.filename)]
    shown_frames = "".join(traceback.format_list(theirs or frames))
    last = f"{qualname_of(type(error))}: what it says of itself can't be shown"
    return f"Traceback (most recent call last):\n{shown_frames}{last}"


def answered(question: Callable[[], T], otherwise: T) -> T:
    """What an object answers by code of its own, or something else where that raises anything but Ctrl-C."""
    try:
        return question()
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - a proxy's object may be gone, and a class may raise anything
        return otherwise
