"""One injected run without a file, for tests and for trying things out."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from simkit.collect.cells import NOTEBOOK
from simkit.collect.collection import Found, Request, resolve
from simkit.collect.config import Config, find_rootdir, load_config
from simkit.collect.plan import Plan, node_id
from simkit.collect.providers import levels
from simkit.collect.resolve import Outside
from simkit.declare.space import Space, explore
from simkit.declare.tags import Tag, tag_of
from simkit.errors import SimkitError, caller, did_you_mean, location
from simkit.inject.beat import local_beat
from simkit.inject.injector import Injector
from simkit.inject.shared import constants, shared_values
from simkit.values.classes import loaded, revived
from simkit.values.decode import decode
from simkit.values.status import Status


def found_of(function: Callable[..., Any]) -> tuple[Found, Config]:
    """A function of a script, a notebook or any module as an experiment, and the project around it."""
    if not inspect.isfunction(function):
        msg = f"{caller()}: an experiment is a function, not {function!r}"
        raise SimkitError(msg)
    module = sys.modules.get(function.__module__) or ModuleType(function.__module__)
    file = getattr(module, "__file__", None)
    path = Path(os.path.abspath(file)) if isinstance(file, str) else Path.cwd() / NOTEBOOK
    config = load_config(find_rootdir([path if path.exists() else Path.cwd()]))
    tag = tag_of(function) or Tag("experiment")
    return Found(function, tag, path, module, node_id(path, function, config.rootdir)), config


def plan_of(function: Callable[..., Any], space: Space | None, outside: Mapping[str, Outside]) -> Plan:
    """The plan of a function of a script, a notebook or any module.

    Parameters
    ----------
    space
        Instead of the one that decorates the function.
    outside
        Values laid on top, after the project's ``[tool.simkit.parameters]``.
    """
    found, config = found_of(function)
    if space is not None and not isinstance(space, Space):
        msg = f"{caller()}: a space is made by product(…) or explore(…): it is not {space!r}"
        raise SimkitError(msg)
    configured = {
        name: Outside(value, "[tool.simkit.parameters]") for name, value in config.parameters.items()
    }
    request = Request(
        outside={**configured, **outside}, reshape=lambda declared, _: declared if space is None else space
    )
    inside = levels(found.path, config.rootdir, found.module)
    plan = resolve(found, inside, request, config.rootdir, compress=config.compress)
    unknown = next((name for name in outside if name not in plan.names), None)
    if unknown is not None:
        used = ", ".join(plan.parameters)
        what = f"{function.__name__} does not use {unknown!r}{did_you_mean(unknown, plan.names)}"
        msg = f"{location(function)}: {what}\n    it uses: {used}"
        raise SimkitError(msg)
    return plan


def call(function: Callable[..., Any], /, **values: Any) -> dict[str, Any]:
    """Make one injected run of an experiment, without a file.

    Parameters
    ----------
    **values
        Parameters to give by name; the others are resolved as ``simkit`` does. ``seed`` is 0 unless given.

    Returns
    -------
    dict of str to object
        The results by name, as they would be read from a trajectory.

    Raises
    ------
    Exception
        Whatever the experiment raises.
    """
    given = {name: [value] for name, value in values.items()}
    plan = plan_of(function, explore(given), {})
    errors: list[BaseException] = []
    shared = shared_values(plan, 0)
    names = (*plan.parameters, *constants(plan, shared))
    injector = Injector(plan, 0, shared, parameters=names, on_error=errors.append)
    try:
        batch = injector.batch(np.arange(1), plan.space.at(np.arange(1)), local_beat())
    finally:
        injector.close()
    if errors:
        raise errors[0]
    if batch.status[0] != Status.DONE:
        raise SimkitError(batch.errors[0])
    return {name: revived(decode(column)[0], loaded) for name, column in batch.results.items()}
