"""What a batch of runs brings back."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from simkit.declare.axes import Array, Index
from simkit.values.columns import Column, nbytes


@attrs.frozen(eq=False)
class Batch:
    """``n`` runs, executed together; row j of each array and column belongs to ``runs[j]``.

    Attributes
    ----------
    runs
        Run numbers, ascending, shape ``(n,)``.
    status
        `Status` values, ``uint8``.
    started
        Seconds since the epoch.
    seconds
        How long each run took, fixtures included.
    parameters
        The varying parameters that were computed for these runs.
    results
        Rows of runs that are not done are absent.
    seeds
        The runs' seeds, where one was requested.
    errors, logs
        Text by run number, where there is any.
    notes
        ``(run number, name, text)``; the name is empty for a remark on the run.
    worker
        The number of the process; 0 is the owner.
    warnings
        What the first run did that its author may not know of: the name that silences it, and the text.
    again
        Runs that are not done and will be tried once more in this session.
    """

    runs: Index
    status: Array
    started: Array
    seconds: Array
    parameters: Mapping[str, Column] = attrs.field(factory=dict)
    results: Mapping[str, Column] = attrs.field(factory=dict)
    seeds: Array | None = None
    errors: Mapping[int, str] = attrs.field(factory=dict)
    logs: Mapping[int, str] = attrs.field(factory=dict)
    notes: tuple[tuple[int, str, str], ...] = ()
    worker: int = 0
    again: tuple[int, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()

    @property
    def nbytes(self) -> int:
        """About how much memory the batch takes, in bytes."""
        columns = (*self.parameters.values(), *self.results.values())
        return 24 * len(self.runs) + sum(map(nbytes, columns)) + sum(map(len, self.logs.values()))
