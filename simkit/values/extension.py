"""pandas' own arrays and scalars: nullable, categorical, zoned times, periods, intervals, text, sparse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from simkit.errors import Unstorable
from simkit.values.codecs import Kept, Parts, attributes_of
from simkit.values.natives import zone_facts, zone_of



def codec_of(kind: type) -> Kept | None:
    """The codec of pandas' arrays and scalars."""
    if issubclass(kind, pd.api.extensions.ExtensionArray):
        return CODECS["pandas.array"]
    return _SCALARS.get(kind)


# Arrays: by the kind of their dtype


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
    told = str(array.dtype)
    try:
        is_told = _arrow_dtype(told) == array.dtype
    except (TypeError, NotImplementedError):
        is_told = False
    if not is_told:
        raise Unstorable("", f"a pandas array of dtype {told}")
    cells = [None if missing else cell for cell, missing in zip(array.tolist(), array.isna(), strict=True)]
    return {"cells": cells}, {"dtype": told}


def _arrow_back(parts: Facts, facts: Facts) -> Any:
    dtype = _arrow_dtype(facts["dtype"])
    if dtype.kind != "f":
        return pd.array(parts["cells"], dtype=dtype)
    import pyarrow as pa

    # pandas would take NaN for a missing number
    return pd.arrays.ArrowExtensionArray(pa.array(parts["cells"], dtype.pyarrow_dtype))


def _arrow_dtype(told: str) -> Any:
    """The dtype of this name; pandas takes Arrow's text for its own."""
    if told != "string[pyarrow]":
        return pd.api.types.pandas_dtype(told)
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


# Scalars


def _timestamp(value: pd.Timestamp) -> Parts:
    zone = zone_facts(value.tzinfo)
    plain_time = value.tz_convert("UTC").tz_localize(None) if zone else value
    return Parts({"time": plain_time.to_datetime64()}, attributes_of(**zone))


def _timestamp_back(parts: Facts, facts: Facts) -> Any:
    found = pd.Timestamp(parts["time"])
    return found.tz_localize("UTC").tz_convert(zone_of(facts)) if facts else found


def _interval_ends(value: Any) -> Parts:
    return Parts({"left": value.left, "right": value.right}, attributes_of(closed=value.closed))


_SCALARS: dict[type, Kept] = {
    pd.Timestamp: Kept(
        "pandas.Timestamp",
        _timestamp,
        _timestamp_back,
        lambda arrays, facts: None if facts else arrays["time"],
    ),
    pd.Timedelta: Kept(
        "pandas.Timedelta",
        lambda value: Parts({"time": value.to_timedelta64()}),
        lambda parts, _: pd.Timedelta(parts["time"]),
        lambda arrays, _: arrays["time"],
    ),
    pd.Period: Kept(
        "pandas.Period",
        lambda value: Parts({"ordinal": value.ordinal}, attributes_of(freq=value.freqstr)),
        lambda parts, facts: pd.Period(ordinal=parts["ordinal"], freq=facts["freq"]),
    ),
    pd.Interval: Kept(
        "pandas.Interval",
        _interval_ends,
        lambda parts, facts: pd.Interval(parts["left"], parts["right"], closed=facts["closed"]),
    ),
    type(pd.NA): Kept("pandas.NA", lambda _: Parts({}), lambda *_: pd.NA),
    type(pd.NaT): Kept("pandas.NaT", lambda _: Parts({}), lambda *_: pd.NaT),
}
CODECS = {
    "pandas.array": Kept("pandas.array", _encode, _decode),
    **{codec.name: codec for codec in _SCALARS.values()},
}
