"""What runs returned and added, as columns of named results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from simkit.declare.forms import Array
from simkit.declare.run import Run
from simkit.errors import Unstorable
from simkit.values.batch import Status
from simkit.values.columns import Column
from simkit.values.encode import encode, explain
from simkit.values.results import ONE, is_one_result, named_results

Fail = Callable[[int, str], None]


class Rejected(Exception):
    """A run's results can't be kept under the names that it gave them."""


def with_added(returned: Any, run: Run) -> Mapping[str, Any]:
    """What a run returned together with what it added."""
    results, added = named_results(returned), run.results
    if not added:
        return results
    twice = next((name for name in results if name in added), None)
    if twice is not None:
        msg = f"result {twice!r} was added with run.add() and is returned as well: give it once"
        raise Rejected(msg)
    return {**added, **results}


class ResultNames:
    """Which result names may stand beside the parameters; each set of names is checked once."""

    def __init__(self, parameters: Sequence[str]) -> None:
        self.parameters = frozenset(parameters)
        self.approved: set[tuple[str, ...]] = set()

    def check(self, results: Mapping[str, Any]) -> None:
        """Raise `Rejected` for a name that is no name, is taken, or is a leaf and a group at once."""
        names = tuple(results)
        if names in self.approved:
            return
        for name in names:
            self.check_one(name, names)
        self.approved.add(names)

    def check_one(self, name: Any, names: Sequence[str]) -> None:
        """Check one name among all."""
        if not isinstance(name, str):
            msg = f"results are named by strings, not by {name!r}; return {{'table': …}} for a mapping as one result"
            raise Rejected(msg)
        if not all(name.split(".")) or "/" in name or "\0" in name or "@" in name:
            msg = f"{name!r} cannot name a result: use identifiers, joined by dots for groups"
            raise Rejected(msg)
        if name in self.parameters:
            msg = f"result {name!r} has the name of a parameter: give it another name, such as {name + '_end'!r}"
            raise Rejected(msg)
        for other in sorted((*names, *self.parameters), key=lambda known: -len(str(known))):
            if isinstance(other, str) and (other.startswith(name + ".") or name.startswith(other + ".")):
                group, leaf = sorted((name, other), key=len)
                msg = f"{group!r} is a leaf and, through {leaf!r}, a group: a name is one of them"
                raise Rejected(msg)


def as_columns(
    results: list[Mapping[str, Any] | None], fail: Fail, what: str = "result"
) -> dict[str, Column]:
    """One column per name; a run whose results are None has no row in it.

    Parameters
    ----------
    results
        Each run's values by name. A run with a value that can't be kept becomes None here.
    fail
        Called with the position of such a run and the reason.
    """
    first = next((r for r in results if r is not None), None)
    if first is None:
        return {}
    names = first.keys()
    if all(r is not None and r.keys() == names for r in results):
        try:
            return {name: encode([r[name] for r in results]) for name in names}  # type: ignore[index]
        except (Unstorable, RecursionError):
            pass
    _fail_unstorable(results, fail, what)
    every = dict.fromkeys(name for r in results if r is not None for name in r)
    return {name: _sparse(name, results) for name in every}


def _fail_unstorable(results: list[Mapping[str, Any] | None], fail: Fail, what: str) -> None:
    for position, values in enumerate(results):
        causes = (explain(value, f"{what} {name}") for name, value in (values or {}).items())
        cause = next((cause for cause in causes if cause is not None), None)
        if cause is not None:
            fail(position, str(cause))
            results[position] = None


def _sparse(name: str, results: Sequence[Mapping[str, Any] | None]) -> Column:
    rows = [row for row, values in enumerate(results) if values is not None and name in values]
    column = encode([results[row][name] for row in rows])  # type: ignore[index]
    return column if len(rows) == len(results) else column.spread(len(results), np.array(rows))


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


def result_columns(names: ResultNames, out: Outcomes) -> Mapping[str, Column]:
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


def _share_names(names: ResultNames, results: list[dict[str, Any]]) -> bool:
    """Whether all dictionaries have the same approved names: then no run needs a look of its own."""
    first = results[0].keys()
    return tuple(first) in names.approved and all(result.keys() == first for result in results)


def _single_column(names: ResultNames, out: Outcomes) -> Mapping[str, Column]:
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
