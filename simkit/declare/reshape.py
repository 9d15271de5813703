"""A declared space with its axes replaced, as the command line asks for."""

from __future__ import annotations

from typing import Any

import attrs

from simkit.declare.axes import from_list
from simkit.declare.forms import Form, Kept, Plus, Repeat, Taken, Times, Zip, times
from simkit.declare.space import Space, checked
from simkit.errors import SimkitError


def with_axis(space: Space, name: str, values: list[Any]) -> Space:
    """The space with this axis replaced, or multiplied by it where the name is new (fastest).

    Raises
    ------
    SimkitError
        When the name moves together with others.
    """
    axis = Zip({checked(name): from_list(values)}, len(values))
    if name in space.names:
        return Space(_replaced(space.form, name, axis))
    return Space(times((space.form, axis)) if space.names else axis)


def with_trials(space: Space, count: int) -> Space:
    """The space with this many trials per point, whatever it declared."""
    return Space(space.form.inner if isinstance(space.form, Repeat) else space.form).repeat(count)


def first_value(space: Space, name: str) -> Any:
    """An example of a name's values, or None."""
    return space[0].get(name) if name in space.names and len(space) else None


def _replaced(form: Form, name: str, axis: Zip) -> Form:
    match form:
        case Zip() if form.names == (name,):
            return axis
        case Zip() | Taken() if name in form.names:
            others = ", ".join(other for other in form.names if other != name)
            msg = f"--product {name}=…: {name!r} moves together with {others}: use --explore for all of them"
            raise SimkitError(msg)
        case Times():
            return times(tuple(_replaced(part, name, axis) for part in form.parts))
        case Plus():
            return attrs.evolve(
                form, first=_replaced(form.first, name, axis), second=_replaced(form.second, name, axis)
            )
        case Repeat():
            return attrs.evolve(form, inner=_replaced(form.inner, name, axis))
        case Kept():
            return Kept(_replaced(form.inner, name, axis), form.test, form.where)
    return form
