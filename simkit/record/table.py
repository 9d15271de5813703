"""Which columns do an experiment's runs have, and how are rows of them written?"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, TypeAlias

import h5py
import numpy as np

from simkit.declare.annotations import Note
from simkit.declare.forms import Array, Index
from simkit.record.columns.layout import read_constant
from simkit.record.columns.rows import BLOCK_BYTES, put
from simkit.record.columns.write import Sink, annotate
from simkit.record.format import AFTER, description, home, is_column, names_in, place
from simkit.values.batch import Batch, Status
from simkit.values.columns import Column
from simkit.values.encode import encode

Key: TypeAlias = tuple[str, str]  # a section, ``parameters`` or ``results``, and a name in it


class Table:
    """All columns of one experiment's parameters and results, open for writing: row i is run i.

    Parameters
    ----------
    root
        The experiment's group, with the column ``runs/status``.
    explored
        Names of parameters whose rows are there before their runs are done; those that the group marks as
        explored are known.
    placed
        How many runs have their explored values already.

    Attributes
    ----------
    status
        Of each run as it was put last, shape ``(n,)``.
    about
        Comment, origin and mark of columns, written with their first row.
    per_session
        Names of parameters that `repeat` writes, not the batches.
    """

    def __init__(self, root: h5py.Group, *, explored: tuple[str, ...] = (), placed: int = 0) -> None:
        self.root, self.placed, self.explored = root, placed, set(explored)
        self._status: h5py.Dataset = root["runs/status"]
        self._stored = self._status.dtype
        self.status: Array = self._status[:]
        self.about: dict[Key, tuple[Note, str, bool]] = {}
        self.per_session: set[str] = set()
        self.sinks: dict[Key, Sink] = {}
        self.groups: dict[Key, str] = {}  # that dotted names make, with one of their names
        for section in ("parameters", "results"):
            for name, node in names_in(root[section]):
                if not node.attrs.get("constant", False):
                    self.explored.update([name] if node.attrs.get("explored", False) else ())
                    self.per_session.update([name] if node.attrs.get("per_session", False) else ())
                    self._sink(section, name)

    @property
    def n(self) -> int:
        """How many runs there are."""
        return len(self.status)

    def grow(self, n: int) -> None:
        """Have ``n`` rows from now on, the new ones pending."""
        self._status.id.set_extent((n,))
        for sink in self.sinks.values():
            sink.grow(n)
        self.status = np.concatenate([self.status, np.zeros(n - self.n, "u1")])

    def put(self, batch: Batch) -> dict[int, str]:
        """Write the columns and statuses of a batch.

        Returns
        -------
        dict
            The runs that are recorded as failed, since one of their names stands in the way of other runs', and why.
        """
        rows = batch.runs
        sections = {"results": dict(batch.results), "parameters": dict(batch.parameters)}
        refused: dict[int, str] = {}
        for section, columns in sections.items():
            refused |= self._make_columns(section, columns, rows)
        is_refused = np.isin(rows, list(refused)) if refused else False
        status = np.where(is_refused, np.uint8(Status.FAILED), batch.status)
        self._put_section("results", sections["results"], rows, status == Status.DONE)
        self._put_section("parameters", sections["parameters"], rows, status != Status.PENDING)
        put(self._status, rows, status, self._stored)
        self.status[rows] = status
        self.placed = max(self.placed, int(rows[-1]) + 1)
        return refused

    def points(self, start: int, columns: Mapping[str, Column], final: Container[str] = ()) -> None:
        """Write the explored values of the runs from number ``start`` on.

        Parameters
        ----------
        final
            Names that no run brings a value of where it is absent.
        """
        for name, column in columns.items():
            _, _, is_explored = self.about.setdefault(("parameters", name), (Note(), "", True))
            self.explored.update([name] if is_explored else ())
            self._sink("parameters", name).earlier = self._placed
            rows = np.arange(start, start + column.n)
            required = np.ones(len(rows), bool) if name in final else column.present()
            self._write("parameters", name, rows, column, required)
        self.placed = max(self.placed, *(start + column.n for column in columns.values()), 0)

    def widen(self, name: str) -> None:
        """Make a column of a constant that sessions change: its value in all runs so far."""
        self._unfix(name)
        self._mark(name)

    def free(self, name: str, *, explored: bool) -> None:
        """Make a column of a constant that differs between runs from now on: its value in all runs so far."""
        if explored:
            self.explored.add(name)
        self._unfix(name, **({"explored": True, "origin": "explored"} if explored else {}))

    def _unfix(self, name: str, **about: Any) -> None:
        """Repeat a constant in all runs that have points, or have been tried where it is not explored."""
        path = place("parameters", name)
        constant, known = read_constant(self.root[path]), description(self.root[path])
        del self.root[path]
        rows = self._placed() if name in self.explored else self.attempted()
        self.repeat(name, np.flatnonzero(rows), constant)
        self.root[path].attrs.update({**known, **about})

    def has(self, name: str) -> bool:
        """Whether there is a parameter of this name; what only an `@after` asked for is none of the runs'."""
        recorded = self.root.get(place("parameters", name))
        return recorded is not None and is_column(recorded) and AFTER not in recorded.attrs

    def begin(self, name: str, value: Any, note: Note, origin: str) -> None:
        """Make a column of a constant that the runs so far did not have."""
        parent, key = home(self.root, place("parameters", name))
        if key in parent:
            del parent[key]
        none = np.empty(0, np.int64)
        self._sink("parameters", name).make_mask(none, np.empty(0, bool))  # absent in all of them
        self.repeat(name, none, encode([value]))
        annotate(parent[key], note, origin)

    def end_others(self, names: Container[str], rows: Index) -> None:
        """Parameters that were constant so far and are not among these any more have no value in these rows."""
        for name, node in list(names_in(self.root["parameters"])):
            is_constant = node.attrs.get("constant", False) and AFTER not in node.attrs
            if name in names or name in self.explored or not (is_constant or name in self.per_session):
                continue
            if is_constant:
                self.widen(name)
            if ("parameters", name) in self.about:  # runs compute it now, each for itself
                self.per_session.discard(name)
                del self.root[place("parameters", name)].attrs["per_session"]
            else:
                self._sink("parameters", name).absent(rows, np.ones(len(rows), bool))

    def _mark(self, name: str) -> None:
        """Remember that `repeat` writes a parameter, not the batches."""
        self.per_session.add(name)
        self.root[place("parameters", name)].attrs["per_session"] = True

    def repeat(self, name: str, rows: Index, constant: Column) -> None:
        """Write a parameter's one value at many rows, ascending."""
        step = max(1, BLOCK_BYTES // max(1, constant.nbytes))
        for start in range(0, max(1, len(rows)), step):
            part = rows[start : start + step]
            column = constant.take(np.zeros(len(part), np.int64))
            self._sink("parameters", name).write(part, column, np.ones(len(part), bool))
        if name not in self.per_session:
            self._mark(name)

    def attempted(self) -> Array:
        """Which runs were tried, shape ``(n,)``."""
        return np.asarray(self.status != Status.PENDING)

    def _done(self) -> Array:
        return np.asarray(self.status == Status.DONE)

    def _placed(self) -> Array:
        return self.attempted() | (np.arange(self.n) < self.placed)

    def _sink(self, section: str, name: str) -> Sink:
        """The column of a name; it is in the file from its first value on."""
        if (section, name) not in self.sinks:
            parent, key = home(self.root, place(section, name))
            earlier = self._placed if name in self.explored else self.attempted
            self.sinks[section, name] = Sink(
                parent, key, self.n, self._done if section == "results" else earlier
            )
            groups = [name[:dot] for dot in range(len(name)) if name[dot] == "."]
            self.groups.update({(section, group): name for group in groups})
        return self.sinks[section, name]

    def _make_columns(self, section: str, columns: dict[str, Column], rows: Index) -> dict[int, str]:
        """Have a column for each name; names that can't have one are taken out, and their runs told why."""
        refused: dict[int, str] = {}
        for name, column in list(columns.items()):
            if (section, name) in self.sinks or not column.variants:
                continue
            clash = self._clash(section, name)
            if clash:
                refused |= dict.fromkeys(rows[column.present()].tolist(), clash)
                del columns[name]
                continue
            sink = self._sink(section, name)
            if sink.earlier().any():
                sink.make_mask(rows[:0], np.empty(0, bool))
        return refused

    def _put_section(self, section: str, columns: Mapping[str, Column], rows: Index, required: Array) -> None:
        for name, column in columns.items():
            if (section, name) in self.sinks:
                everywhere = section == "parameters" and name in self.explored
                self._write(section, name, rows, column, np.ones(len(rows), bool) if everywhere else required)
        for (part, name), sink in self.sinks.items():
            if part == section and name not in columns and not self._is_complete(name):
                sink.absent(rows, required)

    def _is_complete(self, name: str) -> bool:
        """Whether a parameter's rows are not brought by the runs."""
        return name in self.explored or name in self.per_session

    def _write(self, section: str, name: str, rows: Index, column: Column, required: Array) -> None:
        sink = self._sink(section, name)
        is_first = not sink.held
        sink.write(rows, column, required)
        if is_first and sink.held and (section, name) in self.about:
            note, origin, is_explored = self.about[section, name]
            annotate(sink.parent[sink.name], note, origin, explored=is_explored)

    def _clash(self, section: str, name: str) -> str:
        """Why a name can't be one: other runs use it as a group, or lie it under a leaf."""
        groups = [name[:dot] for dot in range(len(name)) if name[dot] == "."]
        above = next((group for group in reversed(groups) if (section, group) in self.sinks), None)
        below = self.groups.get((section, name))
        if above is None and below is None:
            return ""
        group, leaf = (above, name) if above is not None else (name, below)
        return f"{group!r} is a leaf and, through {leaf!r}, a group in other runs: a name is one of them"
