"""NumPy's arrays that HDF5 has no type for: structured, masked, of objects, of text of any length."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from simkit.declare.forms import Array, objects
from simkit.declare.plugins import Codec, Facts, Parts
from simkit.declare.reflection import module_of
from simkit.errors import Unstorable
from simkit.values.encode import STORED_KINDS
from simkit.values.registry import attributes_of


def _told(dtype: np.dtype[Any]) -> Any:
    """A dtype as JSON."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"base": _told(base), "shape": list(shape)}
    if dtype.names is None:
        if dtype.kind not in STORED_KINDS + "V":
            raise Unstorable("", f"a structured array with a field of dtype {dtype}")
        return dtype.str
    fields: list[Any] = [dtype.fields[name] for name in dtype.names]  # type: ignore[index] # it has names
    told = {
        "names": list(dtype.names),
        "formats": [_told(field[0]) for field in fields],
        "offsets": [field[1] for field in fields],
        "titles": [field[2] if len(field) > 2 else None for field in fields],
        "itemsize": dtype.itemsize,
    }
    return {**told, "aligned": True} if dtype.isalignedstruct else told


def _dtype(told: Any) -> np.dtype[Any]:
    if isinstance(told, str):
        return np.dtype(told)
    if "base" in told:
        return np.dtype((_dtype(told["base"]), tuple(told["shape"])))
    aligned = bool(told.get("aligned", False))
    fields = {key: value for key, value in told.items() if key != "aligned"}
    fields["formats"] = [_dtype(field) for field in told["formats"]]
    if not any(fields["titles"]):
        del fields["titles"]
    return np.dtype(fields, align=aligned)  # type: ignore[no-any-return,call-overload]


def _structured(array: Any) -> Parts:
    dtype = array.dtype
    classed = {np.recarray: "recarray", np.record: "record", np.void: "void"}.get(type(array))
    facts = {"dtype": _told(dtype), **({"class": classed} if classed else {})}
    cells = np.asarray(array) if classed != "recarray" else array.view(np.ndarray)
    # A field with subarrays of text of its own width is an array like any other.
    parts = {_field(i): np.asarray(cells[name]) for i, name in enumerate(dtype.names)}
    return Parts(parts or {"shape": array.shape}, attributes_of(**facts))


def _field(i: int) -> str:
    return f"field_{i}"


def _structured_back(parts: Facts, facts: Facts) -> Any:
    dtype = _dtype(facts["dtype"])
    names = dtype.names or ()
    array: Any = np.zeros(_outer_shape(parts, dtype), dtype)
    for i, name in enumerate(names):
        array[name] = parts[_field(i)]
    classed = facts.get("class")
    if classed == "recarray":
        return array.view(np.recarray)
    if classed == "record":
        return array.view(np.dtype((np.record, dtype)))[()]
    return array[()] if classed == "void" else array


def _outer_shape(parts: Facts, dtype: np.dtype[Any]) -> tuple[int, ...]:
    """The shape of the whole, without that of a field's subarrays."""
    if not dtype.names:
        return tuple(parts["shape"])
    first = parts[_field(0)]
    return tuple(first.shape[: first.ndim - len(dtype[dtype.names[0]].shape)])


def _raw(array: Any) -> Parts:
    cells = np.ascontiguousarray(array)
    width = array.dtype.itemsize
    seen = cells.view("u1") if width else np.empty(0, "u1")
    return Parts(
        {"bytes": seen.reshape(*array.shape, width)},
        attributes_of(dtype=array.dtype.str, **({"class": "void"} if isinstance(array, np.void) else {})),
    )


def _raw_back(parts: Facts, facts: Facts) -> Any:
    cells = np.ascontiguousarray(parts["bytes"])
    shape, width = cells.shape[:-1], cells.shape[-1]
    array = cells.view(facts["dtype"]).reshape(shape) if width else np.zeros(shape, facts["dtype"])
    return array[()] if facts.get("class") else array


def _void(value: Any) -> Parts:
    return _raw(value) if value.dtype.names is None else _structured(value)


def _void_back(parts: Facts, facts: Facts) -> Any:
    return _raw_back(parts, facts) if "bytes" in parts else _structured_back(parts, facts)


def _text(array: Array) -> Parts:
    cells = array.ravel().tolist()
    return Parts({"cells": cells, "shape": array.shape, "dtype": array.dtype.str})


def _text_back(parts: Facts, _: Facts) -> Array:
    return np.array(parts["cells"], parts["dtype"]).reshape(parts["shape"])


def _objects(array: Array) -> Parts:
    return Parts({"cells": array.ravel().tolist(), "shape": array.shape})


def _objects_back(parts: Facts, _: Facts) -> Array:
    return objects(parts["cells"]).reshape(parts["shape"])


def _strings(array: Any) -> Parts:
    dtype = array.dtype
    facts: dict[str, Any] = {} if dtype.coerce else {"coerce": False}
    if hasattr(dtype, "na_object"):
        facts["missing"] = _missing_word(dtype.na_object)
    cells = [None if _is_missing(cell, dtype) else str(cell) for cell in array.ravel().tolist()]
    return Parts({"cells": cells, "shape": array.shape}, attributes_of(**facts))


def _is_missing(cell: Any, dtype: Any) -> bool:
    return hasattr(dtype, "na_object") and (cell is dtype.na_object or _is_nan(cell))


def _is_nan(cell: Any) -> bool:
    return isinstance(cell, float) and math.isnan(cell)


def _missing_word(marker: Any) -> str:
    if marker is None:
        return "None"
    if _is_nan(marker):
        return "nan"
    if type(marker).__name__ == "NAType":
        return "NA"
    raise Unstorable("", f"an array of text whose missing value is {marker!r}")


def _strings_back(parts: Facts, facts: Facts) -> Any:
    options: dict[str, Any] = {} if facts.get("coerce", True) else {"coerce": False}
    if "missing" in facts:
        options["na_object"] = _marker(facts["missing"])
    array = np.empty(len(parts["cells"]), np.dtypes.StringDType(**options))
    for i, cell in enumerate(parts["cells"]):
        array[i] = options.get("na_object") if cell is None else cell
    return array.reshape(parts["shape"])


def _marker(word: str) -> Any:
    if word != "NA":
        return None if word == "None" else float("nan")
    import pandas as pd

    return pd.NA


def _masked(array: Any) -> Parts:
    if array is np.ma.masked:
        return Parts({}, attributes_of(constant=True))
    facts = {"hard": True} if array.hardmask else {}
    mask = None if array.mask is np.ma.nomask else np.asarray(array.mask)
    parts = {"data": np.asarray(np.ma.getdata(array)), "mask": mask}
    if array._fill_value is not None:  # reading `fill_value` would set it, as whoever printed the array has
        fill, usual = np.asarray(array._fill_value), np.array(np.ma.default_fill_value(array.dtype))
        if (fill.dtype, fill.tobytes()) != (usual.dtype, usual.tobytes()):
            parts["fill_value"] = fill
    return Parts(parts, attributes_of(**facts))


def _masked_back(parts: Facts, facts: Facts) -> Any:
    if facts.get("constant"):
        return np.ma.masked
    mask = np.ma.nomask if parts["mask"] is None else parts["mask"]
    array: Any = np.ma.MaskedArray(parts["data"], mask, hard_mask=facts.get("hard", False))
    if "fill_value" in parts:
        array._fill_value = parts["fill_value"]  # the setter would fit it to the array's dtype
    return array


def _gathered(arrays: Mapping[str, Array], facts: Facts) -> Array | None:
    """Masked arrays of one shape: one with the runs in front; absent runs are masked."""
    data, mask = arrays.get("data"), arrays.get("mask")
    if data is None or mask is None or "fill_value" in arrays or object in (data.dtype, mask.dtype):
        return None
    hidden = np.ma.getdata(mask) | np.ma.getmaskarray(mask) | np.ma.getmaskarray(data)
    return np.ma.MaskedArray(np.ma.getdata(data), hidden)


# Arrays of the plain class come to their codec by their dtype: `simkit.values.encode.array_codec`.
def _is_polynomial(kind: type) -> bool:
    return module_of(kind).startswith("numpy.polynomial.") and hasattr(np.polynomial, kind.__name__)


def _polynomial(value: Any) -> Parts:
    parts = {"coef": value.coef, "domain": value.domain, "window": value.window}
    return Parts(parts, attributes_of(basis=type(value).__name__, symbol=value.symbol))


def _polynomial_back(parts: Facts, facts: Facts) -> Any:
    basis = getattr(np.polynomial, facts["basis"])
    return basis(parts["coef"], parts["domain"], parts["window"], facts["symbol"])


def _matrix_back(parts: Facts, _: Facts) -> Any:
    return np.asarray(parts["values"]).view(np.matrix)


def _simple_dtype(value: Any) -> Parts:
    return Parts({"dtype": value.str}, attributes_of(dtype=_told(value)))


CODECS = (
    Codec("structured", np.recarray, _structured, _structured_back),
    Codec("raw", (), _raw, _raw_back),
    Codec("void", (np.void, np.record), _void, _void_back),
    Codec("text", (), _text, _text_back),
    Codec("objects", (), _objects, _objects_back),
    Codec("strings", (), _strings, _strings_back),
    Codec("masked", (np.ma.MaskedArray, type(np.ma.masked)), _masked, _masked_back, gather=_gathered),
    Codec("polynomial", _is_polynomial, _polynomial, _polynomial_back),
    Codec(
        "poly1d",
        np.poly1d,
        lambda value: Parts({"coef": value.coeffs}, attributes_of(variable=value.variable)),
        lambda parts, facts: np.poly1d(parts["coef"], variable=facts["variable"]),
    ),
    Codec("matrix", np.matrix, lambda value: Parts({"values": np.asarray(value)}), _matrix_back),
    Codec(
        "dtype",
        lambda kind: issubclass(kind, np.dtype),
        _simple_dtype,
        lambda _, facts: _dtype(facts["dtype"]),
        mutable=False,
    ),
)
