"""One run's values, read in blocks so that its neighbours' come for free."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any

import numpy as np

from simkit.analyse.describe import told_of_run
from simkit.analyse.naming import Names, holder_of, inside
from simkit.record.recorded import Recorded
from simkit.values.columns import Column
from simkit.values.decode import ABSENT, Absent
from simkit.values.status import WORDS

_BLOCK = 1024
_BLOCK_BYTES = 1 << 20
_SHAREABLE = (bool, int, float, complex, str, bytes, type(None), np.generic, Absent)


class Rows:
    """Reads values by run number; keeps one block per name."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.blocks: dict[str, tuple[range, list[Any]]] = {}
        self.constants: dict[str, Column] = {}

    @cached_property
    def names(self) -> dict[str, None]:
        """The names that a run has, parameters first; recorded ones never change."""
        return dict.fromkeys([*self.recorded.names("parameters"), *self.recorded.names("results")])

    def run(self, run: int) -> Names:
        """A run's values by natural naming."""
        return Names(
            self.names,
            lambda name: self._value_or_error(name, run),
            f"run {run}",
            tell=lambda name: told_of_run(self.recorded, name, self.value(name, run)),
        )

    def _value_or_error(self, name: str, run: int) -> Any:
        holder = holder_of(name, self.names)
        if holder != name:
            return inside(self._value_or_error(holder, run), name, holder)
        value = self.value(name, run)
        if value is ABSENT:
            status = WORDS[int(np.asarray(self.recorded.run_column("status", slice(run, run + 1)))[0])]
            why = f"; traj.error({run}) tells why" if status not in ("done", "pending") else ""
            msg = f"run {run} has no {name!r}: its status is {status}{why}"
            raise LookupError(msg)
        return value

    def value(self, name: str, run: int) -> Any:
        """The value, or `ABSENT`; what can be changed is the caller's own."""
        kept = self.blocks.get(name)
        if kept is not None and run in kept[0]:
            value = kept[1][run - kept[0].start]
            return value if isinstance(value, _SHAREABLE) else copy.deepcopy(value)
        if name in self.constants:
            return self.recorded.values(self.constants[name])[0]
        if self.recorded.is_constant(name):
            self.constants[name] = self.recorded.constant(name)
        else:
            self.blocks[name] = self._block(name, run)
        return self.value(name, run)

    def _block(self, name: str, run: int) -> tuple[range, list[Any]]:
        """The run and its neighbours: about a megabyte."""
        size = max(1, min(_BLOCK, _BLOCK_BYTES // self.recorded.row_bytes(name)))
        start = run - run % size
        rows = range(start, min(start + size, len(self.recorded)))
        return rows, self.recorded.values(self.recorded.column(name, slice(rows.start, rows.stop)))
