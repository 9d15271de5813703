"""``simkit merge``: shards, their order, what is told, and going on afterwards."""

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


SHARDS = [f"results/study-001.shard-0{i}of03.h5" for i in range(3)]


@pytest.fixture(scope="module")
def sharded(shared):
    """A study in three shards, and ``whole.h5`` as an unsharded command records it."""
    shared.file("pyproject.toml", "[tool.simkit]\n")
    shared.file("sim_study.py", STUDY)
    for i in range(3):
        shared.ok("--shard", f"{i}/3", "--seed", "11", "-n", "0")
    shared.ok("--seed", "11", "-n", "0", "--output", "whole.h5")
    return shared


def clear(project):
    for path in project.path.glob("results/study-00?.h5"):
        path.unlink()


def test_shards_merge_into_what_an_unsharded_run_gives(sharded):
    clear(sharded)
    result = sharded.ok("merge", "results/study-001.h5", *SHARDS)
    lines = result.out.splitlines()
    assert lines[0] == "study: 20 runs from 3 files: 20 done"
    assert lines[1:4] == [f"    {file}   {n} runs" for file, n in zip(SHARDS, (6, 7, 7), strict=True)]
    assert re.fullmatch(r"results/study-001\.h5   [\d.]+ [kM]B", lines[4])
    assert lines[5:] == ['    import simkit; traj = simkit.open("results/study-001.h5"); traj.to_dataframe()']
    assert result.err == ""
    merged, whole = sharded.open("study-001"), sharded.open("whole.h5")
    assert wrong_values(merged, whole) == wrong_values(whole, merged) == []
    assert merged.status.tolist() == whole.status.tolist()
    assert [merged.notes(i) for i in range(20)] == [whole.notes(i) for i in range(20)]
    assert [merged.log(i) for i in range(20)] == [whole.log(i) for i in range(20)]
    assert [merged.names(section) for section in ("parameters", "results")] == [
        whole.names(section) for section in ("parameters", "results")
    ]
    assert merged.info.root_seed == 11
    assert [merged.source(i) for i in (0, 6, 19)] == [
        ("study-001.shard-00of03.h5", 0),
        ("study-001.shard-01of03.h5", 6),
        ("study-001.shard-02of03.h5", 19),
    ]
    assert [session["command"].split()[2] for session in merged.info.sessions] == ["0/3", "1/3", "2/3"]
    assert read_everything(merged.path) > 20
    sharded.close()


def test_simkit_goes_on_in_the_merged_file(sharded):
    clear(sharded)
    sharded.ok("merge", "results/study-001.h5", *SHARDS)
    assert "20 of 20 are done already" in sharded.ok().out
    result = sharded.ok("--product", "x=" + ",".join(map(str, range(11))), "-n", "0")
    assert "continuing results/study-001.h5: 20 of 22 runs are done, seed 11" in result.out
    assert [path.name for path in sharded.path.glob("results/study-00?.h5")] == ["study-001.h5"]


def test_the_order_of_the_shards_does_not_matter(sharded):
    sharded.ok("merge", "odd.h5", SHARDS[2], SHARDS[0], SHARDS[1])
    merged, whole = sharded.open("odd.h5"), sharded.open("whole.h5")
    assert wrong_values(merged, whole) == wrong_values(whole, merged) == []


def test_an_incomplete_set_of_shards_leaves_runs_pending(sharded):
    clear(sharded)
    result = sharded.ok("merge", "results/study-001.h5", SHARDS[0], SHARDS[2])
    assert "study: 20 runs from 2 files: 7 pending, 13 done" in result.out
    assert "note: runs that are not done yet run when simkit continues this trajectory" in result.out
    merged = sharded.open("study-001")
    assert np.flatnonzero(merged.status == "pending").tolist() == list(range(6, 13))
    sharded.close()
    assert "7 done" in sharded.ok("-n", "0").out
    merged, whole = sharded.open("study-001"), sharded.open("whole.h5")
    assert wrong_values(merged, whole) == wrong_values(whole, merged) == []
    assert merged.source(8) == ("study-001.h5", 8)  # made here
    sharded.close()


def test_a_missing_shard_comes_later(sharded):
    clear(sharded)
    sharded.ok("merge", "results/study-001.h5", SHARDS[0], SHARDS[2])
    result = sharded.ok("merge", "results/study-001.h5", SHARDS[1])
    assert "study: 20 runs from 2 files: 20 done" in result.out
    merged, whole = sharded.open("study-001"), sharded.open("whole.h5")
    assert wrong_values(merged, whole) == wrong_values(whole, merged) == []
    assert merged.source(19) == ("study-001.shard-02of03.h5", 19)
    sharded.close()


def test_failed_runs_of_shards_are_tried_again_in_the_merged_file(project):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("sim_study.py", STUDY.replace("bad=-1", "bad=4"))
    for i in range(3):
        project.simkit("--shard", f"{i}/3", "--seed", "11", "-n", "0")
    project.ok("merge", "results/study-001.h5", *SHARDS)
    failed = project.open("study-001")
    assert np.flatnonzero(failed.status == "failed").tolist() == [8, 9]
    assert "ValueError: bad" in failed.error(9)
    assert failed.source(9) == ("study-001.shard-01of03.h5", 9)
    project.close()
    project.file("sim_study.py", STUDY.replace("bad=-1", "bad=4").replace("x == bad", "x == bad + 100"))
    project.ok("--into", "results/study-001.h5", "-n", "0")
    mended = project.open("study-001")
    assert (mended.status == "done").all()
    assert mended.source(9) == ("study-001.h5", 9)
    assert mended.source(7) == ("study-001.shard-01of03.h5", 7)


def test_the_glob_that_forgets_the_target_is_explained(sharded):
    before = [(sharded.path / file).read_bytes() for file in SHARDS]
    result = sharded.simkit("merge", *SHARDS)
    assert result.code == 4
    assert result.err.splitlines() == [
        f"simkit: {SHARDS[0]} is itself a shard: the merged file comes first",
        "    simkit merge results/study-001.h5 results/study-001.shard-*.h5",
    ]
    assert [(sharded.path / file).read_bytes() for file in SHARDS] == before


def test_duplicates(sharded):
    result = sharded.simkit("merge", "twice.h5", "whole.h5", SHARDS[0])
    assert result.code == 4
    assert result.err.splitlines()[0] == (
        f"simkit: run 0 of {SHARDS[0]} is done in whole.h5 too, as run 0 (6 such runs)"
    )
    assert not sharded.has("twice.h5")
    first = sharded.ok("merge", "first.h5", "whole.h5", SHARDS[0], "--duplicates", "first")
    assert f"    {SHARDS[0]}   nothing new" in first.out
    assert f"note: {SHARDS[0]}: 6 done runs were done before, and are left out" in first.out
    every = sharded.ok("merge", "all.h5", "whole.h5", SHARDS[0], "--duplicates=all")
    assert "study: 26 runs from 2 files: 26 done" in every.out
    assert "note: 6 runs have the seeds of earlier ones: the same random numbers" in every.out
    assert "seeds" not in first.out
    merged = sharded.open("all.h5")
    assert values(merged, "z")[20:] == values(merged, "z")[:6]
    sharded.close()


def test_usage(sharded):
    assert "usage: simkit merge" in sharded.simkit("merge").err
    assert sharded.simkit("merge", "m.h5").code == 4
    assert "--duplicates" in sharded.ok("merge", "--help").out
    assert "simkit merge OUT FILE" in sharded.ok("--help").out
    missing = sharded.simkit("merge", "m.h5", "nothing.h5")
    assert (missing.code, missing.err) == (4, "simkit: no such file: nothing.h5\n")
