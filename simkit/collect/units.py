"""Which quantity does a text such as ``20*ms`` mean? Numbers and Brian2's units, nothing else."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from simkit.errors import SimkitError, did_you_mean, nearest

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
}


def is_quantity(kind: Any) -> bool:
    """Whether a type is Brian2's Quantity, without importing Brian2."""
    return getattr(kind, "__module__", "").startswith("brian2.units") and isinstance(kind, type)


@lru_cache(maxsize=1)
def units() -> Mapping[str, Any]:
    """Brian2's units by name: ``mV``, ``ms``, ``nsiemens``."""
    from brian2.units import allunits, stdunits
    from brian2.units.fundamentalunits import Unit

    found = {name: thing for module in (allunits, stdunits) for name, thing in vars(module).items()}
    return {name: thing for name, thing in found.items() if isinstance(thing, Unit)}


def quantity(text: str, name: str, source: str) -> Any:
    """The quantity that a text means.

    Raises
    ------
    SimkitError
        For anything but numbers, units, lists and arithmetic on them.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        msg = f"{source}: {name} is a quantity: write a number and its unit, as in 20*ms"
        raise SimkitError(msg) from None
    try:
        with np.errstate(all="raise"):
            return _value(tree, name, source)
    except SimkitError:
        raise
    except Exception as error:  # noqa: BLE001 - units that do not match, a division by zero
        raise SimkitError(f"{source}: {name}: {error}") from None


def _value(node: ast.expr, name: str, source: str) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=unit):
            if unit not in units():
                hint = did_you_mean(unit, units()) if nearest(unit, units(), 1) else ""
                raise SimkitError(f"{source}: {name}: no unit of Brian2 is called {unit!r}{hint}")
            return units()[unit]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner, name, source)
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return _value(inner, name, source)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _combined(type(op), _value(left, name, source), _value(right, name, source))
        case ast.List(elts=items):
            from brian2.units.fundamentalunits import Quantity

            return Quantity([_value(item, name, source) for item in items])
    msg = (
        f"{source}: {name} is a quantity: write a number and its unit, as in 20*ms, not {ast.unparse(node)!r}"
    )
    raise SimkitError(msg)


def _combined(op: type, left: Any, right: Any) -> Any:
    if op is ast.Pow and (not isinstance(right, (int, float)) or abs(right) > 100):
        msg = f"an exponent is a number up to 100, not {right}"
        raise TypeError(msg)
    return _OPERATORS[op](left, right)
