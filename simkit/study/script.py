"""A script that asks for points in a loop of its own, and one that is explored as it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs

from simkit.analyse.stages import Supply
from simkit.analyse.trajectory import Trajectory
from simkit.collect.collection import plan_of
from simkit.collect.program import experiment_of, with_code
from simkit.declare.forms import TRIAL
from simkit.declare.space import Space, product
from simkit.errors import SimkitError, caller
from simkit.inform.notebook import fitting_reporter
from simkit.resume.points import continued_points
from simkit.study.after import call_afters
from simkit.study.answers import Answers
from simkit.study.conversation import Conversation
from simkit.study.session import StudyOptions, outside_of, studied, tell, transported
from simkit.study.strategies import prepared
from simkit.study.supply import supplied

_WITH = "points are taken in its block: with simkit.start(…) as study: …"


class ScriptedStudy:
    """A study under way: `run` gives what some points gave; left with the ``with`` block.

    Attributes
    ----------
    path
        The trajectory's file; its group is named as the function.
    """

    def __init__(self, conversation: Conversation, engine: ExitStack) -> None:
        self._conversation, self._engine = conversation, engine
        conversation.shut = _WITH
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
            For points that the experiment can't have, and outside of the ``with`` block.
        KeyboardInterrupt
            On Ctrl-C, once the runs under way are finished and recorded.
        """
        with self._conversation.growth.interrupt:
            return self._conversation.run(space, f"{caller()}: study.run()")

    def __enter__(self) -> ScriptedStudy:
        if self._conversation.shut != _WITH:
            msg = f"{caller()}: a study is entered once\n    call simkit.start again: it goes on where it was"
            raise SimkitError(msg)
        self._conversation.shut = ""
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
            self._conversation.shut += "\n    call simkit.start again: it goes on where it was"
            self._engine.close()
        growth.reporter.end(growth.progress)
        if error is None and growth.n:
            recorded = growth.target.slot.open()
            try:
                points = continued_points(growth.plan, recorded)
            finally:
                recorded.close()
            growth.progress.target = attrs.evolve(growth.target, points=points)
            call_afters(growth.plan, growth.progress, growth.settings, growth.shared, growth.reporter)
            tell(growth.progress, growth.settings)


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
    engine: Any = None,
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
    seed, set, output, fresh, into, engine
        As in `run`.

    Returns
    -------
    ScriptedStudy
        With ``run(space)``.

    Raises
    ------
    SimkitError
        For what `run` refuses: a closure with gaps, a file that is none, a number of workers that is none.

    Examples
    --------
    >>> def area(width, height=2.0):
    ...     return {"area": width * height}
    >>> with simkit.start(area) as study:
    ...     first = study.run(explore(width=[1.0]))["area"][0]
    ...     study.run(explore(width=[first, first + 1]))["area"]
    array([4., 6.])
    """
    options = StudyOptions(workers, seed, output, fresh, into, engine)
    plan, project = plan_of(function, None, outside_of(set), the_script)
    settings = options.settings(project, f"simkit.start({plan.name})")
    stack = ExitStack()
    with ExitStack() as failed:
        failed.push(stack)
        settings = stack.enter_context(transported(settings, [plan], f"engine={settings.engine!r}"))
        plan = supplied(plan, Supply(settings))
        study = ScriptedStudy(prepared(plan, settings, fitting_reporter())[0], stack)
        failed.pop_all()
    return study


def script(
    path: str | os.PathLike[str],
    space: Space | None = None,
    /,
    *,
    results: str | Sequence[str] = (),
    workers: int = 0,
    seed: int | None = None,
    set: Mapping[str, Any] | None = None,
    output: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    into: str | os.PathLike[str] | None = None,
    engine: Any = None,
    check: bool = False,
    **axes: Any,
) -> Trajectory:
    r"""Explore a script as it is: it is executed once for each point, with some of its constants replaced.

    ``simkit.script("model.py", T=[1.0, 2.0], results=["m"])``. The numbers, texts, lists and the like that the
    script assigns once, outside of loops, conditions and functions, are parameters; any other name that it assigns
    so can be explored, too.

    Parameters
    ----------
    path
        The script.
    space
        The points, of names that the script assigns.
    results
        The globals to record as they are when the script ends; by default all that it assigns and that can be
        stored.
    workers, seed, set, output, fresh, into, engine, check
        As in `run`.
    **axes
        Names of the script with the values to explore; several are combined as by `product`.

    Returns
    -------
    Trajectory
        Named after the script.

    Raises
    ------
    SimkitError
        For a script that can't be read, and for a name that is no constant of it.

    Examples
    --------
    >>> from pathlib import Path
    >>> size = Path("model.py").write_text("rate = 0.5\nvalue = 1.0 + rate\n")
    >>> simkit.script("model.py", rate=[0.0, 1.0], results="value")["value"]
    array([1., 2.])
    """
    options = StudyOptions(workers, seed, output, fresh, into, engine)
    file = Path(path).absolute()
    points = product(**axes) if axes else None
    whole = points if space is None else space if points is None else space * points
    names = [results] if isinstance(results, str) else list(results)
    wanted = [*(whole.names if whole is not None else ()), *(set or {})]
    function = experiment_of(file, [name for name in wanted if name != TRIAL], names)
    plan, project = plan_of(function, whole, outside_of(set))
    settings = options.settings(project, f"simkit.script({str(path)!r})")
    return studied(with_code(plan, file), settings, check=check)
