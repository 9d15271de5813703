"""Call what follows an experiment once no run is pending, and record what it gives."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from simkit.analyse.edit import refusal
from simkit.analyse.trajectory import Trajectory
from simkit.collect.code import changes
from simkit.collect.plan import Plan
from simkit.declare.annotations import Note
from simkit.errors import location
from simkit.execute.execution import Options
from simkit.execute.interrupt import Interrupt
from simkit.execute.progress import Progress, Reporter, Stage
from simkit.inject.after import Outcome, call_after
from simkit.inject.beat import Beat, local_beat
from simkit.inject.notes import column_notes
from simkit.record.catalogue import Slot
from simkit.record.editing import writing
from simkit.record.match import fingerprint
from simkit.record.recorded import Recorded
from simkit.record.sparse import clean
from simkit.record.summary import failed_of_others, forget, read_state, write_outcome
from simkit.values.classes import loaded
from simkit.values.status import Status


def call_afters(
    plan: Plan, progress: Progress, options: Options, known: Mapping[str, Any], reporter: Reporter
) -> None:
    """Call each function that follows the experiment, in order, unless nothing has changed since it was called.

    A failing one costs no run: it is reported, and called again next time.

    Parameters
    ----------
    known
        Values that the runs share, by node key.

    Raises
    ------
    StorageFailed
        When the file can't be written.
    """
    is_recorded = progress.target.status is not None or progress.total
    if not plan.afters or not is_recorded or not _are_due(plan, progress, durable=options.durable):
        return
    beat = local_beat()
    with Interrupt(beat, reporter.interrupted) as interrupt:
        for after in plan.afters:
            stage = _called(after, plan, progress, options, known, beat)
            if stage is not None:
                progress.stages.append(stage)
                reporter.stage(progress, stage)
            too_many = 0 < options.most_failures <= progress.failed_in_all
            if interrupt.requested or (too_many and stage is not None):
                break
    progress.interrupted = interrupt.requested


def _are_due(plan: Plan, progress: Progress, *, durable: bool) -> bool:
    """Whether every declared run was tried; failures of functions that are no more are forgotten."""
    slot = progress.target.slot
    recorded = slot.open()
    try:
        gone = failed_of_others(recorded.root, [after.name for after in plan.afters])
        pending = np.asarray(recorded.run_column("status")) == Status.PENDING
    finally:
        recorded.close()
    if gone:
        with writing(slot, durable=durable) as root:
            forget(root, gone)
    declared = progress.target.points.declared
    return not (pending if declared is None else pending & declared).any()


def _called(
    after: Plan, plan: Plan, progress: Progress, options: Options, known: Mapping[str, Any], beat: Beat
) -> Stage | None:
    """Call one function; None if what it gave is up to date."""
    slot = progress.target.slot
    recorded = slot.open()
    try:
        basis = _basis(after, plan, recorded)
        if _is_current(read_state(recorded.root, after.name), basis):
            return None
        recorded.advice = "in an @after, run.add() and run.note() record, with run as an argument"
        recorded.classes = loaded
        trajectory = Trajectory(recorded)
        outcome = call_after(
            after, plan.name, progress.target.root, known, trajectory, options.on_error, beat
        )
        if outcome is None:
            return Stage(after, "interrupted", 0.0)
        refused = _refused(outcome, after, plan, recorded)
    finally:
        recorded.close()
    if refused:
        outcome = attrs.evolve(outcome, error=refused, results={})
    _record(after, slot, outcome, basis, durable=options.durable)
    progress.warnings.update({text: name for name, text in outcome.warnings})
    return Stage(after, "failed" if outcome.error else "done", outcome.seconds, outcome.error)


def _basis(after: Plan, plan: Plan, recorded: Recorded) -> dict[str, str]:
    """What a call depends on: its code and constants, the runs, and what was called before it."""
    earlier = plan.afters[: plan.afters.index(after)]
    before = {one.name: str(read_state(recorded.root, one.name).get("called", "")) for one in earlier}
    return {
        "code": json.dumps(after.code),
        "constants": json.dumps(fingerprint(after)["constants"]),
        "runs": recorded.digest,
        "before": json.dumps(before),
    }


def _is_current(state: Mapping[str, Any], basis: Mapping[str, str]) -> bool:
    same = all(state.get(key) == basis[key] for key in ("constants", "runs", "before"))
    return (
        state.get("status") == "done"
        and same
        and not changes(json.loads(state["code"]), json.loads(basis["code"]))
    )


def _refused(outcome: Outcome, after: Plan, plan: Plan, recorded: Recorded) -> str:
    """Why what it gave can't be recorded, or nothing."""
    living = [one.name for one in plan.afters]
    for name in outcome.results:
        problem = refusal(recorded, name, outcome.results, after.name, living)
        if problem:
            return f"{location(after.function)}: after {after.name}: {problem}"
    taken = next((name for name in outcome.parameters if name in recorded.names("results")), None)
    if taken is None:
        return ""
    where = f"{location(after.function)}: after {after.name}: its parameter {taken!r}"
    return f'{where} has the name of a result: the results are trajectory["{taken}"]; give it another name'


def _record(after: Plan, slot: Slot, outcome: Outcome, basis: Mapping[str, str], *, durable: bool) -> None:
    facts = {
        **basis,
        "function": after.node_id,
        "status": "failed" if outcome.error else "done",
        "called": time.time(),
        "seconds": outcome.seconds,
        "doc": clean(after.doc),
        "error": clean(outcome.error),
    }
    about = {
        name: note for (section, name), (note, *_) in column_notes(after).items() if section == "results"
    }
    values = {name: (column, about.get(name, Note())) for name, column in outcome.results.items()}
    with writing(slot, durable=durable) as root:
        write_outcome(root, after.name, facts, values, outcome.parameters, outcome.notes)
