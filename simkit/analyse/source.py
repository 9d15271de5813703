"""Where is the function that a recorded trajectory came from?"""

from __future__ import annotations

import ast
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from simkit.collect.collection import Found
from simkit.collect.config import find_rootdir
from simkit.collect.modules import load
from simkit.collect.providers import Level, levels, tagged
from simkit.declare.tags import Tag, tag_of
from simkit.errors import SimkitError, listed, shown_path
from simkit.inject.call import found_of
from simkit.record.recorded import Recorded


@attrs.frozen(eq=False)
class Source:
    """An experiment as it stands now, and the providers around it."""

    found: Found
    rootdir: Path
    levels: Sequence[Level]

    @property
    def name(self) -> str:
        """The experiment's name."""
        return str(self.found.function.__name__)


def source_of(recorded: Recorded, function: Callable[..., Any] | None = None) -> Source:
    """The experiment of a trajectory: the given function, or the one that its node id names.

    Raises
    ------
    SimkitError
        When its file or the function in it is not there any more, or importing the file would run the study.
    """
    node_id = str(recorded.attributes["node_id"])
    file, _, name = node_id.partition("::")
    if function is None:
        function = _in_main(_path(recorded, file), name)
    if function is not None:
        found, config = found_of(function)
        return Source(found, config.rootdir, levels(found.path, config.rootdir, found.module))
    path = _path(recorded, file)
    if path is None:
        raise _no_file(recorded, file, name)
    _check_import(path)
    rootdir = _rootdir(path, file)
    module = load(path, rootdir)
    function = getattr(module, name, None)
    if not inspect.isfunction(function):
        there = [each.__name__ for each, _ in tagged(module, "experiment")]
        msg = f"{shown_path(path)} has no experiment {name!r} any more\n    experiments there: {listed(name, there)}"
        raise SimkitError(msg)
    tag = tag_of(function) or Tag("experiment")
    return Source(Found(function, tag, path, module, node_id), rootdir, levels(path, rootdir, module))


def _in_main(path: Path | None, name: str) -> Callable[..., Any] | None:
    """The function of this very script or notebook, where that is what recorded the trajectory."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    is_here = path is None if file is None else path is not None and Path(os.path.abspath(file)) == path
    function = getattr(main, name, None) if is_here else None
    return function if inspect.isfunction(function) else None


def _path(recorded: Recorded, file: str) -> Path | None:
    """The file of a node id: below the rootdir of where we are, or of where the trajectory lies."""
    folders = [find_rootdir([]), find_rootdir([recorded.path]), *recorded.path.parents]
    return next((folder / file for folder in folders if (folder / file).is_file()), None)


def _rootdir(path: Path, file: str) -> Path:
    return path.parents[len(Path(file).parts) - 1] if not Path(file).is_absolute() else find_rootdir([path])


def _no_file(recorded: Recorded, file: str, name: str) -> SimkitError:
    where = shown_path(recorded.path)
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
