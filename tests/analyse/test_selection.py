"""The runs that are looked at: found by condition, by number, by slice; with all verbs of a trajectory."""

from __future__ import annotations

import datetime
import enum
import pathlib

import numpy as np
import pandas as pd
import pytest

import simkit
from simkit import SimkitError, product

TWO_EXPERIMENTS = """
from simkit import experiment, product

@experiment
@product(x=[1, 2, 3, 4], y=[6.0, 7.0, 8.0])
def multiply(x, y, method="exact"):
    return {"z": x * y, "detail.half": x * y / 2}

@experiment
@product(name=["a", "b"])
def spell(name):
    return name * 3
"""


# Find runs: simple, complex, none


def test_find_runs(study):
    traj = study.run(
        "def f(x, y, method='exact'):\n    return {'z': x * y}", space=product(x=range(5), y=range(4))
    )
    with traj:
        assert traj.where("x == 3").index.tolist() == [12, 13, 14, 15]
        assert traj.where(lambda x: x == 3).index.tolist() == [12, 13, 14, 15]
        found = traj.where("(x > 2 and y < 2) or z in (2, 3)")
        expected = [4 * x + y for x in range(5) for y in range(4) if (x > 2 and y < 2) or x * y in (2, 3)]
        assert found.index.tolist() == expected
        assert traj.where(
            lambda x, y, method: x * y > 5 and method == "exact", status="done"
        ).index.tolist() == [4 * x + y for x in range(5) for y in range(4) if x * y > 5]
        nothing = traj.where("x > 2 and x < 2")
        assert len(nothing) == 0
        assert nothing.to_dataframe().shape == (0, 4)
        assert nothing["z"].tolist() == []
        assert [run.z for run in nothing] == []
        assert "0 runs" in repr(nothing)
        assert traj.where("run >= 18 and seconds >= 0").runs[-1].x == 4


def test_a_selection_has_all_verbs(study):
    traj = study.run("def f(x, y):\n    return {'z': x * y}", space=product(x=[1, 2, 3], y=[4, 5]).repeat(2))
    with traj:
        some = traj.where("x >= 2").where("y == 5")
        assert some.index.tolist() == [6, 7, 10, 11]
        assert (some["z"].tolist(), some.results.z.tolist()) == ([10, 10, 15, 15], [10, 10, 15, 15])
        assert some.parameters.y.tolist() == [5] * 4
        assert [run.x for run in some.runs[1:3]] == [2, 3]
        assert some.runs[-1].z == 15
        assert some.status.tolist() == ["done"] * 4
        assert some["trial"].tolist() == [0, 1, 0, 1]
        assert len(some.space) == 4
        assert some.explored == ("x", "y")
        assert some.describe("z").section == "results"
        assert some.grid("z").values.tolist() == [[[10, 10]], [[15, 15]]]
        assert some.to_xarray().z.dims == ("x", "y", "trial")
        table = some.to_dataframe()
        assert table.index.tolist() == [6, 7, 10, 11]
        assert table.sort_values("z", ascending=False).index[0] in (10, 11)
        assert table.groupby("x")["z"].mean().to_dict() == {2: 10.0, 3: 15.0}
        assert some.to_dataframe(info=True).groupby("status", observed=True).size().to_dict() == {"done": 4}
        assert some.log(6) == traj.log(6)


def test_runs_and_columns_mixed_up_and_numpy_s_ways(record):
    def f(x):
        return {"z": 2 * x, "half": 0.5} if x != 3 else {"z": 6}

    traj = record(f, product(x=[1, 2, 3, 4]))
    assert traj.where(traj["z"] > 2).index.tolist() == [1, 2, 3]
    assert traj.where(traj["half"] == 0.5, x=4).index.tolist() == [3]
    assert traj.where(traj["z"] > 2).where(np.array([True, False, True])).index.tolist() == [1, 3]
    assert [run.x for run in traj.runs[[0, -1]]] == [1, 4]
    assert [run.x for run in traj.runs[traj["z"] < 5]] == [1, 2]
    with pytest.raises(KeyError, match=r"3 is no name: .*runs are numbered, as in traj\.runs\[3\]"):
        traj[3]
    with pytest.raises(TypeError, match=r"runs\['z'\]: runs are numbered.*columns have names"):
        traj.runs["z"]
    with pytest.raises(simkit.SimkitError, match=r"shape \(2,\): give one boolean for each of the 4 runs"):
        traj.where(np.array([True, False]))
    with pytest.raises(simkit.SimkitError, match="array of int64"):
        traj.where(traj["z"])


# Several trajectories in one file; expand after reload


@pytest.fixture
def both(project):
    project.file("sim_both.py", TWO_EXPERIMENTS)
    project.ok("--output", "both.h5", "-n", "0")
    return project


def test_expand_after_reload(both):
    before = both.open("both.h5", "multiply")
    old = before.to_dataframe()
    assert before.grid("z").values.shape == (4, 3)
    before.close()
    source = TWO_EXPERIMENTS.replace("x=[1, 2, 3, 4]", "x=[1, 2, 3, 4, 5]").replace("8.0]", "8.0, 9.0]")
    both.file("sim_both.py", source)
    both.ok("--output", "both.h5", "-n", "0", "-k", "multiply")
    after = both.open("both.h5", "multiply")
    assert len(after) == 20
    assert after.to_dataframe().iloc[:12][["x", "y", "z"]].equals(old[["x", "y", "z"]])
    values, axes = after.grid("z")
    assert sorted(axes["x"].tolist()) == [1, 2, 3, 4, 5]
    assert values.tolist() == np.outer(axes["x"], axes["y"]).tolist()
    assert after.runs[12].y == 9.0


def test_a_trajectory_whose_points_come_from_a_sum_of_spaces(record):
    def f(x=1.0, y=10.0):
        return {"z": x + y}

    traj = record(f, product(x=[1.0, 2.0, 3.0]) + product(y=[20.0, 30.0]))
    data = traj.to_xarray()
    assert data.z.sel(x=1.0, y=30.0).item() == 31.0
    assert data.z.sel(x=3.0, y=10.0).item() == 13.0
    assert int(data.z.isnull().sum()) == 4


# What a failed run leaves


def test_columns_of_runs_that_all_lack_a_value_keep_their_type(record):
    def f(x):
        if x > 1:
            raise ValueError
        return {"z": 1.5, "n": 1, "v": np.zeros(3), "t": "a", "day": np.datetime64("2026-01-01")}

    failed = record(f, product(x=[1, 2, 3])).where(status="failed")
    assert failed["z"].dtype == np.float64
    assert np.isnan(failed["z"]).all()
    assert failed["v"].shape == (2, 3)
    assert np.isnat(failed["day"]).all()
    assert failed["n"].dtype == np.int64
    assert np.ma.getmaskarray(failed["n"]).all()
    table = failed.to_dataframe()
    assert table["z"].dtype == np.float64
    assert str(table["n"].dtype) == "Int64"
    assert table[["z", "n", "t", "day"]].isna().all().all()
    assert failed.to_xarray().z.isnull().all()


DONE = [0, 1, 2, 3, 5]


def test_where_a_value_is_absent_floats_are_nan_times_nat_and_the_rest_masked(many):
    even = [True, False, True, False, False, False]
    for name, missing in (("f", np.isnan), ("c", np.isnan), ("day", np.isnat)):
        assert not np.ma.isMaskedArray(many[name]), name
        assert missing(many[name]).tolist() == [not there for there in even], name
    assert many["f"][[0, 2]].tolist() == [0.5, 2.5]
    assert many["f"].dtype == np.float64
    assert many["c"].dtype == np.complex128
    assert many["c"][2] == 2 + 1j
    assert many["day"].dtype == np.dtype("datetime64[D]")
    assert many["day"][2] == np.datetime64("2026-01-03")
    assert many["wait"].dtype == np.dtype("timedelta64[s]")
    assert np.isnat(many["wait"]).tolist() == [True, False, True, False, True, False]
    for name in ("b", "text"):
        assert np.ma.isMaskedArray(many[name]), name
        assert np.ma.getmaskarray(many[name]).tolist() == [not there for there in even], name
    assert many["b"].dtype == bool
    assert many["b"].compressed().tolist() == [False, False]
    assert many["text"].compressed().tolist() == ["t0", "t2"]
    assert many["odd_int"].compressed().tolist() == [1, 3, 5]
    assert many["i32"].dtype == np.int32
    assert np.ma.getmaskarray(many["i32"]).tolist() == [False] * 4 + [True, False]
    assert many["i32"].compressed().tolist() == DONE


# where


@pytest.mark.parametrize("wanted", [slice(1, 2), lambda x: x > 1, max])
def test_what_is_no_value_can_be_no_runs(typed, wanted):
    with pytest.raises(
        SimkitError, match=r"^where: x=.* is no value: give one or several, or a condition, as where"
    ):
        typed.where(x=wanted)


def test_where_by_text_function_and_keywords_chained(typed, many):
    chosen = typed.where("x > 0 and name == 'b'")
    assert isinstance(chosen, simkit.Trajectory)
    assert len(chosen) == 2
    assert chosen.index.tolist() == [3, 5]
    assert chosen["z"].tolist() == [2.0, 4.0]
    assert chosen.runs[0].x == 1.0
    assert [run.z for run in chosen] == [2.0, 4.0]
    assert chosen.parameters.gain == 2.0
    assert chosen["gain"].tolist() == [2.0, 2.0]
    assert chosen.where("x == 2").index.tolist() == [5]
    assert typed.where(lambda x, name: x < 2 and name == "a").index.tolist() == [0, 2]
    assert typed.where(lambda z, gain: z == gain).index.tolist() == [2, 3]
    assert typed.where(x=1.0, name="b").index.tolist() == [3]
    assert typed.where("n in (0, 2)", name="a").index.tolist() == [0, 4]
    assert typed.where(**{"neuron.N": 100}).index.tolist() == list(range(6))
    assert typed.where("neuron.N > 100").index.tolist() == []
    assert len(typed.where("x > 99")) == 0
    assert typed.where("x > 99")["z"].tolist() == []
    assert typed.where("0 < x <= 1 and not name == 'a'").index.tolist() == [3]
    assert typed.where("(x == 0) | (x == 2)").index.tolist() == [0, 1, 4, 5]
    assert typed.where("run >= 4").index.tolist() == [4, 5]
    assert typed.where("seconds >= 0").index.tolist() == list(range(6))

    assert many.where("status == 'done'").index.tolist() == DONE
    assert many.where(status="failed").index.tolist() == [4]
    assert many.where("f > 0").index.tolist() == [0, 2]  # a run that lacks the value does not match
    assert many.where("not f > 1").index.tolist() == [0]
    assert many.where(lambda f: f < 2).index.tolist() == [0]
    assert many.where(odd_int=3).index.tolist() == [3]
    assert many.where("text == 't2'").index.tolist() == [2]
    assert many.where(mixed="x").index.tolist() == [2]
    assert many.where("odd_int > 1")["odd_int"].tolist() == [3, 5]
    assert many.where("i != 4")["i32"].tolist() == DONE


@pytest.mark.parametrize(
    ("test", "runs"),
    [
        ("z > 15 or status == 'failed'", [1, 2]),
        ("(x == 0) | (late == 2)", [0, 1]),
        ("not (late == 2 and x == 2)", [0, 1]),
        ("not (late == 2 and x == 1)", [0, 2]),
        ("(late == 2 or z == 10) and status == 'done'", [0, 1]),
        ("late == 2 or not late == 2", [1]),
        ("~(late == 2) | ~flag", [0]),
        ("1 < late < 9 or x == 2", [1, 2]),
        ("isnan(z) or x == 0", [0]),
        ("x == 0 or (z + late) / late > 2", [0, 1]),
        ("True or late == 2", [0, 1, 2]),
        ("flag", []),
        ("not flag", [0]),
    ],
)
def test_what_a_run_lacks_decides_nothing_where_the_rest_decides(record, test, runs):
    def f(x):
        if x == 2:
            raise ValueError
        return {"z": 10.0 * (x + 1), "flag": False} if x == 0 else {"z": 20.0, "late": 2}

    assert record(f, product(x=[0, 1, 2])).where(test).index.tolist() == runs


def test_where_by_trial(whole_study):
    traj = whole_study.open("columns-001")
    assert traj["trial"].tolist() == [0, 1, 0, 1]
    assert traj.where("trial == 1").index.tolist() == [1, 3]
    assert traj.where(trial=0, x=2).index.tolist() == [2]


def test_where_with_unknown_names_or_nonsense(typed):
    with pytest.raises(simkit.SimkitError, match=r"'spead'.*did you mean 'speed'") as caught:
        typed.where("spead > 1")
    assert "available: " in str(caught.value)
    with pytest.raises(simkit.SimkitError, match=r"unknown name 'spead'; did you mean 'speed'"):
        typed.where(spead=1)
    with pytest.raises(simkit.SimkitError, match=r"'spead'"):
        typed.where(lambda spead: True)
    for nonsense in ("x >", "__import__('os')", "x.real", "[y for y in x]", "open('f')"):
        with pytest.raises(simkit.SimkitError) as caught:
            typed.where(nonsense)
        assert nonsense in str(caught.value)


def test_where_by_values_knows_lists_nan_and_times(record):
    trajectory = record(
        lambda x, v, day, pair: {"n": int(v[0]), "nothing": None},
        simkit.explore(
            x=[0.5, float("nan"), 0.6, 0.7],
            v=np.arange(8.0).reshape(4, 2),
            day=np.array(["2020-01-01", "NaT", "2020-01-03", "2020-01-04"], "M8[D]"),
            pair=[(1, 2), (3, 4), (1, 2, 3), "one"],
        ),
    )
    for wanted, runs in [
        ({"x": [0.5, 0.6]}, [0, 2]),
        ({"x": (0.7,)}, [3]),
        ({"x": np.array([0.5, np.nan])}, [0, 1]),
        ({"x": pd.Series([0.6])}, [2]),
        ({"x": float("nan")}, [1]),
        ({"x": []}, []),
        ({"n": range(3)}, [0, 1]),
        ({"n": {2, 6}}, [1, 3]),
        ({"n": 2.0}, [1]),
        ({"v": [2.0, 3.0]}, [1]),
        ({"v": [[0, 1], [4, 5]]}, [0, 2]),
        ({"day": "2020-01-03"}, [2]),
        ({"day": ["2020-01-03", np.datetime64("2020-01-01")]}, [0, 2]),
        ({"day": np.datetime64("NaT", "D")}, [1]),
        ({"day": "NaT"}, [1]),
        ({"pair": (1, 2)}, [0]),
        ({"pair": [1, 2]}, [0]),
        ({"pair": [(1, 2), "one"]}, [0, 3]),
        ({"run": [0, 3]}, [0, 3]),
        ({"status": ["done", "failed"]}, [0, 1, 2, 3]),
    ]:
        assert trajectory.where(**wanted).index.tolist() == runs, wanted


def test_pandas_na_answers_no_comparison(record):
    trajectory = record(
        lambda x, word, pair, kind: {"double": pd.NA if x is pd.NA else 2 * x},
        simkit.explore(
            x=[1, pd.NA, 3],
            word=["a", "b", pd.NA],
            pair=[[1, pd.NA], [1, 2], pd.NA],
            kind=[True, pd.NA, False],
        ),
    )
    for wanted, runs in [
        ({"x": 1}, [0]),
        ({"x": [3, pd.NA]}, [1, 2]),
        ({"x": pd.NA}, [1]),
        ({"x": float("nan")}, [1]),
        ({"double": 6}, [2]),
        ({"word": "a"}, [0]),
        ({"word": pd.NA}, [2]),
        ({"pair": [1, 2]}, [1]),
        ({"kind": False}, [2]),
    ]:
        assert trajectory.where(**wanted).index.tolist() == runs, wanted
    for test, runs in [
        ("x == 1", [0]),
        ("x != 1", [1, 2]),
        ("x > 1", [2]),
        ("x in [1, 3]", [0, 2]),
        ("double + 1 < 5", [0]),
        ("word == 'a'", [0]),
        ("isnan(x)", [1]),
        ("near(double, 6)", [2]),
        ("not (x > 1)", [0, 1]),
    ]:
        assert trajectory.where(test).index.tolist() == runs, test


class Kind(enum.Enum):
    A = 1
    B = 2


ZONE = datetime.timezone(datetime.timedelta(hours=2))


@pytest.fixture
def kinds(record):
    """Two runs of each kind of value; the second one's are missing where there is a missing one."""
    return record(
        lambda kind, raw, day, noon, big, pair: {"v": np.ones(2)},
        simkit.explore(
            kind=[Kind.A, Kind.B],
            raw=[b"a", b"b"],
            day=np.array(["2020-01-01", "NaT"], "M8[D]"),
            noon=[datetime.datetime(2020, 1, day, 12, tzinfo=ZONE) for day in (1, 2)],
            big=[2**53, 2**53 + 1],
            pair=[(1, 2), (3, 4)],
        ),
    )


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"kind": 1}, "1 is a number, and the values here are Kind"),
        ({"raw": "a"}, "'a' is text, and the values here are bytes"),
        ({"big": {"a": 1}}, "{'a': 1} is a dictionary, and the values here are int64"),
        ({"v": 1.0}, "1.0 is one value, and the values here are arrays of shape (2,)"),
        ({"status": None}, "no status is called None"),
        ({"day": "2020-01-01T02:00+02:00"}, "has a time zone, and the values here have none"),
        ({"day": datetime.datetime(2020, 1, 1, 2, tzinfo=ZONE)}, "has a time zone"),
        ("day == 'NaT'", "no time is equal to NaT: write isnan(x)"),
        ("day > '2020-01-01T02:00+02:00'", "has a time zone, and the values here have none"),
        ("kind == 1", "1 is a number, and the values here are Kind"),
    ],
)
def test_what_would_silently_find_nothing_or_others_is_an_error(kinds, wanted, message):
    with pytest.raises(SimkitError) as error:
        kinds.where(wanted) if isinstance(wanted, str) else kinds.where(**wanted)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("wanted", "runs"),
    [
        ({"big": 2.0**53}, [0]),
        (f"big == {2.0**53}", [0]),
        ({"noon": datetime.datetime(2020, 1, 1, 12)}, [0]),
        ({"noon": datetime.datetime(2020, 1, 1, 10, tzinfo=datetime.UTC)}, [0]),
        ({"noon": "2020-01-02T12:00"}, [1]),
        ({"day": datetime.datetime(2020, 1, 1)}, [0]),
        ("isnan(day)", [1]),
        ({"kind": Kind.B}, [1]),
        ({"raw": [b"b"]}, [1]),
        ({"v": [1.0, 1.0]}, [0, 1]),
        ({"status": []}, []),
    ],
)
def test_large_numbers_and_times_are_found_as_python_compares_them(kinds, wanted, runs):
    found = kinds.where(wanted) if isinstance(wanted, str) else kinds.where(**wanted)
    assert found.index.tolist() == runs


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"n": "100"}, "where: n='100': '100' is text, and the values here are int64"),
        ({"x": ["0.5", 1.0]}, "'0.5' is text"),
        ({"x": None}, "None is nothing, and the values here are float64"),
        (
            {"status": "don"},
            "where: no status is called 'don'; did you mean 'done'?\n    there are: pending, done",
        ),
        ({"status": ["done", "fail"]}, "no status is called 'fail'; did you mean 'failed'?"),
        ({"name": 3}, "3 is a number, and the values here are str"),
    ],
)
def test_where_by_a_value_that_no_run_could_have_is_an_error(typed, wanted, message):
    with pytest.raises(SimkitError) as error:
        typed.where(**wanted)
    assert message in str(error.value)


def test_where_says_which_words_a_status_may_be(typed):
    for test in ("status == 'don'", "status in ['done', 'don']"):
        with pytest.raises(SimkitError, match="no status is called 'don'; did you mean 'done'"):
            typed.where(test)
    with pytest.raises(
        SimkitError, match=r"the function answers 0.0 \(a float64\), not true or false: compare it"
    ):
        typed.where(lambda z: z.max())


def test_where_takes_booleans_in_any_sequence(typed):
    table = typed.to_dataframe()
    assert typed.where(table["z"] > 2).index.tolist() == [4, 5]
    assert typed.where([True, False, False, False, False, True]).index.tolist() == [0, 5]
    with pytest.raises(SimkitError, match="give one boolean for each of the 6 runs"):
        typed.where([0, 5])


def test_where_by_a_float_that_is_only_nearly_there_says_so(record):
    trajectory = record(lambda x: x, simkit.product(x=[0.1 + 0.2, 0.5]))
    with pytest.warns(
        UserWarning, match=r"no run has x = 0\.3, but 0\.30000000000000004 is there: where"
    ) as caught:
        assert not len(trajectory.where(x=0.3))
    assert caught[0].filename == __file__
    condition = str(caught[0].message).split('"')[1]
    assert trajectory.where(condition).index.tolist() == [0]
    assert trajectory.where(x=0.1 + 0.2).index.tolist() == [0]


@pytest.fixture
def holes(record):
    values = [1, True, 1.0, "x", None, np.int8(2), np.True_, 0]

    def f(i):
        sometimes = {"word": "a", "path": pathlib.Path("a"), "rows": [1] * i} if i % 2 else {}
        flag = {"flag": None if i == 2 else bool(i % 2)}
        return {"mixed": values[i], "whole": i % 2, "maybe": "b" if i != 2 else None, **flag, **sometimes}

    return record(f, product(i=range(len(values))))


@pytest.mark.parametrize("name", ["word", "path", "rows"])
def test_none_is_not_searched_for_where_values_are_absent(holes, name):
    with pytest.raises(SimkitError, match="None is nothing, and the values here are"):
        holes.where(**{name: None})
    with pytest.raises(
        SimkitError, match=f"no value of {name} is None; what is absent has no value: no condition"
    ):
        holes.where(f"run >= 0 and {name} != None")
    assert holes.where(maybe=None).index.tolist() == [2]
    assert holes.where("maybe == None").index.tolist() == [2]


@pytest.mark.parametrize(
    ("name", "wanted", "runs"),
    [
        ("mixed", 1, [0, 2]),
        ("mixed", 1.0, [0, 2]),
        ("mixed", True, [1, 6]),
        ("mixed", False, []),
        ("mixed", 0, [7]),
        ("mixed", [True, "x", 2], [1, 3, 5, 6]),
        ("whole", True, [1, 3, 5, 7]),  # as NumPy has it where there is nothing to take it for
        ("flag", 1, [1, 3, 5, 7]),
    ],
)
def test_among_mixed_values_true_is_no_number(holes, name, wanted, runs):
    assert holes.where(**{name: wanted}).index.tolist() == runs
    sign = "in" if isinstance(wanted, list) else "=="
    assert holes.where(f"{name} {sign} {wanted!r}").index.tolist() == runs


def test_among_mixed_points_true_is_no_number():
    space = product(m=[1, True, "a", 1.0])
    assert [point["m"] for point in space.where("m == True")] == [True]
    assert [point["m"] for point in space.where("m != 1")] == [True, "a"]
