"""Runs that can't be read any more are named and computed again, and only these; nothing is lost besides."""

from __future__ import annotations

import os
import random
import shutil
import string
import warnings

import h5py
import numpy as np
import pytest

import simkit
from simkit.errors import Damaged
from simkit.record.damage import damage_of
from simkit.record.salvage import salvage

RUNS = 120


def study(x, rng, run, k: float = 2.0):
    """Scalars, arrays, ragged arrays, texts, dictionaries, notes, logs, and now and then a failure."""
    if x == 7:
        msg = "bad"
        raise ValueError(msg)
    run.note(f"note of {x}")
    return {
        "z": k * x,
        "a": np.full(900, x),
        "r": np.arange(100 * (x % 5)),
        "s": "ö" + "".join(random.Random(x).choices(string.printable, k=25 * x)),
        "d": {"n": [1, "a" * (x % 3)]},
        "g": rng.normal(),
    }


NAMES = ("x", "k", "z", "a", "r", "s", "d", "g")


def everything(path):
    with simkit.open(path, "study") as traj:
        values = {name: [repr(value) for value in traj[name].tolist()] for name in NAMES}
        return {**values, "status": traj.status.tolist(), "seeds": traj.seeds.tolist(),
                "notes": [{*traj.notes(run)} for run in range(RUNS)]}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("salvage") / "study-001.h5"
    run_it(path).close()
    return path


def run_it(path, **options):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        traj = simkit.run(study, simkit.explore(x=range(RUNS)), output=path, seed=3, **options)
    traj.told = "\n".join(str(each.message) for each in warned)
    return traj


@pytest.fixture(scope="module")
def right(whole):
    return everything(whole)


@pytest.fixture
def path(whole, tmp_path):
    return shutil.copy(whole, tmp_path / "study-001.h5")


def flip(path, *places):
    data = bytearray(path.read_bytes())
    for at in places:
        data[at] ^= 4
    path.write_bytes(data)


def damage_values(path, place):
    """Flip a bit in the values of a dataset that lies in no block with what says which runs there are."""
    with h5py.File(path) as file:
        dataset = file[place]
        chunks = [dataset.id.get_chunk_info(number) for number in range(dataset.id.get_num_chunks())]
        texts = dataset[:] if dataset.dtype == object else []
    candidates = [chunk.byte_offset + chunk.size // 2 for chunk in reversed(chunks)]
    # Chunks of text are short: what they point to is longer than a block.
    candidates += [path.read_bytes().index(text) + len(text) // 2 for text in texts[-8:]]
    for at in candidates:
        flip(path, at)
        damage = damage_of(path)
        if not damage.structure:
            return damage
        flip(path, at)
    return pytest.fail(f"all of {place} lies beside the file's structure")


@pytest.mark.parametrize("name", ["results/a", "results/s", "results/r/values"])
def test_runs_that_can_not_be_read_are_computed_again_and_only_these(path, right, name):
    lost = damage_values(path, f"study/{name}").runs("study")
    assert len(lost) > 0
    before = path.read_bytes()
    with run_it(path) as traj:
        assert "study-001.h5 was damaged: " in traj.told
        assert f"kept as {path}.damaged" in traj.told
    with h5py.File(path) as file:
        assert set(np.flatnonzero(file["study/runs/session"][:] == 2).tolist()) == {*lost.tolist(), 7}
    assert everything(path) == right
    assert not damage_of(path).places
    assert path.with_name("study-001.h5.damaged").read_bytes() == before
    assert sorted(os.listdir(path.parent)) == ["study-001.h5", "study-001.h5.damaged"]


def test_explored_values_that_can_not_be_read_are_an_error_that_says_how_to_go_on(path):
    with h5py.File(path) as file:
        flip(path, file["study/parameters/x"].id.get_chunk_info(0).byte_offset)
    before = path.read_bytes()
    with pytest.raises(Damaged, match=r"study-001\.h5 is damaged ") as error:
        run_it(path)
    assert "put a copy back" in str(error.value)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_several_experiments_in_one_file_are_all_kept(path, right):
    def other(y):
        return {"w": np.full(3000, y)}

    simkit.run(other, simkit.product(y=range(30)), output=path).close()
    damage_values(path, "other/results/w")
    damage = damage_values(path, "study/results/a")
    assert len(damage.runs("study"))
    assert len(damage.runs("other"))
    salvaged = salvage(path, damage)
    assert salvaged.dropped == ()
    with simkit.open(path, "other") as traj:
        pending = traj.status == "pending"
        assert np.flatnonzero(pending).tolist() == damage.runs("other").tolist()
        assert (traj["w"][~pending][:, 5] == traj["y"][~pending]).all()
    run_it(path).close()
    assert everything(path) == right


def test_what_a_strategy_did_not_ask_for_stays_blank(path):
    def climb():
        yield simkit.explore(x=range(30))

    @simkit.experiment
    @simkit.adaptive(climb)
    def asked(x):
        return {"a": np.full(3000, x)}

    simkit.run(asked, output=path).close()
    salvage(path, damage_values(path, "asked/results/a"))
    with h5py.File(path) as file:
        assert file["asked/runs/asked"].fillvalue == -1
        assert (file["asked/runs/asked"][:] == 0).all()  # they were asked for together


def test_what_was_added_to_the_trajectory_is_kept(path):
    with simkit.open(path, mode="r+") as traj:
        traj.note("seen")
        traj.add(mean=np.arange(5.0))
        sessions = len(traj.info.sessions)
    salvage(path, damage_values(path, "study/results/a"))
    with simkit.open(path) as traj:
        assert traj.notes() == ["seen"]
        assert traj.summary.mean.tolist() == [0, 1, 2, 3, 4]
        assert len(traj.info.sessions) == sessions
        assert "bad" in traj.error(7)


def test_whatever_is_damaged_the_end_is_the_right_values_or_an_error(path, right, request):
    """As ``--mutations`` says, of several places at once."""
    data, chance = path.read_bytes(), random.Random(11)
    outcomes = {"right": 0, "error": 0}
    for _ in range(request.config.getoption("mutations") // 10):
        path.write_bytes(data)
        flip(path, *(chance.randrange(len(data)) for _ in range(chance.choice([1, 1, 2, 5]))))
        try:
            run_it(path).close()
        except Damaged:
            outcomes["error"] += 1
        else:
            outcomes["right"] += 1
            recovered = everything(path)
            for name, values in right.items():
                assert name == "notes" or recovered[name] == values, name
        for name in os.listdir(path.parent):
            (path.parent / name).unlink()
    assert outcomes["right"]
