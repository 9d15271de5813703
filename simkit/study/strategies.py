"""Have a strategy choose an experiment's points: its function is called, and what it asks for is computed."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.analyse.open import recorded_at
from simkit.analyse.trajectory import Trajectory
from simkit.collect.companions import EVALUATE, TRAJECTORY
from simkit.collect.config import Settings
from simkit.collect.listener import OpenedFiles, listener
from simkit.collect.plan import Plan, Strategy
from simkit.declare.space import Space, explore, outline
from simkit.errors import SimkitError, shown_path
from simkit.inform.progress import Progress, Reporter, Stage, counted
from simkit.inject.contact import local_beat
from simkit.inject.provide import shared_values
from simkit.record.readings import Inputs
from simkit.record.recorded import Recorded
from simkit.resume.continuing import decide, fingerprint, fitted, other_constants
from simkit.resume.points import continued_points
from simkit.study.after import Outcome, call_afters, call_companion, is_current, record_outcome
from simkit.study.answers import Answers, History
from simkit.study.conversation import Conversation
from simkit.study.growth import Growth
from simkit.study.interrupt import Interrupt, surroundings
from simkit.study.steady import Steady, learn_from, space_of
from simkit.values.batch import Status


def study_adaptively(plan: Plan, settings: Settings, reporter: Reporter) -> Progress:
    """Have the strategy ask for points until it ends, execute them and record them.

    Raises
    ------
    StorageFailed
        When the file can't be written any more.
    """
    conversation, is_over = prepared(plan, settings, reporter)
    growth, progress = conversation.growth, conversation.growth.progress
    if is_over:
        reporter.end(progress)
    else:
        _play(conversation)
    if not progress.interrupted and not progress.stages:
        call_afters(growth.plan, progress, settings, growth.shared, reporter)
    return progress


def prepared(plan: Plan, settings: Settings, reporter: Reporter) -> tuple[Conversation, bool]:
    """The conversation before its first question, and whether its strategy has ended and would again.

    Raises
    ------
    SimkitError
        For a trajectory that the strategy can't start from.
    """
    target = decide(plan, settings)
    recorded = None if target.status is None else target.slot.open()
    try:
        plan = plan if recorded is None else fitted(plan, recorded)
        plan = attrs.evolve(plan, stream_name=target.stream)
        history = History(recorded)
        is_over = recorded is not None and _was_over(plan, recorded)
        if not is_over:
            _check_start(plan, target.slot.path)
            is_over = recorded is not None and _is_over(plan, recorded)
    finally:
        if recorded is not None:
            recorded.close()
    done = 0 if target.status is None else int((target.status == Status.DONE).sum())
    progress = Progress(plan, 0, target, target.points.n, recorded_done=done)
    reporter.begin(progress)
    inputs = Inputs(plan.rootdir, target.slot.path, plan.sources.files)
    with listener().to(OpenedFiles(plan.rootdir)) as opened:
        shared = shared_values(plan, target.root, target.known)
        opened.name(list(shared.values()))
    read = inputs.take([*plan.readings.values(), *opened.taken()])
    interrupt = Interrupt(local_beat(), reporter.interrupted)
    growth = Growth(
        plan, target, settings, progress, reporter, shared, interrupt, inputs, read, target.points.n
    )
    return Conversation(growth, history), is_over


def _play(conversation: Conversation) -> None:
    """Have the strategy ask until it ends, and record what it gives."""
    growth = conversation.growth
    progress, interrupt = growth.progress, growth.interrupt
    try:
        with surroundings(), interrupt:
            outcome = _called(conversation)
            if conversation.broken is not None:
                raise conversation.broken
            growth.close_engine(interrupted=outcome is None)
    except BaseException as error:
        growth.fail(error)
        raise
    finally:
        conversation.finish()
    progress.interrupted = interrupt.requested
    if outcome is None and progress.interrupted:
        words = _chooser(growth).words
        progress.remarks.append(f"{words} was stopped before its end: the same command goes on from there")
    growth.reporter.end(progress)
    if growth.n:
        outcome = _recorded(growth, outcome)
    if outcome is not None and outcome.error:
        stage = Stage(_chooser(growth).plan, "failed", outcome.seconds, outcome.error, role="strategy")
        progress.stages.append(stage)
        growth.reporter.stage(progress, stage)


def _chooser(growth: Growth) -> Strategy:
    assert growth.plan.strategy is not None
    return growth.plan.strategy


def _called(conversation: Conversation) -> Outcome | None:
    """Call the strategy's function; None where Ctrl-C, or too many failures, ended it."""
    growth = conversation.growth
    strategy, settings = _chooser(growth).plan, growth.settings
    asker = Asker(conversation, _chooser(growth).words, _chooser(growth).start)
    given: dict[str, Any] = {EVALUATE: Evaluate(asker), TRAJECTORY: None}
    if TRAJECTORY in strategy.nodes:
        given[TRAJECTORY] = Trajectory(conversation.look())
    function = strategy.function

    def played(*positional: Any, **named: Any) -> Any:
        return asker.played(function(*positional, **named), function)

    return call_companion(
        attrs.evolve(strategy, function=played), growth.plan.stream, growth.target.root, growth.shared, given,
        settings.on_error, growth.interrupt.beat, watched=False,
    )  # fmt: skip


def _basis(plan: Plan, recorded: Recorded, before: str | None = None) -> dict[str, str]:
    """What a strategy's end depends on: its code and constants, the runs, and what it learned first.

    Parameters
    ----------
    before
        What the trajectory that it starts from held; None looks.
    """
    assert plan.strategy is not None
    strategy, start = plan.strategy.plan, plan.strategy.start
    return {
        "code": json.dumps(strategy.code),
        "constants": json.dumps(fingerprint(strategy)["constants"]),
        "runs": recorded.digest,
        "before": _digest(start) if before is None else before,
        **({} if start is None else {"start": os.path.relpath(start, plan.rootdir)}),
    }


def _check_start(plan: Plan, path: Path) -> None:
    """Refuse to start from what is no trajectory of an experiment with these parameters.

    Parameters
    ----------
    path
        Of the strategy's own trajectory.
    """
    strategy = plan.strategy
    if strategy is None or strategy.start is None:
        return
    try:
        with closing(recorded_at(str(strategy.start), codecs=False)) as recorded:
            where = f"{strategy.words} starts from {shown_path(strategy.start)}"
            names = recorded.explored
            is_own = recorded.path == path and recorded.name == plan.name
    except SimkitError as problem:
        raise SimkitError(f"{strategy.words} starts from another trajectory: {problem}") from None
    if is_own:
        msg = f"{where}, which is its own trajectory\n    leave out start=: it goes on there in any case"
        raise SimkitError(msg)
    try:
        strategy.over(outline(names, ()))
    except SimkitError as problem:
        raise SimkitError(
            f"{where}, whose points are of {', '.join(names) or 'no name'}\n{problem}"
        ) from None


def _digest(start: Path | None) -> str:
    """What the trajectory that a strategy starts from holds."""
    if start is None:
        return ""
    with closing(recorded_at(str(start), codecs=False)) as recorded:
        return recorded.digest


def _is_over(plan: Plan, recorded: Recorded) -> bool:
    """Whether the strategy came to its end, and would again."""
    assert plan.strategy is not None
    return is_current(recorded.additions.state(plan.strategy.plan.name), _basis(plan, recorded))


def _was_over(plan: Plan, recorded: Recorded) -> bool:
    """Whether the strategy came to its end, and the trajectory that it started from is gone since."""
    assert plan.strategy is not None
    start, state = plan.strategy.start, recorded.additions.state(plan.strategy.plan.name)
    if start is None or os.path.exists(str(start).partition("::")[0]):
        return False
    basis = _basis(plan, recorded, str(state.get("before", "")))
    return state.get("start") == basis["start"] and is_current(state, basis)


def _recorded(growth: Growth, outcome: Outcome | None) -> Outcome | None:
    """Record what the strategy gave, if it came to its end."""
    plan, progress, slot = growth.plan, growth.progress, growth.target.slot
    recorded = slot.open()
    try:
        basis = _basis(plan, recorded)
        progress.target = attrs.evolve(growth.target, points=continued_points(plan, recorded))
    finally:
        recorded.close()
    if outcome is None:
        return None
    progress.warnings.update({text: name for name, text in outcome.warnings})
    return record_outcome(_chooser(growth).plan, plan, slot, outcome, basis, durable=growth.settings.durable)


@attrs.define(eq=False)
class Asker:
    """Hands what a strategy asks for to the study.

    Attributes
    ----------
    where
        The strategy, and where it stands, for messages.
    start
        The trajectory that it learns from first.
    """

    conversation: Conversation
    where: str
    start: Path | None = None
    asked: int = 0

    def ask(self, space: Any, where: str = "") -> Answers:
        """What these points give."""
        self.asked += 1
        return self.conversation.run(space, where or self.where)

    def played(self, made: Any, function: Callable[..., Any]) -> Any:
        """What the strategy returns in the end, given what its function returned at once."""
        is_sampler = hasattr(made, "ask") and hasattr(made, "tell")
        if self.start is not None and not (is_sampler and hasattr(made, "learn")):
            raise SimkitError(f"{self.where} can't start from {shown_path(self.start)}: {_NO_LEARN}")
        if is_sampler:
            made = self.sampled(made)
        elif inspect.isgenerator(made):
            made = self.generated(made)
        elif not self.asked:
            is_given = EVALUATE in inspect.signature(function).parameters
            why = "it never called evaluate" if is_given else f"its function returned {made!r} at once"
            raise SimkitError(f"{self.where} asked for no point: {why}\n    {_FORMS}")
        return made

    def sampled(self, sampler: Any) -> Any:
        """Ask an object for points, and tell it what became of them; its ``result()``, if it has that."""
        if self.start is not None:
            self.learned(sampler, self.start)
        points = sampler.ask()
        if points is None:
            raise SimkitError(f"{self.where} asked for no point: ask() gave None at once")
        if isinstance(points, list):
            self.by_generations(sampler, points)
        else:
            workers = self.conversation.growth.settings.width
            limit = workers + 1 if workers else 1
            Steady(sampler, self.conversation, self.where, limit, ahead=[points]).play()
        return sampler.result() if hasattr(sampler, "result") else None

    def learned(self, sampler: Any, start: Path) -> None:
        """Let an object learn from a trajectory, and say what of it is otherwise here."""
        plan, progress = self.conversation.growth.plan, self.conversation.growth.progress
        with closing(recorded_at(str(start), codecs=False)) as recorded:
            count, node_id = learn_from(recorded, sampler.learn), str(recorded.attributes["node_id"])
            others = other_constants(plan, recorded)
        words = f"{self.where} learned {counted(count, 'run')} of {shown_path(start)}, which"
        if node_id != plan.node_id:
            progress.departures.append(f"{words} is of another experiment: {node_id}")
        if others:
            progress.departures.append(f"{words} has other constants: {'; '.join(others)}\n    {_TO_AGREE}")

    def by_generations(self, sampler: Any, points: list[Any] | None) -> None:
        """Compute the points of each list before the next is asked for."""
        while points is not None:
            if not isinstance(points, list | tuple):
                msg = f"{self.where}: ask() gave {points!r} after a list\n    give a list of points, or None"
                raise SimkitError(msg)
            answers = self.ask(space_of(points, self.where))
            explored = {name for point in points for name in point}
            for row, point in enumerate(points):
                results = {name: _single(answers[name][row]) for name in answers if name not in explored}
                sampler.tell(point, results if answers.status[row] == "done" else None)
            points = sampler.ask()

    def generated(self, generator: Any) -> Any:
        """What a generator returns that asks for points by ``yield``."""
        name, answers = self.where.rpartition(": ")[2], None
        while True:
            try:
                space = generator.send(answers)
            except StopIteration as end:
                if not self.asked:
                    raise SimkitError(f"{self.where} asked for no point: it ended before a yield") from None
                return end.value
            frame = generator.gi_frame
            answers = self.ask(space, f"{shown_path(frame.f_code.co_filename)}:{frame.f_lineno}: {name}")


_NO_LEARN = "it returns no object with learn(point, results)"
_TO_AGREE = (
    "what it learned may not hold here: compute with these values (--set NAME=VALUE, set={…} in a script), "
    "or leave out start="
)
_FORMS = "a strategy yields spaces, calls its argument evaluate, or returns an object with ask() and tell()"


class Evaluate:
    """Given to a strategy as its argument ``evaluate``: computes points, and gives columns by name."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def __call__(self, points: Any = None, /, **columns: Any) -> Mapping[str, Any]:
        """Compute some points.

        Parameters
        ----------
        points, **columns
            A space, or values by name: columns of one length, or one value for all points. Where all are single
            values it is one point, and gives single values.

        Raises
        ------
        SimkitError
            For points that the experiment can't have, and in another thread than the strategy's.
        """
        if isinstance(points, Space) and not columns:
            return self._asker.ask(points)
        if not isinstance(points, Mapping | None):
            return self._asker.ask(explore(points, **columns))
        columns = {**(points or {}), **columns}
        lengths = [len(column) for column in columns.values() if _is_column(column)]
        size = lengths[0] if lengths else 1
        full = {name: value if _is_column(value) else [value] * size for name, value in columns.items()}
        answers = self._asker.ask(explore(full))
        if lengths:
            return answers
        return Answers(answers.runs, answers.status, {name: column[0] for name, column in answers.items()})

    def __reduce__(self) -> Any:
        msg = (
            f"{self._asker.where}: evaluate can't be sent to other processes: simkit executes the runs in its own "
            "workers (-n 4)\n    ask for many points at once, as with vectorized=True, instead of workers= or a pool"
        )
        raise SimkitError(msg)


def _single(value: Any) -> Any:
    """One value of a column as a run would have returned it."""
    return value.item() if isinstance(value, np.generic) else value


def _is_column(value: Any) -> bool:
    if isinstance(value, (str, bytes, Mapping)):
        return False
    return np.ndim(value) > 0 if isinstance(value, np.ndarray | np.generic) else hasattr(value, "__len__")
