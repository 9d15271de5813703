"""Examples of every type that a trajectory keeps: the table that the conformance suites go through.

A kind is a list of values that stand under one name in different runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from storable import EXAMPLES

from kinds.instances import CLASSES, INSTANCES
from kinds.matrices import MATRICES
from kinds.numbers_and_arrays import ARRAYS
from kinds.python import NATIVES
from kinds.tables import TABLES
from simkit.values.classes import among, revived

KINDS: dict[str, list[Any]] = {**EXAMPLES, **NATIVES, **ARRAYS, **MATRICES, **TABLES, **INSTANCES}

_FIND = among(CLASSES)


def back(values: Iterable[Any]) -> list[Any]:
    """What was read, with instances put together by their classes again."""
    return [revived(value, _FIND) for value in values]
