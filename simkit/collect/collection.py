"""From the command's arguments to the plans of all experiments that they select."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from simkit.collect import keyword
from simkit.collect.after import after_plans
from simkit.collect.code import reachable
from simkit.collect.config import Config
from simkit.collect.kinds import kind_of
from simkit.collect.modules import load, simconfs
from simkit.collect.plan import Plan, node_id, ordered, providers_of
from simkit.collect.problems import unused_outside
from simkit.collect.providers import Level, imported, levels, tagged
from simkit.collect.requests import fields
from simkit.collect.resolve import Outside, Resolver
from simkit.collect.sources import sources
from simkit.collect.streams import global_streams
from simkit.collect.targets import Runs, Target, files
from simkit.declare.space import Space, explore
from simkit.declare.tags import Tag, tag_of
from simkit.errors import NothingToRun, SimkitError, listed, location, shown_path

KindOf = Callable[[str], Any]
Reshape = Callable[[Space, KindOf], Space]


@attrs.frozen
class Request:
    """What to collect.

    Attributes
    ----------
    targets
        Paths and node ids; none means the rootdir.
    keyword
        As ``-k``.
    outside
        Values laid on top, by name; the last source wins.
    reshape
        What the options ``--product``, ``--explore``, ``--repeat`` make of a declared space, given the
        type that each name expects.
    timeout
        Seconds that a run may take, whatever its experiment says.
    """

    targets: Sequence[Target] = ()
    keyword: str = ""
    outside: Mapping[str, Outside] = attrs.field(factory=dict)
    reshape: Reshape = lambda space, kind_of: space
    timeout: float | None = None


@attrs.frozen(eq=False)
class Item:
    """One collected experiment, and which of its runs were asked for."""

    plan: Plan
    runs: tuple[Runs, ...] = ()


@attrs.frozen(eq=False)
class Found:
    """An experiment before its arguments are resolved."""

    function: Callable[..., Any]
    tag: Tag
    path: Path
    module: ModuleType
    node_id: str


def collect(config: Config, request: Request) -> list[Item]:
    """Import the files, find the experiments and check each one's plan.

    Raises
    ------
    SimkitError
        With every file or experiment that has a problem; nothing runs until all are mended.
    NothingToRun
        When there is no experiment.
    """
    found, hints = _experiments(config, request)
    chosen = [item for item in found if targets.matches(request.keyword, item.node_id)]
    if not chosen:
        raise _nothing(config, request, found, hints)
    items = _each(chosen, lambda item: Item(plan(item, config, request), _runs(item, request.targets)))
    _check_outside(items, request.outside)
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


def _experiments(config: Config, request: Request) -> tuple[list[Found], list[str]]:
    paths = files(request.targets, config.files, config.rootdir)
    modules = _each(paths, lambda path: (path, load(path, config.rootdir)))
    found = [
        Found(function, tag, path, module, node_id(path, function, config.rootdir))
        for path, module in modules
        for function, tag in tagged(module, "experiment")
    ]
    _check_spaces(modules)
    hints = [
        f"{shown_path(path)} imports {name!r}, which belongs to {origin}: name that file on the command line"
        for path, module in modules
        for name, origin in imported(module, "experiment").items()
    ]
    return [item for item in found if _is_asked_for(item, request.targets)], hints


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


def _is_asked_for(item: Found, targets: Sequence[Target]) -> bool:
    return not targets or any(
        target.experiment in (None, item.function.__name__) and _covers(target.path, item.path)
        for target in targets
    )


def _covers(target: Path, path: Path) -> bool:
    full = Path(os.path.abspath(target))
    return path == full or (full.is_dir() and path.is_relative_to(full))


def _runs(item: Found, targets: Sequence[Target]) -> tuple[Runs, ...]:
    mine = [
        t for t in targets if _covers(t.path, item.path) and t.experiment in (None, item.function.__name__)
    ]
    return () if any(t.runs is None for t in mine) else tuple(t.runs for t in mine if t.runs)


def plan(found: Found, config: Config, request: Request) -> Plan:
    """Resolve one experiment."""
    inside = levels(found.path, config.rootdir, found.module)
    return resolve(found, inside, request, config.rootdir, compress=config.compress)


def resolve(
    found: Found, inside: Sequence[Level], request: Request, rootdir: Path, *, compress: bool
) -> Plan:
    """The plan of an experiment among these providers."""
    space = request.reshape(_declared(found.tag), lambda name: kind_of(name, found.function, inside))
    resolver = Resolver(space, inside, request.outside)
    needs = resolver.experiment(found.function)
    nodes = ordered(needs, resolver.nodes)
    things = [found.function, *providers_of(nodes)]
    code = reachable(things, rootdir)
    starts = [found.path, *simconfs(found.path, rootdir)]
    made = Plan(
        name=found.function.__name__,
        node_id=found.node_id,
        function=found.function,
        nodes=nodes,
        needs=needs,
        space=space,
        path=found.path,
        rootdir=rootdir,
        module=found.module.__name__,
        code=code,
        streams=global_streams(code, rootdir),
        sources=sources(things, starts, rootdir),
        limits=found.tag.limits
        if request.timeout is None
        else attrs.evolve(found.tag.limits, timeout=request.timeout),
        compress=compress if found.tag.compress is None else found.tag.compress,
    )
    return attrs.evolve(made, afters=after_plans(found.tag.afters, made, resolver))


def _declared(tag: Tag) -> Space:
    space = tag.spaces[0] if tag.spaces else explore()
    for inner in tag.spaces[1:]:
        space = space * inner
    return space


def _nothing(config: Config, request: Request, found: Sequence[Found], hints: Sequence[str]) -> NothingToRun:
    if found and request.keyword:
        ids = ", ".join(item.node_id for item in found[:20])
        return NothingToRun(f"-k {request.keyword!r} matches none of: {ids}")
    for target in request.targets:
        if target.experiment is not None:
            module = load(target.path, config.rootdir)
            names = [function.__name__ for function, _ in tagged(module, "experiment")]
            return NothingToRun(
                f"{target.path} has no experiment {target.experiment!r}\n"
                f"    experiments there: {listed(target.experiment, names)}"
            )
    where = ", ".join(shown_path(t.path) for t in request.targets) or shown_path(config.rootdir)
    patterns = ", ".join(config.files)
    lines = [f"no experiment in {where} (files {patterns})", *hints]
    lines += ["" if hints else "decorate a function with @simkit.experiment in a file such as sim_first.py"]
    return NothingToRun("\n    ".join(line for line in lines if line))


def _check_outside(items: Sequence[Item], outside: Mapping[str, Outside]) -> None:
    """A name given on the command line must mean something to one experiment at least."""
    used = [name for item in items for name in item.plan.names]
    groups = [
        f"{node.name}.{name}"
        for item in items
        for plan in (item.plan, *item.plan.afters)
        for node in plan.nodes.values()
        if node.kind == "group"
        for name in fields(node.make)
    ]
    for name, given in outside.items():
        if given.source.startswith("--") and name not in used:
            experiments = [item.plan.name for item in items]
            raise unused_outside(name, given.source, [*used, *groups], experiments)
