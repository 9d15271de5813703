"""Merge trajectories of one experiment into one file."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from simkit.analyse.trajectory import Trajectory
from simkit.errors import SimkitError, caller
from simkit.record import merging
from simkit.record.recorded import Recorded


def merge(
    target: str | os.PathLike[str], *sources: str | os.PathLike[str], duplicates: str = "error"
) -> Trajectory:
    """Merge trajectories of one experiment; the sources stay as they are.

    The runs of the first source come first, then those of the next that are new. A run that is done in one
    source and pending or failed in another is taken from where it is done: so the shards that ``--shard``
    makes become the trajectory that an unsharded run would be, and ``simkit`` continues it. Constants that
    differ become explored columns. ``traj.source(i)`` tells where run ``i`` was recorded.

    Parameters
    ----------
    target
        The merged file. It appears, or replaces what is there, when it is whole; a trajectory that is there
        already is the first source.
    *sources
        Files, in order; ``"FILE.h5::NAME"`` is one of several experiments in a file. Files that hold several
        experiments are merged experiment by experiment.
    duplicates
        What becomes of a run that is done in two sources: ``"error"``, ``"first"`` keeps the first,
        ``"all"`` keeps both; trial numbers then go on after the highest.

    Returns
    -------
    Trajectory
        The merged runs; of the first experiment, where there are several.

    Raises
    ------
    SimkitError
        When the sources are of different experiments, types or units differ, one is being written, or a run
        is done in two of them.
    StorageFailed
        When the disk is full; the target is then as it was.
    """
    if not sources or not all(isinstance(source, (str, os.PathLike)) for source in sources):
        msg = f'{caller()}: name the target, then each source: simkit.merge("all.h5", "a.h5", "b.h5")'
        raise SimkitError(msg)
    merged = merging.merge(Path(target), sources, duplicates)
    for one in merged:
        for remark in one.remarks:
            warnings.warn(remark, stacklevel=2)
    return Trajectory(Recorded.open(Path(target), merged[0].group))
