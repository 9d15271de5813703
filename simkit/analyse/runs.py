"""The runs of a trajectory, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np

from simkit.analyse.naming import Names
from simkit.declare.axes import Array, Index

if TYPE_CHECKING:
    from simkit.analyse.trajectory import Trajectory

_BLOCK = 4096


class Runs(Sequence["Names"]):
    """The runs in order; ``runs[3].z`` is a value, ``runs[2:5]`` some of them."""

    def __init__(self, trajectory: Trajectory, index: Index | range) -> None:
        self._trajectory, self._index = trajectory, index

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, i: int) -> Names: ...
    @overload
    def __getitem__(self, i: slice | Sequence[int] | Array) -> Runs: ...
    def __getitem__(self, i: int | slice | Sequence[int] | Array) -> Names | Runs:
        if isinstance(i, slice):
            return Runs(self._trajectory, self._index[i])
        if isinstance(i, (list, np.ndarray)):
            return Runs(self._trajectory, np.asarray(self._index)[i])
        if not isinstance(i, (int, np.integer)):
            msg = f"runs[{i!r}]: runs are numbered, as in runs[3] and runs[2:5]; columns have names, as in traj['z']"
            raise TypeError(msg)
        if not -len(self) <= i < len(self):
            msg = f"run {i} of a trajectory with {len(self)} runs"
            raise IndexError(msg)
        return self._trajectory.run(int(self._index[i]))

    def __iter__(self) -> Iterator[Names]:
        # In blocks, so that a million runs are never listed.
        for start in range(0, len(self), _BLOCK):
            for run in map(int, self._index[start : start + _BLOCK]):
                yield self._trajectory.run(run)

    def __repr__(self) -> str:
        return f"<{len(self)} runs of {self._trajectory.name}>"
