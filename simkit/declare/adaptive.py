"""Which function chooses an experiment's points while it runs?"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any, TypeVar

from simkit.declare.tags import Tag, mark, tag_of
from simkit.errors import SimkitError, caller, location

F = TypeVar("F")


def adaptive(
    strategy: Callable[..., Any], /, *, start: str | os.PathLike[str] | None = None
) -> Callable[[F], F]:
    """Let a strategy choose the points of an experiment, by what the runs so far gave.

    Its arguments are injected by name, as those of the experiment; ``rng`` and ``seed`` are a stream of its own,
    ``run`` collects what becomes ``traj.summary``, and so does what it returns. It is one of

    - a generator: ``results = yield explore(x=…)`` has these points computed, and gets columns by name;
    - a function with the argument ``evaluate``, which it calls with a space, or with columns:
      ``evaluate(x=…)["z"]``;
    - a function that returns an object with ``ask()``, which gives a point (a dictionary), a list of points, or
      None at the end, and ``tell(point, results)``, whose results are None where the run failed. It may have
      ``learn(point, results)`` for points that it did not ask for.

    Parameters
    ----------
    strategy
        The function.
    start
        A trajectory file of an earlier study: its points are learned before the first one is asked for.

    Returns
    -------
    callable
        The decorator.

    Raises
    ------
    SimkitError
        For what is no function, and on an experiment that has a space.

    Examples
    --------
    >>> def halve(n=3):
    ...     x = 8.0
    ...     for _ in range(n):
    ...         results = yield explore(x=[x])
    ...         x /= 2
    >>> @experiment
    ... @adaptive(halve)
    ... def square(x):
    ...     return {"y": x**2}
    >>> simkit.run(square)["y"]
    array([64., 16.,  4.])
    """
    if not inspect.isfunction(strategy) or inspect.iscoroutinefunction(strategy):
        msg = (
            f"{caller()}: @adaptive names the function that chooses the points, as in @adaptive(climb), "
            f"not {strategy!r}\n    wrap what is none: {_wrapped(strategy)}"
        )
        raise SimkitError(msg)

    def decorated(function: F) -> F:
        if not inspect.isfunction(function):
            msg = f"{caller()}: @adaptive decorates an experiment, which is a function, not {function!r}"
            raise SimkitError(msg)
        tag = tag_of(function) or Tag()
        if tag.spaces or tag.strategy is not None:
            raise excluded(function)
        mark(function, strategy=strategy, start=None if start is None else os.fspath(start))
        return function

    return decorated


def excluded(function: Any) -> SimkitError:
    """Two ways to choose one experiment's points."""
    msg = (
        f"{location(function)}: {function.__name__} has a strategy and another space: one of them chooses its "
        "points\n    let the strategy ask for the points of the space first: yield product(…)"
    )
    return SimkitError(msg)


def _wrapped(strategy: object) -> str:
    """The function that makes a strategy of what is none."""
    if inspect.isclass(strategy):
        return f"def strategy(): return {strategy.__name__}()"
    return "def strategy(): return …" if hasattr(strategy, "ask") else "def strategy(evaluate): …"
