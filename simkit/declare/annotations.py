"""What an annotation says about a value: its type, comment and unit."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import attrs

from simkit.declare.reflection import is_a, shown
from simkit.errors import SimkitError, caller


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

    symbol: str = attrs.field()

    @symbol.validator
    def _check(self, attribute: Any, symbol: Any) -> None:
        if not is_a(symbol, str):
            msg = f"{caller()}: a unit's symbol is text, as in Unit('mV'), not {shown(symbol)}"
            raise SimkitError(msg)


@attrs.frozen
class Note:
    """What is known of a value before it exists."""

    type: Any = None
    comment: str = ""
    unit: str = ""


def note(annotation: Any) -> Note:
    """Read one annotation; ``Annotated`` adds a comment (a string) and a `Unit`."""
    if annotation is None or annotation is inspect.Parameter.empty:  # which a signature's is, too
        return Note()
    annotation = without_aliases(annotation)
    if typing.get_origin(annotation) is not Annotated:
        return Note(annotation)
    kind, *extras = typing.get_args(annotation)
    inner = note(kind)
    comment = next((extra for extra in extras if is_a(extra, str)), inner.comment)
    unit = next((extra.symbol for extra in extras if is_a(extra, Unit)), inner.unit)
    return Note(inner.type, comment, unit)


def notes(thing: Any) -> Mapping[str, Note]:
    """The notes of a function's arguments (and ``return``) or a class's fields.

    Annotations that name what cannot be imported are left as they are: they document, no more.
    """
    try:
        annotations = typing.get_type_hints(thing, include_extras=True)
    except Exception:  # noqa: BLE001 - whatever an annotation's evaluation raises
        annotations = getattr(thing, "__annotations__", {})
    return {name: note(annotation) for name, annotation in annotations.items()}


def without_aliases(annotation: Any) -> Any:
    """The type that a name stands for which ``type Rate = …`` gave it, as in ``NDArray[np.float32]``."""
    while True:
        alias, given = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
        if type(alias).__name__ != "TypeAliasType":
            return annotation
        annotation = _substituted(alias.__value__, alias.__type_params__, given)


def _substituted(kind: Any, parameters: Sequence[Any], given: Sequence[Any]) -> Any:
    """A type with those given in the place of its parameters; the others have a default."""
    if not all(isinstance(each, TypeVar) for each in parameters):
        return typing.get_origin(kind) or kind
    meant = dict(zip(parameters, given, strict=False))
    wanted = getattr(kind, "__parameters__", ())
    return kind[tuple(meant.get(each, each) for each in wanted)] if wanted else meant.get(kind, kind)
