"""Call what follows an experiment once no run is pending, and record what it gives."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import attrs
import numpy as np

from simkit.analyse.notes import refusal
from simkit.analyse.trajectory import Trajectory
from simkit.collect.code import changes
from simkit.collect.companions import TRAJECTORY
from simkit.collect.config import Settings
from simkit.collect.plan import Plan, column_notes
from simkit.declare.annotations import Note
from simkit.declare.forms import Values, objects
from simkit.declare.tags import Tag, tag_of
from simkit.errors import SimkitError, location
from simkit.inform.progress import Progress, Reporter, Stage
from simkit.inject.contact import Beat, local_beat, signalled, user_traceback
from simkit.inject.injector import Injector, OnError
from simkit.inject.provide import Constant, constants, make_shared, shared_values
from simkit.record.catalogue import Slot
from simkit.record.facts import clean
from simkit.record.recorded import Recorded
from simkit.resume.continuing import fingerprint
from simkit.study.interrupt import Interrupt, surroundings
from simkit.values.batch import Batch, Portion, Status, discard
from simkit.values.columns import Column
from simkit.values.instances import loaded
from simkit.values.results import ONE


@attrs.frozen(eq=False)
class Outcome:
    """What a call gave.

    Attributes
    ----------
    results
        Columns of one row; empty if it failed.
    parameters
        The parameters that it, or what it needs, asked for.
    notes
        ``(name, text)``; the name is empty for a remark on the trajectory.
    error
        The user's traceback, or what else was wrong; empty if all went well.
    """

    seconds: float
    results: Mapping[str, Column] = attrs.field(factory=dict)
    parameters: Mapping[str, Constant] = attrs.field(factory=dict)
    notes: tuple[tuple[str, str], ...] = ()
    error: str = ""
    warnings: tuple[tuple[str, str], ...] = ()


def call_companion(
    plan: Plan,
    experiment: str,
    root: int,
    known: Mapping[str, Any],
    given: Mapping[str, Any],
    on_error: OnError | None,
    beat: Beat,
    *,
    watched: bool = True,
) -> Outcome | None:
    """Call a function that stands beside an experiment, as one run.

    Parameters
    ----------
    experiment
        The experiment's name, to which the shared random streams belong.
    known
        Values that the runs share, by node key.
    given
        What is made for this call, by name: the trajectory, for one.
    on_error
        Called with its exception, as a debugger does.
    beat
        Tells when the call is under way, and may be interrupted.
    watched
        Whether what it does to global streams is told: not where runs are executed meanwhile.

    Returns
    -------
    Outcome or None
        None where Ctrl-C stopped it.
    """
    start = time.perf_counter()
    teardown = ExitStack()
    try:
        values, fixed = _shared(attrs.evolve(plan, name=experiment), root, known, teardown)
    except SimkitError as failure:  # ProviderFailed among them: the message holds the user's traceback
        error = "\n".join(filter(None, (str(failure), _torn_down(teardown))))
        return Outcome(time.perf_counter() - start, error=error)
    # A stream of its own: no experiment's name holds an @.
    stage = attrs.evolve(plan, name=f"{experiment}@{plan.name}")
    injector = Injector(
        stage, root, values, parameters=tuple(fixed), on_error=on_error, is_interrupt=signalled
    )
    injector.watch = injector.watch if watched else None
    injector.baseline.seeds_each = injector.baseline.cleans_each = (
        True  # called once, whatever it leaves behind
    )
    points = {name: Values(objects([value]), native=True) for name, value in given.items()}
    batch = injector.batch(Portion(np.arange(1), points), beat)
    problem = _torn_down(teardown)
    if not len(batch.runs):
        return None
    return _outcome(batch, fixed, problem, time.perf_counter() - start)


def _torn_down(teardown: ExitStack) -> str:
    """Finish the fixtures; the traceback if one fails."""
    try:
        teardown.close()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's fixture raises
        return f"a fixture failed when it was torn down\n{user_traceback(error)}"
    return ""


def _shared(
    plan: Plan, root: int, known: Mapping[str, Any], teardown: ExitStack
) -> tuple[dict[str, Any], dict[str, Constant]]:
    """What does not belong to the call alone: constants, and fixtures of the experiment."""
    values = shared_values(plan, root, {key: value for key, value in known.items() if key in plan.nodes})
    fixed = constants(plan, values)
    for key, node in plan.nodes.items():
        if not node.varying and key not in values:
            values[key] = make_shared(node, plan, values, root, teardown)
    return values, fixed


def _outcome(batch: Batch, fixed: Mapping[str, Constant], problem: str, seconds: float) -> Outcome:
    discard(batch)
    notes = tuple((name, text) for _, name, text in batch.notes)
    warnings = tuple((name, text) for name, text in batch.warnings if name not in ("", "large_return"))
    error = batch.errors.get(0, problem)
    if batch.files and not error:
        error = "run.attach(): only runs have files; return what you want to keep, as in {'trace': data}"
    return Outcome(seconds, {} if error else batch.results, fixed, notes, error, warnings)


def call_afters(
    plan: Plan, progress: Progress, settings: Settings, known: Mapping[str, Any], reporter: Reporter
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
    if not plan.afters or not is_recorded or not _are_due(plan, progress, durable=settings.durable):
        return
    beat = local_beat()
    with surroundings(), Interrupt(beat, reporter.interrupted) as interrupt:
        for after in plan.afters:
            stage = _called(after, plan, progress, settings, known, beat)
            if stage is not None:
                progress.stages.append(stage)
                reporter.stage(progress, stage)
            too_many = 0 < settings.most_failures <= progress.failed_in_all
            if interrupt.requested or (too_many and stage is not None):
                break
    progress.interrupted = interrupt.requested


def _are_due(plan: Plan, progress: Progress, *, durable: bool) -> bool:
    """Whether every declared run was tried; failures of functions that are no more are forgotten."""
    slot = progress.target.slot
    recorded = slot.open()
    try:
        gone = recorded.additions.failed([other.name for other in plan.companions])
        pending = np.asarray(recorded.run_column("status")) == Status.PENDING
    finally:
        recorded.close()
    if gone:
        with slot.editing(durable=durable) as additions:
            additions.forget(gone)
    declared = progress.target.points.declared
    return not (pending if declared is None else pending & declared).any()


def _called(
    after: Plan, plan: Plan, progress: Progress, settings: Settings, known: Mapping[str, Any], beat: Beat
) -> Stage | None:
    """Call one function; None if what it gave is up to date."""
    slot = progress.target.slot
    recorded = slot.open()
    try:
        basis = _basis(after, plan, recorded)
        if is_current(recorded.additions.state(after.name), basis):
            return None
        recorded.advice = "in an @after, run.add() and run.note() record, with run as an argument"
        recorded.classes = loaded
        given = {TRAJECTORY: Trajectory(recorded)}
        outcome = call_companion(
            after, plan.stream, progress.target.root, known, given, settings.on_error, beat
        )
        if outcome is None:
            return Stage(after, "interrupted", 0.0)
    finally:
        recorded.close()
    outcome = record_outcome(after, plan, slot, _named(outcome, after), basis, durable=settings.durable)
    progress.warnings.update({text: name for name, text in outcome.warnings})
    return Stage(after, "failed" if outcome.error else "done", outcome.seconds, outcome.error)


def _named(outcome: Outcome, after: Plan) -> Outcome:
    """What a report function returns without a name is called as the function is."""
    if set(outcome.results) != {ONE} or not (tag_of(after.function) or Tag()).is_report:
        return outcome
    return attrs.evolve(outcome, results={after.name: outcome.results[ONE]})


def _basis(after: Plan, plan: Plan, recorded: Recorded) -> dict[str, str]:
    """What a call depends on: its code and constants, the runs, and what was called before it."""
    earlier = plan.afters[: plan.afters.index(after)]
    before = {other.name: str(recorded.additions.state(other.name).get("called", "")) for other in earlier}
    return {
        "code": json.dumps(after.code),
        "constants": json.dumps(fingerprint(after)["constants"]),
        "runs": recorded.digest,
        "before": json.dumps(before),
    }


def is_current(state: Mapping[str, Any], basis: Mapping[str, str]) -> bool:
    """Whether what a function gave when it was called last is what it would give now."""
    same = all(state.get(key) == basis[key] for key in ("constants", "runs", "before"))
    return (
        state.get("status") == "done"
        and same
        and not changes(json.loads(state["code"]), json.loads(basis["code"]))
    )


def _refused(outcome: Outcome, after: Plan, plan: Plan, recorded: Recorded) -> str:
    """Why what it gave can't be recorded, or nothing."""
    role = "after" if after in plan.afters else "strategy"
    living = [other.name for other in plan.companions]
    for name in outcome.results:
        problem = refusal(recorded, name, outcome.results, after.name, living)
        if problem:
            return f"{location(after.function)}: {role} {after.name}: {problem}"
    taken = next((name for name in outcome.parameters if name in recorded.names("results")), None)
    if taken is None:
        return ""
    where = f"{location(after.function)}: {role} {after.name}: its parameter {taken!r}"
    return f'{where} has the name of a result: the results are trajectory["{taken}"]; give it another name'


def record_outcome(
    after: Plan, plan: Plan, slot: Slot, outcome: Outcome, basis: Mapping[str, str], *, durable: bool
) -> Outcome:
    """Record what a function gave that stands beside an experiment; it has failed where that can't be."""
    recorded = slot.open()
    try:
        refused = _refused(outcome, after, plan, recorded)
    finally:
        recorded.close()
    if refused:
        outcome = attrs.evolve(outcome, error=refused, results={})
    facts = {
        **basis,
        "function": after.node_id,
        "status": "failed" if outcome.error else "done",
        "called": time.time(),
        "seconds": outcome.seconds,
        "doc": clean(after.doc),
        "error": clean(outcome.error),
        **({} if after in plan.afters else {"role": "strategy"}),
    }
    about = {
        name: note for (section, name), (note, *_) in column_notes(after).items() if section == "results"
    }
    doc = Note(comment=after.doc if (tag_of(after.function) or Tag()).is_report else "")
    values = {name: (column, about.get(name, doc)) for name, column in outcome.results.items()}
    with slot.editing(durable=durable) as additions:
        additions.write_outcome(after.name, facts, values, outcome.parameters, outcome.notes)
    return outcome
