"""When has a value come back as it was? Same type and same bits, all the way down."""

from __future__ import annotations

import array
import dataclasses
import random
import struct
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pandas as pd
import scipy.sparse as sp


def identical(one: Any, other: Any) -> bool:
    """Whether two values are the same in everything that can be asked of them."""
    if type(one) is not type(other):
        return False
    state = _state(one)
    if state is not None:
        return identical(state, _state(other))
    for kind, check in _CHECKS:
        if isinstance(one, kind):
            return check(one, other)
    parts = _parts(one)
    if parts is not None:
        return identical(parts, _parts(other))
    return bool(one == other)


def all_identical(ones: list[Any], others: list[Any]) -> bool:
    return len(ones) == len(others) and all(map(identical, ones, others))


def _parts(value: Any) -> dict[str, Any] | None:
    kind = type(value)
    if attrs.has(kind):
        return {field.name: getattr(value, field.name) for field in attrs.fields(kind)}
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(kind)}
    return None


_EXTENDED = (dict, list, tuple, set, frozenset, str, bytes, int, float, complex)


_STATES: dict[Any, Callable[[Any], Any]] = {
    np.random.RandomState: lambda value: value.get_state(legacy=False),
    random.Random: lambda value: list(value.getstate()),
    np.random.SeedSequence: lambda value: [
        value.entropy,
        value.spawn_key,
        value.n_children_spawned,
        list(value.pool),
    ],
    array.array: lambda value: [value.typecode, value.tolist()],
    np.poly1d: lambda value: [value.coeffs, value.variable],
}


def _state(value: Any) -> Any:
    """All that there is to a value whose comparison says less, or nothing; None for others."""
    kind = type(value)
    if kind in _STATES:
        return _STATES[kind](value)
    if kind.__module__ == "networkx.classes.coreviews":  # the edges between two nodes of a multigraph
        return {key: dict(facts) for key, facts in value.items()}
    if kind.__module__.startswith("networkx."):
        order = [value.succ, value.pred] if value.is_directed() else [value.adj]
        neighbours = [{node: dict(each) for node, each in one.items()} for one in order]
        return [
            neighbours,
            [list(each) for one in neighbours for each in one.values()],
            dict(value.nodes),
            value.graph,
        ]
    if kind.__module__.startswith(("scipy.integrate", "scipy.optimize")):
        # attributes are in the order in which they were set, which a copy changes
        return dict(value) if isinstance(value, dict) else dict(sorted(vars(value).items()))
    return _extended(value) if kind.__module__.startswith("kinds.libraries") else None


def _extended(value: Any) -> Any:
    """The value as one of the type that its class extends, and its attributes; an array's are compared as such."""
    extends = next((base for base in _EXTENDED if isinstance(value, base)), None)
    slots = {name: getattr(value, name) for name in getattr(value, "__slots__", ()) if hasattr(value, name)}
    return None if extends is None else [extends(value), {**getattr(value, "__dict__", {}), **slots}]


# NumPy


def same_numbers(one: Any, other: Any) -> bool:
    """Whether the elements of two arrays of one dtype and shape have the same bits."""
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype.names is not None:
        return all(same_numbers(one[name], other[name]) for name in one.dtype.names)
    if one.dtype.kind == "c":
        return same_numbers(one.real, other.real) and same_numbers(one.imag, other.imag)
    if one.dtype.char == "g":  # its padding bytes mean nothing
        return bool(
            np.array_equal(one, other, equal_nan=True) and (np.signbit(one) == np.signbit(other)).all()
        )
    if one.dtype.kind in "OT":
        return all_identical(one.ravel().tolist(), other.ravel().tolist())
    return one.tobytes() == other.tobytes()


def same_dtype(one: Any, other: Any) -> bool:
    """Whether two dtypes are the same in memory too."""
    if one.kind == "T":
        return repr(one) == repr(other)
    return bool(one == other) and (one.str, one.isalignedstruct, one.fields) == (
        other.str, other.isalignedstruct, other.fields,
    )  # fmt: skip


def _arrays(one: Any, other: Any) -> bool:
    return same_dtype(one.dtype, other.dtype) and one.shape == other.shape and same_numbers(one, other)


def _masked(one: Any, other: Any) -> bool:
    if one is np.ma.masked:
        return other is np.ma.masked
    return (
        _arrays(np.ma.getdata(one), np.ma.getdata(other))
        and identical(one.mask, other.mask)
        and identical(one.hardmask, other.hardmask)
        and identical(one.view().fill_value, other.view().fill_value)  # reading it sets it
    )


def _generators(one: Any, other: Any) -> bool:
    return type(one.bit_generator) is type(other.bit_generator) and identical(
        one.bit_generator.state, other.bit_generator.state
    )


# SciPy


def _sparse(one: Any, other: Any) -> bool:
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    if one.format == "lil":
        return identical([list(r) for r in one.rows], [list(r) for r in other.rows]) and identical(
            [list(r) for r in one.data], [list(r) for r in other.data]
        )
    if one.format == "dok":  # keys are integers of whatever type they were set with
        return list(one.keys()) == list(other.keys()) and identical(list(one.values()), list(other.values()))
    names = {"coo": ("data", "coords"), "dia": ("data", "offsets")}
    return all(
        identical(getattr(one, n), getattr(other, n))
        for n in names.get(one.format, ("data", "indices", "indptr"))
    )


# pandas


def _frames(one: Any, other: Any) -> bool:
    return (
        one.shape == other.shape
        and identical(one.columns, other.columns)
        and identical(one.index, other.index)
        and all(identical(one.iloc[:, i].array, other.iloc[:, i].array) for i in range(one.shape[1]))
        and _same_dress(one, other)
    )


def _same_dress(one: Any, other: Any) -> bool:
    return one.flags == other.flags and identical(dict(one.attrs), dict(other.attrs))


def _series(one: Any, other: Any) -> bool:
    same = identical(one.name, other.name) and identical(one.index, other.index)
    return same and identical(one.array, other.array) and _same_dress(one, other)


def _indices(one: Any, other: Any) -> bool:
    if not identical(list(one.names), list(other.names)) or one.dtype != other.dtype:
        return False
    if isinstance(one, pd.MultiIndex):
        codes = (list(map(np.asarray, index.codes)) for index in (one, other))
        return identical(list(one.levels), list(other.levels)) and identical(*codes)
    if isinstance(one, pd.RangeIndex):
        return (one.start, one.stop, one.step) == (other.start, other.stop, other.step)
    freqs = [getattr(index, "freq", None) for index in (one, other)]
    return freqs[0] == freqs[1] and identical(one.array, other.array)


def _extension(one: Any, other: Any) -> bool:
    return (
        identical(str(one.dtype), str(other.dtype))
        and one.dtype == other.dtype
        and identical(*map(_content, (one, other)))
    )


def _content(array: Any) -> Any:
    """What a pandas array holds, in NumPy's terms."""
    if isinstance(array, pd.Categorical):
        return [np.asarray(array.codes), array.categories, array.ordered]
    if isinstance(array, pd.arrays.SparseArray):
        return [array.sp_values, array.sp_index.indices, array.kind, array.fill_value]
    if isinstance(array, pd.arrays.IntervalArray):
        return [array.left, array.right]
    if hasattr(array, "_mask"):
        shown = np.where(array._mask, np.zeros(1, array._data.dtype), array._data)
        return [shown, array._mask]
    if hasattr(array, "_pa_array"):  # Arrow tells NaN from missing
        return [(cell.is_valid, cell.as_py()) for cell in array._pa_array]
    if hasattr(array, "asi8"):
        return array.asi8
    return array.to_numpy() if isinstance(array, pd.arrays.NumpyExtensionArray) else array.astype(object)


# Brian2


def _has_dimensions(value: Any) -> bool:
    return hasattr(value, "dim") and isinstance(value, np.ndarray)


def _ndarrays(one: Any, other: Any) -> bool:
    if isinstance(one, np.ma.MaskedArray):
        return _masked(one, other)
    if _has_dimensions(one) and one.dim is not other.dim:
        return False
    facts = ("scale", "name", "dispname", "latexname", "iscompound") if hasattr(one, "dispname") else ()
    return all(getattr(one, fact) == getattr(other, fact) for fact in facts) and _arrays(one, other)


# Python's


def _floats(one: float, other: float) -> bool:
    return struct.pack("d", one) == struct.pack("d", other)


def _sets(one: Any, other: Any) -> bool:
    left = list(other)
    for item in one:
        found = next((i for i, there in enumerate(left) if identical(item, there)), None)
        if found is None:
            return False
        del left[found]
    return not left


def _times(one: Any, other: Any) -> bool:
    return repr(one) == repr(other) and getattr(one, "fold", 0) == getattr(other, "fold", 0)


def _dictionaries(one: Any, other: Any) -> bool:
    return identical(list(one.items()), list(other.items()))


def _checks() -> list[tuple[Any, Callable[[Any, Any], bool]]]:
    import datetime as dt
    import decimal
    import enum
    from collections import deque

    missing = (type(pd.NA), type(pd.NaT))
    return [
        (missing, lambda one, other: one is other),
        (enum.Enum, lambda one, other: one is other),
        (np.ndarray, _ndarrays),
        (np.generic, _arrays),
        (pd.DataFrame, _frames),
        (pd.Series, _series),
        (pd.Index, _indices),
        (pd.api.extensions.ExtensionArray, _extension),
        ((pd.Timestamp, pd.Timedelta), lambda one, other: _times(one, other) and one.unit == other.unit),
        (sp.sparray | sp.spmatrix, _sparse),
        (np.random.Generator, _generators),
        ((list, tuple), lambda one, other: all_identical(list(one), list(other))),
        (deque, lambda one, other: one.maxlen == other.maxlen and all_identical(list(one), list(other))),
        (dict, _dictionaries),
        ((set, frozenset), _sets),
        (float, _floats),
        (complex, lambda one, other: _floats(one.real, other.real) and _floats(one.imag, other.imag)),
        ((dt.date, dt.time, dt.timedelta), _times),
        (decimal.Decimal, lambda one, other: one.as_tuple() == other.as_tuple()),
        (
            slice,
            lambda one, other: all_identical(
                [one.start, one.stop, one.step], [other.start, other.stop, other.step]
            ),
        ),
    ]


_CHECKS = _checks()
