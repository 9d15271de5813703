"""Power loss with ``durable = true``: a disk that keeps or drops every page that was not synced.

The real session runs in this process; its writes are noted down, and replayed up to a random moment on a
disk that loses what no fdatasync had asked for. ``pytest tests/faults/test_power.py --cuts 300 --timeout 0 -rP``.
"""

from __future__ import annotations

import fcntl
import os
import random
import stat
import time
from collections import Counter
from pathlib import Path

import attrs
import h5py
import numpy as np
import pytest
from processes import read_everything, recorded_runs, wrong_values
from transactional import waiting

import simkit
from simkit.declare.forms import Array
from simkit.record import writer as writers
from simkit.record.file.store import Store, repaired

PAGE = 4096
RUNS = 240


def study(x, rng):
    """Scalars, arrays, ragged arrays, texts, and a column that turns up late or only now and then."""
    time.sleep(0.001)
    found = {"z": x * 0.5, "a": rng.normal(size=700), "t": np.arange(x % 9), "s": "wörd" * (x % 5)}
    if x > 100:
        found["late"] = x
    if x % 30 == 7:
        found[f"only{x // 30}"] = [x] * 3
    return found


@attrs.frozen
class Op:
    """One call that reached the disk, in order: what, on which file, where, which bytes."""

    kind: str  # write, truncate, sync, ack
    file: str = ""
    at: int = 0
    data: bytes = b""
    done: frozenset[int] = frozenset()


class Tape:
    """Notes down what a session writes; the calls are executed all the same."""

    def __init__(self, monkeypatch, path, *, readers=True):
        self.ops: list[Op] = []
        self.path = path
        self.commits = 0
        self.reader: int | None = None
        self.synced_folders: list[str] = []
        self.has_readers = readers
        pwrite, ftruncate, commit = os.pwrite, os.ftruncate, Store.commit

        def note_write(fd, data, offset):
            written = pwrite(fd, data, offset)
            self.note("write", fd, offset, bytes(data)[:written])
            return written

        def note_truncate(fd, size):
            ftruncate(fd, size)
            self.note("truncate", fd, size)

        def note_sync(fd):
            if stat.S_ISDIR(os.fstat(fd).st_mode):
                self.synced_folders.append(os.readlink(f"/proc/self/fd/{fd}"))
            self.note("sync", fd)

        def note_commit(store):
            commit(store)
            done = np.flatnonzero(store.file["study/runs/status"][:] == 1).tolist()
            self.ops.append(Op("ack", done=frozenset(done)))
            self.read_now_and_then()

        monkeypatch.setattr(os, "pwrite", note_write)
        monkeypatch.setattr(os, "ftruncate", note_truncate)
        monkeypatch.setattr(os, "fdatasync", note_sync)
        monkeypatch.setattr(os, "fsync", note_sync)
        monkeypatch.setattr(Store, "commit", note_commit)

    def note(self, kind, fd, at=0, data=b""):
        """Only files of the trajectory matter; a new one still has its hidden name."""
        name = os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))
        if ".lock" not in name and self.path.stem in name:
            self.ops.append(Op(kind, "log" if name.endswith(".wal") else "file", at, data))

    def read_now_and_then(self):
        """A reader comes and goes: while it is there, commits stay in the log, frame after frame."""
        self.commits += 1
        if self.has_readers and self.reader is None and self.commits % 5 == 2:
            self.reader = os.open(self.path, os.O_RDONLY)
            fcntl.flock(self.reader, fcntl.LOCK_SH)
        elif self.reader is not None and self.commits % 5 == 0:
            os.close(self.reader)
            self.reader = None


def after_power_loss(ops, keep):
    """The bytes of a file: what was synced, and of the rest what ``keep`` says."""
    last_sync = max((i for i, op in enumerate(ops) if op.kind == "sync"), default=-1)
    image = bytearray()
    for i, op in enumerate(ops):
        if op.kind == "truncate" and (i <= last_sync or keep(op)):
            image = image[: op.at] + bytes(max(0, op.at - len(image)))
        elif op.kind == "write":
            for start, piece in pages(op.at, op.data):
                if i <= last_sync or keep(op):
                    image += bytes(max(0, start + len(piece) - len(image)))
                    image[start : start + len(piece)] = piece
    return bytes(image)


def pages(at, data):
    """A write as the disk sees it: page by page."""
    while data:
        size = min(len(data), PAGE - at % PAGE)
        yield at, data[:size]
        at, data = at + size, data[size:]


def kept(dice):
    """Which unsynced writes survive: a random part, or all of one sort and none of another."""
    share = dice.random()
    way = dice.choice(["random", "random", "no truncation", "log first", "file first"])
    return {
        "random": lambda op: dice.random() < share,
        "no truncation": lambda op: op.kind == "write",
        "log first": lambda op: op.file == "log",
        "file first": lambda op: op.file == "file",
    }[way]


@pytest.fixture
def recording(tmp_path, monkeypatch):
    """A durable session of one process on tape, and its trajectory."""
    (tmp_path / "pyproject.toml").write_text("[tool.simkit]\ndurable = true\n")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study-001.h5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writers, "INTERVAL", 0.0)  # commit whenever a batch is there
        patch.setattr(writers, "_SHARE", 0.0)
        tape = Tape(patch, path)
        trajectory = simkit.run(study, simkit.product(x=range(RUNS)), output=path, seed=3)
        if tape.reader is not None:
            os.close(tape.reader)
    yield tape, trajectory
    trajectory.close()


@pytest.fixture
def durable_is_set(monkeypatch):
    """Every store of this test is durable, wherever its configuration is looked for."""
    made = Store.__init__

    def init(store, path, **options):
        made(store, path, **{**options, "durable": True})

    monkeypatch.setattr(Store, "__init__", init)


def test_no_committed_run_is_lost(durable_is_set, recording, tmp_path, pytestconfig):
    tape, reference = recording
    ops = tape.ops
    assert sum(op.kind == "sync" for op in ops) >= 2 * tape.commits - 5, "durable means fdatasync"
    acks = [i for i, op in enumerate(ops) if op.kind == "ack"]
    assert len(acks) > 10
    before_sync = [i for i, op in enumerate(ops) if op.kind == "sync" and i > acks[0]]
    dice = random.Random(1)
    counts: Counter[str] = Counter()
    folder = tmp_path / "cut"
    folder.mkdir()
    for number in range(pytestconfig.getoption("--cuts")):
        cut = dice.choice(before_sync) if number % 2 else dice.randrange(acks[0] + 1, len(ops))
        committed = next(op.done for op in reversed(ops[:cut]) if op.kind == "ack")
        keep = kept(dice)
        path = folder / f"study-{number:03}.h5"
        for file, suffix in (("file", ""), ("log", ".wal")):
            written = after_power_loss([op for op in ops[:cut] if op.file == file], keep)
            Path(f"{path}{suffix}").write_bytes(written)
        counts["logs replayed"] += repaired(path) > 0
        read_everything(path)
        lost = committed - recorded_runs(path)
        counts["lost"] += len(lost)
        assert not lost, f"cut {number} before operation {cut}: {sorted(lost)} were committed and are lost"
        with simkit.open(path) as trajectory:
            wrong = wrong_values(trajectory, reference)
        assert not wrong, f"cut {number} before operation {cut}: {wrong[:5]}"
        counts["cuts"] += 1
        path.unlink()
    assert counts["logs replayed"] > counts["cuts"] // 20
    print(dict(counts), f"{len(acks)} commits, {len(ops)} operations")


def test_a_new_files_name_is_on_the_disk_with_its_first_commit(durable_is_set, recording, tmp_path):
    """Renaming counts only when the folder was synced too, or the whole file may be gone."""
    tape, _ = recording
    assert str(tmp_path) in tape.synced_folders


def test_a_logs_head_never_reaches_the_disk_before_its_table(durable_is_set, recording):
    """Else the head says that the frames don't count any more, and the table that it relies on is the old one."""
    tape, _ = recording
    head = 56
    is_waiting, heads = False, 0
    for op in (op for op in tape.ops if op.file == "log"):
        if op.kind == "sync":
            is_waiting = False
        elif op.kind == "write" and head <= op.at < head + 4 * 1024:
            is_waiting = True
        elif op.kind == "write" and op.at == 0 and len(op.data) == head:
            heads += 1
            assert not is_waiting
    assert heads > 10


def test_without_durable_nothing_waits_for_the_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        tape = Tape(patch, tmp_path / "study-001.h5", readers=False)
        simkit.run(study, simkit.product(x=range(20)), output=tmp_path / "study-001.h5").close()
    assert any(op.kind == "write" for op in tape.ops)
    syncs = [(i, op) for i, op in enumerate(tape.ops) if op.kind == "sync"]
    assert not syncs, [(i, op.file, len(tape.ops)) for i, op in syncs]


def test_frames_of_an_older_log_are_not_replayed_after_a_newer_one(tmp_path):
    """The log is truncated and begun anew; if the disk loses just the truncation, old frames stand behind."""
    path, log = tmp_path / "a.h5", tmp_path / "a.h5.wal"
    store = Store(path, durable=True)
    column: h5py.Dataset = store.file.create_dataset("z", data=np.zeros(4000))
    store.commit()
    reader = os.open(path, os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    older = []
    for number in (1, 2):
        column[:] = number
        store.commit()
        older.append(log.read_bytes())
    os.close(reader)
    column[:] = 3
    store.commit()  # applied, the log is empty
    assert waiting(path) == 0
    reader = os.open(path, os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    column[:] = 4
    store.commit()
    newer = log.read_bytes()
    os.close(reader)
    copy = tmp_path / "b.h5"
    copy.write_bytes(path.read_bytes())
    Path(f"{copy}.wal").write_bytes(newer + older[-1][len(newer) :])
    assert repaired(copy) >= 1
    with h5py.File(copy, "r") as file:
        read: Array = file["z"][:]
    assert (read == 4).all(), f"the last commit said 4, there stands {set(read.tolist())}"
    store.close()
