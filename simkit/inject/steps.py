"""What has to be made for each run, in order, before the experiment is called."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs
import numpy as np

from simkit.collect.plan import Node, Plan
from simkit.inject.protect import protected
from simkit.inject.shared import bound, entered
from simkit.values.decode import ABSENT

Environment = dict[str, Any]


@attrs.frozen(eq=False)
class Step:
    """Makes one value of a run from those before it."""

    key: str
    make: Callable[[Environment, ExitStack], Any]


def compiled(plan: Plan) -> list[Step]:
    """The steps of every run; none where the space, constants and built-ins are enough."""
    makers = ((node, _maker(node, plan)) for node in plan.nodes.values() if node.varying)
    return [Step(node.key, make) for node, make in makers if make is not None]


def _maker(node: Node, plan: Plan) -> Callable[[Environment, ExitStack], Any] | None:
    match node.kind:
        case "explored":
            return _or_normal(node) if node.needs else None
        case "fixture":
            return lambda environment, teardown: entered(_called(node, plan, environment), teardown, node)
        case "derived" | "group" | "overlay":
            return lambda environment, _: protected(_called(node, plan, environment))
    if node.name == "workdir":
        return lambda environment, teardown: _workdir(plan, teardown)
    if node.name == "rng" and plan.nodes["seed"].kind != "builtin":
        return lambda environment, _: np.random.default_rng(environment["seed"])
    return None


def _called(node: Node, plan: Plan, environment: Environment) -> Any:
    positional, named = bound(node, plan, environment)
    assert node.make is not None
    return node.make(*positional, **named)


def _or_normal(node: Node) -> Callable[[Environment, ExitStack], Any]:
    key, normal = node.key, node.needs[0].key

    def value(environment: Environment, _: ExitStack) -> Any:
        found = environment[key]
        return environment[normal] if found is ABSENT else found

    return value


def _workdir(plan: Plan, teardown: ExitStack) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"simkit-{plan.name}-"))

    def leave(kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None:
            shutil.rmtree(folder, ignore_errors=True)

    teardown.push(leave)
    return folder
