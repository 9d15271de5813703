"""One run's value of a name, read in blocks so that neighbours come for free."""

from __future__ import annotations

from typing import Any

import numpy as np

from simkit.record.recorded import Recorded
from simkit.values.decode import decode

_BLOCK = 1024
_BLOCK_BYTES = 1 << 20


class Rows:
    """Reads values by run number; keeps one block per name."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.kept: dict[str, tuple[int, list[Any]]] = {}
        self.sizes: dict[str, int] = {}

    def value(self, name: str, run: int) -> Any:
        """The value, or `ABSENT`; arrays are the caller's own."""
        if self.recorded.is_constant(name):
            return decode(self.recorded.constant(name))[0]
        size = self.sizes.get(name) or self.sizes.setdefault(name, self.block_size(name))
        start = run - run % size
        kept = self.kept.get(name)
        if kept is None or kept[0] != start:
            stop = min(start + size, len(self.recorded))
            kept = self.kept[name] = (start, decode(self.recorded.column(name, slice(start, stop))))
        value = kept[1][run - start]
        return value.copy() if isinstance(value, np.ndarray) else value

    def block_size(self, name: str) -> int:
        """How many runs to read at once: a megabyte's worth where that is known, else one."""
        nbytes = self.recorded.row_bytes(name)
        return 1 if nbytes is None else max(1, min(_BLOCK, _BLOCK_BYTES // max(1, nbytes)))
