"""Which of a plan's points are recorded, which are to be run, and which are new?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import attrs
import numpy as np

from simkit.collect.config import Settings
from simkit.collect.fields import is_parameter, leaves
from simkit.collect.plan import Plan
from simkit.declare.axes import from_list
from simkit.declare.feed import Upstream
from simkit.declare.forms import MARKS, TRIAL, Array, Form, Index, Subset, Values, atoms, axes, objects
from simkit.declare.space import Space
from simkit.declare.trials import Until
from simkit.errors import SimkitError, Unstorable, shown_path
from simkit.record.catalogue import Slot
from simkit.record.recorded import Recorded
from simkit.values.batch import Status
from simkit.values.columns import Column, Leaf
from simkit.values.columns import Node as Variant
from simkit.values.compare import keys, matched
from simkit.values.decode import ABSENT, decode
from simkit.values.encode import encode, encode_values, explain
from simkit.values.instances import loaded, revived


@attrs.frozen(eq=False)
class Points:
    """The plan's points in the order of the file.

    Attributes
    ----------
    space
        Point i is run i; None stands for recorded runs that are not declared any more.
    todo
        The runs to execute, ascending.
    recorded
        How many runs the file holds already.
    declared
        Which of the runs are declared, shape ``(n,)``; None means all.
    remarks
        What whoever declared them should know, for people.
    unplaced
        Recorded runs whose points are not in the file: those that no task of a set of shards had begun.
    """

    space: Space
    todo: Index | range
    recorded: int
    n: int
    declared: Array | None = None
    remarks: tuple[str, ...] = ()
    unplaced: Index = attrs.field(factory=lambda: np.empty(0, np.int64))


@attrs.frozen(eq=False)
class RecordedPoints:
    """The points of a trajectory's runs, as a form: read from the file when they are asked for."""

    slot: Slot
    names: tuple[str, ...]
    size: int
    optional: frozenset[str] = frozenset()
    parts: tuple[Form, ...] = ()
    words: str = "recorded points"
    remarks: tuple[str, ...] = ()
    design: Mapping[str, Any] = attrs.field(factory=dict)
    feeds: tuple[Upstream, ...] = ()

    @classmethod
    def of(cls, recorded: Recorded) -> Space:
        """The points of all runs that are recorded now."""
        trials = () if recorded.run_column(TRIAL, slice(0, 0)) is None else (TRIAL,)
        slot = Slot(recorded.path, recorded.name)
        return Space(cls(slot, (*recorded.explored, *trials), len(recorded)))

    def axes(self) -> Mapping[str, Values]:
        """None: the values need no check any more."""
        return {}

    def __len__(self) -> int:
        return self.size

    def at(self, index: Index) -> dict[str, Values]:
        """The points of these runs, in any order."""
        recorded = self.slot.open()
        try:
            columns = {
                name: recorded_values(recorded.rows(name, index)) for name in self.names if name != TRIAL
            }
            if TRIAL in self.names:
                columns[TRIAL] = Values(np.asarray(recorded.run_column(TRIAL))[index], native=True)
            return columns
        finally:
            recorded.close()


def recorded_values(column: Column) -> Values:
    """The declared elements; rows that no run was given any value in are filled with another's."""
    elements = revived(decode(column), loaded)
    present = next((value for value in elements if value is not ABSENT), None)
    return from_list([present if value is ABSENT else value for value in elements])


def path_values(space: Space) -> list[PurePath]:
    """The paths among the explored values, each once."""
    columns = (values.array for _, values in axes(space.form) if values.array.dtype == object)
    return list(dict.fromkeys(one for column in columns for one in column if isinstance(one, PurePath)))


def fresh_points(space: Space) -> Points:
    """All points, in order."""
    first = Space(space.form.chosen(space.form.start)) if isinstance(space.form, Until) else space
    return Points(first, range(len(space)), 0, len(space))


def continued_points(plan: Plan, recorded: Recorded) -> Points:
    """Which points are done, which are to be done, and which are new."""
    form = plan.space.form
    if plan.strategy is not None:
        return _asked(recorded)
    return _matched(plan, recorded) if not isinstance(form, Until) else _repeated(plan, form, recorded)


def _asked(recorded: Recorded) -> Points:
    """Those that a strategy asked for so far; others are declared no more."""
    status, asked = np.asarray(recorded.run_column("status")), recorded.run_column("asked")
    declared = np.ones(len(status), bool) if asked is None else asked >= 0
    todo = np.flatnonzero((status != Status.DONE) & declared)
    return Points(RecordedPoints.of(recorded), todo, len(status), len(status), declared)


def _repeated(plan: Plan, form: Until, recorded: Recorded) -> Points:
    """The trials that each point gets in any case, and those that were recorded beyond them."""
    trials, size = recorded.run_column(TRIAL), len(recorded)
    assert trials is not None  # the same names are explored
    most = min(form.most, max(form.first.times, int(trials.max(initial=0)) + 1))
    points = _matched(plan.with_space(Space(attrs.evolve(form.first, times=most))), recorded)
    at_most = points.space.form
    order = at_most.index if isinstance(at_most, Subset) else np.arange(points.n)
    point, trial = np.divmod(order, most)
    kept = (np.arange(points.n) < size) | (trial < form.first.times)
    numbers = (point * form.most + trial)[kept]
    todo = np.asarray(points.todo, np.int64)
    new = np.arange(size, len(numbers))
    declared = None if points.declared is None else points.declared[kept]
    return Points(
        Space(form.chosen(numbers)), np.concatenate([todo[todo < size], new]), size, len(numbers), declared,
        points.remarks,
    )  # fmt: skip


def _matched(plan: Plan, recorded: Recorded) -> Points:
    space, size = plan.space, len(recorded)
    status = recorded.run_column("status")
    assert status is not None
    unplaced = _unplaced(recorded, status)
    if len(space) >= size and _first_other(plan, recorded, 0, size, unplaced) is None:
        pending = np.flatnonzero(status != Status.DONE)
        todo = (
            np.concatenate([pending, np.arange(size, len(space))])
            if len(pending)
            else range(size, len(space))
        )
        near = tuple(_near_points(plan, recorded, np.arange(size, len(space)), size))
        return Points(space, todo, size, len(space), remarks=near, unplaced=unplaced)
    rows = _declared_rows(plan, recorded, size)
    rows[unplaced] = -1
    is_new = np.ones(len(space), bool)
    is_new[rows[rows >= 0]] = False
    new = np.flatnonzero(is_new)
    unplaced = unplaced[: len(new)]
    rows[unplaced], new = new[: len(unplaced)], new[len(unplaced) :]
    declared = np.concatenate([rows >= 0, np.ones(len(new), bool)])
    # A run that is not declared any more keeps its row; its point is never asked for.
    order = np.concatenate([np.where(rows >= 0, rows, 0), new])
    todo = np.concatenate(
        [np.flatnonzero((status != Status.DONE) & (rows >= 0)), np.arange(size, size + len(new))]
    )
    remarks = (*_gone_points(int((rows < 0).sum()), space.form), *_near_points(plan, recorded, new, size))
    return Points(space.take(order), todo, size, size + len(new), declared, remarks, unplaced)


def _unplaced(recorded: Recorded, status: Array) -> Index:
    """The runs that no point is recorded of."""
    bare = status == Status.PENDING
    for name in recorded.explored if bare.any() else ():
        bare &= ~recorded.present(name)
    return np.flatnonzero(bare) if recorded.explored else np.empty(0, np.int64)


def _gone_points(number: int, form: Form) -> Iterator[str]:
    if number:
        from simkit.declare.sampling import Sampled  # which a study of no samples needs not

        told, them = (
            ("1 recorded run is not declared any more, and stays", "it")
            if number == 1
            else (f"{number} recorded runs are not declared any more, and stay", "them")
        )
        cubes = [atom.cube for atom in atoms(form) if isinstance(atom, Sampled)]
        is_hypercube = "lhs" in [getattr(cube, "method", "") for cube in cubes]
        why = "; a Latin hypercube of another size has other points: sobol and halton keep theirs"
        words = f"{told} in the file: traj.where(declared=True) leaves {them} out of means"
        yield words + why if is_hypercube else words


_MOST_COMPARED = 200_000  # points


def _near_points(plan: Plan, recorded: Recorded, new: Index, size: int) -> Iterator[str]:
    """New points that are recorded ones but for rounding."""
    if not 0 < len(new) <= _MOST_COMPARED or not 0 < size <= _MOST_COMPARED:
        return
    names = _names(plan)
    mine = explored_columns(plan, _constants(plan), new)
    theirs = {name: _recorded_column(recorded, name, slice(0, size)) for name in names}
    rows = matched([_coarse(mine[n]) for n in names], [_coarse(theirs[n]) for n in names], len(new), size)
    runs = np.flatnonzero(rows >= 0)
    if len(runs):
        run, row = int(runs[0]), int(rows[runs[0]])
        one = np.array([run])
        before = ", ".join(f"{n}={decode(theirs[n].take(one))[0]!r}" for n in names if n not in MARKS)
        now = ", ".join(f"{n}={decode(mine[n].take(np.array([row])))[0]!r}" for n in names if n not in MARKS)
        many = "1 new point is" if len(runs) == 1 else f"{len(runs)} new points are"
        yield (
            f"{many} within 1e-9 of a recorded one, and run beside it: run {run} has {before}, now {now}\n"
            "    declare the recorded values to go on with them"
        )


def _coarse(column: Column) -> Array:
    """Equal for numbers that differ by rounding only; else as `keys`."""
    return keys(Column(column.n, tuple((positions, _rounded(node)) for positions, node in column.variants)))


def _rounded(node: Variant) -> Variant:
    """Numbers with about nine of their digits, whole ones as floating-point numbers; anything else as it is."""
    rows = node.rows if isinstance(node, Leaf) else None
    if not isinstance(rows, np.ndarray) or rows.ndim != 1 or rows.dtype.kind not in "iuf":
        return node
    mantissa, exponent = np.frexp(rows.astype("f8"))
    return Leaf("float", np.ldexp(np.round(mantissa * 2**30), exponent - 30))


def _names(plan: Plan) -> list[str]:
    """The names that tell points apart; where the normal value varies, what is recorded is not what is declared."""
    columns = explored_columns(plan, {}, np.arange(min(1, len(plan.space))))
    places = {name for feed in plan.space.feeds.values() for name in feed.recorded[:-1]}  # their digest tells
    return [
        n
        for n in columns
        if n == TRIAL or (n not in MARKS and n not in places and not _is_partly_computed(plan, n))
    ]


def _is_partly_computed(plan: Plan, name: str) -> bool:
    node = plan.nodes.get(name)
    return node is not None and any(plan.nodes[need.key].varying for need in node.needs)


def _recorded_column(recorded: Recorded, name: str, rows: slice) -> Column:
    if name == TRIAL:
        trials = recorded.run_column(TRIAL, rows)
        return Column(rows.stop - rows.start, ((None, Leaf("int", trials)),))  # type: ignore[arg-type]
    return recorded.column(name, rows)


def explored_columns(plan: Plan, shared: Mapping[str, Any], index: Index) -> dict[str, Column]:
    """What is recorded of these points before they run, by leaf name.

    The explored values, constants that stand in where a sum of spaces lacks a name, and the fields of
    explored groups.

    Raises
    ------
    SimkitError
        For a value that has no form in the file, with the path to it.
    """
    columns = {}
    for key, values in plan.space.at(index).items():
        name = (
            key if key in MARKS else key.replace("/", ".")
        )  # the place of a run that an argument is made from
        node = plan.nodes.get(name)
        for leaf, part in _leaf_values(name, values).items():
            try:
                column = encode_values(part)
            except (Unstorable, RecursionError):
                raise _unstorable(plan, leaf, part) from None
            if values.present is not None and node is not None and node.needs and node.needs[0].key in shared:
                normal = shared[node.needs[0].key]
                column = _filled(
                    column, values.present, normal if leaf == name else leaves(name, normal)[leaf]
                )
            columns[leaf] = column
    return columns


def _leaf_values(name: str, values: Values) -> dict[str, Values]:
    """The values themselves, or those of each field where they are groups."""
    if values.array.dtype != object:
        return {name: values}
    here = [value for value in values.elements() if value is not None]
    if not here or not all(map(is_parameter, here)):
        return {name: values}
    rows = [leaves(name, value) if is_parameter(value) else {} for value in values.elements()]
    names = dict.fromkeys(leaf for row in rows for leaf in row)
    return {
        leaf: Values(objects([row.get(leaf) for row in rows]), native=True, present=values.present)
        for leaf in names
    }


def _unstorable(plan: Plan, name: str, values: Values) -> SimkitError:
    problems = (explain(value, name) for value in values.elements())
    problem = next((problem for problem in problems if problem is not None), None)
    return SimkitError(
        f"{plan.node_id}: explored {problem}\n"
        "    explore a name or a number instead, and let the experiment or a fixture turn it into that"
    )


def _filled(column: Column, present: Array, value: Any) -> Column:
    lacking = np.flatnonzero(~present)
    constant = encode([value] * len(lacking)).spread(column.n, lacking)
    return Column(column.n, (*column.variants, *constant.variants))


def _first_other(
    plan: Plan, recorded: Recorded, first: int, end: int, unplaced: Index | None = None
) -> int | None:
    """The first of these runs whose declared point is not the recorded one, compared block by block.

    Parameters
    ----------
    unplaced
        Runs that no point is recorded of, ascending.
    """
    for start in range(first, end, 65_536):
        stop = min(start + 65_536, end)
        mine = explored_columns(plan, _constants(plan), np.arange(start, stop))
        for name in _names(plan):
            theirs = keys(_recorded_column(recorded, name, slice(start, stop)))
            differs = keys(mine[name]) != theirs
            if unplaced is not None:
                differs[unplaced[(unplaced >= start) & (unplaced < stop)] - start] = False
            if differs.any():
                return start + int(np.argmax(differs))
    return None


def points_of_set(plan: Plan, recorded: Recorded, settings: Settings, changed: Sequence[str]) -> Points:
    """The points of a set of shards, which goes on as it began: with the same constants, and further points at its end.

    Parameters
    ----------
    changed
        How constants differ, for people.

    Raises
    ------
    SimkitError
        Where any do, or recorded runs have other points now.
    """
    path, size = recorded.path, len(plan.space)
    part = slice(0, size) if settings.shard is None else settings.shard.part(size)
    why = f"constants changed: {'; '.join(changed)}" if changed else ""
    if not why and (other := other_points(plan, recorded, part)) is not None:
        why = f"it grows at its end only: run {other} has another point now"
    if why:
        merged = f"simkit merge {shown_path(path.with_name(f'{path.stem}-plain.h5'))} {shown_path(path)}"
        cure = f"make one plain file of it, which simkit continues: {merged}"
        raise SimkitError(f"{shown_path(path)} is a set of shards, and {why}\n    {cure}")
    return Points(plan.space, range(0), len(recorded), size)


def other_points(plan: Plan, recorded: Recorded, part: slice) -> int | None:
    """The first run of a set of shards whose declared point is another one than its file has; None if none is.

    Parameters
    ----------
    part
        Which runs are looked at; those of files that are missing have no point yet.
    """
    assert recorded.shards is not None
    if len(plan.space) < len(recorded):
        return len(plan.space)
    for k, stretch in enumerate(recorded.shards.stretches):
        first, stop = max(stretch.first, part.start), min(stretch.stop, part.stop)
        if first < stop and recorded.shards.book(k) is not None:
            other = _first_other(plan, recorded, first, stop)
            if other is not None:
                return other
    return None


def _constants(plan: Plan) -> dict[str, Any]:
    return {key: node.value for key, node in plan.nodes.items() if node.kind == "constant"}


def _declared_rows(plan: Plan, recorded: Recorded, size: int) -> Index:
    """For each recorded run the declared point that it is, or -1; the k-th equal point is the k-th equal run."""
    declared = explored_columns(plan, _constants(plan), np.arange(len(plan.space)))
    names = _names(plan)
    mine = [keys(declared[name]) for name in names]
    theirs = [keys(_recorded_column(recorded, name, slice(0, size))) for name in names]
    return matched(mine, theirs, len(plan.space), size)


def restricted(points: Points, chosen: Array | None, *, again: bool = False) -> Any:
    """The runs to execute among the chosen ones; ``again`` takes done ones too."""
    if chosen is None:
        return points.todo
    if again:
        return np.flatnonzero(chosen)
    todo = np.asarray(points.todo, np.int64)
    return todo[chosen[todo]]


def failed_only(points: Points, status: Array) -> Points:
    """The points with nothing to run but what failed."""
    failed = (status != Status.DONE) & (status != Status.PENDING)
    failed &= True if points.declared is None else points.declared[: len(status)]
    return attrs.evolve(points, todo=np.flatnonzero(failed))
