"""A plan compiled: batches of points in, batches of columns out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, Protocol

import attrs
import numpy as np

from simkit.collect.effects import effects
from simkit.collect.listener import OpenedFiles, listener, loaded_by_name
from simkit.collect.plan import Need, Plan
from simkit.declare.forms import TRIAL, Array, Index, Values
from simkit.declare.snapshot import PLAIN, snapshot
from simkit.declare.workplace import Keepers
from simkit.inject.baseline import Baseline, Company
from simkit.inject.contact import BEGAN, ENOUGH, RUN, STOP, Beat, Save, Vault, hint, never, user_traceback
from simkit.inject.desk import Desk, kept_folder
from simkit.inject.lineage import Lineage
from simkit.inject.outcomes import (
    Handed,
    Layout,
    Outcomes,
    ResultNames,
    Returned,
    as_columns,
    result_columns,
)
from simkit.inject.output import Log, Output, unheard
from simkit.inject.provide import (
    Step,
    compiled,
    given,
    is_copied,
    is_recorded_per_run,
    make_shared,
    own_folder,
)
from simkit.inject.seeds import RANDOM_STATE, Generators, Seeds, small_seeds
from simkit.inject.watch import Hearing, Variables, Warned, Watch, left_behind
from simkit.values.batch import Batch, Portion, Status, discard
from simkit.values.compress import compressed
from simkit.values.decode import ABSENT
from simkit.values.results import fields_of, take_apart

Points = Mapping[str, Values]
OnError = Callable[[BaseException], None]
PATIENCE = 0.1  # seconds after which a batch is handed over although some of its runs are left
_DONE = int(Status.DONE)  # looking into an enum costs more than a run may


class Failing(Protocol):
    """A batch under way."""

    def fail(self, position: int, text: str) -> None:
        """Make the run at a position a failed one."""


class Injector:
    """Executes runs of one plan in this process.

    Parameters
    ----------
    shared
        The parameters that do not vary, by node key, as `shared_values` computed them.
    parameters
        The names that no result may take; by default those of the plan's parameters.
    seeds
        By run number, where the runs' seeds do not derive from the root seed: merged runs bring their own.
    on_error
        Called with a run's exception, as a debugger does.
    is_interrupt
        Whether a KeyboardInterrupt in a run is Ctrl-C: `never`, `signalled` or `always`.
    most_failures
        After how many failures no further run starts; 0 is no limit.
    save
        Hands a run's checkpoint, or what it reports, to the owner of the file; None where nobody hears it.
    aside
        How the names of copies of attached files begin; None where none can be attached.
    """

    def __init__(
        self,
        plan: Plan,
        root: int,
        shared: Mapping[str, Any],
        *,
        parameters: tuple[str, ...] = (),
        seeds: Array | None = None,
        on_error: OnError | None = None,
        is_interrupt: Callable[[Beat], bool] = never,
        most_failures: int = 0,
        save: Save | None = None,
        aside: str | None = None,
    ) -> None:
        self.plan, self.root, self.seeds = plan, root, Seeds(root, plan.stream, seeds)
        self.on_error, self.is_interrupt, self.most_failures = on_error, is_interrupt, most_failures
        self.values = dict(shared)
        self.teardown = ExitStack()
        self.names = ResultNames(parameters or tuple(plan.parameters))
        self.steps: list[Step] = compiled(plan)
        self.recorded = [n for n in plan.parameters.values() if is_recorded_per_run(n, plan)]
        self.apart = {n.name for n in plan.parameters.values() if n.kind in ("explored", "constant")} - {
            n.name for n in self.recorded
        }
        self.wants = {need.key for need in (*plan.needs, *(x for n in plan.nodes.values() for x in n.needs))}
        self.baseline = Baseline(plan)
        self.lineage = Lineage()
        self.vault = None if save is None else Vault(self.lineage.only_here(save), self.baseline)
        self.baseline.has_checkpoints = self.vault is not None and "run" in self.wants
        self.variables = Variables(plan)
        self.watch: Watch | None = Watch(plan, self.lineage, self.variables)  # until the first run is over
        self.hearing = Hearing()
        self.layout: Layout | None = None  # of what the last run has returned
        self.added: Layout | None = None  # of what it has added
        self.failures = 0
        self.look = 0.0  # when to look next at what runs have left
        self.unseen = 0  # runs that were looked at together with others only
        self.broken: str | None = None
        self.ready = False
        self.said = ""  # by fixtures that the runs share, before the first of these
        self.warned: list[Warned] = []  # what the runs of a batch did that their author may not know of
        self.readings = OpenedFiles(plan.rootdir)
        if plan.sources.loads_by_name:  # another experiment of this process may have loaded them already
            self.readings.new.update(loaded_by_name())
        self.desk = Desk(plan, self.values, self.readings, aside)

    def stand_alone(self, *, is_first: bool) -> None:
        """The process ends after one run: nothing is put back, and the first of all is watched."""
        self.baseline.company, self.watch = Company.NOBODY, self.watch if is_first else None

    def prepare(self) -> None:
        """Make the fixtures that the runs share; a failing one fails every run, not the worker."""
        given_before = dict(self.values)
        try:
            for supplier in self.plan.suppliers.values():
                self.teardown.callback(supplier.close)
            for key, node in self.plan.nodes.items():
                if not node.varying and key not in self.values:
                    self.values[key] = make_shared(node, self.plan, self.values, self.root, self.teardown)
        except Exception as error:  # noqa: BLE001 - whatever the user's fixture raises
            self.broken = str(error)
        except KeyboardInterrupt:  # they are made anew for the next batch, if there is one
            self.close()
            self.values.clear()
            self.values.update(given_before)
            raise
        self.ready = True
        self.baseline.share(self.values)

    def close(self) -> str:
        """Tear down the shared fixtures; the traceback if one fails, which costs no run."""
        try:
            self.teardown.close()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's fixture raises
            return f"a fixture failed when it was torn down after the runs\n{user_traceback(error)}"
        return ""

    def batch(self, portion: Portion, beat: Beat, log: Log | None = None) -> Batch:
        """Execute these runs.

        Parameters
        ----------
        beat
            Told which run begins and when; asked whether to go on.

        Returns
        -------
        Batch
            The runs that were executed: fewer than asked for when the batch takes long, or shall stop.
        """
        with (
            effects().watching(),
            listener().to(self.readings),
            self.hearing.to(beat, has_log=log is not None),
        ):
            batch = self._batch(portion, beat, log)
        new, heard = self.readings.taken(), self.hearing.taken()
        return attrs.evolve(batch, readings=new, heard=heard) if new or heard else batch

    def _batch(self, portion: Portion, beat: Beat, log: Log | None) -> Batch:
        if not self.ready:
            position = log.position() if log else 0
            self.prepare()
            self.said = log.text(position, log.position()) if log else ""
        self.baseline.note()
        self.warned = []
        if self.watch:
            self.watch.begin()
        failures, cared = self.failures, self.baseline.cared
        try:
            batch = self.executed(portion, beat, log)
            if self.baseline.has_moved():
                self.baseline.restore()
                self.failures = failures
                self.hearing.taken()
                if beat[STOP] == ENOUGH:  # those failures don't count
                    beat[STOP] = 0.0
                discard(batch)
                self.warned += left_behind(self.baseline.left, self.unseen)
                cared = self.baseline.cared
                batch = self.executed(portion, beat, log)
            self.warned += self.variables.warnings()
            self.unseen += max(0, batch.count - (self.baseline.cared - cared))
            batch = attrs.evolve(batch, warnings=tuple(self.warned)) if self.warned else batch
            return self.with_preface(batch)
        finally:
            self.baseline.restore()

    def with_preface(self, batch: Batch) -> Batch:
        """What making the shared fixtures has printed stands at the beginning of the first run's log."""
        if not self.said or not len(batch.runs):
            return batch
        first, said = int(batch.runs[0]), self.said
        self.said = ""
        logs = {**batch.logs, first: said + batch.logs.get(first, "")}
        return attrs.evolve(batch, logs=logs, nbytes=batch.nbytes + len(said))

    def executed(self, portion: Portion, beat: Beat, log: Log | None) -> Batch:
        """Execute these runs from where everything is now."""
        if self.vault is not None:
            self.vault.begin(portion)
        runs, n = portion.runs, len(portion.runs)
        columns, seeds, handles = self.inputs(runs, portion.points)
        out = Outcomes.of(runs.tolist(), handles)
        self.desk.begin(out.runs, portion.points, beat)
        output = Output(log, beat, out.runs) if log else None
        epoch = time.time() - time.perf_counter()
        recorded: list[Mapping[str, Any] | None] = []
        if self.broken is not None:
            out.executed = n
            for position in range(n):
                out.fail(position, self.broken)
        elif self.steps or self.is_careful:
            recorded = self.stepwise(columns, out, beat, output)
        else:
            self.straight(columns, out, beat, output)
        if self.lineage.children:  # forked in a fixture's teardown
            self.lineage.end()
        beat[RUN] = -1.0
        out.cut()
        self.baseline.judge(out.seconds[: out.executed])
        drawn = self.baseline.drawn() if self.baseline.words else []
        is_random = self.has_stream or self.baseline.is_random
        runs, seeds = runs[: out.executed], seeds[: out.executed] if seeds is not None and is_random else None
        is_plain = not (self.watch or self.plan.compress or (output and output.texts))
        one = out.one_run(self.names, recorded, seeds, epoch) if is_plain else None
        if one is not None:
            return one
        out.started += epoch
        self.added = out.handles.given.next_layout() if out.handles else None
        results = result_columns(self.names, out)
        parameters = as_columns(recorded, out.fail, "parameter") if any(recorded) else {}
        self.warned += self.watch.warnings(results, drawn) if self.watch and out.executed else ()
        self.watch = None if out.executed else self.watch
        results = compressed(results) if self.plan.compress else results
        return Batch(
            runs, out.status, out.started, out.seconds, parameters, results, seeds, out.errors,
            output.texts if output else {}, warnings=tuple(self.warned), **out.said(self.vault),
        )  # fmt: skip

    @property
    def is_careful(self) -> bool:
        """Whether there is more to do for each run than to call the experiment."""
        return bool(self.baseline.is_careful or self.watch or self.on_error)

    @property
    def has_stream(self) -> bool:
        """Whether runs ask for their random stream."""
        return "seed" in self.wants and self.plan.nodes["seed"].kind == "builtin"

    def inputs(self, runs: Index, points: Points) -> tuple[dict[str, Any], Array | None, Handed | None]:
        """The values that differ between runs and need no call, each an iterable over the runs."""
        columns: dict[str, Any] = {}
        for name, values in points.items():
            elements = values.elements()
            copied = values.array.dtype == object and any(map(is_copied, elements))
            lacking = () if values.present is None else np.flatnonzero(~values.present).tolist()
            for position in lacking:
                elements[position] = ABSENT
            columns[name] = map(given, elements) if copied else elements
        careful, seeds = self.is_careful, None
        if careful or self.has_stream:
            seeds = self.seeds.of(runs)
        self.baseline.give(self.seeds.words if careful else None)
        if self.has_stream and seeds is not None:
            columns["seed"] = seeds.tolist()
            columns.update({"rng": self.generators(runs, seeds)} if "rng" in self.wants else {})
            columns.update({RANDOM_STATE: small_seeds(seeds).tolist()} if RANDOM_STATE in self.wants else {})
        if "run" not in self.wants:
            return columns, seeds, None
        trials = points[TRIAL].elements() if TRIAL in points else repeat(0)
        handles = Handed(runs.tolist(), trials, Keepers(self.vault, take_apart, self.desk), self.added)
        return columns | {"run": handles}, seeds, handles

    def generators(self, runs: Index, seeds: Array) -> Iterable[np.random.Generator]:
        """Each run's ``rng``, made when its turn comes; known to the vault where a checkpoint may keep it."""
        if self.vault is None or "run" not in self.wants:
            return Generators(seeds)
        self.vault.generators = dict(zip(runs.tolist(), Generators(seeds), strict=True))
        return self.vault.generators.values()

    def straight(self, columns: dict[str, Any], out: Outcomes, beat: Beat, output: Output | None) -> None:
        """The loop for experiments whose arguments need no call; each run begins when the one before has ended."""
        function, rows = self.called(columns)
        forked, heard, folders = self.lineage.children, self.hearing.fresh, self.desk.folders
        printed: Sequence[bool] = output.log.printed if output else ()
        # What another process says in shared memory takes longer to read than a list: now and then is soon enough.
        asked = beat if isinstance(beat, list) else [0.0] * (STOP + 1)
        take = output.take if output else unheard
        returned, ended = Returned(self.layout), list[float]()
        add, keep, results = returned.add, returned.values.append, returned.values
        end, clock = ended.append, time.perf_counter
        begun = now = due = clock()
        deadline = now + PATIENCE
        for run, row in zip(out.runs, rows, strict=False):
            if now >= due or printed or asked[STOP]:
                if now > deadline or beat[STOP] or self.has_left(now):
                    break
                beat[BEGAN] = now
                due = min(take(len(ended), now), self.look)
            beat[RUN] = run
            try:
                value = function(*row)
                if not (add and add(value)):
                    add = add and returned.unpack()
                    keep(value)
                    if type(value) not in PLAIN:
                        value = None  # the list alone refers to it
                        results[-1] = snapshot(results[-1], take_apart, fields_of, is_held=True)
            except BaseException as error:  # noqa: BLE001 - one bad run costs one run
                add = returned.unpack()
                results[len(ended) :] = [None]
                goes_on, due = self.failed(len(ended), error, self.desk.kept, out, beat), 0.0
                self.desk.leave(error)
                if not goes_on:
                    break
            if forked or heard or folders:
                self.settle()
            end(now := clock())
        take(len(ended), now)
        out.take(returned, begun, ended)
        self.layout = returned.next_layout()

    def called(self, columns: Mapping[str, Any]) -> tuple[Callable[..., Any], Iterator[tuple[Any, ...]]]:
        """The experiment, and its arguments run by run."""
        needs = sorted(self.plan.needs, key=lambda need: need.keyword)
        rows, keys = self.rows(needs, columns), [need.key for need in needs]
        source = columns.get("rng" if "rng" in keys else "run")
        if isinstance(source, Generators | Handed):  # one object for many runs; a generator is the dearer one
            place = keys.index("rng" if "rng" in keys else "run")
            rows = source.rows(self.rows(needs[:place], columns), self.rows(needs[place + 1 :], columns))
        function, names = self.plan.function, [need.argument for need in needs if need.keyword]
        if not names:
            return function, rows
        first = len(needs) - len(names)

        def by_name(*row: Any) -> Any:
            return function(*row[:first], **dict(zip(names, row[first:], strict=True)))

        return by_name, rows

    def rows(self, needs: Sequence[Need], columns: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Some arguments, run by run."""
        sources = [self.source(need.key, columns) for need in needs]
        return zip(*sources, strict=False) if sources else repeat(())

    def is_signal(self, error: BaseException, beat: Beat) -> bool:
        """Whether an exception is a signal in the owner, and no failure: the run stays to be done."""
        if self.lineage.children:
            self.lineage.end(error)
        if not issubclass(type(error), KeyboardInterrupt) or not self.is_interrupt(beat):
            return False
        if not beat[STOP]:
            raise error  # nobody handles signals here: it goes to the caller
        return True

    def failed(self, position: int, error: BaseException, more: str, out: Failing, beat: Beat) -> bool:
        """Record a failure; False for a signal in the owner, which is none: the run stays to be done."""
        if self.is_signal(error, beat):
            return False
        out.fail(position, user_traceback(error) + hint(error, self.wants) + more)
        self.failures += 1
        if self.failures == self.most_failures:  # the last one that is wanted
            beat[STOP] = ENOUGH
        if self.on_error:
            self.on_error(error)
        return True

    def has_left(self, now: float) -> bool:
        """Whether a run has left behind what can be put back, if it is time to look; of what can't it is told."""
        if now < self.look:
            return False
        self.warned += self.variables.warnings()
        is_each = self.variables.is_each or self.baseline.is_young
        self.look = 0.0 if is_each else now + self.baseline.pause
        return self.baseline.has_left(now)

    def settle(self) -> None:
        """After a run: a process that it forked ends, its folder goes, and it may be warned of the same again."""
        if self.lineage.children:
            self.lineage.end()
        if self.desk.folders:
            self.desk.leave()
        self.hearing.forget()

    def source(self, key: str, columns: Mapping[str, Any]) -> Iterator[Any]:
        """One argument's values, run by run."""
        if key in columns:
            return iter(columns[key])
        value = self.values[key]
        copied = self.plan.nodes[key].is_recorded and is_copied(value)
        return map(given, repeat(value)) if copied else repeat(value)

    def stepwise(
        self, columns: dict[str, Any], out: Outcomes, beat: Beat, output: Output | None
    ) -> list[Mapping[str, Any] | None]:
        """The loop for experiments that need derived parameters or fixtures made for every run."""
        iterators = {key: iter(column) for key, column in columns.items()}
        recorded: list[Mapping[str, Any] | None] = []
        deadline = time.perf_counter() + PATIENCE
        for position, run in enumerate(out.runs):
            begun = time.perf_counter()
            if beat[STOP] or begun > deadline or self.has_left(begun):
                break
            beat[BEGAN], beat[RUN] = begun, run
            out.started[position] = begun
            values = {key: next(column) for key, column in iterators.items()}
            environment: dict[str, Any] = {**self.values, **values}
            self.baseline.begin(position)
            try:
                with ExitStack() as teardown, self.lineage:
                    folder = partial(self.folder, environment, teardown)
                    self.baseline.lend(folder)
                    self.desk.lend(environment, folder)
                    out.results[position] = self.one(environment, teardown)
            except BaseException as error:  # noqa: BLE001 - one bad run costs one run
                if not self.failed(position, error, kept_folder(environment), out, beat):
                    break
            out.seconds[position] = time.perf_counter() - begun
            out.executed = position + 1
            recorded.append(self.computed(environment))
            environment.clear()  # nothing of this run is alive when the next begins
            if self.hearing.fresh:
                self.hearing.forget()
            self.baseline.end()
            if output:
                output.take(out.executed, 0.0)
        return recorded

    def one(self, environment: dict[str, Any], teardown: ExitStack) -> Any:
        """One run: its steps in order, then the experiment itself."""
        for step in self.steps:
            environment[step.key] = step.make(environment, teardown)
        passed = {}
        for need in self.plan.needs:
            value = environment[need.key]
            passed[need.key] = given(value) if self.plan.nodes[need.key].is_recorded else value
        positional = [passed[need.key] for need in self.plan.needs if not need.keyword]
        keywords = {need.argument: passed[need.key] for need in self.plan.needs if need.keyword}
        try:
            return snapshot(self.plan.function(*positional, **keywords), take_apart, fields_of)
        finally:
            if self.watch:
                self.watch.compare(passed, environment)

    def folder(self, environment: dict[str, Any], teardown: ExitStack) -> Path:
        """The folder of the run under way."""
        if environment.get("workdir") is None:
            environment["workdir"] = own_folder(self.plan, teardown)
        return Path(environment["workdir"])

    def computed(self, environment: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The varying parameters that one run came to compute, by name."""
        values: dict[str, Any] = {}
        for node in self.recorded:
            if node.key in environment:
                values.update(node.leaves(environment[node.key]))
        for value in values.values():
            self.readings.name(value)
        return {name: value for name, value in values.items() if not self.is_apart(name)}

    def is_apart(self, name: str) -> bool:
        """Whether a name, or the group that it is a field of, stands in the points or is a constant."""
        return any(name == one or name.startswith(f"{one}.") for one in self.apart)
