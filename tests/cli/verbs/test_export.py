"""``simkit export``: what a format can not hold, and smaller trajectories."""

from __future__ import annotations

import re
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
from exported import PLAIN, RICH, SOURCE, exported

import simkit


@pytest.fixture(scope="module")
def study(shared):
    shared.file("sim_export.py", SOURCE)
    assert shared.simkit("-n", "0").code == 1
    return shared


def refused(study, source, target, names=None):
    """What is said instead."""
    with pytest.raises(simkit.SimkitError) as caught:
        study.open(source).export(study.path / target, names)
    return str(caught.value)


def test_what_a_format_can_not_hold_is_named_with_the_command_for_the_rest(study):
    wrong = study.simkit("export", RICH, "b.csv")
    assert wrong.code == 4
    assert ".csv cannot hold all of rich:" in wrong.err
    for line in (
        "vec: an array per run, float64 (3,)",
        "mat: an array per run, float64 (2, 2)",
        "rag: more than a scalar per run, ragged int64",
        "table: more than a scalar per run, dict",
    ):
        assert line in wrong.err
    (names,) = re.findall(
        r"export the others with --names (\S+); \.nc holds arrays, \.h5 holds everything", wrong.err
    )
    assert sorted(names.split(",")) == [
        "c",
        "half",
        "mixed",
        "x",
        "z",
    ]  # as they were written, batch by batch
    study.ok("export", RICH, "b.csv", "--names", "x,z,c,half,mixed")
    told = refused(study, RICH, "b.parquet")
    for line in (
        "c: it has no complex128 numbers",
        "mixed: not one type of numbers, text or lists in all runs, int or str",
        "mat: more than one dimension per run, float64 (2, 2)",
        "--names x,z,half,s.t,vec,rag; ",
    ):
        assert line in told
    exported(study, RICH, "b.parquet", ["x", "z", "half", "vec", "rag", "s.t"])
    told = refused(study, RICH, "b.nc")
    for line in (
        "rag: no arrays of one shape and type, ragged int64",
        "c: it has no complex128 numbers",
        "half: it has no float16 numbers",
        ".h5 holds everything",
    ):
        assert line in told
    assert not (study.path / "b.nc").exists()


def test_a_whole_trajectory(study):
    assert exported(study, RICH, "whole.h5")[1] == []
    one, other = study.open(RICH), study.open("whole.h5")
    pd.testing.assert_frame_equal(one.to_dataframe(), other.to_dataframe())
    for name in one.names("results"):
        for run in range(4):
            assert np.array_equal(one.runs[run][name], other.runs[run][name]), name
            assert type(one.runs[run][name]) is type(other.runs[run][name])
    assert repr(one).replace(RICH, "") == repr(other).replace("whole.h5", "")
    assert one.seeds.tolist() == other.seeds.tolist()
    assert one.error(5) == other.error(5)
    assert one.notes(2) == other.notes(2)
    assert one.describe("neuron").comment == other.describe("neuron").comment == "A leaky neuron."
    assert one.info == other.info


def test_a_whole_trajectory_can_be_continued(study):
    exported(study, PLAIN, "grown.h5")
    source = SOURCE.replace("y=[4.0, 5.0]", "y=[4.0, 5.0, 6.0]")
    study.file("sim_export.py", source)
    more = study.simkit("sim_export.py::plain", "--output", "grown.h5")
    study.file("sim_export.py", SOURCE)
    assert more.code == 1
    grown, before = study.open("grown.h5"), study.open(PLAIN)
    assert len(grown) == 9
    assert np.array_equal(grown["z"][:6], before["z"], equal_nan=True)
    assert grown["z"][7] == 2 / 3 + 6


def test_a_smaller_trajectory(study):
    path = study.path / "part.h5"
    out = study.ok("export", RICH, "part.h5", "--where", "x >= 2", "--names", "rag,mixed").out
    assert "a part of a trajectory: simkit reads it, but does not continue it" in out
    part, whole = study.open("part.h5"), study.open(RICH)
    assert len(part) == 4
    assert part.names("results") == ["rag", "mixed"]
    assert part["x"].tolist() == [2, 2, 3, 3]
    assert part["trial"].tolist() == [0, 1, 0, 1]
    assert part.status.tolist() == ["done", "done", "failed", "failed"]
    assert part.runs[1].rag.tolist() == [0, 1]
    assert part.runs[0].mixed == "a"
    assert part.parameters.neuron.tau == 20.0
    assert part.seeds.tolist() == whole.seeds.tolist()[2:]
    assert "burnt out" in part.error(3)
    assert part.notes(0) == ["looks fine", "z: roughly"]
    assert part.where("trial == 1").index.tolist() == [1, 3]
    with h5py.File(path) as file:
        assert file["rich/runs/origin"][:].tolist() == [2, 3, 4, 5]
        assert file["rich"].attrs["part_of"] == RICH
    assert not list(study.path.glob(".*part*"))


def test_a_smaller_trajectory_is_not_continued(study):
    exported(study, PLAIN, "fives.h5", where="y == 5")
    ran = study.simkit("sim_export.py::plain", "--into", "fives.h5")
    assert ran.code == 4
    assert "fives.h5: these are other runs: it is only a part of " in ran.err
    results = study.path / "results"
    shutil.copy(study.path / "fives.h5", results / "plain-002.h5")
    ran = study.simkit("sim_export.py::plain")
    (results / "plain-002.h5").unlink()
    assert ran.code == 1
    assert "is not continued" not in ran.out + ran.err
    assert study.open(PLAIN).info.sessions[-1]["command"].startswith("simkit sim_export.py::plain")


def test_several_experiments_in_a_file(study):
    study.simkit("--output", "both.h5", "-n", "0")
    wrong = study.simkit("export", "both.h5", "c.csv")
    assert wrong.code == 4
    assert "both.h5 holds several experiments: plain, rich" in wrong.err
    study.ok("export", "both.h5", "c.csv", "plain")
    assert len(pd.read_csv(study.path / "c.csv")) == 6


def test_mistakes(study):
    study.ok("export", PLAIN, "here.csv", "--names", "x, neuron.tau", "--names", "z")
    before = (study.path / "here.csv").read_text()
    assert before.splitlines()[0] == "run,x,neuron.tau,z,status,seconds"
    for arguments, code, words in (
        ((PLAIN, RICH, "--force"), 4, f"{RICH} exists: remove it yourself, or choose another name"),
        ((PLAIN, "d.csv", "--names", "zz"), 4, "--names: plain has no 'zz'; did you mean 'z'?"),
        ((PLAIN, "d.csv", "--where", "zz > 1"), 4, "unknown name 'zz'; did you mean 'z'?"),
        ((PLAIN, "d.csv", "--where", "x > 9"), 5, f"--where 'x > 9': no run of {PLAIN} matches"),
        ((PLAIN,), 4, "name the file to be written: simkit export FILE OUT, or a folder: --files DIR"),
    ):
        wrong = study.simkit("export", *arguments)
        assert (wrong.code, words in wrong.err) == (code, True), wrong.err
        assert "Traceback" not in wrong.err
    assert not (study.path / "d.csv").exists()
    for target, words in {
        "here.csv": "here.csv exists: say so with --force (force=True), or choose another name",
        RICH: "rich-001.h5 exists: remove it yourself, or choose another name",
        "a.xlsx": "a.xlsx: cannot export to .xlsx: choose .csv, .parquet, .nc, .h5",
        "a": "a: cannot export to a name without ending: choose .csv",
        "no/a.csv": "no: no such folder",
    }.items():
        assert words in refused(study, PLAIN, target)
    assert (study.path / "here.csv").read_text() == before
    study.ok("export", PLAIN, "here.csv", "--force")
    assert (study.path / "here.csv").read_text() != before


def test_a_table_for_spreadsheets_is_asked_for_by_an_option(project):
    """What a cell says is not computed: whoever made the file chose what it says."""
    project.file(
        "sim_f.py",
        """
        from simkit import experiment, explore

        @experiment
        @explore(word=["=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(A1)", "fine", "'=1"])
        def f(word):
            return {"said": word, "z": -1.5}
        """,
    )
    project.ok("-n", "0")
    project.ok("export", "results/f-001.h5", "plain.csv")
    project.ok("export", "results/f-001.h5", "safe.csv", "--safe")
    plain, safe = (pd.read_csv(project.path / name) for name in ("plain.csv", "safe.csv"))
    words = ["=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(A1)", "fine", "'=1"]
    assert plain["said"].tolist() == words
    for name in ("word", "said"):
        assert safe[name].tolist() == [f"'{word}" for word in words[:4]] + words[4:]
    assert safe["z"].tolist() == [-1.5] * 6
    refused = project.simkit("export", "results/f-001.h5", "a.parquet", "--safe")
    assert (refused.code, "only text tables (.csv) need to be safe" in refused.err) == (4, True)
    assert not project.has("a.parquet")
