"""Values of many runs as one array, the runs first; and such arrays as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from simkit.declare.forms import objects
from simkit.declare.plugins import Parts
from simkit.errors import NotForEach, Unstorable
from simkit.values.columns import Column, Record, whole_column
from simkit.values.decode import in_one_array
from simkit.values.encode import encode, encode_rows
from simkit.values.registry import codec_of
from simkit.values.results import ONE, fields_of


def array_of(elements: Sequence[Any]) -> Any:
    """One value per run as an array, the runs first.

    Returns
    -------
    ndarray
        Numbers, and arrays of one shape, as one array; quantities and times as one that has their unit; all
        else as an array of these very objects.
    """
    try:
        array = in_one_array(encode(elements))
    except (Unstorable, RecursionError):
        array = None
    return objects(elements) if array is None or np.ma.isMaskedArray(array) else array


def named_stacks(returned: Any) -> Mapping[str, Any]:
    """What a vectorized call returned as results by name: the columns of a table, the fields of what has fields."""
    kind = type(returned)
    if hasattr(kind, "columns") and hasattr(kind, "iloc"):  # a table of pandas
        return {name: returned[name] for name in returned.columns}
    fields = fields_of(kind)
    return {ONE: returned} if fields is None else fields(returned)


def column_of(stack: Any, n: int, what: str) -> Column:
    """A column of ``n`` rows from an array or a list of them.

    Parameters
    ----------
    what
        The value's name in messages.

    Raises
    ------
    NotForEach
        For anything else, or another number of rows.
    Unstorable
        For a row that has no lossless form.
    """
    rows = _rows(stack)
    if rows is None:
        msg = (
            f"{what} is {_kind(stack)}, and the call computed {_counted(n, 'run')}\n"
            "    give an array with the runs first, or a list with a value for each run"
        )
        raise NotForEach(msg)
    if len(rows) != n:
        shape = f", its shape is {np.shape(rows)}" if isinstance(rows, np.ndarray) and rows.ndim > 1 else ""
        msg = (
            f"{what} has {_counted(len(rows), 'row')}{shape}, and the call computed {_counted(n, 'run')}\n"
            "    the runs come first: give one row for each"
        )
        raise NotForEach(msg)
    if type(rows) is np.ndarray:
        return encode_rows(rows)
    if isinstance(rows, np.ma.MaskedArray) and rows.ndim == 1:
        there = np.flatnonzero(~np.ma.getmaskarray(rows))
        return Column(n, ()) if not len(there) else encode_rows(rows.data[there]).spread(n, there)
    whole = _measured(rows)
    return encode(list(rows)) if whole is None else whole


def _rows(stack: Any) -> Any:
    """The stack as an array or a list; None where it is none."""
    kind = type(stack)
    if isinstance(stack, np.ndarray):
        return stack if stack.ndim else None
    if kind is list:
        return stack
    if hasattr(kind, "to_numpy") and hasattr(kind, "dtype") and not hasattr(kind, "dims"):  # of pandas
        return stack.to_numpy(copy=True) if isinstance(stack.dtype, np.dtype) else list(stack)
    if hasattr(kind, "__dlpack__") and hasattr(kind, "__array__"):  # of JAX, PyTorch
        array = np.array(stack)
        return array if array.ndim else None
    return None


def _kind(stack: Any) -> str:
    name = type(stack).__name__
    has_rows = hasattr(stack, "__len__") and not isinstance(stack, (str, bytes, Mapping))
    is_single = getattr(stack, "shape", None) == () or not has_rows  # whose __len__ may raise
    is_mapping = isinstance(stack, Mapping)
    return f"one value (a {name} without dimensions)" if is_single and not is_mapping else f"a {name}"


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}" + "s" * (number != 1)


def _measured(rows: Any) -> Column | None:
    """Quantities with one unit for all rows: their numbers as a column, without a look at each one."""
    codec = codec_of(type(rows)) if isinstance(rows, np.ndarray) else None
    if codec is None or codec.gather is None or not len(rows):
        return None
    whole, first = cast(Parts, codec.encode(rows)), cast(Parts, codec.encode(rows[0]))
    values = whole.fields.get("values")
    is_one = set(whole.fields) == {"values"} and whole.attributes == first.attributes
    if not is_one or type(values) is not np.ndarray or values.shape != np.shape(rows):
        return None
    hints = whole.hints() if callable(whole.hints) else whole.hints
    return whole_column(Record(codec.name, {"values": encode_rows(values.copy())}, whole.attributes, hints))
