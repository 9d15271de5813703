"""A composite value as it is now: taken apart when it was returned, written later."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import pathlib
import uuid
from functools import lru_cache
from typing import Any

import attrs
import numpy as np

from simkit.declare.codec import OWN
from simkit.declare.snapshot import held
from simkit.errors import Unstorable
from simkit.values.codecs import Kept, Parts, codec_of
from simkit.values.stored import Stored

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
