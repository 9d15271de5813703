"""Runs as a pandas table."""

from __future__ import annotations

import datetime
import decimal
import enum
import tracemalloc
from pathlib import Path

import attrs
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import simkit
from simkit import product

# Tables


def test_to_dataframe(typed):
    table = typed.to_dataframe()
    assert table.columns.tolist() == ["x", "name", "neuron.N", "neuron.tau", "dt", "gain", "speed", "z", "n"]
    assert table.index.name == "run"
    assert table.index.tolist() == list(range(6))
    assert table["x"].tolist() == [0, 0, 1, 1, 2, 2]
    assert table["z"].dtype == np.float64
    assert table["n"].dtype == np.int64
    assert isinstance(table["name"].dtype, pd.StringDtype)
    assert table["gain"].tolist() == [2.0] * 6
    assert table.groupby("x").mean(numeric_only=True)["z"].tolist() == [0.0, 2.0, 4.0]
    assert table.groupby("name")["z"].sum().to_dict() == {"a": 6.0, "b": 6.0}
    assert table.attrs == {"units": {"x": "cm", "neuron.tau": "ms", "dt": "ms", "z": "mV"}, "left_out": {}}
    named = typed.to_dataframe(["z", "neuron.tau"])
    assert named.columns.tolist() == ["z", "neuron.tau"]
    assert named["neuron.tau"].tolist() == [20.0] * 6
    assert typed.to_dataframe(names=["dt"])["dt"].tolist() == [0.2] * 6
    some = typed.where("x == 2").to_dataframe()
    assert some.index.tolist() == [4, 5]
    assert some["z"].tolist() == [4.0, 4.0]
    with pytest.raises(KeyError, match=r"did you mean 'speed'\?"):
        typed.to_dataframe(["spead"])


def test_a_status_that_is_asked_for_by_name_is_words_without_a_text_for_each_run(typed, tmp_path):
    named = typed.to_dataframe(["x", "status"])
    assert named["status"].equals(pd.Series(typed["status"], index=named.index))
    some = typed.where("status == 'done' and x == 1")
    assert some.to_dataframe("status")["status"].tolist() == ["done", "done"]
    runs = 20_000
    with simkit.run(lambda x: x, simkit.product(x=range(runs)), output=tmp_path / "f.h5") as traj:
        traj.to_dataframe(["x", "status"])
        tracemalloc.start()
        try:
            table = traj.to_dataframe(["status"])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert table["status"].tolist() == ["done"] * runs
    assert peak < 28 * runs  # bytes: NumPy's texts of seven letters alone are as many


def test_to_dataframe_of_missing_values_has_nullable_types(many):
    table = many.to_dataframe(info=True)
    lacking = ("table", "vector", "ints", "ragged", "nested")
    assert not set(lacking) & set(table.columns)
    assert set(lacking) <= set(table.attrs["left_out"])
    assert table.attrs["left_out"]["vector"] == "float64 (3,)"
    assert table["weights"].tolist() == [(1.0, 2.0)] * 6
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
    assert traj.to_dataframe().columns.tolist() == ["x", "trial", "status", "seconds"]
    table = traj.to_dataframe(info=True)
    assert table.columns.tolist()[:6] == ["x", "trial", "status", "seconds", "run_status", "run_seconds"]
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
    assert list(frame.columns) == ["x", "w", "text", "v"]
    assert len(frame) == 0
    assert list(trajectory.where("x > 5").to_dataframe(info=True))[:5] == [
        "x",
        "w",
        "text",
        "status",
        "seconds",
    ]


@attrs.frozen
class Setup:
    name: str
    rate: float


class Kind(enum.Enum):
    A = 1
    B = 2


def test_explored_names_are_in_the_table_whatever_they_are(record):
    axes = {
        "pair": [(1, 2), (3, 4)],
        "array": np.arange(4.0).reshape(2, 2),
        "table": [{"a": 1}, {"b": [2]}],
        "setup": [Setup("one", 1.0), Setup("two", 2.0)],
        "mixed": [1, "one"],
        "zoned": pd.date_range("2026-10-25", periods=2, freq="h", tz="Europe/Berlin"),
        "kind": [Kind.A, Kind.B],
        "maybe": [None, 3],
        "path": [Path("a"), Path("b")],
        "ragged": [np.arange(1), np.arange(2)],
    }
    names = list(axes)
    trajectory = record(eval(f"lambda {', '.join(names)}: {{'z': 1.0}}"), simkit.explore(axes))
    table = trajectory.to_dataframe()
    assert table.columns.tolist() == [*names, "z"]
    assert table["pair"].tolist() == [(1, 2), (3, 4)]
    assert [row.tolist() for row in table["array"]] == [[0, 1], [2, 3]]
    assert table["table"].tolist() == [{"a": 1}, {"b": [2]}]
    assert [value.name for value in table["setup"]] == ["one", "two"]
    assert table["mixed"].tolist() == [1, "one"]
    assert str(table["zoned"].dtype) == "datetime64[us, Europe/Berlin]"
    assert table["zoned"].tolist() == list(axes["zoned"])
    assert table["maybe"].tolist() == [None, 3]
    assert [len(row) for row in table["ragged"]] == [1, 2]
    assert trajectory.where(run=1).to_dataframe()["pair"].tolist() == [(3, 4)]


def test_results_that_are_values_are_in_the_table_and_arrays_named_as_left_out(record):
    def f(x):
        return {
            "pair": (x, x + 1),
            "when": datetime.datetime(2026, 1, 1, x, tzinfo=datetime.UTC),
            "kind": Kind(1 + x % 2),
            "odd": x if x % 2 else None,
            "date": datetime.date(2026, 1, 1 + x),
            "path": Path("a"),
            "exact": decimal.Decimal(x),
            "raw": b"ab",
            "array": np.zeros(3),
            "list": [x] * (x + 1),
            "frame": pd.DataFrame({"a": [x]}),
            "inner": {"a": x},
        }

    table = record(f, simkit.product(x=[0, 1, 2])).to_dataframe()
    assert set(table.columns) == {"x", "pair", "when", "kind", "odd", "date", "path", "exact", "raw"}
    assert table["pair"].tolist() == [(0, 1), (1, 2), (2, 3)]
    assert table["when"].dt.hour.tolist() == [0, 1, 2]
    assert sorted(table.attrs["left_out"]) == ["array", "frame", "inner", "list"]
    assert table.attrs["left_out"]["frame"] == "pandas.DataFrame"


def test_means_over_groups_need_no_selection_of_columns(record):
    def f(p, gain=2.0, deep=True):
        return {"z": p * gain, "n": int(p)}

    trajectory = record(f, simkit.product(p=[1.0, 2.0]).repeat(3))
    means = trajectory.to_dataframe().groupby("p").mean()
    assert means.columns.tolist() == ["trial", "gain", "deep", "z", "n"]
    assert means["z"].tolist() == [2.0, 4.0]
    assert means["gain"].tolist() == [2.0, 2.0]


def test_info_adds_what_is_known_of_each_run(record):
    def f(x, seed, status="mine", worker=1):
        if x == 2:
            raise ValueError(x)
        return {"z": 1.0}

    with pytest.warns(UserWarning, match="run 1 failed: ValueError: 2"):
        trajectory = record(f, simkit.product(x=[1, 2]))
    table = trajectory.to_dataframe(info=True)
    assert table.columns.tolist()[:4] == ["x", "status", "worker", "z"]
    assert table["run_status"].tolist() == ["done", "failed"]
    assert table["status"].tolist() == ["mine", "mine"]
    assert {"seconds", "started", "run_worker", "seed"} < set(table.columns)
    assert str(table["started"].dtype.tz) == "UTC"
    assert (table["started"] > pd.Timestamp("2020-01-01", tz="UTC")).all()
    named = trajectory.to_dataframe(["z", "seconds"])
    assert named.columns.tolist() == ["z", "seconds"]


def times(unit: str) -> dict[str, np.generic]:
    """A duration and a date of this unit."""
    return {"t": np.array(5, f"m8[{unit}]")[()], "d": np.array(5, f"M8[{unit}]")[()]}


@pytest.mark.parametrize("unit", ["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "7h", "3Y", "25ms"])
@pytest.mark.parametrize("kind", ["t", "d"])
def test_times_of_any_unit_are_what_they_were(record, tmp_path, unit, kind):
    time = times(unit)[kind]
    traj = record(lambda x: {"r": time} if x else {}, product(x=[0, 1]))
    missing, shown = traj.to_dataframe()["r"]
    assert pd.isna(missing)
    assert getattr(shown, "asm8", shown) == time
    for data in (traj.to_xarray()["r"], traj.to_xarray().load()["r"]):
        assert str(data.values[0]) == "NaT"
        assert data.values[1] == time or data.values[1] == str(time)
    if kind == "d" or unit[-1] not in "YM":
        for name in ("o.nc", "o.parquet", "o.csv"):
            traj.export(tmp_path / name)
        assert pd.read_parquet(tmp_path / "o.parquet")["r"][1].asm8 == time
        with xr.open_dataset(tmp_path / "o.nc", decode_timedelta=True) as data:
            assert data["r"].values[1] == time
        text = pd.read_csv(tmp_path / "o.csv")["r"][1]
        assert (pd.Timedelta(text) if kind == "t" else pd.Timestamp(text)) == shown


TOO_FINE = {
    "picoseconds": np.timedelta64(5, "ps"), "attoseconds": np.timedelta64(5, "as"),
    "dates of picoseconds": np.datetime64(5, "ps"), "dates of attoseconds": np.datetime64(5, "as"),
    "months": np.timedelta64(5, "M"), "too long": np.timedelta64(10**15, "D"),
}  # fmt: skip
if np.lib.NumpyVersion(np.__version__) < "2.5.0":  # later ones end them
    TOO_FINE["no unit"] = np.timedelta64(5)


@pytest.mark.parametrize("what", TOO_FINE)
def test_times_that_pandas_would_round_stay_numpys_own(record, tmp_path, what):
    time = TOO_FINE[what]
    traj = record(lambda x: {"r": time} if x else {}, product(x=[0, 1]))
    missing, shown = traj.to_dataframe()["r"]
    assert missing is None
    assert repr(shown) == repr(time)
    assert traj.to_xarray()["r"].values.tolist() == ["NaT", str(time)]
    traj.export(tmp_path / "o.csv")
    assert pd.read_csv(tmp_path / "o.csv")["r"][1] == str(time)
    with pytest.raises(simkit.SimkitError, match=r"r: it has no times like these, timedelta64|datetime64"):
        traj.export(tmp_path / "o.parquet")


def test_points_that_differ_in_less_than_pandas_sees_are_coordinates_of_their_own(record):
    for points in (
        [np.timedelta64(i, "ps") for i in (1, 5, 2000)],
        [np.datetime64(i, "as") for i in (1, 5, 9)],
    ):
        data = record(lambda x, points=points: {"z": points.index(x)}, product(x=points)).to_xarray()
        for i, point in enumerate(points):
            assert data["z"].sel(x=str(point)).item() == i
    texts = ["a", "a\0", "b"]
    assert record(lambda x: {"z": 1}, product(x=texts)).to_xarray()["x"].values.tolist() == texts


def test_dates_that_no_netcdf_file_has_are_named(record, tmp_path):
    for year in ("30000", "-0044"):
        date = np.datetime64(year)
        traj = record(lambda x, date=date: {"r": date}, product(x=[0, 1]))
        with pytest.raises(simkit.SimkitError, match="r: its times are of the years 1 to 9999"):
            traj.export(tmp_path / "o.nc")
