"""Which runs match a condition, a function or given values?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from simkit.analyse.missing import data_of, mask_of
from simkit.declare.axes import Array, Values
from simkit.declare.forms import Test, passing
from simkit.errors import SimkitError, did_you_mean, listed

Read = Callable[[str], tuple[Array, Array]]


class _Columns(Mapping[str, Values]):
    """Columns by name, read when they are touched."""

    def __init__(self, read: Read, names: Sequence[str]) -> None:
        self.read, self.names = read, names

    def __getitem__(self, name: str) -> Values:
        array, present = self.read(name)
        return Values(array, native=array.dtype == object, present=None if present.all() else present)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def matching(
    read: Read, names: Sequence[str], n: int, test: Test | Array | None, equal: Mapping[str, Any]
) -> Array:
    """A boolean per run.

    Raises
    ------
    SimkitError
        For a name that is not recorded.
    """
    chosen = np.ones(n, bool)
    if isinstance(test, np.ndarray):
        chosen &= _mask(test, n)
    elif test is not None:
        chosen &= _passing(test, _Columns(read, names), n)
    for name, wanted in equal.items():
        if name not in names:
            msg = f"where: unknown name {name!r}{did_you_mean(name, names)}\n    available: {listed(name, names)}"
            raise SimkitError(msg)
        array, present = read(name)
        if array.dtype == object or isinstance(wanted, (list, tuple, dict, np.ndarray)):
            same = np.array([bool(np.all(value == wanted)) for value in array], bool)
        else:
            same = np.asarray(array == wanted, bool)
        chosen &= same & present
    return chosen


def _mask(given: Array, n: int) -> Array:
    """A boolean per run as the user computed it; what is masked does not match."""
    if given.dtype != bool or given.shape != (n,):
        msg = f"where: an array of {given.dtype} of shape {given.shape}: give one boolean for each of the {n} runs"
        raise SimkitError(msg)
    return np.asarray(data_of(given) & ~mask_of(given))


def _passing(test: Test, columns: _Columns, n: int) -> Array:
    try:
        return passing(test, columns, n, "where")
    except Exception as error:
        if type(error).__name__ != "DimensionMismatchError":  # Brian2's, which may not be installed
            raise
        msg = (
            f"where {test!r}: {error}\n    compare quantities in a function: where(lambda tau: tau > 2 * ms)"
        )
        raise SimkitError(msg) from None
