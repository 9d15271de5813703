"""Which points does a condition like ``"x > 2 and neuron.tau == 7"`` select?

A small evaluator over Python's own syntax tree, because the alternatives either execute code
(``eval``) or know no dotted names (``DataFrame.eval``). Everything works on whole columns.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import numpy as np

from simkit.errors import SimkitError, did_you_mean, listed

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitAnd: np.logical_and,
    ast.BitOr: np.logical_or,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: np.logical_not,
    ast.Invert: np.logical_not,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "round": np.round,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "log10": np.log10,
    "sin": np.sin,
    "cos": np.cos,
    "isnan": np.isnan,
    "isfinite": np.isfinite,
}


def evaluate(text: str, names: Iterable[str], column: Callable[[str], Any], where: str) -> Any:
    """The condition's value: a boolean array, or one boolean where it names no column.

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

    Raises
    ------
    SimkitError
        For a syntax error, an unknown name, or syntax outside of this small language.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        hint = "; compare with ==" if re.search(r"[^=<>!]=[^=]", text) else ""
        msg = f"{where}: cannot read the condition {text!r}: {error.msg}{hint}"
        raise SimkitError(msg) from None
    result = _Evaluation(text, tuple(names), column, where).value(tree)
    if np.asarray(result).dtype != bool:
        msg = f"{where}: {text!r} is no condition: it gives {np.asarray(result).dtype}, not true or false"
        raise SimkitError(msg)
    return result


@attrs.frozen
class _Evaluation:
    text: str
    names: tuple[str, ...]
    column: Callable[[str], Any]
    where: str

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name() | ast.Attribute():
                return self.named(node)
            case ast.List() | ast.Tuple():
                return [self.value(item) for item in node.elts]
            case ast.BoolOp():
                join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
                parts = [self.truth(part) for part in node.values]
                return join.reduce(np.broadcast_arrays(*parts))
            case ast.UnaryOp():
                return self.apply(_UNARY[type(node.op)], node, node.operand)
            case ast.BinOp() if type(node.op) in _BINARY:
                return self.apply(_BINARY[type(node.op)], node, node.left, node.right)
            case ast.Compare():
                return self.compared(node)
            case ast.Call(func=ast.Name(id=name), keywords=[]) if name in _FUNCTIONS:
                return self.apply(_FUNCTIONS[name], node, *node.args)
        raise self.error(f"cannot understand {ast.unparse(node)!r}")

    def truth(self, node: ast.expr) -> Any:
        """A part of ``and`` and ``or``."""
        value = np.asarray(self.value(node))
        if value.dtype.kind not in "biuf":
            raise self.error(f"{ast.unparse(node)!r} is no condition")
        return value.astype(bool)

    def apply(self, function: Callable[..., Any], node: ast.expr, *operands: ast.expr) -> Any:
        values = [self.value(operand) for operand in operands]
        try:
            return function(*values)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise self.error(f"cannot compute {ast.unparse(node)!r}: {error}") from None

    def named(self, node: ast.expr) -> Any:
        name = ast.unparse(node)
        if name not in self.names:
            hint = did_you_mean(name, self.names)
            raise self.error(f"unknown name {name!r}{hint}\n    available: {listed(name, self.names)}")
        return self.column(name)

    def compared(self, node: ast.Compare) -> Any:
        values = [self.value(part) for part in (node.left, *node.comparators)]
        steps = zip(node.ops, values, values[1:], strict=False)
        verdicts = [self.verdict(op, left, right, node) for op, left, right in steps]
        return np.logical_and.reduce(np.broadcast_arrays(*verdicts))

    def verdict(self, op: ast.cmpop, left: Any, right: Any, node: ast.expr) -> Any:
        try:
            if isinstance(op, (ast.In, ast.NotIn)):
                inside = np.any([np.asarray(left == item, bool) for item in right], axis=0)
                return inside if isinstance(op, ast.In) else np.logical_not(inside)
            if isinstance(op, (ast.Is, ast.IsNot)):
                raise self.error(f"cannot understand {ast.unparse(node)!r}")
            return np.asarray(_COMPARE[type(op)](left, right), bool)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise self.error(f"cannot compare in {ast.unparse(node)!r}: {error}") from None

    def error(self, what: str) -> SimkitError:
        return SimkitError(f"{self.where}: the condition {self.text!r}: {what}")
