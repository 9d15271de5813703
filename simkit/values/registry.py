"""Which codec takes values of a type apart, and which puts them together again?

A `Codec` turns a value into `Parts`: named parts that are values again, each of which becomes a column over the
runs, and attributes that are the same for most runs. Those of simkit's own stand in ``codecs``, a module for each
library, which is imported when the first value of the library's turns up.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import attrs
import numpy as np

from simkit.declare.plugins import OWN, Codec, Parts
from simkit.declare.reflection import module_of, qualname_of
from simkit.errors import SimkitError, Unstorable

# Modules with a tuple ``CODECS``; the first codec of these that keeps a type is the type's.
_GENERAL = ("python", "numpy", "classes")
_LIBRARIES = {
    "pandas": "pandas", "scipy": "scipy", "brian2": "brian2", "brian": "brian2", "xarray": "xarray",
    "matplotlib": "figures", "bokeh": "figures", "networkx": "networkx", "deap": "deap",
}  # fmt: skip
_HERE = "simkit.values.codecs."


@attrs.frozen
class Missing(Exception):
    """A codec is not here: the words say why."""

    words: str


def _codecs(library: str) -> list[Codec]:
    modules = (_LIBRARIES[library], *_GENERAL) if library in _LIBRARIES else _GENERAL
    return [codec for name in modules for codec in importlib.import_module(_HERE + name).CODECS]


def codec_of(kind: Any) -> Codec | None:
    """The codec of values of a class, or None: a user's own before simkit's."""
    own = OWN.by_type.get(kind)
    return _simkits_codec_of(kind) if own is None else _checked(own)


@lru_cache(maxsize=4096)
def _simkits_codec_of(kind: type) -> Codec | None:
    if is_numpy_scalar(kind):
        return None
    library = module_of(kind).removeprefix(_HERE).partition(".")[0]
    return next((codec for codec in _codecs(library) if codec.keeps(kind)), None)


def is_numpy_scalar(kind: type) -> bool:
    """Whether a class is of NumPy's plain scalars, which no codec needs to take apart."""
    return issubclass(kind, np.generic) and not issubclass(kind, np.void)


def is_mutable(kind: Any) -> bool:
    """Whether values of a class can be changed in place, as its codec says; False where it has none."""
    codec = OWN.by_type.get(kind) or _simkits_codec_of(kind)
    return codec is not None and codec.mutable


def codec_named(name: str) -> Codec:
    """The codec that a file names.

    Raises
    ------
    Missing
        When it is not known here, or its library is not installed.
    """
    own = OWN.by_name.get(name)
    return _simkits_codec_named(name) if own is None else _checked(own)


@lru_cache(maxsize=1024)
def _simkits_codec_named(name: str) -> Codec:
    library = name.partition(".")[0]
    try:
        return next(codec for codec in _codecs(library) if codec.name == name)
    except ImportError as error:
        raise Missing(f"{library} is not installed ({error})") from None
    except StopIteration:
        raise Missing(f"no codec {name!r} is registered here") from None


def is_simkits(name: str) -> bool:
    """Whether a codec is one of simkit's own, so that every installation knows it."""
    return "." not in name or name.partition(".")[0] in _LIBRARIES


def _checked(codec: Codec) -> Codec:
    """A user's codec whose `encode` gives `Parts`; what it raises, or gives wrongly, costs the run and names it."""

    def encode(value: Any) -> Parts:
        try:
            arrays, attributes = codec.encode(value)  # type: ignore[misc] # a user's gives a pair
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

    kind: Any = codec.type
    hints = {"class": path_of(kind)}
    return attrs.evolve(codec, encode=encode, decode=decode)


def path_of(kind: type) -> str:
    """How a class is named in a file: ``module.Class``."""
    return f"{module_of(kind)}.{qualname_of(kind)}"


def attributes_of(**facts: Any) -> str:
    """Attributes as text; equal facts give equal text."""
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which HDF5's text cannot hold
        return json.dumps(facts, sort_keys=True)
    return text
