"""Points that a script asks for, in a loop of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs

from simkit.collect.collection import plan_of
from simkit.collect.config import Outside
from simkit.declare.space import Space
from simkit.errors import caller
from simkit.inform.notebook import fitting_reporter
from simkit.resume.points import continued_points
from simkit.study.after import call_afters
from simkit.study.answers import Answers
from simkit.study.conversation import Conversation
from simkit.study.strategies import prepared


class ScriptedStudy:
    """A study under way: `run` gives what some points gave; left with the ``with`` block.

    Attributes
    ----------
    path
        The trajectory's file; its group is named as the function.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self.path = conversation.growth.target.slot.path

    def run(self, space: Space) -> Answers:
        """Execute these points, or answer them from the file where they are recorded at this place.

        Parameters
        ----------
        space
            The points, such as ``explore(x=[1.0, 2.0])``.

        Returns
        -------
        mapping of str to ndarray
            Columns by name, shape ``(n, …)``, in the order of the points, missing where a run failed.

        Raises
        ------
        SimkitError
            For points that the experiment can't have.
        KeyboardInterrupt
            On Ctrl-C, once the runs under way are finished and recorded.
        """
        with self._conversation.growth.interrupt:
            return self._conversation.run(space, f"{caller()}: study.run()")

    def __enter__(self) -> ScriptedStudy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        growth = self._conversation.growth
        try:
            growth.close_engine(interrupted=error is not None)
        except BaseException as problem:
            growth.fail(problem)
            raise
        finally:
            self._conversation.finish()
        growth.reporter.end(growth.progress)
        if error is None and growth.n:
            recorded = growth.target.slot.open()
            try:
                points = continued_points(growth.plan, recorded)
            finally:
                recorded.close()
            growth.progress.target = attrs.evolve(growth.target, points=points)
            call_afters(growth.plan, growth.progress, growth.settings, growth.shared, growth.reporter)


def the_script() -> None:
    """Ask for points, one call after the other."""


def start(
    function: Callable[..., Any],
    *,
    workers: int = 0,
    seed: int | None = None,
    set: Mapping[str, Any] | None = None,
    output: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    into: str | os.PathLike[str] | None = None,
) -> ScriptedStudy:
    """Begin a study whose points a script asks for, in a ``with`` block: many calls append to one trajectory.

    An exception in the block keeps what is done. A script that is run again goes on where it was, as long as it
    asks for the same points.

    Parameters
    ----------
    function
        An experiment, or any function; a space or strategy that decorates it does not count here.
    workers
        Supervised processes; 0 runs in this one.
    seed, set, output, fresh, into
        As in `run`.

    Returns
    -------
    ScriptedStudy
        With ``run(space)``.
    """
    outside = {name: Outside(value, f"set={{{name!r}: {value!r}}}") for name, value in (set or {}).items()}
    plan, project = plan_of(function, None, outside, the_script)
    settings = attrs.evolve(
        project,
        workers=workers,
        seed=seed,
        output=None if output is None else Path(output),
        fresh=fresh,
        into=None if into is None else Path(into),
        argv=(f"simkit.start({plan.name})",),
    )
    return ScriptedStudy(prepared(plan, settings, fitting_reporter())[0])
