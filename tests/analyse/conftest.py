"""Trajectories recorded in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import simkit

Record = Callable[..., simkit.Trajectory]


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """Runs a function over a space and opens what was recorded."""
    opened, number = [], count(1)

    def recorded(function: Any, space: simkit.Space | None = None, **options: Any) -> simkit.Trajectory:
        opened.append(simkit.run(function, space, output=tmp_path / f"traj-{next(number)}.h5", **options))
        return opened[-1]

    yield recorded
    for trajectory in opened:
        trajectory.close()
