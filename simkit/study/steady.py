"""Ask a strategy for the next point as soon as a worker is free, and tell it what became of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import attrs
import numpy as np

from simkit.collect.plan import Plan
from simkit.declare.axes import from_list
from simkit.declare.forms import ASKED, TOLD, Array, Index, Values
from simkit.declare.space import Space, explore
from simkit.errors import SimkitError, caller
from simkit.record.facts import read_reports, read_stops
from simkit.record.recorded import Recorded
from simkit.study.answers import owned
from simkit.study.conversation import Conversation
from simkit.study.growth import Growth
from simkit.values.alone import OnePoint, OneRun
from simkit.values.batch import Batch, Portion, RunReport, Status
from simkit.values.decode import ABSENT, decode
from simkit.values.instances import loaded, revived

Point = Mapping[str, Any]
Results = Mapping[str, Any] | None
_NUMBERS = {float, int, bool}
_MOST = 2**63
_PLAIN = {float, int, bool, str, np.float64, np.int64}


class Sampler(Protocol):
    """What a strategy's function may return: it gives points, and hears what became of each."""

    def ask(self) -> Any:
        """A point, a list of points, or None at the end."""

    def tell(self, point: Any, results: Any) -> None:
        """What a point gave, None where its run failed; it is the very object that `ask` gave.

        It may also have ``learn(point, results)`` for points that it did not ask for, ``report(point, value, step)``
        for what runs report while they go on, ``should_stop(point)`` that says whether such a run shall stop, and
        ``result()``.
        """


def rows_of(recorded: Recorded, runs: Index) -> Iterator[tuple[int, Point, Results]]:
    """The runs in this order: number, point, and results, which are None where the run is not done."""
    explored = set(recorded.explored)
    names = [n for n in recorded.names("parameters") if not recorded.is_constant(n)]
    for batch in recorded.batches(runs, [*names, *recorded.names("results")]):
        columns = {**batch.parameters, **batch.results}
        values = {name: decode(column) for name, column in columns.items()}
        for row, run in enumerate(batch.runs.tolist()):
            here = {n: revived(v[row], loaded) for n, v in values.items() if v[row] is not ABSENT}
            point = {name: value for name, value in here.items() if name in explored}
            rest = {name: value for name, value in here.items() if name not in explored}
            yield run, point, rest if batch.status[row] == Status.DONE else None


@attrs.define(eq=False)
class Steady:
    """An agenda of points that a sampler is asked for one by one.

    It is asked as soon as an answer was given, whether or not a worker is free by then: so its points depend on
    nothing but the order of the answers.

    Attributes
    ----------
    where
        The strategy, and where it stands, for messages.
    limit
        How many points may be asked for and not answered: one for each worker, and one that waits for the first
        that is free.
    under_way
        These points, by run number.
    waiting
        Those of them that no worker has.
    unwritten
        Points that are not in the file yet.
    tried
        How often runs were tried again.
    unfitting
        A point of names that are not explored yet: it waits until nothing is under way.
    fitting
        A plan, the names of a point that fit it, and whether these are all that it explores.
    ahead
        What was asked for already.
    heard
        How many answers were given before the last point was asked for.
    asked
        How many points were asked for.
    stopped
        The recorded runs that were stopped: what they gave can't be learned.
    mistake
        What the sampler raised.
    """

    sampler: Sampler
    conversation: Conversation
    where: str
    limit: int
    under_way: dict[int, Point] = attrs.field(factory=dict)
    waiting: deque[int] = attrs.field(factory=deque)
    unwritten: list[tuple[int, Point]] = attrs.field(factory=list)
    tried: dict[int, int] = attrs.field(factory=dict)
    unfitting: Point | None = None
    fitting: tuple[Plan, tuple[str, ...], bool] | None = None
    ahead: list[Any] = attrs.field(factory=list)
    heard: int = 0
    asked: int = 0
    stopped: Mapping[int, int] = attrs.field(factory=dict)
    is_over: bool = False
    mistake: Exception | None = None

    @property
    def growth(self) -> Growth:
        """The trajectory that the points are added to."""
        return self.conversation.growth

    # What is asked

    def fill(self) -> None:
        """Ask for points until as many are under way as may be."""
        while len(self.under_way) < self.limit and self.unfitting is None:
            point = self.ask()
            if point is None:
                return
            if self.fits(point):
                self.add(point)
            else:
                self.unfitting = point

    def fits(self, point: Point) -> bool:
        """Whether the plan explores the names of a point."""
        plan, names = self.growth.plan, tuple(point)
        if self.fitting is None or self.fitting[0] is not plan or self.fitting[1] != names:
            if not self.growth.fits(self.space_of([point])):
                return False
            self.fitting = plan, names, {*names} == {*plan.space.names}
        return True

    def values(self, point: Point) -> Mapping[str, Values]:
        """A point's value, or none, for each explored name."""
        if self.fits(point) and self.fitting is not None and self.fitting[2]:
            return {name: from_list([value]) for name, value in point.items()}
        return self.growth.fitted(self.space_of([point]), self.where).at(np.arange(1))

    def ask(self) -> Point | None:
        """The sampler's next point, or None at its end."""
        if self.is_over or self.mistake is not None:
            return None
        self.heard = self.conversation.told
        point: Any = self.ahead.pop() if self.ahead else self.theirs(self.sampler.ask)
        if point is None:
            self.is_over = True
        elif type(point) is not dict and not isinstance(point, Mapping):
            what = "a list after single points" if isinstance(point, list) else repr(point)
            msg = f"{self.where}: ask() gave {what}\n    give a point as a dictionary of values by name, or None"
            self.mistake = SimkitError(msg)
            return None
        elif not self.is_plain(point):
            try:
                self.growth.check(self.space_of([point]), self.where)
            except SimkitError as problem:
                self.mistake = problem
                return None
        self.asked += point is not None
        return point  # type: ignore[no-any-return]

    def is_plain(self, point: Point) -> bool:
        """Whether a point has the names of the last one that fitted, and values that can be recorded in any case."""
        known = () if self.fitting is None else self.fitting[1]
        return tuple(point) == known and all(type(value) in _PLAIN for value in point.values())

    def space_of(self, points: Sequence[Point]) -> Space:
        """Points as a space."""
        return space_of(points, self.where)

    def theirs(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Call the sampler; what it raises is its own mistake, and counts once the runs are recorded."""
        try:
            return method(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever it raises ends the strategy
            self.mistake = error
            return None

    def check_mistake(self) -> None:
        """Raise what the sampler raised."""
        if self.mistake is not None:
            raise self.mistake

    def add(self, point: Point) -> None:
        """Have a new run at this point; it is recorded before its results are."""
        growth = self.growth
        run = growth.n
        growth.n += 1
        growth.progress.total += 1
        growth.unwritten[ASKED][run] = self.heard
        self.unwritten.append((run, point))
        self.under_way[run] = point
        self.waiting.append(run)

    # What is told

    def tell(self, run: int, results: Results) -> None:
        """Tell the sampler what a point gave, and remember the how many-th answer it is."""
        point = self.under_way.pop(run)
        self.growth.unwritten[TOLD][run] = self.conversation.told
        self.conversation.told += 1
        self.theirs(self.sampler.tell, point, results)

    def listen(self, report: RunReport) -> None:
        """Tell the sampler what a run under way reports; answer for it whether that run shall stop."""
        if report.run not in self.under_way:
            return  # a task that was given up, and its run done again, goes on elsewhere
        report.asked, report.told = self.asked, self.conversation.told
        report.stop = self.reported(report)

    def reported(self, report: RunReport) -> bool:
        """What the sampler says to a report."""
        point = self.under_way[report.run]
        if report.value is None and hasattr(self.sampler, "should_stop"):
            return bool(self.theirs(self.sampler.should_stop, point))
        if report.value is not None and hasattr(self.sampler, "report"):
            self.theirs(self.sampler.report, point, report.value, report.step)
        return False

    # An agenda

    def take(self, count: int) -> Portion | None:
        """The next point, if one waits."""
        if not self.waiting or self.mistake is not None:
            return None
        run = self.waiting.popleft()
        point, known = self.under_way[run], self.growth.under_way.checkpoints.known
        if self.fits(point) and self.fitting is not None and self.fitting[2] and is_of_numbers(point):
            return OnePoint.of(run, point, known)
        return Portion(np.array([run]), self.values(point), known)

    def settle(self, batch: Batch) -> Batch:
        """Tell the sampler what became of the runs, those aside that are tried again."""
        if isinstance(batch, OneRun):
            self.tell(batch.run, batch.values())
            self.fill()
            return batch
        retries, again = self.growth.plan.limits.retries, []
        results, statuses, done = _results(batch), batch.status.tolist(), int(Status.DONE)
        for row, run in enumerate(batch.runs.tolist()):
            is_done = statuses[row] == done
            if not is_done and self.tried.get(run, 0) < retries:
                self.tried[run] = self.tried.get(run, 0) + 1
                again.append(run)
                self.waiting.append(run)
                continue
            if not is_done:
                self.growth.under_way.points[run] = self.under_way[run]
            self.tell(run, results[row] if is_done else None)
            self.fill()
        return attrs.evolve(batch, again=tuple(again)) if again else batch

    def write(self) -> None:
        """Record the new points, and what is known of them."""
        if self.unwritten:
            runs = np.array([run for run, _ in self.unwritten])
            space = self.growth.fitted(self.space_of([point for _, point in self.unwritten]), self.where)
            self.unwritten = []
            self.growth.write_points(space, runs, runs)
        self.growth.write_marks()

    # The whole story

    def play(self) -> None:
        """Answer from the file what is recorded, then execute what is asked for until the sampler ends.

        Raises
        ------
        KeyboardInterrupt
            When no further run shall start.
        """
        growth = self.growth
        with self.conversation.owner():
            self.replay()
            growth.progress.total += len(self.waiting)
            while not growth.stop() and self.begin():
                try:
                    growth.execute(self, lambda batch: None, self.write, self.listen)
                except Exception as error:
                    self.conversation.broken = error
                    raise
                self.write()
                self.check_mistake()
            self.conversation.check_stop()

    def begin(self) -> bool:
        """Start the engine and open the file for a first point, if there is one."""
        self.fill()
        if self.unfitting is not None and not self.under_way:
            point, self.unfitting = self.unfitting, None
            self.growth.fitted(self.space_of([point]), self.where)
            self.add(point)
        if not self.waiting:
            self.check_mistake()
            return False
        first = self.space_of([self.under_way[self.waiting[0]]])
        fitted = self.growth.fitted(first, self.where)
        try:
            self.growth.begin(fitted, 0)
        except Exception as error:
            self.conversation.broken = error
            raise
        return True

    def replay(self) -> None:
        """Ask and tell in the recorded order, as long as the recorded points are asked for."""
        growth = self.growth
        if growth.target.status is None:
            return
        recorded = growth.target.slot.open()
        try:
            past = Past(recorded)
            heard = {run: (point, results) for run, point, results in rows_of(recorded, past.known)}
            self.stopped = read_stops(recorded.root["runs"])
        finally:
            recorded.close()
        for run in past.asked_runs.tolist():
            self.hear(past, heard, int(past.asked[run]), run)
            point = self.ask()
            self.check_mistake()
            if point is None:
                break
            space = growth.fitted(self.space_of([point]), self.where)
            if not self.conversation.matching(np.array([run]), space)[0]:
                self.conversation.diverge(run, space[0], self.where)
                self.hear(past, heard, len(past.order), run)
                self.learn(heard, past.known[past.known >= run])
                self.unfitting = point
                break
            self.under_way[run] = point
        else:
            self.hear(past, heard, len(past.order), growth.n)
        self.waiting.extend(self.under_way)

    def hear(self, past: Past, heard: Mapping[int, tuple[Point, Results]], until: int, before: int) -> None:
        """Tell answers in the recorded order, up to a number of them; what was learned is learned again."""
        self.hear_reports(past)
        while past.next < min(until, len(past.order)):
            run = int(past.order[past.next])
            past.next += 1
            if run in self.under_way:
                self.tell(run, heard[run][1])
                self.check_mistake()
            elif past.asked[run] < 0 and run < before:
                self.learn(heard, np.array([run]))
            self.hear_reports(past)

    def hear_reports(self, past: Past) -> None:
        """Tell what runs reported before the next question or answer."""
        while past.reports:
            report = past.reports[0]
            if report.asked > self.asked or report.told > self.conversation.told:
                return
            past.reports.popleft()
            if report.run in self.under_way:
                self.reported(report)
                self.check_mistake()
                answers = self.growth.reports.setdefault(report.run, {})
                answers[report.step, report.waits] = report.stop

    def learn(self, heard: Mapping[int, tuple[Point, Results]], runs: Index) -> None:
        """Let the sampler take points that it did not ask for, if it can."""
        learn: Any = getattr(self.sampler, "learn", None)
        for run in runs.tolist() if learn is not None else ():
            point, results = heard[run]
            if results is not None and run not in self.stopped:
                self.growth.unwritten[TOLD][run] = self.conversation.told
                self.conversation.told += 1
                self.theirs(learn, point, results)
                self.check_mistake()


def space_of(points: Sequence[Any], where: str) -> Space:
    """What a sampler asks for as a space.

    Parameters
    ----------
    where
        The strategy, and where it stands, for messages.

    Raises
    ------
    SimkitError
        For what is no point, and for names that no parameter can have.
    """
    if not points:
        msg = f"{where}: ask() gave an empty list\n    give None at the end"
        raise SimkitError(msg)
    for point in points:
        if not isinstance(point, Mapping):
            msg = f"{where}: ask() gave {point!r} as a point\n    give a dictionary of values by name"
            raise SimkitError(msg)
    try:
        return explore([dict(point) for point in points])
    except SimkitError as problem:
        # It was not asked for where simkit was called.
        msg = f"{where}: ask() gave a wrong point: {str(problem).removeprefix(f'{caller()}: ')}"
        raise SimkitError(msg) from None


def is_of_numbers(point: Point) -> bool:
    """Whether a point's values are numbers of Python's that an array takes."""
    kinds = {*map(type, point.values())}
    return kinds <= _NUMBERS and (
        int not in kinds or all(-_MOST <= value < _MOST for value in point.values())
    )


class Past:
    """Who was asked for and told in which order, by run number."""

    def __init__(self, recorded: Recorded) -> None:
        n = len(recorded)
        none = np.full(n, -1)
        asked, told = recorded.run_column("asked"), recorded.run_column("told")
        self.asked: Array = none if asked is None else asked
        self.told: Array = none if told is None else told
        status = np.asarray(recorded.run_column("status"))
        self.asked_runs: Index = np.flatnonzero(self.asked >= 0)
        known = np.flatnonzero((status == Status.DONE) | (self.told >= 0))
        self.known: Index = known
        self.order: Index = self._ordered(known, status)
        self.next = 0
        reports = read_reports(recorded.root["runs"])
        self.reports = deque(one for one in reports if one.told >= 0 and self.asked[one.run] >= 0)

    def _ordered(self, known: Index, status: Array) -> Index:
        """The answers in the order in which they were given; those that were not, at the end."""
        last = np.iinfo(np.int64).max
        places = np.where(self.told[known] >= 0, self.told[known], last)
        is_meant = (self.asked[known] >= 0) | (self.told[known] >= 0)
        return known[is_meant][np.argsort(places[is_meant], kind="stable")]


def _results(batch: Batch) -> list[dict[str, Any]]:
    """The values of each run by name."""
    columns = {**batch.parameters, **batch.results}
    values = {name: decode(owned(column)) for name, column in columns.items()}
    return [
        {name: _alive(v[row]) for name, v in values.items() if v[row] is not ABSENT}
        for row in range(len(batch.runs))
    ]


def _alive(value: Any) -> Any:
    """A value as the run gave it."""
    return value if type(value) in _PLAIN else revived(value, loaded)


def learn_from(recorded: Recorded, learn: Callable[[Any, Any], None]) -> int:
    """Let a sampler learn each done run of another trajectory, but those that were stopped; how many there were."""
    count, stops = 0, read_stops(recorded.root["runs"])
    for run, point, results in rows_of(recorded, recorded.done):
        if run in stops:
            continue
        learn(point, results)
        count += 1
    return count
