"""``--co`` and ``--parameters``: what would run, how much of it is done, and with which values."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from simkit.analyse.stages import Supply
from simkit.collect.collection import Item
from simkit.collect.config import Settings
from simkit.collect.fields import is_group
from simkit.collect.plan import Node, Plan
from simkit.collect.signatures import MISSING, every_field
from simkit.collect.targets import selected
from simkit.declare.forms import Index, axes
from simkit.declare.trials import Until
from simkit.errors import NothingToRun, SourceNotReady, shown_path
from simkit.inform.events import Events
from simkit.inform.progress import assignments, briefly, counted, rule
from simkit.resume.outlook import Outlook, outlook
from simkit.study.supply import supplied

if TYPE_CHECKING:
    import argparse

_MOST = 1000


def list_experiments(items: Sequence[Item], settings: Settings, options: argparse.Namespace) -> int:
    """``--co``: each experiment with its number of runs; each run with ``-v``."""
    total, verbose, quiet = 0, options.verbose, options.quiet
    for collected in items:
        try:
            item = attrs.evolve(collected, plan=supplied(collected.plan, Supply(settings)))
        except SourceNotReady as problem:
            _say_unready(collected.plan, str(problem), options.json)
            continue
        plan, runs = item.plan, _chosen(item, settings.where)
        total += len(runs)
        if options.json:
            emit_experiment(item, settings, options.json, runs[:_MOST] if verbose else runs[:0])
            continue
        number = "adaptive" if plan.strategy else f"{counted(len(runs), 'run')}{_more(plan)}"
        print(plan.node_id if quiet else f"{plan.node_id}  {number}{_summary(plan)}")
        for line in () if quiet else outlook_lines(outlook(item, settings), settings):
            print(f"    {line}")
        for companion in () if quiet else plan.companions:
            print(f"    {_role(plan, companion)}: {companion.node_id}{_summary(companion)}")
        if verbose:
            list_runs(plan, runs)
    if not quiet and not options.json:
        print(f"\n{counted(len(items), 'experiment')}, {counted(total, 'run')}")
    return 0


def _say_unready(plan: Plan, problem: str, events: Events | None) -> None:
    """An experiment goes over runs of another one that are not there yet: so its own are not known."""
    if events:
        events.emit("error", where=plan.node_id, message=problem)
    else:
        print(f"{plan.node_id}  not known yet{_summary(plan)}\n    {problem}")


def outlook_lines(view: Outlook, settings: Settings) -> Iterator[str]:
    """How much is done already, what would run, and what differs from what is recorded; nothing where there is none."""
    if view.slot is None and view.nearest is None:
        if settings.only_failed:
            yield "nothing is recorded that --lf could continue"
        return
    todo = f"{view.to_run} to run" if view.to_run else "nothing to run"
    yield "; ".join([f"{view.done} of {view.runs} done, {todo}", *view.differences])
    if view.slot is not None:
        yield f"continues {shown_path(view.slot.path)}"
        yield from view.remarks
    elif view.nearest is not None and not view.is_bridgeable:
        yield f"does not continue {shown_path(view.nearest.path)}: begins the next one"
    elif view.nearest is not None:
        file = shown_path(view.nearest.path)
        command = shlex.join(["simkit", "--into", file, *settings.shaping])
        yield f"does not continue {file}; this does: {command}"


def emit_experiment(item: Item, settings: Settings, events: Events, runs: Index) -> None:
    """``--co --json``: what is known of an experiment before it runs, and of some of its runs."""
    plan, view = item.plan, outlook(item, settings)
    events.emit(
        "experiment", experiment=plan.node_id, doc=plan.doc, explored=plan.space.names,
        is_adaptive=plan.strategy is not None, runs=view.runs, done=view.done, to_run=view.to_run,
        continues=None if view.slot is None else view.slot.path,
        nearest=None if view.nearest is None else view.nearest.path, differences=view.differences,
        companions=[{"role": _role(plan, one), "function": one.node_id} for one in plan.companions],
    )  # fmt: skip
    for run in runs.tolist():
        events.emit("point", experiment=plan.node_id, run=run, parameters=plan.space[run])


def _chosen(item: Item, where: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The numbers of the runs that are selected, as far as they are known before a strategy chooses them."""
    plan = item.plan
    if plan.strategy is not None:
        return np.empty(0, np.int64)
    if not len(plan.space):
        msg = f"{plan.node_id}: its space is empty: no point is left to run"
        raise NothingToRun(msg)
    chosen = selected(plan.space, item.runs, where, plan.node_id)
    return np.arange(len(plan.space)) if chosen is None else np.flatnonzero(chosen)


def _more(plan: Plan) -> str:
    return f", more until {plan.space.form.test}" if isinstance(plan.space.form, Until) else ""


def _role(plan: Plan, companion: Plan) -> str:
    return "after" if companion in plan.afters else "strategy"


def _summary(plan: Plan) -> str:
    doc = plan.doc.partition("\n")[0]
    return f"   {doc}" if doc else ""


def list_runs(plan: Plan, runs: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    """One line per run, as far as one can read."""
    for run in runs[:_MOST].tolist():
        print(f"    [{run}]  {assignments(plan.space[run])}")
    if len(runs) > _MOST:
        print(f"    … and {counted(len(runs) - _MOST, 'more run')}")


def list_parameters(items: Sequence[Item], options: argparse.Namespace) -> int:
    """``--parameters``: name, value, unit, comment and origin of all parameters of each experiment."""
    for item in items:
        if options.json:
            for plan in (item.plan, *item.plan.companions):
                for name, value, about in (
                    row for node in plan.parameters.values() for row in described(node, plan)
                ):
                    options.json.emit(
                        "parameter", experiment=plan.node_id, name=name, value=value, about=about
                    )
            continue
        print(rule(item.plan.node_id, "-"))
        _print_parameters(item.plan, item.plan.parameters | item.plan.feeds)
        for companion in item.plan.companions:
            own = {
                name: node for name, node in companion.parameters.items() if name not in item.plan.parameters
            }
            if own:
                print(f"{_role(item.plan, companion)}: {companion.node_id}")
                _print_parameters(companion, own)
    return 0


def _print_parameters(plan: Plan, nodes: Mapping[str, Node]) -> None:
    rows = [row for node in nodes.values() for row in described(node, plan)]
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, value, about in rows:
        print(f"{name:<{width}}  {value}{'   ' + about if about else ''}")


def described(node: Node, plan: Plan) -> list[tuple[str, str, str]]:
    """A parameter's lines: a group has one for each of its fields."""
    about = "   ".join(text for text in (node.comment.partition("\n")[0], node.origin) if text)
    unit = f" {node.unit}" if node.unit else ""
    if node.kind == "feed":
        which = "each" if node.value.by is None else "groups" if node.varying else "all"
        return [(node.name, f"{which} of {node.origin}", "")]
    if node.kind == "explored":
        declared = [values for name, values in axes(plan.space.form) if name == node.name]
        some = [
            briefly(value, 20)
            for values in declared
            for value in values.take(np.arange(min(4, len(values)))).elements()
        ]
        more = ", …" if sum(map(len, declared)) > len(some) else ""
        return [(node.name, f"explored: {', '.join(some)}{more}{unit}", about)]
    if node.kind == "constant" and not is_group(node.value):
        return [(node.name, briefly(node.value) + unit, about)]
    base = plan.nodes.get(f"{node.key}@base", node)
    group = node.make if node.kind == "group" else base.value if base.kind == "constant" else None
    if group is None:
        return [(node.name, "computed for each run" if node.varying else "computed once", about)]
    head = [] if node.kind == "constant" else [(node.name, "group", about)]
    return head + _fields(node, group, plan)


def _fields(node: Node, group: Any, plan: Plan) -> list[tuple[str, str, str]]:
    rows = []
    for full, request in every_field(node.name, group).items():
        if full not in plan.nodes:
            unit = f" {request.note.unit}" if request.note.unit else ""
            value = "no default" if request.default is MISSING else briefly(request.default)
            origin = node.origin if node.kind == "constant" else ""
            about = "   ".join(text for text in (request.note.comment, origin) if text)
            rows.append((full, value + unit, about))
    return rows
