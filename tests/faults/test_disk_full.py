"""A full disk: a clear error, everything committed readable, and the rest is computed once there is room."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess

import numpy as np
import pytest
from processes import read_everything

import simkit

FILL = """
import time
import numpy as np
from simkit import experiment, product

@experiment
@product(x=range(400))
def fill(x, rng, scale=2):
    time.sleep(0.005)  # so that there are several commits
    return {"a": rng.normal(size=2000), "z": x * scale, "s": "wörd" * (x % 5), "r": np.arange(x % 7)}
"""  # 6.4 MB
CURE = "every run that was reported done is in the file; make room and type the same command again"


@pytest.fixture
def small_disk(project):
    """Mounts a file system of a few megabytes as ``results``; calling it again changes its size."""
    folder = project.path / "results"
    folder.mkdir()
    mounted = False

    def size(megabytes):
        nonlocal mounted
        again = ["remount,"] if mounted else [""]
        command = ["mount", "-t", "tmpfs", "-o", f"{again[0]}size={megabytes}m", "tmpfs", str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        mounted = True

    try:
        size(1)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs to mount a small file system: {error}; RLIMIT_FSIZE below tests the same code")
    yield size
    subprocess.run(["umount", str(folder)], check=True)


def fill_up(folder):
    """Write a file that takes every free page."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


def limited(megabytes):
    """Options of a process whose files may not grow beyond this."""
    nbytes = megabytes << 20
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, nbytes))}


def check_error(result, name="results/fill-001.h5"):
    """Exit code 1, a message with the file and the cure, no traceback."""
    assert result.code == 1, (result.code, result.out, result.err)
    lines = result.err.splitlines()
    assert lines[0].startswith(f"simkit: {name}: "), result.err
    assert re.search(r"could not be written: (No space left on device|File too large)", lines[0])
    assert lines[1].strip() == CURE
    for word in ("Traceback", "this is a bug", "Exception ignored", "Segmentation"):
        assert word not in result.err + result.out
    assert "400 of 400 runs" not in result.out, "runs that were not committed are reported done"


def check_values(path, *, complete=False):
    """All done runs are right; returns how many there are."""
    read_everything(path)
    with simkit.open(path) as traj:
        done = np.flatnonzero(traj.status == "done")
        if complete:
            assert len(done) == 400
        assert set(traj.status[~np.isin(np.arange(400), done)]) <= {"pending"}
        assert traj["x"].tolist() == list(range(400))
        if not len(done):
            return 0
        a, z, s, r = traj["a"], traj["z"], traj["s"], traj["r"]
        for i in done.tolist():
            assert np.array_equal(a[i], np.random.default_rng(traj.seeds[i]).normal(size=2000))
            assert (z[i], s[i], r[i].tolist()) == (2 * i, "wörd" * (i % 5), list(range(i % 7)))
        return len(done)


@pytest.mark.parametrize(("workers", "megabytes"), [("0", 2), ("2", 3), ("1", 4)])
def test_a_full_file_system(project, small_disk, workers, megabytes):
    project.file("sim_fill.py", FILL)
    path = project.path / "results" / "fill-001.h5"
    small_disk(megabytes)
    result = project.simkit("-n", workers)
    check_error(result)
    first = check_values(path)
    assert first < 400
    assert f"results/fill-001.h5   {first} of 400 runs" in result.out
    check_error(project.simkit("-n", workers))  # still no room: nothing gets worse
    assert check_values(path) >= first
    small_disk(64)
    project.ok("-n", workers)
    assert check_values(path, complete=True) == 400
    assert [p.name for p in path.parent.iterdir()] == ["fill-001.h5"]


def test_a_disk_that_another_program_fills_completely(project, small_disk):
    """Not one page is free, neither for the log nor for the file."""
    project.file("sim_fill.py", FILL)
    path = project.path / "results" / "fill-001.h5"
    small_disk(64)
    project.ok("--where", "x < 50")
    ballast = fill_up(path.parent)
    check_error(project.simkit("-n", "1"))
    assert check_values(path) == 50
    ballast.unlink()
    project.ok("-n", "1")
    assert check_values(path, complete=True) == 400


def test_a_disk_without_room_for_the_first_commit(project, small_disk):
    project.file("sim_fill.py", FILL)
    ballast = fill_up(project.path / "results")
    result = project.simkit("-n", "1")
    assert result.code == 1, result.out + result.err
    assert "results/fill-001.h5: " in result.err
    assert "No space left on device" in result.err
    assert "Traceback" not in result.err
    assert [p.name for p in (project.path / "results").iterdir()] == ["ballast"]
    ballast.unlink()
    small_disk(64)
    project.ok()
    assert check_values(project.path / "results" / "fill-001.h5", complete=True) == 400


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_limit_on_the_size_of_files(project, workers):
    project.file("sim_fill.py", FILL)
    path = project.path / "results" / "fill-001.h5"
    check_error(project.simkit("-n", workers, **limited(2)))
    first = check_values(path)
    assert 0 < first < 400
    check_error(project.simkit("-n", workers, **limited(4)))
    assert first < check_values(path) < 400
    project.ok("-n", workers)
    assert check_values(path, complete=True) == 400
    assert (
        shutil.which("h5dump") is None
        or not subprocess.run(["h5dump", "-H", str(path)], capture_output=True, check=False).returncode
    )


@pytest.mark.parametrize("workers", ["0", "1"])
def test_the_very_last_commit_fails(project, workers):
    """Everything is computed before the first commit is due: the file can't be written when it is closed."""
    quick = re.sub(r"    time.sleep.*\n", "", FILL)
    project.file("sim_fill.py", quick)
    path = project.path / "results" / "fill-001.h5"
    for _ in range(3):
        check_error(project.simkit("-n", workers, **limited(2)))
        check_values(path)
    project.ok("-n", workers)
    assert check_values(path, complete=True) == 400


def test_other_experiments_are_told_too(project):
    """A full disk ends the session: what was not begun is not said to be complete."""
    project.file("sim_fill.py", FILL + FILL.replace("def fill", "def fill_more").partition("product\n")[2])
    result = project.simkit("-n", "1", **limited(2))
    check_error(result)
    assert "fill_more" not in result.out
    assert not (project.path / "results" / "fill_more-001.h5").exists()
