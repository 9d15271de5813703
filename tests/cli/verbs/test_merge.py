"""``simkit merge``: parts of a study, sets of shards, their order, what is told, and going on afterwards."""

from __future__ import annotations

import re

import numpy as np
import pytest
from processes import read_everything, values, wrong_values

STUDY = """
import numpy as np
from simkit import experiment, product

@experiment
@product(x=range(10), y=[0.5, 1.5])
def study(x, y, rng, run, bad=-1):
    if x == bad:
        raise ValueError("bad")
    if x == 3:
        run.note("three")
    print("this is", x, y)
    return {"z": x * y, "noise": rng.normal(), "big": np.full(10_000, x * y), "t": rng.normal(size=x)}
"""


PARTS = [f"results/part-{i}.h5" for i in range(3)]


def make_parts(project):
    for file, runs in zip(PARTS, ("[0:6]", "[6:13]", "[13:20]"), strict=True):
        project.simkit(f"sim_study.py::study{runs}", "--seed", "11", "-n", "0", "--output", file)


@pytest.fixture(scope="module")
def parted(shared):
    """A study in three parts, and ``whole.h5`` as one command records it."""
    shared.file("pyproject.toml", "[tool.simkit]\n")
    shared.file("sim_study.py", STUDY)
    make_parts(shared)
    shared.ok("--seed", "11", "-n", "0", "--output", "whole.h5")
    return shared


def clear(project):
    for path in project.path.glob("results/study-00?.h5"):
        path.unlink()


def test_parts_merge_into_what_one_command_gives(parted):
    clear(parted)
    result = parted.ok("merge", "results/study-001.h5", *PARTS)
    lines = result.out.splitlines()
    assert lines[0] == "study: 20 runs from 3 files: 20 done"
    assert lines[1:4] == [f"    {file}   {n} runs" for file, n in zip(PARTS, (6, 7, 7), strict=True)]
    assert re.fullmatch(r"results/study-001\.h5   [\d.]+ [kM]B", lines[4])
    assert lines[5:] == ['    import simkit; traj = simkit.open("results/study-001.h5"); traj.to_dataframe()']
    assert result.err == ""
    merged, whole = parted.open("study-001"), parted.open("whole.h5")
    assert wrong_values(merged, whole) == wrong_values(whole, merged) == []
    assert merged.status.tolist() == whole.status.tolist()
    assert [merged.notes(i) for i in range(20)] == [whole.notes(i) for i in range(20)]
    assert [merged.log(i) for i in range(20)] == [whole.log(i) for i in range(20)]
    assert [merged.names(section) for section in ("parameters", "results")] == [
        whole.names(section) for section in ("parameters", "results")
    ]
    assert merged.info.root_seed == 11
    assert [merged.source(i) for i in (0, 6, 19)] == [
        ("part-0.h5", 0),
        ("part-1.h5", 6),
        ("part-2.h5", 19),
    ]
    assert [session["command"].split()[-1] for session in merged.info.sessions] == PARTS
    assert read_everything(merged.path) > 20
    parted.close()


def test_simkit_goes_on_in_the_merged_file(parted):
    clear(parted)
    parted.ok("merge", "results/study-001.h5", *PARTS)
    assert "20 of 20 are done already" in parted.ok().out
    result = parted.ok("--product", "x=" + ",".join(map(str, range(11))), "-n", "0")
    assert "continuing results/study-001.h5: 20 of 22 runs are done, seed 11" in result.out
    assert [path.name for path in parted.path.glob("results/study-00?.h5")] == ["study-001.h5"]


def test_the_order_of_the_parts_does_not_matter(parted):
    parted.ok("merge", "odd.h5", PARTS[2], PARTS[0], PARTS[1])
    merged, whole = parted.open("odd.h5"), parted.open("whole.h5")
    assert wrong_values(merged, whole) == wrong_values(whole, merged) == []


def test_an_incomplete_set_of_parts_leaves_runs_pending(parted):
    clear(parted)
    result = parted.ok("merge", "results/study-001.h5", PARTS[0], PARTS[2])
    assert "study: 20 runs from 2 files: 7 pending, 13 done" in result.out
    assert "note: runs that are not done yet run when simkit continues this trajectory" in result.out
    merged = parted.open("study-001")
    assert np.flatnonzero(merged.status == "pending").tolist() == list(range(6, 13))
    parted.close()
    assert "7 done" in parted.ok("-n", "0").out
    merged, whole = parted.open("study-001"), parted.open("whole.h5")
    assert wrong_values(merged, whole) == wrong_values(whole, merged) == []
    assert merged.source(8) == ("study-001.h5", 8)  # made here
    parted.close()


def test_a_missing_part_comes_later(parted):
    clear(parted)
    parted.ok("merge", "results/study-001.h5", PARTS[0], PARTS[2])
    result = parted.ok("merge", "results/study-001.h5", PARTS[1])
    assert "study: 20 runs from 2 files: 20 done" in result.out
    merged, whole = parted.open("study-001"), parted.open("whole.h5")
    assert wrong_values(merged, whole) == wrong_values(whole, merged) == []
    assert merged.source(19) == ("part-2.h5", 19)
    parted.close()


def test_failed_runs_of_parts_are_tried_again_in_the_merged_file(project):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_study.py", STUDY.replace("bad=-1", "bad=4"))
    make_parts(project)
    project.ok("merge", "results/study-001.h5", *PARTS)
    failed = project.open("study-001")
    assert np.flatnonzero(failed.status == "failed").tolist() == [8, 9]
    assert "ValueError: bad" in failed.error(9)
    assert failed.source(9) == ("part-1.h5", 9)
    project.close()
    project.file("sim_study.py", STUDY.replace("bad=-1", "bad=4").replace("x == bad", "x == bad + 100"))
    project.ok("--into", "results/study-001.h5", "-n", "0")
    mended = project.open("study-001")
    assert (mended.status == "done").all()
    assert mended.source(9) == ("study-001.h5", 9)
    assert mended.source(7) == ("part-1.h5", 7)


SHARDS = [f"results/study-001.shards/000{i}.h5" for i in range(3)]


@pytest.fixture(scope="module")
def sharded(parted):
    """The same study as a set of three shards, whose second one is not there yet."""
    clear(parted)
    for i in (0, 2):
        parted.ok("--shard", f"{i}/3", "--seed", "11", "-n", "0")
    return parted


def test_a_set_of_shards_becomes_one_plain_file(sharded):
    before = [(sharded.path / SHARDS[i]).read_bytes() for i in (0, 2)]
    result = sharded.ok("merge", "plain.h5", "results/study-001.h5")
    assert result.out.splitlines()[:4] == [
        "study: 20 runs from 2 files: 7 pending, 13 done",
        f"    {SHARDS[0]}   6 runs",
        f"    {SHARDS[2]}   7 runs",
        "note: 7 runs were not begun by any task: simkit gives them their points when it continues the file",
    ]
    assert [(sharded.path / SHARDS[i]).read_bytes() for i in (0, 2)] == before
    assert "7 done" in sharded.ok("-n", "0", "--into", "plain.h5").out
    merged, whole = sharded.open("plain.h5"), sharded.open("whole.h5")
    assert wrong_values(merged, whole) == wrong_values(whole, merged) == []
    assert np.array_equal(merged["x"], whole["x"])
    assert [merged.notes(i) for i in range(20)] == [whole.notes(i) for i in range(20)]
    assert [merged.log(i) for i in range(20)] == [whole.log(i) for i in range(20)]
    table = merged.to_dataframe(names=["z"], info=True)
    assert table["session"].tolist() == [2] * 6 + [4] * 7 + [3] * 7  # the first one made the master
    assert read_everything(merged.path) > 20
    sharded.close()


def test_sets_of_shards_are_not_merged_with_other_files(sharded):
    plain = "    simkit merge results/study-001-plain.h5 results/study-001.h5"
    for files in (["new.h5", "results/study-001.h5", "whole.h5"], ["whole.h5", "results/study-001.h5"],
                  ["results/study-001.h5", "whole.h5"]):  # fmt: skip
        result = sharded.simkit("merge", *files)
        assert result.code == 4
        assert result.err.splitlines()[1] == plain
    assert not sharded.has("new.h5")


@pytest.mark.parametrize("files", [[SHARDS[0], SHARDS[2]], ["new.h5", SHARDS[2], SHARDS[0]]])
def test_the_files_of_a_set_are_merged_by_its_master(sharded, files):
    result = sharded.simkit("merge", *files)
    assert result.code == 4
    assert (
        "is a part of a set of shards: merge the set\n    simkit merge OUT.h5 results/study-001.h5"
        in result.err
    )
    assert not sharded.has("new.h5")


def test_duplicates(parted):
    result = parted.simkit("merge", "twice.h5", "whole.h5", PARTS[0])
    assert result.code == 4
    assert result.err.splitlines()[0] == (
        f"simkit: run 0 of {PARTS[0]} is done in whole.h5 too, as run 0 (6 such runs)"
    )
    assert not parted.has("twice.h5")
    first = parted.ok("merge", "first.h5", "whole.h5", PARTS[0], "--duplicates", "first")
    assert f"    {PARTS[0]}   nothing new" in first.out
    assert f"note: {PARTS[0]}: 6 done runs were done before, and are left out" in first.out
    every = parted.ok("merge", "all.h5", "whole.h5", PARTS[0], "--duplicates=all")
    assert "study: 26 runs from 2 files: 26 done" in every.out
    assert "note: 6 runs have the seeds of earlier ones: the same random numbers" in every.out
    assert "seeds" not in first.out
    merged = parted.open("all.h5")
    assert values(merged, "z")[20:] == values(merged, "z")[:6]
    parted.close()


def test_usage(parted):
    assert "usage: simkit merge" in parted.simkit("merge").err
    assert parted.simkit("merge", "m.h5").code == 4
    assert "--duplicates" in parted.ok("merge", "--help").out
    assert "simkit merge OUT FILE" in parted.ok("--help").out
    missing = parted.simkit("merge", "m.h5", "nothing.h5")
    assert (missing.code, missing.err) == (4, "simkit: no such file: nothing.h5\n")
