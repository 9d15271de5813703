"""Plain HDF5 readers while a study is being written: they see what was committed, whole and right."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from processes import alive, kill_group, opened_plainly, recorded_runs
from transactional import waiting

import simkit
from simkit.record.file.store import Store

STUDY = """
import os
import time
import numpy as np
from simkit import experiment, product

@experiment
@product(x=range(800))
def study(x, scale=0.5):
    time.sleep(0.004)
    found = {"z": x * scale, "a": np.full(300, x), "t": np.arange(x % 7) + x, "s": "wörd" * (x % 5)}
    if x % 100 == 50:
        found[f"only{x // 100}"] = x
    return found
"""  # 1.6 s with two workers

# A process of its own, as a notebook is: opens the file again and again until it is told to end. It leaves the file
# alone for as long as it reads: else the writer can seldom lock it on a machine under load.
READER = """
import json, os, sys, time
import h5py, numpy as np

path, log = sys.argv[1], sys.argv[2]
counts = {"reads": 0, "refused": 0, "refused in a row": 0, "torn": [], "failed": [], "done": []}
row = 0
spent = 0.0
while not os.path.exists(log):
    time.sleep(0.003 + spent)
    start, spent = time.perf_counter(), 0.0
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if not (isinstance(error, BlockingIOError) or "truncated file" in str(error)):  # see processes.py
            counts["failed"].append(repr(error))
            continue
        counts["refused"] += 1
        row += 1
        counts["refused in a row"] = max(row, counts["refused in a row"])
        time.sleep(0.001)
        continue
    except Exception as error:
        counts["failed"].append(repr(error))
        continue
    row = 0
    try:
        with file:
            root = file["study"]
            done = np.flatnonzero(root["runs/status"][:] == 1)
            counts["reads"] += 1
            counts["done"].append(len(done))
            spent = time.perf_counter() - start
            if not len(done):
                continue
            results = root["results"]
            right = np.array_equal(results["z"][:][done], done * 0.5)
            right &= np.array_equal(results["a"][:][done], np.repeat(done[:, None], 300, 1))
            texts = results["s"].asstr()[:]
            right &= all(texts[i] == "wörd" * (i % 5) for i in done)
            if isinstance(results["t"], h5py.Dataset):  # as long as all rows are of one length
                t = results["t"][:]
            else:
                t = [results["t/values"][slice(*row)] for row in results["t/rows"][:]]
            right &= all(np.array_equal(t[i], np.arange(i % 7) + i) for i in done)
            right &= np.array_equal(root["parameters/x"][:], np.arange(800))
            for i in done[done % 100 == 50]:
                right &= results[f"only{i // 100}"][i] == i
            if not right:
                counts["torn"].append(len(done))
    except Exception as error:
        counts["failed"].append(repr(error))
    spent = time.perf_counter() - start
    open(f"{log}-{len(set(counts['done']) - {0})}", "w").close()  # how often it had grown
json.dump(counts, open(log + ".json", "w"))
"""


def started(project, workers="2", source=STUDY):
    """A study under way, its file there."""
    project.file("sim_study.py", source)
    process = project.start("-m", "simkit", "-n", workers, "-q")
    path = project.path / "results" / "study-001.h5"
    project.until(path.exists)
    return process, path


@pytest.fixture
def reader_holds():
    """Lock a file as plain HDF5 readers do; let go when called, or at the end."""
    held = []

    def hold(path):
        held.append(os.open(path, os.O_RDONLY))
        fcntl.flock(held[-1], fcntl.LOCK_SH)
        return lambda: os.close(held.pop())

    yield hold
    for fd in held:
        os.close(fd)


def test_plain_readers_never_fail_and_never_see_a_torn_value(project):
    grown = """while x in (300, 600) and not os.path.exists(f"end-{x // 300}"):
        time.sleep(0.01)
    time.sleep(0.004)"""
    process, path = started(project, source=STUDY.replace("time.sleep(0.004)", grown))
    end = project.path / "end"
    with subprocess.Popen([sys.executable, "-c", READER, str(path), str(end)]) as reader:
        try:
            _, err = process.communicate(timeout=600)
        finally:
            end.touch()  # else nothing ends it, and this waits for it
    assert (process.returncode, reader.returncode) == (0, 0), err
    counts = json.loads((project.path / "end.json").read_text())
    print({**counts, "done": sorted(set(counts["done"]))})
    assert counts["torn"] == []
    assert counts["failed"] == []
    assert counts["refused in a row"] < 30
    assert counts["done"] == sorted(counts["done"])
    assert len(set(counts["done"])) > 1, "the reader was there while the file grew"
    assert counts["refused"] < counts["reads"]
    simkit.open(path).close()  # what was committed while that was reading
    assert recorded_runs(path) == set(range(800))


def test_a_file_that_stays_open_is_a_stable_snapshot_and_delays_nothing(project, reader_holds):
    process, path = started(project)
    project.until(lambda: recorded_runs(path))
    with opened_plainly(path) as file:
        there = file["study/runs/status"][:]
        z = file["study/results/z"]
        values = z[:]
        out, err = process.communicate(timeout=600)  # the study ends although this reader stays
        assert process.returncode == 0, err
        told = f"results/{path.name}.wal is a part of it, with runs that are not in the .h5 yet, while"
        for words in (out, project.ok("show", str(path)).out, project.ok("list").out):
            assert f"{told} process {os.getpid()} (" in words
            assert ") has it open: keep both together" in words
        z.refresh()
        assert np.array_equal(z[:], values, equal_nan=True)
        assert np.array_equal(file["study/runs/status"][:], there)
        assert (there == 1).sum() < 800
    log = path.with_name(path.name + ".wal")
    assert log.exists()
    assert log.stat().st_size < 64 << 20
    with simkit.open(path) as traj:  # the next to open it brings it up to date
        assert (traj.status == "done").all()
        assert np.array_equal(traj["z"], np.arange(800) * 0.5)
    assert not log.exists()
    assert recorded_runs(path) == set(range(800))


def test_the_file_catches_up_when_the_reader_leaves_though_nothing_new_is_committed(project, reader_holds):
    """A run may take hours: what was committed before must not wait for its end."""
    wait = "while x == 20 and not Path('go').exists():\n        time.sleep(0.01)\n    found ="
    source = STUDY.replace("import time", "import time\nfrom pathlib import Path").replace("found =", wait, 1)
    source = source.replace("time.sleep(0.004)", "time.sleep(0.03 if x < 21 else 0)")  # one run per batch
    project.file("sim_study.py", source)
    process = project.start("-m", "simkit", "-n", "1", stdout=subprocess.DEVNULL)
    path = project.path / "results" / "study-001.h5"
    project.until(path.exists)
    release = reader_holds(path)

    def all_twenty_are_committed():
        with simkit.open(path) as traj:
            return (traj.status == "done").sum() == 20

    project.until(all_twenty_are_committed)
    release()
    project.until(lambda: recorded_runs(path) == set(range(20)), 10)
    project.until(lambda: waiting(path) == 0, 5)
    project.file("go")
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err


def test_the_log_of_a_long_held_file_is_kept_short(project, reader_holds):
    """It holds the newest image of each page, not one for every commit."""
    path = project.path / "a.h5"
    store = Store(path)
    column = store.file.create_dataset("z", data=np.zeros(20_000))
    store.commit()
    release = reader_holds(path)
    before = path.read_bytes()
    log = path.with_name("a.h5.wal")
    sizes = []
    for number in range(1, 601):
        column[:] = number
        store.commit()
        sizes.append(log.stat().st_size)
    assert path.read_bytes()[: len(before)] == before
    assert max(sizes) < 64 << 20, f"{max(sizes) >> 20} MB of log for {column.nbytes} bytes of pages"
    release()
    column[:] = 601
    store.commit()
    assert waiting(path) == 0
    with h5py.File(path, "r") as file:
        assert (file["z"][:] == 601).all()
    store.close()


@pytest.mark.parametrize("how", ["open", "repair", "simkit"])
def test_a_log_left_behind_is_not_replayed_under_a_readers_feet(project, reader_holds, how):
    """A reader's snapshot holds whoever else opens the file, who sees the newest state all the same."""
    process, path = started(project, "1")
    project.until(lambda: recorded_runs(path))
    release = reader_holds(path)
    before = path.read_bytes()
    log = path.with_name(path.name + ".wal")
    project.until(lambda: log.exists() and log.stat().st_size > 50_000)
    kill_group(process, project.path)
    seen = len(recorded_runs(path))
    if how == "open":
        with simkit.open(path) as traj:
            assert (traj.status == "done").sum() > seen
    elif how == "repair":
        project.simkit("repair", str(path))
    else:
        project.ok("--where", "x < 3", "-n", "0")
    with path.open("rb") as file:
        assert file.read(len(before)) == before, "pages that the reader relies on were changed"
    release()
    project.ok("-n", "2")
    assert recorded_runs(path) == set(range(800))
    with simkit.open(path) as traj:
        assert np.array_equal(traj["z"], np.arange(800) * 0.5)


def test_a_second_writer_is_told_who_writes(project):
    process, path = started(project, "1")
    second = project.simkit("-n", "0")
    assert second.code == 4, second.out + second.err
    assert (
        f"results/{path.name} is being written by process {process.pid} on {os.uname().nodename}"
        in second.err
    )
    assert process.poll() is None
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err


def test_the_owner_alone_is_killed(project):
    """Every worker ends by itself, and the next session starts at once."""
    process, path = started(project)
    project.until(lambda: recorded_runs(path))
    workers = alive(process.pid, project.path)
    assert len(workers) >= 3
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while (rest := alive(process.pid, project.path)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not rest
    project.ok("-n", "2")
    assert recorded_runs(path) == set(range(800))
    assert [p.name for p in path.parent.iterdir()] == [path.name]
