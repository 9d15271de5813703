"""pandas' tables: a column of the file per column of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from simkit.errors import Unstorable
from simkit.values.codecs import Kept, Parts, attributes_of
from simkit.values.extension import plain

Facts = Mapping[str, Any]
_RESERVED = ("index", "columns", "attrs", "name")


def codec_of(kind: type) -> Kept | None:
    """The codec of a DataFrame, a Series or an Index."""
    if issubclass(kind, pd.Index) and kind.__module__.startswith("pandas"):
        return CODECS["pandas.Index"]
    return {pd.DataFrame: CODECS["pandas.DataFrame"], pd.Series: CODECS["pandas.Series"]}.get(kind)


# A name is any hashable; the usual ones are attributes, others a part


def _named(name: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """As parts and as attributes."""
    if name is None:
        return {}, {}
    return ({}, {"name": name}) if type(name) in (str, int) else ({"name": name}, {})


def _name(parts: Facts, facts: Facts) -> Any:
    return parts["name"] if "name" in parts else facts.get("name")


# Index


def _index(index: pd.Index) -> Parts:
    if isinstance(index, pd.MultiIndex):
        parts = {
            "levels": list(index.levels),
            "codes": [np.asarray(code) for code in index.codes],
            "names": list(index.names),
        }
        return Parts(parts, attributes_of(kind="multi"))
    parts, facts = _named(index.name)
    if isinstance(index, pd.RangeIndex):
        ends = {"start": index.start, "stop": index.stop, "step": index.step}
        return Parts({**ends, **parts}, _range_facts(facts.get("name")))
    freq = getattr(index, "freq", None) if index.dtype.kind in "mM" else None
    if freq is not None:
        facts["freq"] = _frequency(freq)
    return Parts({"values": plain(index), **parts}, attributes_of(kind="flat", **facts))


@lru_cache(maxsize=1024)
def _range_facts(name: Any) -> str:
    return attributes_of(kind="range", **({} if name is None else {"name": name}))


def _frequency(freq: Any) -> str:
    told = str(freq.freqstr)
    try:
        is_told = pd.tseries.frequencies.to_offset(told) == freq
    except ValueError:
        is_told = False
    if not is_told:
        raise Unstorable("", f"an index of frequency {told}")
    return told


def _index_back(parts: Facts, facts: Facts) -> pd.Index:
    if facts["kind"] == "multi":
        codes = [code.astype("i8") for code in parts["codes"]]
        return pd.MultiIndex(parts["levels"], codes, names=parts["names"], verify_integrity=False)
    name = _name(parts, facts)
    if facts["kind"] == "range":
        return pd.RangeIndex(parts["start"], parts["stop"], parts["step"], name=name)
    values = parts["values"]
    index = pd.Index(values, dtype=values.dtype, name=name)
    if "freq" in facts:
        kind: Any = type(index)
        return kind(index, freq=facts["freq"])
    return index


# Series


def _series(series: pd.Series) -> Parts:
    parts, facts = _named(series.name)
    return Parts(
        {"values": plain(series), "index": series.index, **parts, **_attrs(series)},
        attributes_of(**facts, **_flags(series)),
    )


def _attrs(thing: Any) -> dict[str, Any]:
    return {"attrs": dict(thing.attrs)} if thing.attrs else {}


def _flags(thing: Any) -> dict[str, Any]:
    return {} if thing.flags.allows_duplicate_labels else {"unique_labels": True}


def _series_back(parts: Facts, facts: Facts) -> pd.Series:
    values = parts["values"]
    series = pd.Series(values, parts["index"], dtype=values.dtype, name=_name(parts, facts), copy=False)
    return _dressed(series, parts, facts)


def _dressed(thing: Any, parts: Facts, facts: Facts) -> Any:
    if "attrs" in parts:
        thing.attrs = parts["attrs"]
    if facts.get("unique_labels"):
        thing.flags.allows_duplicate_labels = False
    return thing


# DataFrame


@lru_cache(maxsize=1024)
def _layout(labels: tuple[str, ...], dtype: str, unique: bool) -> tuple[tuple[str, ...], str]:
    """The parts that hold the columns of these labels, and the attributes."""
    free = len(set(labels)) == len(labels)
    fits = [free and label.isidentifier() and label not in _RESERVED for label in labels]
    fields = tuple(
        label if ok else f"column_{i}" for i, (label, ok) in enumerate(zip(labels, fits, strict=True))
    )
    if len(set(fields)) < len(fields):  # a label is called so
        fields = tuple(f"column_{i}" for i in range(len(labels)))
    facts = {"labels": list(labels), "fields": list(fields), "dtype": dtype}
    return fields, attributes_of(**facts, **({"unique_labels": True} if unique else {}))


def _frame(frame: pd.DataFrame) -> Parts:
    labels = frame.columns
    unique = not frame.flags.allows_duplicate_labels
    columns = [_held(frame, i) for i in range(len(labels))]
    parts: dict[str, Any] = {"index": frame.index}
    names = _text_labels(labels)
    if names is None:
        fields: Sequence[str] = [f"column_{i}" for i in range(len(labels))]
        parts["columns"] = labels
        told = attributes_of(**_flags(frame))
    else:
        fields, told = _layout(tuple(names), str(labels.dtype), unique)
    parts.update(zip(fields, columns, strict=True))
    return Parts({**parts, **_attrs(frame)}, told)


def _taken(frame: pd.DataFrame) -> Parts:
    """The parts of a frame with numbers of their own; cells that are objects, and attributes, are left to `taken`."""
    parts = _frame(frame)
    fields: Any = parts.fields
    is_own = not frame.attrs
    for name, values in fields.items():
        if type(values) is np.ndarray and values.dtype.kind in "biufcmM":
            fields[name] = values.copy()
        elif name not in ("index", "columns"):  # which never change
            is_own = False
    parts.is_own = is_own
    return parts


def _held(frame: Any, i: int) -> Any:
    """The values of a column, without a Series around them, which would cost ten times as much."""
    values = frame._get_column_array(i) if hasattr(frame, "_get_column_array") else frame.iloc[:, i].array
    return (
        values.to_numpy() if isinstance(values.dtype, np.dtype) and type(values) is not np.ndarray else values
    )


def _text_labels(labels: pd.Index) -> list[str] | None:
    """The labels where they are text and nothing but text."""
    dtype = labels.dtype
    if labels.name is not None or type(labels) is not pd.Index or str(dtype) not in ("object", "str"):
        return None
    is_arrow = getattr(dtype, "storage", "") == "pyarrow"  # whose own list takes a third of the time
    names: list[Any] = labels.array.__arrow_array__().to_pylist() if is_arrow else labels.tolist()
    return names if all(type(name) is str for name in names) else None


def _frame_back(parts: Facts, facts: Facts) -> pd.DataFrame:
    index = parts["index"]
    if "labels" in facts:
        fields, labels = facts["fields"], _labels(tuple(facts["labels"]), facts["dtype"])
    else:
        labels = parts["columns"]
        fields = [f"column_{i}" for i in range(len(labels))]
    columns = {i: _column(parts[field], index) for i, field in enumerate(fields)}
    frame = pd.DataFrame(columns, index, copy=False)
    frame.columns = labels
    return _dressed(frame, parts, facts)


@lru_cache(maxsize=1024)
def _labels(names: tuple[str, ...], dtype: str) -> pd.Index:
    return pd.Index(list(names), dtype=dtype)


def _column(values: Any, index: pd.Index) -> Any:
    """A column as it was: objects are not looked at for a better type."""
    if isinstance(values, np.ndarray) and values.dtype == object:
        return pd.Series(values, index, dtype=object, copy=False)
    return values


CODECS = {
    "pandas.DataFrame": Kept("pandas.DataFrame", _frame, _frame_back, take=_taken),
    "pandas.Series": Kept("pandas.Series", _series, _series_back),
    "pandas.Index": Kept("pandas.Index", _index, _index_back),
}
