"""A damaged file is an error that says what is lost: no damaged value is ever read as another one."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest

import simkit
from simkit.cli.main import main
from simkit.errors import Damaged
from simkit.record.damage import damage_of
from simkit.record.file.sums import BLOCK
from simkit.record.file.system import read_at

RUNS = 60


def study(x, k: float = 2.0):
    """Scalars, arrays, ragged arrays, texts, tables, and now and then a failure."""
    if x == 7:
        msg = "bad"
        raise ValueError(msg)
    table = pd.DataFrame({"u": [x, x + 1], "v": ["a", "b" * (x % 4)]})
    return {"z": k * x, "a": np.full(900, x), "r": np.arange(x % 5), "s": "wörd" * (x % 6), "t": table}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("damage") / "study-001.h5"
    simkit.run(study, simkit.explore(x=range(RUNS)), output=path).close()
    return path


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copy(whole, tmp_path / "study-001.h5")


def chunk(path, name):
    """Where a dataset's first chunk lies, and its size."""
    with h5py.File(path) as file:
        dataset = file[f"study/results/{name}"]
        found = dataset.id.get_chunk_info(0)
        return found.byte_offset, found.size


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def test_a_whole_file_is_undamaged(whole):
    damage = damage_of(whole)
    assert (damage.is_checked, damage.places, damage.lost) == (True, [], {})


def test_a_flipped_bit_of_a_value_costs_what_lies_in_its_block(copy):
    offset, size = chunk(copy, "a")
    flip(copy, offset + size // 2)
    damage = damage_of(copy)
    [(start, stop)] = damage.places
    assert start <= offset + size // 2 < stop <= start + BLOCK
    runs = damage.lost["study", "a"]
    assert 0 < len(runs) < RUNS - 1  # those of its chunk
    with simkit.open(copy) as traj:
        assert traj["z"][3] == 6.0 or ("study", "z") in damage.lost
        with pytest.raises(
            Damaged, match=rf"study-001\.h5 is damaged near byte {start:,}: what stands there"
        ):
            traj["a"]


def test_a_program_that_changes_the_file_drops_its_checksums_and_simkit_makes_new_ones(copy):
    with h5py.File(copy, "r+") as file:
        file.attrs["remark"] = "by hand"
    assert not damage_of(copy).is_checked
    with simkit.open(copy) as traj:
        assert traj["z"][5] == 10.0
    with simkit.open(copy, mode="r+") as traj:
        traj.note("seen")
    damage = damage_of(copy)
    assert damage.is_checked
    assert not damage.places


def test_a_file_cut_short_says_so(copy):
    data = copy.read_bytes()
    copy.write_bytes(data[: len(data) // 2])
    with pytest.raises(Damaged, match=r"study-001\.h5 has been cut short: [\d,]+ of [\d,]+ bytes are there"):
        simkit.open(copy)


def test_damaged_checksums_are_told_from_none(copy):
    flip(copy, copy.stat().st_size - 3)
    with pytest.raises(Damaged, match="its end is damaged, where its checksums stand"):
        simkit.open(copy)


def test_checksums_of_a_kind_that_is_not_known_here_are_not_passed_over(copy):
    data = copy.read_bytes()
    copy.write_bytes(data[:-40] + b"SKSUMS2\0" + data[-32:])
    with pytest.raises(
        Damaged, match="its checksums stand, is of another kind than this simkit writes: a newer"
    ):
        simkit.open(copy)


def test_a_disk_that_fails_is_told_from_a_bug(copy, monkeypatch, capsys):
    offset, size = chunk(copy, "a")
    offset += size // 2

    def failing(fd, view, start):
        if start <= offset < start + len(view):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read_at(fd, view, start)

    monkeypatch.setattr("simkit.record.file.sums.read_at", failing)
    damage = damage_of(copy)
    [(start, stop)] = damage.places
    assert start <= offset < stop
    assert damage.lost["study", "a"]
    with simkit.open(copy) as traj, pytest.raises(Damaged, match="or its disk is: Input/output error\n"):
        traj["a"]
    for verb in (
        ["show", str(copy), "--run", "0"],
        ["export", str(copy), "out.h5"],
        ["diff", str(copy), str(copy)],
    ):
        assert main(verb) == 4
        assert "look after the disk or the connection to it first" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="reads by another call")
def test_a_read_that_gives_less_is_gone_on_with(copy, monkeypatch):
    """As one of more than 2 GB does."""
    whole_read = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, views, start: whole_read(fd, [views[0][:1000]], start))
    with simkit.open(copy) as traj:
        assert traj.runs[RUNS - 1].a.tolist() == [RUNS - 1] * 900
    assert damage_of(copy).places == []


READER = """
import json, sys, warnings
warnings.simplefilter("ignore")
import simkit
from simkit.errors import SimkitError

def read(traj, name):
    try:
        return traj.error(7) if name == "error" else [repr(value) for value in traj[name].tolist()]
    except SimkitError as error:
        return f"Error: {error}"

for line in sys.stdin:
    try:
        with simkit.open(line.strip()) as traj:
            names = ("x", "z", "a", "r", "s", "t", "error") * 2  # what could not be read once can't be read after it
            print(json.dumps([read(traj, name) for name in names]), flush=True)
    except SimkitError as error:
        print(json.dumps([f"Error: {error}"] * 14), flush=True)
"""


def recorded(path, kind):
    """A file of the study: as it is, compressed, merged of two, or in the middle of a study, with its log."""
    if kind == "compressed":
        (path.parent / "pyproject.toml").write_text("[tool.simkit]\ncompress = true\n")
    if kind == "merged":
        parts = [path.with_name(f"part-{part}.h5") for part in (1, 2)]
        for part, points in zip(parts, (range(0, RUNS, 2), range(1, RUNS, 2)), strict=True):
            simkit.run(study, simkit.explore(x=points), output=part, seed=1).close()
        simkit.merge(path, *parts).close()
        return [path.read_bytes()]
    first = RUNS // 2 if kind == "under way" else RUNS
    simkit.run(study, simkit.explore(x=range(first)), output=path).close()
    if kind != "under way":
        return [path.read_bytes()]
    with path.open("rb") as reader:  # commits stay in the log meanwhile
        fcntl.flock(reader, fcntl.LOCK_SH)
        simkit.run(study, simkit.explore(x=range(RUNS)), output=path).close()
        return [path.read_bytes(), path.with_name(f"{path.name}.wal").read_bytes()]


@pytest.mark.parametrize("kind", ["plain", "compressed", "merged", "under way"])
def test_no_mutation_is_read_as_another_value(kind, tmp_path, monkeypatch, request):
    """Bits, runs of bytes, pages zeroed, swapped, doubled, cut; the long form: ``--mutations 1000 --timeout 0``."""
    monkeypatch.chdir(tmp_path)
    path, chance = tmp_path / "study-001.h5", random.Random(5)
    whole = recorded(path, kind)
    lines = []
    for number in range(request.config.getoption("mutations") // 4):
        parts = list(whole)
        which = chance.randrange(len(parts))
        parts[which] = mutated(parts[which], chance)
        lines.append(str(written(tmp_path / f"{number}.h5", parts)))
    told = subprocess.run(
        [sys.executable, "-c", READER],
        input="\n".join([str(written(tmp_path / "whole.h5", whole)), *lines]),
        capture_output=True, text=True, timeout=60 + 3 * len(lines), check=True,
    ).stdout.splitlines()  # fmt: skip
    assert len(told) == len(lines) + 1
    right, *answers = map(json.loads, told)
    assert [len(each) for each in right[:6]] == [RUNS] * 6
    for line, answer in zip(lines, answers, strict=True):
        for value, known in zip(answer, right, strict=True):
            assert value == known or is_told(value), (line, value)
    assert sum(any(map(is_told, answer)) for answer in answers) > len(answers) // 3


def is_told(value):
    """Whether that is a word on damage, and no value."""
    words = ("damaged", "cut short", "not an HDF5 file", "and its log is not beside it")
    return str(value).startswith("Error: ") and any(word in value for word in words)


def written(path, parts):
    for file, data in zip((path, path.with_name(f"{path.name}.wal")), parts, strict=False):
        file.write_bytes(data)
    return path


def mutated(data, chance):
    page = 4096
    mutant, at = bytearray(data), chance.randrange(len(data) - 16)
    first, second = (page * number for number in chance.sample(range(len(data) // page), 2))
    match chance.choice(["bit", "bytes", "zeros", "swap", "double", "cut"]):
        case "bit":
            mutant[at] ^= 1 << chance.randrange(8)
        case "bytes":
            mutant[at : at + 16] = chance.randbytes(16)
        case "zeros":
            mutant[first : first + page] = bytes(page)
        case "swap":
            one, other = data[first : first + page], data[second : second + page]
            mutant[first : first + page], mutant[second : second + page] = other, one
        case "double":
            mutant[first:first] = data[first : first + page]
        case "cut":
            del mutant[at:]
    return bytes(mutant)


def test_each_stretch_of_a_large_array_is_compared(tmp_path):
    """Reads of more than a quarter of a megabyte are compared in strides, what juts out at both ends by itself."""
    path, long = tmp_path / "long.h5", np.arange(200_000.0)
    simkit.run(lambda x: long + x, simkit.explore(x=range(3)), output=path).close()
    whole = path.read_bytes()
    with h5py.File(path) as file:
        chunk = large_column(file).id.get_chunk_info(1)
        start, size = chunk.byte_offset, chunk.size
    assert size == long.nbytes
    with simkit.open(path) as traj:
        assert (traj["result"][1] == long + 1).all()
    for at in (0, 1, 16_384, 131_071, 131_072, 777_777, size - 16_384, size - 1):
        broken = bytearray(whole)
        broken[start + at] ^= 4
        path.write_bytes(broken)
        with pytest.raises(Damaged, match="is damaged near byte"), simkit.open(path) as traj:
            traj["result"][1]


def large_column(file):
    """The only dataset of large arrays."""
    arrays = []
    file.visititems(
        lambda _, each: (
            arrays.append(each) if getattr(each, "ndim", 0) == 2 and each.shape[1] > 1000 else None
        )
    )
    return arrays[0]
