"""Runs at coordinates, near them, the best, the first; names of columns."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import simkit
from simkit import SimkitError, explore, product


@pytest.fixture
def grid(record):
    def scored(p, k, when):
        if p > 0.9:
            raise ValueError("too much")
        return {"score": (p - 0.35) ** 2 + k, "nested": {"a": k, "deep": {"b": 2 * p}}, "text": f"t{k}"}

    days = [np.datetime64("2026-01-01"), np.datetime64("2026-02-01")]
    return record(scored, product(p=[0.1, 0.1 + 0.2, 0.5, 1.0], k=[1, 2], when=days))


def test_sel_takes_values_lists_and_ranges(grid):
    assert grid.sel(p=0.5, k=2)["run"].tolist() == [10, 11]
    assert grid.sel({"p": 0.5}, k=2)["run"].tolist() == [10, 11]
    assert sorted(set(grid.sel(p=[0.1, 0.5])["p"].tolist())) == [0.1, 0.5]
    assert sorted(set(grid.sel(p=slice(0.2, 0.5))["p"].tolist())) == [0.1 + 0.2, 0.5]
    assert len(grid.sel(p=slice(None, 0.1))) == 4
    assert grid.sel(status="failed")["p"].tolist() == [1.0] * 4
    assert grid.sel({"nested.a": 2})["k"].tolist() == [2] * 6
    assert len(grid.sel()) == 16


@pytest.mark.parametrize(
    ("method", "wanted", "found"),
    [
        ("nearest", 0.42, 0.5), ("nearest", 0.31, 0.1 + 0.2), ("nearest", -5, 0.1), ("nearest", 7, 1.0),
        ("pad", 0.49, 0.1 + 0.2), ("ffill", 0.5, 0.5), ("backfill", 0.31, 0.5), ("bfill", 0.05, 0.1),
    ],
)  # fmt: skip
def test_sel_takes_the_nearest_the_next_lower_or_the_next_higher(grid, method, wanted, found):
    assert set(grid.sel(p=wanted, method=method)["p"].tolist()) == {found}
    xarray_way = grid.where("status == 'done' or True").to_xarray()
    assert float(xarray_way.sel(p=wanted, method=method)["p"]) == found


def test_sel_nearest_of_times_and_of_several(grid):
    near = grid.sel(when=np.datetime64("2026-01-20"), method="nearest")
    assert set(near["when"].astype(str).tolist()) == {"2026-02-01"}
    assert set(grid.sel(p=[0.12, 0.9], method="nearest")["p"].tolist()) == {0.1, 1.0}
    assert set(grid.sel(p=0.12, method="nearest", tolerance=0.05)["p"].tolist()) == {0.1}


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"p": 0.3}, KeyError, "no run has p = 0.3; the nearest that is there is 0.30000000000000004: method="),
        ({"p": 0.42}, KeyError, "no run has p = 0.42; the nearest that is there is 0.5"),
        ({"q": 0.3}, KeyError, "has no 'q'"),
        ({"text": "t9"}, KeyError, "no run has text = 't9'"),
        ({"p": 0.2, "method": "nearest", "tolerance": 0.01}, KeyError, "no run has p within 0.01 of 0.2"),
        ({"p": 0.01, "method": "pad"}, KeyError, "no run has p = 0.01 or less; the nearest that is there is 0.1"),
        ({"p": 0.2, "method": "close"}, SimkitError, "method='close': choose 'nearest', 'pad' or 'backfill'"),
        ({"p": 0.2, "tolerance": 1}, SimkitError, "tolerance= is for method="),
        ({"text": "t2", "method": "nearest"}, SimkitError, "text has no value nearest to 't2'"),
        ({"p": slice(0, 1, 2)}, SimkitError, "a range has two ends, and no step"),
        ({"text": slice(0, 1)}, SimkitError, "text has no order in which 0 to 1 is a range"),
    ],
)  # fmt: skip
def test_sel_says_what_is_wrong_and_what_there_is(grid, options, kind, words):
    with pytest.raises(kind) as error:
        grid.sel(**options)
    assert words in str(error.value)


def test_the_best_run_is_the_highest_or_the_lowest_that_has_a_number(grid):
    assert (grid.best("score").p, grid.best("score").k) == (0.1, 2)
    assert (grid.best("score", lowest=True).p, grid.best("score", lowest=True).k) == (0.1 + 0.2, 1)
    assert grid.where(k=1).best("score").k == 1
    assert grid.best("nested.deep.b").p == 0.5
    assert "<run 4>" in repr(grid.best("score", lowest=True))
    with pytest.raises(SimkitError, match=r"traj\.best\('score'\): none of these 4 runs has a number there"):
        grid.where(p=1.0).best("score")
    with pytest.raises(SimkitError, match="text is no real number in every run, so it can't be compared"):
        grid.best("text")
    with pytest.raises(KeyError, match="did you mean 'score'"):
        grid.best("scores")


def test_columns_head_and_a_list_of_names(grid):
    assert grid.columns == ["p", "k", "when", "score", "nested", "text"]
    assert all(len(grid[name]) == 16 for name in grid.columns)
    pd.testing.assert_frame_equal(grid.head(3), grid.to_dataframe().head(3))
    assert len(grid.head()) == 5
    assert grid.head(-14).index.tolist() == [0, 1]
    assert grid.where(k=2).head(2).index.tolist() == [2, 3]
    pd.testing.assert_frame_equal(grid[["score", "p"]], grid.to_dataframe(["score", "p"]))
    with pytest.raises(KeyError, match="has no 'scores'"):
        grid[["scores"]]


def test_a_run_is_a_dictionary_of_what_it_has(grid):
    values = {"p": 0.1, "k": 1, "when": np.datetime64("2026-01-01")}
    results = {"score": 1.0625, "nested": {"a": 1, "deep": {"b": 0.2}}, "text": "t1"}
    assert grid.runs[0].to_dict() == {**values, **results, "score": grid["score"][0]}
    assert dict(grid.runs[0]) == grid.runs[0].to_dict()
    assert list(grid.runs[12].to_dict()) == ["p", "k", "when"]  # it failed
    assert dict(grid.runs[12]) == grid.runs[12].to_dict()
    assert dir(grid.runs[0]) == sorted(grid.columns)
    assert "to_dict" not in grid.runs[0]


def test_names_of_groups_are_full_from_where_one_stands_and_the_users_names_come_first(record):
    traj = record(lambda: {"a.b": 1, "a.c": 2, "keys": 5})
    assert traj.runs[0].to_dict() == {"a.b": 1, "a.c": 2, "keys": 5}
    assert traj.runs[0].a.to_dict() == dict(traj.runs[0].a) == {"b": 1, "c": 2}
    assert traj.runs[0].keys == 5
    assert traj.results.to_dict()["a.b"].tolist() == [1]
    assert traj.parameters.to_dict() == {}


def test_runs_have_numbers_statuses_and_trials(grid, record):
    assert grid.runs[3:5].index.tolist() == [3, 4]
    assert grid.where(p=1.0).runs.index.tolist() == [12, 13, 14, 15]
    assert grid.runs[11:13].status.tolist() == ["done", "failed"]
    assert (grid.runs[:2].seconds >= 0).all()
    assert grid.runs[:2].trial.tolist() == [0, 0]
    numbered = list(grid.where(p=1.0).runs.items())
    assert [(number, run.p) for number, run in numbered] == [(n, 1.0) for n in (12, 13, 14, 15)]
    trials = record(lambda x: x, product(x=[1, 2]).repeat(2))
    assert trials.runs[1:].trial.tolist() == [1, 0, 1]


def test_what_a_run_that_is_not_done_lacks_says_its_status(grid, record):
    for name in ("score", "nested", "nested.a", "never"):
        with pytest.raises(
            KeyError, match=rf"run 12 has no '{name.partition('.')[0]}.*its status is failed; traj.error"
        ):
            grid.runs[12][name]

    def fails(x):
        raise ValueError

    all_failed = record(fails, explore(x=[1]))
    with pytest.raises(
        AttributeError, match=r"run 0 has no 'z': its status is failed; traj\.error\(0\) tells why"
    ):
        assert all_failed.runs[0].z
    with pytest.raises(KeyError, match=r"has no 'z': no run is done \(1 failed\)"):
        all_failed["z"]


def test_conditions_name_parts_as_columns_do(grid):
    assert grid.where("nested.a == 2 and nested.deep.b < 0.5")["run"].tolist() == [2, 3]
    assert grid.where({"nested.a": 2})["run"].tolist() == grid.where("nested.a == 2")["run"].tolist()
    with pytest.raises(SimkitError, match=r"unknown name 'nested\.x'"):
        grid.where("nested.x == 2")
    with pytest.raises(SimkitError, match=r"unknown name 'nested\.x'"):
        grid.where({"nested.x": 2})


def test_near_is_equal_but_for_rounding_or_within_a_distance(grid):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(grid.where("near(p, 0.3)")["p"].tolist()) == {0.1 + 0.2}
        assert set(grid.where("near(p, 0.4, 0.11)")["p"].tolist()) == {0.1 + 0.2, 0.5}
        assert not len(grid.where("near(score, 100)"))
        assert len(grid.where("not near(p, 0.3)")) == 12
    with pytest.warns(
        UserWarning, match=r'no run has p = 0.3, but 0.30000000000000004 is there: where\("near\(p, 0.3\)"'
    ):
        assert not len(grid.where("p == 0.3"))
    space = product(x=np.linspace(-1, 1, 21)).where("near(x, 0) or near(x, 0.3)")
    assert space.columns(0, 2)["x"] == pytest.approx([0, 0.3])


def test_the_summary_is_printed_with_its_values(grid):
    path = grid.path
    grid.close()
    with simkit.open(path, mode="r+") as traj:
        traj.add({"rate.mean": 2.5, "rate.all": np.arange(3), "big": np.zeros(100)})
        lines = repr(traj.summary).splitlines()
    assert lines == [
        "<summary>",
        "  rate.mean  = 2.5",
        "  rate.all   = array([0, 1, 2])",
        "  big        array float64 (100,)",
    ]
