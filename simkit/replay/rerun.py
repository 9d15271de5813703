"""Recorded runs executed again, with their own parameters and the present code."""

from __future__ import annotations

import ast
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import numpy as np

from simkit.collect.collection import Candidate, candidate_of, resolve
from simkit.collect.config import Outside, Settings, find_rootdir, is_below
from simkit.collect.effects import effects
from simkit.collect.modules import load
from simkit.collect.plan import Plan, experiment_name, given_by_code
from simkit.collect.program import experiment_of, is_recorded_script, with_code
from simkit.collect.signatures import Level, Provider, levels, tagged
from simkit.declare.forms import TRIAL, Array, Index, Subset, Values, Zip
from simkit.declare.space import Space
from simkit.declare.tags import Tag, tag_of
from simkit.errors import SimkitError, listed, shown_path
from simkit.execute.agenda import Worklist
from simkit.execute.engine import Engine, Here, processes
from simkit.execute.job import Job
from simkit.inject.injector import OnError
from simkit.inject.provide import Constant, constants, reserved, shared_values
from simkit.inject.seeds import run_seeds
from simkit.record.facts import read_stops
from simkit.record.format import STREAM
from simkit.record.recorded import Recorded
from simkit.record.upstream import confirm, feeds_of, recorded_openers, recorded_places
from simkit.resume.points import recorded_values
from simkit.values.batch import Batch, Checkpoint, RunReport
from simkit.values.compare import keys, same
from simkit.values.decode import ABSENT


@attrs.frozen(eq=False)
class PresentCode:
    """An experiment as it stands now, and the providers around it."""

    candidate: Candidate
    rootdir: Path
    levels: Sequence[Level]

    @property
    def name(self) -> str:
        """The experiment's name."""
        return str(self.candidate.function.__name__)


def source_of(recorded: Recorded, function: Callable[..., Any] | None = None) -> PresentCode:
    """The experiment of a trajectory: the given function, or the one that its node id names.

    Raises
    ------
    SimkitError
        When its file or the function in it is not there any more, or importing the file would run the study.
    """
    node_id = str(recorded.attributes["node_id"])
    file, _, name = node_id.partition("::")
    if function is None:
        function = _in_main(_path(recorded, file), name) or _script(recorded, _path(recorded, file))
    if function is not None:
        candidate, project = candidate_of(function)
        inside = levels(candidate.path, project.rootdir, candidate.module)
        return PresentCode(candidate, project.rootdir, inside)
    path = _path(recorded, file)
    if path is None:
        raise _no_file(recorded, file, name)
    _check_import(path)
    rootdir = _rootdir(path, file)
    with effects().collecting():
        module = load(path, rootdir)
    effects().put_in_place(path)
    function = _named(module, name)
    if function is None:
        names = [experiment_name(experiment) for experiment, _ in tagged(module, "experiment")]
        msg = f"{shown_path(path)} has no experiment {name!r} any more\n    experiments there: {listed(name, names)}"
        raise SimkitError(msg)
    tag = tag_of(function) or Tag("experiment")
    candidate = Candidate(function, tag, path, module, node_id)
    return PresentCode(candidate, rootdir, levels(path, rootdir, module))


def _script(recorded: Recorded, path: Path | None) -> Callable[..., Any] | None:
    """The script as it stands now, where one was recorded by `simkit.script`."""
    if path is None or not is_recorded_script(str(recorded.attributes["node_id"]), recorded.code):
        return None
    names = recorded.names("parameters")
    wanted = [n for n in names if n in recorded.explored or _is_given(recorded, n)]
    results = dict.fromkeys(name.partition(".")[0] for name in recorded.names("results"))
    return experiment_of(path, [name for name in wanted if name != TRIAL], [*results])


def _in_main(path: Path | None, name: str) -> Callable[..., Any] | None:
    """The function of this very script or notebook, where that is what recorded the trajectory."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    is_here = path is None if file is None else path is not None and Path(os.path.abspath(file)) == path
    return _named(main, name) if is_here else None


def _named(module: ModuleType, name: str) -> Callable[..., Any] | None:
    """The experiment of this name in a module, or a function that `simkit.run` was called with."""
    function = getattr(module, name, None)
    named = [each for each, _ in tagged(module, "experiment") if experiment_name(each) == name]
    if named:
        return named[0]  # type: ignore[no-any-return]
    return function if inspect.isfunction(function) else None


def _path(recorded: Recorded, file: str) -> Path | None:
    """The file of a node id: below the rootdir of where we are, or of where the trajectory lies.

    An absolute path, or one that leads upwards, counts only where it is the script or notebook that asks: whoever
    made the file shall not choose what is imported here.
    """
    if not is_below(file):
        main = getattr(sys.modules["__main__"], "__file__", None)
        return Path(file) if main is not None and os.path.abspath(main) == file else None
    folders = [find_rootdir([]), find_rootdir([recorded.path]), *recorded.path.parents]
    return next((folder / file for folder in folders if (folder / file).is_file()), None)


def _rootdir(path: Path, file: str) -> Path:
    return path.parents[len(Path(file).parts) - 1] if not Path(file).is_absolute() else find_rootdir([path])


def _no_file(recorded: Recorded, file: str, name: str) -> SimkitError:
    where = shown_path(recorded.path)
    if file.endswith(".py") and not is_below(file):
        return SimkitError(
            f"{where}: its code is in {file!r}, outside of any project, and is not imported from there unasked\n"
            f"    in Python, call traj.replay(run, {name}) with the function"
        )
    if not file.endswith(".py"):
        return SimkitError(
            f"{where}: {name!r} was defined in a notebook or typed in, where it can't be found from here\n"
            f"    there, call traj.replay(run), or traj.replay(run, {name})"
        )
    return SimkitError(
        f"{where}: its code {file} is not below {shown_path(find_rootdir([]))}\n"
        "    go to the project's folder, or put the file back (simkit restore writes the recorded code)"
    )


def _check_import(path: Path) -> None:
    """A script that runs its study when it is imported can't be asked for its functions."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return  # importing it tells what is wrong
    line = next((call.lineno for call in _calls(tree.body) if _runs_a_study(call, tree)), None)
    if line is not None:
        msg = (
            f"{shown_path(path)}:{line}: importing this file would run its study\n"
            '    put that under `if __name__ == "__main__":`, or call traj.replay(run) in the script itself'
        )
        raise SimkitError(msg)


def _calls(statements: Sequence[ast.AST]) -> Iterator[ast.Call]:
    """The calls that importing makes: not those in functions, or below ``if __name__ == …``."""
    for statement in statements:
        guarded = isinstance(statement, ast.If) and "__name__" in ast.dump(statement.test)
        if guarded or isinstance(
            statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        ):
            continue
        if isinstance(statement, ast.Call):
            yield statement
        yield from _calls(list(ast.iter_child_nodes(statement)))


def _runs_a_study(call: ast.Call, tree: ast.Module) -> bool:
    """Whether it calls ``simkit.run`` or ``simkit.start``, by whatever name they were imported."""
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    modules = {
        a.asname or a.name
        for i in imports
        if isinstance(i, ast.Import)
        for a in i.names
        if a.name == "simkit"
    }
    names = {
        a.asname or a.name
        for i in imports
        if isinstance(i, ast.ImportFrom) and i.module == "simkit"
        for a in i.names
        if a.name in ("run", "start")
    }
    match call.func:
        case ast.Attribute(value=ast.Name(id=module), attr="run" | "start"):
            return module in modules
        case ast.Name(id=name):
            return name in names
    return False


@attrs.frozen(eq=False)
class Rerun:
    """An experiment whose runs are executed again.

    Attributes
    ----------
    outside
        What was laid on top of the code's values to make the plan.
    shared
        The parameters that do not vary, by node key.
    seeds
        By run number, where the runs' seeds do not derive from the root seed: merged runs bring their own.
    stops
        The step at which runs were told to stop, by run number.
    """

    plan: Plan
    root: int
    outside: Mapping[str, Outside]
    shared: Mapping[str, Any]
    seeds: Array | None
    stops: Mapping[int, int] = attrs.field(factory=dict)

    @classmethod
    def of(
        cls, plan: Plan, root: int, outside: Mapping[str, Outside], seeds: Array | None = None,
        stops: Mapping[int, int] | None = None,
    ) -> Rerun:  # fmt: skip
        """Compute what the runs share.

        Raises
        ------
        ProviderFailed
            When that fails.
        """
        return cls(plan, root, outside, shared_values(plan, root), seeds, stops or {})

    def constants(self) -> dict[str, Constant]:
        """The recorded form of what the runs share, by name."""
        return constants(self.plan, self.shared)

    def batches(self, runs: Index, workers: int = 0, on_error: OnError | None = None) -> Iterator[Batch]:
        """Batches of executed runs, as they come.

        Parameters
        ----------
        workers
            Supervised processes; 0 executes in this one.
        on_error
            Called with each exception, in this process.

        Raises
        ------
        KeyboardInterrupt
            On Ctrl-C, also within a run.
        SimkitError
            When a worker can't start, or a fixture fails when it is torn down.
        """
        plan, count = self.plan, min(workers, len(runs))
        job = Job(plan, self.root, self.shared, reserved(plan, self.constants()), self.outside, self.seeds)
        engine: Engine = processes(job, count) if workers else Here(job, on_error=on_error, save=_unheard)
        agenda = Worklist(
            runs, plan.space.at, retries=plan.limits.retries, workers=count, together=plan.vectorized,
            stops=self.stops,
        )  # fmt: skip
        try:
            for batch in engine.run(agenda, lambda: False):
                if isinstance(batch, Batch):
                    yield batch
        except BaseException:
            engine.close(now=True)
            raise
        problems = engine.close().problems
        if problems:
            raise SimkitError("\n".join(problems))


def _unheard(_: Checkpoint | RunReport) -> bool:
    """What runs say counts no more: where they were told to stop is recorded."""
    return False


_GIVEN = ("--", "set=", "[tool.simkit")  # how the origins of values begin that did not come from the code


@attrs.frozen(eq=False)
class Replay:
    """Runs of one set of constants, ready to be executed again.

    Attributes
    ----------
    overlaid
        Constants that the code would give another value now: name, that value, and the recorded one.
    """

    rerun: Rerun
    runs: Index
    overlaid: tuple[tuple[str, Any, Any], ...]


def replays(recorded: Recorded, runs: Index, function: Callable[..., Any] | None = None) -> Iterator[Replay]:
    """The runs in groups of one set of constants each; mostly there is one group.

    Parameters
    ----------
    function
        The experiment; by default it is found by its node id.

    Raises
    ------
    SimkitError
        When the experiment can't be found, or can't run with what is recorded.
    """
    source = source_of(recorded, function)
    given = {
        name: value for name, value in _settings(recorded, int(runs[0])).items() if _is_given(recorded, name)
    }
    first = _plan(source, recorded, runs, given)
    for group in _alike(recorded, runs, [name for name, _ in _constants(first)]):
        values = _settings(recorded, int(group[0]))
        overlaid = [
            (name, value, values[name])
            for name, value in _constants(first)
            if name in values and not same(value, values[name])
        ]
        laid = {**given, **{name: value for name, _, value in overlaid}}
        plan = _plan(source, recorded, group, laid)
        seeds = _own_seeds(recorded, group, plan.stream if plan.stream_name else source.name)
        rerun = Rerun.of(
            plan, _root(recorded), _outside(recorded, laid), seeds, read_stops(recorded.root["runs"])
        )
        yield Replay(rerun, group, tuple(overlaid))


def _plan(source: PresentCode, recorded: Recorded, runs: Index, given: Mapping[str, Any]) -> Plan:
    space = _points(recorded, runs)
    settings = Settings(source.rootdir, outside=_outside(recorded, given), reshape=lambda *_: space)
    fixed = [name for name in recorded.names("parameters") if recorded.is_constant(name)]
    last_resort = {name: _provider(name, recorded.value(name, 0)) for name in fixed if "." not in name}
    try:
        plan = resolve(source.candidate, [*source.levels, last_resort], settings)
        plan = with_code(plan, source.candidate.path)
        plan = attrs.evolve(plan, stream_name=str(recorded.attributes.get(STREAM, "")))
    except SimkitError as error:
        msg = f"{shown_path(recorded.path)}: the present code can't run with what is recorded\n{error}"
        raise SimkitError(msg) from None
    openers = recorded_openers(recorded, source.rootdir)
    confirm(recorded, runs, openers)
    return plan.supplied(
        {key: openers[node.name] for key, node in plan.feeds.items() if node.name in openers}
    )


def _provider(name: str, value: Any) -> Provider:
    """Gives a recorded value where the present code gives none any more, as when a default was removed."""
    return Provider(name, lambda: value, Tag("parameter"))


def _outside(recorded: Recorded, values: Mapping[str, Any]) -> dict[str, Outside]:
    return {name: Outside(value, f"recorded in {recorded.path.name}") for name, value in values.items()}


def _settings(recorded: Recorded, run: int) -> dict[str, Any]:
    """The recorded parameters of a run that are not explored."""
    explored = set(recorded.explored)
    fed = tuple(f"{name}." for name in recorded.all_feeds)
    names = [n for n in recorded.names("parameters") if n not in explored and not n.startswith(fed)]
    values = {name: recorded.value(name, run) for name in names}
    return {name: value for name, value in values.items() if value is not ABSENT}


def _is_given(recorded: Recorded, name: str) -> bool:
    return recorded.about(name).origin.startswith(_GIVEN)


def _constants(plan: Plan) -> list[tuple[str, Any]]:
    """What the code gives without computing it: defaults of arguments, and of a group's fields."""
    outermost = (node for node in plan.nodes.values() if node.is_outermost)
    given = ((name, value) for node in outermost for name, value in given_by_code(node, plan).items())
    return list(dict(given).items())


def _alike(recorded: Recorded, runs: Index, names: list[str]) -> list[Index]:
    """The runs grouped by constants that sessions changed, in order of their first run."""
    known, explored = set(recorded.names("parameters")), set(recorded.explored)
    varying = [n for n in names if n in known and n not in explored and not recorded.is_constant(n)]
    if not varying:
        return [runs]
    columns = (recorded.rows(name, runs) for name in varying)
    numbers = np.stack([keys(column, exact=True) for column in columns], axis=1)
    _, first, group = np.unique(numbers, axis=0, return_index=True, return_inverse=True)
    return [runs[group.reshape(-1) == number] for number in np.argsort(first)]


def _points(recorded: Recorded, runs: Index) -> Space:
    """The recorded points of some runs, at their run numbers; the others are never asked for."""
    columns = {name: recorded_values(recorded.rows(name, runs)) for name in recorded.explored}
    columns.update(recorded_places(recorded, runs))
    trials = recorded.run_column(TRIAL)
    if trials is not None:
        columns[TRIAL] = Values(trials[runs], native=True)
    index = np.zeros(len(recorded), np.int64)
    index[runs] = np.arange(len(runs))
    return Space(Subset(Zip(columns, len(runs), feeds=tuple(feeds_of(recorded).values())), index))


def _own_seeds(recorded: Recorded, runs: Index, experiment: str) -> Array | None:
    """The seeds of all runs where these do not derive from the root seed and this experiment's name.

    Runs that were merged bring their own; a function of another name shall draw what the recorded one drew.
    """
    name = str(recorded.attributes.get(STREAM, "")) or str(recorded.attributes["node_id"]).partition("::")[2]
    seeds = recorded.run_column("seed")
    if seeds is None:
        return None if name == experiment else run_seeds(_root(recorded), name, np.arange(len(recorded)))
    derived = run_seeds(_root(recorded), experiment, np.arange(len(recorded)))
    seeds = np.where(seeds == 0, derived, seeds)  # a run that asked for none has none
    return seeds if (seeds[runs] != derived[runs]).any() else None


def _root(recorded: Recorded) -> int:
    return int(recorded.attributes["root_seed"])
