"""A batch under way: what each run gave, what became of it, and the columns of its results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from simkit.declare.axes import Array
from simkit.declare.returned import ONE, is_one_result, named_results
from simkit.declare.run import Run
from simkit.errors import Unstorable
from simkit.inject.outcome import Names, Rejected, as_columns, with_added
from simkit.values.columns import Column
from simkit.values.encode import encode
from simkit.values.status import Status

_DONE = int(Status.DONE)  # looking into an enum costs more than a run may


@attrs.define(eq=False)
class Outcomes:
    """A batch under way: what each run gave, and what became of it."""

    runs: list[int]
    results: list[Any]
    started: Array
    seconds: Array
    status: Array
    handles: list[Run] | None
    errors: dict[int, str] = attrs.field(factory=dict)
    marks: list[int] = attrs.field(factory=list)

    executed: int = 0

    def cut(self) -> None:
        """Leave out the runs that were not executed."""
        n = self.executed
        self.runs, self.results, self.started = self.runs[:n], self.results[:n], self.started[:n]
        self.seconds, self.status = self.seconds[:n], self.status[:n]
        self.handles = None if self.handles is None else self.handles[:n]

    def fail(self, position: int, text: str) -> None:
        """Make this run a failed one; the first reason stays."""
        if self.status[position] == _DONE:
            self.status[position] = Status.FAILED
            self.errors[self.runs[position]] = text


def result_columns(names: Names, out: Outcomes) -> Mapping[str, Column]:
    """The columns of the results of all runs that are done."""
    kinds = set(map(type, out.results))
    if len(kinds) == 1 and is_one_result(next(iter(kinds))) and not out.handles and not out.errors:
        return _single_column(names, out)
    if kinds == {dict} and not out.handles and not out.errors and _share_names(names, out.results):
        return as_columns(out.results, out.fail)
    results: list[Mapping[str, Any] | None] = [None] * len(out.runs)
    for position in np.flatnonzero(out.status == _DONE).tolist():
        returned = out.results[position]
        try:
            named = with_added(returned, out.handles[position]) if out.handles else named_results(returned)
            names.check(named)
            results[position] = named
        except Rejected as reason:
            out.fail(position, str(reason))
    return as_columns(results, out.fail)


def _share_names(names: Names, results: list[dict[str, Any]]) -> bool:
    """Whether all dictionaries have the same approved names: then no run needs a look of its own."""
    first = results[0].keys()
    return tuple(first) in names.approved and all(result.keys() == first for result in results)


def _single_column(names: Names, out: Outcomes) -> Mapping[str, Column]:
    """The one result of runs that return a plain value each: no mapping per run is made."""
    try:
        names.check({ONE: None})
        return {ONE: encode(out.results)}
    except (Rejected, Unstorable, RecursionError) as reason:
        if isinstance(reason, Rejected):
            for position in range(len(out.runs)):
                out.fail(position, str(reason))
            return {}
        return as_columns([{ONE: value} for value in out.results], out.fail)
