"""Which named results is a returned value, and what is it at this moment?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from simkit.declare.plugins import OWN, Parts
from simkit.declare.reflection import declared_fields, is_declared, tuple_fields
from simkit.declare.snapshot import Fields, held
from simkit.values.instances import Stored, stored_parts
from simkit.values.registry import codec_of, is_mutable

ONE = "result"  # the name of a value that has no fields


def fields_of(kind: Any) -> Fields | None:
    """How values of a class are taken apart into named results; None for a value that is a result itself."""
    own = OWN.by_type.get(kind)
    return _fields_of(kind) if own is None or not own.is_result else None


@lru_cache(maxsize=1024)
def _fields_of(kind: type) -> Fields | None:
    if kind is type(None):
        return lambda _: {}
    fields = None if kind is Parts else _structure(kind)
    codec = None if fields is None or kind is dict else codec_of(kind)
    return None if codec is not None and codec.is_result else fields


def _structure(kind: type) -> Fields | None:
    """The items of a mapping, or the fields of a NamedTuple, an attrs class or a dataclass."""
    if issubclass(kind, Mapping):
        return lambda value: value
    if (known := tuple_fields(kind)) is not None and is_declared(kind, "_asdict"):
        return lambda value: _public(value._asdict(), known)
    names = [field.name for field in declared_fields(kind) or ()]
    return (lambda value: {name: getattr(value, name) for name in names}) if names else None


def _public(fields: Mapping[str, Any], known: Collection[str]) -> Mapping[str, Any]:
    """The fields of a tuple, without what a library hides beside them."""
    return {name: value for name, value in fields.items() if name in known or not name.startswith("_")}


def is_one_result(kind: type) -> bool:
    """Whether a returned value of this class is the result named ``result``."""
    return fields_of(kind) is None


def named_results(returned: Any) -> Mapping[str, Any]:
    """A return value as results by name: the fields of what has fields, else one ``result``."""
    fields = fields_of(type(returned))
    return {ONE: returned} if fields is None else fields(returned)


def take_apart(value: Any) -> Any:
    """The `Parts` of a value as they are now; the value itself where it cannot change, or cannot be kept."""
    kind = type(value)
    if kind is Stored:
        name, parts = "", stored_parts(value)
    elif not is_mutable(kind):
        return value
    else:
        codec: Any = codec_of(kind)
        name = codec.name
        try:
            parts = (codec.take or codec.encode)(value)
        except Exception:  # noqa: BLE001 - whatever its reading raises is told where its path is known
            return value
    parts.codec = parts.codec or name
    if not parts.is_own:
        parts.fields = {field: held(parts.fields[field], take_apart) for field in parts.fields}
    return parts
