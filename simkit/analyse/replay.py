"""How are recorded runs executed again, with their own parameters and the present code?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from simkit.analyse.source import Source, source_of
from simkit.collect.collection import Request, resolve
from simkit.collect.groups import leaves
from simkit.collect.plan import Node, Plan
from simkit.collect.providers import Provider
from simkit.collect.requests import MISSING, fields
from simkit.collect.resolve import Outside
from simkit.declare.axes import Array, Index, Values, from_list
from simkit.declare.forms import TRIAL, Taken, Zip
from simkit.declare.space import Space
from simkit.declare.tags import Tag
from simkit.errors import SimkitError, shown_path
from simkit.execute.rerun import Rerun
from simkit.inject.seeds import run_seeds
from simkit.record.points import codes
from simkit.record.recorded import Recorded
from simkit.values.classes import loaded, revived
from simkit.values.columns import Column
from simkit.values.decode import ABSENT, decode
from simkit.values.encode import encode
from simkit.values.same import same
from simkit.values.status import Status
from simkit.values.take import take

_SCATTERED = 64  # rows between those that are asked for, from which on each is read alone
_GIVEN = ("--", "set=", "[tool.simkit")  # how the origins of values begin that did not come from the code


@attrs.frozen(eq=False)
class Replay:
    """Runs of one set of constants, ready to be executed again.

    Attributes
    ----------
    overlaid
        Constants that the code would give another value now: name, that value, and the recorded one.
    """

    rerun: Rerun
    runs: Index
    overlaid: tuple[tuple[str, Any, Any], ...]


def replays(recorded: Recorded, runs: Index, function: Callable[..., Any] | None = None) -> Iterator[Replay]:
    """The runs in groups of one set of constants each; mostly there is one group.

    Parameters
    ----------
    function
        The experiment; by default it is found by its node id.

    Raises
    ------
    SimkitError
        When the experiment can't be found, or can't run with what is recorded.
    """
    source = source_of(recorded, function)
    given = {
        name: value for name, value in _settings(recorded, int(runs[0])).items() if _is_given(recorded, name)
    }
    first = _plan(source, recorded, runs, given)
    for group in _alike(recorded, runs, [name for name, _ in _constants(first)]):
        values = _settings(recorded, int(group[0]))
        overlaid = [
            (name, value, values[name])
            for name, value in _constants(first)
            if name in values and not same(value, values[name])
        ]
        laid = {**given, **{name: value for name, _, value in overlaid}}
        plan = _plan(source, recorded, group, laid)
        seeds = _own_seeds(recorded, group, source.name)
        rerun = Rerun.of(plan, _root(recorded), _outside(recorded, laid), seeds)
        yield Replay(rerun, group, tuple(overlaid))


def _plan(source: Source, recorded: Recorded, runs: Index, given: Mapping[str, Any]) -> Plan:
    space = _points(recorded, runs)
    request = Request(outside=_outside(recorded, given), reshape=lambda *_: space)
    fixed = [name for name in recorded.names("parameters") if recorded.is_constant(name)]
    last_resort = {name: _provider(name, value_of(recorded, name, 0)) for name in fixed}
    try:
        return resolve(source.found, [*source.levels, last_resort], request, source.rootdir, compress=False)
    except SimkitError as error:
        msg = f"{shown_path(recorded.path)}: the present code can't run with what is recorded\n{error}"
        raise SimkitError(msg) from None


def _provider(name: str, value: Any) -> Provider:
    """Gives a recorded value where the present code gives none any more, as when a default was removed."""
    return Provider(name, lambda: value, Tag("parameter"))


def _outside(recorded: Recorded, values: Mapping[str, Any]) -> dict[str, Outside]:
    return {name: Outside(value, f"recorded in {recorded.path.name}") for name, value in values.items()}


def _settings(recorded: Recorded, run: int) -> dict[str, Any]:
    """The recorded parameters of a run that are not explored."""
    explored = set(recorded.explored)
    names = [name for name in recorded.names("parameters") if name not in explored]
    found = {name: value_of(recorded, name, run) for name in names}
    return {name: value for name, value in found.items() if value is not ABSENT}


def value_of(recorded: Recorded, name: str, run: int) -> Any:
    """A name's value in one run, or `ABSENT`."""
    constant = recorded.is_constant(name)
    column = recorded.constant(name) if constant else recorded.column(name, slice(run, run + 1))
    return revived(decode(column)[0], loaded)


def _is_given(recorded: Recorded, name: str) -> bool:
    return recorded.about(name).origin.startswith(_GIVEN)


def _constants(plan: Plan) -> list[tuple[str, Any]]:
    """What the code gives without computing it: defaults of arguments, and of a group's fields."""
    found: dict[str, Any] = {}
    for node in plan.nodes.values():
        if node.is_outermost and node.kind == "constant":
            found.update(leaves(node.name, node.value))
        elif node.is_outermost and node.kind == "group":
            found.update(_field_defaults(node, plan))
    return list(found.items())


def _field_defaults(node: Node, plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = {}
    computed = {f.name for f in attrs.fields(node.make) if getattr(f.default, "takes_self", False)}  # type: ignore[arg-type]
    for name, request in fields(node.make).items():
        full = f"{node.name}.{name}"
        if full not in plan.nodes and request.default is not MISSING and name not in computed:
            found.update(leaves(full, request.default))
    return found


def _alike(recorded: Recorded, runs: Index, names: list[str]) -> list[Index]:
    """The runs grouped by constants that sessions changed, in order of their first run."""
    known, explored = set(recorded.names("parameters")), set(recorded.explored)
    varying = [n for n in names if n in known and n not in explored and not recorded.is_constant(n)]
    if not varying:
        return [runs]
    columns = (rows_of(recorded, name, runs) for name in varying)
    numbers = np.stack([codes(column, column)[0] for column in columns], axis=1)
    _, first, group = np.unique(numbers, axis=0, return_index=True, return_inverse=True)
    return [runs[group.reshape(-1) == number] for number in np.argsort(first)]


def rows_of(recorded: Recorded, name: str, runs: Index) -> Column:
    """A column's rows at these run numbers, a constant repeated; a few that lie far apart are read one by one."""
    if recorded.is_constant(name):
        return take(recorded.constant(name), np.zeros(len(runs), np.int64))
    first, stop = int(runs.min()), int(runs.max()) + 1
    if stop - first <= _SCATTERED * len(runs):
        return take(recorded.column(name, slice(first, stop)), runs - first)
    values = [value_of(recorded, name, run) for run in runs.tolist()]
    present = np.array([i for i, value in enumerate(values) if value is not ABSENT], np.int64)
    return (
        encode([values[i] for i in present]).spread(len(runs), present)
        if len(present)
        else Column(len(runs), ())
    )


def _points(recorded: Recorded, runs: Index) -> Space:
    """The recorded points of some runs, at their run numbers; the others are never asked for."""
    columns = {name: _values(rows_of(recorded, name, runs)) for name in recorded.explored}
    trials = recorded.run_column(TRIAL)
    if trials is not None:
        columns[TRIAL] = Values(trials[runs], native=True)
    index = np.zeros(len(recorded), np.int64)
    index[runs] = np.arange(len(runs))
    return Space(Taken(Zip(columns, len(runs)), index))


def _own_seeds(recorded: Recorded, runs: Index, experiment: str) -> Array | None:
    """The seeds of all runs where these do not derive from the root seed and this experiment's name.

    Runs that were merged bring their own; a function of another name shall draw what the recorded one drew.
    """
    name = str(recorded.attributes["node_id"]).partition("::")[2]
    seeds = recorded.run_column("seed")
    if seeds is None:
        return None if name == experiment else run_seeds(_root(recorded), name, np.arange(len(recorded)))
    return seeds if (seeds[runs] != run_seeds(_root(recorded), experiment, runs)).any() else None


def _root(recorded: Recorded) -> int:
    return int(recorded.attributes["root_seed"])


def _values(column: Column) -> Values:
    """The declared elements; rows that no run was given any value in are filled with another's."""
    elements = revived(decode(column), loaded)
    present = next((value for value in elements if value is not ABSENT), None)
    return from_list([present if value is ABSENT else value for value in elements])


def done(recorded: Recorded) -> Index:
    """The runs that have results."""
    status = recorded.run_column("status")
    assert status is not None
    return np.flatnonzero(status == Status.DONE)
