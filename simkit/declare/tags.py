"""The decorators: they tag a function or class and return it unchanged."""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar, dataclass_transform, overload

import attrs

from simkit.declare.forms import Form
from simkit.declare.reflection import is_a, own_attributes, shown
from simkit.errors import SimkitError, caller, location

_SECONDS = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_BYTES = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}


@attrs.frozen
class Limits:
    """An experiment's limits.

    Attributes
    ----------
    timeout
        Seconds that a run may take; None is no limit.
    retries
        How often a run that is not done is tried again.
    memory
        Bytes of address space that a worker may have.
    nice
        How much a worker lowers its priority.
    """

    timeout: float | None = None
    retries: int = 0
    memory: int | None = None
    nice: int = 0


def seconds(value: Any, where: str) -> float:
    """``"10min"``, ``"1.5 h"``, ``90`` as seconds."""
    return _quantity(value, _SECONDS, f"{where}: write a duration as 90, '90s', '10min' or '2h'")


def nbytes(value: Any, where: str) -> int:
    """``"4 GB"``, ``"500 MB"``, ``1_000_000`` as bytes."""
    return int(_quantity(value, _BYTES, f"{where}: write an amount of memory as '500 MB' or '4 GB'"))


def _quantity(value: Any, units: dict[str, int], problem: str) -> float:
    match = re.fullmatch(r"\s*([0-9_]*\.?[0-9]+(?:e[0-9]+)?)\s*([a-z]*)\s*", str(value).lower())
    if isinstance(value, bool) or match is None or match[2] not in units or float(match[1]) <= 0:
        msg = f"{problem}, not {value!r}"
        raise SimkitError(msg)
    return float(match[1]) * units[match[2]]


def limits(timeout: Any, retries: Any, memory: Any, nice: Any, where: str) -> Limits:
    """The checked limits of an experiment."""
    for name, number in (("retries", retries), ("nice", nice)):
        if type(number) is not int or number < 0:
            msg = f"{where}: {name}={number!r}: give a whole number from 0 on"
            raise SimkitError(msg)
    return Limits(
        None if timeout is None else seconds(timeout, f"{where}: timeout={timeout!r}"),
        retries,
        None if memory is None else nbytes(memory, f"{where}: memory={memory!r}"),
        nice,
    )


T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
Kind = Literal["experiment", "parameter", "fixture", "after"]
Scope = Literal["run", "experiment"]


_ATTRIBUTE = "__simkit__"


@attrs.frozen
class Tag:
    """What the decorators said about one object."""

    kind: Kind | None = None
    name: str | None = None
    scope: Scope = "run"
    spaces: tuple[Form, ...] = ()  # of the stacked decorators, the slowest first
    limits: Limits = Limits()
    compress: bool | None = None
    isolate: bool = False
    chdir: bool = False
    vectorized: int | None = None  # how many runs a call computes at most, 0 as many as pays; None is one
    afters: tuple[Callable[..., Any], ...] = ()  # of an experiment: what follows it
    follows: tuple[Callable[..., Any], ...] = ()  # of an after: what it follows
    is_report: bool = False  # of an after: what it returns is called as the function is
    strategy: Callable[..., Any] | None = None  # of an experiment: what chooses its points
    start: str | None = None  # the trajectory that the strategy learns from first

    def __reduce__(self) -> Any:
        """The points, and what stands beside an experiment, are the owner's: workers never get to see them."""
        left = attrs.evolve(self, spaces=(), afters=(), follows=(), strategy=None)
        kept = attrs.asdict(left, recurse=False)
        return _remade, (kept,)


def _remade(fields: dict[str, Any]) -> Tag:
    return Tag(**fields)


def tag_of(thing: Any) -> Tag | None:
    """The tag of a function or class; a subclass does not inherit one."""
    tag = own_attributes(thing).get(_ATTRIBUTE)
    return tag if type(tag) is Tag else None


def mark(thing: Any, **changes: Any) -> None:
    """Change what an object's tag says; it can be of one kind only."""
    tag = tag_of(thing) or Tag()
    kind = changes.get("kind")
    if tag.kind is not None and kind is not None:
        msg = f"{location(thing)}: {thing.__name__} is tagged as {tag.kind} and as {kind}: it can be one of them"
        raise SimkitError(msg)
    if kind is not None:
        _check_alone(thing)
    setattr(thing, _ATTRIBUTE, attrs.evolve(tag, **changes))


def _check_alone(thing: Any) -> None:
    """Of two things of one name in a file only the last can be found.

    A cell of a notebook, or a module that is imported anew, may define what it defined before.
    """
    module = sys.modules.get(thing.__module__)
    names = getattr(thing, "__globals__", None) or (vars(module) if module is not None else {})
    other = names.get(thing.__name__)
    is_other = other is not None and other is not thing and tag_of(other) is not None
    if not is_other or thing.__qualname__ != thing.__name__:
        return
    try:
        with open(names.get("__file__") or "", encoding="utf-8") as file:
            tree = ast.parse(file.read())
    except (OSError, TypeError, ValueError, SyntaxError):
        return
    lines = [line for line, name in _definitions(tree) if name == thing.__name__]
    if len(lines) > 1:
        msg = (
            f"{location(thing)}: a second {thing.__name__} in this file, so that the one of line {lines[0]} "
            "would be forgotten\n    give one of them another name"
        )
        raise SimkitError(msg)


def _definitions(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The functions and classes that a file defines at its top level, with their lines."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield child.lineno, child.name
        else:
            yield from _definitions(child)


def follow(function: Any, experiment: Any) -> None:
    """Let a function follow an experiment; a cell of a notebook that is run again replaces what it defined."""
    tag = tag_of(function) or Tag()
    kind = {} if tag.kind == "after" else {"kind": "after"}  # it may follow several
    mark(function, **kind, follows=(*tag.follows, experiment))
    experiment_tag = tag_of(experiment) or Tag("experiment")
    others = [other for other in experiment_tag.afters if not _replaces(function, other)]
    mark(experiment, afters=(*others, function))


def _replaces(function: Any, other: Any) -> bool:
    if (function.__module__, function.__qualname__) != (other.__module__, other.__qualname__):
        return False
    one, before = function.__code__, other.__code__
    same_file = one.co_filename == before.co_filename and os.path.exists(one.co_filename)
    return not same_file or one.co_firstlineno == before.co_firstlineno


@overload
def experiment(function: F, /) -> F: ...
@overload
def experiment(
    *,
    name: str | None = None,
    timeout: str | float | None = None,
    retries: int = 0,
    memory: str | int | None = None,
    nice: int = 0,
    compress: bool | None = None,
    isolate: bool = False,
    chdir: bool = False,
    vectorized: bool | int = False,
) -> Callable[[F], F]: ...
def experiment(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    timeout: str | float | None = None,
    retries: int = 0,
    memory: str | int | None = None,
    nice: int = 0,
    compress: bool | None = None,
    isolate: bool = False,
    chdir: bool = False,
    vectorized: bool | int = False,
) -> Any:
    """Mark a function as an experiment: ``simkit`` finds it and runs it at every point of its space.

    Its arguments are injected by name, its return value is recorded: one result per key of a mapping (or
    field of a NamedTuple, attrs class or dataclass), otherwise one result named ``result``. The function
    itself is returned unchanged.

    Parameters
    ----------
    function
        The function, where the decorator stands alone: ``@experiment``.
    name
        What the experiment, and so its trajectories, are called, if not as the function is.
    timeout
        How long a run may take, in seconds or as ``"10min"``; a longer one is stopped and recorded as
        ``timeout``. Needs a worker process.
    retries
        How often a run that is not done is tried again, with the same random numbers.
    memory
        How much memory a worker may use, in bytes or as ``"4 GB"``.
    nice
        How much workers lower their priority (Unix).
    compress
        Whether arrays of 4 kB and more are compressed (shuffle and gzip, in the worker); by default as
        ``[tool.simkit] compress`` says. Arrays that do not shrink are kept as they are.
    isolate
        Whether each run has a fresh process: for code that keeps something from one call to the next which
        can't be put back. Needs a worker process.
    chdir
        Whether each run has its ``workdir`` as the working directory: for codes that write files of fixed names.
    vectorized
        Whether one call computes many runs: what differs between them arrives as arrays, and results are arrays,
        the runs first in both. A number says how many runs a call has at most. Limits hold for the call.

    Returns
    -------
    callable
        The function itself, or with arguments the decorator.

    Raises
    ------
    SimkitError
        For a method, a generator, a coroutine or what is no function, and for a limit that is none.

    Examples
    --------
    >>> @experiment(timeout="10min", retries=1)
    ... @product(x=[1.0, 2.0])
    ... def square(x: float, offset: float = 0.0):
    ...     return {"y": x**2 + offset}
    >>> square(3.0)
    {'y': 9.0}
    >>> simkit.run(square)["y"]
    array([1., 4.])
    """
    if function is None:
        allowed = limits(timeout, retries, memory, nice, caller())
        if compress is not None and not isinstance(compress, bool):
            msg = f"{caller()}: compress={compress!r}: give True or False"
            raise SimkitError(msg)
        if name is not None and not (isinstance(name, str) and name.isidentifier()):
            raise SimkitError(f"{caller()}: name={name!r}: give a name of letters, digits and _")
        for word, flag in (("isolate", isolate), ("chdir", chdir)):
            if not isinstance(flag, bool):
                msg = f"{caller()}: {word}={flag!r}: give True or False"
                raise SimkitError(msg)
        together = _together(vectorized, {"isolate": isolate, "chdir": chdir})
        return lambda f: _experiment(
            f, name=name, limits=allowed, compress=compress, isolate=isolate, chdir=chdir, vectorized=together
        )
    return _experiment(function)


def _together(vectorized: Any, single: Mapping[str, bool]) -> int | None:
    """How many runs one call computes at most, as `Tag` has it."""
    if not isinstance(vectorized, int) or (vectorized < 1 and vectorized is not False):
        msg = f"{caller()}: vectorized={vectorized!r}: give True, or how many runs a call may have at most"
        raise SimkitError(msg)
    if vectorized is False:
        return None
    clash = next((name for name, flag in single.items() if flag), None)
    if clash is not None:
        msg = (
            f"{caller()}: {clash}=True is for each run by itself, and with vectorized={vectorized!r} one call "
            "computes many\n    leave out one of them"
        )
        raise SimkitError(msg)
    return 0 if vectorized is True else vectorized


def _experiment(function: Any, **said: Any) -> Any:
    if not inspect.isfunction(function):
        msg = f"{caller()}: @experiment marks a function, not {function!r}"
        raise SimkitError(msg)
    owner = function.__qualname__.rpartition(".")[0]
    if owner and not owner.endswith("<locals>"):
        msg = f"{location(function)}: {function.__name__} is a method of class {owner}: an experiment is a function"
        raise SimkitError(msg)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        msg = f"{location(function)}: experiment {function.__name__} must return its results, not yield or await"
        raise SimkitError(msg)
    mark(function, kind="experiment", **said)
    return function


@overload
def fixture(function: F, /) -> F: ...
@overload
def fixture(*, name: str | None = None, scope: Scope = "run") -> Callable[[F], F]: ...
def fixture(function: Any = None, /, *, name: str | None = None, scope: Scope = "run") -> Any:
    """Mark a function that provides any object by name; it is never recorded.

    Parameters
    ----------
    function
        The function, where the decorator stands alone: ``@fixture``.
    name
        What it provides, if not the function's own name.
    scope
        ``"run"``: made for every run. ``"experiment"``: made once per worker and shared by its runs;
        it may not need ``run``, ``workdir`` or anything explored. After a ``yield`` it tears down.

    Returns
    -------
    callable
        The function itself, or with arguments the decorator.

    Raises
    ------
    SimkitError
        For what is no function, and for another scope.

    Examples
    --------
    >>> @fixture(scope="experiment")
    ... def table():
    ...     file = open("sim_multiply.py")
    ...     yield file.read().splitlines()
    ...     file.close()
    """
    if function is None:
        return lambda f: _fixture(f, name, scope)
    return _fixture(function, name, scope)


def _fixture(function: Any, name: str | None, scope: Scope) -> Any:
    if not inspect.isfunction(function):
        msg = f"{caller()}: @fixture marks a function, not {function!r}"
        raise SimkitError(msg)
    if not (is_a(scope, str) and scope in ("run", "experiment")):
        msg = f"{location(function)}: fixture scope {shown(scope)}: choose 'run' or 'experiment'"
        raise SimkitError(msg)
    _check_name(name)
    mark(function, kind="fixture", name=name or function.__name__, scope=scope)
    return function


@overload
@dataclass_transform(frozen_default=True, kw_only_default=True)
def parameter(thing: T, /) -> T: ...
@overload
@dataclass_transform(frozen_default=True, kw_only_default=True)
def parameter(*, name: str | None = None) -> Callable[[T], T]: ...
def parameter(thing: Any = None, /, *, name: str | None = None) -> Any:
    """Mark a provider of a recorded value.

    A function computes a derived parameter from its arguments: once, or per run if it depends on
    something explored. A class is a group: it becomes a frozen, keyword-only attrs class in place, and
    provides its name in snake case (``LIFNeuron`` provides ``lif_neuron``).

    Parameters
    ----------
    thing
        The function or class, where the decorator stands alone: ``@parameter``.
    name
        What it provides, if not that.

    Returns
    -------
    callable or type
        The function itself, or the class as an attrs class; with arguments the decorator.

    Raises
    ------
    SimkitError
        For a generator or what is neither function nor class, and for a field without an annotation.

    Examples
    --------
    >>> @parameter
    ... class Cell:
    ...     tau: float = 20.0
    >>> @parameter
    ... def dt(cell):
    ...     return cell.tau / 100
    >>> Cell(tau=10.0)
    Cell(tau=10.0)
    """
    if thing is None:
        return lambda t: _parameter(t, name)
    return _parameter(thing, name)


def _check_name(name: Any) -> None:
    if name is not None and not is_a(name, str):
        raise SimkitError(f"{caller()}: name={shown(name)}: give a name as text")


def _parameter(thing: Any, name: str | None) -> Any:
    _check_name(name)
    if inspect.isclass(thing):
        if "__attrs_attrs__" not in vars(thing):
            _check_fields(thing)
            thing = attrs.define(thing, frozen=True, kw_only=True, slots=False)
        mark(thing, kind="parameter", name=name or snake_case(thing.__name__))
        return thing
    if not inspect.isfunction(thing) or inspect.isgeneratorfunction(thing):
        msg = f"{caller()}: @parameter marks a function that returns a value, or a class, not {thing!r}"
        raise SimkitError(msg)
    mark(thing, kind="parameter", name=name or thing.__name__)
    return thing


def _check_fields(group: type) -> None:
    annotated = vars(group).get("__annotations__") or inspect.get_annotations(group)
    for name, value in vars(group).items():
        plain = not (name.startswith("__") or callable(value) or hasattr(value, "__get__"))
        if plain and name not in annotated:
            kind = type(value).__name__
            msg = (
                f"{location(group)}: {group.__name__}.{name} has no annotation, so it would not be a parameter\n"
                f"    write {name}: {kind} = {value!r}"
            )
            raise SimkitError(msg)


def snake_case(name: str) -> str:
    """``LIFNeuron`` → ``lif_neuron``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


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

    Returns
    -------
    callable
        The decorator.

    Raises
    ------
    SimkitError
        When that is no experiment, or what is decorated is no plain function.

    Examples
    --------
    >>> @experiment
    ... @product(x=[1.0, 2.0])
    ... def square(x):
    ...     return {"y": x**2}
    >>> @after(square)
    ... def mean(trajectory):
    ...     return {"mean": trajectory["y"].mean()}
    >>> simkit.run(square).summary.mean
    np.float64(2.5)
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


def report(experiment: Callable[..., Any], /) -> Callable[[F], F]:
    """Mark a function whose figures, tables or texts belong to the report of an experiment.

    It is called as one marked with `after`. What it returns is kept in ``traj.summary`` under the function's
    name: a figure of matplotlib's or Bokeh's (as it looks), a DataFrame, a text, or a mapping of several, each
    under its own name. ``simkit report`` and ``simkit serve`` show it.

    Parameters
    ----------
    experiment
        The experiment that it is about, as in ``@report(multiply)``.

    Returns
    -------
    callable
        The decorator.

    Raises
    ------
    SimkitError
        As `after` does.

    Examples
    --------
    >>> @experiment
    ... @product(x=[1.0, 2.0])
    ... def square(x):
    ...     return {"y": x**2}
    >>> @report(square)
    ... def largest(trajectory):
    ...     return f"The largest y is {trajectory['y'].max()}."
    >>> simkit.run(square).summary.largest
    'The largest y is 4.0.'
    """
    follows = after(experiment)

    def marked(function: F) -> F:
        follows(function)
        mark(function, is_report=True)
        return function

    return marked


def _check(function: Any) -> None:
    if not inspect.isfunction(function):
        msg = f"{caller()}: @after marks a function, not {function!r}"
        raise SimkitError(msg)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        msg = f"{location(function)}: after {function.__name__} must return its results, not yield or await"
        raise SimkitError(msg)
