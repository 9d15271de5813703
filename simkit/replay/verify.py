"""Do recorded runs give the same results again?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs
import numpy as np

from simkit.collect.plan import Plan
from simkit.declare.forms import Index
from simkit.errors import SimkitError
from simkit.inject.injector import OnError
from simkit.provenance.changes import Change, since
from simkit.record.recorded import Recorded
from simkit.replay.comparison import STATUS, Comparison, Deviation, first
from simkit.replay.rerun import Replay, replays
from simkit.values.batch import Batch, Status
from simkit.values.compare import EXACT, Tolerance, differing, gap
from simkit.values.decode import decode
from simkit.values.encode import encode

Advance = Callable[[int], None]


@attrs.frozen(eq=False)
class Verification:
    """What came of executing recorded runs again.

    Attributes
    ----------
    comparison
        How the runs differ from what is recorded.
    shared
        The parameters of all runs that differ, computed again, by name.
    overlaid
        Constants that the code gives another value now, by name: that value, and the recorded one that was used.
    changes
        What changed since the runs were recorded.
    """

    comparison: Comparison
    shared: dict[str, Deviation] = attrs.field(factory=dict)
    overlaid: dict[str, tuple[Any, Any]] = attrs.field(factory=dict)
    changes: list[Change] = attrs.field(factory=list)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.comparison.differing and not self.shared

    @property
    def differences(self) -> list[Deviation]:
        """The first ones, by run number."""
        of_values = (each for kept in self.comparison.differences.values() for each in kept)
        return first([*self.shared.values(), *self.comparison.outcomes, *of_values], self.comparison.most)

    @property
    def counts(self) -> list[tuple[str, int]]:
        """Names with the number of runs in which they differ; what became of the runs first."""
        statuses = sum(self.comparison.statuses.values())
        return [(STATUS, statuses)] * bool(statuses) + list(self.comparison.counts.items())


def verify(
    recorded: Recorded,
    runs: Index,
    *,
    tolerance: Tolerance = EXACT,
    workers: int = 0,
    on_error: OnError | None = None,
    advance: Advance = lambda executed: None,
    most: int = 20,
) -> Verification:
    """Execute recorded runs again with the present code, and compare.

    Parameters
    ----------
    runs
        Run numbers, ascending, shape ``(n,)``.
    workers
        Supervised processes; 0 executes in this one.
    on_error
        Called with each exception, in this process: a debugger. Needs ``workers=0``.
    advance
        Told how many runs were executed, each time some are.
    most
        How many differences to keep with their values; all are counted.
    """
    result = Verification(Comparison(recorded, tolerance, recorded.names("results"), most))
    plan: Plan | None = None
    for replay in replays(recorded, runs):
        for name, now, old in replay.overlaid:
            result.overlaid.setdefault(name, (now, old))
        for name, difference in _shared(recorded, replay, tolerance):
            result.shared.setdefault(name, difference)
        for batch in replay.rerun.batches(replay.runs, workers, on_error):
            result.comparison.add(_final(batch))
            advance(result.comparison.runs)
        plan = replay.rerun.plan
    if plan is None:
        return result
    changes = since(recorded, runs.tolist(), plan.code, plan.sources.files, plan.rootdir)
    return attrs.evolve(result, changes=changes)


def _shared(recorded: Recorded, replay: Replay, tolerance: Tolerance) -> Iterator[tuple[str, Deviation]]:
    """What the runs share, computed again, where it is not what is recorded."""
    names = set(recorded.names("parameters")) - set(recorded.explored)
    for name, (value, _, _) in replay.rerun.constants().items():
        if name not in names:
            continue
        before, now = recorded.rows(name, replay.runs), encode([value])
        rows = np.flatnonzero(differing(before, now.take(np.zeros(before.n, np.int64)), tolerance))[:1]
        if len(rows):
            before = before.take(rows)
            yield name, Deviation(name, None, (decode(before)[0], value), gap(before, now))


def _final(batch: Batch) -> Batch:
    """The batch without the runs that are tried once more."""
    if not batch.again:
        return batch
    rows = np.flatnonzero(~np.isin(batch.runs, batch.again))
    return attrs.evolve(
        batch,
        runs=batch.runs[rows],
        status=batch.status[rows],
        parameters={name: column.take(rows) for name, column in batch.parameters.items()},
        results={name: column.take(rows) for name, column in batch.results.items()},
    )


def replayed(recorded: Recorded, run: int, function: Callable[..., Any] | None = None) -> dict[str, Any]:
    """One run's results, computed again in this process and recorded nowhere.

    Raises
    ------
    Exception
        Whatever the experiment raises.
    """
    errors: list[BaseException] = []
    (replay,) = replays(recorded, np.array([run]), function)
    (batch,) = replay.rerun.batches(replay.runs, on_error=errors.append)
    if errors:
        raise errors[0]
    if batch.status[0] != Status.DONE:
        raise SimkitError(batch.errors[run])
    return {name: decode(column)[0] for name, column in batch.results.items()}
