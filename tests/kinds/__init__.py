"""Examples of every type that a trajectory keeps: the table that the conformance suites go through.

A kind is a list of values that stand under one name in different runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from identity import identical
from storable import EXAMPLES

from kinds.instances import CLASSES as OWN_CLASSES
from kinds.instances import INSTANCES
from kinds.libraries import EXTENDED_CLASSES, LIBRARIES
from kinds.matrices import MATRICES
from kinds.numbers_and_arrays import ARRAYS
from kinds.python import NATIVES
from kinds.tables import TABLES
from simkit.testing import codecs
from simkit.testing.codecs import Examples, is_kept_by_a_study
from simkit.values.instances import among, revived

KINDS: dict[str, list[Any]] = {
    **EXAMPLES,
    **NATIVES,
    **ARRAYS,
    **MATRICES,
    **TABLES,
    **INSTANCES,
    **LIBRARIES,
}
CLASSES = [*OWN_CLASSES, *EXTENDED_CLASSES]

_FIND = among(CLASSES)


def back(values: Iterable[Any]) -> list[Any]:
    """What was read, with instances put together by their classes again."""
    return [revived(value, _FIND) for value in values]


# All of a kind's checks; studies of all kinds together are in tests/record/columns/test_layout.py.
CHECKS = pytest.mark.parametrize(
    "check",
    [check for check in codecs.CHECKS if check is not is_kept_by_a_study],
    ids=lambda check: check.__name__,
)


def conform(check: Callable[[Examples], None], values: list[Any]) -> None:
    """Check values of one kind, by the strict comparison of these tests."""
    check(Examples(values, identical, CLASSES))


# How a kind is called where a name must be an identifier; what is in a list of all sorts is not there again.
# NumPy's pickling, by which a worker sends its columns, makes times of the other byte order this machine's.
_LISTED = ("frame: ", "array: ", "column: ", "index: ", "series: ", "scalar: ", "big-endian times")
NAMES = {kind: f"k_{j}" for j, kind in enumerate(KINDS) if not kind.startswith(_LISTED)}


# Generators at module level, as these are, draw other numbers in each run (tests/inject/test_generators.py).
SEEDED = {"generator", "RandomState", "random.Random", "SeedSequence"}


def nth(kind: str, i: int) -> Any:
    """A kind's value in run i: they take turns."""
    return KINDS[kind][i % len(KINDS[kind])]


def is_there(kind: str, i: int) -> bool:
    """Whether run i has a result of this kind; each is missing in some runs."""
    return bool((i + len(kind)) % 4)
