"""Do recorded runs give the same results again?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from simkit.declare.forms import Index
from simkit.errors import SimkitError
from simkit.inject.injector import OnError
from simkit.provenance.changes import Change, since
from simkit.record.recorded import Recorded
from simkit.replay.rerun import Replay, replays
from simkit.values.batch import Batch, Status
from simkit.values.columns import Column
from simkit.values.compare import EXACT, Gap, Tolerance, differing, gap
from simkit.values.decode import ABSENT, decode
from simkit.values.encode import encode

STATUS = "status"
Advance = Callable[[int], None]


@attrs.frozen(eq=False)
class Finding:
    """One value that is not what was recorded.

    Attributes
    ----------
    run
        The run's number; None for a parameter that all runs share.
    recorded, now
        The values; `ABSENT` where there is none.
    gap
        How far they lie apart, where they are numbers.
    is_status
        Whether this is what became of the run, in words, rather than a value of that name.
    """

    run: int | None
    name: str
    recorded: Any
    now: Any
    gap: Gap | None = None
    is_status: bool = False


@attrs.define(eq=False)
class Verification:
    """What came of executing recorded runs again.

    Attributes
    ----------
    runs, differing, unfinished
        How many were executed; how many of them differ; how many fail as they did when they were recorded.
    findings
        The first differences, by run number.
    counts
        In how many runs each name differs.
    shared
        The parameters of all runs that differ, computed again.
    overlaid
        Constants that the code gives another value now: name, that value, and the recorded one that was used.
    changes
        What changed since the runs were recorded.
    """

    most: int
    tolerance: Tolerance
    runs: int = 0
    differing: int = 0
    unfinished: int = 0
    findings: list[Finding] = attrs.field(factory=list)
    counts: Counter[str] = attrs.field(factory=Counter)
    shared: list[str] = attrs.field(factory=list)
    overlaid: list[tuple[str, Any, Any]] = attrs.field(factory=list)
    changes: list[Change] = attrs.field(factory=list)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.counts and not self.shared

    def add(self, findings: list[Finding]) -> None:
        """Keep these if they are among the first."""
        kept = [*self.findings, *findings]
        kept.sort(key=lambda finding: -1 if finding.run is None else finding.run)
        self.findings = kept[: self.most]


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
    result = Verification(most, tolerance)
    code: Mapping[str, str] = {}
    for replay in replays(recorded, runs):
        result.overlaid += [
            each for each in replay.overlaid if each[0] not in [o[0] for o in result.overlaid]
        ]
        _constants(recorded, replay, result)
        for batch in replay.rerun.batches(replay.runs, workers, on_error):
            _compare(recorded, _final(batch), result)
            advance(result.runs)
        code = replay.rerun.plan.code
    result.changes = since(recorded, runs.tolist(), code)
    return result


def _constants(recorded: Recorded, replay: Replay, result: Verification) -> None:
    """What the runs share, computed again, against what is recorded."""
    names = set(recorded.names("parameters")) - set(recorded.explored)
    for name, (value, _, _) in replay.rerun.constants().items():
        if name not in names:
            continue
        now, before = encode([value]), recorded.rows(name, replay.runs)
        now = now.take(np.zeros(len(replay.runs), np.int64))
        different = np.flatnonzero(differing(before, now, result.tolerance))
        if len(different):
            result.shared.append(name)
            old = decode(before.take(different[:1]))[0]
            result.add([Finding(None, name, old, value, _gap(old, value))])


def _final(batch: Batch) -> Batch:
    """The batch without the runs that are tried once more."""
    if not batch.again:
        return batch
    at = np.flatnonzero(~np.isin(batch.runs, batch.again))
    return attrs.evolve(
        batch,
        runs=batch.runs[at],
        status=batch.status[at],
        parameters={name: column.take(at) for name, column in batch.parameters.items()},
        results={name: column.take(at) for name, column in batch.results.items()},
    )


def _compare(recorded: Recorded, batch: Batch, result: Verification) -> None:
    n = len(batch.runs)
    if not n:
        return
    first, stop = int(batch.runs[0]), int(batch.runs[-1]) + 1
    status = np.asarray(recorded.run_column("status", slice(first, stop)))[batch.runs - first]
    wrong = status != batch.status
    result.counts.update({STATUS: int(wrong.sum())} if wrong.any() else {})
    result.add([_status(batch, status, i) for i in np.flatnonzero(wrong)[: result.most].tolist()])
    comparable = (status == Status.DONE) & (batch.status == Status.DONE)
    known = {*recorded.names("parameters"), *recorded.names("results")}
    for name, now in _columns(recorded, batch):
        before = recorded.rows(name, batch.runs) if name in known else Column(n, ())
        different = differing(before, now, result.tolerance) & comparable
        if different.any():
            result.counts[name] += int(different.sum())
            result.add(_findings(name, batch.runs, before, now, np.flatnonzero(different)[: result.most]))
            wrong |= different
    result.runs += n
    result.unfinished += int((~wrong & ~comparable).sum())
    result.differing += int(wrong.sum())


def _columns(recorded: Recorded, batch: Batch) -> Iterator[tuple[str, Column]]:
    """What the runs gave, and what they did not give although it is recorded."""
    yield from batch.parameters.items()
    nothing: Mapping[str, Column] = dict.fromkeys(recorded.names("results"), Column(len(batch.runs), ()))
    yield from {**nothing, **batch.results}.items()


def _status(batch: Batch, before: Any, i: int) -> Finding:
    run = int(batch.runs[i])
    error = batch.errors.get(run, "").strip().rpartition("\n")[2]
    now = Status(int(batch.status[i])).word + (f": {error}" if error else "")
    return Finding(run, STATUS, Status(int(before[i])).word, now, is_status=True)


def _findings(name: str, runs: Index, before: Column, now: Column, at: Index) -> list[Finding]:
    pairs = zip(runs[at].tolist(), decode(before.take(at)), decode(now.take(at)), strict=True)
    return [Finding(run, name, old, new, _gap(old, new)) for run, old, new in pairs]


def _gap(old: Any, new: Any) -> Gap | None:
    return None if old is ABSENT or new is ABSENT else gap(encode([old]), encode([new]))


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
