"""SciPy's sparse arrays and matrices, and what its solvers and tests return."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp

from simkit.declare.plugins import Codec, Parts
from simkit.declare.reflection import bases_of, is_declared, module_of
from simkit.errors import Unstorable
from simkit.values.instances import Stored
from simkit.values.registry import attributes_of, path_of

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


def _is_result(kind: type) -> bool:
    return issubclass(kind, dict) and any(
        base.__name__ in ("OptimizeResult", "_RichResult") for base in bases_of(kind)
    )


def _result(value: Any) -> Parts:
    kind = type(value).__name__
    return Parts({"items": dict(value)}, attributes_of(**{"class": kind}), {"class": kind})


def _result_back(parts: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
    from scipy import optimize

    known = {"OdeResult": lambda: importlib.import_module("scipy.integrate._ivp.ivp").OdeResult}
    return known.get(facts["class"], lambda: optimize.OptimizeResult)()(parts["items"])


def _is_test(kind: type) -> bool:
    """What a statistical test returns: a tuple of some fields, and further attributes, or an object of them."""
    return module_of(kind).startswith("scipy.stats") and (
        (issubclass(kind, tuple) and is_declared(kind, "_fields"))
        or any(base.__name__ == "TtestResultBase" for base in bases_of(kind))
    )


def _test(value: Any) -> Parts:
    kind = type(value).__name__
    fields = {name: part for name, part in value._asdict().items() if not name.startswith("_")}
    return Parts(fields, attributes_of(**{"class": kind}), {"class": kind})


def _test_back(parts: Mapping[str, Any], facts: Mapping[str, Any]) -> Stored:
    return Stored("scipy.test", parts, attributes_of(**facts), facts["class"])


def _inverse(value: Any) -> Parts:
    return Parts({"sk": value.sk, "yk": value.yk})


def _inverse_back(parts: Mapping[str, Any], _: Mapping[str, Any]) -> Any:
    from scipy import optimize

    return optimize.LbfgsInvHessProduct(parts["sk"], parts["yk"])


@lru_cache(maxsize=1)
def _pieces() -> dict[str, Any]:
    """The polynomials of SciPy's solvers, by the names of their classes."""
    from scipy.integrate import DenseOutput

    modules = [
        importlib.import_module(f"scipy.integrate._ivp.{name}") for name in ("rk", "radau", "bdf", "lsoda")
    ]
    kinds = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    return {kind.__name__: kind for kind in kinds if issubclass(kind, DenseOutput)}


def _solution(value: Any) -> Parts:
    """A continuous solution: its time steps, and the attributes of the polynomial in each."""
    for piece in value.interpolants:
        if _pieces().get(type(piece).__name__) is not type(piece):
            raise Unstorable("", f"a solution with a piece of type {path_of(type(piece))}")
    pieces = [{"kind": type(piece).__name__, **vars(piece)} for piece in value.interpolants]
    facts = attributes_of(alternative=bool(value.ascending) == (value.side == "right"))
    return Parts({"ts": value.ts, "pieces": pieces}, facts)


def _solution_back(parts: Mapping[str, Any], facts: Mapping[str, Any]) -> Any:
    from scipy.integrate import OdeSolution

    pieces = []
    for attributes in parts["pieces"]:
        piece = object.__new__(_pieces()[attributes["kind"]])
        vars(piece).update({name: part for name, part in attributes.items() if name != "kind"})
        pieces.append(piece)
    return OdeSolution(parts["ts"], pieces, alt_segment=facts["alternative"])


def _is_called(name: str) -> Callable[[type], bool]:
    return lambda kind: kind.__name__ == name and module_of(kind).startswith("scipy.")


CODECS = (
    Codec("scipy.sparse", lambda kind: kind in _classes(), _encode, _decode),
    Codec("scipy.result", _is_result, _result, _result_back, is_result=False),
    Codec("scipy.test", _is_test, _test, _test_back, is_result=False),
    Codec("scipy.inverse", _is_called("LbfgsInvHessProduct"), _inverse, _inverse_back),
    Codec("scipy.solution", _is_called("OdeSolution"), _solution, _solution_back),
)
