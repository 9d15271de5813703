"""Which functions, classes and modules does an object hold: a table, a partial function, a decorated one?"""

from __future__ import annotations

import ast
import gc
import linecache
import textwrap
from collections.abc import Iterator
from functools import lru_cache
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from simkit.declare.tags import Tag

_PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None), BuiltinFunctionType, Tag, type(...))
_MOST = 5_000  # objects that are looked at: a table of functions is small, and a table of numbers holds none


def held(value: Any) -> Iterator[FunctionType | type | ModuleType]:
    """The functions, classes and modules that an object is, or holds at any depth.

    Of functions that is what they close over, their defaults and attributes, among them what they wrap; of classes
    their attributes; of any other object what the garbage collector knows of it, so that functions in objects
    of compiled types are seen: ``functools.partial``, ``numpy.frompyfunc``.
    """
    waiting = [value]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST:
        one = waiting.pop()
        if isinstance(one, _PLAIN) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, FunctionType | type | ModuleType):
            yield one
        if isinstance(one, FunctionType):
            waiting += carried(one).values()
        elif isinstance(one, type):
            waiting += [v for name, v in vars(one).items() if not name.startswith("__")]
        elif isinstance(one, np.ndarray):
            waiting += one.ravel()[:_MOST].tolist() if one.dtype == object else []
        elif not isinstance(one, ModuleType):
            waiting += [type(one), *gc.get_referents(one)]


def carried(function: FunctionType) -> dict[str, Any]:
    """What a function carries with it, by name: closed-over values, defaults, attributes."""
    values = dict(getattr(function, "__dict__", {}))
    defaults = function.__defaults__ or ()
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    values.update(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    values.update(function.__kwdefaults__ or {})
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            values[name] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    return values


def names_of(one: FunctionType | type) -> set[str]:
    """The names that a function, or the methods of a class, may look up in their module."""
    functions = (
        [one]
        if isinstance(one, FunctionType)
        else [f for f in vars(one).values() if isinstance(f, FunctionType)]
    )
    return {name for function in functions for code in _codes(function.__code__) for name in code.co_names}


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def source_of(function: FunctionType) -> str:
    """The source of exactly this function, whatever else stands on its lines; its bytecode where there is none."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename)
    nodes = [node for node in _functions(tuple(lines)) if _is_of(node, code)]
    if not nodes:
        return _bytecode(code)
    node = min(nodes, key=lambda node: (node.end_lineno or 0, node.end_col_offset or 0))
    if isinstance(node, ast.Lambda):
        return ast.unparse(node)
    return textwrap.dedent("".join(lines[node.lineno - 1 : node.end_lineno]))


@lru_cache(maxsize=8)
def _functions(lines: tuple[str, ...]) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda]:
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError):
        return []
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def _is_of(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, code: CodeType) -> bool:
    """Whether a node is the source of this code: its name, its line and, of a lambda, the place in the line."""
    if not isinstance(node, ast.Lambda):
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        return node.name == code.co_name and first == code.co_firstlineno
    body = (node.body.lineno, node.body.col_offset), (node.body.end_lineno, node.body.end_col_offset)
    places = [(line, column) for line, _, column, _ in code.co_positions() if line and column is not None]
    return code.co_name == "<lambda>" and bool(places[1:]) and body[0] <= max(places) <= body[1]


def _bytecode(code: CodeType) -> str:
    """Code without a source, as text that differs where it does something else."""
    constants = [_bytecode(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_name}{code.co_varnames} {code.co_names} {constants} {code.co_code.hex()}"
