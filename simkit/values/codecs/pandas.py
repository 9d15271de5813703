"""pandas' tables, indexes, arrays and scalars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from simkit.declare.plugins import Codec, Facts, Parts
from simkit.declare.reflection import module_of
from simkit.errors import Unstorable
from simkit.values.codecs.python import zone_facts, zone_of
from simkit.values.registry import attributes_of


def _encode(array: Any) -> Parts:
    kind = next((name for name, (dtype, _, _) in _KINDS.items() if isinstance(array.dtype, dtype)), None)
    if kind is None:
        raise Unstorable("", f"a pandas array of dtype {array.dtype}")
    parts, facts = _KINDS[kind][1](array)
    return Parts(parts, attributes_of(kind=kind, **facts), {"dtype": str(array.dtype)})


def _decode(parts: Facts, facts: Facts) -> Any:
    return _KINDS[facts["kind"]][2](parts, facts)


def _categorical(array: Any) -> tuple[Facts, Facts]:
    return {"codes": np.asarray(array.codes), "categories": array.categories}, {
        "ordered": bool(array.ordered)
    }


def _categorical_back(parts: Facts, facts: Facts) -> Any:
    dtype = pd.CategoricalDtype(parts["categories"], ordered=facts["ordered"])
    return pd.Categorical.from_codes(parts["codes"], dtype=dtype)


def _zoned(array: Any) -> tuple[Facts, Facts]:
    times = array.tz_convert("UTC").tz_localize(None).to_numpy()
    return {"times": times}, zone_facts(array.dtype.tz)


def _zoned_back(parts: Facts, facts: Facts) -> Any:
    return pd.DatetimeIndex(parts["times"]).tz_localize("UTC").tz_convert(zone_of(facts)).array


def _period(array: Any) -> tuple[Facts, Facts]:
    return {"ordinals": np.asarray(array.asi8)}, {"dtype": str(array.dtype)}


def _period_back(parts: Facts, facts: Facts) -> Any:
    return pd.arrays.PeriodArray(parts["ordinals"], dtype=pd.PeriodDtype(facts["dtype"][7:-1]))


def _interval(array: Any) -> tuple[Facts, Facts]:
    return {"left": plain(array.left), "right": plain(array.right)}, {"closed": array.closed}


def _interval_back(parts: Facts, facts: Facts) -> Any:
    return pd.arrays.IntervalArray.from_arrays(parts["left"], parts["right"], closed=facts["closed"])


def _text(array: Any) -> tuple[Facts, Facts]:
    missing = "nan" if isinstance(array.dtype.na_value, float) else "NA"
    cells = array.to_numpy(object, na_value=None).tolist()
    return {"cells": cells}, {"storage": array.dtype.storage, "missing": missing}


def _text_back(parts: Facts, facts: Facts) -> Any:
    marker = np.nan if facts["missing"] == "nan" else pd.NA
    try:
        dtype = pd.StringDtype(facts["storage"], na_value=marker)
    except ImportError:  # recorded where PyArrow was installed
        dtype = pd.StringDtype("python", na_value=marker)
    return pd.array(parts["cells"], dtype=dtype)


def _sparse(array: Any) -> tuple[Facts, Facts]:
    parts = {
        "values": array.sp_values,
        "at": array.sp_index.indices,
        "length": len(array),
        "fill": array.fill_value,
    }
    return parts, {"index": array.kind, "dtype": str(array.dtype.subtype)}


def _sparse_back(parts: Facts, facts: Facts) -> Any:
    if hasattr(pd.arrays.SparseArray, "from_indices"):  # since pandas 3.1
        return pd.arrays.SparseArray.from_indices(
            parts["values"], parts["at"], parts["length"], parts["fill"], facts["index"], facts["dtype"]
        )
    from pandas._libs.sparse import IntIndex  # no public way led to one

    index = IntIndex(parts["length"], parts["at"].astype("i4"))
    index = index.to_block_index() if facts["index"] == "block" else index
    dtype = pd.SparseDtype(np.dtype(facts["dtype"]), parts["fill"])
    return pd.arrays.SparseArray(parts["values"], sparse_index=index, fill_value=parts["fill"], dtype=dtype)


def _nullable(array: Any) -> tuple[Facts, Facts]:
    dtype = getattr(array.dtype, "numpy_dtype", np.dtype(bool))
    parts = {"values": array.to_numpy(dtype, na_value=0), "missing": np.asarray(array.isna())}
    return parts, {"dtype": str(array.dtype)}


def _nullable_back(parts: Facts, facts: Facts) -> Any:
    dtype: Any = pd.api.types.pandas_dtype(facts["dtype"])
    return dtype.construct_array_type()(parts["values"], parts["missing"])


def _arrow(array: Any) -> tuple[Facts, Facts]:
    name = str(array.dtype)
    try:
        says_all = _arrow_dtype(name) == array.dtype
    except (TypeError, NotImplementedError):
        says_all = False
    if not says_all:
        raise Unstorable("", f"a pandas array of dtype {name}")
    cells = [None if missing else cell for cell, missing in zip(array.tolist(), array.isna(), strict=True)]
    return {"cells": cells}, {"dtype": name}


def _arrow_back(parts: Facts, facts: Facts) -> Any:
    dtype = _arrow_dtype(facts["dtype"])
    if dtype.kind != "f":
        return pd.array(parts["cells"], dtype=dtype)
    import pyarrow as pa

    # pandas would take NaN for a missing number
    return pd.arrays.ArrowExtensionArray(pa.array(parts["cells"], dtype.pyarrow_dtype))


def _arrow_dtype(name: str) -> Any:
    """The dtype of this name; pandas takes Arrow's text for its own."""
    if name != "string[pyarrow]":
        return pd.api.types.pandas_dtype(name)
    import pyarrow as pa

    return pd.ArrowDtype(pa.string())


def _numpy(array: Any) -> tuple[Facts, Facts]:
    kind = {"M": "DatetimeArray", "m": "TimedeltaArray"}.get(array.dtype.kind, "NumpyExtensionArray")
    return {"values": array.to_numpy()}, {"class": kind}


def _numpy_back(parts: Facts, facts: Facts) -> Any:
    if facts["class"] == "NumpyExtensionArray":
        return pd.arrays.NumpyExtensionArray(parts["values"])
    return pd.array(parts["values"], dtype=parts["values"].dtype)


_NULLABLE = (
    *(getattr(pd, f"{sign}Int{bits}Dtype") for sign in ("", "U") for bits in (8, 16, 32, 64)),
    *(pd.Float32Dtype, pd.Float64Dtype, pd.BooleanDtype),
)
_KINDS: dict[str, tuple[Any, Callable[[Any], tuple[Facts, Facts]], Callable[[Facts, Facts], Any]]] = {
    "categorical": (pd.CategoricalDtype, _categorical, _categorical_back),
    "zoned": (pd.DatetimeTZDtype, _zoned, _zoned_back),
    "period": (pd.PeriodDtype, _period, _period_back),
    "interval": (pd.IntervalDtype, _interval, _interval_back),
    "text": (pd.StringDtype, _text, _text_back),
    "sparse": (pd.SparseDtype, _sparse, _sparse_back),
    "nullable": (_NULLABLE, _nullable, _nullable_back),
    "arrow": (pd.ArrowDtype, _arrow, _arrow_back),
    "numpy": ((np.dtype, type(pd.arrays.NumpyExtensionArray(np.zeros(0)).dtype)), _numpy, _numpy_back),
}


def plain(thing: Any) -> Any:
    """The values of an Index or Series: NumPy's array where its dtype is NumPy's, else pandas' own."""
    return thing.to_numpy() if isinstance(thing.dtype, np.dtype) else thing.array


def _timestamp(value: pd.Timestamp) -> Parts:
    zone = zone_facts(value.tzinfo)
    plain_time = value.tz_convert("UTC").tz_localize(None) if zone else value
    return Parts({"time": plain_time.to_datetime64()}, attributes_of(**zone))


def _timestamp_back(parts: Facts, facts: Facts) -> Any:
    time = pd.Timestamp(parts["time"])
    return time.tz_localize("UTC").tz_convert(zone_of(facts)) if facts else time


def _interval_ends(value: Any) -> Parts:
    return Parts({"left": value.left, "right": value.right}, attributes_of(closed=value.closed))


_RESERVED = ("index", "columns", "attrs", "name")


def _named(name: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """As parts and as attributes."""
    if name is None:
        return {}, {}
    return ({}, {"name": name}) if type(name) in (str, int) else ({"name": name}, {})


def _name(parts: Facts, facts: Facts) -> Any:
    return parts["name"] if "name" in parts else facts.get("name")


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
    name = str(freq.freqstr)
    try:
        says_all = pd.tseries.frequencies.to_offset(name) == freq
    except ValueError:
        says_all = False
    if not says_all:
        raise Unstorable("", f"an index of frequency {name}")
    return name


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
        attributes = attributes_of(**_flags(frame))
    else:
        fields, attributes = _layout(tuple(names), str(labels.dtype), unique)
    parts.update(zip(fields, columns, strict=True))
    return Parts({**parts, **_attrs(frame)}, attributes)


def _taken(frame: pd.DataFrame) -> Parts:
    """The parts of a frame with numbers of their own; objects in cells and attributes are left to `take_apart`."""
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


def _is_index(kind: type) -> bool:
    return issubclass(kind, pd.Index) and module_of(kind).startswith("pandas")


def _is_array(kind: type) -> bool:
    return issubclass(kind, pd.api.extensions.ExtensionArray)


CODECS = (
    Codec("pandas.DataFrame", pd.DataFrame, _frame, _frame_back, take=_taken),
    Codec("pandas.Series", pd.Series, _series, _series_back),
    Codec("pandas.Index", _is_index, _index, _index_back, mutable=False),
    Codec("pandas.array", _is_array, _encode, _decode),
    Codec(
        "pandas.Timestamp",
        pd.Timestamp,
        _timestamp,
        _timestamp_back,
        mutable=False,
        gather=lambda arrays, facts: None if facts else arrays["time"],
    ),
    Codec(
        "pandas.Timedelta",
        pd.Timedelta,
        lambda value: Parts({"time": value.to_timedelta64()}),
        lambda parts, _: pd.Timedelta(parts["time"]),
        mutable=False,
        gather=lambda arrays, _: arrays["time"],
    ),
    Codec(
        "pandas.Period",
        pd.Period,
        lambda value: Parts({"ordinal": value.ordinal}, attributes_of(freq=value.freqstr)),
        lambda parts, facts: pd.Period(ordinal=parts["ordinal"], freq=facts["freq"]),
        mutable=False,
    ),
    Codec(
        "pandas.Interval",
        pd.Interval,
        _interval_ends,
        lambda parts, facts: pd.Interval(parts["left"], parts["right"], closed=facts["closed"]),
        mutable=False,
    ),
    Codec("pandas.NA", type(pd.NA), lambda _: Parts({}), lambda *_: pd.NA, mutable=False),
    Codec("pandas.NaT", type(pd.NaT), lambda _: Parts({}), lambda *_: pd.NaT, mutable=False),
)
