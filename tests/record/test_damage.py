"""A damaged file is an error that says what is lost: no damaged value is ever read as another one."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest

import simkit
from simkit.errors import Damaged
from simkit.record.damage import damage_of
from simkit.record.file.sums import BLOCK

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


READER = """
import json, sys, warnings
warnings.simplefilter("ignore")
import simkit
from simkit.errors import SimkitError

for line in sys.stdin:
    try:
        with simkit.open(line.strip()) as traj:
            names = ("x", "z", "a", "r", "s", "t")
            values = {name: [repr(value) for value in traj[name].tolist()] for name in names}
            print(json.dumps({**values, "error": traj.error(7)}), flush=True)
    except SimkitError as error:
        print(json.dumps(str(error)), flush=True)
"""


def test_no_mutation_is_read_as_another_value(whole, tmp_path, request):
    """Bits, runs of bytes, pages zeroed, swapped and doubled, truncations: ``--mutations 1000`` for the long form."""
    data, chance = whole.read_bytes(), random.Random(5)
    path = tmp_path / "study-001.h5"
    lines = []
    for number in range(request.config.getoption("mutations")):
        mutant = tmp_path / f"{number}.h5"
        mutant.write_bytes(mutated(data, chance))
        lines.append(str(mutant))
    path.write_bytes(data)
    told = subprocess.run(
        [sys.executable, "-c", READER],
        input="\n".join([str(path), *lines]),
        capture_output=True, text=True, timeout=30 + 3 * len(lines), check=True,
    ).stdout.splitlines()  # fmt: skip
    assert len(told) == len(lines) + 1
    right, *answers = map(json.loads, told)
    assert len(right["z"]) == RUNS
    for answer in answers:
        assert answer == right or isinstance(answer, str), "another value"
        assert (
            answer == right or "damaged" in answer or "cut short" in answer or "not an HDF5 file" in answer
        ), answer
    assert sum(isinstance(answer, str) for answer in answers) > len(answers) // 2


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
