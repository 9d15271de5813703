"""Scalars, text and arrays as leaves: values that hold no other values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import attrs
import numpy as np

from simkit.declare.axes import Index
from simkit.values.columns import Leaf, Node, Ragged

# Arrays of this size stay apart, so that each can become a chunk of its own without another copy.
BIG = 65_536

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
            for at, node in strings(list(map(str, values)))
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
