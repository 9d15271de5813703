"""Instances of a user's classes."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from typing import Any, NamedTuple

import attrs
import numpy as np
import pandas as pd

from kinds.python import Access, Colour, Level, Mode


@attrs.frozen
class Spikes:
    t: Any
    source: str = "n"
    _hidden: int = 0
    derived: int = attrs.field(init=False, default=5)


@attrs.define
class Loose:
    a: Any = None


@attrs.define(slots=False)
class Empty:
    pass


@dataclasses.dataclass
class Trace:
    v: Any
    unit: str = "mV"
    inner: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    items: Any
    index: int = 0


class Pair(NamedTuple):
    left: Any
    right: Any = None


Legacy = namedtuple("Legacy", "values cells")

# These are what a nested value may be rebuilt by.
CLASSES = (Spikes, Loose, Empty, Trace, Frozen, Pair, Legacy, Colour, Level, Mode, Access)

# Not at the top of what a run returns: there their fields are results.
INSTANCES: dict[str, list[Any]] = {
    "attrs": [
        [Spikes(np.arange(3.0))],
        [Spikes(np.arange(2.0), "m", 3), Spikes([])],
        [Loose(Loose(1)), Empty()],
    ],
    "dataclass": [[Trace(np.ones(2), inner=Frozen([1, "a"]))], [Frozen({"k": Colour.RED}, 2)]],
    "named tuple": [[Pair(1, Pair("a"))], [Legacy([1], {"x": Level.HIGH})], [Pair(np.arange(2))]],
    "instances in containers": [
        {"a": Spikes(pd.DataFrame({"x": [1.5]})), "b": (Trace(Colour.BLUE), {Frozen((1,)), Frozen("z", 1)})},
        {"a": None, "b": (Trace(Colour.RED), frozenset({Pair(1, 2)}))},
    ],
    "instances in object arrays": [[np.array([Loose(1), None, Colour.RED], object)]],
}
