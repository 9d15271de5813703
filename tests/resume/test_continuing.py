"""Typing `simkit` again: which trajectory goes on, with which points, code and constants."""

from __future__ import annotations

import re

import duckdb
import h5py
import numpy as np
import pandas as pd
import polars as pl
import pytest
from processes import values, wrong_values

STUDY = '''
from pathlib import Path
from simkit import experiment, parameter, product

GRID = [1, 2, 3]

def helper(x):
    return x * 10

@parameter
def calibrated(scale=2):
    """Takes forty seconds."""
    with Path("calibrations").open("a") as file:
        file.write("x")
    return scale * 0.5

@experiment
@product(x=GRID)
def study(x, rng, calibrated, scale=2, offset=0.0):
    """Does something."""
    return {"z": helper(x) * calibrated + offset, "noise": rng.normal()}
'''


@pytest.fixture
def study(project):
    """Three done runs in study-001.h5."""
    project.file("sim_study.py", STUDY)
    project.ok("-n", "0", "--seed", "5")
    return project


def change(project, old, new, name="sim_study.py"):
    """Edit the user's file."""
    text = (project.path / name).read_text()
    assert old in text
    project.file(name, text.replace(old, new))


def files(project):
    """The trajectories, by name."""
    project.close()  # an open trajectory is a reader, for whose sake a log would be kept
    return sorted(p.name for p in (project.path / "results").iterdir())


def content(project, file="study-001"):
    """A trajectory's values by name, closed again."""
    with project.open(file) as traj:
        names = [*traj.names("parameters"), *traj.names("results")]
        return {name: values(traj, name) for name in names}


def taking(project, seconds, file="study-001.h5"):
    """Pretend that the recorded runs took this long."""
    with h5py.File(project.path / "results" / file, "r+") as h5:
        column = h5["study/runs/seconds"]
        column[:] = seconds / len(column)


# Which trajectory


def test_an_older_trajectory_that_matches_is_continued(study):
    study.ok("--set", "offset=1.0", "-n", "0")
    assert files(study) == ["study-001.h5", "study-002.h5"]
    change(study, "GRID = [1, 2, 3]", "GRID = [1, 2, 3, 4]")
    result = study.ok("-n", "0")
    assert "continuing results/study-001.h5: 3 of 4 runs are done, seed 5" in result.out
    result = study.ok("--set", "offset=1.0", "-n", "0")
    assert "continuing results/study-002.h5: 3 of 4 runs are done" in result.out
    assert files(study) == ["study-001.h5", "study-002.h5"]
    assert study.open("study-002")["z"].tolist() == [11.0, 21.0, 31.0, 41.0]


def test_another_seed_or_another_explored_name_is_another_trajectory(study):
    assert "1 of 3" not in study.ok("-n", "0").out
    study.ok("-n", "0", "--seed", "6")
    assert files(study) == ["study-001.h5", "study-002.h5"]
    assert study.open("study-002").info.root_seed == 6
    result = study.ok("-n", "0", "--product", "offset=0.0,1.0")
    assert "explored x, now offset, x" in result.out
    assert files(study) == ["study-001.h5", "study-002.h5", "study-003.h5"]
    assert "nothing to do" in study.ok("-n", "0", "--seed", "5").out


def test_a_trajectory_without_a_done_run_is_started_again(project):
    project.file(
        "sim_study.py",
        """
        from simkit import experiment, product

        @experiment
        @product(x=[1, 2])
        def study(x, scale=2):
            raise ValueError("typo")
        """,
    )
    assert project.simkit("-n", "0", "--seed", "1").code == 1
    change(project, 'raise ValueError("typo")', "return x * scale")
    result = project.ok("-n", "0", "--set", "scale=3")
    assert files(project) == ["study-001.h5"]
    assert "not continued" not in result.out
    traj = project.open("study-001")
    assert (traj["result"].tolist(), traj.parameters.scale) == ([3, 6], 3)
    assert traj.error(0) == ""


def test_typing_it_twice_changes_nothing_but_the_answer(study):
    before = content(study)
    path = study.path / "results" / "study-001.h5"
    written = path.read_bytes()
    result = study.ok("-n", "2")
    assert "nothing to do" in result.out
    assert "3 of 3 runs" in result.out
    assert content(study) == before
    assert path.read_bytes() == written


# What counts as a change


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return x * 10", "    # ten times\n    return x * 10"),
        ('"""Does something."""', '"""Does something else."""'),
        ("GRID = [1, 2, 3]", "GRID = [1, 2, 3, 4]"),
        ("@product(x=GRID)", "@product(x=[1, 2, 3, 5])"),
        ("def helper", "def unrelated():\n    return 3\n\ndef helper"),
        ("    return x * 10", "    return (x *\n            10)"),
    ],
)
def test_comments_docstrings_layout_and_the_grid_are_no_change(study, old, new):
    change(study, old, new)
    study.ok("-n", "0")
    assert files(study) == ["study-001.h5"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("return x * 10", "return x * 11", "sim_study.py::helper"),
        ('"noise": rng.normal()', '"noise": rng.normal() + 1', "sim_study.py::study"),
        ("return scale * 0.5", "return scale / 2", "sim_study.py::calibrated"),
        ("offset=0.0", "offset=0.5", "offset was 0.0, now 0.5"),
        ("offset=0.0", "offset=0", "offset was 0.0, now 0"),
        ("scale=2", "scale=3", "scale was 2, now 3"),
    ],
)
def test_other_code_or_constants_begin_the_next_file(study, old, new, words):
    before = content(study)
    change(study, old, new)
    result = study.ok("-n", "0")
    assert "results/study-001.h5 is not continued: " in result.out
    assert words in result.out
    assert "starting results/study-002.h5\n" in result.out
    assert "    keep its done runs and go on:  simkit --into results/study-001.h5\n" in result.out
    assert files(study) == ["study-001.h5", "study-002.h5"]
    assert content(study) == before


# on_change


def test_more_than_a_minute_of_runs_is_not_set_aside_for_a_change_of_code(study):
    taking(study, 61)
    change(study, "return x * 10", "return x * 11")
    before = content(study)
    result = study.simkit("-n", "0")
    assert result.code == 4
    assert "results/study-001.h5 is not continued: " in result.err
    assert "sim_study.py::helper" in result.err
    assert re.search(r"keep its done runs and go on: +simkit --into results/study-001.h5\n", result.err)
    assert re.search(r"begin the next trajectory: +simkit --fresh", result.err)
    assert files(study) == ["study-001.h5"]
    assert content(study) == before
    taking(study, 59)
    study.ok("-n", "0")
    assert files(study) == ["study-001.h5", "study-002.h5"]


def test_a_changed_constant_begins_the_next_file_however_long_the_runs_took(study):
    taking(study, 1000)
    study.ok("-n", "0", "--set", "offset=2.0")
    assert files(study) == ["study-001.h5", "study-002.h5"]


def test_on_change_stop_next_and_into(study):
    configured = lambda word: study.file("pyproject.toml", f'[tool.simkit]\non_change = "{word}"\n')
    configured("stop")
    result = study.simkit("-n", "0", "--set", "offset=2.0")
    assert result.code == 4
    assert "offset was 0.0, now 2.0" in result.err
    assert "simkit --into results/study-001.h5" in result.err
    assert files(study) == ["study-001.h5"]

    configured("next")
    taking(study, 1000)
    change(study, "return x * 10", "return x * 11")
    study.ok("-n", "0")
    assert files(study) == ["study-001.h5", "study-002.h5"]

    configured("into")
    change(study, "return x * 11", "return x * 12")
    change(study, "GRID = [1, 2, 3]", "GRID = [1, 2, 3, 4]")
    study.ok("-n", "0")
    assert files(study) == ["study-001.h5", "study-002.h5"]
    assert study.open("study-002")["z"].tolist() == [11.0, 22.0, 33.0, 48.0]


# --fresh, --into, --lf


def test_fresh_begins_the_next_file(study):
    study.ok("-n", "0", "--fresh", "--seed", "5")
    assert files(study) == ["study-001.h5", "study-002.h5"]
    assert content(study, "study-002") == content(study)


def test_into_keeps_done_runs_and_turns_a_changed_constant_into_a_column(study):
    before = content(study)
    change(study, "GRID = [1, 2, 3]", "GRID = [1, 2, 3, 4, 5]")
    result = study.ok("--into", "results/study-001.h5", "--set", "offset=0.25", "-n", "2")
    assert files(study) == ["study-001.h5"]
    assert "3 of 5 runs are done" in result.out
    traj = study.open("study-001")
    assert traj["offset"].tolist() == [0.0, 0.0, 0.0, 0.25, 0.25]
    assert not traj.describe("offset").constant
    assert traj.parameters.scale == 2
    assert traj["z"].tolist() == [10.0, 20.0, 30.0, 40.25, 50.25]
    assert values(traj, "noise")[:3] == before["noise"]
    expected = [np.random.default_rng(seed).normal() for seed in traj.seeds]
    assert traj["noise"].tolist() == expected
    with h5py.File(traj.path, "r") as file:
        assert file["study/runs/session"][:].tolist() == [1, 1, 1, 2, 2]
        second = file["study/info/002"]
        assert "offset was 0.0, now 0.25" in second.attrs["changed"]
    traj.close()
    again = study.ok("--into", "results/study-001.h5", "--set", "offset=0.25")
    assert "nothing to do" in again.out


GROWN = """
    import datetime
    import numpy as np
    from simkit import experiment, product

    @experiment
    @product(x=[{xs}])
    def f(x{arguments}):
        return {{"z": x * 0.5{results}}}
    """
LATER = {
    "xs": "1, 2, 3, 4",
    "arguments": ", k=5, gain=0.5, text='t', on=True, day=datetime.date(2026, 1, 2)",
    "results": ", 'w': x * k, 'a': np.arange(x)",
}
NEW = ["k", "gain", "text", "on", "day", "w"]
NOTHING = {"arguments": "", "results": ""}


@pytest.fixture
def grown(project):
    """Runs 0 and 1 were done before there were the arguments and results of runs 2 and 3."""
    project.file("sim_f.py", GROWN.format(xs="1, 2", **NOTHING))
    project.ok("-n", "0")
    project.file("sim_f.py", GROWN.format(**LATER))
    project.ok("-n", "0", "--into", "results/f-001.h5")
    return project


def test_what_old_runs_never_had_is_absent_in_conditions_and_means(grown):
    traj = grown.open("f-001")
    for condition in [
        "k == 5", "k != 6", "not k == 6", "k > 1", "k in [5, 6]", "gain < 1", "text == 't'", "not text == 'u'",
        "on", "not (not on)", "day > '2025-01-01'", "w >= 15", "near(gain, 0.5)", "k + x > 0", "~(k > 5)",
    ]:  # fmt: skip
        assert traj.where(condition).index.tolist() == [2, 3], condition
    assert traj.where("k == 5 or x < 2").index.tolist() == [0, 2, 3]
    for wanted in [{"k": 5}, {"gain": [0.5]}, {"text": "t"}, {"on": True}, {"w": [15, 20]}]:
        assert traj.where(**wanted).index.tolist() == [2, 3], wanted
    assert np.ma.getmaskarray(traj["k"]).tolist() == [True, True, False, False]
    assert np.ma.mean(traj["w"]) == 17.5
    assert np.nanmean(traj["gain"]) == 0.5
    assert traj.where("x > 2")["w"].sum() == 35


def test_what_old_runs_never_had_is_absent_in_tables_and_arrays(grown):
    traj = grown.open("f-001")
    table = traj.to_dataframe()
    assert {name: table[name].isna().tolist() for name in NEW} == {
        key: [True, True, False, False] for key in NEW
    }
    assert table["w"].mean() == 17.5
    assert table.groupby("k")["w"].mean().to_dict() == {5: 17.5}
    assert table.groupby("k", dropna=False)["z"].sum().tolist() == [3.5, 1.5]
    data = traj.to_xarray()
    assert data["w"].isnull().values.tolist() == [True, True, False, False]
    assert float(data["w"].mean()) == 17.5
    assert data["k"].isnull().values.tolist() == [True, True, False, False]
    assert pd.isna(data["text"].values).tolist() == [True, True, False, False]


def test_what_old_runs_never_had_is_absent_in_files_for_other_programs(grown):
    traj = grown.open("f-001")
    traj.export(grown.path / "f.csv", names=["x", *NEW])
    table = pd.read_csv(grown.path / "f.csv")
    assert {name: table[name].isna().tolist() for name in NEW} == {
        key: [True, True, False, False] for key in NEW
    }
    traj.export(grown.path / "f.parquet")
    columns = ", ".join(f'count("{name}")' for name in [*NEW, "a", "x"])
    counted = duckdb.sql(f"select {columns}, avg(w) from '{grown.path / 'f.parquet'}'").fetchall()
    assert counted == [(*[2] * 7, 4, 17.5)]
    frame = pl.read_parquet(grown.path / "f.parquet")
    assert frame["k"].to_list() == [None, None, 5, 5]
    assert frame["on"].to_list() == [None, None, True, True]
    assert frame["a"].to_list() == [None, None, [0, 1, 2], [0, 1, 2, 3]]
    assert frame["w"].mean() == 17.5


@pytest.mark.parametrize("order", [["results/f-001.h5", "other.h5"], ["other.h5", "results/f-001.h5"]])
def test_what_old_runs_never_had_is_absent_in_merged_and_exported_files(grown, order):
    grown.file("sim_f.py", GROWN.format(xs="7", **NOTHING))
    grown.ok("-n", "0", "--output", "other.h5")
    grown.ok("merge", "merged.h5", *order)
    grown.ok("export", "merged.h5", "part.h5", "--where", "x > 1")
    for file, xs in [("merged.h5", [1, 2, 3, 4, 7]), ("part.h5", [2, 3, 4, 7])]:
        traj = grown.open(file)
        table = traj.to_dataframe().set_index("x").sort_index()
        assert table.index.tolist() == xs
        for name in NEW:
            assert table.index[table[name].notna()].tolist() == [3, 4], (file, name)
        assert sorted(traj.where("k == 5")["x"]) == [3, 4]


def test_an_argument_that_went_is_absent_in_the_new_runs(project):
    project.file("sim_f.py", GROWN.format(xs="1, 2", arguments=LATER["arguments"], results=""))
    project.ok("-n", "0")
    project.file("sim_f.py", GROWN.format(xs="1, 2, 3", **NOTHING))
    project.ok("-n", "0", "--into", "results/f-001.h5")
    traj = project.open("f-001")
    assert np.ma.getmaskarray(traj["k"]).tolist() == [False, False, True]
    table = traj.to_dataframe()
    for name in NEW[:-1]:
        assert table[name].isna().tolist() == [False, False, True], name
    assert traj.where("k == 5 and x > 0").index.tolist() == [0, 1]
    assert traj.where("on").index.tolist() == [0, 1]
    assert traj.to_xarray()["z"].sel(x=3) == 1.5


def test_a_column_that_was_a_constant_goes_on_in_later_sessions(study):
    change(study, "GRID = [1, 2, 3]", "GRID = [1, 2, 3, 4]")
    study.ok("--into", "results/study-001.h5", "--set", "offset=0.25", "-n", "0")
    change(study, "GRID = [1, 2, 3, 4]", "GRID = [1, 2, 3, 4, 5]")
    study.ok("--set", "offset=0.25", "-n", "0")  # nothing differs from the session before
    assert files(study) == ["study-001.h5"]
    traj = study.open("study-001")
    assert traj["offset"].tolist() == [0.0, 0.0, 0.0, 0.25, 0.25]
    assert traj["z"].tolist() == [10.0, 20.0, 30.0, 40.25, 50.25]


def test_into_with_other_code_says_which_code_made_each_run(study):
    change(study, "return x * 10", "return x * 11")
    change(study, "GRID = [1, 2, 3]", "GRID = [1, 2, 3, 4]")
    study.ok("--into", "results/study-001.h5", "-n", "1")
    traj = study.open("study-001")
    assert traj["z"].tolist() == [10.0, 20.0, 30.0, 44.0]
    with h5py.File(traj.path, "r") as file:
        assert file["study/runs/session"][:].tolist() == [1, 1, 1, 2]
        changed = file["study/info/002"].attrs["changed"]
    assert "sim_study.py::helper" in changed
    traj.close()
    change(study, "GRID = [1, 2, 3, 4]", "GRID = [1, 2, 3, 4, 5]")
    study.ok("-n", "0")  # the newest session's code is the present one: it goes on by itself
    assert files(study) == ["study-001.h5"]
    assert study.open("study-001")["z"].tolist() == [10.0, 20.0, 30.0, 44.0, 55.0]


def test_into_a_file_of_other_runs_is_refused(study):
    result = study.simkit("--into", "results/study-001.h5", "--product", "offset=1.0,2.0")
    assert result.code == 4
    assert "--into results/study-001.h5: these are other runs: explored x, now offset, x" in result.err
    assert study.simkit("--into", "results/nothing.h5").code == 4
    assert study.simkit("--into", "results/study-001.h5", "--seed", "9").code == 4


SHAKY = """
import sys
from pathlib import Path
from simkit import experiment, product

@experiment
@product(x=range(6))
def study(x, rng, limit=3):
    if x >= limit and not Path("mended").exists():
        raise ValueError(f"no luck with {x}")
    with Path("made").open("a") as file:
        file.write(f"{x} ")
    return rng.normal()
"""


def test_lf_runs_again_what_failed_whatever_changed(project):
    project.file("sim_study.py", SHAKY)
    assert project.simkit("--maxfail", "2", "-n", "0").code == 1
    before = content(project)
    traj = project.open("study-001")
    assert traj.status.tolist()[:3] == ["done"] * 3
    failed = np.flatnonzero(traj.status == "failed").tolist()
    pending = np.flatnonzero(traj.status == "pending").tolist()
    traj.close()
    change(project, "return rng.normal()", "return rng.normal() + 100")
    project.file("mended")
    (project.path / "made").unlink()
    result = project.ok("--lf", "-n", "0")
    assert files(project) == ["study-001.h5"]
    assert f"{len(failed)} done" in result.out
    traj = project.open("study-001")
    assert (project.path / "made").read_text().split() == [str(i) for i in failed]
    assert np.flatnonzero(traj.status == "pending").tolist() == pending
    assert values(traj, "result")[:3] == before["result"][:3]
    assert (traj["result"][failed] > 50).all()
    assert traj.error(3) == ""
    with h5py.File(traj.path, "r") as file:
        assert "no luck with 3" in file["study/runs/error/text"].asstr()[0]  # earlier tracebacks stay
        assert file["study/runs/attempt"][:3].tolist() == [1, 1, 1]
        assert file["study/runs/attempt"][failed].tolist() == [2] * len(failed)
    traj.close()
    nothing = project.simkit("--lf", "sim_study.py", "-k", "study")
    assert nothing.code in (0, 5)


def test_lf_without_a_trajectory(project):
    project.file("sim_study.py", SHAKY)
    result = project.simkit("--lf")
    assert result.code == 5
    assert "--lf: no trajectory of sim_study.py::study is recorded" in result.err


# Done runs are immutable


def test_done_runs_stay_as_they_are(project):
    project.file("sim_study.py", SHAKY)
    assert project.simkit("-n", "2").code == 1
    before = content(project)
    with project.open("study-001") as traj:
        seeds, times = traj.seeds.tolist(), traj.seconds.tolist()
    project.file("mended")
    for command in ([], ["sim_study.py::study[0:3]"], ["--where", "x < 3"], ["--lf"]):
        project.simkit(*command, "-n", "1")
    after = content(project)
    for name, column in before.items():
        assert after[name][:3] == column[:3], name
    traj = project.open("study-001")
    assert traj.seeds.tolist() == seeds
    assert traj.seconds.tolist()[:3] == times[:3]
    assert sorted((project.path / "made").read_text().split()) == sorted("012012345"[3:])


# Constants that were computed


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_derived_constant_is_read_back_instead_of_computed(study, workers):
    marker = study.path / "calibrations"
    assert marker.read_text() == "x"
    change(study, "GRID = [1, 2, 3]", "GRID = [1, 2, 3, 4]")
    study.ok("-n", workers)
    assert marker.read_text() == "x"
    traj = study.open("study-001")
    assert traj.parameters.calibrated == 1.0
    assert traj["z"].tolist() == [10.0, 20.0, 30.0, 40.0]
    study.ok("-n", workers, "--set", "scale=4")
    assert marker.read_text() == "xx"
    assert study.open("study-002").parameters.calibrated == 2.0


def test_a_derived_constant_is_read_back_when_other_code_changed(study):
    """Its own code and inputs are the same: a calibration of forty seconds is not done again."""
    change(study, "return x * 10", "return x * 11")
    change(study, "GRID = [1, 2, 3]", "GRID = [1, 2, 3, 4]")
    study.ok("--into", "results/study-001.h5", "-n", "0")
    assert (study.path / "calibrations").read_text() == "x"
    assert study.open("study-001")["z"].tolist() == [10.0, 20.0, 30.0, 44.0]


# Points


def test_a_product_grown_in_the_middle_and_a_larger_repeat_add_only_new_points(project):
    source = """
        from pathlib import Path
        from simkit import experiment, product

        @experiment
        @(product(x=[1, 3], y=["a", "b"]).repeat(2))
        def study(x, y, run, rng):
            with Path("made").open("a") as file:
                file.write(f"{x}{y}{run.trial} ")
            return {"z": f"{x}{y}{run.trial}", "noise": rng.normal()}
        """
    project.file("sim_study.py", source)
    project.ok("-n", "0", "--seed", "3")
    first = content(project)
    (project.path / "made").unlink()
    change(project, "x=[1, 3]", "x=[1, 2, 3]")
    change(project, ".repeat(2)", ".repeat(3)")
    project.ok("-n", "2")
    made = (project.path / "made").read_text().split()
    assert sorted(made) == sorted(["1a2", "1b2", "3a2", "3b2", *(f"2{y}{t}" for y in "ab" for t in range(3))])
    traj = project.open("study-001")
    assert len(traj) == 18
    assert len(set(traj["z"])) == 18
    assert len(set(traj.seeds.tolist())) == 18
    for name, column in first.items():
        assert values(traj, name)[:8] == column, name
    for run in traj.runs:
        assert run.z[:2] == f"{run.x}{run.y}"
    traj.close()
    assert "nothing to do" in project.ok("-n", "2").out
    change(project, "x=[1, 2, 3]", "x=[3]")  # fewer points: the others stay recorded and are not run
    assert "nothing to do" in project.ok("-n", "0").out
    assert len(project.open("study-001")) == 18


def test_points_match_by_exact_value_type_and_occurrence(project):
    project.file(
        "sim_study.py",
        """
        from simkit import experiment, explore

        @experiment
        @explore(x=[1, 1.0, True, "1", 0.1 + 0.2, 1])
        def study(x):
            return repr(x)
        """,
    )
    project.ok("-n", "0")
    change(project, '[1, 1.0, True, "1", 0.1 + 0.2, 1]', '[1, 0.3, 1, 1.0, "1", True, 0.1 + 0.2, 1]')
    result = project.ok("-n", "0")
    assert "6 of 8 runs are done" in result.out
    traj = project.open("study-001")
    assert [repr(v) for v in traj["x"]] == traj["result"].tolist()
    assert traj["result"].tolist() == ["1", "1.0", "True", "'1'", repr(0.1 + 0.2), "1", "0.3", "1"]


# Shards


SHARDED = """
from simkit import experiment, product

@experiment
@product(x=range(10), y=[0.5, 1.5])
def study(x, y, rng):
    return {"z": x * y, "noise": rng.normal()}
"""


def test_shards_have_the_numbers_and_seeds_of_the_whole(project):
    project.file("sim_study.py", SHARDED)
    project.ok("--seed", "11", "-n", "0")
    told = [project.ok("--shard", f"{i}/3", "--seed", "11", "-n", "0" if i else "2").out for i in range(3)]
    assert "results/study-001.h5 is not continued: it is one plain file, which shards can't share" in told[0]
    assert files(project) == ["study-001.h5", "study-002.h5", "study-002.shards"]
    assert sorted(path.name for path in project.path.glob("results/study-002.shards/*")) == [
        "0000.h5", "0001.h5", "0002.h5",
    ]  # fmt: skip
    whole, sharded = project.open("study-001"), project.open("study-002")
    assert wrong_values(sharded, whole) == wrong_values(whole, sharded) == []
    assert sharded["x"].tolist() == whole["x"].tolist()
    assert sharded.seeds.tolist() == whole.seeds.tolist()
    assert [len(project.open(f"study-002.shards/000{i}")) for i in range(3)] == [6, 7, 7]


def test_shards_without_a_seed_share_a_root(project):
    project.file("sim_study.py", SHARDED)
    for i in (2, 0):
        project.ok("--shard", f"{i}/20", "-n", "0")
    assert files(project) == ["study-001.h5", "study-001.shards"]
    both = project.open("study-001")
    assert np.flatnonzero(both.status == "done").tolist() == [0, 2]
    assert both["noise"][0] != both["noise"][2]
    assert len({project.open(f"study-001.shards/000{i}").info.root_seed for i in (0, 2)}) == 1
    project.close()
    again = project.ok("--shard", "2/20", "-n", "0")
    assert "nothing to do" in again.out
    assert "18 done" in project.ok("-n", "0").out  # without shards, in the same set
    assert (project.open("study-001").status == "done").all()


@pytest.mark.parametrize("text", ["3/3", "1", "a/b", "-1/3", "0/0", "1/2/3", "auto/0", "auto/x", "²/3"])
def test_wrong_shards(project, text):
    project.file("sim_study.py", SHARDED)
    result = project.simkit(f"--shard={text}")
    assert result.code == 4
    assert f"--shard {text}: write I/N with I from 0 to N-1, as in --shard 3/20" in result.err


def test_a_module_that_was_found_by_its_name_is_code(project):
    project.file(
        "sim_study.py",
        """
        import importlib
        from simkit import experiment, product

        @experiment
        @product(x=[1, 2])
        def study(x):
            return x * importlib.import_module("".join(["lat", "e"])).K
        """,
    )
    project.file("late.py", "K = 1\n")
    project.ok("-n", "0")
    taking(project, 61)
    project.file("late.py", "K = 30\n")
    result = project.simkit("-n", "0")
    assert result.code == 4
    assert "study-001.h5 is not continued: late.py changed" in result.err
    assert "simkit --into results/study-001.h5" in result.err
    assert files(project) == ["study-001.h5"]
