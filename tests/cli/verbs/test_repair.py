"""``simkit repair``: what a killed writer had committed is in the file for any HDF5 tool."""

from __future__ import annotations

import fcntl
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xxhash

import simkit
from simkit.cli.main import main
from simkit.record.file.store import Store

WRITER = """
import os, numpy as np
from pathlib import Path
from simkit.record.file.store import Store
store = Store(Path("f.h5"))
store.file["z"] = np.zeros(4)
store.commit()
print("committed", flush=True)
input()  # a reader holds the file from now on
store.file["z"][:] = 7.0
store.commit()
os.kill(os.getpid(), 9)
"""


def killed(project, *words):
    """A file whose second commit is still in its log."""
    with project.start(*words or ("-c", WRITER)) as process:
        assert process.stdout.readline() == "committed\n"
        with (project.path / "f.h5").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            process.communicate("\n")
    assert (project.path / "f.h5.wal").stat().st_size > 0


def values(project):
    with h5py.File(project.path / "f.h5", "r") as file:
        return file["z"][:].tolist()


def test_the_log_is_replayed_once(project):
    killed(project)
    assert values(project) == [0.0] * 4
    assert project.ok("repair", "f.h5").out == "f.h5: replayed 1 commit\n"
    assert values(project) == [7.0] * 4
    assert project.ok("repair", "f.h5").out == "f.h5: nothing to repair\n"


def test_each_block_has_its_checksum_again(project):
    """Of what the log brought in, not of what stood there before; and bytes that nobody committed are gone."""
    project.file(
        "writer.py",
        WRITER.replace("np.zeros(4)", "np.zeros(20_000)").replace(
            "os.kill", "store.file['never'] = np.ones(50_000); store.file.flush()\nos.kill"
        ),
    )
    killed(project, "writer.py")
    assert project.ok("repair", "f.h5").out == "f.h5: replayed 1 commit\n"
    data = (project.path / "f.h5").read_bytes()
    magic, end = data[-40:-32], int.from_bytes(data[-16:-8], "little")
    sums = np.frombuffer(data[end:-40], "<u4")
    assert (magic, len(sums)) == (b"SKSUMS1\0", -(-end // 16_384))
    assert sums.tolist() == [
        xxhash.xxh3_64_intdigest(data[n * 16_384 : min(end, (n + 1) * 16_384)]) % 2**32
        for n in range(len(sums))
    ]
    at = data.index(np.full(1000, 7.0).tobytes()) + 4001
    (project.path / "f.h5").write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    assert project.simkit("verify", "--file", "f.h5").code == 1
    assert "f.h5 is damaged near byte " in project.simkit("show", "f.h5").err


def test_several_files_at_once(project):
    killed(project)
    with h5py.File(project.path / "other.h5", "w") as file:
        file["a"] = np.arange(3)
    out = project.ok("repair", "other.h5", "f.h5").out
    assert out.splitlines() == ["other.h5: nothing to repair", "f.h5: replayed 1 commit"]


def test_a_file_that_is_not_there_is_named(project):
    result = project.simkit("repair", "no.h5")
    assert result.code == 4
    assert "no.h5" in result.err
    assert "Traceback" not in result.err


def test_what_is_no_hdf5_file_is_not_called_damaged(project):
    project.file("notes.h5", "no HDF5 at all")
    result = project.simkit("repair", "notes.h5")
    assert result.code == 4
    assert "notes.h5" in result.err
    assert "backup" not in result.err


def test_usage():
    result = subprocess.run(
        [sys.executable, "-m", "simkit", "repair"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 4
    assert "FILE" in result.stderr


STRANGE = {
    "newer": 2,
    "older": 0,
    "a text": "1",
    "two numbers": [1, 2],
    "a fraction": 1.5,
    "nothing": h5py.Empty("f"),
}


@pytest.mark.parametrize("found", STRANGE)
def test_a_file_of_another_format_is_no_success(tmp_path, monkeypatch, capsys, found):
    """Nor is it checked as if it were of a known one; it stays as it is."""
    monkeypatch.chdir(tmp_path)
    simkit.run(double, simkit.product(x=[1]), output="f.h5").close()
    store = Store(Path("f.h5"))
    store.file["double"].attrs["simkit_format"] = STRANGE[found]
    store.close()
    before = Path("f.h5").read_bytes()
    for verb in (["repair"], ["verify", "--file"], ["watch"], ["show"]):
        assert main([*verb, "f.h5"]) == 4, verb
        assert re.search(r"f\.h5: double has (a )?format", capsys.readouterr().err), verb
    assert Path("f.h5").read_bytes() == before


def double(x):
    return 2 * x
