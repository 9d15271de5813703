"""Which type does the code expect of a name's values?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from simkit.collect.providers import Level
from simkit.collect.requests import fields, requests
from simkit.declare.annotations import Note, notes


def kind_of(name: str, function: Callable[..., Any], levels: Sequence[Level]) -> Any:
    """The type that a name's values have, as far as the code tells: of an argument, a provider or a field."""
    for request in requests(function):
        if request.name == name and request.kind is not None:
            return request.kind
    group, _, field = name.rpartition(".")
    provider = next((level[group or name] for level in levels if (group or name) in level), None)
    if provider is None:
        return None
    if group and provider.is_group:
        found = fields(provider.thing).get(field)
        return None if found is None else found.kind
    return None if provider.is_group else notes(provider.thing).get("return", Note()).type
