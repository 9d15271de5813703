"""One lock and one log for a file, whatever name it is looked up by; with and without ``flock``."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

import h5py
import numpy as np
import pytest

import simkit
from simkit import SimkitError
from simkit.errors import BeingWritten, Damaged, StorageFailed
from simkit.record.file import locks, system
from simkit.record.file.locks import WriterLock, readers_of, writer_of, written_name
from simkit.record.file.store import Store, left_log, open_for_reading

HERE = f"process {os.getpid()} on {socket.gethostname()}"
SYMBOLIC, HARD = os.symlink, os.link


def square(x):
    return x * x


@pytest.fixture
def path(tmp_path):
    return tmp_path / "f-001.h5"


@pytest.fixture
def recorded(path):
    simkit.run(square, simkit.product(x=[1, 2, 3]), output=path).close()
    return path


@pytest.fixture
def gone():
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


ERRORS = [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL]


@pytest.fixture(params=ERRORS, ids=errno.errorcode.get)
def no_flock(request, monkeypatch):
    def flock(fd, operation):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(system.fcntl, "flock", flock)


@pytest.fixture(params=[True, False], ids=["notes", "no notes"])
def notes(request, monkeypatch):
    """With and without a file system that keeps attributes of files."""
    if not request.param:
        for name in ("setxattr", "getxattr", "removexattr"):
            monkeypatch.delattr(os, name)


# One file, several names


@pytest.mark.parametrize("link", [SYMBOLIC, HARD])
@pytest.mark.parametrize("moment", ["before", "while"])
def test_a_file_is_written_under_one_name(recorded, notes, link, moment, tmp_path):
    other = tmp_path / "other.h5"
    if moment == "before":
        link(recorded, other)
    store = Store(recorded)
    if moment == "while":
        link(recorded, other)
    with pytest.raises(SimkitError, match=rf"f-001\.h5 is being written by {HERE}"):
        simkit.open(other, mode="r+")
    store.file["more"] = np.arange(5)
    with open_for_reading(other) as seen:  # what is committed can be read by every name
        assert "more" not in seen
        store.commit()
        with open_for_reading(other) as later:
            assert later["more"][:].tolist() == list(range(5))
    assert writer_of(other) == HERE
    store.close()
    assert writer_of(other) == ""
    assert sorted(os.listdir(tmp_path)) == sorted([recorded.name, other.name])
    with simkit.open(other, mode="r+") as traj:
        traj.note("by its other name")
    with simkit.open(recorded) as traj:
        assert traj.notes() == ["by its other name"]
        assert traj["result"].tolist() == [1, 4, 9]
    assert os.path.samefile(recorded, other)
    assert sorted(os.listdir(tmp_path)) == sorted([recorded.name, other.name])


@pytest.mark.parametrize("link", [SYMBOLIC, HARD])
def test_a_name_in_another_folder_is_found_too(recorded, link, tmp_path):
    store = Store(recorded)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    link(recorded, folder / "other.h5")
    with pytest.raises(SimkitError, match=r"f-001\.h5 is being written by"):
        Store(folder / "other.h5")
    store.close()
    assert os.listdir(folder) == ["other.h5"]


def test_a_name_in_another_folder_is_refused_where_nothing_can_be_noted_on_files(
    recorded, tmp_path, monkeypatch
):
    for name in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.delattr(os, name)
    store = Store(recorded)
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "other.h5"
    os.link(recorded, other)
    with pytest.raises(Damaged, match=r"other\.h5 has 2 names \(hard links\) and no checksums"):
        Store(other)
    store.file["more"] = np.zeros(100_000)
    with pytest.raises(
        Damaged, match=r"was being written, and its log is not beside it\s+put other\.h5\.wal"
    ):
        simkit.open(other)
    store.close()
    with simkit.open(other, mode="r+") as traj:  # at rest every name will do
        assert traj["result"].tolist() == [1, 4, 9]


def test_a_log_that_a_killed_writer_left_is_found_by_every_name(recorded, notes, tmp_path):
    code = """
import os, sys
from pathlib import Path
from simkit.record.file.store import Store
store = Store(Path(sys.argv[1]))
reader = os.open(sys.argv[1], os.O_RDONLY)
import fcntl
fcntl.flock(reader, fcntl.LOCK_SH)
store.file["more"] = 5
store.commit()
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code, str(recorded)], check=False).returncode == 9
    other = tmp_path / "a-link.h5"
    os.link(recorded, other)
    assert written_name(other) == recorded
    assert "simkit repair" in left_log(other)
    with open_for_reading(other) as seen:
        assert seen["more"][()] == 5
    assert not os.path.exists(f"{recorded}.wal")
    assert left_log(other) == ""


def test_files_that_are_moved_or_copied_with_what_is_noted_on_them_are_written_as_themselves(
    recorded, tmp_path
):
    store = Store(recorded)
    copy = tmp_path / "copy.h5"
    with simkit.open(recorded):  # a reader keeps the file as it is
        store.commit()
        shutil.copy2(recorded, copy)
    assert written_name(copy) == copy
    store.close()
    moved = recorded.rename(tmp_path / "moved.h5")
    system.add_note(moved, "user.simkit.written_as", str(recorded))
    recorded.write_bytes(b"something else")
    assert written_name(moved) == moved
    with simkit.open(moved, mode="r+") as traj:
        assert written_name(moved) == moved
        traj.note("seen")


def test_a_merge_replaces_the_file_that_a_link_leads_to(recorded, tmp_path):
    simkit.run(square, simkit.product(x=[4]), output=tmp_path / "g-001.h5").close()
    (tmp_path / "data").mkdir()
    target = tmp_path / "data" / "all.h5"
    shutil.move(recorded, target)
    recorded.symlink_to(target)
    with simkit.merge(recorded, tmp_path / "g-001.h5") as merged:
        assert merged["result"].tolist() == [1, 4, 9, 16]
    assert recorded.is_symlink()
    assert simkit.open(target)["x"].tolist() == [1, 2, 3, 4]


def test_a_new_file_may_be_made_through_a_link_that_leads_nowhere_yet(tmp_path):
    link = tmp_path / "link.h5"
    link.symlink_to(tmp_path / "data" / "real.h5")
    simkit.run(square, simkit.product(x=[2]), output=link).close()
    assert link.is_symlink()
    assert os.listdir(tmp_path / "data") == ["real.h5"]
    with simkit.open(link) as traj:
        assert traj["result"].tolist() == [4]


# Who holds the lock


def test_who_writes_for_a_moment_is_waited_for(recorded):
    lock = WriterLock(recorded, briefly=True)
    with pytest.raises(SimkitError, match=rf"written by {HERE} \(this one\): close it there first"):
        WriterLock(recorded)
    threading.Timer(0.1, lock.release).start()
    Store(recorded).close()


def test_the_processes_that_read_a_file_are_named(recorded):
    code = "import simkit, sys; t = simkit.open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(recorded)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        reader.stdout.readline()
        with simkit.open(recorded):  # this process is not told of itself
            [words] = readers_of(recorded)
        assert words.startswith(f"process {reader.pid} (python")
        reader.stdin.close()
    assert readers_of(recorded) == []


# Without flock


# Claims: locks whose holders show signs of life, for file systems that lock within each machine only


@pytest.fixture(params=["locks within each machine", "locks nothing"])
def machines(request, monkeypatch):
    """Become another machine of a cluster that shares a file system."""
    if request.param == "locks nothing":
        monkeypatch.setattr(system.fcntl, "flock", missing_flock)
    for name in JOB:
        monkeypatch.delenv(name, raising=False)

    def become(machine, **job):
        monkeypatch.setattr(locks.platform, "node", lambda: machine)
        if request.param != "locks nothing":
            monkeypatch.setattr(locks, "try_lock", lambda fd: True)
        for name in JOB:
            monkeypatch.delenv(name, raising=False)
        for name, value in job.items():
            monkeypatch.setenv(name, value)

    return become


JOB = (
    "SLURM_JOB_ID",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_RESTART_COUNT",
    "JOB_ID",
    "SGE_TASK_ID",
)
JOB += ("LSB_JOBID", "LSB_JOBINDEX", "PBS_JOBID", "RESTARTED")


def missing_flock(fd, operation):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def age(path, seconds):
    """Let the last sign of life of a file's writer be so old, by the clock of the file system."""
    lock = path.with_name(f"{path.name}.lock")
    os.utime(lock, (now := locks._clock(path.parent) - seconds, now))


@pytest.mark.parametrize("skew", [-10_000, 0, 10_000])
def test_a_claim_of_another_machine_holds_while_it_shows_signs_of_life(machines, path, skew, monkeypatch):
    """By the clock of the file system: this machine's may be hours off."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + skew)
    machines("node-a", SLURM_ARRAY_JOB_ID="4711", SLURM_ARRAY_TASK_ID="3")
    first = WriterLock(path, beating=True)
    held = f"process {os.getpid()} on node-a (job 4711_3)"
    machines("node-b", SLURM_ARRAY_JOB_ID="4711", SLURM_ARRAY_TASK_ID="4")
    for seconds in (0, 200):
        age(path, seconds)
        with pytest.raises(BeingWritten, match=re.escape(f"is being written by {held}: wait")):
            WriterLock(path, beating=True)
        assert writer_of(path, beating=True) == held
    age(path, 200)
    monkeypatch.setattr(first, "beaten", first.beaten - 11)
    first.beat()
    assert locks._age(first.file) < 200
    age(path, 301)
    assert writer_of(path, beating=True) == ""
    assert writer_of(path) == held  # of a file whose writer need not show any
    second = WriterLock(path, beating=True)
    assert writer_of(path, beating=True) == f"process {os.getpid()} on node-b (job 4711_4)"
    with pytest.raises(
        StorageFailed, match=r"is being written by process \d+ on node-b \(job 4711_4\) by now"
    ):
        first.beat()
    first.release()
    assert second.file.exists(), "who has lost a claim takes nobody's lock away"
    second.release()
    assert os.listdir(path.parent) == []


def test_a_claim_is_lost_to_one_that_has_ended_since(machines, path):
    machines("node-a")
    first = WriterLock(path, beating=True)
    first.beat()
    age(path, 301)
    machines("node-b")
    WriterLock(path, beating=True).release()
    with pytest.raises(StorageFailed, match="is being written by another process by now"):
        first.beat()
    first.release()


@pytest.mark.parametrize(
    ("before", "after", "is_free"),
    [
        ({"SLURM_JOB_ID": "7"}, {"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "1"}, True),
        (
            {"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "1"},
            {"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "2"},
            True,
        ),
        (
            {"JOB_ID": "7", "SGE_TASK_ID": "3", "RESTARTED": "0"},
            {"JOB_ID": "7", "SGE_TASK_ID": "3", "RESTARTED": "1"},
            True,
        ),
        ({"SLURM_JOB_ID": "7"}, {"SLURM_JOB_ID": "7"}, False),  # two tasks of one job, by srun
        ({"SLURM_JOB_ID": "7"}, {"SLURM_JOB_ID": "8", "SLURM_RESTART_COUNT": "1"}, False),
        (
            {"JOB_ID": "7", "SGE_TASK_ID": "3", "RESTARTED": "0"},
            {"JOB_ID": "7", "SGE_TASK_ID": "4", "RESTARTED": "1"},
            False,
        ),
        ({"PBS_JOBID": "7[1]"}, {"PBS_JOBID": "7[1]"}, False),  # PBS does not count
        ({}, {"SLURM_RESTART_COUNT": "1"}, False),
    ],
)
def test_a_job_that_is_started_again_elsewhere_has_what_it_claimed_before(
    machines, path, before, after, is_free
):
    machines("node-a", **before)
    first = WriterLock(path, beating=True)
    machines("node-b", **after)
    if is_free:
        WriterLock(path, beating=True).release()
    else:
        with pytest.raises(BeingWritten):
            WriterLock(path, beating=True)
    first.release()


def test_a_lock_of_a_system_that_tells_no_births_is_that_of_its_process(no_flock, path, gone, monkeypatch):
    monkeypatch.setattr(locks, "_born", lambda process: "")
    lock = WriterLock(path)
    with pytest.raises(SimkitError, match=HERE):
        WriterLock(path)
    lock.release()
    for words in ("\nborn \nstart 0\n", "\nborn \n"):  # the second as it was written before
        path.with_name("f-001.h5.lock").write_text(f"process {gone} on {socket.gethostname()}{words}")
        WriterLock(path).release()


@pytest.mark.skipif(locks.fcntl is None, reason="needs locks of files")
def test_a_process_that_has_just_taken_a_lock_for_a_moment_is_waited_for(path, monkeypatch):
    """It holds the lock before it has written who it is."""
    lock = path.with_name("f-001.h5.lock")
    lock.touch()
    other = lock.open("r+")
    locks.fcntl.flock(other, locks.fcntl.LOCK_EX)
    waited = []

    def sleep(_):
        waited.append(lock.read_text())
        if len(waited) == 1:
            other.write(f"process {os.getppid()} on {socket.gethostname()} for a moment\n")
            other.flush()
        else:
            lock.unlink()
            other.close()

    monkeypatch.setattr(locks.time, "sleep", sleep)
    WriterLock(path, patient=True).release()
    assert [text.endswith(" for a moment\n") for text in waited] == [False, True]


def test_without_flock_a_plain_lock_file_keeps_others_out(no_flock, path, gone):
    store = Store(path)
    store.file["z"] = np.arange(5)
    store.commit()
    with pytest.raises(SimkitError, match=rf"f-001\.h5 is being written by {HERE} \(this one\)"):
        Store(path)
    store.close()
    assert os.listdir(path.parent) == [path.name]
    lock = path.with_name("f-001.h5.lock")
    lock.write_text(f"process {gone} on {socket.gethostname()}\n")  # killed
    Store(path).close()
    for holder in (f"process {gone} on another-machine", f"process {os.getppid()} on {socket.gethostname()}"):
        lock.write_text(f"{holder}\n")
        with pytest.raises(SimkitError, match=rf"by {holder}: wait .* is gone, remove \S*f-001\.h5\.lock"):
            Store(path)
    lock.write_text("")
    with pytest.raises(SimkitError, match="is being written by another process: wait"):
        Store(path)
    assert lock.exists()


def test_without_flock_the_lock_of_a_living_process_is_never_away(no_flock, path, gone, monkeypatch):
    """Two sessions find the lock of a killed one; the slower one must not open the door to a third."""
    lock = path.with_name("f-001.h5.lock")
    lock.write_text(f"process {gone} on {socket.gethostname()}\n")
    faster = []
    is_dead = locks._is_dead

    def late(holder):
        if not faster:
            faster.append(None)
            faster[:] = [WriterLock(path)]
        return is_dead(holder)

    def watched(action):
        def act(*places, **options):
            action(*places, **options)
            assert faster == [None] or lock.exists()

        return act

    monkeypatch.setattr(locks, "_is_dead", late)
    for name in ("rename", "replace", "unlink"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    with pytest.raises(SimkitError, match=rf"is being written by {HERE} \(this one\)"):
        WriterLock(path)
    monkeypatch.undo()
    faster[0].release()
    assert os.listdir(path.parent) == []


def test_without_flock_who_was_killed_while_taking_a_lock_away_holds_nobody_up(no_flock, path, gone):
    path.with_name("f-001.h5.lock").write_text(f"process {gone} on {socket.gethostname()}\n")
    guard = path.with_name("f-001.h5.lock.gone")
    guard.touch()
    os.utime(guard, (0, 0))
    Store(path).close()
    assert not guard.exists()


KILLED = """
import errno, os, signal, sys
from simkit.record.file import locks, system
from simkit.record.file.locks import WriterLock

def flock(fd, operation):
    raise OSError(errno.ENOSYS, "")

def deadly(action):
    def act(*arguments, **options):
        if sys.argv[2] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = action(*arguments, **options)
        if ".lock" in str(arguments[0]) or action is os_write:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return act

system.fcntl.flock = flock
os_write = os.write
setattr(os, sys.argv[1], deadly(getattr(os, sys.argv[1])))
WriterLock(sys.argv[3])
"""


@pytest.mark.parametrize("no_flock", ERRORS[:1], indirect=True)
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", ["open", "write", "link", "unlink"])
def test_without_flock_who_is_killed_while_taking_a_lock_leaves_none_that_holds(no_flock, path, call, moment):
    killed = subprocess.run([sys.executable, "-c", KILLED, call, moment, path], check=False)
    assert killed.returncode == -9
    left = set(path.parent.iterdir())
    for file in left:
        os.utime(file, (0, 0))
    lock = WriterLock(path)
    assert lock.file.read_text().startswith(f"process {os.getpid()} on ")
    lock.release()
    assert not list(path.parent.iterdir()), left


def test_where_there_are_neither_locks_nor_links_a_lock_file_is_made_as_it_can_be(
    no_flock, path, monkeypatch
):
    def link(*places, **options):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    lock = WriterLock(path)
    assert lock.file.read_text().startswith(f"process {os.getpid()} on ")
    with pytest.raises(SimkitError, match="is being written by"):
        WriterLock(path)
    lock.release()
    assert not list(path.parent.iterdir())


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
def test_without_flock_a_number_that_another_process_has_by_now_locks_nothing(no_flock, path):
    lock, parent = path.with_name("f-001.h5.lock"), os.getppid()
    lock.write_text(f"process {parent} on {socket.gethostname()}\nborn 1\n")
    assert writer_of(path) == ""
    with_birth = f"process {parent} on {socket.gethostname()}\nborn {locks._born(parent)}\n"
    Store(path).close()
    lock.write_text(with_birth)
    assert writer_of(path) == f"process {parent} on {socket.gethostname()}"
    with pytest.raises(SimkitError, match=rf"is being written by process {parent} on \S+: wait"):
        Store(path)


@pytest.mark.parametrize("has_flock", [True, False])
def test_a_lock_that_was_taken_away_by_hand_is_not_given_back_for_another_process(
    path, monkeypatch, has_flock
):
    if not has_flock:
        monkeypatch.setattr(system, "try_lock", lambda fd, *, shared=False: None)
        monkeypatch.setattr(locks, "try_lock", lambda fd, *, shared=False: None)
    first = WriterLock(path)
    lock = path.with_name("f-001.h5.lock")
    lock.unlink()
    second = WriterLock(path)
    first.release()
    assert lock.exists()
    with pytest.raises(SimkitError, match="is being written by"):
        WriterLock(path)
    second.release()
    assert not lock.exists()


def test_without_flock_readers_keep_their_snapshot_until_the_writer_ends(no_flock, recorded):
    reader = simkit.open(recorded)
    store = Store(recorded)
    for number in range(30):
        store.file[f"more{number}"] = np.full(2000, number)
        store.file["square/results/result"][:] = number
        store.commit()
        assert reader["result"].tolist() == [1, 4, 9]
        with open_for_reading(recorded) as later:
            assert later["square/results/result"][:].tolist() == [number] * 3
            assert later[f"more{number}"][7] == number
    assert os.path.exists(f"{recorded}.wal")
    store.close()
    assert not os.path.exists(f"{recorded}.wal")
    with pytest.raises(Damaged, match="has been written since it was opened: open it again"):
        reader["result"]
    reader.close()
    with simkit.open(recorded) as traj:
        assert traj["result"].tolist() == [29] * 3


def test_without_flock_a_log_that_was_left_is_brought_in(no_flock, recorded, tmp_path):
    store = Store(recorded)
    store.file["more"] = 1
    store.commit()
    copy = tmp_path / "copy.h5"
    shutil.copy(recorded, copy)
    shutil.copy(f"{recorded}.wal", f"{copy}.wal")
    store.close()
    again = Store(copy)
    again.file["most"] = 2
    again.close()
    assert not os.path.exists(f"{copy}.wal")
    with h5py.File(copy) as file:
        assert (file["more"][()], file["most"][()]) == (1, 2)


NO_FLOCK = """
#include <errno.h>
int flock(int fd, int operation) { errno = %s; return -1; }
"""


@pytest.mark.skipif(shutil.which("cc") is None or sys.platform != "linux", reason="needs a C compiler")
@pytest.mark.parametrize("error", ["ENOSYS", "ENOLCK"])
def test_a_study_where_the_system_has_no_flock(project, tmp_path, error):
    source, library = tmp_path / "no_flock.c", tmp_path / "no_flock.so"
    source.write_text(NO_FLOCK % error)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    project.file(
        "sim_study.py",
        """
        from pathlib import Path
        import time
        from simkit import experiment, product

        @experiment
        @product(x=range(40))
        def study(x):
            while x == 30 and not Path("go").exists():
                time.sleep(0.01)
            return x * 0.5
        """,
    )
    path = project.path / "results" / "study-001.h5"
    with project.start("-m", "simkit", "-n", "2", env=environment) as process:
        project.until(path.exists)
        second = project.simkit("-n", "0", env=environment)
        assert second.code == 4
        assert f"is being written by process {process.pid} on {socket.gethostname()}" in second.err
        shown = project.ok("show", str(path), env=environment)
        assert "study-001.h5.wal is a part of it" in shown.out
        project.file("go")
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    with simkit.open(path) as traj:
        assert traj["result"].tolist() == [x * 0.5 for x in range(40)]


# Readers at the session's end

GROWING = """
    from simkit import experiment, product

    @experiment
    @product(x=range(N))
    def f(x):
        return x * 0.5
    """
READER = """
import sys, simkit
traj = simkit.open(sys.argv[1])
print(len(traj), flush=True)
sys.stdin.read()
"""


def grown(project, count, *, held=True):
    """What the session says that brings the trajectory to so many runs."""
    project.file("sim_f.py", GROWING.replace("N", str(count)))
    out = project.ok("-n", "0").out
    assert ("f-001.h5.wal is a part of it" in out) is held
    return out


def plainly(path):
    """The results in the .h5 alone."""
    with h5py.File(path, "r") as file:
        return file["f/results/result"][:].tolist()


@pytest.fixture
def growing(project):
    grown(project, 2, held=False)
    return project.path / "results" / "f-001.h5", project.path / "results" / "f-001.h5.wal"


def test_the_last_of_two_readers_brings_in_what_the_session_had_to_leave(project, growing):
    path, log = growing
    first, second = simkit.open(path), simkit.open(path)
    assert f"process {os.getpid()}" in grown(project, 4)
    assert plainly(path) == [0, 0.5]
    first.close()
    assert log.exists()
    assert second["result"].tolist() == [0, 0.5]  # what it was when it was opened
    second.close()
    assert not log.exists()
    assert plainly(path) == [0, 0.5, 1, 1.5]


def test_blocks_that_end_bring_it_in_whatever_ends_them(project, growing):
    path, log = growing

    def look(count):
        with simkit.open(path) as traj:
            grown(project, count)
            return traj["y"]

    with simkit.open(path):
        with pytest.raises(KeyError, match="has no 'y'"):
            look(3)
        assert log.exists()
    assert not log.exists()
    with pytest.raises(KeyError, match="has no 'y'"):
        look(4)
    assert not log.exists()
    assert plainly(path) == [0, 0.5, 1, 1.5]


def test_a_selection_that_outlives_its_trajectory_s_name_holds_the_file_until_it_is_closed(project, growing):
    path, log = growing
    chosen = simkit.open(path).where("x > 0")
    grown(project, 4)
    assert log.exists()
    chosen.close()
    assert not log.exists()
    assert plainly(path) == [0, 0.5, 1, 1.5]


@pytest.mark.parametrize("then", ["open", "list", "repair", "run"])
def test_what_a_killed_reader_left_in_the_log_comes_in_with_whoever_is_next(project, growing, then):
    path, log = growing
    script = project.file("reader.py", READER)
    with project.start(str(script), str(path)) as reader:
        assert reader.stdout.readline() == "2\n"
        assert f"process {reader.pid}" in grown(project, 4)
        reader.kill()
    assert plainly(path) == [0, 0.5]
    match then:
        case "open":
            with simkit.open(path) as traj:
                assert traj["result"].tolist() == [0, 0.5, 1, 1.5]
        case "list":
            assert "4 done" in project.ok("list").out
        case "repair":
            project.ok("repair", "results/f-001.h5")
        case "run":
            grown(project, 5, held=False)
    assert not log.exists()
    assert plainly(path)[:4] == [0, 0.5, 1, 1.5]


def test_one_of_two_readers_is_killed_and_the_other_brings_it_in(project, growing):
    path, log = growing
    script = project.file("reader.py", READER)
    with project.start(str(script), str(path)) as reader, simkit.open(path):
        assert reader.stdout.readline() == "2\n"
        out = grown(project, 4)
        assert f"process {reader.pid}" in out
        assert f"process {os.getpid()}" in out
        reader.kill()
        reader.wait()
        assert log.exists()
    assert not log.exists()
    assert plainly(path) == [0, 0.5, 1, 1.5]
