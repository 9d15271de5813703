"""What does an expression like ``"x > 2 and neuron.tau == 7"`` mean?

A small evaluator over Python's own syntax tree, because the alternatives either execute code (``eval``) or know
no dotted names (``DataFrame.eval``). What may be written, and what it means, is a `Vocabulary`: conditions on
columns (`evaluate`) have one, words of ``-k`` and quantities with units have others.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import attrs
import numpy as np

from simkit.declare.operators import FUNCTIONS, OF_COLUMNS, unknown_where
from simkit.declare.reflection import shown
from simkit.errors import SimkitError, did_you_mean, listed

SHOWN = 6  # values of an axis that is written out

_BINDING = (
    "& and | bind tighter than comparisons\n    write `x > 3 and x < 10`, or with parentheses `(x > 3) & (x < 10)`; "
    "bits of whole numbers are compared in a function, where(lambda n: n & 1 == 1)"
)


_JOINING = (ast.Not, ast.Invert, ast.BitAnd, ast.BitOr)


@attrs.frozen
class Vocabulary:
    """What may be written in an expression, and what it means.

    Attributes
    ----------
    operators
        By the operator's class in `ast`, what it makes of its operands; ``and`` and ``or`` get all of theirs
        as one list. A chain of comparisons is joined with ``and``.
    name
        The value of a name, dotted ones included.
    constant
        The value of a number or a text.
    problem
        The error that says what is wrong.
    sequence
        The value of a list or tuple of values; None where there are none.
    functions
        What may be called, by name.
    absent
        Where values of a name are absent; there a condition on it is unknown.
    """

    operators: Mapping[type[ast.AST], Callable[..., Any]]
    name: Callable[[str], Any]
    constant: Callable[[Any], Any]
    problem: Callable[[str], SimkitError]
    sequence: Callable[[list[Any]], Any] | None = None
    functions: Mapping[str, Callable[..., Any]] = attrs.field(factory=dict)
    absent: Callable[[str], Any] | None = None

    def read(self, text: str) -> Any:
        """The value of an expression.

        Raises
        ------
        SyntaxError
            Where it is no expression of Python's.
        SimkitError
            For what this vocabulary does not know, and for what can't be computed.
        """
        try:
            return self.truth(ast.parse(text.strip(), mode="eval").body)
        except (ValueError, MemoryError, RecursionError) as error:
            raise SyntaxError(str(error) or "it is too large") from None

    def truth(self, node: ast.expr) -> Any:
        """The value of a whole condition, or of one that others are joined with."""
        value = self.value(node)
        if (
            self.absent is None
            or isinstance(node, ast.BoolOp)
            or isinstance(getattr(node, "op", None), _JOINING)
        ):
            return value
        lacking = [self.absent(name) for name in _names_in(node)]
        return unknown_where(value, np.any(lacking, axis=0)) if lacking else value

    def value(self, node: ast.expr) -> Any:
        """The value of one part of the expression."""
        match node:
            case ast.Constant():
                return self.apply(self.constant, node, node.value)
            case ast.Name() | ast.Attribute(value=ast.Name() | ast.Attribute()):
                return self.name(ast.unparse(node))
            case ast.List() | ast.Tuple() if self.sequence is not None:
                return self.apply(self.sequence, node, [self.value(item) for item in node.elts])
            case ast.BoolOp() if type(node.op) in self.operators:
                return self.apply(self.operators[type(node.op)], node, [self.truth(v) for v in node.values])
            case ast.UnaryOp() | ast.BinOp() if type(node.op) in self.operators:
                parts = [node.operand] if isinstance(node, ast.UnaryOp) else [node.left, node.right]
                operands = map(self.truth if isinstance(node.op, _JOINING) else self.value, parts)
                return self.apply(self.operators[type(node.op)], node, *operands)
            case ast.Compare() if all(type(op) in self.operators for op in node.ops):
                return self.compared(node)
            case ast.Call(func=ast.Name(id=name), keywords=[]) if name in self.functions:
                return self.apply(self.functions[name], node, *map(self.value, node.args))
        raise self.problem(f"cannot understand {ast.unparse(node)!r}")

    def compared(self, node: ast.Compare) -> Any:
        """The value of ``a < b <= c``."""
        operands = (node.left, *node.comparators)
        if any(
            isinstance(part, ast.BinOp) and isinstance(part.op, ast.BitAnd | ast.BitOr) for part in operands
        ):
            raise self.problem(_BINDING)
        values = [self.value(part) for part in operands]
        steps = zip(node.ops, values, values[1:], strict=False)
        return self.operators[ast.And](
            [self.apply(self.operators[type(op)], node, left, right) for op, left, right in steps]
        )

    def apply(self, function: Callable[..., Any], node: ast.expr, *operands: Any) -> Any:
        """What a function makes of these operands; where it can't, the message quotes the part."""
        try:
            return function(*operands)
        except SimkitError:
            raise
        except Exception as error:  # noqa: BLE001 - values of the user's own types may raise anything
            verb = "compare in" if isinstance(node, ast.Compare) else "compute"
            raise self.problem(f"cannot {verb} {ast.unparse(node)!r}: {error}") from None


def names_of(text: str) -> list[str]:
    """The names in an expression, dotted ones as a whole; none where it can't be read."""
    try:
        return _names_in(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []


def _names_in(whole: ast.AST) -> list[str]:
    waiting: list[ast.AST] = [whole]
    found: dict[str, None] = {}
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Name | ast.Attribute):
            found[ast.unparse(node)] = None
        elif isinstance(node, ast.Call):
            waiting[:0] = node.args
        else:
            waiting[:0] = ast.iter_child_nodes(node)
    return list(found)


def _constants_beside(text: str) -> Iterator[tuple[str, Any]]:
    """The names that are compared, each with a constant that it is compared with, alone or in a list."""
    for node in ast.walk(ast.parse(text.strip(), mode="eval")):
        if isinstance(node, ast.Compare):
            operands = (node.left, *node.comparators)
            constants = [
                part.value for item in operands for part in ast.walk(item) if isinstance(part, ast.Constant)
            ]
            compared = [ast.unparse(part) for part in operands if isinstance(part, ast.Name | ast.Attribute)]
            yield from ((name, constant) for name in compared for constant in constants)


def _is_none_nowhere(column: Any, absent: Any) -> bool:
    """Whether a column has values, and none of them is None."""
    there = np.asarray(column)[~np.asarray(absent)]
    return len(there) > 0 and not any(value is None for value in there.flat)


def compared_floats(text: str) -> Iterator[tuple[str, float]]:
    """The names that a condition compares with a float by ``==``, each with that float."""
    for node in ast.walk(ast.parse(text.strip(), mode="eval")):
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
            sides = (node.left, node.comparators[0])
            for one, other in (sides, sides[::-1]):
                if (
                    isinstance(one, ast.Name | ast.Attribute)
                    and isinstance(other, ast.Constant)
                    and type(other.value) is float
                ):
                    yield ast.unparse(one), other.value


def evaluate(
    text: str,
    names: Iterable[str],
    column: Callable[[str], Any],
    where: str,
    functions: Mapping[str, Callable[..., Any]] = FUNCTIONS,
    closed: Mapping[str, Sequence[str]] = MappingProxyType({}),
    absent: Callable[[str], Any] | None = None,
) -> Any:
    """The condition's value: a boolean array, or one boolean where it names no column.

    A comparison with a value that is absent is neither true nor false: there the array is masked.

    Parameters
    ----------
    text
        Comparisons, ``and or not in``, arithmetic, lists and a few functions of columns.
    names
        The names that may be used, dotted ones included.
    column
        Gives the column of a name, shape ``(n,)``.
    where
        What a message starts with: the place in the user's code, or the option.
    functions
        What may be called, by name.
    closed
        The words that a column may hold, by name, where no others are possible.
    absent
        Gives where a name's values are absent, shape ``(n,)``.

    Raises
    ------
    SimkitError
        For a syntax error, an unknown name, or syntax outside of this small language.
    """
    known = names if isinstance(names, Collection) else tuple(names)

    def problem(what: str) -> SimkitError:
        return SimkitError(f"{where}: the condition {text!r}: {what}")

    def named(name: str) -> Any:
        if name not in known:
            hint = "; write isnan(x)" if name == "nan" else did_you_mean(name, known)
            raise problem(f"unknown name {name!r}{hint}\n    available: {listed(name, tuple(known))}")
        return column(name)

    def finite(value: Any) -> Any:
        if isinstance(value, float | complex) and not np.isfinite(value):
            raise problem("a number in it is beyond what a float can hold")
        return value

    words = Vocabulary(OF_COLUMNS, named, finite, problem, list, functions, absent)
    try:
        with np.errstate(divide="ignore", invalid="ignore"):  # what is absent is zero, perhaps
            result = words.read(text)
    except SyntaxError as error:
        hint = "; compare with ==" if re.search(r"[^=<>!]=[^=]", text) else ""
        msg = f"{where}: cannot read the condition {text!r}: {error.msg}{hint}"
        raise SimkitError(msg) from None
    for name, constant in _constants_beside(text):
        if isinstance(constant, str) and constant not in closed.get(name, (constant,)):
            raise problem(
                f"no {name} is called {constant!r}{did_you_mean(constant, closed[name])}\n    there are: "
                f"{', '.join(closed[name])}"
            )
        if constant is None and absent is not None and _is_none_nowhere(column(name), absent(name)):
            raise problem(
                f"no value of {name} is None; what is absent has no value: no condition on it is true"
            )
    _check_condition(result, text, where, problem)
    return result


def _check_condition(result: Any, text: str, where: str, problem: Callable[[str], SimkitError]) -> None:
    if isinstance(result, list):
        raise problem("a list is no condition; one of several values is written x in [1, 2]")
    if np.asarray(result).dtype != bool:
        msg = f"{where}: {text!r} is no condition: it gives {np.asarray(result).dtype}, not true or false"
        raise SimkitError(msg)


def arguments_of(test: Callable[..., Any], names: tuple[str, ...], where: str) -> list[str]:
    """The names that a function of where() takes."""
    try:
        parameters = inspect.signature(test).parameters.values()
    except (TypeError, ValueError):
        msg = f"{where}: where() takes a condition as text, or a function of the names, not {word(test)}"
        raise SimkitError(msg) from None
    empty = inspect.Parameter.empty  # `lambda x, k=k: x < k` brings a value of its own
    wanted = [p.name for p in parameters if p.default is empty or p.name in names]
    for name in wanted:
        if name not in names:
            msg = (
                f"{where}: where() asks for {name!r}, which is not explored\n    explored: {', '.join(names)}"
            )
            raise SimkitError(msg)
    return wanted


def word(value: Any) -> str:
    """A value in some characters, the same in each process."""
    with np.printoptions(legacy="1.25", threshold=SHOWN, edgeitems=2):  # 2.0 rather than np.float64(2.0)
        text = " ".join(shown(value).split())  # an integer of more than 4,300 digits has none
    return text if len(text) <= 60 and " at 0x" not in text else f"<{type(value).__name__}>"
