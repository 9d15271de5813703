"""Python values to columns, without loss or a word about what can't be kept."""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from simkit.declare.axes import Index, Values
from simkit.errors import Unstorable
from simkit.values.columns import Column, Items, Leaf, Node, Nothing, Ragged, Record

# Arrays of this size stay apart, so that each can become a chunk of its own without another copy.
BIG = 65_536

Part = tuple[Index | None, Node]
_FLAT = {bool: "?", int: "i8", float: "f8", complex: "c16"}
_STORED_KINDS = "biufcmMSU"


def encode(values: Sequence[Any]) -> Column:
    """One column with a row per value.

    Raises
    ------
    Unstorable
        For a value that has no lossless form; `explain` finds the path to it.
    """
    n = len(values)
    kinds = dict.fromkeys(map(type, values))
    if len(kinds) == 1:
        return Column(n, tuple(_encoder(values[0])(values)))
    parts: list[Part] = []
    for kind in kinds:
        at = np.array([i for i, value in enumerate(values) if type(value) is kind])
        chosen = [values[i] for i in at]
        for inner, node in _encoder(chosen[0])(chosen):
            parts.append((at if inner is None else at[inner], node))
    return Column(n, tuple(parts))


def encode_values(values: Values) -> Column:
    """The column of a space's declared values; absent where a sum of spaces lacks the name."""
    if values.present is not None:
        at = np.flatnonzero(values.present)
        whole = Values(values.array[at], values.native)
        return encode_values(whole).spread(len(values), at)
    kind = {"b": "bool", "i": "int", "f": "float", "c": "complex"}.get(values.array.dtype.kind)
    if values.native and kind is not None:
        return Column(len(values), ((None, Leaf(kind, values.array)),))
    return encode(values.elements())


def explain(value: Any, path: str) -> Unstorable | None:
    """Why a value can't be kept, with the path to the part that is to blame."""
    try:
        encode([value])
    except Unstorable as error:
        parts: list[tuple[str, Any]] = []
        if type(value) in (list, tuple):
            parts = [(f"{path}[{i}]", item) for i, item in enumerate(value)]
        elif type(value) is dict:
            parts = [(f"{path}.{k}" if isinstance(k, str) else f"{path}[{k!r}]", v) for k, v in value.items()]
        causes = (explain(inner, name) for name, inner in parts)
        return next((cause for cause in causes if cause), Unstorable(path, error.what))
    except RecursionError:
        return Unstorable(path, "a value that contains itself")
    return None


def _encoder(value: Any) -> Callable[[Sequence[Any]], list[Part]]:
    found = _ENCODERS.get(type(value))
    if found is None and isinstance(value, np.generic):
        return _scalars
    if found is None:
        raise Unstorable("", _described(value))
    return found


def _described(value: Any) -> str:
    simple: tuple[tuple[Any, str], ...] = (
        (types.LambdaType, "a function"),
        (types.BuiltinFunctionType, "a function"),
        (types.MethodType, "a method"),
        (types.GeneratorType, "a generator"),
        (types.ModuleType, "a module"),
        (type, "a class"),
    )
    for kind, words in simple:
        if isinstance(value, kind):
            return words
    if hasattr(value, "fileno") and hasattr(value, "read"):
        return "an open file"
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"a value of type {name}"


def _split(values: Sequence[Any], key: Callable[[Any], Hashable]) -> list[tuple[Index | None, list[Any]]]:
    groups: dict[Hashable, list[int]] = {}
    for i, value in enumerate(values):
        groups.setdefault(key(value), []).append(i)
    if len(groups) == 1:
        return [(None, list(values))]
    return [(np.array(at), [values[i] for i in at]) for at in groups.values()]


def _native(name: str, dtype: str) -> Callable[[Sequence[Any]], list[Part]]:
    def encoder(values: Sequence[Any]) -> list[Part]:
        return [(None, Leaf(name, np.array(values, dtype)))]

    return encoder


def _integers(values: Sequence[Any]) -> list[Part]:
    try:
        return [(None, Leaf("int", np.array(values, "i8")))]
    except OverflowError:
        parts: list[Part] = []
        for at, group in _split(values, lambda v: -(2**63) <= v < 2**63):
            small = -(2**63) <= group[0] < 2**63
            parts.append(
                (at, Leaf("int", np.array(group, "i8") if small else [format(v, "d") for v in group]))
            )
        return parts


def _is_plain(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _strings(values: Sequence[Any]) -> list[Part]:
    if _is_plain("".join(values)):
        return [(None, Leaf("str", list(values)))]
    parts: list[Part] = []
    for at, group in _split(values, _is_plain):
        plain = _is_plain(group[0])
        raw = [] if plain else [v.encode("utf-8", "surrogatepass") for v in group]
        parts.append((at, Leaf("str", group) if plain else _byte_strings("str", raw)))
    return parts


def _plain_strings(values: list[str]) -> list[tuple[Index | None, Leaf]]:
    if not _is_plain("".join(values)):
        raise Unstorable("", "text with NUL or lone surrogates as a NumPy scalar")
    return [(None, Leaf("str", values))]


def _byte_strings(name: str, values: Sequence[bytes]) -> Ragged:
    shapes = np.array([[len(v)] for v in values], np.int64)
    return Ragged(name, np.frombuffer(b"".join(values), "u1"), shapes)


def _scalars(values: Sequence[Any]) -> list[Part]:
    kind = values[0].dtype.kind
    if kind == "U":  # each has a dtype of its own length
        return [(at, Leaf("scalar", node.rows)) for at, node in _plain_strings(list(map(str, values)))]
    if kind == "S":
        return [(None, _byte_strings("scalar", values))]
    parts: list[Part] = []
    # Only types with a unit or fields have several dtypes.
    groups = _split(values, lambda v: v.dtype) if kind in "mMV" else [(None, list(values))]
    for at, group in groups:
        array = np.array(group, group[0].dtype)
        _check_dtype(array)
        parts.append((at, Leaf("scalar", array)))
    return parts


def _check_dtype(array: Any) -> None:
    if array.dtype.kind not in _STORED_KINDS:
        raise Unstorable("", f"an array of dtype {array.dtype}")
    if array.dtype.kind == "U" and not _is_plain("".join(array.ravel().tolist())):
        raise Unstorable("", "an array of text with NUL or lone surrogates")


def _arrays(values: Sequence[Any]) -> list[Part]:
    parts: list[Part] = []
    for at, group in _split(values, lambda v: (v.dtype, v.ndim)):
        _check_dtype(group[0] if group[0].dtype.kind != "U" else np.concatenate([v.ravel() for v in group]))
        same = len({v.shape for v in group}) == 1
        if not same:
            parts.append((at, ragged("array", group)))
        elif group[0].nbytes >= BIG:
            parts.append((at, Leaf("array", [np.ascontiguousarray(v) for v in group])))
        else:
            parts.append((at, Leaf("array", np.array(group, group[0].dtype))))
    return parts


def ragged(name: str, arrays: Sequence[Any]) -> Ragged:
    """Arrays of one dtype and number of dimensions, laid end to end."""
    shapes = np.array([a.shape for a in arrays], np.int64).reshape(len(arrays), arrays[0].ndim)
    return Ragged(name, np.concatenate([np.ravel(a) for a in arrays]), shapes)


def _sequences(name: str) -> Callable[[Sequence[Any]], list[Part]]:
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


def _flat(name: str, arrays: list[Any]) -> Leaf | Ragged:
    same = len({len(a) for a in arrays}) == 1
    return Leaf(name, np.array(arrays)) if same else ragged(name, arrays)


def _dictionaries(values: Sequence[Any]) -> list[Part]:
    groups = _split(values, tuple)
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


def _generators(values: Sequence[np.random.Generator]) -> list[Part]:
    states = encode([value.bit_generator.state for value in values])
    return [(None, Record("generator", {"state": states}))]


def _is_member(key: Any) -> bool:
    return type(key) is str and key.isidentifier()


def _nothing(values: Sequence[Any]) -> list[Part]:
    return [(None, Nothing(len(values)))]


_ENCODERS: dict[type, Callable[[Sequence[Any]], list[Part]]] = {
    bool: _native("bool", "?"),
    int: _integers,
    float: _native("float", "f8"),
    complex: _native("complex", "c16"),
    str: _strings,
    bytes: lambda values: [(None, _byte_strings("bytes", values))],
    type(None): _nothing,
    np.ndarray: _arrays,
    np.random.Generator: _generators,
    list: _sequences("list"),
    tuple: _sequences("tuple"),
    dict: _dictionaries,
}
