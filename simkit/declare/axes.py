"""The values of one explored name, kept exactly as they were declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np

from simkit.errors import SimkitError, caller

Index: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

# Lists of one of these types fit an array that gives back the very same objects.
_NATIVE = {float: "f", int: "i", bool: "b", complex: "c"}


@attrs.frozen(eq=False)
class Values:
    """One name's values at ``n`` points.

    A list's elements come back as they are (``native``), an array's as NumPy scalars or rows.
    ``present`` tells where a sum of spaces leaves the name to its normal value.
    """

    array: Array
    native: bool
    present: Array | None = None

    def __len__(self) -> int:
        return len(self.array)

    def take(self, index: Index) -> Values:
        """The values at these positions."""
        present = None if self.present is None else self.present[index]
        return Values(self.array[index], self.native, present)

    def elements(self) -> list[Any]:
        """The declared elements as Python objects, one per point."""
        if self.native:
            return list(self.array.tolist())
        if self.array.ndim > 1:
            self.array.flags.writeable = False  # its rows are handed out
        return list(self.array)

    def shown(self) -> Array:
        """The values as an array, masked where the name is absent."""
        return self.array if self.present is None else np.ma.MaskedArray(self.array, ~self.present)


def objects(elements: Sequence[Any]) -> Array:
    """A one-dimensional object array, whatever the elements are."""
    array = np.empty(len(elements), object)
    for i, element in enumerate(elements):
        array[i] = element
    return array


def _frozen(element: Any) -> Any:
    if not isinstance(element, np.ndarray):
        return element
    copy = element.copy()
    copy.flags.writeable = False
    return copy


def from_list(elements: list[Any]) -> Values:
    """Values that give back these very elements; compact where one type allows it."""
    kinds = set(map(type, elements))
    kind = _NATIVE.get(next(iter(kinds))) if len(kinds) == 1 else None
    if kind is not None:
        array = np.array(elements)
        if array.dtype.kind == kind:  # integers beyond 64 bits become objects or unsigned
            return Values(array, native=True)
    return Values(objects([_frozen(element) for element in elements]), native=True)


def declared(name: str, given: Any) -> Values:
    """What the user gave for one axis.

    Raises
    ------
    SimkitError
        For a scalar, a string, a mapping or an unordered set.
    """
    if isinstance(given, np.ndarray):
        if given.ndim == 0:
            raise _not_an_axis(name, given)
        copy = given.copy()
        copy.flags.writeable = False
        return Values(copy, native=copy.dtype == object)
    if hasattr(given, "to_numpy") and hasattr(given, "dtype"):  # a pandas Series or Index
        numpy_typed = isinstance(given.dtype, np.dtype)
        return declared(name, given.to_numpy()) if numpy_typed else from_list(list(given))
    if isinstance(given, (str, bytes, dict, set, frozenset)) or not isinstance(given, Iterable):
        raise _not_an_axis(name, given)
    return from_list(list(given))


def _not_an_axis(name: str, given: Any) -> SimkitError:
    why = "has no order" if isinstance(given, (set, frozenset)) else "is not a list of values"
    return SimkitError(
        f"{caller()}: {name}={given!r} {why}\n    give a list or an array: {name}=[{_first(given)}, …]"
    )


def _first(given: Any) -> str:
    if isinstance(given, (set, frozenset, dict)) and given:
        return repr(next(iter(given)))
    return repr(given)


def joined(size: int, parts: Sequence[tuple[Index, Values | None]]) -> Values:
    """Values put together from parts at given positions; ``None`` is a part that lacks the name."""
    given = [(at, part) for at, part in parts if part is not None]
    same = len({(p.native, p.array.dtype, p.array.shape[1:]) for _, p in given}) == 1
    first = given[0][1]
    if same:
        array = np.zeros((size, *first.array.shape[1:]), first.array.dtype)
        for at, part in given:
            array[at] = part.array
    else:
        array = np.empty(size, object)
        for at, part in given:
            array[at] = objects(part.elements())
    present = np.zeros(size, bool)
    for at, part in given:
        present[at] = True if part.present is None else part.present
    native = first.native if same else True
    return Values(array, native, None if present.all() else present)
