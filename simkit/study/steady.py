"""Ask a strategy for the next point as soon as a worker is free, and tell it what became of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import attrs
import numpy as np

from simkit.declare.forms import ASKED, TOLD, Array, Index
from simkit.declare.space import Space, explore
from simkit.errors import SimkitError
from simkit.record.recorded import Recorded
from simkit.study.growing import Growing
from simkit.values.batch import Batch, Portion, Status
from simkit.values.decode import ABSENT, decode
from simkit.values.instances import loaded, revived

Point = Mapping[str, Any]
Results = Mapping[str, Any] | None


class Sampler(Protocol):
    """What a strategy's function may return: it gives points, and hears what became of each."""

    def ask(self) -> Any:
        """A point, a list of points, or None at the end."""

    def tell(self, point: Any, results: Any) -> None:
        """What a point gave, None where its run failed."""


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

    Attributes
    ----------
    where
        The strategy, and where it stands, for messages.
    limit
        How many points may be under way: one for each worker, and one that waits for the first that is free.
    waiting
        Runs that were asked for in an earlier session, or will be tried again, with their points.
    under_way
        The points that were asked for and not told, by run number.
    unwritten
        Those that are not in the file yet.
    """

    sampler: Sampler
    growing: Growing
    where: str
    limit: int
    waiting: list[tuple[int, Any]] = attrs.field(factory=list)
    under_way: dict[int, Any] = attrs.field(factory=dict)
    unwritten: list[tuple[int, Any]] = attrs.field(factory=list)
    tried: dict[int, int] = attrs.field(factory=dict)
    unfitting: Any = None  # a point of names that are not explored yet: it waits until nothing is under way
    ahead: list[Any] = attrs.field(factory=list)  # what was asked for already
    heard: int = 0  # answers before the last point was asked for
    is_over: bool = False
    mistake: Exception | None = None  # of the sampler's own

    # An agenda

    def take(self, count: int) -> Portion | None:
        """The next point, if it may be asked for."""
        if self.mistake is not None:
            return None
        if not self.waiting:
            may_ask = not self.is_over and self.unfitting is None and len(self.under_way) < self.limit
            point = self.ask() if may_ask and not self.growing.stop() else None
            if point is None:
                return None
            if not self.growing.fits(self.space([point])):
                self.unfitting = point
                return None
            self.add(point)
        run, point = self.waiting.pop(0)
        self.under_way[run] = point
        return self.portion(run, point)

    def ask(self) -> Any:
        """The sampler's next point, or None at its end."""
        self.heard = self.growing.told
        point = self.ahead.pop() if self.ahead else self.theirs(self.sampler.ask)
        if point is None:
            self.is_over = True
        elif not isinstance(point, Mapping):
            what = "a list after single points" if isinstance(point, list) else repr(point)
            msg = f"{self.where}: ask() gave {what}\n    give a point as a dictionary of values by name, or None"
            raise self.mistaken(SimkitError(msg))
        return point

    def theirs(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Call the sampler; what it raises is its own mistake."""
        try:
            return method(*arguments)
        except Exception as error:
            self.mistaken(error)
            raise

    def mistaken(self, error: Exception) -> Exception:
        """Remember that this error is the strategy's own."""
        self.mistake = error
        return error

    def add(self, point: Any) -> None:
        """Have a new run at this point; it is recorded before its results are."""
        run = self.growing.n
        self.growing.n += 1
        self.growing.mark(ASKED, np.array([run]), np.array([self.heard]))
        self.waiting.append((run, point))
        self.unwritten.append((run, point))
        self.growing.progress.total += 1

    def portion(self, run: int, point: Any) -> Portion:
        """One run, with its point."""
        assert self.growing.execution is not None
        space = self.growing.fitted(self.space([point]), self.where)
        return Portion(np.array([run]), space.at(np.arange(1)), self.growing.execution.checkpoints.known)

    def space(self, points: list[Any]) -> Space:
        """Points as a space."""
        return explore([dict(point) for point in points])

    def settle(self, batch: Batch) -> Batch:
        """Tell the sampler what became of the runs, those aside that are tried again."""
        retries, again = self.growing.plan.limits.retries, []
        results = _results(batch)
        for row, run in enumerate(batch.runs.tolist()):
            is_done = batch.status[row] == Status.DONE
            if not is_done and self.tried.get(run, 0) < retries:
                self.tried[run] = self.tried.get(run, 0) + 1
                again.append(run)
                self.waiting.append((run, self.under_way.pop(run)))
                continue
            point = self.under_way.pop(run)
            if not is_done and self.growing.execution is not None:
                self.growing.execution.points[run] = point
            self.tell(run, point, results[row] if is_done else None)
        return attrs.evolve(batch, again=tuple(again)) if again else batch

    def tell(self, run: int, point: Any, results: Results) -> None:
        """Tell the sampler what a point gave, and remember the how many-th answer it is."""
        self.growing.mark(TOLD, np.array([run]), np.array([self.growing.told]))
        self.growing.told += 1
        try:
            self.theirs(self.sampler.tell, point, results)
        except Exception:  # noqa: BLE001 - it is remembered, and raised once the run is recorded
            pass

    def write(self) -> None:
        """Record the new points, and what is known of them."""
        if self.unwritten:
            runs = np.array([run for run, _ in self.unwritten])
            space = self.growing.fitted(self.space([point for _, point in self.unwritten]), self.where)
            self.unwritten = []
            self.growing.write_points(space, runs, runs)
        self.growing.write_marks()

    # The whole story

    def play(self) -> None:
        """Answer from the file what is recorded, then execute what is asked for until the sampler ends.

        Raises
        ------
        KeyboardInterrupt
            When no further run shall start.
        """
        with self.growing.owner():
            self.replay()
            self.growing.progress.total += len(self.waiting)
            while not self.growing.stop() and self.begin():
                try:
                    self.growing.execute(self, lambda batch: None, self.write)
                except Exception as error:
                    if error is not self.mistake:
                        self.growing.broken = error
                        raise
                self.write()
                if self.mistake is not None:
                    raise self.mistake
            self.growing.check_stop()

    def begin(self) -> bool:
        """Start the engine and open the file for a first point, if there is one."""
        if not self.waiting and self.unfitting is None and not self.is_over:
            self.unfitting = self.ask()
        point = self.waiting[0][1] if self.waiting else self.unfitting
        if point is None:
            return False
        self.growing.begin(self.growing.fitted(self.space([point]), self.where), 0)
        if not self.waiting:
            self.add(point)
            self.unfitting = None
        return True

    def replay(self) -> None:
        """Ask and tell in the recorded order, as long as the recorded points are asked for."""
        growing = self.growing
        if growing.target.status is None:
            return
        recorded = growing.target.slot.open()
        try:
            past = Past(recorded)
            heard = {run: (point, results) for run, point, results in rows_of(recorded, past.known)}
        finally:
            recorded.close()
        run = 0
        for run in past.asked_runs.tolist():
            self.hear(past, heard, int(past.asked[run]), run)
            point = self.ask()
            if point is None:
                break
            space = growing.fitted(self.space([point]), self.where)
            if not growing.matching(np.array([run]), space)[0]:
                growing.diverge(run, space[0], self.where)
                self.hear(past, heard, len(past.order), run)
                self.learn(heard, past.known[past.known >= run])
                self.unfitting = point
                break
            self.under_way[run] = point
        else:
            self.hear(past, heard, len(past.order), growing.n)
        self.waiting, self.under_way = list(self.under_way.items()), {}

    def hear(self, past: Past, heard: Mapping[int, tuple[Point, Results]], until: int, before: int) -> None:
        """Tell answers in the recorded order, up to a number of them; what was learned is learned again."""
        while past.next < min(until, len(past.order)):
            run = int(past.order[past.next])
            past.next += 1
            if run in self.under_way:
                self.tell(run, self.under_way.pop(run), heard[run][1])
                if self.mistake is not None:
                    raise self.mistake
            elif past.asked[run] < 0 and run < before:
                self.learn(heard, np.array([run]))

    def learn(self, heard: Mapping[int, tuple[Point, Results]], runs: Index) -> None:
        """Let the sampler take points that it did not ask for, if it can."""
        learn: Any = getattr(self.sampler, "learn", None)
        for run in runs.tolist() if learn is not None else ():
            point, results = heard[run]
            if results is not None:
                self.growing.mark(TOLD, np.array([run]), np.array([self.growing.told]))
                self.growing.told += 1
                self.theirs(learn, point, results)


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

    def _ordered(self, known: Index, status: Array) -> Index:
        """The answers in the order in which they were given; those that were not, at the end."""
        last = np.iinfo(np.int64).max
        places = np.where(self.told[known] >= 0, self.told[known], last)
        is_meant = (self.asked[known] >= 0) | (self.told[known] >= 0)
        return known[is_meant][np.argsort(places[is_meant], kind="stable")]


def _results(batch: Batch) -> list[dict[str, Any]]:
    """The values of each run by name."""
    values = {name: decode(column) for name, column in {**batch.parameters, **batch.results}.items()}
    return [
        {name: revived(v[row], loaded) for name, v in values.items() if v[row] is not ABSENT}
        for row in range(len(batch.runs))
    ]


def learn_from(recorded: Recorded, learn: Callable[[Any, Any], None]) -> int:
    """Let a sampler learn each done run of another trajectory; how many there were."""
    count = 0
    for _, point, results in rows_of(recorded, recorded.done):
        learn(point, results)
        count += 1
    return count
