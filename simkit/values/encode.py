"""Python values to columns, without loss, or an error that names the value."""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Set
from functools import partial
from itertools import chain
from operator import methodcaller
from typing import Any

import attrs
import numpy as np

from simkit.declare.forms import Array, Index, Values
from simkit.declare.plugins import OWN, Codec, Parts
from simkit.declare.reflection import answered, is_declared, module_of, qualname_of
from simkit.errors import Unstorable
from simkit.values.columns import Column, Items, Leaf, Node, Nothing, Ragged, Record, whole_column
from simkit.values.registry import codec_named, codec_of, is_numpy_scalar

# Arrays of this size stay apart, so that each can become a chunk of its own without another copy.
BIG = 65_536
LONG = 14_000  # bits: Python makes no decimals of more than 4,300 digits


Part = tuple[Index | None, Node]
Encoder = Callable[[Sequence[Any]], list[Part]]
STORED_KINDS = "biufcmMSU"


def split(values: Sequence[Any], key: Callable[[Any], Hashable]) -> list[tuple[Index | None, list[Any]]]:
    """The values by key, with their positions; None stands for all of them."""
    groups: dict[Hashable, list[int]] = {}
    for i, value in enumerate(values):
        groups.setdefault(key(value), []).append(i)
    if len(groups) == 1:
        return [(None, list(values))]
    return [(np.array(at), [values[i] for i in at]) for at in groups.values()]


def placed(at: Index | None, parts: Iterable[Part]) -> list[Part]:
    """Parts of a group of values, at the positions of the group."""
    if at is None:
        return list(parts)
    return [(at if inner is None else at[inner], node) for inner, node in parts]


def native(name: str, dtype: str) -> Encoder:
    """The encoder of Python's own numbers."""

    def encoder(values: Sequence[Any]) -> list[Part]:
        return [(None, Leaf(name, np.array(values, dtype)))]

    return encoder


def integers(values: Sequence[Any]) -> list[Part]:
    """Integers; beyond 64 bits as decimals."""
    try:
        return [(None, Leaf("int", np.array(values, "i8")))]
    except OverflowError:
        if max(map(int.bit_length, values)) > LONG:
            raise Unstorable("", "an integer of thousands of digits") from None
        parts: list[Part] = []
        for at, group in split(values, lambda v: -(2**63) <= v < 2**63):
            small = -(2**63) <= group[0] < 2**63
            parts.append(
                (at, Leaf("int", np.array(group, "i8") if small else [format(v, "d") for v in group]))
            )
        return parts


def is_plain(text: str) -> bool:
    """Whether HDF5's text can hold it: no NUL, no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def strings(values: Sequence[Any]) -> list[Part]:
    """Text; what HDF5's own cannot hold as bytes."""
    if is_plain("".join(values)):
        return [(None, Leaf("str", list(values)))]
    parts: list[Part] = []
    for at, group in split(values, is_plain):
        plain = is_plain(group[0])
        raw = [] if plain else [v.encode("utf-8", "surrogatepass") for v in group]
        parts.append((at, Leaf("str", group) if plain else byte_strings("str", raw)))
    return parts


def byte_strings(name: str, values: Sequence[bytes]) -> Ragged:
    """Bytes of any length."""
    shapes = np.array([[len(v)] for v in values], np.int64)
    return Ragged(name, np.frombuffer(b"".join(values), "u1"), shapes)


def scalars(values: Sequence[Any]) -> list[Part]:
    """NumPy scalars of one class."""
    kind = values[0].dtype.kind
    if kind == "U":  # each has a dtype of its own length
        return [
            (at, attrs.evolve(node, type={Leaf: "scalar", Ragged: "np.str"}[type(node)]))
            for at, node in strings(list(map(str.__str__, values)))  # NumPy's own drops NULs at the end
        ]
    if kind == "S":
        return [(None, byte_strings("scalar", values))]
    # Only types with a unit have several dtypes.
    groups = split(values, lambda v: v.dtype) if kind in "mM" else [(None, list(values))]
    return [(at, Leaf("scalar", np.array(group, group[0].dtype))) for at, group in groups]


def arrays(values: Sequence[Any]) -> list[Part]:
    """Arrays of one dtype and number of dimensions: in one block, or laid end to end."""
    if len({v.shape for v in values}) > 1:
        return [(None, ragged("array", values))]
    if values[0].nbytes >= BIG:
        return [(None, Leaf("array", [np.ascontiguousarray(v) for v in values]))]
    return [(None, Leaf("array", np.array(values, values[0].dtype)))]


def ragged(name: str, values: Sequence[Any]) -> Ragged:
    """Arrays of one dtype and number of dimensions, laid end to end."""
    shapes = np.array([a.shape for a in values], np.int64).reshape(len(values), values[0].ndim)
    return Ragged(name, np.concatenate([np.ravel(a) for a in values], dtype=values[0].dtype), shapes)


# More kinds of one codec's values under one name than this are kept row by row (`loose`), not a column each.
MOST_ALIKE = 8
NO_FIELD = "0"  # of a record whose value has no parts; no part of a user's can have that name


_FLAT = {bool: "?", int: "i8", float: "f8", complex: "c16"}


def encode(values: Sequence[Any]) -> Column:
    """One column with a row per value.

    Raises
    ------
    Unstorable
        For a value that has no lossless form; `explain` finds the path to it.
    """
    try:
        return _encoded(values)
    except (Unstorable, RecursionError, MemoryError):
        raise
    except Exception as error:
        msg = f"a value that raises when it is looked at: {type(error).__name__}: {error}"
        raise Unstorable("", msg) from error


def _encoded(values: Sequence[Any]) -> Column:
    n = len(values)
    kinds = dict.fromkeys(map(type, values))
    if len(kinds) == 1:
        return Column(n, tuple(_encoder(values[0])(values)))
    parts: list[Part] = []
    for kind in kinds:
        at = np.array([i for i, value in enumerate(values) if type(value) is kind])
        chosen = [values[i] for i in at]
        parts += placed(at, _encoder(chosen[0])(chosen))
    return Column(n, tuple(parts))


def encode_table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    """One column per name of rows that have the same names in the same order.

    Raises
    ------
    Unstorable
        For a value that has no lossless form.
    """
    cells = list(chain.from_iterable(map(methodcaller("values"), rows)))
    return encode_cells(list(rows[0]), cells, set(map(type, cells)))


def encode_cells(names: Sequence[str], cells: list[Any], kinds: Set[type]) -> dict[str, Column]:
    """One column per name of a table that is given cell by cell, row after row.

    Parameters
    ----------
    kinds
        The types that its cells have.

    Raises
    ------
    Unstorable
        For a value that has no lossless form.
    """
    width = len(names)
    kind = next(iter(kinds)) if len(kinds) == 1 else None
    dtype = _FLAT.get(kind)  # type: ignore[arg-type]
    if kind is not None and dtype is not None:  # all numbers of all names at once
        try:
            block = np.array(cells, dtype).reshape(-1, width)
        except OverflowError:  # integers beyond 64 bits
            pass
        else:
            columns = np.ascontiguousarray(block.T)
            return {name: whole_column(Leaf(kind.__name__, columns[at])) for at, name in enumerate(names)}
    return {name: encode(cells[at::width]) for at, name in enumerate(names)}


def encode_values(values: Values) -> Column:
    """The column of a space's declared values; absent where a sum of spaces lacks the name."""
    if values.present is not None:
        at = np.flatnonzero(values.present)
        whole = Values(values.array[at], values.native)
        return encode_values(whole).spread(len(values), at)
    kind = {"b": "bool", "i": "int", "f": "float", "c": "complex"}.get(values.array.dtype.kind)
    if values.native and kind is not None:
        return Column(len(values), ((None, Leaf(kind, values.array)),))
    return encode(values.elements()) if values.native else encode_rows(values.array)


def encode_rows(array: Array) -> Column:
    """The column of an array's rows: as that of a list of them, without a look at each where it is of numbers."""
    kind = array.dtype.kind
    if not len(array) or kind not in _NUMBERS:
        return encode(list(array))
    if array.ndim == 1:
        native_order = array.dtype.newbyteorder("=")  # NumPy's scalars have no other
        return whole_column(Leaf("scalar", array.astype(native_order, copy=False)))
    if array.nbytes >= BIG * len(array):
        return whole_column(Leaf("array", [np.ascontiguousarray(row) for row in array]))
    return whole_column(Leaf("array", np.ascontiguousarray(array)))


_NUMBERS = "biufcmM"


def explain(value: Any, path: str) -> Unstorable | None:
    """Why a value can't be kept, with the path to the part that is to blame."""
    try:
        encode([value])
    except Unstorable as error:
        causes = (explain(inner, name) for name, inner in inside(value, path))
        return next((cause for cause in causes if cause), Unstorable(path, error.what))
    except RecursionError:
        return Unstorable(path, "a value that contains itself")
    return None


def storable_part(value: Any, above: tuple[int, ...] = ()) -> Any:
    """A dictionary without the items that can't be kept, dictionaries in it likewise; None where nothing is left."""
    if type(value) is Parts and type(value.fields.get("items")) is dict:
        items = storable_part(value.fields["items"], above)
        return None if items is None else attrs.evolve(value, fields={**value.fields, "items": items})
    if type(value) is not dict or id(value) in above:
        return None
    kept = {}
    for key, item in value.items():
        part = item if explain(item, "") is None else storable_part(item, (*above, id(value)))
        if part is not None or item is None:
            kept[key] = part
    return kept if kept and explain(kept, "") is None else None


def _encoder(value: Any) -> Encoder:
    kind = type(value)
    encoder = None if kind in OWN.by_type else ENCODERS.get(kind)
    if encoder is not None:
        return encoder
    if is_numpy_scalar(kind):
        return scalars
    codec = codec_of(kind)
    if codec is None:
        raise Unstorable("", described(value))
    return partial(composites, codec)


def composites(codec: Codec, values: Sequence[Any]) -> list[Part]:
    """Values that a codec takes apart."""
    return records(codec.name, [_taken_apart(codec, value) for value in values])


def _taken_apart(codec: Codec, value: Any) -> Parts:
    """A value's parts; whatever its own methods raise is told of the value."""
    try:
        return codec.encode(value)  # type: ignore[return-value] # a user's is wrapped
    except (Unstorable, RecursionError):
        raise
    except Exception as error:
        what = f"{described(value)}, since it can't be read: {type(error).__name__}: {error}"
        raise Unstorable("", what) from error


def records(name: str, taken: Sequence[Parts]) -> list[Part]:
    """What a codec took apart, as columns: one record for all values whose attributes agree."""
    groups = split(taken, lambda parts: (parts.attributes, tuple(parts.fields)))
    if len(groups) > MOST_ALIKE:
        return [(None, loose(name, [parts.attributes for parts in taken], [parts.fields for parts in taken]))]
    nodes: list[Part] = []
    for at, group in groups:
        names = group[0].fields or (NO_FIELD,)
        fields = {key: encode([parts.fields.get(key) for parts in group]) for key in names}
        hints = group[0].hints
        shown = hints() if callable(hints) else hints
        nodes.append((at, Record(name, fields, group[0].attributes, shown)))
    return nodes


def loose(name: str, attributes: list[str], fields: Sequence[Mapping[str, Any]]) -> Record:
    """Values that have little in common: each row with attributes and parts of its own."""
    inner = whole_column(as_mapping([dict(parts) for parts in fields]))
    return Record(name, {"attributes": encode(attributes), "fields": inner}, "")


def parts_encoded(values: Sequence[Parts]) -> list[Part]:
    """Values that were taken apart before, each under the name of its codec."""
    parts: list[Part] = []
    for at, group in split(values, lambda value: value.codec):
        parts += placed(at, records(group[0].codec, group))
    return parts


def _arrays(values: Sequence[Any]) -> list[Part]:
    parts: list[Part] = []
    for at, group in split(values, lambda v: (v.dtype, v.ndim)):
        dtype = group[0].dtype
        if dtype.kind in STORED_KINDS and (dtype.kind != "U" or _are_plain(group)):
            parts += placed(at, arrays(group))
        else:
            parts += placed(at, composites(array_codec(dtype), group))
    return parts


def array_codec(dtype: np.dtype[Any]) -> Codec:
    """The codec of arrays that HDF5 has no type for, or none that holds all of their values."""
    if dtype.kind == "V":
        return codec_named("raw" if dtype.names is None else "structured")
    return codec_named({"T": "strings", "U": "text"}.get(dtype.kind, "objects"))


def _are_plain(texts: Sequence[Any]) -> bool:
    return all(is_plain("".join(array.ravel().tolist())) for array in texts)


def _sequences(name: str) -> Encoder:
    def encoder(values: Sequence[Any]) -> list[Part]:
        kinds = set(map(type, chain.from_iterable(values)))
        dtype = _FLAT.get(next(iter(kinds))) if len(kinds) == 1 else None
        if dtype is not None:
            try:
                return [(None, _flat(name, [np.array(v, dtype) for v in values]))]
            except OverflowError:
                pass  # integers beyond 64 bits are items like any other
        counts = np.array([len(v) for v in values], np.int64)
        return [(None, Items(name, counts, encode(list(chain.from_iterable(values)))))]

    return encoder


def _flat(name: str, rows: list[Any]) -> Leaf | Ragged:
    same = len({len(a) for a in rows}) == 1
    return Leaf(name, np.array(rows)) if same else ragged(name, rows)


def _dictionaries(values: Sequence[Any]) -> list[Part]:
    groups = split(values, tuple)
    parts: list[Part] = []
    others: list[int] = []
    for at, group in groups:
        if not parts and group[0] and all(map(_is_member, group[0])):
            fields = {key: encode([value[key] for value in group]) for key in group[0]}
            parts.append((at, Record("dict", fields)))
        else:
            others.extend(range(len(values)) if at is None else at.tolist())
    if others:
        at = None if len(others) == len(values) else np.array(sorted(others))
        chosen = list(values) if at is None else [values[i] for i in at]
        parts.append((at, as_mapping(chosen)))
    return parts


def as_mapping(values: Sequence[dict[Any, Any]]) -> Record:
    """Dictionaries of any keys, as a list of keys and a list of values each."""
    keys = encode([list(value) for value in values])
    return Record("mapping", {"keys": keys, "values": encode([list(value.values()) for value in values])})


def _is_member(key: Any) -> bool:
    return type(key) is str and key.isidentifier()


def _nothing(values: Sequence[Any]) -> list[Part]:
    return [(None, Nothing(len(values)))]


# By the class of the values. Open: a module that has values of a class of its own enters their encoder.
ENCODERS: dict[Any, Encoder] = {
    bool: native("bool", "?"),
    int: integers,
    float: native("float", "f8"),
    complex: native("complex", "c16"),
    str: strings,
    bytes: lambda values: [(None, byte_strings("bytes", values))],
    type(None): _nothing,
    np.ndarray: _arrays,
    Parts: parts_encoded,
    list: _sequences("list"),
    tuple: _sequences("tuple"),
    dict: _dictionaries,
}


_SIMPLE: tuple[tuple[Any, str], ...] = (
    (types.LambdaType, "a function"),
    (types.BuiltinFunctionType, "a function"),
    (types.MethodType, "a method"),
    (types.GeneratorType, "a generator"),
    (types.ModuleType, "a module"),
    (type, "a class"),
)


_TRANSPARENT = ("items", "cells", "values")  # parts that users do not see as such


def described(value: Any) -> str:
    """The value's kind in a few words."""
    kind = type(value)  # the value itself may be one that answers to every question, or to none
    for simple, words in _SIMPLE:
        if issubclass(kind, simple):
            return words
    if is_declared(kind, "fileno") and is_declared(kind, "read"):
        return "an open file"
    name = qualname_of(kind) if module_of(kind) == "builtins" else f"{module_of(kind)}.{qualname_of(kind)}"
    return f"a value of type {name}"


def inside(value: Any, path: str) -> list[tuple[str, Any]]:
    """The parts of a composite value, with their paths."""
    if type(value) in (list, tuple):
        return [(f"{path}[{i}]", item) for i, item in enumerate(value)]
    if type(value) is dict:
        keys = [
            (f".{k}" if type(k) is str else f"[{answered(partial(repr, k), '…')}]", v)
            for k, v in value.items()
        ]
        return [(path + key, item) for key, item in keys]
    if issubclass(type(value), np.ndarray):
        return _cells(value, path)
    return [
        (path if name in _TRANSPARENT else f"{path}.{name}", part)
        for name, part in _fields_inside(value).items()
    ]


def _fields_inside(value: Any) -> Mapping[str, Any]:
    parts: Any = value
    if type(value) is not Parts:
        codec = codec_of(type(value))
        try:
            parts = Parts({}) if codec is None else codec.encode(value)
        except Exception:  # noqa: BLE001 - what can't be taken apart has no parts
            parts = Parts({})
    fields: Mapping[str, Any] = parts.fields
    return fields


def _cells(array: Any, path: str) -> list[tuple[str, Any]]:
    array = np.ndarray.view(array, np.ndarray)  # a subclass may do anything when it is asked
    if array.dtype != object:
        return []
    indices = [", ".join(map(str, index)) for index in np.ndindex(array.shape)]
    return [(f"{path}[{i}]" if i else path, cell) for i, cell in zip(indices, array.flat, strict=True)]
