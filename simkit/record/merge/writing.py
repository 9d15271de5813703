"""How is a merged experiment written? What the first source says as a whole, then every source's runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import h5py
import numpy as np

from simkit.declare.forms import Array, Index
from simkit.errors import SimkitError
from simkit.record.catalogue import experiments
from simkit.record.columns.rows import create_column, put
from simkit.record.copy import add_sessions, copy_checkpoints, copy_columns, copy_facts
from simkit.record.facts import add_origins, forget_checkpoints, read_origins, session_groups
from simkit.record.format import AFTER, DECLARED, MERGED, names_in, place
from simkit.record.merge.inputs import Input, Survey, survey
from simkit.record.merge.placing import Agreement, Places, Transfer, agreement
from simkit.record.recorded import Recorded
from simkit.record.table import Table
from simkit.values.batch import Status


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
    transfers: tuple[Transfer, ...]
    status: Array
    in_place: bool
    remarks: tuple[str, ...]


def blueprint(group: str, sources: Sequence[Input], duplicates: str) -> Blueprint:
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
    transfers = tuple(transfer for _, transfer in places.taken)
    in_place = sources[0].held
    remarks = [*agreed.remarks, *_remarks(surveys, transfers, in_place=in_place)]
    surveys = [attrs.evolve(one, source=source) for one, source in zip(surveys, sources, strict=True)]
    return Blueprint(group, tuple(surveys), agreed, transfers, places.status, in_place, tuple(remarks))


def _remarks(surveys: Sequence[Survey], transfers: Sequence[Transfer], *, in_place: bool) -> list[str]:
    words = []
    for one, transfer in zip(surveys, transfers, strict=True):
        if transfer.left:
            words.append(f"{one.source}: {transfer.left} done runs were done before, and are left out")
    summaries = [str(one.source) for one in surveys[int(in_place) :] if one.has_summary]
    if summaries:
        words.append(f"the summary of {', '.join(summaries)} tells of that file's runs alone: left out")
    return words


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


def base_of(blueprints: Sequence[Blueprint]) -> Path | None:
    """The file that the merged one can begin as a copy of: it holds the first source of each experiment, no more."""
    firsts = [one.surveys[0].source for one in blueprints]
    paths = {first.path for first in firsts}
    named = all(first.group == one.group for first, one in zip(firsts, blueprints, strict=True))
    if not named or len(paths) > 1 or set(experiments(firsts[0].path)) != {first.group for first in firsts}:
        return None
    return firsts[0].path


def assemble(file: h5py.File, blueprint: Blueprint, folder: Path, pause: Callable[[], None]) -> Merged:
    """Write one experiment; its first source stands there already where the file began as a copy of that one's."""
    surveys, agreed = blueprint.surveys, blueprint.agreed
    first = surveys[0]
    columns = {section: _columns(blueprint, section) for section in ("parameters", "results")}
    with _reopened(first) as recorded:
        if blueprint.group not in file:
            recorded.file.copy(recorded.root, file, blueprint.group)
        root = file[blueprint.group]
        if not blueprint.in_place:
            _forget_own(root)
            every = np.arange(first.n)
            _add_origins(root, recorded, folder, every, every, earlier=0)
    if (
        "origin" in root["runs"]
    ):  # an export of some runs: their numbers in the trajectory that it is a part of
        del root["runs/origin"]
    table = Table(root, explored=agreed.explored, placed=first.n)
    _grow(root, table, len(blueprint.status))
    for name in sorted(agreed.columns):
        if name in first.names and first.names[name].constant:
            table.widen(name)
    for one, transfer in list(zip(surveys, blueprint.transfers, strict=True))[1:]:
        if len(transfer.source) or transfer.checkpoints:
            with _reopened(one) as recorded:
                earlier = add_sessions(root, recorded)
                copy_facts(recorded, transfer.source, transfer.target, root, earlier)
                _add_origins(root, recorded, folder, transfer.source, transfer.target, earlier)
                copy_columns(recorded, transfer.source, transfer.target, table, columns, pause)
                copy_checkpoints(recorded, root, _checkpoints(blueprint, one, transfer))
        for row, trial in transfer.trials.items():
            root["runs/trial"][row] = trial
    _finish(root, blueprint)
    counts = np.bincount(blueprint.status, minlength=len(Status))
    words = {one.word: int(counts[one]) for one in Status if counts[one]}
    return Merged(blueprint.group, _taken(blueprint), words, (*blueprint.remarks, *_same_seeds(root)))


def _forget_own(root: h5py.Group) -> None:
    """Leave out what tells of the first source's runs alone: its summary, and what was asked for by that."""
    for name in ("summary", AFTER, f"info/{MERGED}", "runs/source", "runs/source_run"):
        if name in root:
            del root[name]
    for name, node in list(names_in(root["parameters"])):
        if AFTER in node.attrs:
            del root[place("parameters", name)]
    links = root.get("links", {})
    for name in list(links):
        if links.get(name) is None:  # a soft link to what was left out
            del links[name]


def _grow(root: h5py.Group, table: Table, n: int) -> None:
    """Have ``n`` runs from now on."""
    table.grow(n)
    for name, dataset in root["runs"].items():
        if isinstance(dataset, h5py.Dataset) and name != "status":
            dataset.resize(n, 0)


def _columns(blueprint: Blueprint, section: str) -> list[str]:
    """The names that are columns in the merged experiment, in the order in which they turn up."""
    names = {
        name: known
        for one in blueprint.surveys
        for name, known in one.names.items()
        if known.section == section and (not known.constant or name in blueprint.agreed.columns)
    }
    return list(names)


def _add_origins(
    root: h5py.Group, recorded: Recorded, folder: Path, source: Index, target: Index, earlier: int
) -> None:
    """Note where a source's runs come from: from its file, or where that had them from.

    Parameters
    ----------
    earlier
        How many sessions stand before the source's own.
    """
    runs = root["runs"]
    theirs, known = read_origins(recorded.root["info"]), len(read_origins(root["info"]))
    own = {
        "file": os.path.relpath(recorded.path, folder),
        "experiment": recorded.name,
        "root_seed": str(recorded.attributes["root_seed"]),
        "created": float(recorded.attributes["created"]),
        "first_session": 1,
        "sessions": len(session_groups(recorded.root)),
    }
    moved = [{**row, "first_session": row["first_session"] + earlier} for row in (*theirs, own)]
    add_origins(root["info"], moved)
    for name, dtype in (("source", "u4"), ("source_run", "i8")):
        if name not in runs:
            create_column(runs, name, len(runs["status"]), np.dtype(dtype))
    status = recorded.run_column("status")
    tried = np.asarray(status)[source] != Status.PENDING  # what is to run yet comes from nowhere
    source, target = source[tried], target[tried]
    before, here = recorded.run_column("source"), recorded.run_column("source_run")
    numbers = np.zeros(len(source), "i8") if before is None else before[source].astype("i8")
    own_run = source if here is None else np.where(numbers > 0, here[source], source)
    put(runs["source"], target, np.where(numbers > 0, numbers + known, known + len(theirs) + 1))
    put(runs["source_run"], target, own_run)


def _finish(root: h5py.Group, blueprint: Blueprint) -> None:
    """Say what the merged runs have in common, and forget what does not hold of them."""
    agreed = blueprint.agreed
    if DECLARED in root["runs"]:
        del root["runs"][DECLARED]  # by the next session, that knows the points
    if "checkpoint" in root["runs"]:
        forget_checkpoints(root["runs"], np.flatnonzero(blueprint.status == Status.DONE))
    for name in agreed.columns:
        path = place("parameters", name)
        if path in root and any(one.names[name].constant for one in blueprint.surveys if name in one.names):
            root[path].attrs["per_session"] = True
    for name in agreed.explored:
        root[place("parameters", name)].attrs["explored"] = True
    root.attrs["explored"] = json.dumps(agreed.explored)
    root.attrs["fingerprint"] = json.dumps(agreed.fingerprint)


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
    for i, transfer in enumerate(blueprint.transfers):
        giver[transfer.target] = i
    gave = np.bincount(giver[blueprint.status != Status.PENDING], minlength=len(blueprint.surveys))
    names = [str(one.source) for one in blueprint.surveys]
    return tuple(zip(names, gave.tolist(), strict=True))


@contextmanager
def _reopened(survey: Survey) -> Iterator[Recorded]:
    """A source again, unchanged since it was looked at."""
    recorded = survey.source.open()
    try:
        if not np.array_equal(np.asarray(recorded.run_column("status")), survey.status):
            msg = f"{survey.source} changed while it was being merged: merge again"
            raise SimkitError(msg)
        yield recorded
    finally:
        recorded.close()


def _checkpoints(blueprint: Blueprint, survey: Survey, transfer: Transfer) -> dict[int, int]:
    """Which checkpoints still count: a run that would draw other numbers at its new place begins anew."""
    drawn = any(one.has_seeds for one in blueprint.surveys)
    same = survey.root_seed == blueprint.surveys[0].root_seed
    return {run: row for run, row in transfer.checkpoints.items() if not drawn or (same and run == row)}
