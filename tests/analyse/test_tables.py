"""Runs as a pandas table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import simkit

# Tables


def test_to_dataframe(typed):
    table = typed.to_dataframe()
    assert table.columns.tolist() == ["x", "name", "speed", "z", "n", "status", "seconds"]
    assert table.index.name == "run"
    assert table.index.tolist() == list(range(6))
    assert table["x"].tolist() == [0, 0, 1, 1, 2, 2]
    assert table["z"].dtype == np.float64
    assert table["n"].dtype == np.int64
    assert isinstance(table["name"].dtype, pd.StringDtype)
    assert table["status"].tolist() == ["done"] * 6
    assert (table["seconds"] >= 0).all()
    assert table.groupby("name")["z"].sum().to_dict() == {"a": 6.0, "b": 6.0}
    named = typed.to_dataframe(["z", "neuron.tau"])
    assert named.columns.tolist() == ["z", "neuron.tau", "status", "seconds"]
    assert named["neuron.tau"].tolist() == [20.0] * 6
    assert typed.to_dataframe(names=["dt"])["dt"].tolist() == [0.2] * 6
    some = typed.where("x == 2").to_dataframe()
    assert some.index.tolist() == [4, 5]
    assert some["z"].tolist() == [4.0, 4.0]
    with pytest.raises(KeyError, match=r"did you mean 'speed'\?"):
        typed.to_dataframe(["spead"])


def test_to_dataframe_of_missing_values_has_nullable_types(many):
    table = many.to_dataframe()
    assert "vector" not in table
    assert "ragged" not in table
    assert table["f"].dtype == np.float64
    assert table["f"].isna().tolist() == [False, True, False, True, True, True]
    assert str(table["odd_int"].dtype) == "Int64"
    assert table["odd_int"].isna().tolist() == [True, False, True, False, True, False]
    assert table["odd_int"].dropna().tolist() == [1, 3, 5]
    assert str(table["i32"].dtype) in ("Int32", "Int64")
    assert str(table["b"].dtype) == "boolean"
    assert table["b"].isna().tolist() == [False, True, False, True, True, True]
    assert table["day"].dtype.kind == "M"
    assert table["day"].isna().sum() == 4
    assert table["wait"].dtype.kind == "m"
    assert table["text"].isna().tolist() == [False, True, False, True, True, True]
    assert table["text"].dropna().tolist() == ["t0", "t2"]
    assert table["status"].tolist() == ["done"] * 4 + ["failed", "done"]
    wide = many.to_dataframe(["ragged", "vector", "nested"])
    assert wide["ragged"][3].tolist() == [0, 1, 2]
    assert wide["vector"][2].tolist() == [2.0, 2.0, 2.0]
    assert wide["nested"][2] == {"a": 2, "b": {"c": 4.0}}
    assert wide["ragged"].isna().tolist() == [False] * 4 + [True, False]


def test_a_user_name_equal_to_a_run_column_gets_that_column_prefixed(whole_study):
    traj = whole_study.open("columns-001")
    table = traj.to_dataframe()
    assert table.columns.tolist() == ["x", "trial", "status", "seconds", "run_status", "run_seconds"]
    assert table["status"].tolist() == ["s1", "s1", "s2", "s2"]
    assert table["run_status"].tolist() == ["done"] * 4
    assert table["seconds"].tolist() == [-1, -1, -2, -2]
    assert (table["run_seconds"] >= 0).all()
    assert traj["status"].tolist() == ["s1", "s1", "s2", "s2"]
    assert traj.status.tolist() == ["done"] * 4
    assert traj.runs[2].status == "s2"
    assert traj.where("status == 's2'").index.tolist() == [2, 3]


def test_a_selection_without_runs_has_its_columns(record):
    trajectory = record(lambda x, w: {"text": w * 2, "v": [x, x]}, simkit.product(x=[1.0, 2.0], w=["a", "b"]))
    frame = trajectory.where("x > 5").to_dataframe(["x", "w", "text", "v"])
    assert list(frame.columns) == ["x", "w", "text", "v", "status", "seconds"]
    assert len(frame) == 0
