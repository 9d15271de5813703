"""The story on one page: match, compute what is shared, start workers, open, execute, record, report."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from simkit.analyse.stages import Supply
from simkit.collect.collection import Item, plan_of
from simkit.collect.config import BOOKS, Outside, Settings
from simkit.collect.effects import effects
from simkit.collect.listener import OpenedFile, OpenedFiles, listener
from simkit.collect.modules import hooked_engines, simconfs, turn_to
from simkit.collect.plan import Plan
from simkit.collect.targets import selected
from simkit.declare.space import Space, explore
from simkit.declare.trials import Until
from simkit.errors import NothingToRun, RunFailed, SimkitError, caller, shown_path, warn
from simkit.execute.job import Job
from simkit.inform.failures import raised
from simkit.inform.notebook import fitting_reporter
from simkit.inform.progress import Progress, Reporter, counted
from simkit.inject.contact import local_beat
from simkit.inject.desk import clear, spool
from simkit.inject.leftovers import sweep
from simkit.inject.provide import constants, reserved, shared_values
from simkit.record.catalogue import Slot
from simkit.record.file.store import left_log, sweep_results
from simkit.record.readings import Inputs
from simkit.resume.continuing import Continuation, decide
from simkit.resume.points import path_values, restricted
from simkit.study.execution import Execution
from simkit.study.rounds import trials_of
from simkit.study.supply import supplied
from simkit.values.batch import Checkpoints, Portion, Status
from simkit.values.decode import decode
from simkit.values.instances import loaded, revived

if TYPE_CHECKING:
    from simkit.analyse.trajectory import Trajectory
    from simkit.execute.transports import Transport
    from simkit.study.bookkeeping import Bookkeeping


@contextmanager
def transported(settings: Settings, plans: Sequence[Plan], source: str = "--engine") -> Iterator[Settings]:
    """The settings with the engine that they name, which is started when it is needed and ends with the block.

    Parameters
    ----------
    plans
        Their simconf.py files may offer engines.
    source
        Who says which engine, for messages.

    Raises
    ------
    SimkitError
        For an unknown engine.
    """
    transport = _transport(settings, plans, source)
    try:
        yield attrs.evolve(settings, transport=transport)
    finally:
        if transport is not None:
            transport.close()


def _transport(settings: Settings, plans: Sequence[Plan], source: str) -> Transport | None:
    if settings.engine == "local" or not settings.workers:
        return None
    from simkit.execute.offers import Wish
    from simkit.execute.transports import Executors, Pooled

    if not isinstance(settings.engine, str):  # the user's own executor
        name, pooled = type(settings.engine).__name__, Pooled.of(settings.engine, source, is_ours=False)
        return Executors(name, lambda: pooled, share=settings.workers, is_renewable=False)
    files = {file: None for plan in plans for file in simconfs(plan.path, plan.rootdir)}
    offered = hooked_engines(files, settings.rootdir)
    wish = Wish(settings.engine, source, settings.workers, settings.engines, offered, settings.rootdir)
    return wish.transport()


def study(
    item: Item, settings: Settings, reporter: Reporter, slots: Mapping[str, Slot] = MappingProxyType({})
) -> Progress:
    """Execute one experiment's selected runs and record them.

    Parameters
    ----------
    slots
        What was recorded before it in the same command, by node id.

    Raises
    ------
    NothingToRun
        For an empty space or selection.
    SourceNotReady
        Where it goes over runs of another experiment that are not recorded, or not complete.
    StorageFailed
        When the file can't be written any more.
    """
    sweep()
    file = settings.into or settings.output
    sweep_results(settings.results if file is None else file.parent)
    if item.plan.captures.imported:
        effects().put_in_place(item.plan.path)
        turn_to(item.plan.path, item.plan.rootdir)
    supply = Supply(settings, slots)
    supply.remarks.extend(effects().remarks.pop(item.plan.path, ()))
    item = attrs.evolve(item, plan=supplied(item.plan, supply))
    if item.plan.strategy is not None and not _selects(item, settings):
        from simkit.study.strategies import study_adaptively

        return study_adaptively(item.plan, settings, reporter)
    return _study_points(item, settings, reporter, supply.remarks)


def _selects(item: Item, settings: Settings) -> bool:
    """Whether some of the recorded runs are meant, whose points no strategy need be asked for."""
    if item.plan.strategy is not None and settings.shard is not None:
        msg = (
            f"{item.plan.node_id}: --shard divides points that are known from the start, and the strategy "
            f"{item.plan.strategy.plan.name} chooses them by what the others gave\n    run it as a whole"
        )
        raise SimkitError(msg)
    return bool(item.runs or settings.where or settings.only_failed)


def _study_points(item: Item, settings: Settings, reporter: Reporter, remarks: Sequence[str]) -> Progress:
    """Execute runs whose points are known."""
    plan = item.plan
    if plan.strategy is None and not len(plan.space):
        msg = f"{plan.node_id}: its space is empty: no point is left to run"
        raise NothingToRun(msg)
    target = decide(plan, settings)
    if plan.strategy is not None and target.status is None:
        msg = f"{plan.node_id}: no run is recorded that could be selected: its strategy has asked for no point yet"
        raise NothingToRun(msg)
    if target.is_set and not settings.replay:
        return _study_set(item, target, settings, reporter, remarks)
    chosen = selected(target.points.space, item.runs, settings.where, plan.node_id)
    trials = None if item.runs or settings.only_failed else trials_of(plan, target, chosen)
    if trials is not None and not len(restricted(target.points, chosen)):
        target = attrs.evolve(target, points=trials.extended(target.points))
        chosen = trials.is_chosen
    plan = attrs.evolve(
        (plan.strategy.over if plan.strategy else plan.with_space)(target.points.space),
        stream_name=target.stream,
    )
    runs = restricted(target.points, chosen, again=settings.replay)
    progress = _progress(plan, target, len(runs))
    progress.remarks += [*remarks, *(plan.space.remarks if target.status is None else target.points.remarks)]
    if item.runs and chosen is not None and not len(runs):
        progress.remarks.append(_done_already(target, np.flatnonzero(chosen).tolist()))
    records = len(runs) > 0 and not settings.replay
    bookkeeping = _begun(item.plan, settings, progress) if records else None
    reporter.begin(progress)
    shared, opened = _shared(plan, target) if len(runs) else (target.known, ())
    inputs = Inputs(plan.rootdir, target.slot.path, plan.sources.files)
    begun = inputs.take([*plan.readings.values(), *opened])
    execution = Execution(
        plan, target, shared, settings, progress, reporter, Checkpoints(target.checkpoints), trials, inputs
    )
    if bookkeeping is not None:
        with bookkeeping:
            execution.record(runs, bookkeeping.facts, begun, bookkeeping.now)
    elif len(runs):
        execution.replay(runs)
    elif target.status is not None and not settings.replay:
        execution.declare()
    if trials is not None and len(runs):
        progress.remarks.append(trials.words)
    reporter.end(progress)
    if plan.afters and not settings.replay and not progress.interrupted:
        _follow(progress, settings, shared, reporter)
    return progress


def _begun(plan: Plan, settings: Settings, progress: Progress) -> Bookkeeping:
    """What a session begins under; what asks for that is imported where a run is recorded."""
    from simkit.study.bookkeeping import Bookkeeping

    return Bookkeeping.begin(plan, settings, progress)


def _done_already(target: Continuation, runs: list[int]) -> str:
    """What to do about selected runs that are done."""
    first, path = runs[0], shown_path(target.slot.path)
    group = "" if target.slot.path.stem.startswith(target.slot.group) else f" {target.slot.group}"
    what = f"run {first} is" if len(runs) == 1 else f"all {len(runs)} selected runs are"
    show = f"simkit show {shlex.quote(path)}{group} --run {first} shows run {first}"
    return f"{what} done; {show}, --pdb executes it again without recording"


def _study_set(
    item: Item, target: Continuation, settings: Settings, reporter: Reporter, remarks: Sequence[str]
) -> Progress:
    """Execute runs of a set of shards, which other tasks may be writing as well."""
    from simkit.study.sharding import study_shards

    plan = item.plan
    _check_countable(plan)
    plan = plan.with_space(target.points.space)
    known: dict[str, Any] = {}

    def shared() -> tuple[dict[str, Any], tuple[OpenedFile, ...]]:
        values, opened = _shared(plan, target)
        known.update(values)
        return values, opened

    progress = study_shards(attrs.evolve(item, plan=plan), target, settings, reporter, shared, remarks)
    if progress is None:  # another task was faster
        return _study_points(item, settings, reporter, remarks)
    if plan.afters and not progress.interrupted:
        _follow(progress, settings, known, reporter)
    return progress


def _follow(progress: Progress, settings: Settings, shared: dict[str, Any], reporter: Reporter) -> None:
    """Call what follows the experiment."""
    from simkit.study.after import call_afters

    call_afters(progress.plan, progress, settings, shared, reporter)


def _shared(plan: Plan, target: Continuation) -> tuple[dict[str, Any], tuple[OpenedFile, ...]]:
    """The parameters that do not vary, and the files that they, or explored values, read or name."""
    with listener().to(OpenedFiles(plan.rootdir)) as opened:
        shared = shared_values(plan, target.root, target.known)
        opened.name([list(shared.values()), path_values(plan.space)])
    return shared, opened.taken()


def _check_countable(plan: Plan) -> None:
    if isinstance(plan.space.form, Until):
        msg = (
            f"{plan.node_id}: --shard divides points that are known from the start, and "
            f"repeat(…, until={plan.space.form.test!r}) adds some by what the others gave\n"
            "    run it as a whole, or repeat a fixed number of times: --repeat 10"
        )
        raise SimkitError(msg)


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
    engine: Any = None,
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
    engine
        Where the runs are executed: a name as in ``simkit --engine``, or an executor, which is left as it is. By
        default processes of this machine. ``workers`` is then how many runs each of its workers executes at once.
    check
        Raise the first failure; otherwise runs that are not done are a warning.

    Returns
    -------
    Trajectory
        Open for reading.

    Raises
    ------
    RunFailed
        With ``check``, when a run is not done, or what follows the runs failed; the trajectory is recorded
        all the same.

    Examples
    --------
    >>> def area(width, height=2.0):
    ...     return {"area": width * height}
    >>> with simkit.run(area, product(width=[1.0, 3.0]), set={"height": 4.0}) as traj:
    ...     traj["area"]
    array([ 4., 12.])
    """
    options = StudyOptions(workers, seed, output, fresh, into, engine)
    plan, project = plan_of(function, space, outside_of(set))
    return studied(plan, options.settings(project, f"simkit.run({plan.name})"), check=check)


def _whole_path(path: str | os.PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path).absolute()


def _check_workers(instance: Any, attribute: Any, workers: int) -> None:
    if type(workers) is not int or workers < 0:
        msg = f"{caller()}: workers={workers!r}: give a number of processes, or 0 for none"
        raise SimkitError(msg)


@attrs.frozen
class StudyOptions:
    """How a script or notebook wants its runs executed and recorded: what `run`, `start` and `script` share.

    Raises
    ------
    SimkitError
        For a number of workers that is none.
    """

    workers: int = attrs.field(validator=_check_workers)
    seed: int | None
    output: Path | None = attrs.field(converter=_whole_path)
    fresh: bool
    into: Path | None = attrs.field(converter=_whole_path)
    engine: Any

    def settings(self, project: Settings, call: str) -> Settings:
        """The project's settings with what was asked for; ``call`` stands for the command in the record."""
        engine = project.engine if self.engine is None else self.engine
        workers = self.workers if self.engine is None else max(1, self.workers)
        return attrs.evolve(
            project, engine=engine, workers=workers, seed=self.seed, output=self.output, fresh=self.fresh,
            into=self.into, argv=(call,),
        )  # fmt: skip


def outside_of(values: Mapping[str, Any] | None) -> dict[str, Outside]:
    """What ``set=`` lays on top of the code's values."""
    return {name: Outside(value, f"set={{{name!r}: {value!r}}}") for name, value in (values or {}).items()}


def studied(plan: Plan, settings: Settings, *, check: bool) -> Trajectory:
    """The trajectory of a study that was asked for in a script."""
    if plan.captures.incomparable:
        what = ", ".join(plan.captures.incomparable)
        words = f"{plan.name} depends on what can't be compared with earlier sessions, so none is continued: {what}"
        warn(words)
    with transported(settings, [plan], f"engine={settings.engine!r}") as ready:
        progress = study(Item(plan), ready, fitting_reporter())
    tell(progress, settings, check=check)
    return opened(progress, check=check)


def tell(progress: Progress, settings: Settings, *, check: bool = False) -> None:
    """Warn a script of all that is to be known of its study, where nothing is raised for it."""
    name, path = progress.plan.name, shown_path(progress.path)
    for remark in progress.target.remarks:
        first, *more = remark.split("\n")
        warn("\n".join([f"{first}; starting {path}", *more]))
    for text, kind in progress.warnings.items():
        if kind not in settings.silence:
            warn(text if kind in BOOKS else f"{name}: {text}")
    failed = [] if check else [*_not_done(progress), *_failed(progress, "after")]
    for words in (
        *progress.departures,
        *progress.problems,
        progress.target.damage,
        left_log(progress.path),
        *failed,
    ):
        if words:
            warn(words)


def opened(progress: Progress, *, check: bool) -> Trajectory:
    """The trajectory of a study in a script.

    Parameters
    ----------
    check
        Whether a failure of a run, or of what follows, is raised; that of a strategy always is.
    """
    failed = [*_failed(progress, "strategy"), *(_failed(progress, "after") if check else [])]
    first = min(progress.failures, key=lambda failure: failure.run, default=None)
    if check and first is not None:
        raise RunFailed(f"{progress.plan.name}: run {first.run} {first.status}\n{first.text}")
    if failed:
        raise RunFailed(failed[0])
    if progress.interrupted:
        raise KeyboardInterrupt
    from simkit.analyse.trajectory import Trajectory

    recorded = progress.target.slot.open()
    recorded.classes = loaded  # the experiment's own module among them
    return Trajectory(recorded)


def _failed(progress: Progress, role: str) -> list[str]:
    kept = "; all runs are kept" if role == "strategy" else ""
    return [
        f"{role} {stage.plan.name} failed{kept}\n{stage.text}"
        for stage in progress.stages
        if stage.text and stage.role == role
    ]


def _not_done(progress: Progress) -> list[str]:
    """What to say of runs whose results are missing, if there are any."""
    if not progress.failures:
        return []
    first = min(progress.failures, key=lambda failure: failure.run)
    why = raised(first.text)[0] or "no traceback"
    words = (
        f"{progress.plan.name}: {progress.failed} of {counted(progress.total, 'run')} not done, so their results are "
        f"missing; run {first.run} {first.status}: {why}\n    see it with print(traj.error({first.run})), and which "
        "they are with traj.where(\"status != 'done'\"); check=True raises the first"
    )
    return [words]


def call(function: Callable[..., Any], /, **values: Any) -> dict[str, Any]:
    """Make one injected run of an experiment, without a file.

    Parameters
    ----------
    function
        An experiment, or any function.
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

    Examples
    --------
    >>> def area(width, height=2.0):
    ...     return {"area": width * height}
    >>> simkit.call(area, width=3.0)
    {'area': 6.0}
    """
    given = {name: [value] for name, value in values.items()}
    plan, project = plan_of(function, explore(given), {})
    plan = supplied(plan, Supply(project))
    errors: list[BaseException] = []
    shared = shared_values(plan, 0)
    names = reserved(plan, constants(plan, shared))
    aside = spool()
    injector = Job(plan, 0, shared, names).injector(on_error=errors.append, aside=aside)
    try:
        batch = injector.batch(Portion(np.arange(1), plan.space.at(np.arange(1))), local_beat())
    finally:
        injector.close()
        clear(aside)
    if errors:
        raise errors[0]
    if batch.status[0] != Status.DONE:
        raise SimkitError(batch.errors[0])
    return {name: revived(decode(column)[0], loaded) for name, column in batch.results.items()}
