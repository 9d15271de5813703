"""What does one file of the project define, mention, import, and change when it is imported?

The unit is a top-level statement: a function, a class, an assignment, a loop. Nothing here knows what a name
means in another file; that is the question of `graph`.
"""

from __future__ import annotations

import ast
import linecache
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import attrs

from simkit.collect.scopes import (
    DECORATORS,
    DEFINITIONS,
    FUNCTIONS,
    Binding,
    Use,
    bound,
    dotted,
    is_space,
    names_in,
    origin,
    uses,
    uses_of_decorator,
)

_INNER_IMPORT = re.compile(
    rb"^[ \t]+(?:import|from)[ \t]|[;:][ \t]*(?:import|from)[ \t]|\b(?:import_module|__import__)\b",
    re.MULTILINE,
)
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")


@attrs.frozen(eq=False)
class CodeUnit:
    """A top-level statement of a file."""

    node: ast.stmt
    names: tuple[str, ...]  # that it defines, by global declarations in functions too

    @property
    def first(self) -> int:
        """The number of its first line, that of a decorator included."""
        return min([self.node.lineno, *(d.lineno for d in self.decorators)])

    @property
    def decorators(self) -> list[ast.expr]:
        """What decorates a function or class."""
        return getattr(self.node, "decorator_list", [])

    def spans(self, line: int) -> bool:
        """Whether a line is part of it."""
        return self.first <= line <= (self.node.end_lineno or self.first)

    @cached_property
    def is_guarded(self) -> bool:
        """Whether it stands below ``if __name__ == "__main__"``: then it changes nothing on import."""
        return isinstance(self.node, ast.If) and "__name__" in ast.dump(self.node.test)

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """The names of its module that it uses, its decorators aside."""
        return uses(self.node)

    @cached_property
    def uses_of_decorators(self) -> tuple[tuple[ast.expr, tuple[Use, ...]], ...]:
        """Each decorator with the names that it uses, but for those that say which points there are."""
        return tuple((d, uses_of_decorator(d)) for d in self.decorators if not is_space(d))

    @cached_property
    def on_import(self) -> tuple[Use, ...]:
        """What importing the file uses besides reading."""
        if self.is_guarded or (isinstance(self.node, FUNCTIONS) and not self.decorators):
            return ()
        uses = [*self.uses, *(use for _, some in self.uses_of_decorators for use in some)]
        return tuple(use for use in uses if not use.later and use.kind != "reads")


@attrs.frozen(eq=False)
class ParsedFile:
    """A file as it was when this version of it was first seen.

    Attributes
    ----------
    units
        The top-level statements, in order.
    defined
        Those that define a name.
    bindings
        What the imports at the top level bind names to, several where they are optional.
    stars
        The modules that all names are imported from.
    imports
        What is imported anywhere: ``a.b`` for ``import a.b``; ``a`` and ``a.x`` for ``from a import x``, which
        may be a module.
    by_name
        The modules that are loaded by functions: ``a.*`` where the rest of a name is computed.
    """

    data: bytes
    lines: tuple[str, ...] = ()
    units: tuple[CodeUnit, ...] = ()
    defined: Mapping[str, tuple[CodeUnit, ...]] = attrs.field(factory=dict)
    bindings: Mapping[str, tuple[Binding, ...]] = attrs.field(factory=dict)
    stars: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    by_name: tuple[str, ...] = ()

    @cached_property
    def words(self) -> frozenset[str]:
        """The texts in it that may be the names of modules."""
        nodes = (
            node for unit in self.units for node in ast.walk(unit.node) if isinstance(node, ast.Constant)
        )
        return frozenset(n.value for n in nodes if isinstance(n.value, str) and _MODULE.fullmatch(n.value))

    def at(self, line: int) -> CodeUnit | None:
        """The unit that a line is part of."""
        return next((unit for unit in self.units if unit.spans(line)), None)

    def text(self, unit: CodeUnit, left_out: Iterable[ast.expr] = ()) -> str:
        """A unit's lines, without those decorators."""
        skipped = {line for d in left_out for line in range(d.lineno, (d.end_lineno or d.lineno) + 1)}
        numbers = range(unit.first, (unit.node.end_lineno or unit.first) + 1)
        return textwrap.dedent("\n".join(self.lines[n - 1] for n in numbers if n not in skipped))


def parsed(path: Path) -> ParsedFile:
    """A file's syntax; one that is no Python of this version has none.

    Raises
    ------
    OSError
        Where it can't be read.
    """
    return _parsed(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4096)
def _parsed(path: Path, _changed: int) -> ParsedFile:
    return parsed_bytes(path.read_bytes())


def parsed_bytes(data: bytes) -> ParsedFile:
    """The syntax of a file's bytes."""
    try:
        with warnings.catch_warnings():  # whoever imports the file hears them
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return ParsedFile(data)
    return _sorted(data, _decoded(data).splitlines(), [tree])


def _decoded(data: bytes) -> str:
    """The text of a source file, in the encoding that its first lines declare."""
    import io
    import tokenize

    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return data.decode(encoding, errors="replace")


@lru_cache(maxsize=4)
def parsed_cells(cells: tuple[str, ...]) -> ParsedFile:
    """The syntax of a notebook's executed cells: a later one's definitions replace those before.

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
    return _sorted(text.encode(), text.splitlines(), trees)


def _sorted(data: bytes, lines: Sequence[str], trees: Sequence[ast.Module]) -> ParsedFile:
    units: list[CodeUnit] = []
    defined: dict[str, tuple[CodeUnit, ...]] = {}
    bindings: dict[str, tuple[Binding, ...]] = {}
    declares = b"global " in data
    for tree in trees:
        latest: dict[str, tuple[CodeUnit, ...]] = {}
        for statement in tree.body:
            pairs = list(bound([statement]))
            for name, binding in pairs:
                if binding is not None:
                    bindings[name] = (*bindings.get(name, ()), binding)
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                continue
            names = [name for name, binding in pairs if binding is None]
            unit = CodeUnit(
                statement, tuple(dict.fromkeys([*names, *(_declared(statement) if declares else ())]))
            )
            units.append(unit)
            for name in unit.names:
                latest[name] = (*latest.get(name, ()), unit)
        defined.update(latest)
    everywhere = _INNER_IMPORT.search(data) is not None
    nodes = [node for tree in trees for node in (ast.walk(tree) if everywhere else tree.body)]
    return ParsedFile(
        data, tuple(lines), tuple(units), defined, bindings,
        tuple(_stars(nodes)), tuple(_imports(nodes)), tuple(_by_name(nodes)),
    )  # fmt: skip


def _declared(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Global):
            yield from node.names


def _stars(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            yield origin(node)


def _imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = origin(node)
            yield base
            joint = "" if base.endswith(".") else "."
            yield from (f"{base}{joint}{alias.name}" for alias in node.names)


def _by_name(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Call) and dotted(node.func)[-1:] in (("import_module",), ("__import__",)):
            yield from map(_beginning, node.args[:1])


def _beginning(node: ast.expr) -> str:
    """A computed text as far as it is known, with ``*`` for the rest; ``.`` for the module's own package."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=[first, *more]) if isinstance(first, ast.Constant) or more:
            return (_beginning(first) + "".join(map(_beginning, more))).partition("*")[0] + "*"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (_beginning(left) + _beginning(right)).partition("*")[0] + "*"
        case ast.FormattedValue(value=inner):
            return _beginning(inner)
        case ast.Name(id="__name__" | "__package__"):
            return ""
    return "*"


def normal_form(text: str, *, defaults: bool = True) -> str:
    """What counts of a piece of source: its syntax without docstrings, annotations and simkit's decorators.

    Parameters
    ----------
    defaults
        Whether the defaults of a function's arguments, and those of a class's fields, count.
    """
    tree = bare(text, defaults=defaults)
    return text if tree is None else ast.dump(tree)


def bare(text: str, *, defaults: bool = True) -> ast.Module | None:
    """The syntax of a piece of source without what does not count; None where it was written for another Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    if not defaults:
        _leave_out_defaults(tree)
    tree = _Bare().visit(tree)
    assert isinstance(tree, ast.Module)
    return tree


def _leave_out_defaults(tree: ast.Module) -> None:
    """Leave out which values the arguments or fields of definitions have unless told; not how these are computed."""
    for node in tree.body:
        if isinstance(node, FUNCTIONS):
            node.args.defaults = [_blank(default) for default in node.args.defaults]
            node.args.kw_defaults = [one and _blank(one) for one in node.args.kw_defaults]
        for field in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(field, ast.AnnAssign) and field.value is not None:
                field.value = _blank(field.value)


def _blank(default: ast.expr) -> ast.expr:
    """The same for each default, but for a factory, which may compute it from other fields."""
    calls = (node for node in ast.walk(default) if isinstance(node, ast.Lambda | ast.Call))
    is_factory = any(isinstance(one, ast.Lambda) or names_in(one.func)[0] == "Factory" for one in calls)
    return default if is_factory else ast.Constant(None)


_BY_TYPE = ("register", "dispatch")  # functools.singledispatch's, and those of plum


def _keep_types(arguments: ast.arguments) -> None:
    """Have the types that a function is chosen by count, where other annotations do not."""
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg) and argument.annotation is not None:
            argument.type_comment = ast.dump(argument.annotation)


class _Bare(ast.NodeTransformer):
    """Leaves out what does not change the meaning."""

    def visit(self, node: ast.AST) -> Any:
        """A node without its docstring, annotations and simkit's decorators."""
        if isinstance(node, DEFINITIONS):
            node.decorator_list = [d for d in node.decorator_list if DECORATORS.isdisjoint(names_in(d))]
            if isinstance(node, FUNCTIONS) and any(names_in(d)[0] in _BY_TYPE for d in node.decorator_list):
                _keep_types(node.args)
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, FUNCTIONS):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            node = ast.Assign([node.target], node.value)
        return self.generic_visit(node)


def source_of(function: FunctionType) -> str:
    """The source of exactly this function, whatever else stands on its lines; its bytecode where there is none."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename)
    nodes = [node for node in _functions(tuple(lines)) if _is_of(node, code)]
    if not nodes:
        return bytecode(code)
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


def bytecode(code: CodeType) -> str:
    """Code without a source, as text that differs where it does something else."""
    constants = [bytecode(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_name}{code.co_varnames} {code.co_names} {constants} {code.co_code.hex()}"
