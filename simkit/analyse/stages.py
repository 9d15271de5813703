"""Which runs of another experiment does an experiment go over, or get as a trajectory?"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import attrs
import numpy as np

from simkit.collect.collection import candidate_of
from simkit.collect.config import Settings, find_rootdir, load_settings
from simkit.collect.listener import listener, state_of
from simkit.collect.plan import experiment_name, node_id
from simkit.collect.signatures import levels
from simkit.declare.expressions import names_of
from simkit.declare.feed import DIGEST, FILE, RUN, RUNS, Upstream, column
from simkit.declare.forms import (
    TRIAL,
    Array,
    Form,
    Index,
    Test,
    Values,
    Zip,
    objects,
    times,
)
from simkit.declare.reflection import is_a, pretends, shown
from simkit.declare.space import Space
from simkit.declare.tags import Tag, tag_of
from simkit.errors import (
    COMMAND,
    SimkitError,
    SourceNotReady,
    caller,
    did_you_mean,
    listed,
    location,
    shown_path,
)
from simkit.inform.progress import counted
from simkit.record.catalogue import Slot, existing, experiments, opened
from simkit.record.format import DECLARED
from simkit.record.recorded import Recorded
from simkit.record.upstream import digest_of_all, run_digests, shown_slot
from simkit.resume.points import recorded_values
from simkit.values.batch import Status, tally
from simkit.values.compare import keys, mixed
from simkit.values.instances import loaded

if TYPE_CHECKING:
    from simkit.analyse.trajectory import Trajectory


def _is_trajectory(source: object) -> TypeGuard[Trajectory]:
    """Whether it is a trajectory; reading trajectories is imported where there is one."""
    if isinstance(source, (str, os.PathLike)) or tag_of(source) is not None:
        return False
    from simkit.analyse.trajectory import Trajectory

    return isinstance(source, Trajectory)


def each(
    source: Callable[..., Any] | str | os.PathLike[str] | Trajectory,
    *,
    where: Test | None = None,
    by: str | Sequence[str] | None = None,
) -> Space:
    """One point for each done run of another experiment, or for each group of its runs.

    The experiment gets an argument with the other one's name: that run, by natural naming (``build.weights``), or
    with ``by`` the trajectory of the group. What the other one explored comes along as columns.

    Parameters
    ----------
    source
        The other experiment, a function; or a trajectory, its file, or the name of an experiment whose trajectory
        is recorded. Of a function or name the newest one in ``results`` is taken: `simkit` runs the other
        experiment first where both are selected.
    where
        Only the runs that match, as `Trajectory.where` takes it.
    by
        Names of parameters: the runs with the same values are one group. ``by=[]`` makes one group of all.

    Returns
    -------
    Space
        A point per run, or per group; read when it is asked for.

    Raises
    ------
    SimkitError
        For what is no experiment. What is wrong with the runs is told when they are needed.

    Examples
    --------
    >>> each("multiply", where="z > 20") * product(gain=[0.5, 1.0])
    <Space of 10 points: x, y, gain>
    >>> each("multiply", by="x")
    <Space of 4 points: x>
    """
    at = caller()
    is_experiment = callable(source) and (tag_of(source) or Tag()).kind == "experiment"
    if not is_experiment and not (isinstance(source, (str, os.PathLike)) or _is_trajectory(source)):
        what = getattr(source, "__name__", None) or repr(source)
        cure = "give a function with @experiment, a trajectory, its file, or its experiment's name"
        raise SimkitError(f"{at}: each({what}): that is no experiment\n    {cure}")
    if where is not None and pretends(where):
        raise SimkitError(f"{at}: each(): where= is a condition as text, or a function, not {shown(where)}")
    names = None if by is None else (by,) if isinstance(by, str) else tuple(by)
    if isinstance(source, (str, os.PathLike)) and os.path.exists(source):
        source = Path(os.path.abspath(source))
    return Space(Each(source, where, names, at))


@attrs.frozen(eq=False, slots=False)
class Each:
    """Points of a space that are runs of another experiment; they are read anew whenever they are asked for.

    Attributes
    ----------
    source
        A function, a file, a trajectory, or the name of an experiment.
    test
        Which of its runs.
    by
        The names that make groups of them.
    where
        Where it stands in the user's code.
    """

    source: Any
    test: Test | None
    by: tuple[str, ...] | None
    where: str
    parts: tuple[Form, ...] = ()
    remarks: tuple[str, ...] = ()
    design: Mapping[str, Any] = attrs.field(factory=dict)
    optional: frozenset[str] = frozenset()

    @property
    def words(self) -> str:
        """How it could be written."""
        more = (
            [f"where={self.test!r}"] if is_a(self.test, str) else ["where=…"] if self.test is not None else []
        )
        more += [] if self.by is None else [f"by={list(self.by)!r}"]
        return f"each({', '.join([self.title, *more])})"

    @property
    def title(self) -> str:
        """What is gone over, in a word."""
        if _is_trajectory(self.source):
            return repr(shown_path(self.source.path))
        return str(self.source.__name__) if callable(self.source) else repr(shown_path(self.source))

    @property
    def feeds(self) -> tuple[Upstream, ...]:
        """The argument that is made from these runs.

        Raises
        ------
        SimkitError
            Where only its file could tell, and can't be read.
        """
        if (feed := self._feed) is None:
            with Supply().opened(self) as (recorded, _):
                return (self.feed(recorded),)
        # All of its providers, once it is imported.
        return (attrs.evolve(feed, providers=_providers(self.source)) if callable(self.source) else feed,)

    @cached_property
    def _feed(self) -> Upstream | None:
        """As it is before the other experiment has run: nothing where only its file could tell."""
        if callable(self.source):
            words = f"the runs of {self.source.__name__} ({location(self.source)})"
            names = _without_trial(self._declared if self.by is None else self.by)
            return Upstream(self.source.__name__, words, self.by, names, self.source)
        try:
            with Supply().opened(self) as (recorded, _):
                return self.feed(recorded)
        except SimkitError:
            is_name = isinstance(self.source, str) and self.source.isidentifier()
            name = str(self.source)
            return (
                Upstream(name, f"the runs of {name}", self.by, self.by or (), node_id=name)
                if is_name
                else None
            )

    @property
    def _declared(self) -> tuple[str, ...]:
        """What the other experiment explores, as far as its code tells; else what it explored when it ran last."""
        tag = tag_of(self.source) or Tag()
        if tag.strategy is None and tag.spaces:
            return Space(times(tag.spaces)).names
        try:
            with Supply().opened(self) as (recorded, _):
                return recorded.explored
        except SimkitError:
            return ()

    def feed(self, recorded: Recorded) -> Upstream:
        """The argument that runs of this trajectory make."""
        node_id, function = str(recorded.attributes["node_id"]), None
        providers: tuple[Any, ...] = ()
        name = node_id.partition("::")[2]
        if callable(self.source):
            function, providers, name = self.source, _providers(self.source), self.source.__name__
        names = _without_trial(recorded.explored if self.by is None else self.by)
        words = f"the runs of {node_id}"
        return Upstream(name, words, self.by, names, function, providers, node_id=node_id)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the points give: where the argument comes from, and what the other experiment explored."""
        if self._feed is None:
            return ()
        return *(column(self._feed.argument, leaf) for leaf in self._feed.leaves), *self._feed.names

    def axes(self) -> Mapping[str, Values]:
        """None: the values need no check any more."""
        return {}

    def __reduce__(self) -> tuple[Any, ...]:
        points = self.points()
        return _points, (points.columns, points.size, tuple(feed.bare for feed in points.feeds))

    def __len__(self) -> int:
        return len(self.points())

    def at(self, index: Index) -> dict[str, Values]:
        """The values at these points."""
        if not len(index):
            return {name: Values(objects([]), native=True) for name in self.names}
        return self.points().at(index)

    def points(self) -> Zip:
        """The points as they are now; of one file they are read again only if it has changed."""
        path = self.source.path if _is_trajectory(self.source) else self.source
        state = state_of(str(path)) if isinstance(path, Path) else None
        kept = vars(self).get("kept")
        if state is None or kept is None or kept[0] != state:
            kept = vars(self)["kept"] = state, self.settled(Supply())
        points: Zip = kept[1]
        return points

    def settled(self, supply: Supply) -> Zip:
        """The points as they are now.

        Raises
        ------
        SourceNotReady
            Where nothing is recorded, or runs are missing.
        SimkitError
            For a condition or group of names that the runs don't have.
        """
        with supply.opened(self) as (recorded, index):
            supply.check(self, recorded, index)
            feed, file = self.feed(recorded), shown_slot(Slot(recorded.path, recorded.name), supply.rootdir)
            runs = self.matching(recorded, index)
            digests = run_digests(recorded, runs)
            columns = (
                self.grouped(recorded, runs, digests)
                if self.by is not None
                else _single(recorded, runs, digests)
            )
            size = len(columns[DIGEST])
            supply.note(self, recorded, len(runs))
            columns[FILE] = Values(objects([file] * size), native=True)
            places = {column(feed.argument, leaf): columns.pop(leaf) for leaf in feed.leaves}
            return Zip({**places, **columns}, size, feeds=(feed,))

    def matching(self, recorded: Recorded, index: Index | None) -> Index:
        """The done runs that match, by their numbers."""
        from simkit.analyse.trajectory import Trajectory

        trajectory = Trajectory(recorded, _usable(recorded, index))
        if self.test is None:
            return trajectory.index
        try:
            return trajectory.where(self.test).index
        except SimkitError as problem:
            raise SimkitError(f"{self.where}: {self.words}: {problem}") from None

    def grouped(self, recorded: Recorded, runs: Index, digests: Array) -> dict[str, Values]:
        """One row for each group of runs, in order of the first run of each."""
        assert self.by is not None
        known = [*recorded.names("parameters"), *([TRIAL] if recorded.run_column(TRIAL) is not None else [])]
        unknown = next((name for name in self.by if name not in known), None)
        if unknown is not None:
            there = ", ".join(known) or "none"
            msg = f"{self.where}: {self.words}: {unknown!r} is no parameter of these runs\n    parameters: {there}"
            raise SimkitError(msg)
        columns = {name: _column(recorded, name, runs) for name in self.by}
        numbers = mixed([keys_of for _, keys_of in columns.values()], len(runs))
        _, first, group = np.unique(numbers, return_index=True, return_inverse=True)
        order = np.argsort(first)
        members = [np.flatnonzero(group.reshape(-1) == number) for number in order]
        rows = {name: values.take(first[order]) for name, (values, _) in columns.items()}
        digest = np.array([digest_of_all(digests[places]) for places in members], "u8")
        return {
            RUNS: Values(objects([runs[places] for places in members]), native=True),
            DIGEST: Values(digest, native=False),
            **{name: values for name, values in rows.items() if name != TRIAL},
        }


def _without_trial(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name != TRIAL)


def _points(columns: Mapping[str, Values], size: int, feeds: tuple[Upstream, ...]) -> Zip:
    return Zip(columns, size, feeds=feeds)


def _column(recorded: Recorded, name: str, runs: Index) -> tuple[Values, Array]:
    """A parameter's values, and numbers that are equal for equal ones."""
    if name == TRIAL:
        trials = np.asarray(recorded.run_column(TRIAL))[runs]
        return Values(trials, native=True), trials.astype("u8")
    rows = recorded.rows(name, runs)
    return recorded_values(rows), keys(rows)


def _single(recorded: Recorded, runs: Index, digests: Array) -> dict[str, Values]:
    """One row for each run."""
    explored = {name: recorded_values(recorded.rows(name, runs)) for name in recorded.explored}
    return {RUN: Values(runs, native=True), DIGEST: Values(digests, native=False), **explored}


def _providers(function: Callable[..., Any]) -> tuple[Any, ...]:
    """What provides values to an experiment."""
    candidate, project = candidate_of(function)
    inside = levels(candidate.path, project.rootdir, candidate.module)
    return tuple(provider.thing for level in inside for provider in level.values())


def _usable(recorded: Recorded, index: Index | None) -> Index:
    """The done runs whose points are declared still."""
    usable = np.asarray(recorded.run_column("status")) == Status.DONE
    declared = recorded.run_column(DECLARED)
    usable &= True if declared is None else declared > 0
    runs = np.arange(len(usable)) if index is None else index
    chosen: Index = runs[usable[runs]]
    return chosen


@attrs.frozen(eq=False)
class Supply:
    """Where the trajectories of other experiments are found.

    Attributes
    ----------
    settings
        Of the command; None where somebody only looks at a space.
    slots
        What this command has recorded, by node id.
    remarks
        Which trajectories were taken that this command has not recorded, for people.
    """

    settings: Settings | None = None
    slots: Mapping[str, Slot] = attrs.field(factory=dict)
    remarks: list[str] = attrs.field(factory=list)

    @property
    def rootdir(self) -> Path:
        """The folder that recorded paths begin from."""
        return find_rootdir([]) if self.settings is None else self.settings.rootdir

    @contextmanager
    def opened(self, each: Each) -> Iterator[tuple[Recorded, Index | None]]:
        """The trajectory, open, and which of its runs are meant where these are not all."""
        with listener().away():  # which of its runs were used is recorded: as a whole it is no input
            recorded, index = self.found(each)
        recorded.classes = loaded
        with closing(recorded):
            yield recorded, index

    def found(self, each: Each) -> tuple[Recorded, Index | None]:
        """The same, to be closed.

        Raises
        ------
        SourceNotReady
            Where there is none.
        """
        source = each.source
        if _is_trajectory(source):
            return Recorded.open(source.path, source.name), source._selection.chosen
        if callable(source):
            candidate, project = candidate_of(source)
            project = self.settings or project
            return self.newest(
                each, project, experiment_name(source), node_id(candidate.path, source, project.rootdir)
            ), None
        if isinstance(source, str) and source.isidentifier():
            return self.newest(each, self.settings or load_settings(self.rootdir), source), None
        path = self.rootdir / source
        if not path.is_file():
            there = sorted(shown_path(other) for other in path.parent.glob("*.h5"))
            wanted = shown_path(path)
            msg = (
                f"{each.where}: {each.words}: there is no file {wanted}{did_you_mean(wanted, there)}\n"
                f"    there: {listed(wanted, there)}"
            )
            raise SourceNotReady(msg)
        try:
            return Recorded.open(path), None
        except SimkitError as problem:
            raise SimkitError(f"{each.where}: {each.words}: {problem}") from None

    def newest(self, each: Each, project: Settings, name: str, wanted: str = "") -> Recorded:
        """What this command has recorded of an experiment, else its newest trajectory."""
        for known, slot in self.slots.items():
            if known == wanted or (not wanted and known.endswith(f"::{name}")):
                return slot.open()
        slots = [] if project.output is None else existing(project.results, name, project.output)
        for slot in [*slots, *existing(project.results, name)]:
            recorded = opened(slot)
            if recorded is not None and wanted in ("", recorded.attributes["node_id"]):
                return recorded
            if recorded is not None:
                recorded.close()
        target = shlex.quote(wanted or name)
        msg = (
            f"{each.where}: {each.words}: no run of {wanted or name} is recorded yet\n"
            f"    run it first: simkit {target}"
        )
        raise SourceNotReady(msg)

    def check(self, each: Each, recorded: Recorded, index: Index | None) -> None:
        """Refuse a trajectory of which runs are missing, unless that is allowed.

        Raises
        ------
        SourceNotReady
            With how many there are, and what to do.
        """
        lacking = _lacking(each, recorded, index)
        if not lacking or self.settings is None:
            return
        file = shown_path(recorded.path)
        if self.settings.allow_incomplete:
            self.remarks.append(f"{each.title}: {lacking} of {file} are left out")
            return
        again = [str(recorded.attributes["node_id"])]
        if recorded.path.parent != self.settings.results:
            again += ["--output", file]
        name = f', "{recorded.name}"' if len(experiments(recorded.path)) > 1 else ""
        done = f"each(simkit.open({file!r}{name}).where(status='done'), …)"
        allow = "simkit --allow-incomplete" if caller() == COMMAND else done
        msg = (
            f"{each.where}: {each.words}: {file} is not complete: {lacking}\n"
            f"    complete it:                  simkit {shlex.join(again)}\n"
            f"    go on with those that are done: {allow}"
        )
        raise SourceNotReady(msg)

    def note(self, each: Each, recorded: Recorded, points: int) -> None:
        """Say which trajectory is taken where this command did not record it."""
        if Slot(recorded.path, recorded.name) not in self.slots.values():
            self.remarks.append(f"{each.title}: {counted(points, 'run')} of {shown_path(recorded.path)}")


def _lacking(each: Each, recorded: Recorded, index: Index | None) -> str:
    """How many runs are not done that might be meant, in words; nothing where all are."""
    status = np.asarray(recorded.run_column("status"))
    meant = np.zeros(len(status), bool)
    meant[slice(None) if index is None else index] = True
    declared = recorded.run_column(DECLARED)
    meant &= True if declared is None else declared > 0
    undone = np.flatnonzero(meant & (status != Status.DONE))
    if len(undone) and _is_of_points(each.test, recorded):
        from simkit.analyse.trajectory import Trajectory

        undone = Trajectory(recorded, undone).where(each.test).index
    words = [f"{count} {word}" for word, count in tally(status[undone]).items()]
    if _is_unfinished(recorded):
        words.append("its strategy was interrupted")
    return ", ".join(words)


def _is_of_points(test: Test | None, recorded: Recorded) -> bool:
    """Whether a condition is about explored names only, so that it holds or not before a run is done."""
    names = names_of(test) if isinstance(test, str) else []
    return bool(names) and all(name in recorded.explored for name in names)


def _is_unfinished(recorded: Recorded) -> bool:
    """Whether a strategy that asked for the points was ended before its own end."""
    if recorded.run_column("asked", slice(0, 0)) is None or not recorded.sessions:
        return False
    outcome = str(recorded.sessions[-1].get("outcome", "interrupted"))
    return "interrupted" in outcome
