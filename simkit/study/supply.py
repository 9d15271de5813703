"""What do the runs of other experiments give an experiment: its points, and arguments of its runs?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from simkit.analyse.stages import Each, Supply
from simkit.collect.listener import FileState, state_of
from simkit.collect.plan import Node, Plan
from simkit.declare.feed import FILE, Upstream, column
from simkit.declare.forms import Form, Plus, Repeat, Subset, Times, Values, Where, Zip, atoms, plus, times
from simkit.declare.space import Space
from simkit.declare.trials import Until
from simkit.errors import SourceNotReady
from simkit.record.upstream import Opener


def supplied(plan: Plan, supply: Supply) -> Plan:
    """The plan with the points and arguments that other experiments' runs give now.

    Raises
    ------
    SourceNotReady
        Where these are not recorded, or not complete.
    SimkitError
        Where the experiment can't be resolved with the names that they explored.
    """
    if any(isinstance(atom, Each) for atom in atoms(plan.space.form)):
        assert plan.over is not None
        plan = plan.over(Space(_settled(plan.space.form, supply)))
    nodes = {key: node for each in (plan, *plan.companions) for key, node in each.feeds.items()}
    return plan.supplied({key: _opener(node, plan, supply) for key, node in nodes.items()}) if nodes else plan


def _opener(node: Node, plan: Plan, supply: Supply) -> Opener:
    """What makes an argument from runs."""
    feed: Upstream = node.value
    if node.varying:
        places = [values[column(feed.argument, FILE)] for values in _columns(plan.space.form, feed.argument)]
        files = {str(file) for values in places for file in values.elements()}
        return Opener(
            feed.argument,
            feed.node_id,
            plan.rootdir,
            feed.by is not None,
            {f: _state(plan.rootdir, f) for f in files},
        )
    points = Each(feed.experiment, None, (), f"{plan.node_id}: its argument {node.name}").settled(supply)
    if not points.size:
        msg = f"{plan.node_id} asks for {feed.words}, and none of them is done"
        raise SourceNotReady(msg)
    file, runs, digest = (
        points.columns[column(points.feeds[0].argument, leaf)].elements()[0] for leaf in feed.leaves
    )
    states = {file: _state(plan.rootdir, file)}
    return Opener(feed.argument, points.feeds[0].node_id, plan.rootdir, True, states, (file, runs, digest))


def _state(rootdir: Path, file: str) -> FileState:
    return state_of(str(rootdir / file.partition("::")[0]))


def _columns(form: Form, argument: str) -> Iterator[Mapping[str, Values]]:
    """The columns of the atoms that give an argument."""
    for atom in atoms(form):
        if isinstance(atom, Zip) and column(argument, FILE) in atom.columns:
            yield atom.columns


def _settled(form: Form, supply: Supply) -> Form:
    """The same points, those that are other experiments' runs as they are recorded now."""
    match form:
        case Each():
            return form.settled(supply)
        case Times():
            return times(tuple(_settled(part, supply) for part in form.parts))
        case Plus():
            return plus(_settled(form.first, supply), _settled(form.second, supply))
        case Until():
            inner = _settled(form.first.inner, supply)
            return attrs.evolve(form, first=attrs.evolve(form.first, inner=inner))
        case Where():
            return Where(_settled(form.inner, supply), form.test, form.where)
        case Repeat() | Subset():
            return attrs.evolve(form, inner=_settled(form.inner, supply))
    return form
