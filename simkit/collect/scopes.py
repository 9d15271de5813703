"""Which of its module's names does a statement use, and what for?

Local names of functions, classes and comprehensions are none of the module's. What an import within a function
binds is told apart from both.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import attrs

Kind = Literal["reads", "binds", "changes", "calls", "passes"]
Chain = tuple[str, ...]  # a dotted name: ("package", "lib", "go")
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SPACES = frozenset(
    {"explore", "product", "sample", "saltelli", "morris", "each", "adaptive", "after", "report"}
)
DECORATORS = SPACES | {"experiment", "parameter", "fixture"}
# Methods that change their object, wherever they are called; others count where nothing is made of their result.
_CHANGING = frozenset(
    {
        *("add", "append", "appendleft", "clear", "discard", "extend", "fill", "insert", "pop", "popitem"),
        *("put", "register", "remove", "reverse", "setdefault", "sort", "update"),
    }
)


@attrs.frozen
class Binding:
    """What an import binds a name to: a module as it is written there, or a name in one."""

    module: str
    name: str | None = None


@attrs.frozen
class Use:
    """One dotted name that a statement uses, and what for.

    Attributes
    ----------
    kind
        ``reads``; ``binds`` by a global declaration; ``changes`` an item or attribute; ``calls``; ``passes`` as
        an argument to a call whose result is not used.
    chain
        The dotted name as it is looked up in the module.
    bindings
        What its first part was imported as, where that happened within a function.
    later
        Whether it is used in a function's body: not when the file is imported.
    """

    kind: Kind
    chain: Chain
    bindings: tuple[Binding, ...] = ()
    later: bool = False


def origin(node: ast.ImportFrom) -> str:
    """The module of ``from … import``, as it is written there."""
    return "." * node.level + (node.module or "")


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Binding]]:
    """The names that an import binds: ``import package.lib`` binds the package."""
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            if alias.name != "*":
                yield alias.asname or alias.name, Binding(origin(node), alias.name)
        return
    for alias in node.names:
        top = alias.name.partition(".")[0]
        yield (alias.asname, Binding(alias.name)) if alias.asname else (top, Binding(top))


def bound(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, Binding | None]]:
    """The names that statements bind in their own scope, with what an import binds them to."""
    for node in nodes:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, None
                continue
            case ast.Lambda():
                continue
            case ast.Import() | ast.ImportFrom():
                yield from _imported(node)
                continue
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                walrus = (n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr))
                yield from ((name, None) for name in walrus)
                continue
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name, None
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                yield name, None
            case ast.MatchMapping(rest=str(name)):
                yield name, None
        yield from bound(ast.iter_child_nodes(node))


@attrs.frozen(eq=False)
class _Scope:
    """The names that a function, class or comprehension binds, and the scope around it."""

    kind: Literal["function", "class", "comprehension"]
    names: Mapping[str, tuple[Binding, ...]]
    declared: frozenset[str]  # as global
    outer: _Scope | None

    @classmethod
    def of(cls, node: ast.AST, outer: _Scope | None) -> _Scope:
        """The scope that a function, class, lambda or comprehension opens."""
        if isinstance(node, _COMPREHENSIONS):
            targets = bound(generator.target for generator in node.generators)
            return cls("comprehension", {name: () for name, _ in targets}, frozenset(), outer)
        body = node.body if isinstance(node, DEFINITIONS) else []
        names: dict[str, tuple[Binding, ...]] = {}
        for name, binding in bound(body):
            names[name] = (*names.get(name, ()), *([] if binding is None else [binding]))
        if isinstance(node, ast.ClassDef):
            return cls("class", names, frozenset(), outer)
        spec = node.args  # type: ignore[attr-defined]
        arguments = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, spec.vararg, spec.kwarg]
        names.update({argument.arg: () for argument in arguments if argument is not None})
        declarations = [s for b in body for s in ast.walk(b) if isinstance(s, (ast.Global, ast.Nonlocal))]
        for name in (name for s in declarations if isinstance(s, ast.Nonlocal) for name in s.names):
            names.pop(name, None)
        declared = frozenset(name for s in declarations if isinstance(s, ast.Global) for name in s.names)
        return cls("function", names, declared, outer)

    def find(self, name: str, *, through: bool = False) -> tuple[Binding, ...] | None:
        """What a name is bound to by imports, nothing for other local ones; None for the module's names."""
        if name in self.declared:
            return None
        if name in self.names and not (through and self.kind == "class"):
            return self.names[name]
        through = through or self.kind == "function"
        return None if self.outer is None else self.outer.find(name, through=through)


def dotted(node: ast.AST) -> Chain:
    """The parts of ``package.lib.go``; nothing for what is no dotted name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (node.id, *reversed(parts)) if isinstance(node, ast.Name) else ()


def _base(node: ast.AST) -> Chain:
    """The dotted name at the beginning of ``table["k"].rows[0]``."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        if chain := dotted(node):
            return chain
        node = node.value
    return dotted(node)


class _Reader:
    """Walks a statement, and notes which of its module's names it uses."""

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self.later = False
        self.unused = False  # whether nothing is made of the value of the expression under way

    def note(self, kind: Kind, chain: Chain, scope: _Scope | None) -> None:
        """Note a dotted name, unless it is a local one."""
        bindings = None if scope is None or not chain else scope.find(chain[0])
        if chain and (bindings is None or bindings):
            self.uses.append(Use(kind, chain, bindings or (), self.later))

    def visit(self, node: ast.AST, scope: _Scope | None, *, decorators: bool = True) -> None:
        """Note what is used below a node."""
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() if (
                decorators and node.decorator_list
            ):
                for decorator in node.decorator_list:
                    self.decorator(decorator, scope)
                self.visit(node, scope, decorators=False)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                self.function(node, scope)
            case ast.ClassDef():
                self.all([*node.bases, *node.keywords], scope)
                self.all(node.body, _Scope.of(node, scope))
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self.all(ast.iter_child_nodes(node), _Scope.of(node, scope))
            case ast.Expr():
                self.unused = True
                self.visit(node.value, scope)
                self.unused = False
            case ast.AnnAssign():
                is_field = scope is not None and scope.kind == "class" and node.value is None
                self.all([node.target, *filter(None, [node.annotation if is_field else node.value])], scope)
            case ast.Call():
                self.call(node, scope)
            case ast.Name() | ast.Attribute() | ast.Subscript():
                self.name(node, scope)
            case _:
                self.all(ast.iter_child_nodes(node), scope)

    def all(self, nodes: Iterable[ast.AST], scope: _Scope | None) -> None:
        """Visit several."""
        for node in nodes:
            self.visit(node, scope)

    def function(self, node: _Function, scope: _Scope | None) -> None:
        """A function: its defaults now, its body later; annotations are no code."""
        self.all([d for d in (*node.args.defaults, *node.args.kw_defaults) if d is not None], scope)
        before = self.later, self.unused
        self.later, self.unused = True, False
        self.all([node.body] if isinstance(node, ast.Lambda) else node.body, _Scope.of(node, scope))
        self.later, self.unused = before

    def decorator(self, node: ast.expr, scope: _Scope | None) -> None:
        """A decorator is called, and may keep what it gets."""
        if is_space(node):
            return
        chain = dotted(node.func if isinstance(node, ast.Call) else node)
        self.note("calls", chain, scope)
        self.note("changes", chain[:-1], scope)
        self.visit(node, scope)

    def call(self, node: ast.Call, scope: _Scope | None) -> None:
        """A call may change the object whose method it is, and what it is given."""
        chain, arguments = dotted(node.func), [*node.args, *(keyword.value for keyword in node.keywords)]
        if chain in (("setattr",), ("delattr",), ("vars",)) and arguments:
            name = arguments[1] if len(arguments) > 1 else None
            part = name.value if isinstance(name, ast.Constant) else None
            self.note("changes", (*_base(arguments[0]), part if isinstance(part, str) else "__dict__"), scope)
        elif self.unused or (isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING):
            self.note("changes", chain[:-1] or _base(node.func), scope)
            is_builtin = len(chain) == 1 and hasattr(builtins, chain[0])
            for argument in arguments if self.unused and not is_builtin else ():
                self.note("passes", dotted(argument), scope)
        self.note("calls", chain, scope)
        if chain[-1:] == ("getenv",) or chain[-2:] == ("environ", "get"):
            self.key(
                chain if chain[-1] == "getenv" else chain[:-1], arguments[0] if arguments else None, scope
            )
        self.all([node.func, *arguments], scope)

    def key(self, chain: Chain, node: ast.AST | None, scope: _Scope | None) -> None:
        """A variable of the environment counts as a part of it."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.note("reads", (*chain, node.value), scope)

    def name(self, node: ast.Name | ast.Attribute | ast.Subscript, scope: _Scope | None) -> None:
        """A name, or what belongs to one."""
        chain = dotted(node)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            self.note("binds", chain, scope)
            return
        if not isinstance(node.ctx, ast.Load):
            self.note("changes", chain or _base(node), scope)
        elif isinstance(node, ast.Subscript) and dotted(node.value)[-1:] == ("environ",):
            self.key(dotted(node.value), node.slice, scope)
        self.note("reads", chain, scope)
        if not chain:
            self.all(ast.iter_child_nodes(node), scope)


def uses(statement: ast.stmt) -> tuple[Use, ...]:
    """The names of its module that a statement uses, its decorators aside."""
    reader = _Reader()
    reader.visit(statement, None, decorators=False)
    return tuple(dict.fromkeys(reader.uses))


def uses_of_decorator(decorator: ast.expr) -> tuple[Use, ...]:
    """The names of its module that a decorator uses."""
    reader = _Reader()
    reader.decorator(decorator, None)
    return tuple(dict.fromkeys(reader.uses))


def names_in(decorator: ast.expr) -> list[str]:
    """The attributes of ``@simkit.product(…).where(…)`` from its end on, then the name that it begins with."""
    match decorator:
        case ast.Name(id=name):
            return [name]
        case ast.Attribute(value=inner, attr=name):
            return [name, *names_in(inner)]
        case ast.Call(func=inner) | ast.BinOp(left=inner):
            return names_in(inner)
    return [""]


def is_space(decorator: ast.expr) -> bool:
    """Whether a decorator says which points to visit, or what is followed: that is no part of the code."""
    return not SPACES.isdisjoint(names_in(decorator))
