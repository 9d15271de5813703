"""Which codec takes values of a type apart, and which puts them together again?

A codec of simkit's own turns a value into `Parts`: named parts that are values again, each of which becomes
a column over the runs, and attributes that are the same for most runs. Libraries' codecs stand in modules
of their own, which are imported when the first value of theirs turns up.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs

from simkit.declare.axes import Array
from simkit.declare.codec import OWN, Codec
from simkit.errors import SimkitError, Unstorable


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
_GENERAL = ("natives", "arrays", "classes")
_LIBRARIES = {
    "pandas": ("frames", "extension"),
    "scipy": ("sparse",),
    "brian2": ("quantities", "monitors"),
    "brian": ("quantities",),
    "xarray": ("labelled",),
}


@attrs.frozen
class Missing(Exception):
    """A codec is not here: the words say why."""

    words: str


def _module(name: str) -> Any:
    return importlib.import_module(f"simkit.values.codecs.{name}")


def codec_of(kind: type) -> Kept | None:
    """The codec of values of a type, or None."""
    own = OWN.by_type.get(kind)
    if own is not None:
        return adapted(own)
    library = kind.__module__.partition(".")[0]
    for name in (*_LIBRARIES.get(library, ()), *_GENERAL):
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
    for module in (*_LIBRARIES.get(library, ()), *_GENERAL):
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
