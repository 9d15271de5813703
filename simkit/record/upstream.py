"""Which runs of another trajectory did a run use, and do they still say the same?

Below the argument's name stand ``file`` (from the rootdir, with ``::NAME`` where a file holds several experiments),
``run`` (or ``runs`` of a group), and ``digest``: of the parameters and results that these runs have, so that a run
that was computed anew and came out the same is the same.
"""

from __future__ import annotations

import os
import pkgutil
import re
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.collect.listener import FileState, state_of
from simkit.collect.plan import Plan
from simkit.declare.feed import DIGEST, FILE, RUN, RUNS, Upstream, column
from simkit.declare.forms import Array, Index, Values, objects
from simkit.errors import SimkitError, shown_path
from simkit.record.catalogue import Slot
from simkit.record.format import AFTER, place
from simkit.record.readings import key_of
from simkit.record.recorded import Recorded
from simkit.values.compare import keys, scrambled
from simkit.values.decode import ABSENT, decode
from simkit.values.instances import loaded


def feeds_of(recorded: Recorded) -> dict[str, Upstream]:
    """The arguments of a trajectory's runs that were made from runs of others, as far as they differ between runs."""
    feeds = {}
    for name, about in recorded.feeds.items():
        by = None if about["by"] is None else tuple(about["by"])
        feeds[name] = Upstream(name, f"the runs of {about['experiment']}", by, tuple(about["names"]))
    return feeds


def run_digests(recorded: Recorded, runs: Index) -> Array:
    """What runs hold, each as a number: equal for the same parameters and results, shape ``(n,)``, uint64.

    Where a value stands in the file, and when it was computed, does not count; nor does what only an ``@after`` or the
    strategy asked for, as how many points it is to choose.
    """
    left = {f"{name}.{leaf}" for name in recorded.all_feeds for leaf in (FILE, RUN, RUNS)}
    left |= {n for n in recorded.names("parameters") if AFTER in recorded.root[place("parameters", n)].attrs}
    names = [n for each in ("parameters", "results") for n in recorded.names(each) if n not in left]
    parts = [np.empty(0, "u8")]
    for batch in recorded.batches(runs, names):
        numbers = np.zeros(len(batch.runs), "u8")
        for name, values in {**batch.parameters, **batch.results}.items():
            here = scrambled(keys(values, exact=True) ^ np.uint64(zlib.crc32(name.encode())))
            numbers += np.where(values.present(), here, np.uint64(0))
        parts.append(numbers)
    return np.concatenate(parts)


def digest_of_all(digests: Array) -> np.uint64:
    """What several runs hold, as one number."""
    places = np.arange(len(digests), dtype="u8")
    return np.uint64(np.add.reduce(scrambled(digests ^ scrambled(places)), dtype="u8"))


def shown_slot(slot: Slot, rootdir: Path) -> str:
    """A place for records: the file, with the experiment unless the file is its own by its name."""
    path = key_of(str(slot.path), rootdir)
    is_own = re.fullmatch(rf"{re.escape(slot.group)}-\d+", slot.path.stem)
    return path if is_own else f"{path}::{slot.group}"


@attrs.define(eq=False)
class Opener:
    """Makes an argument from recorded runs of another experiment.

    Each process opens a file once, for reading only, and keeps it open until its runs are over.

    Attributes
    ----------
    argument
        The argument's name.
    experiment
        The node id of the experiment.
    rootdir
        What recorded paths begin from.
    is_group
        Whether it is the trajectory of several runs rather than one run.
    states
        The files as they were when the runs were chosen: in these nothing has to be compared.
    fixed
        File, runs and digest, where they are the same for all runs.
    """

    argument: str
    experiment: str
    rootdir: Path
    is_group: bool
    states: Mapping[str, FileState] = attrs.field(factory=dict)
    fixed: tuple[str, Array, np.uint64] | None = None
    opened: dict[tuple[int, str], Recorded] = attrs.field(factory=dict)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.argument, self.experiment, self.rootdir, self.is_group, self.states, self.fixed

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.argument, self.experiment, self.rootdir, self.is_group, self.states, self.fixed = state
        self.opened = {}

    def at(self, place: Mapping[str, Any]) -> Any:
        """The argument of one run.

        Parameters
        ----------
        place
            Its file, run or runs, and digest.
        """
        runs = place[RUNS] if self.is_group else [place[RUN]]
        return self.make(place[FILE], np.asarray(runs, np.int64), place[DIGEST])

    def all(self) -> Any:
        """The argument that all runs share."""
        assert self.fixed is not None
        return self.make(*self.fixed)

    def make(self, file: str, runs: Index, digest: Any) -> Any:
        """A run by natural naming, or the trajectory of several.

        Raises
        ------
        SimkitError
            Where the file is gone, or the runs in it hold something else than when they were chosen.
        """
        recorded = self.open(file)
        self.check(recorded, file, runs, digest)
        trajectory = pkgutil.resolve_name("simkit:Trajectory")(recorded, runs)  # as simkit.open gives it
        return trajectory if self.is_group else trajectory.run(int(runs[0]))

    def open(self, file: str) -> Recorded:
        """The trajectory, opened once in this process."""
        key = os.getpid(), file
        known = self.opened.get(key)
        if known is None:
            known = self.opened[key] = self.reopened(file)
        return known

    def reopened(self, file: str) -> Recorded:
        """The trajectory, opened for reading."""
        path, _, group = file.partition("::")
        full = self.rootdir / path
        if not full.is_file():
            msg = (
                f"{self.argument} was made from {shown_path(full)}, which is not there any more\n"
                "    put the file back, or let simkit compute what it held again"
            )
            raise SimkitError(msg)
        recorded = Recorded.open(full, group or None)
        recorded.classes = loaded
        return recorded

    def check(self, recorded: Recorded, file: str, runs: Index, digest: Any) -> None:
        """Refuse runs that hold something else than when they were chosen."""
        if file in self.states and state_of(str(recorded.path)) == self.states[file]:
            return
        words = f"run {runs[0]}" if len(runs) == 1 else f"{len(runs)} runs"
        same = len(runs) == 0 or runs.max() < len(recorded)
        if same:
            now = run_digests(recorded, runs)
            same = bool((digest_of_all(now) if self.is_group else now[0]) == digest)
        if not same:
            msg = (
                f"{self.argument} was made from {words} of {shown_path(recorded.path)}, "
                "where something else stands now\n"
                "    type simkit: what depends on it is computed again"
            )
            raise SimkitError(msg)

    def confirm(self, file: str, places: Sequence[Mapping[str, Any]]) -> None:
        """Compare what some runs were made from, all in one file, so that nothing has to be compared later.

        Raises
        ------
        SimkitError
            Where the file is gone, or the runs in it hold something else than when they were chosen.
        """
        with closing(self.reopened(file)) as recorded:
            state = state_of(str(recorded.path))
            different = {place[DIGEST]: place for place in places}
            for digest, place in different.items():
                runs = place[RUNS] if self.is_group else [place[RUN]]
                self.check(recorded, file, np.asarray(runs, np.int64), digest)
        self.states = {**self.states, file: state}

    def close(self) -> None:
        """Close what this process has opened."""
        for key in [key for key in self.opened if key[0] == os.getpid()]:
            self.opened.pop(key).close()


def feeds_about(plan: Plan) -> dict[str, dict[str, Any]]:
    """What is recorded of the arguments that are made from runs of other experiments, by name."""
    return {
        node.name: {
            "experiment": node.supplier.experiment,
            "by": None if node.value.by is None else list(node.value.by),
            "names": list(node.value.names),
            "fixed": not node.varying,
        }
        for node in plan.feeds.values()
        if node.is_outermost and node.supplier is not None
    }


def recorded_places(recorded: Recorded, runs: Index) -> dict[str, Values]:
    """Where the arguments of runs came from, as the columns of a space."""
    columns = {}
    for feed in feeds_of(recorded).values():
        for leaf, name in zip(feed.leaves, feed.recorded, strict=True):
            values = decode(recorded.rows(name, runs))
            present = np.array([value is not ABSENT for value in values])
            columns[column(feed.argument, leaf)] = Values(
                objects([value if there else None for value, there in zip(values, present, strict=True)]),
                native=True,
                present=None if present.all() else present,
            )
    return columns


def confirm(recorded: Recorded, runs: Index, openers: Mapping[str, Opener]) -> None:
    """Make sure that what runs were made from is as it was: better said before than for each run.

    Raises
    ------
    SimkitError
        Where a file is gone, or runs in it hold something else.
    """
    for name, opener in openers.items():
        leaves = (FILE, RUNS if opener.is_group else RUN, DIGEST)
        rows = np.arange(1) if opener.fixed is not None else runs
        columns = [decode(recorded.rows(f"{name}.{leaf}", rows)) for leaf in leaves]
        by_file: dict[str, list[dict[str, Any]]] = {}
        for row in zip(*columns, strict=True):
            if row[0] is not ABSENT:
                by_file.setdefault(row[0], []).append(dict(zip(leaves, row, strict=True)))
        for file, places in by_file.items():
            opener.confirm(file, places)


def recorded_openers(recorded: Recorded, rootdir: Path) -> dict[str, Opener]:
    """What makes these arguments again, by name."""
    made = {}
    for name, about in recorded.all_feeds.items():
        opener = made[name] = Opener(name, about["experiment"], rootdir, about["by"] is not None)
        places = [f"{name}.{leaf}" for leaf in (FILE, RUNS, DIGEST)]
        if about["fixed"]:
            file, runs, digest = (recorded.value(place, 0) for place in places)
            opener.fixed = file, np.asarray(runs, np.int64), digest
    return made
