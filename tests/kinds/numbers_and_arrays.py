"""NumPy's arrays that HDF5 has no type for, or that are easily spoilt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

_POINT = np.dtype([("x", "f8"), ("n", "i2")])
_PADDED = np.dtype(
    {
        "names": ["a", "b"],
        "formats": ["i1", "f4"],
        "offsets": [3, 8],
        "titles": ["first", None],
        "itemsize": 20,
    }
)
_ALIGNED = np.dtype([("a", "i1"), ("b", "f8")], align=True)
_DEEP = np.dtype([("at", _POINT, (2,)), ("name", "U4"), ("t", "M8[ms]"), ("raw", "S3"), ("inner", _ALIGNED)])
_ODD_NAMES = np.dtype([("two words", "f8"), ("", "?"), ("a/b", "u1"), ("é", "c8"), ("field_0", "g")])


def _filled(dtype: np.dtype[Any], *shape: int, seed: int = 0) -> Any:
    """Arbitrary numbers in every field; text and times of their own."""
    array = np.zeros(shape, dtype)
    _fill(array, np.random.default_rng(seed))
    return array


def _fill(array: Any, rng: np.random.Generator) -> None:
    for name in array.dtype.names or ():
        if array[name].dtype.names:
            _fill(array[name], rng)
        else:
            array[name] = rng.integers(
                0, 2 if array[name].dtype.kind == "b" else 99, array[name].shape
            ).astype(array[name].dtype)


def _all_masked(shape: Any) -> Any:
    return np.ma.MaskedArray(np.zeros(shape), True)


def _masked() -> dict[str, list[Any]]:
    values = np.arange(4.0)
    hard = np.ma.MaskedArray([1, 2], [True, False], hard_mask=True)
    filled = np.ma.MaskedArray([1.5, 2], [True, False], fill_value=-9.0)
    return {
        "masked": [np.ma.MaskedArray(values, values > k) for k in (0, 1, 2)],
        "masked, hidden values differ": [np.ma.MaskedArray([k, 1.0], [True, False]) for k in (5.0, np.nan)],
        "masked, no mask": [
            np.ma.MaskedArray(values),
            np.ma.MaskedArray(values, False),
            np.ma.MaskedArray([]),
        ],
        "masked, ragged": [_all_masked((2, 1)), _all_masked((0, 3)), np.ma.MaskedArray(1, True)],
        "masked, hard and filled": [hard, filled],
        "masked integers, text, times": [
            # NumPy's usual fill values do not fit these types: a copy of an array that was printed has others.
            np.ma.MaskedArray([1, 2], [True, False], "i2", fill_value=7),
            np.ma.MaskedArray(["a", "bc"], [True, False], fill_value="zz"),
            np.ma.MaskedArray(np.array(["2020", "NaT"], "M8[D]"), [True, False]),
        ],
        "masked structured": [np.ma.MaskedArray(_filled(_POINT, 2), [(True, False), (False, False)])],
        "masked constant": [np.ma.masked, np.ma.masked],
    }


def _strings() -> dict[str, list[Any]]:
    texts = ["a", "a longer one than fits into sixteen bytes", "", "naïve\0 ☃"]
    markers = {"None": None, "nan": np.nan, "NA": pd.NA}
    return {
        "StringDType": [np.array(texts, np.dtypes.StringDType()), np.array([], np.dtypes.StringDType())],
        "StringDType, no coercion": [np.array(texts[:2], np.dtypes.StringDType(coerce=False))],
        "StringDType, 0-d and 2-d": [
            np.array("a", np.dtypes.StringDType()),
            np.array([texts[:2], texts[2:]], np.dtypes.StringDType()),
        ],
        **{
            f"StringDType, missing as {word}": [
                np.array(["a", marker, ""], np.dtypes.StringDType(na_object=marker)),
                np.array([marker], np.dtypes.StringDType(na_object=marker)),
            ]
            for word, marker in markers.items()
        },
    }


def _objects() -> list[Any]:
    mixed = np.empty((2, 2), object)
    mixed[0, 0], mixed[0, 1], mixed[1, 0] = [1, 2], {"k": np.arange(2)}, "text"
    nested = np.empty(2, object)
    nested[:] = [np.arange(2), np.array([None, 1.5], object)]
    single = np.empty((), object)
    single[()] = (1, "a")
    return [mixed, nested, single, np.empty((0, 3), object)]


ARRAYS: dict[str, list[Any]] = {
    "structured": [_filled(_POINT, 3), _filled(_POINT, 3, seed=1)],
    "structured, ragged": [_filled(_POINT, 2), _filled(_POINT, 0), _filled(_POINT, 2, 2), _filled(_POINT)],
    "structured, padded with titles": [_filled(_PADDED, 2), _filled(_PADDED, 2)[::-1]],
    "structured, aligned": [_filled(_ALIGNED, 2), _filled(_POINT, 2)],
    "structured, nested": [_filled(_DEEP, 2), _filled(_DEEP, 1)],
    "structured, odd names": [_filled(_ODD_NAMES, 2), _filled(_ODD_NAMES, 2, seed=3)],
    "structured, big-endian": [_filled(np.dtype([("x", ">f8"), ("u", ">U2")]), 2)],
    "structured, no fields": [np.zeros(3, np.dtype([]))],
    "structured scalar": [_filled(_POINT)[()], _filled(_DEEP)[()]],
    "recarray": [_filled(_POINT, 2).view(np.recarray), _filled(_POINT, 3).view(np.recarray)],
    "record": [_filled(_POINT, 2).view(np.recarray)[0], _filled(_POINT, 2).view(np.recarray)[1]],
    "raw": [np.array([b"ab\0", b"\0cd"], "V3"), np.zeros((2, 0), "V5"), np.zeros((), "V1")],
    "raw scalar": [np.void(b"ab\0"), np.void(b"x")],
    "text of other order": [np.array(["ab", "c"], ">U3"), np.array(["é"], ">U1")],
    "text that HDF5 cannot hold": [np.array(["a\0b", "c"]), np.array(["\ud800"]), np.array([["", "x"]])],
    "text of no width": [np.zeros(2, "U0"), np.array(["", ""])],
    "bytes with NUL": [np.array([b"a\0b", b"", b"\0"]), np.zeros(2, "S0"), np.array(b"abc")],
    "big-endian scalars": [np.array([1.5, 2.5], ">f8")[0], np.array(3, ">i2")[()]],
    "big-endian times": [np.array(["2020", "NaT"], ">M8[D]"), np.array([5], ">m8[us]")],
    "times of odd units": [np.array([7, 8], "m8[15us]"), np.array(["2020", "2021"], "M8[2M]")],
    "half and long doubles": [
        np.array([0.1, np.nan, -0.0, np.inf], "f2"),
        np.array([np.longdouble(1) / 3, np.longdouble("1e4000"), -np.longdouble(0), np.longdouble("nan")]),
        np.array([np.clongdouble(1j) / 3]),
        np.array([[1.5]], "g"),
    ],
    "nan with a payload": [np.array([0x7FF8_0000_0000_1234, 0xFFF0_0000_0000_0001], "u8").view("f8")],
    "zero-dimensional": [np.array(1, "u1"), np.array(True), np.array("NaT", "M8[s]"), np.array(b"x")],
    "many dimensions": [np.arange(64).reshape((2,) * 6), np.zeros((1,) * 20), np.zeros((3, 0, 2))],
    "Fortran order": [np.asfortranarray(np.arange(6).reshape(2, 3)), np.arange(24).reshape(2, 3, 4).T],
    "broadcast": [np.broadcast_to(np.arange(3), (2, 3)), np.broadcast_to(1.5, (2, 2))],
    "objects": _objects(),
    "dtypes mixed": [
        np.zeros(2, "f4"),
        _filled(_POINT, 2),
        np.array(["a"]),
        _all_masked(2),
        *_objects()[:1],
    ],
    **_strings(),
    **_masked(),
}
