"""Runs as a pandas table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from simkit.analyse.trajectory import Trajectory


def dataframe(trajectory: Trajectory, names: Sequence[str]) -> pd.DataFrame:
    """The named columns, then status and seconds."""
    import pandas as pd

    columns = {name: _series(trajectory[name]) for name in names}
    for name in ("status", "seconds"):
        columns[name if name not in columns else f"run_{name}"] = getattr(trajectory, name)
    index = trajectory.index
    whole = len(index) == 0 or (index[0] == 0 and index[-1] == len(index) - 1)
    rows = pd.RangeIndex(len(index), name="run") if whole else pd.Index(index, name="run")
    return pd.DataFrame(columns, index=rows, copy=False)


def _series(column: Any) -> Any:
    import pandas as pd

    if isinstance(column, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(column)
        nullable = {"i": "Int64", "u": "UInt64", "b": "boolean"}.get(column.dtype.kind)
        values = (
            pd.array(column.filled(0), dtype=nullable)
            if nullable
            else _with_none(np.ma.getdata(column), mask)
        )
        if nullable:
            values[mask.reshape(len(column), -1).any(axis=1)] = pd.NA
        return values
    if column.ndim > 1:
        return pd.Series(list(column), dtype=object).to_numpy()
    if column.dtype == object and len(column) and all(type(value) is str for value in column):
        return pd.array(column, dtype="str")
    return column


def _with_none(data: Any, mask: Any) -> Any:
    values = data.astype(object)
    values[mask] = None
    return values
