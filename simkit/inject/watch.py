"""Global random streams are seeded for each run; the first run is watched for what goes wrong silently."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from simkit.collect.code import BRIAN2, NUMPY, RANDOM
from simkit.collect.plan import Plan
from simkit.inject.provide import is_copied
from simkit.values.columns import Column
from simkit.values.compare import same

LARGE = 64 << 20  # bytes of one run's results


Warned = tuple[str, str]  # the name that silences it, and the text


def seed_globals(streams: Iterable[str], seed: int) -> None:
    """Seed the global generators that the project's code uses."""
    if RANDOM in streams:
        random.seed(seed)
    if NUMPY in streams:
        np.random.seed([seed & 0xFFFFFFFF, seed >> 32])
    if BRIAN2 in streams and "brian2" in sys.modules:
        sys.modules["brian2"].seed(seed & 0xFFFFFFFF)


class Watch:
    """Compares what is global before and after the first run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.before: dict[str, int] = {}
        self.passed: Mapping[str, Any] = {}  # what the experiment was called with
        self.environment: Mapping[str, Any] = {}  # the values that these are copies of

    def begin(self) -> None:
        """The first run is about to start."""
        self.before = _states()

    def warnings(self, results: Mapping[str, Column]) -> tuple[Warned, ...]:
        """What the run did that its author may not know of."""
        return (*self.moved(), *self.mutated(), *_large(results))

    def moved(self) -> Iterable[Warned]:
        """Global streams that were drawn from although the code that was looked at does not name them."""
        after = _states()
        seeded = {*self.plan.streams, *([NUMPY] if BRIAN2 in self.plan.streams else [])}  # Brian2 seeds both
        for name, state in self.before.items():
            if name not in seeded and after[name] != state:
                text = f"a run drew from the global generator of {name}, which is not seeded for it: "
                yield "unseeded_random", text + "its results can't be repeated; use the argument rng instead"

    def mutated(self) -> Iterable[Warned]:
        """Parameters that the experiment changed in place: it has copies, so the change is lost."""
        for key, value in self.passed.items():
            if is_copied(value) and not same(value, self.environment[key]):
                name = self.plan.nodes[key].name
                text = f"a run changed its parameter {name!r} in place; each run has its own copy, "
                yield "mutated_parameter", text + "so what is recorded is the value before"


def _states() -> dict[str, int]:
    legacy = np.random.get_state(legacy=False)
    return {RANDOM: hash(random.getstate()), NUMPY: hash(repr(legacy["state"]) + str(legacy["gauss"]))}


def _large(columns: Mapping[str, Column]) -> Iterable[Warned]:
    for name, column in columns.items():
        size = column.nbytes
        if size > LARGE:
            yield (
                "large_return",
                f"result {name!r} of one run takes {size / 1e6:.0f} MB; run.append() records a series bit by bit",
            )
