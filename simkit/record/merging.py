"""Trajectories of one experiment become one: compare them, find each run's place, copy, show the file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import attrs
import h5py
import numpy as np

from simkit.errors import SimkitError, StorageFailed, did_you_mean, shown_path
from simkit.record.agreement import Agreement, agreement
from simkit.record.bulk import copy_thing
from simkit.record.carrying import carry, carry_checkpoints
from simkit.record.joining import Joint
from simkit.record.layout import place
from simkit.record.log import log_path
from simkit.record.origins import forget_origins, write_origins
from simkit.record.placing import DUPLICATES, Placement, Places
from simkit.record.recorded import Recorded, experiments, session_groups
from simkit.record.sparse import forget_checkpoints
from simkit.record.store import Store, repaired
from simkit.record.survey import Source, Survey, survey
from simkit.record.uninterrupted import Uninterrupted
from simkit.values.status import Status


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
    status: np.ndarray[tuple[int], np.dtype[np.uint8]]
    in_place: bool
    remarks: tuple[str, ...]


def merge(target: Path, files: Sequence[str | os.PathLike[str]], duplicates: str = "error") -> list[Merged]:
    """Merge the experiments of files into one file, which replaces what stands at ``target`` when it is whole.

    Parameters
    ----------
    target
        A trajectory that is there already is the first source, unless it is among the files.
    files
        In the order of the merged runs; ``FILE::NAME`` is one of several experiments in a file.
    duplicates
        What becomes of a run that is done in two files: ``error``, ``first`` (keep one), ``all``.

    Raises
    ------
    SimkitError
        When the files don't fit together, one of them is being written, or a run is done twice.
    StorageFailed
        When the disk is full; the target is then as it was.
    """
    if duplicates not in DUPLICATES:
        msg = (
            f"duplicates={duplicates!r}: write {', '.join(DUPLICATES)}{did_you_mean(duplicates, DUPLICATES)}"
        )
        raise SimkitError(msg)
    exists = target.exists() and target.stat().st_size > 0
    if exists:
        repaired(target)
    sets = _sets(target, [*([target] if exists and not _listed(target, files) else []), *files])
    _check_shard(target, sets)
    with Uninterrupted() as interrupts:
        blueprints = [_blueprint(group, sources, target, duplicates) for group, sources in sets.items()]
        store = Store(target, durable=exists, replace=True)
        failed = True
        try:
            if os.path.exists(log_path(str(target))):
                msg = f"{shown_path(target)} was written in between: merge again"
                raise SimkitError(msg)
            pause = partial(_pause, interrupts, store)
            found = [_build(store.file, blueprint, target.parent, pause) for blueprint in blueprints]
            pause()
            failed = False
        finally:
            _close(store, failed=failed)
    return found


def _pause(interrupts: Uninterrupted, store: Store) -> None:
    """Between two steps: stop where that was asked for, or where the disk is full."""
    interrupts.check()
    if store.medium.failed is not None:
        raise _lost(store, str(store.medium.failed.strerror or store.medium.failed))


def _close(store: Store, *, failed: bool) -> None:
    try:
        store.close(failed=failed)
    except StorageFailed:
        raise _lost(store, str(store.medium.failed and store.medium.failed.strerror)) from None


def _lost(store: Store, why: str) -> StorageFailed:
    return StorageFailed(
        f"{shown_path(store.path)}: could not be written: {why}\n"
        "    it is as it was, and so are the sources; make room, and type the same command again"
    )


def _listed(target: Path, files: Sequence[str | os.PathLike[str]]) -> bool:
    return any(os.path.realpath(_split(file)[0]) == os.path.realpath(target) for file in files)


def _split(file: str | os.PathLike[str]) -> tuple[Path, str]:
    """A file, and the experiment after ``::``."""
    path, _, name = os.fspath(file).partition("::")
    return Path(path), name


def _sets(target: Path, files: Sequence[str | os.PathLike[str]]) -> dict[str, list[Source]]:
    """Which sources make which experiment: groups of one name, or those that were named."""
    named = any(_split(file)[1] for file in files)
    sets: dict[str, list[Source]] = {}
    seen: set[tuple[str, str]] = set()
    for file in files:
        path, name = _split(file)
        groups = experiments(path)
        if named and not name and len(groups) > 1:
            msg = (
                f"{shown_path(path)} holds several experiments: name one of {', '.join(groups)} as FILE::NAME"
            )
            raise SimkitError(msg)
        held = os.path.realpath(path) == os.path.realpath(target)
        if held and named and len(groups) > 1:
            msg = f"{shown_path(path)} holds other experiments too: merge into a new file"
            raise SimkitError(msg)
        for group in [name] if name else groups:
            if (os.path.realpath(path), group) in seen:
                msg = f"{shown_path(path)} is named twice"
                raise SimkitError(msg)
            seen.add((os.path.realpath(path), group))
            Recorded.open(path, group).close()  # says so if it is not there
            key = next(iter(sets), group) if named else group
            sets.setdefault(key, []).append(Source(path, group, held))
    _check_common(sets, [_split(file)[0] for file in files])
    return sets


def _check_common(sets: dict[str, list[Source]], paths: Sequence[Path]) -> None:
    """Each file must have an experiment in common with another."""
    shared = {source.path for sources in sets.values() if len(sources) > 1 for source in sources}
    for path in paths:
        if len(set(paths)) > 1 and path not in shared:
            mine = [group for group, sources in sets.items() if any(s.path == path for s in sources)]
            others = [group for group in sets if group not in mine]
            msg = (
                f"{shown_path(path)} holds {', '.join(mine) or 'no experiment'}, "
                f"the other files {', '.join(others)}\n    only trajectories of one experiment can be merged"
            )
            raise SimkitError(msg)
    if not sets:
        msg = "no trajectory is in these files"
        raise SimkitError(msg)


def _check_shard(target: Path, sets: dict[str, list[Source]]) -> None:
    """Someone who writes ``simkit merge study-001.shard-*.h5`` has forgotten to say where to."""
    stem, _, part = target.stem.partition(".shard-")
    if part and any(s.held for sources in sets.values() for s in sources):
        whole = shown_path(target.with_name(stem))
        msg = (
            f"{shown_path(target)} is itself a shard: the merged file comes first\n"
            f"    simkit merge {whole}.h5 {whole}.shard-*.h5"
        )
        raise SimkitError(msg)


def _blueprint(group: str, sources: Sequence[Source], target: Path, duplicates: str) -> Blueprint:
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


def _build(file: h5py.File, blueprint: Blueprint, folder: Path, pause: Callable[[], None]) -> Merged:
    """Write one experiment."""
    first, agreed = blueprint.surveys[0], blueprint.agreed
    root = _copied(file, blueprint, folder, pause)
    joint = Joint(root, len(blueprint.status), agreed.explored, pause)
    for name in sorted(agreed.columns):
        if first.names.get(name) is not None and first.names[name].constant:
            joint.widen(name, first.n)
    for one, placement in list(zip(blueprint.surveys, blueprint.placements, strict=True))[1:]:
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
            if name != "summary" or blueprint.in_place:
                copy_thing(thing, root, name, pause)
        if not blueprint.in_place:
            forget_origins(root)
            write_origins(root, recorded, folder, every, every, earlier=0)
    finally:
        recorded.close()
    return root


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
