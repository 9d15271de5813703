"""What follows an experiment: each ``@after`` resolved into a plan of its own."""

from __future__ import annotations

import inspect
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from simkit.collect.code import reachable
from simkit.collect.plan import Node, Plan, node_id, ordered, providers_of
from simkit.collect.requests import Requester, requests
from simkit.collect.streams import global_streams
from simkit.declare.space import explore
from simkit.errors import SimkitError, did_you_mean, location, paragraphs

if TYPE_CHECKING:
    from simkit.collect.resolve import Resolver

TRAJECTORY = "trajectory"


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
    if functions and TRAJECTORY not in resolver.nodes and resolver.find(TRAJECTORY, 0) is None:
        resolver.nodes[TRAJECTORY] = Node(TRAJECTORY, "builtin", varying=True, origin="built in")
    return tuple(_plan(function, plan, resolver) for function in functions)


def _plan(function: Callable[..., Any], plan: Plan, resolver: Resolver) -> Plan:
    asker = Requester("", f"after {function.__name__}", location(function))
    needs = resolver.call(requests(function), (asker,))
    for name, problem in resolver.missing.items():
        raise _unknown(name, problem)
    nodes = ordered(needs, resolver.nodes)
    _check_single(asker, nodes)
    code = reachable([function, *providers_of(nodes)], plan.rootdir) or _cells(function)
    path = _file(function, plan)
    return attrs.evolve(
        plan,
        name=function.__name__,
        node_id=node_id(path, function, plan.rootdir),
        function=function,
        nodes=nodes,
        needs=needs,
        space=explore(),
        path=path,
        module=function.__module__,
        code=code,
        streams=global_streams(code, plan.rootdir),
    )


def _file(function: Callable[..., Any], plan: Plan) -> Path:
    path = Path(os.path.abspath(function.__code__.co_filename))
    return path if path.exists() else plan.path  # a cell of a notebook


def _cells(function: Callable[..., Any]) -> dict[str, str]:
    """The source of a notebook's function and of those that it names: no file holds them."""
    found: dict[str, str] = {}
    waiting = [function]
    while waiting:
        one = waiting.pop()
        if one.__qualname__ in found:
            continue
        try:
            found[one.__qualname__] = textwrap.dedent(inspect.getsource(one))
        except OSError:
            found[one.__qualname__] = repr((one.__code__.co_code, one.__code__.co_consts))
        named = (one.__globals__.get(name) for name in one.__code__.co_names)
        waiting += [n for n in named if inspect.isfunction(n) and n.__module__ == function.__module__]
    return found


def _unknown(name: str, problem: SimkitError) -> SimkitError:
    hint = did_you_mean(name, [TRAJECTORY]).removeprefix("; ")
    columns = 'what the runs gave are columns of the argument trajectory: trajectory["z"]'
    return SimkitError(f"{problem}\n    {hint or columns}")


def _check_single(asker: Requester, nodes: Mapping[str, Node]) -> None:
    """After the runs there is no point: what differs between them can't be given."""
    for node in nodes.values():
        if node.varying and node.is_recorded:
            why = "is explored" if node.kind == "explored" else "is computed for each run"
            first = f"{asker.where}: {asker.words} needs {node.name!r}, which {why}: it has no one value for all runs"
            raise SimkitError(
                paragraphs(
                    [
                        first,
                        _way(node.key, nodes),
                        f'take the column, trajectory["{node.name}"], or what does not differ between runs',
                    ]
                ).replace("\n    \n", "\n")
            )


def _way(key: str, nodes: Mapping[str, Node]) -> str:
    """Who in between asks for it."""
    asking = [node.name for node in nodes.values() if any(need.key == key for need in node.needs)]
    return f"requested by {', '.join(asking)}" if asking else ""
