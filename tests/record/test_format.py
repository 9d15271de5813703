"""A file written today opens in years: every kind of value of a file that was kept."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from storable import identical

import simkit
from simkit.cli.main import main

HERE = Path(__file__).parent
KEPT = HERE / "format1.h5"


@pytest.fixture
def made(monkeypatch):
    """What was written into the kept file."""
    spec = importlib.util.spec_from_file_location("make_format1", HERE / "make_format1.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def kept(tmp_path):
    """A copy of the kept file, open."""
    with simkit.open(shutil.copy(KEPT, tmp_path)) as trajectory:
        yield trajectory


def test_every_value_is_read_as_it_was_written(made, kept):
    assert KEPT.stat().st_size < 200_000
    with h5py.File(KEPT) as file:
        assert file["study"].attrs["simkit_format"] == 1
    for name, values in made.VALUES.items():
        for run, value in enumerate(values):
            assert identical(kept.runs[run][name], value), (name, run)
    assert identical(kept.runs[1].rare, made.SOME[1]["rare"])
    with pytest.raises(KeyError, match="run 0 has no 'rare': its status is done"):
        kept.runs[0]["rare"]
    assert set(kept.names("results")) == {*made.VALUES, *made.SOME[1], "draw", "total", "series"}


def test_parameters_runs_and_facts(kept):
    assert kept.status.tolist() == ["done", "done", "done", "failed"]
    assert (kept.explored, kept["x"].tolist(), kept["w"].tolist()) == (
        ("w", "x"),
        [1, 2, 3, 1],
        [0.5, 0.5, 0.5, 1.5],
    )
    neuron = kept.parameters.neuron
    assert (neuron.tau, neuron.kind, neuron.weights) == (20.0, "leaky ☃", (0.5, -0.0))
    assert (kept.parameters.dt, kept.parameters.gain) == (0.2, 3)
    assert kept["drive"][:3].tolist() == [0.2, 0.4, 3 * 0.2]
    about = kept.describe("neuron.tau")
    assert (about.comment, about.unit, about.constant) == ("membrane time constant", "ms", True)
    assert kept.runs[1].series.tolist() == [0.5, 1.5]
    assert np.array_equal(kept["total"][:3], kept["drive"][:3] + 0.5 + 3)
    assert "ValueError: some runs fail" in kept.error(3)
    assert kept.notes(0) == ["a remark", "counts: a remark on a result"]
    assert (kept.info.root_seed, kept.info.created.year >= 2024) == (20160825, True)
    assert kept.seeds.dtype == np.uint64
    draws = [np.random.default_rng(int(seed)).random() for seed in kept.seeds[:3]]
    assert kept["draw"][:3].tolist() == draws
    assert kept.to_dataframe().shape[0] == 4
    assert kept.where("x > 1 and w < 1").index.tolist() == [1, 2]
    assert "4 runs, 3 done, 1 failed" in repr(kept)


def test_its_runs_can_be_replayed(made, kept):
    for run in range(3):
        for name, value in kept.replay(run, made.study).items():
            assert identical(kept.runs[run][name], value), (name, run)
    with pytest.raises(ValueError, match="some runs fail"):
        kept.replay(3, made.study)


NEWER = "written by a newer simkit; this simkit (0.1.0) reads format 1\n    pip install --upgrade simkit"
OLDER = "which is too old: this simkit (0.1.0) reads format 1\n    open it with the simkit that wrote it"


@pytest.mark.parametrize(("found", "told"), [(2, f"has format 2, {NEWER}"), (0, f"has format 0, {OLDER}")])
def test_another_format_gets_a_clear_message(found, told, kept, project):
    kept.close()
    shutil.copy(KEPT, project.path / "other.h5")
    with h5py.File(project.path / "other.h5", "r+") as file:
        file["study"].attrs["simkit_format"] = found
    with pytest.raises(simkit.SimkitError) as caught:
        simkit.open(project.path / "other.h5")
    assert told in str(caught.value)
    for verb in (["show"], ["verify"]):
        result = project.simkit(*verb, "other.h5")
        assert result.code == 4
        assert f"other.h5: study {told}" in result.err


TYPES = {
    "a time": h5py.h5t.UNIX_D32LE,
    "opaque": h5py.h5t.create(h5py.h5t.OPAQUE, 8),
    "a reference": h5py.h5t.STD_REF_OBJ,
    "bits": h5py.h5t.STD_B16LE,
    "arrays": h5py.h5t.array_create(h5py.h5t.NATIVE_DOUBLE, (3,)),
    "sequences": h5py.h5t.vlen_create(h5py.h5t.NATIVE_INT32),
    "records": h5py.h5t.py_create(np.dtype([("a", "i4"), ("b", "f8")])),
}


def double(x):
    return {"z": 2 * x}


@pytest.mark.parametrize("place", ["results/z", "runs/seconds"])
@pytest.mark.parametrize("what", TYPES)
def test_types_that_no_simkit_stores_are_refused(what, place, tmp_path, monkeypatch, capsys):
    """HDF5 has more than NumPy: what a file declares is no bug of simkit's, in any verb."""
    monkeypatch.chdir(tmp_path)
    simkit.run(double, simkit.product(x=[1, 2]), output="a.h5").close()
    with h5py.File("a.h5", "r+") as file:
        (name,) = file
        group, _, leaf = place.partition("/")
        attributes = dict(file[name][place].attrs)
        del file[name][place]
        h5py.h5d.create(file[name][group].id, leaf.encode(), TYPES[what], h5py.h5s.create_simple((2,)))
        file[name][place].attrs.update(attributes)
    for verb in (
        ["show", "a.h5"],
        ["show", "a.h5", "--run", "0"],
        ["export", "a.h5", "b.h5"],
        ["diff", "a.h5", "a.h5"],
    ):
        assert main(verb) == 4
        assert f"{place} has elements of a type that simkit does not use: refused" in capsys.readouterr().err
