"""Call what follows an experiment, with its arguments injected."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import attrs
import numpy as np

from simkit.collect.after import TRAJECTORY
from simkit.collect.plan import Plan
from simkit.declare.axes import Values, objects
from simkit.errors import SimkitError
from simkit.inject.beat import Beat, signalled
from simkit.inject.failure import user_traceback
from simkit.inject.injector import Injector, OnError
from simkit.inject.shared import Constant, constants, make_shared, shared_values
from simkit.values.batch import Batch
from simkit.values.columns import Column


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


def call_after(
    plan: Plan,
    experiment: str,
    root: int,
    known: Mapping[str, Any],
    trajectory: Any,
    on_error: OnError | None,
    beat: Beat,
) -> Outcome | None:
    """Call a function that follows an experiment, as one run.

    Parameters
    ----------
    experiment
        The experiment's name, to which the shared random streams belong.
    known
        Values that the runs share, by node key.
    on_error
        Called with its exception, as a debugger does.
    beat
        Tells when the call is under way, and may be interrupted.

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
    injector = Injector(stage, root, values, parameters=tuple(fixed), on_error=on_error)
    injector.is_interrupt = signalled
    given = {TRAJECTORY: Values(objects([trajectory]), native=True)}
    batch = injector.batch(np.arange(1), given, beat)
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
    notes = tuple((name, text) for _, name, text in batch.notes)
    warnings = tuple((name, text) for name, text in batch.warnings if name != "large_return")
    error = batch.errors.get(0, problem)
    return Outcome(seconds, {} if error else batch.results, fixed, notes, error, warnings)
