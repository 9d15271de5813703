"""Merge trajectories: pypet's scenarios in simkit's words, and what simkit adds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from merges import DRAWS, F, refused
from processes import values

import simkit
from simkit import explore, product


def bytes_of(*files):
    return [Path(file).read_bytes() for file in files]


# pypet's merge tests, case by case: pypet's trial parameter is simkit's trial, remove_duplicates is
# duplicates="first", without it "all"; pypet merges into the first trajectory, simkit into any file.


def test_pypet_merging_errors(make, merge):
    make("a.h5", explore(x=[1.0]))
    make("b.h5", explore(x=[2.0]), F.replace("k=1", "k=1.0"))
    assert refused("m.h5", "a.h5", "b.h5").startswith("k is int in a.h5, but float in b.h5\n")
    make("c.h5", explore(x=[2.0]), F.replace("k=1", "k=1, denied=13"))
    merged = merge("m.h5", "a.h5", "c.h5")  # pypet refuses a parameter that only one has
    assert np.ma.getmaskarray(merged["denied"]).tolist() == [True, False]
    assert merged["denied"][1] == 13
    make("d.h5", explore(x=[3.0]), F.replace("k=1", "k=1, denied=15"))
    assert merge("m2.h5", "c.h5", "d.h5")["denied"].tolist() == [13, 15]


def test_pypet_merge_basic_within_same_file_only_adding_more_trials_copy_nodes(make, merge):
    points = explore(x=[1.0, 2.0]).repeat(2)
    make("both.h5", points, DRAWS, seed=1)
    make("both.h5", points, DRAWS, seed=2)
    merged = merge("m.h5", "both.h5::f", "both.h5::f-002", duplicates="all")
    assert merged["x"].tolist() == [1.0, 1.0, 2.0, 2.0] * 2
    assert merged["trial"].tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
    with simkit.open("both.h5", "f") as one, simkit.open("both.h5", "f-002") as other:
        assert merged["noise"].tolist() == [*one["noise"], *other["noise"]]
        assert merged.seeds.tolist() == [*one.seeds, *other.seeds]


def test_pypet_merge_basic_within_same_file_only_adding_more_trials_move_nodes(make, merge, study):
    points = explore(x=[1.0, 2.0]).repeat(2)
    make("a.h5", points, DRAWS, seed=1)
    make("b.h5", points, DRAWS, seed=2)
    merged = merge("a.h5", "b.h5", duplicates="all")  # into the first itself
    assert merged.path == Path("a.h5").absolute()
    assert merged["trial"].tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
    merged.close()
    with study.run(DRAWS, space=explore(x=[1.0, 2.0]).repeat(4), into="a.h5") as more:
        assert len(more) == 8  # the repeats are all there
        assert len(more.info.sessions) == 2


def test_pypet_basic_within_same_file_and_skipping_duplicates_which_will_be_all(make, merge):
    make("a.h5", product(x=[1.0, 2.0]))
    make("b.h5", product(x=[1.0, 2.0]))
    merged = merge("m.h5", "a.h5", "b.h5", duplicates="first")  # pypet raises here
    assert merged["z"].tolist() == [1.0, 2.0]
    assert [merged.source(i) for i in range(2)] == [("a.h5", 0), ("a.h5", 1)]


def test_pypet_basic_within_same_file_and_skipping_duplicates_which_leads_to_one_remaining(make, merge):
    make("both.h5", product(x=[1.0, 2.0]))
    make("both.h5", product(x=[2.0, 3.0]))
    merged = merge("m.h5", "both.h5::f", "both.h5::f-002", duplicates="first")
    assert merged["x"].tolist() == [1.0, 2.0, 3.0]
    assert merged["z"].tolist() == [1.0, 2.0, 3.0]


def test_pypet_basic_within_separate_file_and_skipping_duplicates_which_leads_to_one_remaining(make, merge):
    text = F.replace("x * k", "x.sum() * k")
    arrays = [
        np.array([1.0, 2.0, 3.0, 4.0]),
        np.array([-1.0, 3.0, 5.0, 7.0]),
        np.array([-1.0, 2.0, 3.0, 5.0]),
    ]
    make("a.h5", explore(x=arrays[:2]).repeat(2), text)
    make("b.h5", explore(x=arrays[:0:-1]).repeat(2), text)
    merged = merge("m.h5", "a.h5", "b.h5", duplicates="first")
    assert np.array_equal(merged["x"], np.repeat(arrays, 2, axis=0))
    assert merged["trial"].tolist() == [0, 1] * 3
    assert [tuple(merged.source(i)) for i in range(6)] == [
        *(("a.h5", i) for i in range(4)),
        ("b.h5", 0),
        ("b.h5", 1),
    ]


def test_pypet_merge_basic_with_separate_files_only_adding_more_trials(make, merge):
    make("a.h5", explore(x=[1.0, 2.0]), DRAWS, seed=1)
    make("b.h5", explore(x=[1.0, 2.0]), DRAWS, seed=2)
    merged = merge("m.h5", "a.h5", "b.h5", duplicates="all")
    assert merged["x"].tolist() == [1.0, 2.0, 1.0, 2.0]
    assert len(set(merged["noise"].tolist())) == 4


def test_pypet_merge_basic_within_same_file_only_adding_more_trials_copy_nodes_test_backup(make, merge):
    make("a.h5", explore(x=[1.0]))
    make("b.h5", explore(x=[2.0]))
    before = bytes_of("a.h5", "b.h5")
    merge("m.h5", "a.h5", "b.h5")
    assert bytes_of("a.h5", "b.h5") == before  # no backup is needed: sources stay as they are
    assert sorted(path.name for path in Path().glob("*.h5*")) == ["a.h5", "b.h5", "m.h5"]


def test_pypet_merge_basic_within_same_file_only_adding_more_trials_delete_other_trajectory(make, merge):
    make("a.h5", explore(x=[1.0]), DRAWS)
    make("b.h5", explore(x=[2.0]), DRAWS)
    merged = merge("m.h5", "a.h5", "b.h5")
    before = values(merged, "noise")
    merged.close()
    Path("a.h5").unlink()
    Path("b.h5").unlink()
    with simkit.open("m.h5") as alone:
        assert values(alone, "noise") == before


def test_pypet_merge_with_different_subspace(make, merge, study):
    make("a.h5", product(x=[1.0, 2.0]))
    make("b.h5", product(k=[3, 4]))
    merged = merge("m.h5", "a.h5", "b.h5")
    assert merged.explored == ("x", "k")
    assert merged["x"].tolist() == [1.0, 2.0, 0.0, 0.0]
    assert merged["k"].tolist() == [1, 1, 3, 4]
    merged.close()
    points = product(x=[1.0, 2.0]) + product(k=[3, 4, 5])
    with study.run(F, space=points, into="m.h5") as more:  # the space that says the same goes on in it
        assert more["k"].tolist() == [1, 1, 3, 4, 5]


def test_pypet_consecutive_merge(make, merge):
    for i in range(4):
        make(f"{i}.h5", explore(x=[float(i), i + 0.5]))
        merge("all.h5", f"{i}.h5").close()
    with simkit.open("all.h5") as merged:
        assert merged["x"].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
        assert [merged.source(i) for i in (0, 3, 7)] == [("0.h5", 0), ("1.h5", 1), ("3.h5", 1)]
        assert len(merged.info.sessions) == 4


def test_pypet_merge_many(make, merge):
    files = [make(f"{i}.h5", explore(x=[float(i), i + 0.5])) for i in range(4)]
    merged = merge("all.h5", *files)
    assert merged["x"].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]


def test_pypet_merge_all_in_folder(make, study):
    for i in range(3):
        make(f"parts/{i}.h5", explore(x=[float(i)]))
    with simkit.merge("all.h5", *sorted(Path("parts").glob("*.h5"))) as merged:
        assert merged["x"].tolist() == [0.0, 1.0, 2.0]
        assert merged.source(2) == ("parts/2.h5", 0)


# Values of all kinds

KINDS = """
import numpy as np
from simkit import experiment

@experiment
def f(x=0, run=None, name="a", size={size}):
    big = np.full(({size}, 20), x * 1.5)
    if x == 4:
        raise ValueError("four")
    if x % 3 == 0:
        run.add(sometimes=x)
    if x == 5:
        run.note("five")
        run.note(ragged="odd")
    print("run", x)
    return {{
        "big": big, "text": "é" * x, "ragged": np.arange(x), "planes": np.ones((x % 3, 2)), "none": None,
        "items": [x, "a", None] * (x % 2), "mixed": x if x % 2 else float(x), "dict": {{"a": x, "b": [x]}},
        "other": {{f"k{{x}}": x}}, "when": np.datetime64("2020-01-01") + np.timedelta64(x, "D"),
        "flag": x > 3, "c": x * 1j,
        "group.inner": [float(x)] * x, "words": np.array(["a", "b" * (x + 1)]), "huge": 2 ** (60 + x),
    }}
"""


NAMES = ["big", "text", "ragged", "planes", "items", "mixed", "dict", "other", "when", "flag", "c", "x",
         "group.inner", "words", "huge", "sometimes"]  # fmt: skip


@pytest.mark.parametrize("size", [3, 600])  # many rows in a chunk, and a chunk for each row
def test_values_of_all_types_merge(make, merge, size):
    text = KINDS.format(size=size)
    parts = [[0, 1, 2], [7, 4, 5, 3, 12], [6], [8, 9, 10, 11]]
    for i, points in enumerate(parts):
        make(f"{i}.h5", explore(x=points), text)
    whole = make("whole.h5", explore(x=[x for part in parts for x in part]), text)
    merged = merge("m.h5", *(f"{i}.h5" for i in range(4)))
    with simkit.open(whole) as right:
        assert merged.status.tolist() == right.status.tolist()
        done = merged.where("status == 'done'"), right.where("status == 'done'")
        for name in NAMES:
            assert values(done[0], name) == values(done[1], name), name
        assert merged.names("parameters") == right.names("parameters")
        assert merged.notes(5) == ["five", "ragged: odd"] == right.notes(5)
        assert "ValueError: four" in merged.error(4)
        assert [merged.log(i) for i in range(13)] == [right.log(i) for i in range(13)]
        for run in merged.runs[:4]:
            assert run.none is None


def test_merging_a_merged_file_keeps_the_first_origins(make, merge):
    for i in range(3):
        make(f"{i}.h5", explore(x=[float(i)]))
    merge("two.h5", "0.h5", "1.h5")
    merged = merge("three.h5", "2.h5", "two.h5")
    assert [merged.source(i) for i in range(3)] == [("2.h5", 0), ("0.h5", 0), ("1.h5", 0)]
    assert len(merged.info.sessions) == 3


@pytest.mark.parametrize(
    ("target", "sources"),
    [
        ("all.h5", ["low.h5", "high.h5"]),
        ("all.h5", ["high.h5", "low.h5"]),
        ("all.h5", ["whole.h5", "low.h5"]),
        ("all.h5", ["low.h5", "middle.h5", "high.h5"]),
        ("low.h5", ["high.h5"]),  # grows
    ],
)
def test_exported_parts_of_a_trajectory_merge_again(make, merge, target, sources):
    make("whole.h5", product(x=[1.0, 2.0, 3.0, 4.0]))
    with simkit.open("whole.h5") as whole:
        for part, test in (("low", "x < 3"), ("middle", "x > 1 and x < 4"), ("high", "x > 2")):
            whole.where(test).export(f"{part}.h5")
        expected = sorted(whole["x"])
    merged = merge(target, *sources, duplicates="first")
    assert sorted(merged["x"]) == expected
    assert merged.source(len(merged) - 1).file == sources[-1 if "whole.h5" not in sources else 0]
    assert merged.source(0).run == 0


def test_other_code_is_remarked(make):
    make("a.h5", explore(x=[1.0]))
    make("b.h5", explore(x=[2.0]), F.replace("x * k", "k * x"))
    with pytest.warns(UserWarning, match=r"b\.h5 was made by other code than a\.h5: sim_a\.py::f changed"):
        merged = simkit.merge("m.h5", "a.h5", "b.h5")
    assert [("k * x" in str(session["code"])) for session in merged.info.sessions] == [False, True]
    merged.close()


def factory(k):
    """A function that carries a value."""

    def f(x):
        return {"z": x * k}

    return f


def test_files_whose_code_carried_other_values_say_so_and_are_not_continued(tmp_path):
    for name, k, x in (("a", 2, [1, 2]), ("b", 2, [3, 4]), ("c", 5, [5, 6])):
        simkit.run(factory(k), explore(x=x), output=tmp_path / f"{name}.h5").close()
    same, other = tmp_path / "same.h5", tmp_path / "other.h5"
    simkit.merge(same, tmp_path / "a.h5", tmp_path / "b.h5").close()
    told = r"the code of .*c\.h5 carried other values than that of .*same\.h5: k was 2, now 5"
    with pytest.warns(UserWarning, match=told):
        simkit.merge(other, same, tmp_path / "c.h5").close()
    every = explore(x=[1, 2, 3, 4, 5, 6])
    with simkit.run(factory(2), every, output=same) as traj:
        assert (len(traj), traj["z"].tolist()) == (6, [2, 4, 6, 8, 10, 12])
    with simkit.open(same) as traj:
        assert len(traj.info.sessions) == 3
    for k in (2, 5):  # neither made all of its runs
        with simkit.run(factory(k), every, output=other) as traj:
            assert traj["z"].tolist() == [x * k for x in range(1, 7)]
