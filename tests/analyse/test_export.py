"""Runs for other programs: tables and labelled arrays, units and types kept or named."""

from __future__ import annotations

import csv
import json
import tracemalloc

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr
from exported import PLAIN, RICH, SOURCE, exported

import simkit


@pytest.fixture(scope="module")
def study(shared):
    shared.file("sim_export.py", SOURCE)
    assert shared.simkit("-n", "0").code == 1
    return shared


def test_csv(study):
    path = study.path / "a.csv"
    out = study.ok("export", PLAIN, "a.csv").out
    table, traj = pd.read_csv(path, index_col="run", parse_dates=["when"]), study.open(PLAIN)
    assert table.columns.tolist() == ["x", "y", "z", "t", "b", "n", "when", "status", "seconds"]
    assert np.array_equal(table["z"], traj["z"], equal_nan=True)  # every digit
    assert table["t"].tolist()[:4] == ['t,"1.0', 't,"1.0', 't,"2.0', 't,"2.0']
    assert table["status"].tolist() == ["done"] * 4 + ["failed", "done"]
    assert table.loc[4, ["z", "t", "b", "n", "when"]].isna().all()
    assert table["n"].dropna().tolist() == [1, 1, 2, 2, 3]
    lines = out.splitlines()
    assert lines[0].startswith("a.csv   6 runs   ")
    assert lines[1:] == [
        "    constants are not in the table: neuron.tau, neuron.N, opt",
        "    units are not in the table: x in cm, z in mV",
    ]


def test_parquet_keeps_types_and_units(study):
    path, _ = exported(study, PLAIN, "a.parquet")
    table, traj = pd.read_parquet(path), study.open(PLAIN)
    assert table.attrs["units"] == {"x": "cm", "z": "mV"}
    assert str(table["n"].dtype) == "Int64"
    assert str(table["b"].dtype) == "boolean"
    assert table["when"].dtype.kind == "M"
    assert table["b"].isna().tolist() == [False] * 4 + [True, False]
    assert np.array_equal(table["z"], traj["z"], equal_nan=True)
    assert table.index.name == "run"


def test_parquet_is_read_with_runs_and_facts_by_duckdb_and_polars(study):
    path, remarks = exported(study, PLAIN, "b.parquet")
    traj = study.open(PLAIN)
    assert remarks == ["constants are in the file's metadata: neuron.tau, neuron.N, opt"]
    duck = duckdb.sql(f"select run, x, y, z, n, status from '{path}' where status = 'done' order by run desc")
    assert duck.columns == ["run", "x", "y", "z", "n", "status"]
    assert duck.fetchall()[0] == (5, 3.0, 5.0, traj["z"][5], 3, "done")
    table = pl.read_parquet(path)
    assert table.columns == ["run", "x", "y", "z", "t", "b", "n", "when", "status", "seconds"]
    assert table["run"].to_list() == list(range(6))
    assert table["n"].to_list() == [1, 1, 2, 2, None, 3]
    assert table.filter(pl.col("status") == "failed")["run"].to_list() == [4]
    facts = pl.read_parquet_metadata(path)
    assert json.loads(facts["constants"]) == {"neuron.tau": 20.0, "neuron.N": 10, "opt": None}
    assert json.loads(facts["units"]) == {"neuron.tau": "ms", "x": "cm", "z": "mV"}
    assert (facts["experiment"], facts["node_id"]) == ("plain", traj.info.node_id)
    assert int(facts["root_seed"]) == traj.info.root_seed
    (seed,) = duckdb.sql(
        f"select value from parquet_kv_metadata('{path}') where key = 'root_seed'"
    ).fetchall()[0]
    assert int(seed) == traj.info.root_seed


def test_parquet_of_a_selection_has_the_numbers_of_its_runs(study):
    path, _ = exported(study, PLAIN, "part.parquet", where="x > 1 and y == 5")
    assert pl.read_parquet(path)["run"].to_list() == [3, 5]
    assert pd.read_parquet(path).index.tolist() == [3, 5]


def test_parquet_of_a_parameter_called_run_has_both(record, tmp_path):
    trajectory = record(lambda x, status: {"run": x}, simkit.product({"x": [7, 8], "status": ["s"]}))
    trajectory.export(tmp_path / "run.parquet")
    table = pl.read_parquet(tmp_path / "run.parquet")
    assert table.columns[:5] == ["run_run", "x", "status", "run", "run_status"]
    assert table["run"].to_list() == [7, 8]
    assert table["run_run"].to_list() == [0, 1]


def test_constants_in_the_metadata_are_json_whatever_they_are(record, tmp_path):
    def f(x, array, far, when, pair=(1, 2), text="é"):
        return x

    given = {"array": np.eye(2), "far": float("inf"), "when": pd.Timestamp("2026-01-01")}
    record(f, simkit.product(x=[1.0]), set=given).export(tmp_path / "c.parquet")
    constants = json.loads(pl.read_parquet_metadata(tmp_path / "c.parquet")["constants"])
    assert constants["array"] == [[1, 0], [0, 1]]
    assert constants["far"] == "inf"
    assert constants["pair"] == [1, 2]
    assert constants["when"] == "Timestamp('2026-01-01 00:00:00')"
    assert constants["text"] == "é"


def test_parquet_holds_lists(study):
    path, _ = exported(study, RICH, "lists.parquet", ["x", "vec", "rag", "s.t"])
    table = pd.read_parquet(path)
    assert table["vec"][2].tolist() == [0, 2, 4]
    assert [table["rag"][i].tolist() for i in (0, 2)] == [[0], [0, 1]]
    assert table["s.t"][2].tolist() == [0, 0.5]
    assert table["rag"][4] is None


def test_netcdf(study):
    path, remarks = exported(study, PLAIN, "a.nc")
    with xr.open_dataset(path) as data:
        assert data.z.dims == ("x", "y")
        assert data.z.attrs["units"] == "mV"
        assert data.x.attrs["comment"] == "position"
        assert data.z.sel(x=2.0, y=5.0) == 2 / 3 + 5
        assert np.isnan(data.z.sel(x=3.0, y=4.0))
        assert data.t.sel(x=2.0, y=5.0).item() == 't,"2.0'
        assert data.t.sel(x=3.0, y=4.0).item() == ""
        assert data.status.sel(x=3.0, y=4.0).item() == "failed"
        assert data.when.sel(x=1.0, y=4.0) == np.datetime64("2026-01-01T00:00:02")
        assert data["neuron.tau"].item() == 20.0
        assert data["neuron.tau"].attrs["units"] == "ms"
        assert data.attrs["opt"] == "None"
    assert remarks == [
        "constants kept as text attributes: opt",
        "t: missing text is empty",
        "b: true, false, missing are 1, 0, NaN",
    ]
    path, _ = exported(study, RICH, "cubes.nc", ["z", "vec", "mat"])
    with xr.open_dataset(path) as data:
        assert data.mat.dims == ("x", "trial", "mat_dim_0", "mat_dim_1")
        assert data.mat.sel(x=2.0, trial=1).values.tolist() == [[2, 2], [2, 2]]


def test_both_netcdf_libraries_read_it(study):
    path, _ = exported(study, PLAIN, "a.nc")
    for engine in ("netcdf4", "h5netcdf"):
        with xr.open_dataset(path, engine=engine) as data:
            assert data.z.sel(x=1.0, y=4.0) == 1 / 3 + 4, engine


def test_from_python(study):
    traj = study.open(PLAIN)
    (study.path / "mine.csv").unlink(missing_ok=True)
    written = traj.where("y == 4").export(study.path / "mine.csv", "z")
    assert written.remarks == ("units are not in the table: z in mV",)
    assert pd.read_csv(written.path)["run"].tolist() == [0, 2, 4]
    with pytest.raises(simkit.SimkitError, match="exists"):
        traj.export(study.path / "mine.csv")
    traj.export(str(study.path / "mine.csv"), force=True)


@pytest.mark.parametrize("name", ["a\nb", "x" * 300, "tab\there", "ends ", " begins", "\x7f"])
def test_a_name_that_netcdf_has_not_is_told(tmp_path, name):
    with simkit.run(lambda x: {name: x, "z": x}, simkit.product(x=[1, 2]), output=tmp_path / "f.h5") as traj:
        with pytest.raises(simkit.SimkitError, match="netCDF has no such names"):
            traj.export(tmp_path / "f.nc")
        traj.export(tmp_path / "z.nc", ["z"])
    assert (tmp_path / "z.nc").exists()


TEXTS = [
    "a\rb",
    "\r",
    "a\nb",
    "a\r\nb",
    'say "x"',
    "a,b",
    "",
    "=1+1",
    "+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "fine",
]


def test_csv_has_a_row_per_run_whatever_is_in_a_text(record, tmp_path):
    trajectory = record(lambda x: {"t": x, "n": len(x), "f": -1.5}, simkit.product(x=TEXTS))
    trajectory.export(tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["t"] for row in rows] == TEXTS
    assert [row["x"] for row in rows] == TEXTS
    table = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)
    assert len(table) == len(TEXTS)
    assert table["n"].tolist() == list(map(len, TEXTS))
    polars = pl.read_csv(tmp_path / "a.csv")
    assert polars["n"].to_list() == list(map(len, TEXTS))


def test_safe_csv_holds_no_formulas(record, tmp_path):
    trajectory = record(lambda x: {"t": x, "f": -1.5}, simkit.product(x=TEXTS))
    trajectory.export(tmp_path / "a.csv", safe=True)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["t"][:1] in "=+-@\t\r" for row in rows if row["t"]] == [False] * (len(TEXTS) - 1)
    assert [row["t"] for row in rows[-2:]] == ["'\t=1", "fine"]
    assert {row["f"] for row in rows} == {"-1.5"}
    with pytest.raises(simkit.SimkitError, match=r"only text tables \(.csv\)"):
        trajectory.export(tmp_path / "a.parquet", safe=True)


def test_large_arrays_are_not_read_to_see_that_no_table_holds_them(tmp_path):
    def study(x):
        return {"z": x, "big": np.zeros(5_000_000)}

    path = tmp_path / "study.h5"
    simkit.run(study, simkit.product(x=[1, 2]), output=path).close()
    with simkit.open(path) as trajectory:
        tracemalloc.start()
        try:
            with pytest.raises(simkit.SimkitError, match=r"big: an array per run, float64 \(5000000,\)"):
                trajectory.export(tmp_path / "a.csv")
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
        finally:
            tracemalloc.stop()
        trajectory.export(tmp_path / "a.csv", "z")
