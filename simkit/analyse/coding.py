"""Which runs share a value?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from simkit.declare.axes import Array, Index, objects
from simkit.values.columns import Column
from simkit.values.decode import as_array, decode
from simkit.values.same import digest


@attrs.frozen(eq=False)
class Coded:
    """A column as numbers, equal for equal values, counted in the order in which they turn up.

    Attributes
    ----------
    codes
        Shape ``(n,)``.
    first
        The row at which each number turns up first.
    """

    codes: Index
    first: Index

    @property
    def varies(self) -> bool:
        """Whether there is more than one value."""
        return len(self.first) > 1

    def among(self, chosen: Index | None) -> tuple[Index, Index]:
        """Which numbers some rows have, and which of these each row has."""
        if chosen is None:
            return np.arange(len(self.first)), self.codes
        used, codes = np.unique(self.codes[chosen], return_inverse=True)
        return used, codes.reshape(-1)

    def is_finer(self, other: Coded) -> bool:
        """Whether it has more values."""
        return len(self.first) > len(other.first)

    def determines(self, other: Coded) -> bool:
        """Whether this value always comes with the same of the other's."""
        return self.varies and bool((other.codes[self.first][self.codes] == other.codes).all())


def coded(column: Column) -> Coded | None:
    """A column as numbers; None where some rows are absent."""
    if not column.present().all():
        return None
    array = np.asarray(as_array(column))
    if array.ndim == 1 and array.dtype.kind in "biufmM" and array.dtype.itemsize <= 8:
        return numbered(array)
    return numbered(objects([v if type(v) is str else digest(v) for v in decode(column)]))


def numbered(array: Any) -> Coded:
    """An array of numbers or text as numbers in the order in which they turn up."""
    import pandas as pd

    values: Array = np.asarray(array)
    codes = np.asarray(pd.factorize(values, use_na_sentinel=False)[0], np.int64)
    first = np.empty(int(codes.max(initial=-1)) + 1, np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # the last one written is the first that turns up
    return Coded(codes, first)


def together(columns: Mapping[str, Coded]) -> dict[tuple[str, ...], Coded]:
    """Names that move together: the one that tells all of them apart comes first.

    A name with a single value moves with none. The groups come in the order of their earliest names.
    """
    left, groups = dict(columns), {}
    while left:
        name = _leading(left)
        column = left.pop(name)
        following = [other for other in left if left[other].varies and column.determines(left[other])]
        groups[name, *following] = column
        left = {other: found for other, found in left.items() if other not in following}
    order = list(columns)
    return dict(sorted(groups.items(), key=lambda group: min(map(order.index, group[0]))))


def _leading(columns: Mapping[str, Coded]) -> str:
    """The first name that none with more values determines."""
    for name, column in columns.items():
        finer = (other for other in columns.values() if other.is_finer(column))
        if not column.varies or not any(other.determines(column) for other in finer):
            return name
    return next(iter(columns))
