"""Which codec takes values of a type apart, and which puts them together again?

A codec of simkit's own turns a value into `Parts`: named parts that are values again, each of which becomes
a column over the runs, and attributes that are the same for most runs. Libraries' codecs stand in modules
of their own, which are imported when the first value of theirs turns up.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import importlib
import json
import pathlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import attrs
import numpy as np

from simkit.declare.forms import Array
from simkit.declare.plugins import OWN, Codec
from simkit.declare.results import held
from simkit.errors import SimkitError, Unstorable, did_you_mean, listed


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
        from simkit.values.compare import same  # which needs the codecs, and they this class

        return isinstance(other, Stored) and same(self, other)

    def __hash__(self) -> int:
        """Instances may be keys and members of sets, and so may what is read of them."""
        from simkit.values.compare import digest

        return hash(digest(self))

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.__fields.items())
        return f"<{self.__label}: {inside}>"


def stored_parts(stored: Stored) -> tuple[str, Mapping[str, Any], str]:
    """The codec's name, the parts and the attributes: all that is needed to build the value, or to write it."""
    codec, fields, attributes, _ = stored.__reduce__()[1]
    return codec, fields, attributes


@attrs.define(eq=False)  # one is made per value: frozen ones cost twice as much
class Parts:
    """A value taken apart.

    Attributes
    ----------
    fields
        Values by identifier.
    attributes
        A JSON object.
    hints
        Text for people who look into the file, or what makes it: called once per column, not per value.
    is_own
        Whether nobody else holds what is in the parts, so that no copy is needed to keep them as they are.
    """

    fields: Mapping[str, Any]
    attributes: str = "{}"
    hints: Mapping[str, str] | Callable[[], Mapping[str, str]] = attrs.field(factory=dict)
    is_own: bool = False


# Columns of the parts of N values, together one array of N rows; None where there is no such array.
Gather: TypeAlias = Callable[[Mapping[str, Array], Mapping[str, Any]], Array | None]


@attrs.frozen(eq=False)
class Kept:
    """One kind of value: how it is taken apart, put together, and many of them seen as one array."""

    name: str
    encode: Callable[[Any], Parts]
    decode: Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
    gather: Gather | None = None
    take: Callable[[Any], Parts] | None = None  # `encode` with copies, where that is quicker than one by one


# Modules with a function ``codec_of(kind) -> Kept | None`` and a mapping ``CODECS`` by name.
_GENERAL = ("python", "numpy", "classes")
_LIBRARIES = {"pandas": "pandas", "scipy": "scipy", "brian2": "brian2", "brian": "brian2", "xarray": "xarray"}


@attrs.frozen
class Missing(Exception):
    """A codec is not here: the words say why."""

    words: str


def _modules(library: str) -> tuple[str, ...]:
    return (_LIBRARIES[library], *_GENERAL) if library in _LIBRARIES else _GENERAL


def _module(name: str) -> Any:
    return importlib.import_module(f"simkit.values.codecs.{name}")


def codec_of(kind: type) -> Kept | None:
    """The codec of values of a type, or None."""
    own = OWN.by_type.get(kind)
    if own is not None:
        return adapted(own)
    library = kind.__module__.partition(".")[0]
    for name in _modules(library):
        found: Kept | None = _module(name).codec_of(kind)
        if found is not None:
            return found
    return None


def codec_named(name: str) -> Kept:
    """The codec that a file names.

    Raises
    ------
    Missing
        When it is not known here, or its library is not installed.
    """
    own = OWN.by_name.get(name)
    if own is not None:
        return adapted(own)
    library = name.partition(".")[0]
    for module in _modules(library):
        try:
            found: Kept | None = _module(module).CODECS.get(name)
        except ImportError as error:
            raise Missing(f"{library} is not installed ({error})") from None
        if found is not None:
            return found
    raise Missing(f"no codec {name!r} is registered here")


def is_simkits(name: str) -> bool:
    """Whether a codec is one of simkit's own, so that every installation knows it."""
    return "." not in name or name.partition(".")[0] in _LIBRARIES


def adapted(codec: Codec) -> Kept:
    """A user's codec in simkit's form; what it raises, or gives wrongly, costs the run and names the codec."""

    def encode(value: Any) -> Parts:
        try:
            arrays, attributes = codec.encode(value)
            wrong = next((name for name in arrays if not str(name).isidentifier()), None)
            if wrong is None:
                return Parts(dict(arrays), json.dumps(dict(attributes), sort_keys=True), hints)
            problem = f"gave a part named {wrong!r}, which is no identifier"
        except Exception as error:  # noqa: BLE001 - the user's function may raise anything
            problem = f"must return (arrays, attributes), and raised {type(error).__name__}: {error}"
        raise Unstorable("", f"a value of codec {codec.name!r}: its encode() {problem}")

    def decode(arrays: Mapping[str, Any], attributes: Mapping[str, Any]) -> Any:
        try:
            return codec.decode(arrays, attributes)
        except Exception as error:
            msg = f"codec {codec.name!r}: its decode() raised {type(error).__name__}: {error}"
            raise SimkitError(msg) from error

    hints = {"class": f"{codec.type.__module__}.{codec.type.__qualname__}"}
    return Kept(codec.name, encode, decode)


def attributes_of(**facts: Any) -> str:
    """Attributes as text; equal facts give equal text."""
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which HDF5's text cannot hold
        return json.dumps(facts, sort_keys=True)
    return text


_IMMUTABLE = (
    *(np.generic, enum.Enum, pathlib.PurePath, uuid.UUID, decimal.Decimal, fractions.Fraction, Stored),
    *(datetime.date, datetime.time, datetime.timedelta, frozenset, range, slice),
)


@attrs.define(eq=False)
class Taken:
    """The parts of a value, and the name of the codec that took it apart."""

    codec: str
    parts: Parts


def taken(value: Any) -> Any:
    """The value's parts as they are now; the value itself where it cannot change, or cannot be kept."""
    kind = type(value)
    codec = _mutable(kind) if kind not in OWN.by_type else codec_of(kind)  # type: ignore[arg-type] # a class is hashable
    if codec is None or kind is Taken:
        return value
    try:
        parts = codec.encode(value) if codec.take is None else codec.take(value)
    except Unstorable:  # it is told where its path is known
        return value
    if parts.is_own:
        return Taken(codec.name, parts)
    fields = {name: held(parts.fields[name], taken) for name in parts.fields}
    return Taken(codec.name, Parts(fields, parts.attributes, parts.hints))


@lru_cache(maxsize=4096)
def _mutable(kind: type) -> Kept | None:
    """The codec of a type that is no user's, if its values can change."""
    if issubclass(kind, _IMMUTABLE) and not issubclass(kind, np.void):
        return None
    if kind.__module__.startswith("pandas.core.indexes."):  # an Index never changes
        return None
    return codec_of(kind)
