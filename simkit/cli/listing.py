"""What would run, and with which parameters?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from simkit.cli.words import assignments, counted, rule, short
from simkit.collect.collection import Item
from simkit.collect.groups import group_fields, is_group
from simkit.collect.plan import Node, Plan
from simkit.collect.requests import MISSING, fields
from simkit.collect.selection import selected
from simkit.declare.forms import axes
from simkit.errors import NothingToRun

_MOST = 1000


def list_experiments(items: Sequence[Item], where: str, *, verbose: int, quiet: int) -> int:
    """``--co``: each experiment with its number of runs; each run with ``-v``."""
    total = 0
    for item in items:
        plan = item.plan
        if not len(plan.space):
            msg = f"{plan.node_id}: its space is empty: no point is left to run"
            raise NothingToRun(msg)
        chosen = selected(plan.space, item.runs, where, plan.node_id)
        count = len(plan.space) if chosen is None else int(chosen.sum())
        total += count
        print(plan.node_id if quiet else f"{plan.node_id}  {counted(count, 'run')}{_summary(plan)}")
        for after in () if quiet else plan.afters:
            print(f"    after: {after.node_id}{_summary(after)}")
        if verbose:
            list_runs(plan, np.arange(len(plan.space)) if chosen is None else np.flatnonzero(chosen))
    if not quiet:
        print(f"\n{counted(len(items), 'experiment')}, {counted(total, 'run')}")
    return 0


def _summary(plan: Plan) -> str:
    doc = plan.doc.partition("\n")[0]
    return f"   {doc}" if doc else ""


def list_runs(plan: Plan, runs: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    """One line per run, as far as one can read."""
    for run in runs[:_MOST].tolist():
        print(f"    [{run}]  {assignments(plan.space[run])}")
    if len(runs) > _MOST:
        print(f"    … and {counted(len(runs) - _MOST, 'more run')}")


def list_parameters(items: Sequence[Item]) -> int:
    """``--parameters``: name, value, unit, comment and origin of all parameters of each experiment."""
    for item in items:
        print(rule(item.plan.node_id, "-"))
        _print_parameters(item.plan, item.plan.parameters)
        for after in item.plan.afters:
            own = {name: node for name, node in after.parameters.items() if name not in item.plan.parameters}
            if own:
                print(f"after: {after.node_id}")
                _print_parameters(after, own)
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
    if node.kind == "explored":
        declared = [values for name, values in axes(plan.space.form) if name == node.name]
        some = [
            short(value, 20)
            for values in declared
            for value in values.take(np.arange(min(4, len(values)))).elements()
        ]
        more = ", …" if sum(map(len, declared)) > len(some) else ""
        return [(node.name, f"explored: {', '.join(some)}{more}{unit}", about)]
    if node.kind == "constant" and not is_group(node.value):
        return [(node.name, short(node.value) + unit, about)]
    if node.kind == "constant":
        return [
            (f"{node.name}.{name}", short(value), about) for name, value in group_fields(node.value).items()
        ]
    if node.kind == "group" and node.make is not None:
        return [(node.name, "group", about), *_fields(node, plan)]
    return [(node.name, "computed for each run" if node.varying else "computed once", about)]


def _fields(node: Node, plan: Plan) -> list[tuple[str, str, str]]:
    rows = []
    for name, request in fields(node.make).items():
        full = f"{node.name}.{name}"
        if full not in plan.nodes:
            unit = f" {request.note.unit}" if request.note.unit else ""
            value = "no default" if request.default is MISSING else short(request.default)
            rows.append((full, value + unit, request.note.comment))
    return rows
