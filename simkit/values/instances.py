"""What is a recorded instance whose class or codec is not here, and how is it rebuilt where its class is known?"""

from __future__ import annotations

import array
import collections
import copy
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from simkit.declare.forms import objects
from simkit.declare.plugins import Parts
from simkit.declare.reflection import bases_of
from simkit.errors import did_you_mean, listed
from simkit.values.encode import ENCODERS, Part, encode, parts_encoded
from simkit.values.registry import codec_named, path_of


class Stored:
    """The parts of a recorded value, as attributes and items; nothing but the user's names.

    Made for instances of the user's classes (unless ``simkit.open(path, classes=[…])`` names the class) and
    for values whose codec is not registered or whose library is not installed.
    """

    __slots__ = ("__attributes", "__codec", "__fields", "__label")

    def __init__(self, codec: str, fields: Mapping[str, Any], attributes: str, label: str) -> None:
        self.__codec, self.__fields, self.__attributes, self.__label = codec, dict(fields), attributes, label

    def __getitem__(self, name: str) -> Any:
        return self.__fields[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self.__fields:
            return self.__fields[name]
        hint = did_you_mean(name, list(self.__fields))
        msg = f"the recorded {self.__label} has no {name!r}{hint}; it has: {listed(name, self.__fields)}"
        raise AttributeError(msg)

    def __iter__(self) -> Iterator[str]:
        return iter(self.__fields)

    def __len__(self) -> int:
        return len(self.__fields)

    def __contains__(self, name: object) -> bool:
        return name in self.__fields

    def __dir__(self) -> list[str]:
        return list(self.__fields)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.__fields)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_Stored__"):
            msg = f"the recorded {self.__label} is read-only"
            raise AttributeError(msg)
        object.__setattr__(self, name, value)

    def __reduce__(self) -> Any:
        return Stored, (self.__codec, self.__fields, self.__attributes, self.__label)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stored) and encode([self]).digest() == encode([other]).digest()

    def __hash__(self) -> int:
        """Instances may be keys and members of sets, and so may what is read of them."""
        return hash(encode([self]).digest())

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.__fields.items())
        return f"<{self.__label}: {inside}>"


def stored_parts(stored: Stored) -> Parts:
    """The parts of a recorded value, under the name of its codec: all that is needed to write or rebuild it."""
    codec, fields, attributes, _ = stored.__reduce__()[1]
    return Parts(dict(fields), attributes, codec=codec)


def _encoded(values: Sequence[Stored]) -> list[Part]:
    """Values that could not be put together are written as they were read."""
    return parts_encoded([stored_parts(value) for value in values])


ENCODERS[Stored] = _encoded


Find = Callable[[str], "type | None"]


def revived(value: Any, find: Find) -> Any:
    """The value with the parts of instances put together by their classes, where ``find`` knows them.

    A class counts only if it is an attrs class, a dataclass, a NamedTuple, an enumeration, or extends a type of
    Python's or NumPy's; others stay as they are. No method of the class is called.
    """
    if type(value) is not Stored:
        return _revived_items(value, find)
    codec, fields, attributes, label = value.__reduce__()[1]
    built = find(json.loads(attributes).get("class", "")) if codec in _REBUILT else None
    inner = {name: revived(part, find) for name, part in fields.items()}
    if built is None or not codec_named(codec).keeps(built):
        return Stored(codec, inner, attributes, label)
    if codec == "enum":
        member = getattr(built, "__members__", {}).get(fields.get("name"))  # combined flags are no members
        return built(inner["value"]) if member is None else member
    return _extended_again(built, inner) if codec == "extended" else _rebuilt(built, inner)


def _revived_items(value: Any, find: Find) -> Any:
    """A container of what may be instances; anything else as it is."""
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return kind(revived(item, find) for item in value)
    if kind is collections.deque:
        return collections.deque((revived(item, find) for item in value), value.maxlen)
    if kind is dict:
        return {revived(key, find): revived(item, find) for key, item in value.items()}
    if issubclass(kind, dict):
        again = copy.copy(value)
        items = {key: revived(item, find) for key, item in value.items()}
        dict.update(again, items)  # a Counter's own would add to what is there
        return again
    if kind is np.ndarray and value.dtype == object:
        return objects([revived(cell, find) for cell in value.ravel()]).reshape(value.shape)
    return value


_REBUILT = ("class", "enum", "extended")


# How a value of an own type is made of one of a class that extends it, and the other way round: by the type's own
# functions, whatever the class has instead.
BASES: dict[Any, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    np.ndarray: (lambda value: value.view(np.ndarray), lambda kind, value: np.asarray(value).view(kind)),
    array.array: (
        lambda value: array.array(value.typecode, value),
        lambda kind, value: array.array.__new__(kind, value.typecode, value),
    ),
    dict: (lambda value: dict(dict.items(value)), lambda kind, value: _filled(dict, kind, value)),
    list: (lambda value: list(list.__iter__(value)), lambda kind, value: _filled(list, kind, value)),
    set: (lambda value: set(set.__iter__(value)), lambda kind, value: _filled(set, kind, value)),
    tuple: (lambda value: tuple(tuple.__iter__(value)), tuple.__new__),
    frozenset: (lambda value: frozenset(frozenset.__iter__(value)), frozenset.__new__),
    str: (str.__str__, str.__new__),
    bytes: (lambda value: bytes.__getitem__(value, slice(None)), bytes.__new__),
    int: (int.__int__, int.__new__),
    float: (float.__float__, float.__new__),
    complex: (complex.__complex__, complex.__new__),
}


def base_of(kind: type) -> Any:
    """The type of Python's or NumPy's own that a class extends."""
    return next(base for base in bases_of(kind) if any(base is own for own in BASES))


def _filled(base: Any, kind: Any, value: Any) -> Any:
    made = base.__new__(kind)
    (base.extend if base is list else base.update)(made, value)
    return made


def _extended_again(kind: Any, parts: Mapping[str, Any]) -> Any:
    instance = BASES[base_of(kind)][1](kind, parts["value"])
    for name, part in parts.get("attributes", {}).items():
        object.__setattr__(instance, name, part)
    return instance


def _rebuilt(kind: Any, parts: Mapping[str, Any]) -> Any:
    """An instance with these fields, as they were: no default, converter or check is run again."""
    if issubclass(kind, tuple):
        return kind._make(parts.get(name) for name in kind._fields)
    instance = object.__new__(kind)
    for name, part in parts.items():
        object.__setattr__(instance, name, part)
    return instance


def among(classes: Iterable[type]) -> Find:
    """Finds classes among the given ones: by their full name, else by their own."""
    full = {path_of(kind): kind for kind in classes}
    own = {kind.__qualname__: kind for kind in full.values()}

    def find(path: str) -> type | None:
        return full.get(path) or next((own[name] for name in own if path.endswith("." + name)), None)

    return find


def loaded(path: str) -> type | None:
    """A class of a module that is loaded already; nothing is imported."""
    module, _, name = path.rpartition(".")
    while module and module not in sys.modules:
        module, _, rest = module.rpartition(".")
        name = f"{rest}.{name}"
    owner: Any = sys.modules.get(module)
    for part in name.split("."):
        owner = getattr(owner, "__dict__", {}).get(part)  # a module's __getattr__ could import something
    return owner if isinstance(owner, type) else None
