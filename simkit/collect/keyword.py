"""Does a node id match ``-k``?"""

from __future__ import annotations

import ast

from simkit.errors import SimkitError


def matches(expression: str, node_id: str) -> bool:
    """Whether words joined by ``and``, ``or``, ``not`` match a node id; a word matches a part, in any case.

    Raises
    ------
    SimkitError
        For anything else than words, parentheses, ``and``, ``or``, ``not``.
    """
    if not expression.strip():
        return True
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError:
        msg = f"-k {expression!r}: write names joined by and, or, not"
        raise SimkitError(msg) from None
    return _value(tree, node_id.lower(), expression)


def _value(node: ast.expr, node_id: str, expression: str) -> bool:
    match node:
        case ast.BoolOp(op=ast.And()):
            return all(_value(part, node_id, expression) for part in node.values)
        case ast.BoolOp():
            return any(_value(part, node_id, expression) for part in node.values)
        case ast.UnaryOp(op=ast.Not()):
            return not _value(node.operand, node_id, expression)
        case ast.Name() | ast.Attribute():
            return ast.unparse(node).lower() in node_id
        case ast.Constant(value=str() as word):
            return word.lower() in node_id
    msg = f"-k {expression!r}: write names joined by and, or, not; quote anything else"
    raise SimkitError(msg)
