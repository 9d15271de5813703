"""The values of one explored name, as the user gave them: a list, an array, a column of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np

from simkit.declare.forms import Values, objects
from simkit.errors import SimkitError, caller

# Lists of one of these types fit an array that gives back the very same objects.
_NATIVE = {float: "f", int: "i", bool: "b", complex: "c"}


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


def from_range(given: range) -> Values:
    """Values of a range: a million of them without an object for each."""
    stop = given.start + len(given) * given.step
    if not given or max(abs(given.start), abs(stop)) >= 2**63:
        return from_list(list(given))
    return Values(np.arange(given.start, stop, given.step, np.int64), native=True)


def declared(name: str, given: Any) -> Values:
    """What the user gave for one axis.

    Raises
    ------
    SimkitError
        For a scalar, a string, a mapping, an unordered set or masked values.
    """
    if isinstance(given, np.ndarray):
        if given.ndim == 0:
            raise _not_an_axis(name, given)
        if given.ndim == 1 and np.any(np.ma.getmask(given)):
            msg = f"{caller()}: {name} has masked values, and each point needs one: give {name}.compressed()"
            raise SimkitError(msg)
        copy = (np.ma.getdata(given) if given.ndim == 1 else given).copy()
        copy.flags.writeable = False
        return Values(copy, native=copy.dtype == object)
    if hasattr(given, "to_numpy") and hasattr(given, "dtype"):  # a pandas Series or Index
        is_plain = isinstance(given.dtype, np.dtype) or type(given.dtype).__name__ == "SparseDtype"
        return declared(name, np.asarray(given)) if is_plain else from_list(list(given))
    if hasattr(given, "to_pylist") and not hasattr(given, "columns"):  # an array of Arrow's
        return from_list(given.to_pylist())
    if hasattr(type(given), "columns") or hasattr(
        type(given), "data_vars"
    ):  # a table gives the names of its columns
        msg = (
            f"{caller()}: {name} is a {type(given).__name__}, and a table is no list of values\n"
            f"    explore(frame) takes its rows as points, {name}=frame['column'] a column, {name}=[frame] the whole"
        )
        raise SimkitError(msg)
    if isinstance(given, (str, bytes, Mapping, Set)) or not isinstance(given, Iterable):
        raise _not_an_axis(name, given)
    return from_range(given) if isinstance(given, range) else from_list(list(given))


def labels_of(table: Any) -> list[Any] | None:
    """The names of a table's columns, no library of tables being imported for it; None for what is no table.

    Raises
    ------
    SimkitError
        Where a label stands above two columns, which then can't be told apart.
    """
    if isinstance(table, np.ndarray):
        return list(table.dtype.names) if table.dtype.names and table.ndim == 1 else None
    of_arrow = getattr(table, "column_names", None)
    is_frame = hasattr(table, "iloc") or hasattr(table, "get_columns")  # pandas' or Polars'
    if of_arrow is None and not (is_frame and hasattr(table, "columns")):
        return None
    labels = list(table.columns if of_arrow is None else of_arrow)
    twice = [label for label in dict.fromkeys(labels) if labels.count(label) > 1]
    if twice:
        msg = (
            f"{caller()}: explore() gets a table with several columns {', '.join(map(repr, twice))}\n"
            "    rename or drop them: table.loc[:, ~table.columns.duplicated()]"
        )
        raise SimkitError(msg)
    return labels


def _not_an_axis(name: str, given: Any) -> SimkitError:
    why = "has no order" if isinstance(given, Set) else "is not a list of values"
    return SimkitError(
        f"{caller()}: {name}={given!r} {why}\n    give a list or an array: {name}=[{_first(given)}, …]"
    )


def _first(given: Any) -> str:
    if isinstance(given, (Set, Mapping)) and given:
        return repr(next(iter(given)))
    return repr(given)
