"""Hypothesis strategies for what NumPy and pandas can make."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from hypothesis.extra import pandas as hpd
from storable import DTYPES, elements

# Days and hours become seconds in a table, where not all of them have room.
NUMBERS = [np.dtype(d) for d in DTYPES if d not in ("g", "G", "f2", "f4", "c8", "M8[D]", "M8[ns]", "m8[h]")]
_LABELS = st.text(max_size=3) | st.sampled_from(["index", "column_0", "name", "a"]) | st.integers(-1, 3)


def structured() -> st.SearchStrategy[Any]:
    """Arrays of any structured dtype: nested, with subarrays, titles, aligned or not."""
    scalars = st.sampled_from([np.dtype(d) for d in (*DTYPES, "U2", "S3", ">i4")])
    nested = hnp.nested_dtypes(scalars.filter(lambda d: d.char not in "gG"), max_leaves=5)
    dtypes = nested.filter(lambda d: d.names is not None and d.itemsize < 500)
    aligned = dtypes.map(lambda d: np.dtype(d.descr, align=True) if d.isalignedstruct or len(d) < 2 else d)
    shapes = hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=2)
    return st.one_of(dtypes, aligned).flatmap(lambda dtype: hnp.arrays(dtype, shapes))


def _extension(n: int) -> st.SearchStrategy[Any]:
    """Arrays of pandas' own of n elements."""

    def lists(of: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(of, min_size=n, max_size=n)

    missing = st.none()
    return st.one_of(
        lists(missing | st.integers(-128, 127)).map(lambda v: pd.array(v, dtype="Int8")),
        lists(missing | st.booleans()).map(lambda v: pd.array(v, dtype="boolean")),
        lists(missing | st.text(st.characters(codec="utf-8"), max_size=3)).map(lambda v: pd.array(v, dtype="str")),
        lists(missing | st.sampled_from("abc")).map(lambda v: pd.Categorical(v, categories=["c", "b", "a"])),
        lists(missing | st.floats(width=64, allow_nan=False)).map(lambda v: pd.array(v, dtype="Float64")),
        lists(st.integers(0, 10**9)).map(_in_tokyo),
        lists(missing | st.integers() | st.text(max_size=2)).map(lambda v: pd.array(np.array([*v, None], object)[:-1])),
    )  # fmt: skip


def _in_tokyo(seconds: list[int]) -> Any:
    return pd.to_datetime(seconds, unit="s", utc=True).tz_convert("Asia/Tokyo").array


def indices(n: int | None = None) -> st.SearchStrategy[Any]:
    """An index of n labels, or of any number of them."""
    size = {"min_size": n or 0, "max_size": 4 if n is None else n}
    numbers = st.sampled_from(["i8", "f8", "u1", "M8[ns]"]).flatmap(
        lambda dtype: hpd.indexes(dtype=dtype, unique=False, **size)
    )
    texts = st.lists(st.text(max_size=2), **size).map(lambda v: pd.Index(v, dtype=object))
    ranges = hpd.range_indexes(**size)
    return st.builds(lambda index, name: index.rename(name), numbers | texts | ranges, st.none() | _LABELS)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Tables of up to four columns of any dtypes and labels, also twice the same."""
    rows, width = draw(st.integers(0, 3)), draw(st.integers(0, 4))
    columns = [draw(_column(rows)) for _ in range(width)]
    frame = pd.DataFrame(dict(enumerate(columns)), index=draw(indices(rows)))
    labels = draw(st.lists(_LABELS, min_size=width, max_size=width))
    frame.columns = pd.Index(labels, dtype=object)
    return frame


def _column(rows: int) -> st.SearchStrategy[Any]:
    numbers = st.sampled_from(NUMBERS).flatmap(
        lambda dtype: hnp.arrays(dtype, rows, elements=elements(dtype))
    )
    return numbers | _extension(rows)


@st.composite
def series(draw: st.DrawFn) -> pd.Series:
    """One column, with a name and an index."""
    rows = draw(st.integers(0, 3))
    return pd.Series(draw(_column(rows)), index=draw(indices(rows)), name=draw(st.none() | _LABELS))
