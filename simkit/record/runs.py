"""The columns of ``runs`` under the owner's pen: their handles are looked up once, not with every batch."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from simkit.record.layout import create_column


class RunColumns:
    """Datasets of the group ``runs``, by name.

    Parameters
    ----------
    group
        The group.
    n
        How many runs there are.
    """

    def __init__(self, group: h5py.Group, n: int) -> None:
        self.group, self.n = group, n
        self.known: dict[str, h5py.Dataset | None] = {}

    def get(self, name: str) -> h5py.Dataset | None:
        """A column, or None where it was not used so far; only `made` makes one."""
        if name not in self.known:
            self.known[name] = self.group.get(name)
        return self.known[name]

    def made(self, name: str, dtype: Any) -> h5py.Dataset:
        """A column, made if it was not used so far."""
        column = self.get(name)
        if column is None:
            column = self.known[name] = create_column(self.group, name, self.n, np.dtype(dtype))
        return column
