"""One writer at a time; what is committed is there, and nothing else."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import stat
import subprocess
import sys

import h5py
import numpy as np
import pytest

import simkit
from simkit import SimkitError
from simkit.errors import Damaged, StorageFailed
from simkit.record.file.store import Store, WriterLock, open_for_reading, writer_of


@pytest.fixture
def path(tmp_path):
    return tmp_path / "f-001.h5"


@pytest.fixture
def store(path):
    made = Store(path)
    yield made
    made.close()


def test_a_second_writer_is_told_who_writes(store, path):
    with pytest.raises(SimkitError, match="is being written by") as error:
        Store(path)
    message = str(error.value)
    assert f"process {os.getpid()} on {socket.gethostname()}" in message
    assert "f-001.h5" in message
    assert "wait until it is done, or use another file" in message


def test_when_the_writer_is_done_others_may_write(path):
    Store(path).close()
    assert not os.path.exists(f"{path}.lock")
    again = Store(path)
    assert not again.created
    again.close()


def test_a_lock_file_that_a_killed_process_left_behind_locks_nothing(path):
    (path.parent / f"{path.name}.lock").write_text("process 1 on nowhere\n")
    lock = WriterLock(path)
    lock.release()


def test_a_new_file_has_its_name_after_the_first_commit(store, path):
    store.file["z"] = 1
    assert not path.exists()
    store.commit()
    assert path.exists()
    with h5py.File(path, "r") as seen:
        assert seen["z"][()] == 1


def test_a_file_that_was_never_committed_leaves_nothing(path):
    store = Store(path)
    store.file["z"] = 1
    store.close(failed=True)
    assert list(path.parent.iterdir()) == []


def test_closing_after_a_failure_keeps_the_last_commit(path):
    store = Store(path)
    store.file["z"] = 1
    store.commit()
    store.file["w"] = np.zeros(1000)
    store.close(failed=True)
    with h5py.File(path, "r") as seen:
        assert list(seen) == ["z"]
    assert os.listdir(path.parent) == [path.name]


def test_closing_commits(path):
    store = Store(path)
    store.file["z"] = 1
    store.close()
    with h5py.File(path, "r") as seen:
        assert seen["z"][()] == 1


def test_the_file_is_plain_hdf5_that_tracks_order(path):
    store = Store(path)
    for name in "zay":
        store.file[name] = 1
    store.close()
    with h5py.File(path, "r") as seen:
        assert list(seen) == ["z", "a", "y"]


def test_after_a_kill_the_committed_state_is_read(store, path, tmp_path):
    store.file["z"] = np.arange(5)
    store.commit()
    store.file["z"][:] = 9
    store.file["w"] = np.zeros(10_000)
    copy = tmp_path / "copy.h5"
    shutil.copy(path, copy)
    shutil.copy(f"{path}.wal", f"{copy}.wal")
    with open_for_reading(copy) as seen:
        assert list(seen) == ["z"]
        assert seen["z"][:].tolist() == [0, 1, 2, 3, 4]
    assert not os.path.exists(f"{copy}.wal")


def test_a_place_that_can_not_be_written_suggests_output(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SimkitError, match="cannot be written: ") as error:
        Store(tmp_path / "file" / "f.h5")
    assert "--output FILE.h5" in str(error.value)
    assert "file/f.h5" in str(error.value)


def test_a_full_disk_is_a_storage_failure_that_says_what_to_do(path):
    store = Store(path)
    store.file["z"] = np.arange(10)
    store.commit()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    try:
        store.file["w"] = np.ones(100_000)
        with pytest.raises(StorageFailed, match="could not be written: File too large") as error:
            store.commit()
        assert "every run that was reported done is in the file" in str(error.value)
        store.close(failed=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with h5py.File(path, "r") as seen:
        assert list(seen) == ["z"]


def test_a_file_that_is_missing_or_no_hdf5_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(SimkitError, match=r"no such file: .*nope.h5"):
        open_for_reading(tmp_path / "nope.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(SimkitError, match=r"text.h5: not a trajectory file: it is not an HDF5 file"):
        open_for_reading(tmp_path / "text.h5")


def test_an_hdf5_file_of_somebody_else_is_an_error_that_names_it(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(SimkitError, match=r"other.h5: an HDF5 file, but no trajectory of simkit's is in it"):
        simkit.open(tmp_path / "other.h5")


def test_a_trajectory_that_is_still_open_hides_nothing_from_a_later_one(path):
    def f(x):
        return x

    earlier = simkit.run(f, simkit.product(x=[1, 2]), output=path)
    assert earlier["result"].tolist() == [1, 2]
    later = simkit.run(f, simkit.product(x=[1, 2, 3]), output=path)
    assert later["result"].tolist() == [1, 2, 3]
    assert simkit.open(path)["result"].tolist() == [1, 2, 3]


def test_who_writes_a_file_is_told_without_a_lock(path):
    assert writer_of(path) == ""
    store = Store(path)
    assert writer_of(path) == f"process {os.getpid()} on {socket.gethostname()}"
    store.close()
    assert writer_of(path) == ""


def test_a_writer_that_was_killed_writes_no_more(path):
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    lock = path.with_name("f-001.h5.lock")
    lock.write_text(f"process {gone.pid} on {socket.gethostname()}\n")
    assert writer_of(path) == ""
    lock.write_text(f"process {gone.pid} on another-machine\n")  # nobody here can tell
    assert writer_of(path) == f"process {gone.pid} on another-machine"


# The last reader brings in what the writer had to leave in the log


@pytest.fixture
def left(path):
    """A file with a log that was left, since it is open for reading twice."""

    def f(x):
        return x

    simkit.run(f, simkit.product(x=[1, 2]), output=path).close()
    readers = [open_for_reading(path), open_for_reading(path)]
    store = Store(path)
    store.file["more"] = np.arange(10)
    store.close()
    assert os.path.exists(f"{path}.wal")
    return readers


def whole(path):
    """Whether plain HDF5 finds everything in the file alone."""
    assert os.listdir(path.parent) == [path.name]
    with h5py.File(path) as seen:
        return seen["more"][:].tolist() == list(range(10))


def test_the_last_reader_brings_the_log_in(left, path):
    for reader in left:
        assert os.path.exists(f"{path}.wal")
        assert "more" not in reader
        reader.close()
    assert whole(path)


def test_readers_that_are_dropped_bring_the_log_in_too(left, path):
    left.clear()
    assert whole(path)


def test_a_reader_that_came_after_the_writer_counts_as_well(left, path):
    later = simkit.open(path)
    left.clear()
    assert os.path.exists(f"{path}.wal")
    later.close()
    assert whole(path)


@pytest.mark.parametrize("how", ["end", "error", "exit"])
def test_a_script_that_ends_with_trajectories_open_leaves_no_log(path, how):
    end = {"end": "", "error": "raise ValueError('bad')", "exit": "sys.exit(3)"}[how]
    code = f"""
import os, sys
import numpy as np, simkit
from pathlib import Path
from simkit.record.file.store import Store

def f(x):
    return x

first = simkit.run(f, simkit.product(x=[1, 2]), output={str(path)!r})
second = simkit.open({str(path)!r})
store = Store(Path({str(path)!r}))
store.file["more"] = np.arange(10)
store.close()
third = simkit.open({str(path)!r})
values = first.runs
if os.fork() == 0:
    sys.exit(0)  # a child that ends has no part in it
os.wait()
assert os.path.exists({str(path) + ".wal"!r})
assert first["result"].tolist() == third["result"].tolist() == [1, 2]
{end}
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == {"end": 0, "error": 1, "exit": 3}[how], done.stderr
    assert ("Traceback" in done.stderr) == (how == "error"), done.stderr
    assert whole(path)


def test_a_log_that_can_not_be_brought_in_stays_and_is_told_by_the_next_reader(left, path):
    log = path.with_name("f-001.h5.wal")
    record = bytearray(log.read_bytes())
    record[-1] ^= 1
    log.write_bytes(record)
    for reader in left:
        reader.close()
    assert log.read_bytes() == record
    with pytest.raises(Damaged, match="wal is damaged behind its first"):
        open_for_reading(path)


def test_writing_goes_on_from_a_log_while_somebody_reads_the_file(left, path):
    """What the reader sees stays as it was, and no commit is lost."""
    before = path.read_bytes()
    for number in (1, 2):
        store = Store(path)
        assert store.file["more"][:].tolist() == list(range(10))
        store.file[f"session{number}"] = number
        store.commit()
        store.close()
        assert path.read_bytes()[: len(before)] == before
    left.clear()
    assert whole(path)
    with h5py.File(path) as seen:
        assert seen["session1"][()] + seen["session2"][()] == 3


CLOSING = {
    "all": "os.closerange(3, 1000)",
    "the file": "[os.close(number) for number in ours()]",
    "for another file": "[os.dup2(os.open('mine.txt', os.O_CREAT | os.O_RDWR), number) for number in ours()]",
}


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are found in /proc")
@pytest.mark.parametrize("how", CLOSING)
def test_a_run_that_closes_our_files_is_told_and_harms_none(project, how):
    project.file(
        "sim_closing.py",
        f"""
        import os
        from simkit import experiment, product

        def ours():
            there = {{number: f"/proc/self/fd/{{number}}" for number in range(3, 100)}}
            return [number for number, link in there.items() if os.path.exists(link) and ".h5" in os.readlink(link)]

        @experiment
        @product(x=range(4))
        def study(x):
            if x == 2 and os.path.exists("close"):
                {CLOSING[how]}
            return x
        """,
    )
    project.file("close", "")
    ended = project.simkit("-n", "0")
    assert ended.code == 1, ended.err
    assert "could not be written: a run closed it" in ended.err
    assert "-n 1" in ended.err
    assert not (project.path / "mine.txt").exists() or not (project.path / "mine.txt").read_bytes()
    project.ok("verify", "--file", "results/study-001.h5")
    (project.path / "close").unlink()
    project.ok("-n", "0")
    assert project.open("study-001")["result"].tolist() == [0, 1, 2, 3]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("kind", ["pipe", "socket", "link", "link to itself", "links in a circle"])
def test_no_file_is_put_in_the_place_of_a_pipe_or_a_device(project, kind):
    """Of a device at worst: a superuser's ``--output /dev/null`` would leave the machine without one."""
    project.file("sim_s.py", "from simkit import experiment\n\n@experiment\ndef study(x=1):\n    return x\n")
    project.ok("-n", "0")
    to_itself = kind.startswith("link") and kind != "link"
    told = "a link that leads to itself" if to_itself else "a device, a pipe or a socket, and no file"
    for verb in (
        ["-n", "0", "--output", "o.h5"],
        *(["export", "study", f"e{end}"] for end in (".h5", ".csv")),
    ):
        name = verb[-1]
        there = project.path / name
        if kind == "socket":
            os.mknod(there, stat.S_IFSOCK | 0o600)
        elif not to_itself:
            os.mkfifo(project.path / f"pipe-{name}" if kind == "link" else there)
        if kind.startswith("link"):
            there.symlink_to(name if kind == "link to itself" else f"pipe-{name}")
        if kind == "links in a circle":
            (project.path / f"pipe-{name}").symlink_to(name)
        refused = project.simkit(*verb, *(["--force"] if name == "e.csv" else []))
        assert refused.code == 4
        exists = name == "e.h5" and not to_itself  # which is refused whatever it is
        assert (f"{name} exists" if exists else f"{name} is {told}: give another place") in refused.err
        assert "nothing to do" not in refused.out
        assert not there.is_file()
        assert there.is_symlink() == kind.startswith("link")


@pytest.mark.parametrize("leads", ["to nothing", "to nothing in a folder to come", "to a file"])
def test_what_is_written_to_a_link_goes_where_it_leads(project, leads):
    project.file("sim_s.py", "from simkit import experiment\n\n@experiment\ndef study(x=1):\n    return x\n")
    project.ok("-n", "0")
    folder = project.path / ("later" if leads.endswith("come") else ".")
    for verb in (
        ["-n", "0", "--output", "o.h5"],
        *(["export", "study", f"e{end}"] for end in (".h5", ".csv", ".nc")),
    ):
        name = verb[-1]
        there, target = project.path / name, folder / f"target-{name}"
        if leads == "to a file":
            target.write_bytes(b"")
        there.symlink_to(target)
        ended = project.simkit(*verb, *(["--force"] if name not in ("o.h5", "e.h5") else []))
        refused = leads == "to a file" and name == "e.h5"  # no trajectory is replaced
        assert ended.code == (4 if refused else 0), ended.err
        assert there.is_symlink()
        assert target.stat().st_size > 0 or refused


LEFT_OPEN = {
    "opened": 'simkit.open("results/study-001.h5"); held[0]["result"]',
    "for additions": 'simkit.open("results/study-001.h5", mode="r+"); held[0].note("seen")',
    "set of shards": 'simkit.open("set.h5"); held[0]["result"]; held[0].runs[0].result',
    "result of a study": "simkit.run(f, simkit.explore(x=[1, 2]), workers=0, output='f.h5')",
    "study that never ends": "simkit.start(f, workers=0, output='f.h5'); held.append(held[0].__enter__());"
    " held[1].run(simkit.explore(x=[1, 2]))",
}


@pytest.mark.parametrize("how", ["end", "forked"])
@pytest.mark.parametrize("statements", LEFT_OPEN.values(), ids=LEFT_OPEN)
def test_a_process_ends_well_whatever_something_else_keeps_open(project, statements, how):
    project.file(
        "sim_s.py",
        "from simkit import experiment, explore\n\n@experiment\n@explore(x=[1, 2])\ndef study(x):\n    return x\n",
    )
    project.ok("-n", "0", "-q")
    project.ok("-n", "0", "-q", "--output", "set.h5", "--shard", "0/2")
    first, _, then = statements.partition("; ")
    child = (
        "if os.fork():\n    _, status = os.wait()\n    assert status == 0, status\n"
        if how == "forked"
        else ""
    )
    project.file(
        "script.py",
        f"import ctypes, os\nimport simkit\n\ndef f(x):\n    return x\n\nheld = [{first}]\n{then}\n"
        "ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))  # as a library that never lets go of it\n"
        + child,
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "script.py"],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert simkit.open(project.path / "results/study-001.h5")["result"].tolist() == [1, 2]
