"""pandas' tables, indices, arrays and scalars."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

N = 6
_DAYS = pd.date_range("2020", periods=3, freq="D", name="day")


def _dressed(frame: Any, unique: bool = False, **facts: Any) -> Any:
    frame.attrs = facts
    return frame.set_flags(allows_duplicate_labels=not unique) if unique else frame


def _surveyed() -> dict[str, Any]:
    """The frames of the survey (spikes/ecosystem/dfr.py)."""
    cycle = pd.MultiIndex.from_product([["a", "b"], [1, 2, 3]], names=["k", None])
    labels = pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["p", "q"])
    return {
        "text": pd.DataFrame({"s": ["a", "é", None, "", "x\0y", "z"]}),
        "objects": pd.DataFrame({"s": pd.Series(["a", None, 1.5, b"x", [1, 2], {"k": 1}], dtype=object)}),
        "categories": pd.DataFrame(
            {"c": pd.Categorical(["b", "a", None, "b", "a", "b"], categories=["b", "a", "zz"], ordered=True)}
        ),
        "times": pd.DataFrame(
            {
                "t": pd.date_range("2026-10-24", periods=N, tz="Europe/Berlin", freq="12h"),
                "n": pd.date_range("2020", periods=N).astype("datetime64[s]"),
                "d": pd.to_timedelta(range(N), unit="s"),
            }
        ),
        "NaT": pd.DataFrame({"t": pd.to_datetime(["2020", None, "2021"] * 2)}),
        "MultiIndex": pd.DataFrame(np.arange(12.0).reshape(6, 2), index=cycle, columns=labels),
        "nullable": pd.DataFrame(
            {
                "i": pd.array([1, None, 3, 4, 5, 6], dtype="Int8"),
                "u": pd.array([2**64 - 1, None, 3, 4, 5, 6], dtype="UInt64"),
                "b": pd.array([True, None] * 3, dtype="boolean"),
                "f": pd.array([1.5, None] * 3, dtype="Float32"),
            }
        ),
        "numbers": pd.DataFrame(
            {
                "u8": np.arange(N, dtype="u1"), "f2": np.arange(N, dtype="f2"), "c": np.arange(N) * 1j,
                "nan": [np.nan, -0.0, np.inf, 1, 2, 3],
            }
        ),
        "labels are numbers": pd.DataFrame(np.ones((2, 3))),
        "labels twice": pd.DataFrame(np.arange(4.0).reshape(2, 2), columns=["a", "a"]),
        "periods": pd.DataFrame(
            {"p": pd.period_range("2020", periods=N, freq="M"), "iv": pd.interval_range(0, N)}
        ),
        "no rows": pd.DataFrame({"a": pd.Series([], dtype="Int64")}),
        "sparse": pd.DataFrame({"s": pd.arrays.SparseArray([0, 0, 1, 0, 0, 2])}),
        "text of several storages": pd.DataFrame(
            {key: pd.array(["a", None] * 3, dtype=f"string[{key}]") for key in ("pyarrow", "python")}
        ),
        "attrs": _dressed(pd.DataFrame({"a": [1]}), unit="mV", more={"k": [1, (2,)], "a": np.arange(2)}),
        "freq": pd.DataFrame({"a": range(3)}, index=_DAYS),
    }  # fmt: skip


def _labelled() -> dict[str, Any]:
    """Labels that are like the names simkit uses itself, or not text at all."""
    clash = ["index", "columns", "attrs", "name", "values", "0", "column_0", "column_1", "two words", "é", ""]
    ends = pd.Index(["a", "b"], name="fields")
    return {
        "labels clash": pd.DataFrame(np.arange(22.0).reshape(2, 11), columns=clash),
        "labels clash half": pd.DataFrame({"column_1": [1], "two words": ["x"]}),
        "labels have a name": pd.DataFrame(np.eye(2), columns=ends, index=pd.Index([5, 6], name=("a", 1))),
        "labels mixed": pd.DataFrame([[1, "a", 2.5, None]], columns=["a", 1, (1, 2), None]),
        "labels are tuples": pd.DataFrame(
            [[1, 2]], columns=pd.Index([("a",), ("b", 1)], tupleize_cols=False)
        ),
        "labels are objects": pd.DataFrame([[1, 2]], columns=pd.Index(["a", "b"], dtype=object)),
        "labels of pandas' text": pd.DataFrame([[1, 2]], columns=pd.Index(["a", "b"], dtype="string")),
        "labels are days": pd.DataFrame(np.ones((1, 3)), columns=_DAYS),
        "labels are categories": pd.DataFrame([[1, 2]], columns=pd.CategoricalIndex(["x", "y"])),
        "labels with NUL": pd.DataFrame([[1, 2]], columns=pd.Index(["a\0", "\ud800"], dtype=object)),
        "labels with slashes": pd.DataFrame([[1, 2]], columns=["a/b", ".present"]),
        "unique labels": _dressed(pd.DataFrame({"a": [1.0]}), unique=True),
        "no columns": pd.DataFrame(index=[1, 2]),
        "nothing": pd.DataFrame(),
        "index of text twice": pd.DataFrame({"a": [1, 2, 3]}, index=["x", "x", "y"]),
        "range with a name": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(5, 1, -2, name="run")),
    }


def _arrays() -> dict[str, Any]:
    zone = dt.timezone(dt.timedelta(hours=5.5))
    days = pd.date_range("2020", periods=2)
    return {
        "categories of numbers": pd.Categorical([3, 1, None], categories=[3.5, 3, 1]),
        "categories of days": pd.Categorical(days, ordered=True),
        "categories of intervals": pd.cut([1, 5, 9], 2),
        "categories, none used": pd.Categorical([None, None], categories=["a"]),
        "categories, none": pd.Categorical([]),
        "times in a fixed zone": pd.array(days.tz_localize(zone)),
        "times in UTC, ms": pd.array(days.tz_localize("UTC").as_unit("ms")),
        "times": pd.array(np.array(["2020", "NaT"], "M8[us]")),
        "durations": pd.array(np.array([1, "NaT"], "m8[ms]")),
        "periods, quarters": pd.array(pd.period_range("2020Q1", periods=3, freq="Q-FEB")),
        "periods, missing": pd.array([pd.Period("2020-01-01 03", "h"), pd.NaT], dtype="period[h]"),
        "intervals of days": pd.arrays.IntervalArray.from_breaks(pd.date_range("2020", periods=3), "both"),
        "intervals, missing": pd.arrays.IntervalArray.from_tuples([(0.5, 1.0), None], closed="neither"),
        "sparse of nan": pd.arrays.SparseArray([np.nan, 1.5, np.nan]),
        "sparse block": pd.arrays.SparseArray([0, 1, 1, 0, 2], kind="block"),
        "sparse of bool": pd.arrays.SparseArray([True, False], fill_value=True),
        "sparse, full": pd.arrays.SparseArray(np.zeros(0)),
        "text with NaN": pd.array(["a", None], dtype=pd.StringDtype("python", na_value=np.nan)),
        "text of Arrow with NaN": pd.array(
            ["a", None, "é\0"], dtype=pd.StringDtype("pyarrow", na_value=np.nan)
        ),
        "nullable, all missing": pd.array([None, None], dtype="Int16"),
        "nullable floats": pd.array([np.inf, -0.0, None], dtype="Float64"),
        "NumPy's": pd.arrays.NumpyExtensionArray(np.array([1, 2], "i2")),
    }


def _arrow() -> dict[str, Any]:
    import pyarrow as pa

    days = [dt.datetime(2020, 1, 1), None]
    return {
        "Arrow integers": pd.array([1, None, 2**62], dtype=pd.ArrowDtype(pa.int64())),
        "Arrow single floats": pd.array([1.5, None], dtype=pd.ArrowDtype(pa.float32())),
        "Arrow half floats": pd.array(np.array([1.5, 0], "f2"), dtype=pd.ArrowDtype(pa.float16())),
        "Arrow text": pd.array(["a", None, ""], dtype=pd.ArrowDtype(pa.string())),
        "Arrow bool": pd.array([True, None], dtype=pd.ArrowDtype(pa.bool_())),
        "Arrow times": pd.array(days, dtype=pd.ArrowDtype(pa.timestamp("us"))),
        "Arrow large text": pd.array(["a", None], dtype=pd.ArrowDtype(pa.large_string())),
        "Arrow NaN and missing": pd.array(
            pa.array([1.5, float("nan"), None]), dtype=pd.ArrowDtype(pa.float64())
        ),
        "Arrow times in a zone": pd.array(
            [pd.Timestamp("2020-07-01 12:00:00.5", tz="Europe/Berlin"), None],
            dtype=pd.ArrowDtype(pa.timestamp("ns", "Europe/Berlin")),
        ),
        "Arrow days": pd.array([dt.date(2020, 1, 1), None], dtype=pd.ArrowDtype(pa.date32())),
        "Arrow durations": pd.array([pd.Timedelta(5, "s"), None], dtype=pd.ArrowDtype(pa.duration("ns"))),
        "Arrow bytes": pd.array([b"a\0", None], dtype=pd.ArrowDtype(pa.binary())),
    }


def _indices() -> list[Any]:
    levels = pd.MultiIndex.from_arrays([[1, 1, 2], pd.Categorical(["a", None, "a"])], names=[None, ("t", 1)])
    return [
        pd.Index([1, 2], name="a"), pd.Index([1.5, np.nan]), pd.Index(["a", None], dtype=object),
        pd.Index([], dtype="i8"), pd.RangeIndex(3), pd.RangeIndex(0, name=5), _DAYS, _DAYS.tz_localize("Europe/Berlin"),
        pd.timedelta_range("1h", periods=3, freq="90min"), pd.period_range("2020", periods=2, freq="W-TUE"),
        pd.interval_range(0, 2, closed="left"), pd.CategoricalIndex(["a", "b"], ordered=True), levels,
        levels[:1], pd.Index([True, False]), pd.Index(pd.array([1, None], dtype="Int64")),
        pd.DatetimeIndex(["2020-01-31", "2020-02-29"], freq="ME"), pd.Index([(1, 2), "a"], tupleize_cols=False),
        pd.MultiIndex.from_arrays([[], []], names=["a", "a"]),
    ]  # fmt: skip


def _series() -> list[Any]:
    return [
        pd.Series([1, 2]), pd.Series([1.5, -0.0], index=["a", "b"], name="v"), pd.Series([], dtype="f4", name=3),
        pd.Series(["a", None]), pd.Series([[1], None], dtype=object, name=("a", 1)), pd.Series([1, None], dtype="Int8"),
        _dressed(pd.Series([1.0]), unique=True, unit="mV"), pd.Series([1, 2, 3], index=_DAYS),
    ]  # fmt: skip


def _scalars() -> list[Any]:
    stamp = pd.Timestamp("2020-10-25 02:30:00.123456789")
    return [
        stamp, stamp.tz_localize("Europe/Berlin", ambiguous=True), stamp.tz_localize("UTC"), stamp.as_unit("s"),
        pd.Timedelta("1 days 00:00:00.000000001"), pd.Timedelta(5, "s").as_unit("ms"), pd.Period("2020", "Y-JUN"),
        pd.Interval(0, 1.5, "both"), pd.Interval(stamp, stamp + pd.Timedelta(1, "h")), pd.NA, pd.NaT,
    ]  # fmt: skip


def _each() -> dict[str, list[Any]]:
    frames = {**_surveyed(), **_labelled()}
    single = {f"frame: {name}": [frame, frame.iloc[:1], frame.iloc[:0]] for name, frame in frames.items()}
    arrays = {f"array: {name}": [array, array[:1]] for name, array in {**_arrays(), **_arrow()}.items()}
    as_columns = {
        f"column: {name}": [pd.DataFrame({"a": array, "b": 1.5})]
        for name, array in {**_arrays(), **_arrow()}.items()
    }
    indices = {f"index: {i}": [index, index[:0]] for i, index in enumerate(_indices())}
    series = {f"series: {i}": [series, series[:1]] for i, series in enumerate(_series())}
    scalars = {f"scalar: {value!r}": [value, value] for value in _scalars()}
    return {**single, **arrays, **as_columns, **indices, **series, **scalars}


TABLES: dict[str, list[Any]] = {
    **_each(),
    "frames of all sorts": [*_surveyed().values(), *_labelled().values()],
    "indices of all sorts": _indices(),
    "series of all sorts": _series(),
    "pandas scalars of all sorts": _scalars(),
    "lists of frames": [[*_surveyed().values(), *_labelled().values()]],
    "lists of arrays of pandas": [
        [*_arrays().values(), *_arrow().values()],
        [pd.DataFrame({"a": a}) for a in _arrays().values()],
    ],
    "lists of indices, series and scalars": [_indices(), _series(), _scalars()],
    "frames nested": [{"a": [pd.DataFrame({"x": [1]})]}, (pd.Series([1.5]), {"k": pd.NA})],
    "frames in frames": [
        pd.DataFrame({"f": pd.Series([pd.DataFrame({"x": [1]}), pd.NA, (1,)], dtype=object)})
    ],
}
