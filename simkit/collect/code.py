"""Which of the project's code do the runs reach, and is it the same code as before?

The unit is a top-level statement of a module: a function, a class, an assignment. From the experiment and
its providers on, each name that a unit mentions leads to the unit that defines it, through imports into
the project's other files. Two versions of a unit are the same if their syntax trees agree without
docstrings, annotations' comments and simkit's decorators, so that neither a comment nor a grown grid
is a change.
"""

from __future__ import annotations

import ast
import os
import random
import symtable
import sys
import sysconfig
import textwrap
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import numpy as np

NOTEBOOK = "notebook"  # stands for the file in node ids


def cells_of(module: ModuleType) -> tuple[str, ...] | None:
    """The executed cells in order, if this is the namespace of a notebook."""
    cells = vars(module).get("In")
    is_shell = module.__name__ == "__main__" and not hasattr(module, "__file__")
    return tuple(map(str, cells)) if is_shell and isinstance(cells, list) else None


def parsed(cells: tuple[str, ...]) -> tuple[str, list[ast.Module]]:
    """All cells as one text, and the syntax tree of each with its lines in that text.

    A cell that is no plain Python, such as a mistyped one, is left out.
    """
    text, trees = "", []
    for cell in cells:
        try:
            tree = ast.parse(cell)
        except (SyntaxError, ValueError):
            continue
        trees.append(ast.increment_lineno(tree, text.count("\n")))
        text += cell.rstrip("\n") + "\n"
    return text, trees


def free_names(statement: ast.stmt) -> set[str]:
    """The names that a module's statement looks up in the module, or imports itself: no other local ones."""
    try:
        table = symtable.symtable(ast.unparse(statement), "<statement>", "exec")
    except (SyntaxError, RecursionError):
        return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    return _global(table)


def _global(table: symtable.SymbolTable) -> set[str]:
    everywhere = table.get_type() == "module"
    found = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_imported() or (symbol.is_referenced() and (everywhere or symbol.is_global()))
    }
    return found.union(*map(_global, table.get_children()))


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SPACES = ("explore", "product", "sample", "saltelli", "morris", "each", "after", "report")
_DECORATORS = (
    "experiment",
    "explore",
    "product",
    "parameter",
    "fixture",
    "sample",
    "saltelli",
    "morris",
    "each",
    "adaptive",
    "after",
    "report",
)


def reachable(things: Iterable[Any], rootdir: Path) -> dict[str, str]:
    """The source of every piece of project code that these functions and classes reach.

    Returns
    -------
    dict of str to str
        By ``file::name`` with the file relative to the rootdir, sorted.
    """
    found: dict[str, str] = {}
    waiting = [(sys.modules.get(thing.__module__), thing.__qualname__.partition(".")[0]) for thing in things]
    while waiting:
        module, name = waiting.pop()
        place = None if module is None else _place(module, rootdir)
        if module is None or place is None:
            continue
        where, source = place
        key = f"{where}::{name}".replace(os.sep, "/")
        if key in found or name not in source.units:
            continue
        found[key] = "\n".join(source.text(unit, _spaces(unit, module)) for unit in source.units[name])
        for unit in source.units[name]:
            waiting.extend(_mentioned(unit, module, source))
    return dict(sorted(found.items()))


def _place(module: ModuleType, rootdir: Path) -> tuple[str, _Source] | None:
    """A module's file below the rootdir, or the notebook, and its source; None for what is not the project's."""
    cells = cells_of(module)
    if cells is not None:
        return NOTEBOOK, _executed(cells)
    file = project_file(module, rootdir)
    return None if file is None else (os.path.relpath(file, rootdir), _source(file))


def project_file(module: ModuleType, rootdir: Path) -> Path | None:
    """A module's file if it is the project's own, not an installed package."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py"):
        return None
    path = Path(os.path.abspath(file))
    installed = (sysconfig.get_paths()[kind] for kind in ("purelib", "platlib", "stdlib"))
    if not path.is_relative_to(rootdir) or any(path.is_relative_to(folder) for folder in installed):
        return None
    return path


def normal_form(text: str) -> str:
    """What counts of a piece of source: its syntax without docstrings and simkit's decorators."""
    try:
        tree = ast.parse(text)
    except SyntaxError:  # written for another Python: compare it letter by letter
        return text
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS):
            node.decorator_list = [d for d in node.decorator_list if not _is_ours(d)]
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The pieces of code that differ, in words: ``sim_a.py::f changed``."""
    words = [f"{key} is new" for key in now if key not in before]
    words += [f"{key} is gone" for key in before if key not in now]
    both = (key for key in now if key in before and before[key] != now[key])
    return sorted(
        words + [f"{key} changed" for key in both if normal_form(before[key]) != normal_form(now[key])]
    )


def _is_ours(decorator: ast.expr) -> bool:
    """Simkit's decorators, however they are called: ``@simkit.product(…).where(…)``."""
    return not set(_DECORATORS).isdisjoint(_names(decorator))


def _names(decorator: ast.expr) -> Iterator[str]:
    """The attributes of a decorator from its end on, then the name that it begins with."""
    node: ast.expr = decorator
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            yield node.attr
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.BinOp):
            node = node.left
        else:
            yield ""
            return
    yield node.id


@attrs.frozen
class _Source:
    lines: tuple[str, ...]
    units: Mapping[str, list[ast.stmt]]
    imports: Mapping[str, tuple[str, str]]  # alias -> (module as written, name)
    modules: Mapping[str, str]  # alias -> module

    def text(self, unit: ast.stmt, left_out: Iterable[ast.expr] = ()) -> str:
        """A unit's lines, decorators included but for those left out."""
        first = min([unit.lineno, *(d.lineno for d in getattr(unit, "decorator_list", []))])
        skipped = {line for d in left_out for line in range(d.lineno, (d.end_lineno or d.lineno) + 1)}
        numbers = range(first, (unit.end_lineno or first) + 1)
        return textwrap.dedent("\n".join(self.lines[n - 1] for n in numbers if n not in skipped))


def _source(file: Path) -> _Source:
    return _parsed(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _parsed(file: Path, changed: int) -> _Source:
    with tokenize.open(file) as source:  # in the encoding that its first line declares
        text = source.read()
    return _sorted(text, [ast.parse(text)])


@lru_cache(maxsize=4)
def _executed(cells: tuple[str, ...]) -> _Source:
    return _sorted(*parsed(cells))


def _sorted(text: str, trees: Sequence[ast.Module]) -> _Source:
    """The statements by the names that they define; a later cell's definitions replace those before."""
    units: dict[str, list[ast.stmt]] = {}
    imports: dict[str, tuple[str, str]] = {}
    modules: dict[str, str] = {}
    for tree in trees:
        defined: dict[str, list[ast.stmt]] = {}
        for statement in tree.body:
            for name in _defined(statement):
                defined.setdefault(name, []).append(statement)
            for node in ast.walk(statement):
                if isinstance(node, ast.ImportFrom):
                    module = "." * node.level + (node.module or "")
                    imports.update({alias.asname or alias.name: (module, alias.name) for alias in node.names})
                elif isinstance(node, ast.Import):
                    modules.update(dict(map(_bound, node.names)))
        units.update(defined)
    return _Source(tuple(text.splitlines()), units, imports, modules)


def _bound(alias: ast.alias) -> tuple[str, str]:
    """The name that ``import package.lib`` binds, and the module that it means."""
    top = alias.name.partition(".")[0]
    return (alias.asname, alias.name) if alias.asname else (top, top)


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, _FUNCTIONS):
        yield statement.name
        return
    seen: set[str] = set()
    for node in ast.walk(statement):
        name = node.name if isinstance(node, _FUNCTIONS) else None
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        if name is not None and name not in seen:
            seen.add(name)
            yield name


def _mentioned(
    unit: ast.stmt, module: ModuleType, source: _Source
) -> Iterator[tuple[ModuleType | None, str]]:
    """What a unit's names lead to, as module and name; simkit's decorators do not count."""
    skipped: set[int] = set()
    free = free_names(unit)
    for node in ast.walk(unit):
        if isinstance(node, _FUNCTIONS):
            skipped.update(id(inner) for decorator in _spaces(node, module) for inner in ast.walk(decorator))
        if id(node) in skipped:
            continue
        dotted = isinstance(node, ast.Attribute) and _root(node) in free
        owner = _module_of(node.value, module, source) if dotted else None  # type: ignore[attr-defined]
        if isinstance(node, ast.Attribute) and isinstance(owner, ModuleType):
            skipped.update(id(inner) for inner in ast.walk(node.value))
            yield owner, node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in free:
            yield from _named(node.id, module, source)


def _root(node: ast.expr) -> str:
    """The name that ``package.lib.thing`` begins with."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _spaces(unit: ast.AST, module: ModuleType) -> list[ast.expr]:
    """The decorators that say which points to visit, or what is followed: they are no part of the code."""
    return [d for d in getattr(unit, "decorator_list", []) if _is_space(d, module)]


def _is_space(decorator: ast.expr, module: ModuleType) -> bool:
    from simkit.declare.space import Space

    names = list(_names(decorator))
    return not set(_SPACES).isdisjoint(names) or isinstance(vars(module).get(names[-1]), Space)


def _module_of(node: ast.expr, module: ModuleType, source: _Source) -> Any:
    """The module that ``lib`` or ``package.lib`` means, if it is one; it may be imported within a function."""
    if isinstance(node, ast.Name):
        found = vars(module).get(node.id)
        return found if found is not None else sys.modules.get(source.modules.get(node.id, ""))
    if isinstance(node, ast.Attribute):
        return getattr(_module_of(node.value, module, source), node.attr, None)
    return None


def _named(name: str, module: ModuleType, source: _Source) -> Iterator[tuple[ModuleType | None, str]]:
    if name in source.units:
        yield module, name
        return
    thing = vars(module).get(name)
    if isinstance(thing, ModuleType):  # handed on as a whole: everything in it may be used
        file = getattr(thing, "__file__", None)
        if isinstance(file, str) and file.endswith(".py") and not hasattr(thing, "__path__"):
            yield from ((thing, unit) for unit in _source_names(thing))
        return
    if name in source.imports:
        origin, original = source.imports[name]
        yield sys.modules.get(_absolute(origin, module)), original
    elif hasattr(thing, "__module__"):  # through ``from lib import *``
        yield sys.modules.get(thing.__module__), getattr(thing, "__name__", name)


def _source_names(module: ModuleType) -> list[str]:
    try:
        return list(_source(Path(os.path.abspath(str(module.__file__)))).units)
    except (OSError, SyntaxError, UnicodeDecodeError):
        return []


def _absolute(name: str, module: ModuleType) -> str:
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    package = (module.__package__ or "").split(".")
    base = package[: len(package) - level + 1]
    return ".".join([*base, name[level:]] if name[level:] else base)


RANDOM, NUMPY, BRIAN2 = "random", "numpy.random", "brian2"


def global_streams(code: Mapping[str, str], rootdir: Path) -> frozenset[str]:
    """The streams that these pieces of code use, whatever names they import them by.

    Parameters
    ----------
    code
        Sources by ``file::name``, as `reachable` finds them.
    """
    files = {key.partition("::")[0] for key in code}
    modules = {file: module for file in files if (module := _loaded(rootdir / file)) is not None}
    found = {BRIAN2 for module in modules.values() if _uses_brian2(module)}
    for key, text in code.items():
        module = modules.get(key.partition("::")[0])
        if module is not None:
            found.update(stream for thing in _named_values(text, module) if (stream := _stream_of(thing)))
    return frozenset(found)


def _loaded(path: Path) -> ModuleType | None:
    if path.name == NOTEBOOK:
        return sys.modules["__main__"]
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and os.path.abspath(file) == os.path.abspath(path):
            return module
    return None


def _uses_brian2(module: ModuleType) -> bool:
    names = (
        getattr(thing, "__module__", None) or getattr(thing, "__name__", "")
        for thing in vars(module).values()
    )
    return "brian2" in sys.modules and any(str(name).partition(".")[0] == "brian2" for name in names)


def _named_values(text: str, module: ModuleType) -> Iterator[Any]:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    names: Iterable[ast.AST] = (
        node for node in ast.walk(tree) if isinstance(node, (ast.Name, ast.Attribute))
    )
    for node in names:
        thing = _resolved(node, module)
        if thing is not None:
            yield thing


def _resolved(node: ast.AST, module: ModuleType) -> Any:
    """What a name or a dotted name through modules stands for; nothing is executed for it."""
    if isinstance(node, ast.Name):
        return vars(module).get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _resolved(node.value, module)
        return vars(owner).get(node.attr) if isinstance(owner, ModuleType) else None
    return None


def _stream_of(thing: Any) -> str | None:
    if thing is np.random.seed:
        return NUMPY
    owner = getattr(thing, "__self__", None)
    if owner is None or isinstance(owner, ModuleType):
        return None
    if owner is random.seed.__self__:  # type: ignore[attr-defined]
        return RANDOM
    return NUMPY if owner is np.random.normal.__self__ else None  # type: ignore[attr-defined]
