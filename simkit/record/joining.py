"""Add one source's rows to the merged trajectory: parameters, results, and what is known of its runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import h5py
import numpy as np

from simkit.declare.axes import Array, Index
from simkit.record.bulk import copy_steps, pieces, segments, weight
from simkit.record.layout import MASK, home, is_text, names_in, place, put
from simkit.record.leaves import LeafHeld
from simkit.record.recorded import Recorded
from simkit.record.sink import Sink
from simkit.record.source import read_constant
from simkit.record.survey import of_runs
from simkit.values.columns import Column, Leaf, nbytes
from simkit.values.status import Status
from simkit.values.take import take

_TOLD = ("comment", "unit", "origin", "explored", "per_session")


@attrs.frozen(eq=False)
class Rows:
    """Rows of a source, where they go (ascending), and which of them must have a value, shape ``(n,)`` each."""

    source: Index
    target: Index
    required: Array


class Joint:
    """The group of the merged trajectory, open for writing, with all its rows.

    Parameters
    ----------
    root
        The group as it was copied from the first source.
    explored
        Which columns are explored: present in every row, pending ones too.
    pause
        Called between two steps: the moment for an interrupt.
    """

    def __init__(
        self, root: h5py.Group, n: int, explored: tuple[str, ...], pause: Callable[[], None]
    ) -> None:
        self.root, self.n, self.explored, self.pause = root, n, explored, pause
        self.status: h5py.Dataset = root["runs/status"]
        self.known: Array = np.zeros(n, "u1")
        self.known[: len(self.status)] = self.status[:]
        self.sinks: dict[tuple[str, str], Sink] = {}
        grown = len(self.status)
        self.placed = np.arange(n) < grown
        for section in ("parameters", "results"):
            for name, thing in names_in(root[section]):
                if not thing.attrs.get("constant", False):
                    self.sink(section, name, grown).grow(n)
        for dataset in root["runs"].values():
            if isinstance(dataset, h5py.Dataset):
                dataset.resize(n, 0)

    def sink(self, section: str, name: str, n: int | None = None) -> Sink:
        """The column of a name, made when it gets its first value."""
        if (section, name) not in self.sinks:
            parent, key = home(self.root, place(section, name))
            earlier = self._done if section == "results" else self._attempted
            if section == "parameters" and name in self.explored:
                earlier = self._placed
            self.sinks[section, name] = Sink(parent, key, self.n if n is None else n, earlier)
        return self.sinks[section, name]

    def _done(self) -> Array:
        return np.asarray(self.known == Status.DONE)

    def _attempted(self) -> Array:
        return np.asarray(self.known != Status.PENDING)

    def _placed(self) -> Array:
        """The rows that sources have given so far."""
        return self.placed

    def widen(self, name: str, rows: int) -> None:
        """Make a column of the first source's constant."""
        path = place("parameters", name)
        before, told = read_constant(self.root[path]), _told(self.root[path])
        del self.root[path]
        mine = np.arange(rows)
        if name not in self.explored:
            mine = mine[self._attempted()[:rows]]
        sink = self.sink("parameters", name)
        self.repeat(sink, mine, before)
        if sink.held:
            self.root[path].attrs.update({**told, "per_session": True})

    def repeat(self, sink: Sink, rows: Index, constant: Column) -> None:
        """One value in many rows."""
        for part in pieces(rows, rows, nbytes(constant)):
            at = rows[part]
            sink.write(at, take(constant, np.zeros(len(at), np.int64)))

    def join(self, recorded: Recorded, source: Index, target: Index) -> None:
        """Add rows of a source, ``target`` ascending."""
        status = recorded.run_column("status")
        assert status is not None
        mine = status[source]
        self.known[target] = mine
        self.placed[target] = True
        done, attempted = mine == Status.DONE, mine != Status.PENDING
        for section, required in (("results", done), ("parameters", attempted)):
            ours = [name for part, name in self.sinks if part == section]
            for name in dict.fromkeys([*ours, *of_runs(recorded, section)]):
                self.pause()
                everywhere = section == "parameters" and name in self.explored
                needed = np.ones(len(mine), bool) if everywhere else required
                self._name(recorded, section, name, Rows(source, target, needed))

    def _name(self, recorded: Recorded, section: str, name: str, rows: Rows) -> None:
        theirs = recorded.sections[section].get(name)
        constant = theirs is not None and bool(theirs.attrs.get("constant", False))
        is_new = (section, name) not in self.sinks
        if constant and is_new and place(section, name) in self.root:
            return  # one value in all sources
        present = rows.required if constant else _present(recorded, section, name, rows)
        if is_new and not present.any():
            return
        if is_new:
            self._begin(section, name, theirs, rows, constant=constant)
        sink = self.sinks[section, name]
        if theirs is None or not present.any():
            sink.absent(rows.target, rows.required)
            return
        if constant:
            self.repeat(sink, rows.target[present], recorded.constant(name))
        else:
            self._column(recorded, section, name, rows, present)
        thing = sink.parent[sink.name]
        told = {**_told(theirs), **({"per_session": True} if constant else {})}
        thing.attrs.update({key: value for key, value in told.items() if key not in thing.attrs})

    def _begin(self, section: str, name: str, theirs: Any, rows: Rows, *, constant: bool) -> None:
        """A column for a name that is new here: absent in the rows so far; chunks and compression as there."""
        sink = self.sink(section, name)
        if np.delete(sink.earlier(), rows.target).any():
            sink.make_mask(rows.target[:0], np.empty(0, bool))
        if constant or not isinstance(theirs, h5py.Dataset):
            return
        extents = (self.n, *theirs.shape[1:]), (h5py.h5s.UNLIMITED, *theirs.maxshape[1:])
        plan = theirs.id.get_create_plist()
        space = h5py.h5s.create_simple(*extents)
        h5py.h5d.create(sink.parent.id, sink.name.encode(), theirs.id.get_type(), space, plan)
        made = sink.parent[sink.name]
        made.attrs.update({key: theirs.attrs[key] for key in ("codec", "dtype") if key in theirs.attrs})
        del self.sinks[section, name]
        self.sink(section, name)  # which finds it

    def _column(self, recorded: Recorded, section: str, name: str, rows: Rows, present: Array) -> None:
        sink, thing = self.sinks[section, name], recorded.sections[section][name]
        source, target = rows.source[present], rows.target[present]
        number = _variant(sink, thing)
        if number and _is_worth_it(thing, source, target):
            self._move(sink, number, thing, source, target)
            lacking = rows.target[rows.required & ~present]
            sink.absent(lacking, np.ones(len(lacking), bool))
            return
        for part in pieces(rows.source, rows.target, weight(recorded.path, thing, len(recorded))):
            self.pause()
            here = rows.source[part]
            first, stop = int(here.min()), int(here.max()) + 1
            column = recorded.column(name, slice(first, stop))
            if stop - first != len(here) or (np.diff(here) != 1).any():
                column = take(column, here - first)
            sink.write(rows.target[part], column, rows.required[part])

    def _move(self, sink: Sink, number: int, thing: h5py.Dataset, source: Index, target: Index) -> None:
        """Rows from dataset to dataset."""
        held = sink.held[number - 1]
        assert isinstance(held, LeafHeld)
        held.remember(target)
        for at, to, count in segments(source, target):
            copy_steps(thing, held.dataset, at, to, count, self.pause)
        if sink.mask is not None:
            put(sink.mask, target, np.full(len(target), number, "u1"))


def _told(thing: Any) -> dict[str, Any]:
    """What is known of a name, whatever its values are."""
    return {key: thing.attrs[key] for key in _TOLD if key in thing.attrs}


def _present(recorded: Recorded, section: str, name: str, rows: Rows) -> Array:
    """Which of the rows have a value."""
    if name not in recorded.sections[section]:
        return np.zeros(len(rows.source), bool)
    mask = recorded.root.get(place(section, name) + MASK)
    if mask is not None:
        return np.asarray(mask[:][rows.source] != 0)
    return rows.required


def _variant(sink: Sink, thing: Any) -> int:
    """The number of the target's dataset that can take a source's dataset as it is, or 0."""
    if not isinstance(thing, h5py.Dataset) or is_text(thing):
        return 0
    probe = np.zeros((1, *thing.shape[1:]), thing.attrs.get("dtype") or thing.dtype)
    number, _ = sink.variant(Leaf(str(thing.attrs["codec"]), probe))
    held = sink.held[number - 1]
    return number if isinstance(held, LeafHeld) and held.dataset.dtype == thing.dtype else 0


def _is_worth_it(thing: h5py.Dataset, source: Index, target: Index) -> bool:
    """Whether the rows lie together, or are so big that each is a chunk of its own."""
    return thing.chunks[0] == 1 or len(segments(source, target)) <= 8 + len(source) // 256
