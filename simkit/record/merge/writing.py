"""Write the merged experiment: the first source as it is, then the runs of the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import h5py
import numpy as np

from simkit.declare.forms import Array, Index
from simkit.errors import SimkitError
from simkit.record.columns.datasets import LeafHeld
from simkit.record.columns.layout import is_text, put, read_constant
from simkit.record.columns.write import Sink
from simkit.record.facts import forget_checkpoints
from simkit.record.format import MASK, home, names_in, place
from simkit.record.merge.copying import (
    carry,
    carry_checkpoints,
    copy_steps,
    copy_thing,
    forget_origins,
    pieces,
    segments,
    weight,
    write_origins,
)
from simkit.record.merge.inputs import AFTER, Source, Survey, of_runs, survey
from simkit.record.merge.placing import Agreement, Placement, Places, agreement
from simkit.record.recorded import Recorded, session_groups
from simkit.values.batch import Status
from simkit.values.columns import Column, Leaf


@attrs.frozen(eq=False)
class Blueprint:
    """One experiment before a byte is copied.

    Attributes
    ----------
    in_place
        Whether the first source is the target as it was.
    """

    group: str
    surveys: tuple[Survey, ...]
    agreed: Agreement
    placements: tuple[Placement, ...]
    status: Array
    in_place: bool
    remarks: tuple[str, ...]


def blueprint(group: str, sources: Sequence[Source], duplicates: str) -> Blueprint:
    """Compare the sources and place their runs.

    Raises
    ------
    SimkitError
        When they don't agree, one is being written, or duplicates are errors and a run is done twice.
    """
    surveys = [survey(attrs.evolve(source, held=False)) for source in sources]
    agreed = agreement(surveys)
    places = Places(agreed, duplicates)
    for one in surveys:
        recorded = attrs.evolve(one.source, held=False).open()
        try:
            places.place(one, recorded)
        finally:
            recorded.close()
    placements = tuple(placement for _, placement in places.taken)
    in_place = sources[0].held
    remarks = [*agreed.remarks, *_remarks(surveys, placements, in_place=in_place)]
    surveys = [attrs.evolve(one, source=source) for one, source in zip(surveys, sources, strict=True)]
    return Blueprint(group, tuple(surveys), agreed, placements, places.status, in_place, tuple(remarks))


def _remarks(surveys: Sequence[Survey], placements: Sequence[Placement], *, in_place: bool) -> list[str]:
    words = []
    for one, placement in zip(surveys, placements, strict=True):
        if placement.left:
            words.append(f"{one.source}: {placement.left} done runs were done before, and are left out")
    summaries = [str(one.source) for one in surveys[int(in_place) :] if one.has_summary]
    if summaries:
        words.append(f"the summary of {', '.join(summaries)} tells of that file's runs alone: left out")
    return words


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
        for part in pieces(rows, rows, constant.nbytes):
            at = rows[part]
            sink.write(at, constant.take(np.zeros(len(at), np.int64)))

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
                column = column.take(here - first)
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


@attrs.frozen
class Merged:
    """What came of merging one experiment.

    Attributes
    ----------
    taken
        How many of the runs that were tried each file gave, by the file's name.
    counts
        How many of the merged runs have each status.
    remarks
        What a user should know, for people.
    """

    group: str
    taken: tuple[tuple[str, int], ...]
    counts: dict[str, int]
    remarks: tuple[str, ...]


def assemble(file: h5py.File, blueprint: Blueprint, folder: Path, pause: Callable[[], None]) -> Merged:
    """Write one experiment."""
    first, agreed = blueprint.surveys[0], blueprint.agreed
    root = _copied(file, blueprint, folder, pause)
    joint = Joint(root, len(blueprint.status), agreed.explored, pause)
    for name in sorted(agreed.columns):
        if first.names.get(name) is not None and first.names[name].constant:
            joint.widen(name, first.n)
    for one, placement in list(zip(blueprint.surveys, blueprint.placements, strict=True))[1:]:
        if len(placement.source) or placement.checkpoints:
            _add(joint, one, placement, folder, _checkpoints(blueprint, one, placement))
    if "checkpoint" in root["runs"]:
        done = np.flatnonzero(blueprint.status == Status.DONE)
        forget_checkpoints(root["runs"], done.tolist())
    for name in agreed.explored:
        root[place("parameters", name)].attrs["explored"] = True
    root.attrs["explored"] = json.dumps(agreed.explored)
    root.attrs["fingerprint"] = json.dumps(agreed.fingerprint)
    counts = np.bincount(blueprint.status, minlength=len(Status))
    words = {one.word: int(counts[one]) for one in Status if counts[one]}
    return Merged(blueprint.group, _taken(blueprint), words, (*blueprint.remarks, *_same_seeds(root)))


def _same_seeds(root: h5py.Group) -> Iterator[str]:
    """Runs of different files that drew the same random numbers are no independent sample."""
    if "seed" not in root["runs"]:
        return
    seeds = root["runs/seed"][:][root["runs/status"][:] == Status.DONE]
    again = len(seeds) - len(np.unique(seeds[seeds > 0])) - int((seeds == 0).sum())
    if again:
        runs = "1 run has the seed" if again == 1 else f"{again} runs have the seeds"
        yield f"{runs} of earlier ones: the same random numbers, since the files were made with one --seed"


def _taken(blueprint: Blueprint) -> tuple[tuple[str, int], ...]:
    """How many of the merged runs each file gave."""
    giver = np.zeros(len(blueprint.status), np.uint32)
    for i, placement in enumerate(blueprint.placements):
        giver[placement.target] = i
    gave = np.bincount(giver[blueprint.status != Status.PENDING], minlength=len(blueprint.surveys))
    names = [str(one.source) for one in blueprint.surveys]
    return tuple(zip(names, gave.tolist(), strict=True))


def _copied(file: h5py.File, blueprint: Blueprint, folder: Path, pause: Callable[[], None]) -> h5py.Group:
    """The first source as it is, and where its runs come from."""
    survey, every = blueprint.surveys[0], np.arange(blueprint.surveys[0].n)
    recorded = _reopened(survey)
    try:
        root = file.create_group(blueprint.group, track_order=True)
        root.attrs.update(recorded.attributes)
        for name, thing in recorded.root.items():
            if blueprint.in_place or name not in ("summary", AFTER):
                copy_thing(thing, root, name, pause)
        if not blueprint.in_place:
            _forget_summary(root)
        if not blueprint.in_place:
            forget_origins(root)
            write_origins(root, recorded, folder, every, every, earlier=0)
    finally:
        recorded.close()
    return root


def _forget_summary(root: h5py.Group) -> None:
    """Remove what belongs to a summary that was left out: its parameters, second names for it."""
    for name, thing in list(names_in(root["parameters"])):
        if AFTER in thing.attrs:
            del root[place("parameters", name)]
    links = root.get("links", {})
    for name in list(links):
        if name not in links or links.get(name) is None:  # a soft link that leads nowhere
            del links[name]


def _reopened(survey: Survey) -> Recorded:
    """A source again, unchanged since it was looked at."""
    recorded = survey.source.open()
    status = recorded.run_column("status")
    if not np.array_equal(status, survey.status):  # type: ignore[arg-type]
        recorded.close()
        msg = f"{survey.source} changed while it was being merged: merge again"
        raise SimkitError(msg)
    return recorded


def _add(
    joint: Joint, survey: Survey, placement: Placement, folder: Path, checkpoints: Mapping[int, int]
) -> None:
    recorded = _reopened(survey)
    source, target = placement.source, placement.target
    try:
        joint.join(recorded, source, target)
        earlier = len(session_groups(joint.root))
        carry(joint.root, recorded, source, target)
        carry_checkpoints(joint.root, recorded, checkpoints)
        write_origins(joint.root, recorded, folder, source, target, earlier)
        for row, number in placement.trials.items():
            joint.root["runs/trial"][row] = number
    finally:
        recorded.close()


def _checkpoints(blueprint: Blueprint, survey: Survey, placement: Placement) -> dict[int, int]:
    """Which checkpoints still count: a run that would draw other numbers at its new place begins anew."""
    drawn = any(one.has_seeds for one in blueprint.surveys)
    same = survey.root_seed == blueprint.surveys[0].root_seed
    return {run: row for run, row in placement.checkpoints.items() if not drawn or (same and run == row)}
