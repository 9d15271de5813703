"""Which constants has a script, and what does it give with other values of them?"""

from __future__ import annotations

import ast
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import lru_cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import attrs

from simkit.collect.graph import is_project_file
from simkit.collect.plan import Plan
from simkit.errors import SimkitError, did_you_mean, listed, shown_path
from simkit.values.encode import explain

_GIVEN = "__simkit_given__"  # the values that replace constants, by name


@attrs.frozen
class Program:
    """A script that is executed with some of its constants replaced.

    Attributes
    ----------
    path
        Its absolute path.
    text
        What it says.
    names
        The constants that are replaced, in order.
    results
        The globals that it shall give; empty for all that can be stored.
    """

    path: str
    text: str
    names: tuple[str, ...]
    results: tuple[str, ...] = ()

    def __call__(self, **given: Any) -> dict[str, Any]:
        """Execute the script in globals of its own; its results by name.

        Raises
        ------
        SimkitError
            For a result that is no global at its end.
        """
        namespace: dict[str, Any] = {"__name__": "__main__", "__file__": self.path, _GIVEN: given}
        argv, folders, before = sys.argv, list(sys.path), set(sys.modules)
        sys.argv, sys.path[:0] = [self.path], [os.path.dirname(self.path)]
        try:
            exec(_compiled(self.path, self.text, self.names), namespace)
        finally:
            sys.argv, sys.path[:] = argv, folders
            _forget(before)
        return self._results(namespace)

    def _results(self, namespace: Mapping[str, Any]) -> dict[str, Any]:
        assigned = {name for name, _ in _stores(ast.parse(self.text))} - {*self.names}
        made = {n: namespace[n] for n in namespace if n in assigned and _is_value(n, namespace[n])}
        for name in self.results:
            if name not in namespace:
                what = f"ends without a global {name!r}{did_you_mean(name, made)}"
                msg = f"{shown_path(self.path)} {what}\n    it has: {listed(name, made)}"
                raise SimkitError(msg)
        if self.results:
            return {name: namespace[name] for name in self.results}
        return {name: value for name, value in made.items() if explain(value, name) is None}


def _forget(known: Set[str]) -> None:
    """Let the next run import the project's modules anew, as a fresh process does: they may keep something."""
    for name in sys.modules.keys() - known:
        if is_project_file(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]


def _is_value(name: str, value: Any) -> bool:
    """Whether a global is a value of the script's, and no module, class or function."""
    return (
        not name.startswith("_")
        and not isinstance(value, (ModuleType, type))
        and not inspect.isroutine(value)
    )


@lru_cache(maxsize=8)
def _compiled(path: str, text: str, names: tuple[str, ...]) -> CodeType:
    tree = ast.parse(text, path)
    for statement in tree.body:
        name = _target(statement)
        if name in names:
            value = ast.Subscript(ast.Name(_GIVEN, ast.Load()), ast.Constant(name), ast.Load())
            old = statement.value  # type: ignore[attr-defined]  # an assignment has one
            statement.value = ast.copy_location(value, old)  # type: ignore[attr-defined]
    return compile(ast.fix_missing_locations(tree), path, "exec")


def _target(statement: ast.stmt) -> str:
    """The one name that a statement assigns to; empty where it is no such statement."""
    match statement:
        case ast.Assign(targets=[ast.Name(name)]):
            return name
        case ast.AnnAssign(target=ast.Name(name), value=ast.expr()):
            return name
    return ""


def _stores(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each time that a script's code sets one of its globals: the name and the line."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, True)]
    while waiting:
        node, is_global = waiting.pop()
        if isinstance(node, ast.Global):
            yield from ((name, node.lineno) for name in node.names)
        if isinstance(node, ast.Name) and is_global and not isinstance(node.ctx, ast.Load):
            yield node.id, node.lineno
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and is_global:
            yield node.name, node.lineno
        if isinstance(node, (ast.Import, ast.ImportFrom)) and is_global:
            yield from (((alias.asname or alias.name).partition(".")[0], node.lineno) for alias in node.names)
        own = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda))
        waiting += [(child, is_global and not own) for child in ast.iter_child_nodes(node)]


def experiment_of(path: Path, wanted: Sequence[str], results: Sequence[str]) -> Callable[..., Any]:
    """A function that executes a script, its arguments the script's constants with their values.

    Parameters
    ----------
    wanted
        The names that are explored or set; the others are the numbers, texts and the like that it assigns once.

    Raises
    ------
    SimkitError
        For a script that can't be read, and a name that is no constant of it.
    """
    text = _read(path)
    tree = _parsed(path, text)
    lines: dict[str, list[int]] = {}
    for name, line in _stores(tree):
        lines.setdefault(name, []).append(line)
    once = {
        name: statement
        for statement in tree.body
        if (name := _target(statement)) and len(lines[name]) == 1 and name not in results
    }
    for name in wanted:
        _check(name, lines, once, results, shown_path(path))
    defaults = {name: _literal(statement) for name, statement in once.items() if not name.startswith("_")}
    names = [name for name in once if name in wanted or (name in defaults and defaults[name] is not _NONE)]
    kind = inspect.Parameter
    parameters = [
        kind(
            name,
            kind.KEYWORD_ONLY,
            default=kind.empty if defaults.get(name, _NONE) is _NONE else defaults[name],
        )
        for name in names
    ]
    program = Program(str(path), text, tuple(names), tuple(results))
    return _function(program, parameters, ast.get_docstring(tree))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        msg = f"simkit.script({str(path)!r}): cannot read it: {reason}"
        raise SimkitError(msg) from None


def _parsed(path: Path, text: str) -> ast.Module:
    try:
        return ast.parse(text, str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        msg = f"{shown_path(path)}:{line}: {type(error).__name__}: {getattr(error, 'msg', error)}"
        raise SimkitError(msg) from None


def _check(
    name: str, lines: Mapping[str, list[int]], once: Mapping[str, Any], results: Sequence[str], file: str
) -> None:
    """A name that is explored must be assigned once, at the top of the script."""
    if name in once:
        return
    if name in results:
        msg = f"{file}: {name!r} is explored and a result: give the result another name in the script"
    elif name not in lines:
        msg = f"{file} assigns no {name!r}{did_you_mean(name, once)}\n    constants: {listed(name, once)}"
    elif len(lines[name]) > 1:
        where = ", ".join(map(str, sorted(lines[name])))
        msg = (
            f"{file}: {name!r} is set more than once (lines {where}), so it is not known which value is meant\n"
            "    let the script assign it once, and compute others under other names"
        )
    else:
        msg = (
            f"{file}:{lines[name][0]}: {name!r} is no constant: write it as an assignment of its own, {name} = …, "
            "outside of loops, conditions and functions"
        )
    raise SimkitError(msg)


_NONE = object()  # no literal


def _literal(statement: Any) -> Any:
    """The number, text, list or the like that a statement assigns, else `_NONE`."""
    try:
        return ast.literal_eval(statement.value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _NONE


def _function(
    program: Program, parameters: Sequence[inspect.Parameter], doc: str | None
) -> Callable[..., Any]:
    """A function of the script's own, so that its node id, code and inputs are those of the script."""
    path = Path(program.path)
    name = "".join(c if c.isidentifier() or c.isdigit() else "_" for c in path.stem)
    name = name if name.isidentifier() else f"_{name}"
    module = f"script {path.stem}"  # which nothing can import
    names = {"__name__": module, "__file__": program.path, "_program": program}
    function: Any = FunctionType(_execute.__code__, names, name)
    function.__module__, function.__qualname__, function.__doc__ = module, "*", doc
    function.__signature__ = inspect.Signature(parameters)
    function.__kwdefaults__ = {}
    return function  # type: ignore[no-any-return]


def _execute(**given: Any) -> dict[str, Any]:
    return _program(**given)  # type: ignore[no-any-return, name-defined]  # noqa: F821 - a global of `_function`


def is_recorded_script(node_id: str, code: Mapping[str, str]) -> bool:
    """Whether recorded code is that of a whole script, not of functions in a file."""
    return node_id.partition("::")[0] in code


def with_code(plan: Plan, path: Path) -> Plan:
    """The plan of a script, whose code is all that it says besides the constants that are parameters."""
    program = plan.function.__globals__.get("_program")
    if not isinstance(program, Program):
        return plan
    tree = ast.parse(program.text)
    tree.body = [statement for statement in tree.body if _target(statement) not in program.names]
    key = path.relative_to(plan.rootdir).as_posix() if path.is_relative_to(plan.rootdir) else path.name
    others = {name: text for name, text in plan.code.items() if not name.startswith(f"{key}::")}
    return attrs.evolve(plan, code={**others, key: ast.unparse(tree)})
