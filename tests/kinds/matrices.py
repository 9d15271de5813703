"""SciPy's sparse arrays and matrices: the 81 cases of the survey, and a few that are not canonical."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

FORMATS = ("csr", "csc", "bsr", "coo", "dia", "dok", "lil")


def _made() -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    dense = rng.random((6, 6)) * (rng.random((6, 6)) < 0.3)
    return {
        f"{fmt}_{kind}": [
            getattr(sp, f"{fmt}_{kind}")(dense[:k].astype(dtype))
            for k, dtype in ((6, "f8"), (6, "f4"), (6, "c16"), (6, "i1"), (6, "?"), (2, "f8"))
        ]
        for kind in ("array", "matrix")
        for fmt in FORMATS
    }


def _odd() -> dict[str, list[Any]]:
    cube = np.zeros((2, 3, 4))
    cube[1, 2, 3] = 5.0
    wide = np.array([0, 1], "i8"), np.array([0, 1, 2], "i8")
    return {
        "sparse, duplicates": [sp.coo_array(([1.0, 2, 3], ([0, 0, 1], [1, 1, 2])), shape=(3, 3))],
        "sparse, stored zeros": [
            sp.csr_array(([0.0, 1.0], ([0, 1], [0, 1])), shape=(3, 3)),
            sp.coo_array(([np.nan, -0.0], ([0, 1], [0, 1])), shape=(3, 3)),
        ],
        "sparse, unsorted": [sp.csr_array((np.array([1.0, 2.0]), np.array([2, 0]), np.array([0, 2, 2, 2])))],
        "sparse, wide indices": [sp.csr_array((np.ones(2), *wide), shape=(2, 2))],
        "sparse, 1-d": [sp.coo_array(np.array([0, 1.0, 0, 2])), sp.csr_array(np.array([0, 1.0, 0, 2]))],
        "sparse, 1-d dok": [sp.dok_array(np.array([0, 1.0, 0, 2]))],
        "sparse, 3-d": [sp.coo_array(cube)],
        "sparse, empty": [
            sp.csr_array((0, 5)),
            sp.csr_array((5, 0)),
            sp.coo_array((0, 0)),
            sp.lil_array((3, 3)),
        ],
        "sparse, blocks": [
            sp.bsr_array(np.kron(np.eye(3), np.ones((2, 2))), blocksize=(2, 2)),
            sp.bsr_array(np.eye(6), blocksize=(3, 2)),
        ],
        "sparse, diagonals": [
            sp.diags_array([[1, 2, 3.0], [4, 5.0]], offsets=[0, 1]),
            sp.dia_array((np.ones((1, 4)), [1]), shape=(3, 4)),
            sp.dia_array((3, 3)),
        ],
        "sparse, dok in an order": [_ordered_dok()],
        "sparse, all formats": [getattr(sp, f"{fmt}_array")(np.eye(2)) for fmt in FORMATS],
        "sparse, nested": [{"w": [sp.csr_array(np.eye(2))], "n": 1}, [sp.coo_matrix(np.eye(3)), None]],
    }


def _ordered_dok() -> Any:
    matrix = sp.dok_array((3, 3))
    for at in ((2, 1), (0, 0), (1, 2)):
        matrix[at] = 1.0 + at[0]
    return matrix


MATRICES: dict[str, list[Any]] = {**_made(), **_odd()}
