"""What one run may take, and how often it may try."""

from __future__ import annotations

import re
from typing import Any

import attrs

from simkit.errors import SimkitError

_SECONDS = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_BYTES = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}


@attrs.frozen
class Limits:
    """An experiment's limits.

    Attributes
    ----------
    timeout
        Seconds that a run may take; None is no limit.
    retries
        How often a run that is not done is tried again.
    memory
        Bytes of address space that a worker may have.
    nice
        How much a worker lowers its priority.
    """

    timeout: float | None = None
    retries: int = 0
    memory: int | None = None
    nice: int = 0


def seconds(value: Any, where: str) -> float:
    """``"10min"``, ``"1.5 h"``, ``90`` as seconds."""
    return _quantity(value, _SECONDS, f"{where}: write a duration as 90, '90s', '10min' or '2h'")


def nbytes(value: Any, where: str) -> int:
    """``"4 GB"``, ``"500 MB"``, ``1_000_000`` as bytes."""
    return int(_quantity(value, _BYTES, f"{where}: write an amount of memory as '500 MB' or '4 GB'"))


def _quantity(value: Any, units: dict[str, int], problem: str) -> float:
    match = re.fullmatch(r"\s*([0-9_]*\.?[0-9]+(?:e[0-9]+)?)\s*([a-z]*)\s*", str(value).lower())
    if isinstance(value, bool) or match is None or match[2] not in units or float(match[1]) <= 0:
        msg = f"{problem}, not {value!r}"
        raise SimkitError(msg)
    return float(match[1]) * units[match[2]]


def limits(timeout: Any, retries: Any, memory: Any, nice: Any, where: str) -> Limits:
    """The checked limits of an experiment."""
    for name, number in (("retries", retries), ("nice", nice)):
        if type(number) is not int or number < 0:
            msg = f"{where}: {name}={number!r}: give a whole number from 0 on"
            raise SimkitError(msg)
    return Limits(
        None if timeout is None else seconds(timeout, f"{where}: timeout={timeout!r}"),
        retries,
        None if memory is None else nbytes(memory, f"{where}: memory={memory!r}"),
        nice,
    )
