"""Measurements on a grid."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from simkit import Unit


def measure(
    x: Annotated[float, "position", Unit("cm")],
    y: float,
    rng: np.random.Generator,
    gain: Annotated[float, "the gain", Unit("mV")] = 2.0,
    weights=(1.0, 2.0),
    options={"a": 1},  # noqa: B006
):
    """One of every kind; nothing at x=1, y=4."""
    if (x, y) == (1.0, 4.0):
        raise ValueError("no luck")
    return {
        "z": 10 * x + y, "n": int(x), "b": x > 1, "text": f"x{x}", "trace": np.arange(3) * x, "noise": rng.normal(),
        "image": np.full((2, 4), int(x), "u1"), "day": np.datetime64("2026-01-01") + np.timedelta64(int(y), "D"),
        "ragged": np.arange(int(x)), "big": 2**60 + int(x), "c": complex(x, y),
    }  # fmt: skip


def total(x=0.0, y=0.0, w=0.0):
    return {"z": 100.0 * x + 10 * y + w}
