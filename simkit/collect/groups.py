"""Parameter groups as the named leaves that are recorded."""

from __future__ import annotations

from typing import Any

import attrs

from simkit.declare.annotations import Note, notes
from simkit.declare.tags import tag_of


def is_group(value: Any) -> bool:
    """Whether a value is an instance of a ``@parameter`` class."""
    tag = tag_of(type(value))
    return tag is not None and tag.kind == "parameter"


def group_fields(group: Any) -> dict[str, Any]:
    """A group's values by field."""
    return {field.name: getattr(group, field.name) for field in attrs.fields(type(group))}


def leaves(name: str, value: Any) -> dict[str, Any]:
    """What is recorded for a parameter: itself, or the fields of a group by dotted name, nested ones too."""
    if not is_group(value):
        return {name: value}
    found: dict[str, Any] = {}
    for field, inner in group_fields(value).items():
        found.update(leaves(f"{name}.{field}", inner))
    return found


def leaf_notes(name: str, value: Any) -> dict[str, Note]:
    """The comments and units of a group's leaves."""
    if not is_group(value):
        return {}
    known = notes(type(value))
    found: dict[str, Note] = {}
    for field, inner in group_fields(value).items():
        found[f"{name}.{field}"] = known.get(field, Note())
        found.update(leaf_notes(f"{name}.{field}", inner))
    return found


def fields_depend(group: Any) -> bool:
    """Whether some fields of a group are computed from others when it is made."""
    by_self = (getattr(field.default, "takes_self", False) for field in attrs.fields(group))
    return hasattr(group, "__attrs_post_init__") or any(by_self)
