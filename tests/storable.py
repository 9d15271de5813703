"""Values of every type that a trajectory keeps, and what it means that one came back as it was."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from identity import all_identical, identical

__all__ = ["EXAMPLES", "all_identical", "arrays", "identical", "values"]

REALS = ["f2", "f4", "f8", "g"]
DTYPES = [
    *("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"),
    *REALS,
    *("c8", "c16", "G"),
    *("M8[s]", "M8[ns]", "M8[D]", "m8[us]", "m8[h]"),
]


def elements(dtype: np.dtype[Any]) -> st.SearchStrategy[Any]:
    return hnp.from_dtype(dtype) if dtype.char not in "gG" else st.sampled_from(_LONG[dtype.char])


_LONG = {
    "g": [np.longdouble(1) / 3, np.longdouble("nan"), -np.longdouble(0), np.longdouble("1e4000")],
    "G": [np.clongdouble(1j) / 3, np.clongdouble(complex(math.nan, -0.0))],
}


def arrays(max_dims: int = 3) -> st.SearchStrategy[np.ndarray]:
    shapes = hnp.array_shapes(min_dims=0, max_dims=max_dims, min_side=0, max_side=3)
    numbers = st.sampled_from([np.dtype(d) for d in DTYPES]).flatmap(
        lambda dtype: hnp.arrays(dtype, shapes, elements=elements(dtype))
    )
    texts = hnp.arrays("U3", shapes, elements=st.text("aé→", max_size=3))
    raw = hnp.arrays("S3", shapes, elements=st.sampled_from([b"", b"ab", b"\xff\x01z"]))
    return numbers | texts | raw


texts = st.text(max_size=6) | st.sampled_from(["", "a\0b", "\ud800", "naïve ☃ 𝄞", "\udc80\0"])
natives = (
    st.booleans()
    | st.integers()
    | st.floats(width=64)
    | st.complex_numbers()
    | texts
    | st.binary(max_size=5)
    | st.none()
)
scalars = st.sampled_from([np.dtype(d) for d in DTYPES]).flatmap(
    lambda dtype: elements(dtype).map(dtype.type if dtype.kind not in "mM" else lambda v: v)
) | st.sampled_from([np.str_("é"), np.str_(""), np.bytes_(b"x"), np.bool_(True)])
flat = st.one_of(
    *(
        st.lists(kind, max_size=4)
        for kind in (st.floats(), st.integers(), st.booleans(), texts, st.complex_numbers())
    )
)
atoms = natives | scalars | arrays() | flat
keys = st.sampled_from(["a", "b", "spike times", "", "a.b"]) | st.integers(0, 2) | st.none()


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.lists(inner, max_size=3).map(tuple)
            | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
            | st.dictionaries(keys, inner, max_size=2)
        ),
        max_leaves=6,
    )


values = nested(atoms)

# One example of each type of issue 2, item 6.
EXAMPLES = {
    "bool": [True, False],
    "int": [1, -(2**63), 2**63 - 1],
    "big int": [2**63, -(2**70), 10**40],
    "int of all sizes": [1, 2**64, -5],
    "float": [0.1, math.nan, -0.0, math.inf, 5e-324],
    "complex": [1 + 2j, complex(math.nan, -0.0)],
    "str": ["", "a", "naïve ☃ 𝄞"],
    "str with NUL": ["a\0", "\0", "plain"],
    "str with surrogates": ["\ud800", "\udcff tail"],
    "bytes": [b"", b"\0", b"abc\xff\0"],
    "None": [None, None],
    **{np.dtype(d).name: [np.ones((), d)[()], np.zeros((), d)[()]] for d in DTYPES},
    "nan scalars": [np.float16("nan"), np.float32("-0.0"), np.float64("nan")],
    "datetime64": [np.datetime64("2020-01-01T00:00:00.5", "ms"), np.datetime64("NaT", "ms")],
    "datetime64 units": [np.datetime64("2020", "Y"), np.datetime64("2020-01-01", "D")],
    "odd units": [np.timedelta64(3, "25s"), np.timedelta64("NaT", "25s")],
    "np.str_": [np.str_("a"), np.str_("long one"), np.str_("")],
    "np.bytes_": [np.bytes_(b"a"), np.bytes_(b"")],
    "fixed shape": [np.arange(6.0).reshape(2, 3), np.full((2, 3), np.nan)],
    "ragged": [np.arange(3), np.arange(5), np.arange(0)],
    "ragged 2-d": [np.ones((2, 3)), np.ones((3, 2)), np.ones((0, 4))],
    "0-d": [np.array(1.5), np.array(2.5)],
    "0-d text": [np.array("ab"), np.array("é")],
    "zero size": [np.empty((0, 3), "i4"), np.empty((0, 3), "i4")],
    "mixed dtypes": [np.zeros(2, "f4"), np.zeros(2, "f8"), np.zeros(2, "i1")],
    "big-endian": [np.array([1.5, 2.5], ">f8"), np.array([3.5, 4.5], ">f8")],
    "not contiguous": [np.arange(6).reshape(2, 3).T, np.arange(12)[::2].reshape(3, 2)],
    "arrays of bool": [np.array([True, False]), np.array([False, False])],
    "arrays of text": [np.array(["a", "bcd"]), np.array(["", "é"])],
    "arrays of bytes": [np.array([b"a", b"bcd"]), np.array([b"x"])],
    "arrays of time": [np.array(["2020-01-01", "NaT"], "M8[D]"), np.array(["NaT"], "M8[D]")],
    "big arrays": [np.arange(10_000.0), np.arange(10_000.0) + 1],
    "big arrays of text": [np.array(["text"] * 5000), np.array(["more"] * 5000)],
    "big arrays of time": [np.full(10_000, "NaT", "M8[s]"), np.zeros(10_000, "M8[s]")],
    "big arrays of bool": [np.ones(70_000, bool), np.zeros(70_000, bool)],
    "big ragged": [np.arange(10_000), np.arange(12_000)],
    "lists": [[1, 2], [3, 4]],
    "ragged lists": [[1.0], [], [2.0, -0.0]],
    "lists of big ints": [[1, 2**64], [2]],
    "lists of bool": [[True], [False, True]],
    "tuples": [(1, 2), (), (3,)],
    "lists of mixed": [[1, 1.0, True], ["a", None]],
    "lists of arrays": [[np.ones(2), np.ones(3)], []],
    "nested lists": [[[1, 2], [3]], [[], [4]], []],
    "dicts": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    "dicts of other keys": [{"a": 1}, {"b": 2}, {}],
    "dicts of odd keys": [{1: 2, (1, 2): 3, None: 4, "two words": 5, "": 6}, {True: 1}],
    "nested dicts": [{"a": {"b": [1, {"c": None}]}}, {"a": {"b": []}}],
    "mixed": [1, 1.0, True, None, "a", b"a", np.int8(1), [1], (1,), {}, np.ones(1), 1j],
    "empty": [[], (), {}, "", b"", np.empty(0)],
}
