"""From the command's arguments, or a function, to the plans of experiments and what follows them."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from simkit.collect import targets
from simkit.collect.captures import captures
from simkit.collect.code import graph_of, reached
from simkit.collect.companions import after_plans, strategy_plan
from simkit.collect.config import Outside, Settings, find_rootdir, load_settings
from simkit.collect.draws import generators, streams
from simkit.collect.effects import effects
from simkit.collect.fields import is_group
from simkit.collect.graph import NOTEBOOK
from simkit.collect.listener import named_in_code, read_on_import
from simkit.collect.modules import check_shared, load, simconfs
from simkit.collect.plan import Plan, Strategy, experiment_name, node_id, ordered, providers_of
from simkit.collect.problems import (
    check_result_names,
    check_vectorized,
    nearly_experiments,
    unused_outside,
)
from simkit.collect.resolve import Resolver
from simkit.collect.signatures import Level, every_field, imported, kind_of, levels, tagged
from simkit.collect.sources import sources
from simkit.collect.surroundings import suspicion
from simkit.collect.targets import Selector, Target, files
from simkit.declare.forms import atoms, times
from simkit.declare.space import Space, explore, outline
from simkit.declare.tags import Tag, tag_of
from simkit.errors import (
    NothingToRun,
    SimkitError,
    caller,
    did_you_mean,
    is_ours,
    listed,
    location,
    refused,
    shown_path,
    together,
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


@attrs.frozen(eq=False)
class Problem:
    """What could not be collected: a file, or an experiment by its node id, and the error."""

    where: str
    error: SimkitError


def collect(settings: Settings) -> tuple[list[Item], list[Problem]]:
    """Import the files, find the experiments and check each one's plan.

    A file or experiment that has a problem costs no others.

    Returns
    -------
    list of Item
        The experiments that can be run.
    list of Problem
        Every file or experiment that has a problem.

    Raises
    ------
    SimkitError
        With every problem, where nothing else is left.
    NothingToRun
        When there is no experiment.
    """
    with effects().collecting():
        return _collected(settings)


def _collected(settings: Settings) -> tuple[list[Item], list[Problem]]:
    candidates, hints, problems = _experiments(settings)
    chosen = [item for item in candidates if targets.matches(settings.keyword, item.node_id)]
    if not chosen and not problems:
        raise _nothing(settings, candidates, hints)
    items = _each(
        chosen,
        lambda item: Item(plan(item, settings), _runs(item, settings.targets)),
        lambda item: item.node_id,
        problems,
    )
    unused = _unused_outside(items, settings, is_whole=not problems)
    if unused is not None:  # something that could not be collected may use it
        items, problems = [], [*problems, *([] if problems else [Problem("", unused)])]
    if not items and problems:
        raise together([problem.error for problem in problems])
    return in_order(items), problems


def in_order(items: Sequence[Item]) -> list[Item]:
    """Experiments after those whose runs they need, else as they are.

    Raises
    ------
    SimkitError
        For a circle, with its files.
    """
    by_id = {item.plan.node_id: item for item in items}
    placed: dict[str, Item] = {}

    def place(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            ring = "\n    needs the runs of ".join([*above[above.index(name) :], name])
            msg = f"{ring}\n    break the circle: one of them must not ask for the next"
            raise SimkitError(msg)
        if name not in placed:
            for other in needed(by_id[name].plan, by_id):
                place(other, (*above, name))
            placed[name] = by_id[name]

    for name in by_id:
        place(name, ())
    return list(placed.values())


def needed(plan: Plan, known: Iterable[str]) -> list[str]:
    """The experiments among these, by node id, whose runs an experiment goes over or asks for."""
    nodes = [node for each in (plan, *plan.companions) for node in each.feeds.values()]
    feeds = [*plan.space.feeds.values(), *(node.value for node in nodes)]
    wanted = {
        feed.node_id
        if feed.experiment is None
        else node_id(candidate_of(feed.experiment)[0].path, feed.experiment, plan.rootdir)
        for feed in feeds
    } - {""}
    return [name for name in known if any(name == one or name.endswith(f"::{one}") for one in wanted)]


def _each(
    things: Iterable[Any], make: Callable[[Any], Any], where: Callable[[Any], str], problems: list[Problem]
) -> list[Any]:
    """Apply to all, and note all problems; what several stumble over is noted once."""
    made = []
    for thing in things:
        try:
            made.append(make(thing))
        except (SimkitError, OSError) as refusal:
            error = refusal if isinstance(refusal, SimkitError) else SimkitError(refused(refusal))
            if str(error) not in {str(problem.error) for problem in problems}:
                problems.append(Problem(where(thing), error))
    return made


def _experiments(settings: Settings) -> tuple[list[Candidate], list[str], list[Problem]]:
    rootdir, problems = settings.rootdir, list[Problem]()

    def closed(error: OSError) -> None:
        where = shown_path(Path(error.filename))
        words = f"{where}: {error.strerror}: what is in this folder is not collected\n    name the files that are meant"
        problems.append(Problem(where, SimkitError(words)))

    paths = files(settings.targets, settings.files, closed)
    modules = _each(paths, lambda path: (path, load(path, rootdir)), shown_path, problems)
    candidates = [
        Candidate(function, tag, path, module, node_id(path, function, rootdir))
        for path, module in modules
        for function, tag in tagged(module, "experiment")
    ]
    _each(modules, _check_tags, lambda pair: shown_path(pair[0]), problems)
    hints = [
        f"{shown_path(path)} imports {name!r}, which belongs to {origin}: name that file on the command line"
        for path, module in modules
        for name, origin in imported(module, "experiment").items()
    ]
    uses = Counter(item.node_id for item in candidates)
    candidates = [item for item in candidates if uses[item.node_id] == 1]
    return [item for item in candidates if _is_asked_for(item, settings.targets)], hints, problems


def _check_tags(pair: tuple[Path, ModuleType]) -> None:
    """A space on a function that is no experiment would be forgotten silently, and of one name there is one file."""
    _, module = pair
    first: dict[str, Any] = {}
    for function, _ in tagged(module, "experiment"):
        name = experiment_name(function)
        if first.setdefault(name, function) is not function:
            msg = (
                f"{location(function)}: a second experiment named {name!r} in this file; the first one is "
                f"{location(first[name])}\n    give one of them another name"
            )
            raise SimkitError(msg)
    wrong = [
        thing
        for thing in vars(module).values()
        if (tag := tag_of(thing)) is not None
        and tag.kind != "experiment"
        and tag.spaces
        and thing.__module__ == module.__name__
    ]
    if wrong:
        raise together(
            [
                SimkitError(
                    f"{location(thing)}: {thing.__name__} has a space but is no experiment: add @experiment"
                )
                for thing in wrong
            ]
        )


def _is_asked_for(item: Candidate, targets: Sequence[Target]) -> bool:
    return not targets or any(
        target.experiment in (None, experiment_name(item.function)) and _covers(target.path, item.path)
        for target in targets
    )


def _covers(target: Path, path: Path) -> bool:
    return path == target or (target.is_dir() and path.is_relative_to(target))


def _runs(item: Candidate, targets: Sequence[Target]) -> tuple[Selector, ...]:
    mine = [
        t
        for t in targets
        if _covers(t.path, item.path) and t.experiment in (None, experiment_name(item.function))
    ]
    return () if any(t.runs is None for t in mine) else tuple(t.runs for t in mine if t.runs)


def plan(candidate: Candidate, settings: Settings, *, imported: bool = True) -> Plan:
    """Resolve one experiment among the providers of its folder."""
    if effects().is_collecting:
        effects().put_in_place(candidate.path)
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
    declared = _declared(candidate.tag)
    space = settings.reshape(declared, lambda name: kind_of(name, candidate.function, inside))

    experiments = _visible(candidate, settings.rootdir, _fed(declared))

    def over(points: Space, *, asks: bool) -> Plan:
        dropped = {*declared.names} - {*points.names}
        resolver = Resolver(points, inside, settings.outside, experiments, dropped)
        made = _resolved(candidate, resolver, settings, imported=imported)
        made = attrs.evolve(made, over=lambda others: over(others, asks=asks))
        made = attrs.evolve(made, afters=after_plans(candidate.tag.afters, made, resolver))
        return attrs.evolve(made, strategy=_strategy(candidate.tag, made, resolver, over)) if asks else made

    asks = candidate.tag.strategy is not None and space is declared
    if asks:  # what nothing provides must be in each point that it asks for
        space = outline(Resolver(space, inside, settings.outside, experiments).unprovided(candidate.function))
    return over(space, asks=asks)


def _visible(candidate: Candidate, rootdir: Path, fed: Container[str]) -> dict[str, Callable[..., Any]]:
    """The other experiments that the module, or a simconf.py, defines or imports: their runs may be asked for by name.

    Parameters
    ----------
    fed
        Arguments that are runs of their own at each point: without these points they are nothing.
    """
    modules = [candidate.module, *(load(file, rootdir) for file in simconfs(candidate.path, rootdir))]
    things = {name: thing for module in reversed(modules) for name, thing in vars(module).items()}
    return {
        name: thing
        for name, thing in things.items()
        if (tag := tag_of(thing)) and tag.kind == "experiment" and thing is not candidate.function
        if name not in fed
    }


def _strategy(tag: Tag, made: Plan, resolver: Resolver, over: Callable[..., Plan]) -> Strategy | None:
    if tag.strategy is None:
        return None
    start = None if tag.start is None else made.rootdir / tag.start
    # What an adapter made stands where it is used.
    place = location(made.function if is_ours(tag.strategy.__code__.co_filename) else tag.strategy)
    chosen = strategy_plan(tag.strategy, made, resolver)
    return Strategy(chosen, lambda points: over(points, asks=True), place, start)


def _resolved(candidate: Candidate, resolver: Resolver, settings: Settings, *, imported: bool) -> Plan:
    """The plan of an experiment, what stands beside it left out."""
    rootdir, limits = settings.rootdir, candidate.tag.limits
    needs = resolver.experiment(candidate.function)
    nodes = ordered(needs, resolver.nodes)
    things = [candidate.function, *providers_of(nodes)]
    graph = graph_of(things, [candidate.path, *simconfs(candidate.path, rootdir)], rootdir)
    check_shared(graph, candidate.path)
    code = reached(graph, things)
    made = Plan(
        name=experiment_name(candidate.function),
        node_id=candidate.node_id,
        function=candidate.function,
        nodes=nodes,
        needs=needs,
        space=resolver.space,
        path=candidate.path,
        rootdir=rootdir,
        module=candidate.module.__name__,
        code=code.code,
        streams=streams(graph, code),
        suspicion=suspicion(graph, code),
        generators=generators(graph, code, things, candidate.path),
        captures=captures(graph, code, things, imported=imported),
        sources=sources(graph, things),
        readings={
            **named_in_code(graph, code.units),
            **(read_on_import(graph, code.units) if imported else {}),
        },
        limits=limits if settings.timeout is None else attrs.evolve(limits, timeout=settings.timeout),
        isolate=candidate.tag.isolate,
        chdir=candidate.tag.chdir,
        vectorized=candidate.tag.vectorized,
        compress=settings.compress if candidate.tag.compress is None else candidate.tag.compress,
    )
    check_result_names(made)
    check_vectorized(made)
    return made


def _declared(tag: Tag) -> Space:
    return Space(times(tag.spaces)) if tag.spaces else explore()


def _fed(declared: Space) -> set[str]:
    """The arguments that are runs of others at each declared point, as far as their files are there to tell.

    A file that is missing is said where its points are asked for: the command may have put others in their place.
    """
    names = set()
    for atom in atoms(declared.form):
        with suppress(SimkitError):
            names |= {feed.argument for feed in atom.feeds}
    return names


def _nothing(settings: Settings, candidates: Sequence[Candidate], hints: Sequence[str]) -> NothingToRun:
    if candidates and settings.keyword:
        ids = ", ".join(item.node_id for item in candidates[:20])
        return NothingToRun(f"-k {settings.keyword!r} matches none of: {ids}")
    for target in settings.targets:
        if target.experiment is not None:
            module = load(target.path, settings.rootdir)
            names = [experiment_name(function) for function, _ in tagged(module, "experiment")]
            return NothingToRun(
                f"{shown_path(target.path)} has no experiment {target.experiment!r}\n"
                f"    experiments there: {listed(target.experiment, names)}"
            )
    where = ", ".join(shown_path(t.path) for t in settings.targets) or shown_path(Path.cwd())
    patterns = ", ".join(settings.files)
    hints = hints or nearly_experiments(files(settings.targets, ["*.py"]), settings.files)
    begin = "decorate a function with @simkit.experiment in a file such as sim_first.py"
    hints = hints or [begin, "or begin with a small study: simkit --init"]
    return NothingToRun("\n    ".join([f"no experiment in {where} (files {patterns})", *hints]))


def _unused_outside(
    items: Sequence[Item], settings: Settings, *, is_whole: bool = True
) -> SimkitError | None:
    """A name from outside must mean something to one experiment at least.

    Parameters
    ----------
    is_whole
        Whether these are all experiments that were asked for; else others, which have problems, may use it.
    """
    used = [name for item in items for name in item.plan.names]
    groups = [
        name
        for item in items
        for plan in (item.plan, *item.plan.companions)
        for node in plan.nodes.values()
        if node.kind == "group" or (node.kind == "constant" and is_group(node.value))
        for name in every_field(node.name, node.make or node.value)
    ]
    for name, given in settings.outside.items():
        is_asked_for = given.source.startswith("--")
        if name not in used and (is_asked_for or not _is_used_elsewhere(name, settings, is_whole=is_whole)):
            experiments = [item.plan.name for item in items]
            return unused_outside(name, given.source, [*used, *groups], experiments)
    return None


def _is_used_elsewhere(name: str, settings: Settings, *, is_whole: bool) -> bool:
    """Whether code of the project has the word although what was collected does not use it."""
    if is_whole and not settings.targets and not settings.keyword and Path.cwd() == settings.rootdir:
        return False
    word = re.compile(rf"\b{re.escape(name.rpartition('.')[2])}\b")
    paths = files([Target(settings.rootdir)], ("*.py", "*.ipynb"))
    return any(word.search(path.read_text(encoding="utf-8", errors="replace")) for path in paths)


def candidate_of(function: Callable[..., Any]) -> tuple[Candidate, Settings]:
    """A function of a script, a notebook or any module as an experiment, and the project around it."""
    if not inspect.isfunction(function):
        msg = f"{caller()}: an experiment is a function, not {function!r}"
        raise SimkitError(msg)
    name = str(function.__module__)  # None where it was made by exec with names of its own
    module = sys.modules.get(name) or ModuleType(name)
    file = function.__globals__.get("__file__")
    path = Path(os.path.abspath(file)) if isinstance(file, str) else Path.cwd() / NOTEBOOK
    settings = load_settings(find_rootdir([path if path.exists() else Path.cwd()]))
    tag = tag_of(function) or Tag("experiment")
    return Candidate(function, tag, path, module, node_id(path, function, settings.rootdir)), settings


def plan_of(
    function: Callable[..., Any],
    space: Space | None,
    outside: Mapping[str, Outside],
    asks: Callable[..., Any] | None = None,
) -> tuple[Plan, Settings]:
    """The plan of a function of a script, a notebook or any module, and the settings of its project.

    Parameters
    ----------
    space
        Instead of the one that decorates the function.
    outside
        Values laid on top, after the project's ``[tool.simkit.parameters]``.
    asks
        Asks for the points instead of a space or the function's own strategy.
    """
    candidate, project = candidate_of(function)
    if asks is not None:
        candidate = attrs.evolve(
            candidate, tag=attrs.evolve(candidate.tag, spaces=(), strategy=asks, start=None)
        )
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
    unused = _unused_outside([Item(made)], attrs.evolve(project, targets=[Target(made.path)]))
    if unused is not None:
        raise unused
    return made, settings
