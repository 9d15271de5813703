"""What a function gets to see of a parameter: arrays read-only, lists and dictionaries as copies."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from simkit.collect.groups import group_fields, is_group

_COPIED = (list, dict, set)


def protected(value: Any) -> Any:
    """The value with its arrays read-only; a group's array fields too."""
    if isinstance(value, np.ndarray) and value.flags.writeable:
        view = value.view()
        view.flags.writeable = False
        return view
    if is_group(value):
        for name, field in group_fields(value).items():
            shielded = protected(field)
            if shielded is not field:
                object.__setattr__(value, name, shielded)
    return value


def is_copied(value: Any) -> bool:
    """Whether each function gets a copy of its own: of lists, dictionaries, and what holds them or arrays."""
    if isinstance(value, tuple):
        return any(isinstance(item, np.ndarray) or is_copied(item) for item in value)
    if is_group(value):
        return any(map(is_copied, group_fields(value).values()))
    return isinstance(value, _COPIED)


def given(value: Any) -> Any:
    """What to pass for a parameter's value."""
    return copy.deepcopy(value) if is_copied(value) else value
