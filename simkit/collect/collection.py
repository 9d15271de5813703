"""From the command's arguments, or a function, to the plans of experiments and what follows them."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from simkit.collect import targets
from simkit.collect.captures import captures
from simkit.collect.code import graph_of, reached
from simkit.collect.config import Outside, Settings, find_rootdir, load_settings
from simkit.collect.draws import generators, streams
from simkit.collect.graph import NOTEBOOK
from simkit.collect.listener import read_on_import
from simkit.collect.modules import check_shared, load, simconfs
from simkit.collect.plan import Node, Plan, node_id, ordered, providers_of
from simkit.collect.problems import unused_outside
from simkit.collect.resolve import Resolver
from simkit.collect.signatures import Level, Requester, fields, imported, kind_of, levels, requests, tagged
from simkit.collect.sources import sources
from simkit.collect.targets import Selector, Target, files
from simkit.declare.forms import times
from simkit.declare.space import Space, explore
from simkit.declare.tags import Tag, tag_of
from simkit.errors import (
    NothingToRun,
    SimkitError,
    caller,
    did_you_mean,
    listed,
    location,
    paragraphs,
    shown_path,
)


@attrs.frozen(eq=False)
class Item:
    """One collected experiment, and which of its runs were asked for."""

    plan: Plan
    runs: tuple[Selector, ...] = ()


@attrs.frozen(eq=False)
class Candidate:
    """An experiment before its arguments are resolved."""

    function: Callable[..., Any]
    tag: Tag
    path: Path
    module: ModuleType
    node_id: str


def collect(settings: Settings) -> list[Item]:
    """Import the files, find the experiments and check each one's plan.

    Raises
    ------
    SimkitError
        With every file or experiment that has a problem; nothing runs until all are mended.
    NothingToRun
        When there is no experiment.
    """
    candidates, hints = _experiments(settings)
    chosen = [item for item in candidates if targets.matches(settings.keyword, item.node_id)]
    if not chosen:
        raise _nothing(settings, candidates, hints)
    items = _each(chosen, lambda item: Item(plan(item, settings), _runs(item, settings.targets)))
    _check_outside(items, settings)
    return items


def _each(things: Iterable[Any], make: Callable[[Any], Any]) -> list[Any]:
    """Apply to all, and raise all problems together."""
    made, problems = [], []
    for thing in things:
        try:
            made.append(make(thing))
        except SimkitError as problem:
            problems.append(problem)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise SimkitError("\n\n".join(map(str, problems)))
    return made


def _experiments(settings: Settings) -> tuple[list[Candidate], list[str]]:
    rootdir = settings.rootdir
    paths = files(settings.targets, settings.files, rootdir)
    modules = _each(paths, lambda path: (path, load(path, rootdir)))
    candidates = [
        Candidate(function, tag, path, module, node_id(path, function, rootdir))
        for path, module in modules
        for function, tag in tagged(module, "experiment")
    ]
    _check_spaces(modules)
    hints = [
        f"{shown_path(path)} imports {name!r}, which belongs to {origin}: name that file on the command line"
        for path, module in modules
        for name, origin in imported(module, "experiment").items()
    ]
    return [item for item in candidates if _is_asked_for(item, settings.targets)], hints


def _check_spaces(modules: Sequence[tuple[Path, ModuleType]]) -> None:
    """A space on a function that is no experiment would be forgotten silently."""
    for _, module in modules:
        for thing in vars(module).values():
            tag = tag_of(thing)
            if (
                tag is not None
                and tag.kind != "experiment"
                and tag.spaces
                and thing.__module__ == module.__name__
            ):
                msg = f"{location(thing)}: {thing.__name__} has a space but is no experiment: add @experiment"
                raise SimkitError(msg)


def _is_asked_for(item: Candidate, targets: Sequence[Target]) -> bool:
    return not targets or any(
        target.experiment in (None, item.function.__name__) and _covers(target.path, item.path)
        for target in targets
    )


def _covers(target: Path, path: Path) -> bool:
    full = Path(os.path.abspath(target))
    return path == full or (full.is_dir() and path.is_relative_to(full))


def _runs(item: Candidate, targets: Sequence[Target]) -> tuple[Selector, ...]:
    mine = [
        t for t in targets if _covers(t.path, item.path) and t.experiment in (None, item.function.__name__)
    ]
    return () if any(t.runs is None for t in mine) else tuple(t.runs for t in mine if t.runs)


def plan(candidate: Candidate, settings: Settings, *, imported: bool = True) -> Plan:
    """Resolve one experiment among the providers of its folder."""
    inside = levels(candidate.path, settings.rootdir, candidate.module)
    return resolve(candidate, inside, settings, imported=imported)


def resolve(
    candidate: Candidate, inside: Sequence[Level], settings: Settings, *, imported: bool = True
) -> Plan:
    """The plan of an experiment among these providers.

    Parameters
    ----------
    imported
        Whether the project's modules are as importing them left them.
    """
    rootdir, limits = settings.rootdir, candidate.tag.limits
    space = settings.reshape(_declared(candidate.tag), lambda name: kind_of(name, candidate.function, inside))
    resolver = Resolver(space, inside, settings.outside)
    needs = resolver.experiment(candidate.function)
    nodes = ordered(needs, resolver.nodes)
    things = [candidate.function, *providers_of(nodes)]
    graph = graph_of(things, [candidate.path, *simconfs(candidate.path, rootdir)], rootdir)
    check_shared(graph, candidate.path)
    code = reached(graph, things)
    made = Plan(
        name=candidate.function.__name__,
        node_id=candidate.node_id,
        function=candidate.function,
        nodes=nodes,
        needs=needs,
        space=space,
        path=candidate.path,
        rootdir=rootdir,
        module=candidate.module.__name__,
        code=code.code,
        streams=streams(graph, code),
        generators=generators(graph, code, things, candidate.path),
        captures=captures(graph, code, things, imported=imported),
        sources=sources(graph, things),
        readings=read_on_import(graph, code.units) if imported else {},
        limits=limits if settings.timeout is None else attrs.evolve(limits, timeout=settings.timeout),
        compress=settings.compress if candidate.tag.compress is None else candidate.tag.compress,
    )
    return attrs.evolve(made, afters=after_plans(candidate.tag.afters, made, resolver))


def _declared(tag: Tag) -> Space:
    return Space(times(tag.spaces)) if tag.spaces else explore()


def _nothing(settings: Settings, candidates: Sequence[Candidate], hints: Sequence[str]) -> NothingToRun:
    if candidates and settings.keyword:
        ids = ", ".join(item.node_id for item in candidates[:20])
        return NothingToRun(f"-k {settings.keyword!r} matches none of: {ids}")
    for target in settings.targets:
        if target.experiment is not None:
            module = load(target.path, settings.rootdir)
            names = [function.__name__ for function, _ in tagged(module, "experiment")]
            return NothingToRun(
                f"{target.path} has no experiment {target.experiment!r}\n"
                f"    experiments there: {listed(target.experiment, names)}"
            )
    where = ", ".join(shown_path(t.path) for t in settings.targets) or shown_path(settings.rootdir)
    patterns = ", ".join(settings.files)
    lines = [f"no experiment in {where} (files {patterns})", *hints]
    lines += ["" if hints else "decorate a function with @simkit.experiment in a file such as sim_first.py"]
    return NothingToRun("\n    ".join(line for line in lines if line))


def _check_outside(items: Sequence[Item], settings: Settings) -> None:
    """A name from outside must mean something to one experiment at least."""
    used = [name for item in items for name in item.plan.names]
    groups = [
        f"{node.name}.{name}"
        for item in items
        for plan in (item.plan, *item.plan.afters)
        for node in plan.nodes.values()
        if node.kind == "group"
        for name in fields(node.make)
    ]
    for name, given in settings.outside.items():
        if name not in used and (given.source.startswith("--") or not _is_used_elsewhere(name, settings)):
            experiments = [item.plan.name for item in items]
            raise unused_outside(name, given.source, [*used, *groups], experiments)


def _is_used_elsewhere(name: str, settings: Settings) -> bool:
    """Whether code of the project has the word although what was asked for does not use it."""
    if not settings.targets and not settings.keyword:
        return False
    word = re.compile(rf"\b{re.escape(name.rpartition('.')[2])}\b")
    paths = files([], ("*.py", "*.ipynb"), settings.rootdir)
    return any(word.search(path.read_text(encoding="utf-8", errors="replace")) for path in paths)


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
        path=path,
        module=function.__module__,
        code=code.code,
        streams=streams(graph, code),
        generators=generators(graph, code, things, plan.path),
    )


def _file(function: Callable[..., Any], plan: Plan) -> Path:
    path = Path(os.path.abspath(function.__code__.co_filename))
    return path if path.exists() else plan.path  # a cell of a notebook


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


def candidate_of(function: Callable[..., Any]) -> tuple[Candidate, Settings]:
    """A function of a script, a notebook or any module as an experiment, and the project around it."""
    if not inspect.isfunction(function):
        msg = f"{caller()}: an experiment is a function, not {function!r}"
        raise SimkitError(msg)
    module = sys.modules.get(function.__module__) or ModuleType(function.__module__)
    file = getattr(module, "__file__", None)
    path = Path(os.path.abspath(file)) if isinstance(file, str) else Path.cwd() / NOTEBOOK
    settings = load_settings(find_rootdir([path if path.exists() else Path.cwd()]))
    tag = tag_of(function) or Tag("experiment")
    return Candidate(function, tag, path, module, node_id(path, function, settings.rootdir)), settings


def plan_of(
    function: Callable[..., Any], space: Space | None, outside: Mapping[str, Outside]
) -> tuple[Plan, Settings]:
    """The plan of a function of a script, a notebook or any module, and the settings of its project.

    Parameters
    ----------
    space
        Instead of the one that decorates the function.
    outside
        Values laid on top, after the project's ``[tool.simkit.parameters]``.
    """
    candidate, project = candidate_of(function)
    if space is not None and not isinstance(space, Space):
        msg = f"{caller()}: a space is made by product(…) or explore(…): it is not {space!r}"
        raise SimkitError(msg)
    settings = attrs.evolve(
        project,
        outside={**project.outside, **outside},
        reshape=lambda declared, _: declared if space is None else space,
    )
    made = plan(candidate, settings, imported=False)
    unknown = next((name for name in outside if name not in made.names), None)
    if unknown is not None:
        used = ", ".join(made.parameters)
        what = f"{function.__name__} does not use {unknown!r}{did_you_mean(unknown, made.names)}"
        msg = f"{location(function)}: {what}\n    it uses: {used}"
        raise SimkitError(msg)
    _check_outside([Item(made)], attrs.evolve(project, targets=[Target(made.path)]))
    return made, settings
