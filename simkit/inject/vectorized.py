"""One call computes many runs: arrays in, arrays out, and a call that raises is halved until the culprit is alone."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import attrs
import numpy as np

from simkit.collect.fields import fields_depend, group_fields, is_group, is_parameter, is_parameter_class
from simkit.collect.plan import Node, Plan
from simkit.declare.forms import TRIAL, Array, Index, Values
from simkit.declare.reflection import is_a
from simkit.declare.run import ManyRuns
from simkit.declare.snapshot import held, unchanged
from simkit.errors import NotForEach, Unstorable, location
from simkit.inject.contact import BEGAN, LOGGED, RUN, STOP, Beat, user_traceback
from simkit.inject.injector import PATIENCE, Injector, Points
from simkit.inject.neighbours import Neighbours, without_neighbours
from simkit.inject.outcomes import as_columns
from simkit.inject.output import Log
from simkit.inject.provide import given, protected
from simkit.inject.seeds import small_seeds
from simkit.inject.watch import Warned
from simkit.values.batch import Batch, Portion, Status
from simkit.values.columns import Column
from simkit.values.compress import compressed
from simkit.values.decode import stacked
from simkit.values.encode import encode, encode_values
from simkit.values.stacks import array_of, column_of, named_stacks

_DONE = int(Status.DONE)
Stacks = Mapping[str, Any]
Parts = list[tuple[Index, Column]]


@attrs.define(eq=False)
class Together:
    """A portion under way: what its runs are given, what they gave, and what became of them.

    Attributes
    ----------
    columns
        What each run is given, where something is made of it run by run.
    environments
        What was made for each run, by its position in the portion.
    executed
        Which runs are over.
    results
        By name, the columns that calls gave, with the positions of their runs.
    """

    runs: Index
    points: Points
    seeds: Array | None
    columns: Mapping[str, list[Any]]
    started: Array
    seconds: Array
    status: Array
    executed: Array
    environments: dict[int, dict[str, Any]] = attrs.field(factory=dict)
    results: dict[str, Parts] = attrs.field(factory=dict)
    errors: dict[int, str] = attrs.field(factory=dict)
    logs: dict[int, str] = attrs.field(factory=dict)

    def fail(self, position: int, text: str) -> None:
        """Make this run a failed one; the first reason stays."""
        if self.status[position] == _DONE:
            self.status[position] = Status.FAILED
            self.errors[int(self.runs[position])] = text

    def over(self, rows: Index, begun: float, seconds: float) -> None:
        """The runs at these positions are over; each took its share of the time."""
        self.executed[rows] = True
        self.started[rows], self.seconds[rows] = begun, seconds / max(1, len(rows))

    def take(self, rows: Index, columns: Mapping[str, Column]) -> None:
        """Keep what a call gave for these runs."""
        for name, column in columns.items():
            self.results.setdefault(name, []).append((rows, column))

    @property
    def first(self) -> int:
        """How many runs are over before the first that is not."""
        return len(self.runs) if self.executed.all() else int(self.executed.argmin())

    @property
    def has_gaps(self) -> bool:
        """Whether runs are over that stand behind one that is not."""
        return int(np.count_nonzero(self.executed)) > self.first

    def named(self, parts: Mapping[str, Parts]) -> dict[str, Column]:
        """Columns over the first runs, from those of calls."""
        whole = {name: stacked(len(self.runs), pieces) for name, pieces in parts.items()}
        n = self.first
        return whole if n == len(self.runs) else {k: v.take(np.arange(n)) for k, v in whole.items()}


class VectorInjector(Injector):
    """Executes runs of a vectorized plan in this process: its parameters are those of `Injector`."""

    def __init__(self, plan: Plan, root: int, shared: Mapping[str, Any], **options: Any) -> None:
        super().__init__(plan, root, shared, **options)
        self.is_unchecked = True  # no run was computed alone so far
        self.is_single = False  # each run is a call of its own, since it draws from global generators
        # Explored names that some points lack: there they have a constant, and belong to another call.
        self.optional = {
            node.key: node.needs[0].key
            for node in plan.nodes.values()
            if node.kind == "explored" and node.needs and not plan.nodes[node.needs[0].key].varying
        }
        self.groups = {node.key for node in plan.nodes.values() if _is_plain_group(node, plan)}
        self.made = {step.key for step in self.steps} - {*self.optional, *self.groups}
        self.made = {step.key for step in self.steps} - {*self.optional} if self.made else self.made

    def prepare(self) -> None:
        """Make the fixtures that the runs share; generators are seeded for each run once one was seen to draw."""
        super().prepare()
        self.baseline.seeds_each, self.baseline.cleans_each = False, True

    def executed(self, portion: Portion, beat: Beat, log: Log | None) -> Batch:
        """Execute these runs from where everything is now."""
        if self.broken is not None:
            return super().executed(portion, beat, log)
        together = self.begun(portion)
        calls, deadline = self.calls(together), time.perf_counter() + PATIENCE
        while calls:
            late = time.perf_counter() > deadline and together.executed.any() and not together.has_gaps
            if beat[STOP] or late:
                break
            rows = self.call(calls.pop(), together, beat, log)
            if rows is None:
                break
            if len(rows):
                calls += [rows[len(rows) // 2 :], rows[: len(rows) // 2]]
        beat[RUN], self.hearing.together = -1.0, together.runs[:0]
        return self.finished(together)

    def begun(self, portion: Portion) -> Together:
        """A portion before its first call."""
        runs, n = portion.runs, len(portion.runs)
        single = self.baseline.seeds_each
        seeds: Array | None = None
        columns: Mapping[str, list[Any]] = {}
        if self.made:
            iterables, seeds, _ = self.inputs(runs, portion.points)
            columns = {key: list(column) for key, column in iterables.items()}
        if seeds is None and (single or self.has_stream):
            seeds = self.seeds.of(runs)
        self.baseline.give(self.seeds.words if single else None)
        return Together(
            runs, portion.points, seeds, columns, np.full(n, np.nan), np.full(n, np.nan, "f4"),
            np.full(n, _DONE, "u1"), np.zeros(n, bool),
        )  # fmt: skip

    def calls(self, together: Together) -> list[Index]:
        """The positions of the runs of each call, the first one last: each holds one set of explored names."""
        rows, most = np.arange(len(together.runs)), self.plan.vectorized or len(together.runs)
        if self.baseline.seeds_each:
            most = 1
        groups = [rows]
        flags = [
            values.present
            for name, values in together.points.items()
            if name in self.optional and values.present is not None
        ]
        if flags:
            _, first, group = np.unique(np.stack(flags), axis=1, return_index=True, return_inverse=True)
            groups = [rows[group.reshape(-1) == number] for number in np.argsort(first)]
        parts = [part[start : start + most] for part in groups for start in range(0, len(part), most)]
        return parts[::-1]

    def call(self, rows: Index, together: Together, beat: Beat, log: Log | None) -> Index | None:
        """Compute these runs by one call; what is left of them to be halved, None where a signal ended it."""
        begun = time.perf_counter()
        beat[BEGAN], beat[RUN] = begun, float(together.runs[rows[0]])
        self.hearing.together = together.runs[rows]
        if self.hearing.fresh:
            self.hearing.forget()
        start = log.position() if log else 0
        beat[LOGGED] = start
        if self.baseline.seeds_each:
            self.baseline.begin(int(rows[0]))
        try:
            rows = self.with_environments(rows, together, beat)
            columns = self.computed_by_call(rows, together) if len(rows) else {}
        except BaseException as error:  # noqa: BLE001 - one bad run costs one run
            if self.is_signal(error, beat):
                return None
            if len(rows) > 1 and not is_a(error, NotForEach):
                self.baseline.end()
                return rows
            rows, columns = self.fail_all(rows, error, together, beat), {}
        together.over(rows, begun, time.perf_counter() - begun)
        together.take(rows, columns)
        self.baseline.end()
        if log and len(rows) and (stop := log.position()) > start:
            together.logs[int(together.runs[rows[0]])] = log.text(start, stop)
        if self.is_unchecked and columns and len(rows) > 1 and not self.baseline.seeds_each:
            self.is_unchecked = False
            self.warned += self.compared(rows, columns, together, beat)
        return rows[:0]

    def fail_all(self, rows: Index, error: BaseException, together: Together, beat: Beat) -> Index:
        """Record a failure of these runs: of one alone, or of all where what the call did fits none; which they are."""
        on_error, most = self.on_error, self.most_failures
        rows = rows[: max(1, most - self.failures)] if most else rows
        for position in rows.tolist():
            self.failed(position, error, "", together, beat)
            self.on_error = None  # once is enough for a debugger
        self.on_error = on_error
        return rows

    # What a call is given

    def with_environments(self, rows: Index, together: Together, beat: Beat) -> Index:
        """Make what is made run by run; the rows where that did not fail."""
        if not self.made:
            return rows
        good = []
        for position in rows.tolist():
            if position not in together.environments:
                row = {key: column[position] for key, column in together.columns.items()}
                environment = together.environments[position] = {**self.values, **row}
                try:
                    with ExitStack() as teardown, self.lineage:
                        for step in self.steps:
                            environment[step.key] = step.make(environment, teardown)
                except BaseException as error:  # one bad run costs one run
                    if not self.failed(position, error, "", together, beat):
                        raise
                    together.over(np.array([position]), time.perf_counter(), 0.0)
                    continue
            good.append(position)
        return np.array(good, np.int64)

    def computed_by_call(self, rows: Index, together: Together) -> dict[str, Column]:
        """Call the experiment for these runs.

        Raises
        ------
        NotForEach
            For what fits no number of runs.
        Exception
            Whatever the experiment raises.
        """
        trials = together.points[TRIAL].array[rows] if TRIAL in together.points else np.zeros_like(rows)
        handle = ManyRuns(together.runs[rows], trials)
        needs = self.plan.needs
        passed = {
            need.key: handle
            if need.key == "run" and self.is_handle
            else self.argument(need.key, rows, together)
            for need in needs
        }
        positional = [passed[need.key] for need in needs if not need.keyword]
        keywords = {need.argument: passed[need.key] for need in needs if need.keyword}
        with self.lineage:
            returned = named_stacks(self.plan.function(*positional, **keywords))
        if self.watch:
            constant = {key: value for key, value in passed.items() if key in self.values}
            self.watch.compare(constant, self.values)
        results = {name: held(returned[name], unchanged) for name in returned}
        twice = next((name for name in results if name in handle.results), None)
        if twice is not None:
            raise NotForEach(
                f"result {twice!r} was added with run.add() and is returned as well: give it once"
            )
        return self.columns_of({**handle.results, **results}, rows, together)

    @property
    def is_handle(self) -> bool:
        """Whether the name ``run`` means simkit's own."""
        return self.plan.nodes["run"].kind == "builtin"

    def argument(self, key: str, rows: Index, together: Together) -> Any:
        """One argument of a call: an array with the runs first if it varies."""
        node = self.plan.nodes[key]
        if key in self.made:
            values = [together.environments[position][key] for position in rows.tolist()]
            return _stack(values, {need.argument for need in node.needs if self.plan.nodes[need.key].varying})
        if key in self.groups:
            return self.group(node, rows, together)
        if key in together.points:
            values_there = together.points[key]
            if values_there.present is None or values_there.present[rows[0]]:
                return _shown(values_there.take(rows))
            return given(self.values[self.optional[key]])
        if node.varying and together.seeds is not None:
            seeds = together.seeds[rows]
            return protected(seeds if key == "seed" else small_seeds(seeds).astype(np.uint32))
        value = self.values[key]
        return given(value) if node.is_recorded else value

    def group(self, node: Node, rows: Index, together: Together) -> Any:
        """A group with arrays for its explored fields; the others are as they are."""
        assert node.make is not None
        arrays = {need.argument: self.argument(need.key, rows, together) for need in node.needs}
        varying = {need.argument for need in node.needs if self.plan.nodes[need.key].varying}
        first = {field: value[0] if field in varying else value for field, value in arrays.items()}
        made = node.make(**first)
        for field in varying:
            object.__setattr__(made, field, arrays[field])
        return protected(made)

    # What a call gave

    def columns_of(self, results: Stacks, rows: Index, together: Together) -> dict[str, Column]:
        """The results of a call as columns; a row that can't be kept makes its run a failed one."""
        kept, problem = self.names.kept(results)
        where, n = f"{location(self.plan.function)}: {self.plan.name} is vectorized:", len(rows)
        try:
            columns = {name: column_of(stack, n, f"{where} result {name!r}") for name, stack in kept.items()}
        except (Unstorable, RecursionError):
            lists = zip(*map(list, kept.values()), strict=True)
            records: list[Mapping[str, Any] | None] = [dict(zip(kept, row, strict=True)) for row in lists]
            columns = as_columns(records, lambda position, text: together.fail(int(rows[position]), text))
        for position in rows.tolist() if problem else ():
            together.fail(position, problem)
        return columns

    def finished(self, together: Together) -> Batch:
        """The runs that are over, as a batch."""
        n = together.first
        runs = together.runs[:n]
        parameters = self.parameters_of(together, n)
        results = together.named(together.results)
        has_seeds = together.seeds is not None and (self.has_stream or self.baseline.seeds_each)
        if self.watch and n:
            first = {name: column.take(np.arange(1)) for name, column in results.items()}
            self.warned += self.watch.warnings(first, [])
            self.watch = None
        if n and self.baseline.seeds_each and not self.is_single:
            self.is_single = True
            self.warned = [*without_neighbours(self.warned), *_single(self.baseline.drawn())]
        numbers = set(runs.tolist()) if together.errors or together.logs else set()
        results = compressed(results) if self.plan.compress else results
        return Batch(
            runs, together.status[:n], together.started[:n] + (time.time() - time.perf_counter()),
            together.seconds[:n], parameters, results,
            together.seeds[:n] if has_seeds and together.seeds is not None else None,
            {run: text for run, text in together.errors.items() if run in numbers},
            {run: text for run, text in together.logs.items() if run in numbers},
            warnings=tuple(self.warned),
        )  # fmt: skip

    def parameters_of(self, together: Together, n: int) -> dict[str, Column]:
        """The varying parameters that are recorded with their runs."""
        if self.made:
            recorded = [self.computed(together.environments.get(position, {})) for position in range(n)]
            return as_columns(recorded, together.fail, "parameter") if any(recorded) else {}
        columns = {}
        rows = np.arange(n)
        for node in self.recorded:
            values = together.points[node.key].take(rows)
            there = np.ones(n, bool) if values.present is None else values.present
            normal = encode([self.values[self.optional[node.key]]])
            lacking = np.flatnonzero(~there)
            parts = [
                (np.flatnonzero(there), encode_values(values.take(np.flatnonzero(there)))),
                (lacking, normal.take(np.zeros(len(lacking), np.int64))),
            ]
            columns[node.name] = stacked(n, [(at, column) for at, column in parts if len(at)])
        return columns

    def compared(
        self, rows: Index, columns: Mapping[str, Column], together: Together, beat: Beat
    ) -> list[Warned]:
        """Compute some runs of a call alone, and tell where they give something else."""
        neighbours = Neighbours(columns)
        for place in sorted({0, len(rows) // 2, len(rows) - 1}):
            row, run = rows[place : place + 1], int(together.runs[rows[place]])
            beat[BEGAN], beat[RUN] = time.perf_counter(), float(run)
            try:
                neighbours.compare(run, place, self.computed_by_call(row, together))
            except Exception as error:  # noqa: BLE001 - whatever the user's code raises
                neighbours.failed(run, user_traceback(error).splitlines()[-1])
            finally:
                self.baseline.end()
        return neighbours.warnings


def _single(drawn: Sequence[str]) -> Iterable[Warned]:
    names = ", ".join(drawn) or "a generator that all runs share"
    cure = "ask for 'seed', an array with a seed for each run, to have many computed by one"
    text = f"it draws from {names}, which can be seeded for one run only: so each run is a call of its own"
    yield "single_calls", f"{text}\n    {cure}"


def _is_plain_group(node: Node, plan: Plan) -> bool:
    """Whether only explored fields of a group vary, and making it does nothing but keep them."""
    is_made = node.kind == "group" and node.varying and is_parameter_class(node.make)
    if not is_made or fields_depend(node.make):
        return False
    known = attrs.fields_dict(node.make)  # type: ignore[arg-type]
    for need in node.needs:
        field, inner = known.get(need.argument), plan.nodes[need.key]
        if inner.varying and (inner.kind != "explored" or inner.needs or field is None):
            return False
        if inner.varying and field is not None and (field.validator or field.converter):
            return False
    return True


def _shown(values: Values) -> Any:
    """Explored values as an array that the call can't change."""
    if values.array.dtype != object:
        return protected(values.array)
    elements = values.elements()
    if not is_parameter(elements[0]):
        return protected(array_of([given(value) for value in elements]))
    return _stack(elements, ())


def _stack(values: Sequence[Any], varying: Iterable[str]) -> Any:
    """One value per run as an array; groups as one group, with arrays for the fields that are not all one object.

    Parameters
    ----------
    varying
        The fields, of groups, that are arrays in any case; dotted where they belong to groups in these.
    """
    first = values[0]
    if not (is_group(first) and all(type(value) is type(first) for value in values)):
        return protected(array_of([given(value) for value in values]))
    made = copy.copy(first)
    for field, inner in group_fields(first).items():
        inners = [getattr(value, field) for value in values]
        below = {name.removeprefix(f"{field}.") for name in varying if name.startswith(f"{field}.")}
        if field in varying or below or any(each is not inner for each in inners):
            object.__setattr__(made, field, _stack(inners, below))
    return made
