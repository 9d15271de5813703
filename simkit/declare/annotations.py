"""What an annotation says about a value: its type, comment and unit."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from typing import Annotated, Any

import attrs


@attrs.frozen
class Unit:
    """The unit of a parameter or result: ``Annotated[float, "membrane potential", Unit("mV")]``.

    Parameters
    ----------
    symbol
        As it shall be shown on axes and in tables, such as ``"mV"``.

    Examples
    --------
    >>> from typing import Annotated
    >>> @experiment
    ... def rate(tau: Annotated[float, "membrane time constant", Unit("ms")] = 20.0):
    ...     return {"rate": 1000 / tau}
    >>> simkit.run(rate).describe("tau").unit
    'ms'
    """

    symbol: str


@attrs.frozen
class Note:
    """What is known of a value before it exists."""

    type: Any = None
    comment: str = ""
    unit: str = ""


def note(annotation: Any) -> Note:
    """Read one annotation; ``Annotated`` adds a comment (a string) and a `Unit`."""
    if annotation in (inspect.Parameter.empty, inspect.Signature.empty, None):
        return Note()
    if typing.get_origin(annotation) is not Annotated:
        return Note(annotation)
    kind, *extras = typing.get_args(annotation)
    comment = next((extra for extra in extras if isinstance(extra, str)), "")
    unit = next((extra.symbol for extra in extras if isinstance(extra, Unit)), "")
    return Note(kind, comment, unit)


def notes(thing: Any) -> Mapping[str, Note]:
    """The notes of a function's arguments (and ``return``) or a class's fields.

    Annotations that name what cannot be imported are left as they are: they document, no more.
    """
    try:
        annotations = typing.get_type_hints(thing, include_extras=True)
    except Exception:  # noqa: BLE001 - whatever an annotation's evaluation raises
        annotations = getattr(thing, "__annotations__", {})
    return {name: note(annotation) for name, annotation in annotations.items()}
