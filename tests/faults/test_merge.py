"""Merging while something goes wrong: killed, interrupted, a full disk, files that others write or read."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
from processes import kill_group, values, wrong_values

import simkit

BIG = """
import numpy as np
from simkit import experiment, explore

@experiment
@explore(x=[{points}])
def big(x, rng):
    return {{"a": np.full(100_000, x), "noise": rng.normal(), "t": np.arange(x % 7)}}
"""
CURE = "    it is as it was, and so are the sources; make room, and type the same command again"


def record(project, file, points, text=BIG):
    project.file("sim_big.py", text.format(points=", ".join(map(str, points))))
    project.ok("--output", file, "--fresh", "-n", "0", "-q")


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.fixture
def two(project):
    """Two files of 64 MB, ``a.h5`` and ``b.h5``."""
    project.file("pyproject.toml", "[tool.simkit]\n")
    record(project, "a.h5", range(80))
    record(project, "b.h5", range(80, 160))
    return project


def check(project, target):
    """The merged file is whole."""
    merged = project.open(target)
    assert merged["x"].tolist() == list(range(160))
    assert merged["a"][:, 99_999].tolist() == list(range(160))
    assert [len(t) for t in merged["t"]] == [x % 7 for x in range(160)]
    project.close()


def test_kill_9_in_the_middle_leaves_the_target_as_it_was(two):
    before = [digest(two.path / file) for file in ("a.h5", "b.h5")]
    for target in ("m.h5", "a.h5"):  # a new file, and one that is there
        hidden = two.path / f".{target}.new"
        for megabytes in (1, 40, 90):
            with two.under_way("merge", target, *([] if target == "a.h5" else ["a.h5"]), "b.h5") as process:
                two.until(lambda h=hidden, m=megabytes: h.exists() and h.stat().st_size > m << 20)
                kill_group(process, two.path)
            assert (two.path / target).exists() == (target == "a.h5")
            assert [digest(two.path / file) for file in ("a.h5", "b.h5")] == before
    two.ok("merge", "m.h5", "a.h5", "b.h5")
    two.ok("merge", "a.h5", "b.h5")
    check(two, "m.h5")
    check(two, "a.h5")
    left = sorted(path.name for path in two.path.iterdir() if ".h5" in path.name)
    assert left == ["a.h5", "b.h5", "m.h5"]  # nothing else is left


def test_ctrl_c_ends_it_and_leaves_nothing(two):
    hidden = two.path / ".m.h5.new"
    with two.under_way("merge", "m.h5", "a.h5", "b.h5") as process:
        two.until(lambda: hidden.exists() and hidden.stat().st_size > 1 << 20)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (2, "", "simkit: interrupted\n")
    assert sorted(path.name for path in two.path.iterdir() if ".h5" in path.name) == ["a.h5", "b.h5"]


@pytest.mark.parametrize("target", ["m.h5", "a.h5"])
def test_a_full_disk(two, target):
    before = digest(two.path / "a.h5")
    limit = 70 << 20
    result = two.simkit(
        "merge", target, "a.h5", "b.h5",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert result.code == 1, result.err
    assert result.err.splitlines() == [f"simkit: {target}: could not be written: File too large", CURE]
    assert digest(two.path / "a.h5") == before
    assert sorted(path.name for path in two.path.iterdir() if ".h5" in path.name) == ["a.h5", "b.h5"]


WAITS = """
from pathlib import Path
from simkit import experiment, explore
import time

@experiment
@explore(x=[{points}])
def big(x):
    while x == 99 and not Path("go").exists():
        Path("waiting").touch()
        time.sleep(0.005)
    return {{"z": x}}
"""


def test_a_file_that_is_being_written_is_refused(project):
    project.file("pyproject.toml", "[tool.simkit]\n")
    record(project, "a.h5", [1, 2], WAITS)
    project.file("sim_big.py", WAITS.format(points="3, 99"))
    with project.under_way("--output", "b.h5", "-n", "0", "-q") as process:
        project.until(lambda: project.has("waiting", "b.h5"))
        for arguments in (("m.h5", "a.h5", "b.h5"), ("b.h5", "a.h5")):
            result = project.simkit("merge", *arguments)
            assert result.code == 4
            assert f"b.h5 is being written by process {process.pid} on " in result.err
        project.file("go")
        process.communicate()
    project.ok("merge", "m.h5", "a.h5", "b.h5")
    assert project.open("m.h5")["z"].tolist() == [1, 2, 3, 99]


def test_a_log_that_was_left_behind_is_read(project):
    project.file("pyproject.toml", "[tool.simkit]\n")
    record(project, "a.h5", [1, 2], WAITS)
    record(project, "b.h5", [3], WAITS)
    reader = project.open("b.h5")
    project.file("sim_big.py", WAITS.format(points="3, 4, 5"))
    project.ok("--output", "b.h5", "-n", "0", "-q")
    log = project.path / "b.h5.wal"
    assert log.stat().st_size > 0
    assert len(reader) == 1
    project.ok("merge", "m.h5", "a.h5", "b.h5")  # through the log, since somebody reads it
    assert project.open("m.h5")["z"].tolist() == [1, 2, 3, 4, 5]
    refused = project.simkit("merge", "b.h5", "a.h5")
    assert refused.code == 4
    who = r"b\.h5: another program is reading it: close that|b\.h5 is being read by process \d+ \(.*\): close it there"
    assert re.fullmatch(rf"simkit: ({who}) first\n", refused.err)  # who it is, is known on Linux
    project.close()
    del reader
    project.ok("merge", "b.h5", "a.h5")
    assert not log.exists()
    assert project.open("b.h5")["z"].tolist() == [3, 4, 5, 1, 2]


def test_readers_of_the_old_target_are_not_disturbed(two):
    reader = two.open("a.h5")
    two.ok("merge", "a.h5", "b.h5")
    assert len(reader) == 80
    assert reader.runs[70].a[5] == 70
    check(two, "a.h5")


def test_sources_in_a_folder_where_nobody_may_write(two):
    sealed = two.path / "sealed"
    sealed.mkdir()
    (two.path / "b.h5").rename(sealed / "b.h5")
    sealed.chmod(0o500)
    try:
        two.ok("merge", "m.h5", "a.h5", "sealed/b.h5")
    finally:
        sealed.chmod(0o700)
    check(two, "m.h5")
    assert two.open("m.h5").source(80) == ("sealed/b.h5", 0)


CHECKPOINTS = """
import os, signal
from pathlib import Path
from simkit import experiment, product

@experiment
@product(x=range(4))
def slow(x, run{more}):
    start = (run.restore() or {{"step": 0}})["step"]
    Path(f"began-{{x}}-{{start}}").touch()
    for step in range(start, 6):
        run.append(v={value})
        if x == 3 and step == 4 and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        run.checkpoint(step=step + 1)
    run.add(end=x)
"""


@pytest.mark.parametrize(("more", "value"), [("", "step"), (", rng", "rng.integers(9)")])
def test_checkpoints_go_along_where_the_seed_stays(project, more, value):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_slow.py", CHECKPOINTS.format(more=more, value=value))
    project.ok("--shard", "0/2", "-n", "0")
    assert project.simkit("--shard", "1/2", "-n", "0").code == -signal.SIGKILL
    project.ok("merge", "results/plain.h5", "results/slow-001.h5")
    assert "1 done" in project.ok("-n", "0", "--into", "results/plain.h5").out
    assert project.has("began-3-4")
    merged = project.open("plain")
    assert (merged.status == "done").all()
    assert [len(v) for v in merged["v"]] == [6] * 4
    assert np.array_equal(merged["end"], range(4))


@pytest.mark.parametrize(("more", "value", "goes"), [("", "step", True), (", rng", "rng.integers(9)", False)])
def test_a_run_that_would_draw_other_numbers_at_its_new_place_begins_anew(project, more, value, goes):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_slow.py", CHECKPOINTS.format(more=more, value=value))
    project.ok("--explore", "x=9", "--output", "first.h5", "-n", "0")
    assert project.simkit("--output", "second.h5", "-n", "0").code == -signal.SIGKILL
    project.ok("merge", "results/slow-001.h5", "first.h5", "second.h5")
    (project.path / "began-3-0").unlink()
    project.ok("-n", "0", "--explore", "x=9,0,1,2,3")
    assert project.has("began-3-4") == goes
    assert project.has("began-3-0") != goes
    merged = project.open("slow-001")
    assert merged["x"].tolist() == [9, 0, 1, 2, 3]
    assert [len(v) for v in merged["v"]] == [6] * 5


def test_merging_in_this_process_holds_nothing_open(two, monkeypatch):
    monkeypatch.chdir(two.path)
    with simkit.merge("m.h5", "a.h5", "b.h5") as merged:
        assert values(merged, "noise")
        assert wrong_values(merged, merged) == []
        assert len(simkit.open("m.h5")) == 160
    two.ok("merge", "m.h5", "a.h5", "--duplicates", "first")
