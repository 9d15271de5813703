"""``kill -9`` of the owner at chosen system calls: no run is lost, and the next command leaves nothing of the dead."""

from __future__ import annotations

import os
import signal

import numpy as np
from conftest import clean_environment

from simkit.inject.leftovers import SHARED, prefix

# Kills the command's own process when it is about to do the N-th thing of these kinds; with N = 0 it counts them.
KILLER = """
    import atexit, os, signal, sys

    EVENTS = {
        "open", "os.rename", "os.remove", "os.truncate", "os.mkdir", "os.rmdir", "os.symlink", "os.link",
        "tempfile.mkstemp", "mmap.__new__", "os.fork", "os.setxattr", "os.removexattr", "socket.__new__",
    }
    OWNER, LAST, count = os.getpid(), int(os.environ.get("KILL_AT", "-1")), 0

    def matters(event, arguments):
        if event not in EVENTS or os.getpid() != OWNER:
            return False
        if event != "open":
            return True
        path, _, flags = arguments
        return bool(flags & (os.O_WRONLY | os.O_RDWR)) and "/dev/null" not in str(path)

    def look(event, arguments):
        global count
        if matters(event, arguments):
            count += 1
            if count == LAST:
                os.kill(OWNER, signal.SIGKILL)

    PIDS = os.path.abspath("pids")

    def note():
        with open(PIDS, "a") as file:
            print(os.getpid(), file=file)

    if LAST >= 0:
        note()
        os.register_at_fork(after_in_child=note)
        sys.addaudithook(look)
    if LAST == 0:
        @atexit.register
        def tell():
            if os.getpid() == OWNER:
                with open("counted", "w") as file:
                    file.write(str(count))
    """

STUDY = """
    import numpy as np
    from simkit import experiment, explore

    @experiment
    @explore(x=range(6))
    def study(x, workdir):
        (workdir / "state").write_text(str(x))
        return {"a": np.full(20_000, x), "b": x}
    """


def test_a_kill_at_any_call_leaves_nothing(project, tmp_path, pytestconfig):
    temp = tmp_path / "temp"
    temp.mkdir()
    project.file("sim_study.py", STUDY)
    project.file("killer/sitecustomize.py", KILLER)
    environment = {**clean_environment(), "TMPDIR": str(temp)}

    def command(at):
        more = {"PYTHONPATH": str(project.path / "killer"), "KILL_AT": str(at)}
        return project.simkit("-n", "1", "--fresh", "-q", env={**environment, **more})

    assert command(0).code == 0
    assert command(0).code == 0  # from here on each session does about the same
    total = int((project.path / "counted").read_text())
    kills = pytestconfig.getoption("kills") // 2
    for at in np.unique(np.linspace(1, total - 2, kills).astype(int)).tolist():
        assert command(at).code == -signal.SIGKILL, (at, total)
        project.until(lambda: not beside(temp))  # the process that starts workers does that
        result = project.simkit("-n", "1", "-q", env=environment)
        assert result.code == 0, (at, result.out + result.err)
        left = [path.name for path in (project.path / "results").iterdir()]
        assert [name for name in left if not name.endswith(".h5") or name.startswith(".")] == [], at
        assert list(temp.iterdir()) == [], at
        newest = project.open(max(left).removesuffix(".h5"))
        assert newest.status.tolist() == ["done"] * 6, at
        assert newest["b"].tolist() == list(range(6))
        assert (newest["a"][:, 0] == newest["b"]).all()
    assert left_shared((project.path / "pids").read_text().split()) == []


def beside(temp):
    return [path for path in temp.iterdir() if os.path.exists(f"/proc/{path.name.split('-')[2]}")]


def left_shared(processes):
    """What these processes, which are dead, have left in the shared memory."""
    starts = tuple(f"{prefix('x').rsplit('-', 4)[0]}-{process}-" for process in processes)
    return [name for name in os.listdir(SHARED) if name.startswith(starts)] if SHARED else []
