"""Which values of a column are missing, and what do the others look like?"""

from __future__ import annotations

from typing import Any

import numpy as np

from simkit.declare.axes import Array


def data_of(column: Any) -> Any:
    """The values without the mask; where they are masked they mean nothing."""
    return np.asarray(column) if isinstance(column, np.ma.MaskedArray) else column


def mask_of(column: Any) -> Array:
    """Where values are masked, shape of the column."""
    mask = column.mask if isinstance(column, np.ma.MaskedArray) else False
    return np.broadcast_to(np.asarray(mask, bool), column.shape)


def missing(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array in which all is missing: NaN, NaT or None."""
    if dtype.kind == "O":
        return np.full(shape, None, dtype)
    return np.full(shape, "NaT" if dtype.kind in "mM" else np.nan, dtype)
