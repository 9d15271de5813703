"""Who is alive, and what stands in two trajectories: for tests that kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import simkit

ABSENT = "(absent)"


def alive(group: int | None = None, folder: Path | None = None) -> list[int]:
    """The processes of a process group, or those whose working directory is this folder; no zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            cwd = os.readlink(entry / "cwd") if folder else ""
        except OSError:
            continue
        if fields[0] not in "ZX" and (int(fields[2]) == group or (folder and cwd == str(folder))):
            found.append(int(entry.name))
    return found


def kill_group(process: subprocess.Popen[str], folder: Path) -> None:
    """``kill -9`` of everything that this process has started; nothing of it may live on."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 300
    while (rest := alive(process.pid, folder)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not rest, f"processes {rest} outlived their group"


def is_refused(error: OSError) -> bool:
    """Whether a reader came while a commit was just being applied, and may come again.

    HDF5 asks for the file's size before it takes its lock, so a commit in between makes it say "truncated".
    """
    return isinstance(error, BlockingIOError) or "truncated file" in str(error)


def opened_plainly(path: Path, patience: int = 1000) -> h5py.File:
    """Open a file that may be growing with plain h5py, which does not wait for the lock by itself."""
    while True:
        try:
            return h5py.File(path, "r")
        except OSError as error:
            patience -= 1
            if patience <= 0 or not is_refused(error):
                raise
        time.sleep(0.003)


def recorded_runs(path: Path, patience: int = 1000) -> set[int]:
    """The runs that plain h5py finds done."""
    with opened_plainly(path, patience) as file:
        (group,) = file.values()
        return set(np.flatnonzero(group["runs/status"][:] == 1).tolist())


def read_everything(path: Path) -> int:
    """Read every dataset and attribute with plain h5py; how many objects there are."""
    count = 0

    def look(_: str, thing: Any) -> None:
        nonlocal count
        count += 1
        list(thing.attrs.items())
        if isinstance(thing, h5py.Dataset):
            thing[()]

    with opened_plainly(path) as file:
        file.visititems(look)
    return count


def values(trajectory: simkit.Trajectory, name: str) -> list[Any]:
    """A name's values run by run, in a form that compares with ``==``."""
    column = trajectory[name]
    absent = np.ma.getmaskarray(column)
    rows = np.ma.getdata(column)
    plain = [_plain(row) for row in (rows.tolist() if rows.ndim == 1 else rows)]
    if absent.ndim > 1:  # of empty arrays no mask tells whether they are there
        absent = absent.reshape(len(rows), -1).all(1) & (absent[0].size > 0)
    return [ABSENT if gone else row for gone, row in zip(absent, plain, strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and value.size and np.isnan(value).all():
            return ABSENT
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, *map(_plain, value))
    if isinstance(value, dict):
        return tuple((key, _plain(inner)) for key, inner in value.items())
    return ABSENT if isinstance(value, float) and np.isnan(value) else value


def kinds(trajectory: simkit.Trajectory, name: str) -> list[Any]:
    """The types of a column and of its values; numbers of two types make one column of the wider."""
    column = np.ma.getdata(trajectory[name])
    return [column.dtype, [type(value) for value in column.tolist()] if column.dtype == object else []]


def wrong_values(trajectory: simkit.Trajectory, reference: simkit.Trajectory) -> list[str]:
    """Where a done run's parameters, results or seed differ from the reference's."""
    wrong = []
    done = np.flatnonzero(trajectory.status == "done").tolist()
    known = {*trajectory.names("parameters"), *trajectory.names("results")}
    surplus = known - {*reference.names("parameters"), *reference.names("results")}
    if surplus:
        wrong.append(f"unknown names {surplus}")
    for name in (*reference.names("parameters"), *reference.names("results")):
        right = values(reference, name)
        there = values(trajectory, name) if name in known else [ABSENT] * len(right)
        wrong += [f"{name}[{i}]: {there[i]!r:.80}" for i in done if there[i] != right[i]]
    if trajectory.seeds is not None and reference.seeds is not None and done:
        wrong += [f"seed[{i}]" for i in done if trajectory.seeds[i] != reference.seeds[i]]
    return wrong


def kill_all(processes: Sequence[int]) -> None:
    """Kill these processes, those that end meanwhile included."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def guards_below(processes: Sequence[int]) -> list[int]:
    """The guarded children that these processes started."""
    own = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text().split("\0")
        except OSError:
            continue
        if parent(int(entry.name)) in processes and any("simkit.execute.warden" in word for word in words):
            own.append(int(entry.name))
    return own


def parent(process: int) -> int:
    """Who started a process; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text("latin-1").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def slurm(*command: str) -> subprocess.CompletedProcess[str]:
    """One of Slurm's commands; what it says."""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def has_slurm() -> bool:
    """Whether a Slurm answers, and simkit can ask it for workers; `.ci/slurm start` starts one on this machine."""
    if shutil.which("sinfo") is None or find_spec("dask_jobqueue") is None:
        return False
    try:
        return bool(slurm("sinfo", "-h").stdout)
    except subprocess.TimeoutExpired:
        return False


WAITING = """
    import time
    from pathlib import Path
    from simkit import experiment, product

    @experiment
    @product(x=range(40))
    def slow(x):
        Path(f"began-{x}").touch()
        while x > 2 and not Path("heard").exists():
            time.sleep(0.01)
        return x
"""


# To a process group, as by a terminal: all of an engine's processes hear it; to the command alone, as by a scheduler.
CTRL_C, SIGTERM = (os.killpg, signal.SIGINT), (os.kill, signal.SIGTERM)


def check_ctrl_c(project: Any, process: subprocess.Popen[str], tell: Any = CTRL_C) -> None:
    """A command that executes `WAITING` is told to end: what runs is finished, and nothing else begins."""
    project.until(lambda: project.has("began-3"))
    send, number = tell
    send(process.pid, number)
    out = ""
    while "finishing the runs under way" not in out:
        line = process.stdout.readline() if process.stdout else ""
        assert line, out
        out += line
    (project.path / "heard").touch()
    rest, err = process.communicate(timeout=600)
    assert process.returncode == 2, out + rest + err
    began = len(list(project.path.glob("began-*")))
    with project.open("slow-001") as trajectory:
        assert (trajectory.status == "done").sum() == began < 40
        assert set(trajectory.status.tolist()) == {"done", "pending"}
    assert list((project.path / "results").glob(".simkit-*")) == []
