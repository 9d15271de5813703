"""The story on one page: match, compute what is shared, start workers, open, execute, record, report."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simkit.analyse.trajectory import Trajectory
from simkit.collect.collection import Item, plan_of
from simkit.collect.config import BOOKS, load_config
from simkit.collect.plan import Plan
from simkit.collect.resolve import Outside
from simkit.collect.targets import selected
from simkit.declare.space import Space, explore
from simkit.errors import NothingToRun, RunFailed, SimkitError, caller
from simkit.execute.job import start_method
from simkit.inform.notebook import fitting_reporter
from simkit.inform.progress import Progress, Reporter
from simkit.inject.contact import local_beat
from simkit.inject.injector import Injector
from simkit.inject.provide import constants, reserved, shared_values
from simkit.provenance.circumstances import circumstances, trajectory_name
from simkit.provenance.labbook import Labbook, NotEntered, labbook, unique_label
from simkit.resume.continuing import Continuation, Wish, decide, in_part, restricted
from simkit.study.after import call_afters
from simkit.study.execution import Execution, Options
from simkit.values.batch import Checkpoints, Portion, Status
from simkit.values.decode import decode
from simkit.values.instances import loaded, revived


def study(item: Item, options: Options, reporter: Reporter) -> Progress:
    """Execute one experiment's selected runs and record them.

    Raises
    ------
    NothingToRun
        For an empty space or selection.
    StorageFailed
        When the file can't be written any more.
    """
    plan = item.plan
    if not len(plan.space):
        msg = f"{plan.node_id}: its space is empty: no point is left to run"
        raise NothingToRun(msg)
    target = decide(plan, options.wish)
    plan = plan.with_space(target.points.space)
    chosen = selected(plan.space, item.runs, options.where, plan.node_id)
    if options.wish.shard is not None:
        chosen = in_part(options.wish.shard, chosen, target.points.n)
    runs = restricted(target.points, chosen, again=options.replay)
    progress = _progress(plan, target, len(runs))
    progress.remarks.extend(plan.space.remarks if target.status is None else ())
    facts: dict[str, Any] = {}
    book: Labbook | None = None
    if len(runs) and not options.replay:
        book = labbook(plan.rootdir) if options.bookkeeping.sumatra else None
        facts = _circumstances(plan, options, progress, book)
    reporter.begin(progress)
    shared = target.known
    if len(runs):
        shared = shared_values(plan, target.root, target.known)
        checkpoints = Checkpoints(target.checkpoints)
        execution = Execution(plan, target, shared, options, progress, reporter, facts, checkpoints)
        try:
            execution.replay(runs) if options.replay else execution.record(runs)
        finally:
            if book is not None:
                _enter(book, plan, facts, progress)
    reporter.end(progress)
    if not options.replay and not progress.interrupted:
        call_afters(plan, progress, options, shared, reporter)
    return progress


def _circumstances(plan: Plan, options: Options, progress: Progress, book: Labbook | None) -> dict[str, Any]:
    """What is recorded of this session; what git did or could not do is told at its end."""
    target = progress.target
    known = {
        "engine": start_method(options.method) if options.workers else "owner",
        "workers": options.workers,
        "root_seed": str(target.root),
    }
    found = circumstances(plan, target.slot, options.argv, options.bookkeeping, known)
    progress.remarks.extend(found.remarks)
    progress.warnings.update(dict.fromkeys(found.problems, "git"))
    if book is None:
        return found.facts
    try:
        book.check()
    except NotEntered as problem:
        progress.warnings[f"Sumatra could not check the code: {problem}"] = "sumatra"
    label = unique_label(trajectory_name(target.slot))
    return {**found.facts, "sumatra": label, "started": time.time()}  # Sumatra's time is not the study's


def _enter(book: Labbook, plan: Plan, facts: Mapping[str, Any], progress: Progress) -> None:
    """Let Sumatra record the session; if it fails, that is all that is lost."""
    try:
        recorded = progress.target.slot.open()
        try:
            book.enter(facts, recorded, plan)
        finally:
            recorded.close()
        progress.remarks.append(f"Sumatra: recorded as {facts['sumatra']}")
    except (NotEntered, SimkitError, OSError, KeyboardInterrupt) as problem:
        told = str(problem) or "it was interrupted"
        progress.warnings[f"Sumatra has no record of this session: {told}"] = "sumatra"


def _progress(plan: Plan, target: Continuation, total: int) -> Progress:
    done = 0 if target.status is None else int((target.status == Status.DONE).sum())
    return Progress(plan, total, target, target.points.n, recorded_done=done)


def run(
    function: Callable[..., Any],
    space: Space | None = None,
    *,
    workers: int = 0,
    seed: int | None = None,
    set: Mapping[str, Any] | None = None,
    output: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    into: str | os.PathLike[str] | None = None,
    check: bool = False,
) -> Trajectory:
    """Run an experiment from a script, a notebook or a test, by the rules of the command.

    Parameters
    ----------
    function
        An experiment, or any function.
    space
        The points, instead of those that decorate the function.
    workers
        Supervised processes; 0 runs in this one.
    seed
        The root seed of all random streams.
    set
        Values by (dotted) name, laid on top of what the code says.
    output
        The file; by default the next one in the project's ``results``.
    fresh
        Begin a new trajectory even if one could be continued.
    into
        Continue this file although code or constants differ.
    check
        Raise the first failure.

    Raises
    ------
    RunFailed
        With ``check``, when a run is not done, or what follows the runs failed; the trajectory is recorded
        all the same.
    """
    if type(workers) is not int or workers < 0:
        msg = f"{caller()}: workers={workers!r}: give a number of processes, or 0 for none"
        raise SimkitError(msg)
    outside = {name: Outside(value, f"set={{{name!r}: {value!r}}}") for name, value in (set or {}).items()}
    plan = plan_of(function, space, outside)
    config = load_config(plan.rootdir)
    wish = Wish(
        config.results,
        output=None if output is None else Path(output),
        seed=seed,
        fresh=fresh,
        into=None if into is None else Path(into),
        on_change=config.on_change,
    )
    options = Options(
        wish, workers=workers, argv=(f"simkit.run({plan.name})",), outside=outside, durable=config.durable,
        bookkeeping=config.bookkeeping,
    )  # fmt: skip
    progress = study(Item(plan), options, fitting_reporter())
    failed = [f"after {stage.plan.name} failed\n{stage.text}" for stage in progress.stages if stage.text]
    told = [text for text, name in progress.warnings.items() if name in BOOKS and name not in config.silence]
    for problem in (*progress.problems, *told, *(() if check else failed)):
        warnings.warn(problem, stacklevel=2)
    if check and failed and not progress.failures:
        raise RunFailed(failed[0])
    if check and progress.failures:
        first = min(progress.failures, key=lambda failure: failure.run)
        msg = f"{plan.name}: run {first.run} {first.status}\n{first.text}"
        raise RunFailed(msg)
    if progress.interrupted:
        raise KeyboardInterrupt
    recorded = progress.target.slot.open()
    recorded.classes = loaded  # the experiment's own module among them
    return Trajectory(recorded)


def call(function: Callable[..., Any], /, **values: Any) -> dict[str, Any]:
    """Make one injected run of an experiment, without a file.

    Parameters
    ----------
    **values
        Parameters to give by name; the others are resolved as ``simkit`` does. ``seed`` is 0 unless given.

    Returns
    -------
    dict of str to object
        The results by name, as they would be read from a trajectory.

    Raises
    ------
    Exception
        Whatever the experiment raises.
    """
    given = {name: [value] for name, value in values.items()}
    plan = plan_of(function, explore(given), {})
    errors: list[BaseException] = []
    shared = shared_values(plan, 0)
    names = reserved(plan, constants(plan, shared))
    injector = Injector(plan, 0, shared, parameters=names, on_error=errors.append)
    try:
        batch = injector.batch(Portion(np.arange(1), plan.space.at(np.arange(1))), local_beat())
    finally:
        injector.close()
    if errors:
        raise errors[0]
    if batch.status[0] != Status.DONE:
        raise SimkitError(batch.errors[0])
    return {name: revived(decode(column)[0], loaded) for name, column in batch.results.items()}
