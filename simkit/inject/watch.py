"""The first run is watched for what its author may not know of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from simkit.collect.plan import Plan
from simkit.inject.provide import is_copied
from simkit.values.columns import Column
from simkit.values.compare import same

LARGE = 64 << 20  # bytes of one run's results


Warned = tuple[str, str]  # the name that silences it, none for a remark, and the text


class Watch:
    """Compares what the first run was given with what it left."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.changed: dict[str, None] = {}  # the parameters that a run changed in place

    def compare(self, passed: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Parameters that the experiment changed in place: it has copies, so the change is lost.

        Parameters
        ----------
        passed
            What it was called with.
        environment
            The values that these are copies of.
        """
        for key, value in passed.items():
            if is_copied(value) and not same(value, environment[key]):
                self.changed[self.plan.nodes[key].name] = None

    def warnings(self, results: Mapping[str, Column], drawn: Sequence[str]) -> tuple[Warned, ...]:
        """What the run did that its author may not know of.

        Parameters
        ----------
        drawn
            The generators that it drew from, besides ``rng``.
        """
        return (*_seeded(drawn), *_mutated(self.changed), *_large(results))


def _mutated(names: Iterable[str]) -> Iterable[Warned]:
    for name in names:
        text = f"a run changed its parameter {name!r} in place; each run has its own copy, "
        yield "mutated_parameter", text + "so what is recorded is the value before"


def _seeded(drawn: Sequence[str]) -> Iterable[Warned]:
    """A remark, no warning: nothing is wrong."""
    if drawn:
        yield "", f"seeded for each run from its seed: {', '.join(drawn)}"


def _large(columns: Mapping[str, Column]) -> Iterable[Warned]:
    for name, column in columns.items():
        size = column.nbytes
        if size > LARGE:
            yield (
                "large_return",
                f"result {name!r} of one run takes {size / 1e6:.0f} MB; run.append() records a series bit by bit",
            )
