"""Tag a function that is called after the runs of an experiment."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from simkit.declare.tags import follow, tag_of
from simkit.errors import SimkitError, caller, location



def after(experiment: Callable[..., Any], /) -> Callable[[F], F]:
    """Mark a function as post-processing: it is called when no run of the experiment is pending.

    Its arguments are injected by name: ``trajectory`` (read-only, with every run and its status), ``run``
    (collects, as in an experiment), ``rng``, ``seed``, ``workdir``, and any parameter or fixture that does
    not differ between runs. What it returns or adds is ``traj.summary``. The function itself is returned
    unchanged.

    Several are called in the order of their definitions, each when its code or the runs have changed.

    Parameters
    ----------
    experiment
        The experiment that it follows, as in ``@after(multiply)``.

    Raises
    ------
    SimkitError
        When that is no experiment, or what is decorated is no plain function.
    """
    tag = tag_of(experiment)
    if tag is None or tag.kind != "experiment":
        name = getattr(experiment, "__name__", repr(experiment))
        msg = (
            f"{caller()}: @after names the experiment that it follows, as in @after(multiply); "
            f"{name} is no experiment\n    decorate {name} with @experiment if it shall be one"
        )
        raise SimkitError(msg)

    def mark(function: F) -> F:
        _check(function)
        follow(function, experiment)
        return function

    return mark


def _check(function: Any) -> None:
    if not inspect.isfunction(function):
        msg = f"{caller()}: @after marks a function, not {function!r}"
        raise SimkitError(msg)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        msg = f"{location(function)}: after {function.__name__} must return its results, not yield or await"
        raise SimkitError(msg)
