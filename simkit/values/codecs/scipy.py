"""SciPy's sparse arrays and matrices: their data and indices, in the format that they have."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp

from simkit.declare.plugins import Codec, Parts
from simkit.errors import Unstorable
from simkit.values.registry import attributes_of

_COMPRESSED = ("data", "indices", "indptr")
_PARTS = {"csr": _COMPRESSED, "csc": _COMPRESSED, "bsr": _COMPRESSED, "dia": ("data", "offsets")}


@lru_cache(maxsize=1)
def _classes() -> dict[type, str]:
    """``csr_array`` and its like, by class."""
    names = [f"{fmt}_{kind}" for fmt in (*_PARTS, "coo", "dok", "lil") for kind in ("array", "matrix")]
    return {getattr(sp, name): name for name in names}


def _encode(matrix: Any) -> Parts:
    facts = attributes_of(**{"class": _classes()[type(matrix)]})
    shape = np.array(matrix.shape)
    if matrix.format in _PARTS:
        parts = {name: getattr(matrix, name) for name in _PARTS[matrix.format]}
    else:  # dok and lil are dictionaries and lists of what coo has as arrays
        triples = matrix.tocoo()
        # the width of their indices depends on how they were made, that of coo's is its own
        wide = None if matrix.format == "coo" else np.int64
        parts = {
            "data": triples.data,
            **{f"coord{i}": np.asarray(at, wide) for i, at in enumerate(triples.coords)},
        }
    if matrix.dtype == object:
        raise Unstorable("", "a sparse matrix of objects")
    return Parts({**parts, "shape": shape}, facts, {"class": _classes()[type(matrix)]})


def _decode(parts: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
    name = facts["class"]
    fmt, _, kind = name.partition("_")
    shape = tuple(parts["shape"].tolist())
    if fmt in _PARTS:
        return getattr(sp, name)(tuple(parts[part] for part in _PARTS[fmt]), shape=shape)
    at = tuple(parts[f"coord{i}"] for i in range(len(shape)))
    if fmt == "dok":  # in its own order
        keys = zip(*(each.tolist() for each in at), strict=True) if len(at) > 1 else at[0].tolist()
        matrix = getattr(sp, name)(shape, dtype=parts["data"].dtype)
        for key, value in zip(keys, parts["data"], strict=True):
            matrix.setdefault(key, value)
        return matrix
    triples = getattr(sp, f"coo_{kind}")((parts["data"], at), shape=shape)
    return triples if fmt == "coo" else triples.asformat(fmt)


CODECS = (Codec("scipy.sparse", lambda kind: kind in _classes(), _encode, _decode),)
