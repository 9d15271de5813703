"""Write a merged experiment: the first source as it is, then the runs of the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs
import h5py
import numpy as np

from simkit.errors import SimkitError
from simkit.record.blueprint import Blueprint
from simkit.record.bulk import copy_thing
from simkit.record.carrying import carry, carry_checkpoints
from simkit.record.joining import Joint
from simkit.record.layout import names_in, place
from simkit.record.origins import forget_origins, write_origins
from simkit.record.placing import Placement
from simkit.record.recorded import Recorded, session_groups
from simkit.record.sparse import forget_checkpoints
from simkit.record.survey import AFTER, Survey
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
