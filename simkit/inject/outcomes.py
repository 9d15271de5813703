"""What runs returned and added, as columns of named results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import attrs
import numpy as np

from simkit.declare.forms import Array
from simkit.declare.reflection import is_a, shown
from simkit.declare.run import Run
from simkit.declare.snapshot import PLAIN
from simkit.declare.workplace import Keepers
from simkit.errors import Unstorable
from simkit.inject.contact import Vault
from simkit.values.alone import OneRun
from simkit.values.batch import Status
from simkit.values.columns import Column
from simkit.values.encode import encode, encode_cells, encode_table, explain, is_plain, storable_part
from simkit.values.results import ONE, is_one_result, named_results

Fail = Callable[[int, str], None]
Adder = Callable[[Any], bool]


def with_added(returned: Mapping[str, Any], added: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """What a run returned together with what it added, and what is wrong with that."""
    if not added:
        return returned, ""
    twice = next((name for name in returned if name in added), None)
    if twice is None:
        return {**added, **returned}, ""
    return {**returned, **added}, (
        f"result {twice!r} was added with run.add() and is returned as well: give it once"
    )


class ResultNames:
    """Which result names may stand beside the parameters; each set of names is checked once."""

    def __init__(self, parameters: Sequence[str]) -> None:
        self.parameters = frozenset(parameters)
        self.groups = {group: name for name in parameters for group in _groups_of(name)}
        self.approved: set[tuple[str, ...]] = set()

    def kept(self, results: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
        """The results whose names can stand, and why the first of the others can't."""
        names = tuple(results)
        if names in self.approved:
            return results, ""
        problems: dict[Any, str] = {}
        leaves: set[str] = set()
        groups: dict[str, str] = {}  # with a name that makes each one
        for name in names:
            problem = self.problem(name, leaves, groups)
            if problem:
                problems[name] = problem
                continue
            leaves.add(name)
            groups.update(dict.fromkeys(_groups_of(name), name))
        if problems:
            return {name: results[name] for name in names if name not in problems}, next(
                iter(problems.values())
            )
        self.approved.add(names)
        return results, ""

    def problem(self, name: Any, leaves: Container[str], groups: Mapping[str, str]) -> str:
        """Why this is no name for a result beside those that are there, or nothing."""
        if not is_a(name, str):
            mapping = "return {'table': …} for a mapping as one result"
            return f"results are named by strings, not by {shown(name)}; {mapping}"
        if not all(name.split(".")) or not is_plain(name) or "/" in name or "@" in name:
            return f"{name!r} cannot name a result: use identifiers, joined by dots for groups"
        if len(name.encode()) > _LONGEST:
            return f"a result's name takes {len(name.encode()):,} bytes: use at most {_LONGEST:,} ({name[:40]!r}…)"
        if name in self.parameters:
            return f"result {name!r} has the name of a parameter: give it another name, such as {name + '_end'!r}"
        above = next(
            (group for group in reversed(_groups_of(name)) if group in leaves or group in self.parameters),
            None,
        )
        below = groups.get(name) or self.groups.get(name)
        if above is None and below is None:
            return ""
        group, leaf = (above, name) if above is not None else (name, below)
        return f"{group!r} is a leaf and, through {leaf!r}, a group: a name is one of them"


_LONGEST = 4096  # HDF5 keeps a name in a header of 64 kB, with other things


def _groups_of(name: str) -> list[str]:
    """The groups that a dotted name makes: ``a`` and ``a.b`` of ``a.b.c``."""
    parts = name.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))]


def as_columns(
    results: list[Mapping[str, Any] | None], fail: Fail, what: str = "result"
) -> dict[str, Column]:
    """One column per name; a run whose results are None has no row in it.

    Parameters
    ----------
    results
        Each run's values by name, or None.
    fail
        Called with the position of a run with a value that can't be kept, and the reason; its others are.
    """
    first = next((r for r in results if r is not None), None)
    if first is None:
        return {}
    whole = [r for r in results if r is not None]
    columns = _whole_columns(whole) if len(whole) == len(results) else None
    if columns is not None:
        return columns
    storable = [None if r is None else _storable(r, fail, at, what) for at, r in enumerate(results)]
    rows: dict[str, list[int]] = {}
    for row, values in enumerate(storable):
        for name in values or ():
            rows.setdefault(name, []).append(row)
    return {name: _sparse(name, storable, rows[name]) for name in rows}


def _storable(values: Mapping[str, Any], fail: Fail, position: int, what: str) -> Mapping[str, Any]:
    """A run's values without those that can't be kept, for which it is a failed one."""
    causes = {name: explain(value, f"{what} {name}") for name, value in values.items()}
    problems = [str(cause) for cause in causes.values() if cause is not None]
    if not problems:
        return values
    fail(position, "\n".join([*problems, _CURE]))
    parts = {name: values[name] if causes[name] is None else storable_part(values[name]) for name in values}
    return {name: part for name, part in parts.items() if causes[name] is None or part is not None}


_CURE = (
    "    what the run gave besides is recorded; give the parts that you need (numbers, text, arrays, tables), or make\n"
    "    the type known by a simkit.Codec in simconf.py"
)


def _sparse(name: str, results: Sequence[Mapping[str, Any] | None], rows: list[int]) -> Column:
    column = encode([results[row][name] for row in rows])  # type: ignore[index]
    return column if len(rows) == len(results) else column.spread(len(results), np.array(rows))


_DONE = int(Status.DONE)  # looking into an enum costs more than a run may


@attrs.frozen
class Layout:
    """The names of the plain values in the mappings that runs return, and their types."""

    names: tuple[str, ...]
    kinds: frozenset[type]

    @classmethod
    def of(cls, returned: Any) -> Layout | None:
        """That of what a run returned; None where it is no mapping of plain values."""
        kinds = frozenset(map(type, returned.values())) if type(returned) is dict else frozenset()
        return cls(tuple(returned), kinds) if kinds and kinds <= PLAIN else None

    def adder(self, cells: list[Any]) -> Adder:
        """Adds the values of what a run returned to the cells, if it has this layout; else it adds nothing."""
        keep, names = cells.append, [*self.names]

        def add_one(returned: Any) -> bool:
            if type(returned) is dict and len(returned) == 1 and type(cell := returned.get(name)) is kind:
                keep(cell)
                return True
            return False

        def add_many(returned: Any) -> bool:
            if (
                type(returned) is dict
                and [*returned] == names
                and fit(map(type, values := returned.values()))
            ):
                more(values)
                return True
            return False

        (name, *others), (kind, *_), fit, more = names, self.kinds, self.kinds.issuperset, cells.extend
        return add_many if others else add_one

    def mappings(self, cells: Sequence[Any]) -> list[dict[str, Any]]:
        """What the runs returned."""
        width = len(self.names)
        starts = range(0, len(cells), width)
        return [dict(zip(self.names, cells[at : at + width], strict=True)) for at in starts]


class Returned:
    """What runs returned one after the other, each as it was then.

    Mappings of one layout are kept as their cells: such a run has neither a mapping of its own nor another look at
    what is in it.

    Parameters
    ----------
    layout
        Of what a run before has returned.

    Attributes
    ----------
    values
        Of each run, or the cells of all.
    add
        Adds what a run returned as cells, if it can.
    """

    def __init__(self, layout: Layout | None = None) -> None:
        self.values: list[Any] = []
        self.layout = layout
        self.add = layout.adder(self.values) if layout else None

    def unpack(self) -> Adder | None:
        """Keep a value for each run from now on; how cells are added then."""
        if self.layout is not None:
            self.values[:], self.layout, self.add = self.layout.mappings(self.values), None, None
        return self.add

    def __len__(self) -> int:
        return len(self.values) if self.layout is None else len(self.values) // len(self.layout.names)

    def next_layout(self) -> Layout | None:
        """That of the next runs, if they go on as the last one."""
        return self.layout or Layout.of(self.values[-1] if self.values else None)


class Handed:
    """The runs of a batch as they are handed out: one object for all that have said no more than results.

    A run that somebody has kept is another object than the next, and is asked for its results at the end.

    Parameters
    ----------
    layout
        Of what a run before has added.
    """

    def __init__(
        self, runs: Iterable[int], trials: Iterable[int], keepers: Keepers, layout: Layout | None
    ) -> None:
        self.runs, self.trials, self.keepers = runs, trials, keepers
        self.given = Returned(layout)  # what each run has added, or the run itself where it may say more
        self.last: Run | None = None

    def __iter__(self) -> Iterator[Run]:
        return map(itemgetter(0), self.rows(repeat(()), repeat(())))

    def rows(
        self, before: Iterable[tuple[Any, ...]], after: Iterable[tuple[Any, ...]]
    ) -> Iterator[tuple[Any, ...]]:
        """The arguments of one call after the other, the run among them.

        Parameters
        ----------
        before, after
            The arguments before and after it, for each call.
        """
        given, keepers, alone, count = self.given, self.keepers, _ALONE, sys.getrefcount
        add, run = given.add, None
        for index, trial, first, last in zip(self.runs, self.trials, before, after, strict=False):
            if run is not None and run._kept is None and count(run) <= alone:
                if not (add and add(run._results)):
                    add = given.unpack()
                    given.values.append(run._results)
                run.index, run.trial, run._results = index, trial, None
            else:
                if run is not None:
                    add = given.unpack()
                    given.values.append(run)
                self.last = run = Run.of(index, trial, keepers)
            yield (*first, run, *last)

    def end(self, executed: int) -> None:
        """So many runs are over: the last one has not been taken yet."""
        run, given = self.last, self.given
        if run is None or len(given) >= executed:
            return
        if run._kept is not None or not (given.add and given.add(run._results)):
            given.unpack()
            given.values.append(run if run._kept is not None else run._results)

    @property
    def results(self) -> list[Mapping[str, Any]]:
        """What each run has added."""
        self.given.unpack()
        return [value.results if isinstance(value, Run) else value or {} for value in self.given.values]

    @property
    def with_more(self) -> list[tuple[int, Run]]:
        """Those that may have said more, and their positions."""
        values = self.given.values if self.given.add is None else ()
        return [(at, run) for at, run in enumerate(values) if isinstance(run, Run) and run.has_more]


def _calibrated() -> int:
    """How many references there are to a run that nobody has kept.

    Asked of the interpreter, in the very way in which runs are given it.
    """
    counts, holders = [], []

    def given() -> Iterator[tuple[Any, ...]]:
        run, count = Run(), sys.getrefcount
        holders.append(run)  # as `Handed.last`
        for _ in range(5):
            counts.append(count(run))
            yield (*(), run, *())

    for _, row in zip(range(5), given(), strict=False):
        assert row[0] in holders
    return min(counts[1:])


_ALONE = _calibrated()


@attrs.define(eq=False)
class Outcomes:
    """A batch under way: what each run gave, and what became of it."""

    runs: list[int]
    results: list[Any]
    started: Array
    seconds: Array
    status: Array
    handles: Handed | None
    errors: dict[int, str] = attrs.field(factory=dict)

    executed: int = 0
    layout: Layout | None = None  # of the results, where these are cells

    @classmethod
    def of(cls, runs: list[int], handles: Handed | None) -> Outcomes:
        """Those of runs that begin."""
        n = len(runs)
        times = np.full(n, np.nan), np.full(n, np.nan, "f4")
        return cls(runs, [None] * n, *times, np.full(n, Status.DONE, "u1"), handles)

    def take(self, returned: Returned, begun: float, ended: list[float]) -> None:
        """Take what runs gave one after the other, from that moment on, and when each of them ended."""
        self.executed = n = len(ended)
        self.results, self.layout = returned.values, returned.layout
        times = np.array([begun, *ended])
        self.started[:n], self.seconds[:n] = times[:-1], np.diff(times)

    def cut(self) -> None:
        """Leave out the runs that were not executed."""
        n = self.executed
        self.runs, self.started = self.runs[:n], self.started[:n]
        self.results = self.results if self.layout else self.results[:n]
        self.seconds, self.status = self.seconds[:n], self.status[:n]
        if self.handles is not None:
            self.handles.end(n)

    def one_run(
        self,
        names: ResultNames,
        recorded: Sequence[Mapping[str, Any] | None],
        seeds: Array | None,
        epoch: float,
    ) -> OneRun | None:
        """The batch of one run, if it is done, and computed and gave nothing but numbers; else None.

        Parameters
        ----------
        recorded
            The parameters that were computed for it, by name.
        epoch
            What its clock is behind.
        """
        if len(self.runs) != 1 or self.errors:
            return None
        returned = self.results[0] if self.layout is None else self.layout.mappings(self.results)[0]
        if self.handles:
            (added,) = self.handles.results
            if self.handles.with_more or (added and returned is not None):
                return None
            returned = added if returned is None else returned
        results = {} if returned is None else returned if type(returned) is dict else {ONE: returned}
        if results and tuple(results) not in names.approved:
            return None
        started, seconds = self.started[0].item() + epoch, self.seconds[0].item()
        seed = None if seeds is None else seeds.item()
        return OneRun.made(self.runs[0], started, seconds, seed, (recorded and recorded[0]) or {}, results)

    def fail(self, position: int, text: str) -> None:
        """Make this run a failed one; the first reason stays."""
        if self.status[position] == _DONE:
            self.status[position] = Status.FAILED
            self.errors[self.runs[position]] = text

    def said(self, vault: Vault | None) -> dict[str, Any]:
        """What the runs said through `Run`, besides results."""
        with_more = self.handles.with_more if self.handles else ()
        numbered = [(self.runs[at], run) for at, run in with_more]
        return {
            "notes": tuple((run, *note) for run, handle in numbered for note in handle.notes),
            "files": tuple((run, one) for run, handle in numbered for one in handle.attachments),
            "commands": tuple((run, one) for run, handle in numbered for one in handle.commands),
            "reported": {} if vault is None else vault.said,
        }


def result_columns(names: ResultNames, out: Outcomes) -> Mapping[str, Column]:
    """The columns of the results of all runs that are done."""
    columns = _columns_of_cells(names, out)
    if columns is not None:
        return columns
    if out.layout is not None:
        out.results, out.layout = out.layout.mappings(out.results), None
    kinds = set(map(type, out.results))
    if len(kinds) == 1 and is_one_result(next(iter(kinds))) and not out.handles and not out.errors:
        return _single_column(names, out)
    rows = _dictionaries(kinds, out)
    columns = _whole_columns(rows) if rows and tuple(rows[0]) in names.approved else None
    if columns is not None:
        return columns
    results: list[Mapping[str, Any] | None] = [None] * len(out.runs)
    added = out.handles.results if out.handles else ()
    for position in np.flatnonzero(out.status == _DONE).tolist():
        named, problem = named_results(out.results[position]), ""
        if added:
            named, problem = with_added(named, added[position])
        results[position], unnamed = names.kept(named)
        if problem or unnamed:
            out.fail(position, problem or unnamed)
    return as_columns(results, out.fail)


def _columns_of_cells(names: ResultNames, out: Outcomes) -> dict[str, Column] | None:
    """The columns of cells, where runs gave nothing else; None where a name or a value can't be kept."""
    layout, cells = out.layout, out.results
    if out.handles is not None:
        added, is_silent = out.handles.given, not out.errors and set(map(type, cells)) == {type(None)}
        if layout is None and is_silent:
            layout, cells = added.layout, added.values
        elif any(out.handles.results):
            return None
    if layout is None or layout.names not in names.approved:
        return None
    try:
        return encode_cells(layout.names, cells, layout.kinds)
    except Unstorable:
        return None


def _dictionaries(kinds: set[type], out: Outcomes) -> list[Mapping[str, Any]] | None:
    """What each run gave, where all have returned dictionaries, or have added all that they gave; else None."""
    if out.errors or kinds not in ({dict}, {type(None)}):
        return None
    added = out.handles.results if out.handles else []
    if kinds == {dict}:
        return None if any(added) else out.results
    return added


def _whole_columns(results: Sequence[Mapping[str, Any]]) -> dict[str, Column] | None:
    """The columns of runs that all have the same names, and can all be kept; else None."""
    first = results[0]
    in_order = [*chain.from_iterable(results)] == [*first] * len(results)  # as no mapping has a name twice
    if not in_order and any(result.keys() != first.keys() for result in results):
        return None
    try:
        return encode_table(results if in_order else [{name: r[name] for name in first} for r in results])
    except (Unstorable, RecursionError):
        return None


def _single_column(names: ResultNames, out: Outcomes) -> Mapping[str, Column]:
    """The one result of runs that return a plain value each: no mapping per run is made."""
    _, problem = names.kept({ONE: None})
    if problem:
        for position in range(len(out.runs)):
            out.fail(position, problem)
        return {}
    try:
        return {ONE: encode(out.results)}
    except (Unstorable, RecursionError):
        return as_columns([{ONE: value} for value in out.results], out.fail)
