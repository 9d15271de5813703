"""Which values does a function or class ask for?"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

import attrs

from simkit.declare.annotations import Note, notes
from simkit.errors import location

MISSING: Final = inspect.Parameter.empty


@attrs.frozen(eq=False)
class Request:
    """One argument: its name, default (or `MISSING`) and annotation."""

    name: str
    default: Any
    note: Note
    keyword: bool = False

    @property
    def kind(self) -> Any:
        """The type that a value from outside is converted to."""
        return self.note.type if self.default is MISSING or self.default is None else type(self.default)


@attrs.frozen
class Requester:
    """Who asks, for messages and to find cycles."""

    key: str
    words: str
    where: str

    def __str__(self) -> str:
        return f"{self.words} ({self.where})"


def requests(function: Callable[..., Any]) -> list[Request]:
    """The injectable arguments of a function, in order; ``*args`` and ``**kwargs`` receive nothing."""
    known = notes(function)
    kinds = inspect.Parameter
    return [
        Request(p.name, p.default, known.get(p.name, Note()), p.kind is kinds.KEYWORD_ONLY)
        for p in inspect.signature(function).parameters.values()
        if p.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
    ]


def fields(group: Any) -> dict[str, Request]:
    """The fields of a parameter class that its constructor takes."""
    known = notes(group)
    return {
        field.name: Request(field.name, _default(field), known.get(field.name, Note()), keyword=True)
        for field in attrs.fields(group)
        if field.init
    }


def _default(field: Any) -> Any:
    if field.default is attrs.NOTHING:
        return MISSING
    if hasattr(field.default, "takes_self"):  # an attrs.Factory
        return None if field.default.takes_self else field.default.factory()
    return field.default


def requester(words: str, key: str, thing: Any) -> Requester:
    """Somebody who asks."""
    return Requester(key, f"{words} {key.partition('@')[0]}", location(thing))
