"""What a function gets to see of a parameter: arrays read-only, lists and dictionaries as copies."""

from __future__ import annotations

import collections
import copy
import dataclasses
from typing import Any

import attrs
import numpy as np

from simkit.collect.groups import group_fields, is_group

_COPIED = (list, dict, set, bytearray, collections.deque)
_LIBRARIES = ("pandas", "scipy", "xarray")  # their tables and matrices can be changed in place


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
    """Whether each function gets a copy of its own: of lists, dictionaries, tables, and what holds them or arrays."""
    if isinstance(value, tuple):
        return any(isinstance(item, np.ndarray) or is_copied(item) for item in value)
    if is_group(value):
        return any(map(is_copied, group_fields(value).values()))
    if isinstance(value, _COPIED) or type(value).__module__.partition(".")[0] in _LIBRARIES:
        return True
    return attrs.has(type(value)) or dataclasses.is_dataclass(value)


def given(value: Any) -> Any:
    """What to pass for a parameter's value."""
    return copy.deepcopy(value) if is_copied(value) else value
