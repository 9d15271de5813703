"""What stands beside an experiment's runs, and is called by the owner: its strategy, and what follows it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from simkit.collect.code import graph_of, reached
from simkit.collect.draws import generators, streams
from simkit.collect.plan import Node, Plan, node_id, ordered, providers_of
from simkit.collect.resolve import Resolver
from simkit.collect.signatures import Requester, requests
from simkit.collect.surroundings import suspicion
from simkit.declare.space import explore
from simkit.errors import SimkitError, did_you_mean, is_ours, location, paragraphs

TRAJECTORY = "trajectory"
EVALUATE = "evaluate"


def after_plans(functions: Sequence[Callable[..., Any]], plan: Plan, resolver: Resolver) -> tuple[Plan, ...]:
    """The plans of what follows an experiment, in order.

    Parameters
    ----------
    resolver
        The experiment's, which knows all its names: a name has one value for both.

    Raises
    ------
    SimkitError
        For two of one name, and for an argument that has no single value after the runs.
    """
    seen: dict[str, Callable[..., Any]] = {}
    for function in functions:
        first = seen.setdefault(function.__name__, function)
        if first is not function:
            where = f"{location(function)}: a second @after named {function.__name__!r} follows {plan.name}"
            msg = f"{where}, the first at {location(first)}\n    give one of them another name"
            raise SimkitError(msg)
    if functions:
        _provide(resolver, TRAJECTORY)
    return tuple(_plan(function, plan, resolver, "after", _COLUMNS) for function in functions)


_COLUMNS = 'what the runs gave are columns of the argument trajectory: trajectory["z"]'


def strategy_plan(function: Callable[..., Any], plan: Plan, resolver: Resolver) -> Plan:
    """The plan of what chooses an experiment's points.

    Raises
    ------
    SimkitError
        For an argument that nothing provides, or that has no single value for all runs; for an ``@after`` of the
        same name, under which both would be recorded.
    """
    same = next((after.function for after in plan.afters if after.name == function.__name__), None)
    if same is not None:
        where = f"{location(function)}: the strategy of {plan.name} and the @after at {location(same)}"
        msg = f"{where} are both named {function.__name__!r}\n    give one of them another name"
        raise SimkitError(msg)
    _provide(resolver, TRAJECTORY, EVALUATE)
    advice = "give it a default, or take evaluate, trajectory, run, rng, seed, a parameter or a fixture"
    return _plan(function, plan, resolver, "strategy", advice)


def _provide(resolver: Resolver, *names: str) -> None:
    """Let the functions that are called beside the runs ask for what is made when they are called."""
    for name in names:
        if name not in resolver.nodes and resolver.find(name, 0) is None:
            resolver.nodes[name] = Node(name, "builtin", varying=True, origin="built in")


def _plan(function: Callable[..., Any], plan: Plan, resolver: Resolver, role: str, advice: str) -> Plan:
    asker = Requester("", f"{role} {function.__name__}", location(function))
    needs = resolver.call(requests(function), (asker,))
    for name, problem in resolver.missing.items():
        raise _unknown(name, problem, advice)
    nodes = ordered(needs, resolver.nodes)
    _check_single(asker, nodes)
    things = [function, *providers_of(nodes)]
    graph = graph_of(things, [plan.path], plan.rootdir)
    code = reached(graph, things)
    path = _file(function, plan)
    return attrs.evolve(
        plan,
        name=function.__name__,
        node_id=node_id(path, function, plan.rootdir),
        function=function,
        nodes=nodes,
        needs=needs,
        space=explore(),
        isolate=False,
        chdir=False,
        vectorized=None,
        path=path,
        module=function.__module__,
        code=code.code,
        streams=streams(graph, code),
        suspicion=suspicion(graph, code),
        generators=generators(graph, code, things, plan.path),
    )


def _file(function: Callable[..., Any], plan: Plan) -> Path:
    path = Path(os.path.abspath(function.__code__.co_filename))
    # Else it is a cell of a notebook, or an adapter made it.
    return path if path.exists() and not is_ours(str(path)) else plan.path


def _unknown(name: str, problem: SimkitError, advice: str) -> SimkitError:
    hint = did_you_mean(name, [TRAJECTORY]).removeprefix("; ")
    return SimkitError(f"{problem}\n    {hint or advice}")


_WHY = {"explored": "is explored", "feed": "is another one for each run"}


def _check_single(asker: Requester, nodes: Mapping[str, Node]) -> None:
    """Beside the runs there is no point: what differs between them can't be given."""
    for node in nodes.values():
        if node.varying and (node.is_recorded or node.kind == "feed"):
            why = _WHY.get(node.kind, "is computed for each run")
            first = f"{asker.where}: {asker.words} needs {node.name!r}, which {why}: it has no one value for all runs"
            raise SimkitError(
                paragraphs(
                    [
                        first,
                        _way(node.key, nodes),
                        _cure(node),
                    ]
                ).replace("\n    \n", "\n")
            )


def _cure(node: Node) -> str:
    if node.kind == "feed":
        return f'trajectory["{node.name}.run"] tells which run it was: open that trajectory by simkit.open'
    return f'take the column, trajectory["{node.name}"], or what does not differ between runs'


def _way(key: str, nodes: Mapping[str, Node]) -> str:
    """Who in between asks for it."""
    asking = [node.name for node in nodes.values() if any(need.key == key for need in node.needs)]
    return f"requested by {', '.join(asking)}" if asking else ""
