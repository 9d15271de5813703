"""Columns back to Python values, and to the arrays that users compute with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from simkit.declare.forms import Array, Index, objects
from simkit.values.columns import Column, Items, Leaf, Node, Nothing, Ragged, Record, whole_column
from simkit.values.encode import NO_FIELD, encode
from simkit.values.instances import Stored
from simkit.values.registry import Missing, codec_named


class Absent:
    """Stands where a row has no value."""

    def __repr__(self) -> str:
        return "<absent>"


ABSENT: Final = Absent()


def decode(column: Column) -> list[Any]:
    """Each row's value as it was recorded; `ABSENT` where there is none."""
    whole = column.whole
    if whole is not None:
        return _values(whole)
    values: list[Any] = [ABSENT] * column.n
    for positions, node in column.variants:
        rows = range(column.n) if positions is None else positions.tolist()
        for i, value in zip(rows, _values(node), strict=True):
            values[i] = value
    return values


def _values(node: Node) -> list[Any]:
    match node:
        case Leaf():
            return _leaf_values(node)
        case Ragged():
            return _ragged_values(node)
        case Items():
            items = iter(decode(node.items))
            lists = [[next(items) for _ in range(count)] for count in node.counts.tolist()]
            return [tuple(v) for v in lists] if node.type == "tuple" else lists
        case Record(type="dict"):
            columns = [decode(field) for field in node.fields.values()]
            names = list(node.fields)
            return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        case Record(type="mapping"):
            keys, values = decode(node.fields["keys"]), decode(node.fields["values"])
            return [dict(zip(k, v, strict=True)) for k, v in zip(keys, values, strict=True)]
        case Record():
            return _put_together(node)
        case Nothing():
            return [None] * node.n


def taken_apart(record: Record) -> list[tuple[Mapping[str, Any], str]]:
    """A codec's record as the parts and the attributes of each row."""
    if record.attributes == "":  # see `loose`
        fields, attributes = decode(record.fields["fields"]), decode(record.fields["attributes"])
        return list(zip(fields, attributes, strict=True))
    names = [name for name in record.fields if name != NO_FIELD]
    if not names:
        return [({}, record.attributes)] * record.fields[NO_FIELD].n
    columns = [decode(record.fields[name]) for name in names]
    return [(dict(zip(names, row, strict=True)), record.attributes) for row in zip(*columns, strict=True)]


def _put_together(record: Record) -> list[Any]:
    """The values of a codec's record; their bare parts where the codec is not here."""
    rows = taken_apart(record)
    try:
        codec = codec_named(record.type)
    except Missing as missing:
        label = f"value of codec {record.type!r} ({missing.words})"
        return [Stored(record.type, fields, attributes, label) for fields, attributes in rows]
    facts = {attributes: json.loads(attributes) for attributes in {attributes for _, attributes in rows}}
    return [codec.decode(fields, facts[attributes]) for fields, attributes in rows]


def _leaf_values(leaf: Leaf) -> list[Any]:
    rows = leaf.rows
    if isinstance(rows, list) and leaf.type == "scalar":
        return [np.str_(text) for text in rows]
    if isinstance(rows, list):
        return [int(text) for text in rows] if leaf.type == "int" else list(rows)
    if leaf.type == "array":
        return list(rows) if rows.ndim > 1 else [np.array(v, rows.dtype) for v in rows]
    if leaf.type == "scalar":
        return list(rows)
    if leaf.type == "tuple":
        return [tuple(row) for row in rows.tolist()]
    return list(rows.tolist())


def _ragged_values(node: Ragged) -> list[Any]:
    sizes = node.sizes
    flat = np.split(node.values, np.cumsum(sizes)[:-1]) if len(sizes) else []
    if node.type == "scalar":
        return [np.bytes_(piece.tobytes()) for piece in flat]
    if node.type == "bytes":
        return [piece.tobytes() for piece in flat]
    if node.type == "np.str":
        return [np.str_(piece.tobytes().decode("utf-8", "surrogatepass")) for piece in flat]
    if node.type == "str":
        return [piece.tobytes().decode("utf-8", "surrogatepass") for piece in flat]
    arrays = [piece.reshape(shape) for piece, shape in zip(flat, node.shapes, strict=True)]
    if node.type == "array":
        return arrays
    lists = [array.tolist() for array in arrays]
    return [tuple(v) for v in lists] if node.type == "tuple" else lists


def as_array(column: Column) -> Array:
    """The column as users compute with it.

    Returns
    -------
    ndarray
        Shape ``(n, *shape)``. Where rows are absent: NaN or NaT if the type has it, otherwise a masked
        array. An object array where values are ragged, text, composite or of types that do not mix
        without loss.
    """
    dense = in_one_array(column)
    missing = ~column.present()
    if dense is None:
        dense = objects([None if value is ABSENT else value for value in decode(column)])
    if missing.any() and dense.dtype.kind not in "fcmM":
        return np.ma.MaskedArray(dense, np.broadcast_to(_tall(missing, dense.ndim), dense.shape))
    return dense


def in_one_array(column: Column) -> Array | None:
    """The column as one array of numbers, times or quantities, or nothing."""
    dense = _dense(column)
    return _gathered(column) if dense is None else dense


def _gathered(column: Column) -> Array | None:
    """Values of one codec that has an array for many of them, as quantities and times have."""
    if len(column.variants) != 1:
        return None
    at, node = column.variants[0]
    if not isinstance(node, Record) or node.type in ("dict", "mapping") or not node.attributes:
        return None
    try:
        gather = codec_named(node.type).gather
    except Missing:
        return None
    fields = node.fields if at is None else {k: v.spread(column.n, at) for k, v in node.fields.items()}
    if gather is None:
        return None
    arrays = {name: as_array(field) for name, field in fields.items()}
    together: Array | None = gather(arrays, json.loads(node.attributes))
    return together


def _tall(mask: Array, ndim: int) -> Array:
    return mask.reshape(-1, *[1] * (ndim - 1))


def _dense(column: Column) -> Array | None:
    """Numeric rows of one shape in one array, or nothing."""
    leaves = [node for _, node in column.variants]
    if not leaves or not all(isinstance(leaf, Leaf) and _is_numeric(leaf) for leaf in leaves):
        return None
    arrays = [np.asarray(leaf.rows) for leaf in leaves if isinstance(leaf, Leaf)]
    if column.whole is not None:
        return arrays[0]
    if len({a.shape[1:] for a in arrays}) > 1:
        return None
    dtype = arrays[0].dtype if len(arrays) == 1 else _common(arrays)
    if dtype is None:
        return None
    out = _empty((column.n, *arrays[0].shape[1:]), dtype)
    for (positions, _), array in zip(column.variants, arrays, strict=True):
        out[slice(None) if positions is None else positions] = array
    return out


def _is_numeric(leaf: Leaf) -> bool:
    return leaf.type in ("bool", "int", "float", "complex", "scalar", "array") and leaf.dtype != "str"


def _common(arrays: list[Array]) -> np.dtype[Any] | None:
    """The type that holds all these numbers exactly, if there is one."""
    if {a.dtype.kind for a in arrays} - set("iufc"):
        return None
    dtype = np.result_type(*arrays)
    return dtype if all(_fits(array, dtype) for array in arrays) else None


def _fits(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether a wider type holds these numbers exactly: floats hold integers up to their mantissa."""
    if array.dtype.kind not in "iu" or dtype.kind in "iu" or not array.size:
        return True
    most: int = 2 ** (int(np.finfo(dtype).nmant) + 1)
    return -most <= int(array.min()) and int(array.max()) <= most


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    if dtype.kind in "mM":
        return np.full(shape, "NaT", dtype)
    return np.full(shape, np.nan, dtype) if dtype.kind in "fc" else np.zeros(shape, dtype)


def stacked(n: int, parts: Sequence[tuple[Index, Column]]) -> Column:
    """One column of ``n`` rows from columns of some of them each; values of one type lie together."""
    parts = [(rows, column) for rows, column in parts if column.variants]
    if len(parts) == 1:
        rows, column = parts[0]
        return column if len(rows) == n and np.array_equal(rows, np.arange(n)) else column.spread(n, rows)
    leaves = [column.whole for _, column in parts]
    if len({leaf.signature for leaf in leaves if leaf is not None}) == 1 and all(
        isinstance(leaf, Leaf) and isinstance(leaf.rows, np.ndarray) for leaf in leaves
    ):
        joined = np.concatenate([leaf.rows for leaf in leaves if isinstance(leaf, Leaf)])
        whole: Node = Leaf(leaves[0].type, joined)  # type: ignore[union-attr]
        return _in_order(n, np.concatenate([rows for rows, _ in parts]), whole_column(whole))
    values = [
        (row, value)
        for rows, column in parts
        for row, value in zip(rows.tolist(), decode(column), strict=True)
    ]
    there = [(row, value) for row, value in values if value is not ABSENT]
    if not there:
        return Column(n, ())
    return _in_order(n, np.array([row for row, _ in there]), encode([value for _, value in there]))


def _in_order(n: int, rows: Index, column: Column) -> Column:
    order = np.argsort(rows)
    column = column.take(order)
    return column if len(rows) == n else column.spread(n, rows[order])


def part(column: Column, name: str) -> Column | None:
    """One part of a column's values: a dictionary's key, a table's column, a field.

    Returns
    -------
    Column or None
        With as many rows; absent where a value has no such part. None if no value has it.
    """
    variants: list[tuple[Index | None, Node]] = []
    for at, node in column.variants:
        if not isinstance(node, Record):
            continue
        if node.type == "mapping" or not node.attributes:
            inner = _from_values(whole_column(node), name)
        else:
            inner = node.fields.get(name)
        if inner is not None:
            variants += (inner if at is None else inner.spread(column.n, at)).variants
    return Column(column.n, tuple(variants)) if variants else None


def _from_values(column: Column, name: str) -> Column | None:
    """Where keys are kept row by row, each row tells whether it has this one."""
    parts = [
        value[name] if isinstance(value, (dict, Stored)) and name in value else ABSENT
        for value in decode(column)
    ]
    having = [i for i, value in enumerate(parts) if value is not ABSENT]
    if not having:
        return None
    return encode([parts[i] for i in having]).spread(column.n, np.array(having))
