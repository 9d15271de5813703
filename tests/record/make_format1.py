"""Writes format1.h5, which tests/record/test_format.py reads: ``python tests/record/make_format1.py``.

Made once with the first simkit that writes format 1, and kept: files of that format must be readable for ever.
A change of this script changes what that test asks for, so it comes with a file made anew, and only as long as
no release has written format 1.
"""

from __future__ import annotations

import datetime
import math
import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

import simkit
from simkit import Unit, parameter, product

FILE = Path(__file__).with_name("format1.h5")
RUNS = 3


@parameter
class Neuron:
    """A leaky cell."""

    tau: Annotated[float, "membrane time constant", Unit("ms")] = 20.0
    kind: str = "leaky ☃"
    weights: tuple[float, ...] = (0.5, -0.0)


@parameter
def dt(neuron: Neuron) -> float:
    """Time step."""
    return neuron.tau / 100


@parameter
def drive(x: int, dt: float) -> float:
    """Computed for each run."""
    return x * dt


# One value for each run.
VALUES: dict[str, list[Any]] = {
    "flags": [True, False, True],
    "counts": [1, -(2**63), 2**63 - 1],
    "big": [2**63, -(2**70), 5],
    "reals": [0.1, math.nan, -0.0],
    "waves": [1 + 2j, complex(math.inf, -0.0), 0j],
    "words": ["", "naïve ☃ 𝄞", "nul\0"],
    "raw": [b"", b"\0abc\xff", b"x"],
    "nothing": [None, None, None],
    "time": [
        np.datetime64("2016-08-25T00:00:00", "s"),
        np.datetime64("NaT", "s"),
        np.datetime64(0, "s"),
    ],
    "arrays.fixed": [np.arange(6, dtype="f4").reshape(2, 3) * k for k in range(RUNS)],
    "arrays.ragged": [np.arange(k, dtype="i2") for k in (3, 0, 2)],
    "arrays.big_endian": [np.array([k, 2.5], ">f8") for k in range(RUNS)],
    "lists.plain": [[1, 2], [3, 4], [5, 6]],
    "maps.same": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": 3, "b": ""}],
    "maps.odd": [{1: 2.5}, {1: 3.5}, {2: 4.5}],
    "mixed": [1, "text", 2.5],
    "moments": [datetime.datetime(2016, 8, day, 12, 30) for day in (25, 26, 27)],
    "exact": [Decimal("0.10"), Decimal("-0"), Decimal("NaN")],
    "tags": [{"a", "b"}, set(), {"c"}],
    "hidden": [np.ma.array([1, 2, 3], mask=[0, 1, 0]) for _ in range(RUNS)],
    "structured": [np.array([(k, 0.5)], [("i", "i4"), ("v", "f8")]) for k in range(RUNS)],
    "matrix": [sp.csr_array(np.eye(3) * k) for k in range(RUNS)],
    "table": [pd.DataFrame({"i": [1, k], "word": ["a", None]}) for k in range(RUNS)],
}
SOME = {1: {"rare": 7}}  # results that only one run has


def study(
    x: int, w: float, neuron: Neuron, drive: float, rng: Any, run: simkit.Run, gain: int = 3
) -> dict[str, Any]:
    """Every kind of value."""
    position = x - 1
    if w > 1:
        msg = "some runs fail"
        raise ValueError(msg)
    run.note("a remark")
    run.note(counts="a remark on a result")
    for step in range(2):
        run.append(series=step + 0.5)
    return {
        **{name: values[position] for name, values in VALUES.items()},
        **SOME.get(position, {}),
        "draw": rng.random(),
        "total": drive + w + gain,
    }


def main() -> None:
    """Write the file."""
    FILE.unlink(missing_ok=True)
    space = product(w=[0.5], x=[1, 2, 3]) + product(w=[1.5], x=[1])
    trajectory = simkit.run(study, space, seed=20160825, output=FILE)
    print(trajectory, FILE.stat().st_size)


if __name__ == "__main__":
    sys.exit(main())
