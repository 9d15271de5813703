"""Chosen rows, wherever they lie in the file."""

from __future__ import annotations

import numpy as np

from simkit import product


def squares(i: int) -> dict[str, object]:
    return {"z": float(i * i), "trace": np.full(100, float(i)), "spikes.t": np.arange(i % 7) * 1.0}


def test_rows_far_apart_and_in_pieces(record):
    traj = record(squares, product(i=range(3000)))
    apart = [0, 1, 1500, 2999]
    chosen = traj.where(lambda i: i in apart)
    assert chosen.index.tolist() == apart
    assert chosen["trace"][:, 50].tolist() == apart
    assert [len(t) for t in chosen["spikes.t"]] == [i % 7 for i in apart]
    assert [run.z for run in chosen.runs[::-1]] == [float(i * i) for i in apart[::-1]]


def test_rows_that_lie_in_another_order_than_their_cells(record):
    def f(i, k):
        return {"trace": np.full(100, i + k / 2)}

    half = product(i=range(1500))
    traj = record(f, half * product(k=[0]) + half * product(k=[1]))  # as of a grid that grew
    corners = traj.to_xarray().trace.isel(i=[1499, 0], trace_dim_0=3)
    assert corners.values.tolist() == [[1499, 1499.5], [0, 0.5]]
