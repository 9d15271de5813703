"""``kill -9`` of everything at random moments: what was done stays done, and typing `simkit` again completes it.

``pytest tests/faults/test_kill.py --kills 300 --timeout 0 -rP`` is the long version.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import h5py
import pytest
from conftest import Project
from processes import is_refused, kill_group, kinds, read_everything, recorded_runs, values, wrong_values

import simkit

TESTS = Path(__file__).parents[1]
SEED = "7"
KILLS_PER_STUDY = 4

HEAD = """
import time
import numpy as np
from simkit import experiment, product

"""
SCALARS = """
@experiment
@product(x=range(300), y=[0.5, -2.0, 1e300])
def study(x, y, rng, scale=3):
    time.sleep(0.001)
    return {"z": x * y, "k": x * scale, "even": x % 2 == 0, "noise": rng.normal()}
"""
ARRAYS = """
@experiment
@product(x=range(120))
def study(x, rng):
    time.sleep(0.008)
    return {"big": np.arange(10_000) * 0.5 + x, "small": np.full((3, 4), x), "noise": rng.normal(size=5)}
"""
RAGGED = """
@experiment
@product(x=range(500))
def study(x, rng):
    time.sleep(0.002)
    words = [f"é{i}" * (i % 4) for i in range(x % 5)]
    return {"t": rng.normal(size=x % 13), "m": np.ones((x % 3, 2)) * x, "s": "wörd " * (x % 9), "l": words}
"""
COLUMNS = """
@experiment
@product(x=range(500))
def study(x, rng):
    time.sleep(0.002)
    found = {"kind": x if x < 150 else x / 2 if x < 250 else str(x) if x < 400 else np.arange(x % 3)}
    if x >= 200:
        found["late"] = x
    if x < 300:
        found["early"] = f"{x}"
    if x % 3:
        found["group.some"] = rng.normal(size=2)
    if x % 40 == 7:
        found[f"only{x // 40}"] = [x] * (x % 4)
    return found
"""
WORKLOADS = {"scalars": SCALARS, "arrays": ARRAYS, "ragged": RAGGED, "columns": COLUMNS}

# A disk that takes a millisecond per write, so that a kill hits a commit while it is applied.
SLOW_DISK = """
import os, time

if os.environ.get("SLOW_DISK") and not hasattr(os.pwrite, "slow"):
    def slowly(fd, data, offset, write=os.pwrite):
        time.sleep(0.001)
        return write(fd, data, offset)

    slowly.slow = True
    os.pwrite = slowly
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Each workload's trajectory as it is when nobody kills, and how many seconds that took."""
    known = {}

    def get(workload, workers):
        if workload not in known:
            project = Project(tmp_path_factory.mktemp("undisturbed") / workload)
            project.file("sim_study.py", HEAD + WORKLOADS[workload])
            start = time.monotonic()
            project.ok("--seed", SEED, "-n", "0")
            known[workload] = project.open("study-001"), time.monotonic() - start
        reference, seconds = known[workload]
        return reference, seconds * (0.75 if workers else 1)

    yield get
    for trajectory, _ in known.values():
        trajectory.close()


class Watcher:
    """Sees with plain h5py which runs are done, while they are being recorded."""

    def __init__(self, project, counts):
        self.project, self.counts = project, counts
        self.done = set()
        self.refused = 0

    @property
    def path(self):
        """The trajectory, once it is there."""
        return next(iter(sorted((self.project.path / "results").glob("study-*.h5"))), None)

    def look(self):
        """Read the status; a commit that is just being applied may refuse a reader for a moment."""
        if self.path is None:
            return
        self.counts["reads"] += 1
        try:
            done = recorded_runs(self.path, patience=1)
        except OSError as error:
            if not is_refused(error):
                raise
            self.refused += 1
            self.counts["reads refused"] += 1
            assert self.refused < 200, "no reader got in for 200 times"
            time.sleep(0.003)
            return
        self.refused = 0
        assert done >= self.done, f"{sorted(self.done - done)} were done, and are not any more"
        self.done = done

    def hold(self):
        """Lock the file as a reader does that leaves it open: commits stay in the log meanwhile."""
        fd = os.open(self.path, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_SH)
        return fd

    @property
    def is_begun(self):
        """Whether a session records: it has a log, from the moment at which it makes or opens the file."""
        return any((self.project.path / "results").glob("*.wal"))

    @property
    def log_bytes(self):
        """How much stands in the log."""
        log = f"{self.path}.wal"
        return os.path.getsize(log) if self.path and os.path.exists(log) else 0


def kill_at_some_moment(project, command, how, moment, watcher):
    """Start a session and kill it so many seconds after it began to record; False when it was faster."""
    environment = {**os.environ, "SLOW_DISK": "1" if how == "apply" else ""}
    process = project.start("-m", "simkit", *command, env=environment, stdout=subprocess.DEVNULL)
    deadline = reading = float("inf")
    held = None
    while process.poll() is None:
        if deadline == float("inf") and watcher.is_begun:
            deadline = time.monotonic() + moment
            reading = deadline - (hash(moment) % 100) / 300
        if time.monotonic() > deadline and (how != "apply" or watcher.log_bytes):
            break
        watcher.look()
        if how == "reader" and held is None and watcher.path and time.monotonic() > reading:
            held = watcher.hold()
        time.sleep(0.002)
    if held is not None:
        os.close(held)
    if process.poll() is not None:
        assert process.returncode == 0, process.communicate()[1]
        process.communicate()
        return False
    kill_group(process, project.path)
    return True


def is_whole(path, done, counts):
    """Whether plain h5py reads the file as the kill left it; a kill amid an apply can leave HDF5 in a loop."""
    code = f"from processes import *; read_everything({str(path)!r}); print(sorted(recorded_runs({str(path)!r})))"
    try:
        result = subprocess.run(
            [sys.executable, "-c", code],
            cwd=TESTS, capture_output=True, text=True, timeout=15, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        counts["hung before repair"] += 1
        return False
    return result.returncode == 0 and done <= set(json.loads(result.stdout))


def check_after_kill(project, watcher, reference, counts):
    """What was done before the kill is there, readable with plain h5py and right."""
    counts["kills"] += 1
    path = watcher.path
    if path is None:
        counts["before the first commit"] += 1
        return
    frames = watcher.log_bytes
    before = is_whole(path, watcher.done, counts)
    repair = project.ok("repair", str(path))
    counts["logs replayed"] += "replayed" in repair.out
    counts["needed repair"] += not before
    assert ("replayed" in repair.out) <= bool(frames)
    assert not os.path.exists(f"{path}.wal")
    read_everything(path)
    done = recorded_runs(path)
    counts["runs seen done"] += len(watcher.done)
    counts["runs done"] += len(done)
    lost = watcher.done - done
    counts["lost"] += len(lost)
    assert not lost, f"{sorted(lost)} were reported done and are lost"
    with simkit.open(path) as trajectory:
        wrong = wrong_values(trajectory, reference)
        assert not wrong, wrong[:5]
    watcher.done = done


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("workload", WORKLOADS)
def test_killed_at_random_moments(project, tmp_path, undisturbed, workload, workers, pytestconfig):
    wanted = max(1, pytestconfig.getoption("--kills") // (2 * len(WORKLOADS)))
    reference, seconds = undisturbed(workload, workers)
    dice = random.Random(f"{workload} {workers}")
    counts: Counter[str] = Counter()
    study, litter = 0, []
    while counts["kills"] < wanted:
        study += 1
        project = Project(tmp_path / f"{study}")
        project.file("sim_study.py", HEAD + WORKLOADS[workload])
        project.file("simconf.py", SLOW_DISK)
        watcher = Watcher(project, counts)
        for _ in range(min(KILLS_PER_STUDY, wanted - counts["kills"])):
            how = ("random", "reader", "apply")[(counts["kills"] + workers) % 3]
            moment = dice.uniform(0, seconds)
            if not kill_at_some_moment(project, ["--seed", SEED, "-n", str(workers)], how, moment, watcher):
                counts["ended before the kill"] += 1
                break
            check_after_kill(project, watcher, reference, counts)
        left = complete(project, reference, workers)
        counts["studies"] += 1
        litter += left
    print(f"{workload} -n {workers}: {dict(counts)}")
    assert not litter, litter


def complete(project, reference, workers):
    """Typing `simkit` again gives what an undisturbed run gives, in one file; other files there."""
    project.ok("--seed", SEED, "-n", str(workers))
    (path,) = (project.path / "results").glob("*.h5")
    trajectory = project.open(str(path))
    assert set(trajectory.status) == {"done"}
    assert len(trajectory) == len(reference)
    assert not wrong_values(trajectory, reference)
    for section in ("parameters", "results"):
        assert set(trajectory.names(section)) == set(reference.names(section))
        for name in trajectory.names(section):
            assert values(trajectory, name) == values(reference, name), name
            assert kinds(trajectory, name) == kinds(reference, name), name
    assert trajectory.seeds.tolist() == reference.seeds.tolist()
    left = [str(p) for p in path.parent.iterdir() if p != path]
    with h5py.File(path, "r") as file:
        (group,) = file.values()
        assert len(group["info"]) >= 1
    project.close()
    return left
