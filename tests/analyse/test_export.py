"""Runs for other programs: tables and labelled arrays, units and types kept or named."""

from __future__ import annotations

import csv
import datetime
import decimal
import json
import tracemalloc

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
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


NAN, SECOND = float("nan"), datetime.timedelta(seconds=1)
# What a run returned three times, the type that DuckDB and Polars see, and the values as both read them.
KINDS = {
    "bool": ([True, False, True], "BOOLEAN", pl.Boolean(), [True, False, True]),
    "int": ([1, -(2**63), 2**63 - 1], "BIGINT", pl.Int64(), [1, -(2**63), 2**63 - 1]),
    "int8": (list(np.array([1, -128, 127], "i1")), "TINYINT", pl.Int8(), [1, -128, 127]),
    "int16": (list(np.array([1, -(2**15), 0], "i2")), "SMALLINT", pl.Int16(), [1, -(2**15), 0]),
    "int32": (list(np.array([1, -(2**31), 0], "i4")), "INTEGER", pl.Int32(), [1, -(2**31), 0]),
    "uint8": (list(np.array([1, 0, 255], "u1")), "UTINYINT", pl.UInt8(), [1, 0, 255]),
    "uint16": (list(np.array([1, 0, 65535], "u2")), "USMALLINT", pl.UInt16(), [1, 0, 65535]),
    "uint32": (list(np.array([1, 0, 2**32 - 1], "u4")), "UINTEGER", pl.UInt32(), [1, 0, 2**32 - 1]),
    "uint64": (list(np.array([1, 0, 2**64 - 1], "u8")), "UBIGINT", pl.UInt64(), [1, 0, 2**64 - 1]),
    "half": (list(np.array([0.5, -np.inf, NAN], "f2")), "FLOAT", pl.Float16(), [0.5, -np.inf, None]),
    "single": (list(np.array([0.5, -np.inf, NAN], "f4")), "FLOAT", pl.Float32(), [0.5, -np.inf, None]),
    "double": ([0.1, -np.inf, NAN], "DOUBLE", pl.Float64(), [0.1, -np.inf, None]),
    "text": (["é", "", 'a,"\n'], "VARCHAR", pl.String(), ["é", "", 'a,"\n']),
    "text or none": (["a", None, "b"], "VARCHAR", pl.String(), ["a", None, "b"]),
    "day": (
        [datetime.date(2026, 1, 2), datetime.date(1900, 1, 1), datetime.date(2400, 1, 1)],
        "TIMESTAMP", pl.Datetime("ms"),
        [datetime.datetime(2026, 1, 2), datetime.datetime(1900, 1, 1), datetime.datetime(2400, 1, 1)],
    ),
    "time": (
        [datetime.datetime(2026, 1, 2, 3, 4, 5, 678), datetime.datetime(1900, 1, 1), datetime.datetime(2, 1, 1)],
        "TIMESTAMP", pl.Datetime("us"),
        [datetime.datetime(2026, 1, 2, 3, 4, 5, 678), datetime.datetime(1900, 1, 1), datetime.datetime(2, 1, 1)],
    ),
    "nanosecond": (
        list(np.array(["2026-01-01T00:00:01", "NaT", "1970-01-01"], "M8[ns]")),
        "TIMESTAMP_NS", pl.Datetime("ns"),
        [datetime.datetime(2026, 1, 1, 0, 0, 1), None, datetime.datetime(1970, 1, 1)],
    ),
    "array": ([np.arange(2.0)] * 3, "DOUBLE[]", pl.List(pl.Float64()), [[0, 1]] * 3),
    "ragged": ([np.arange(n) for n in (0, 2, 1)], "BIGINT[]", pl.List(pl.Int64()), [[], [0, 1], [0]]),
    "truths": ([np.array([True, False])] * 3, "BOOLEAN[]", pl.List(pl.Boolean()), [[True, False]] * 3),
}  # fmt: skip


@pytest.fixture
def returning(tmp_path):
    """A trajectory of runs that return these values, exported."""

    def export(values):
        def f(i):
            return {"v": values[i]}

        path = tmp_path / "f.parquet"
        with simkit.run(f, simkit.explore(i=range(len(values))), workers=0, output=tmp_path / "f.h5") as traj:
            traj.export(path)
        return path

    return export


@pytest.mark.parametrize("kind", KINDS)
def test_duckdb_and_polars_read_the_same_of_each_kind(returning, kind):
    values, duck, polars, same = KINDS[kind]
    path = returning(values)
    assert duckdb.sql(f"select typeof(v), v from '{path}' order by run").fetchall() == [
        (duck, value) for value in same
    ]
    table = pl.read_parquet(path)
    assert table["v"].dtype == polars
    assert table["v"].to_list() == same


@pytest.mark.parametrize(
    ("values", "unit", "number"),
    [
        ([SECOND, -SECOND], "us", 10**6),
        (list(np.array([1, -1], "m8[s]")), "s", 1),
        (list(np.array([10**9, -(10**9)], "m8[ns]")), "ns", 10**9),
    ],
)
def test_a_duration_has_its_unit_beside_it_for_those_who_read_an_integer(returning, values, unit, number):
    path = returning([*values, np.timedelta64("NaT", unit)][: 2 + (unit != "us")])
    read = [value for (value,) in duckdb.sql(f"select v from '{path}' order by run").fetchall()]
    assert read[:2] == [number, -number]
    assert json.loads(pl.read_parquet_metadata(path)["units"]) == {"v": unit}
    assert pl.read_parquet(path)["v"].to_list() == [SECOND, -SECOND, None][: len(read)]
    assert pd.read_parquet(path)["v"].tolist()[:2] == [pd.Timedelta(SECOND), pd.Timedelta(-SECOND)]


@pytest.mark.parametrize(
    "values",
    [
        [2**70, 1], [b"a", b"b"], [1, None], [True, None], [1.5, None], [1, "a"], [1, pd.NA], [1j, 2j], [[1], []],
        [["a"], []], [[[1], [2, 3]], []], [np.eye(2), np.eye(2)], [{"a": 1}, {"a": 2}], [(1, "a"), (2, "b")],
        [decimal.Decimal("1.1"), decimal.Decimal(2)], [pd.Categorical(["a", "b"])] * 2, [datetime.time(1)] * 2,
        [pd.Timestamp("2026-01-01", tz="Europe/Berlin")] * 2,
    ],
    ids=str,
)  # fmt: skip
def test_what_parquet_would_change_is_refused_by_its_name(returning, values):
    with pytest.raises(simkit.SimkitError, match=r"\.parquet cannot hold all of f:\n    v: "):
        returning(values)


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


TEXTS_OF_LATE = [None, "fine", "", 'a"b', "=1", "a,b", "x\ny", "last\r"]
LATE = {  # what a column is seen to be only when its last rows are read
    "some integers": [1, 2, None, 4, 5, 6, 7, 8],
    "none at first": [None, None, None, None, 5, 6, 7, 8],
    "truth values": [True, False, True, True, True, False, None, True],
    "floats at last": [1, 2, 3, 4, 5, 6, 7, 0.5],
    "too large for a float": [0.5, 1.5, 1, 2, 3, 4, 2**53 + 1, 8],
    "text at last": [1, 2, 3, 4.5, True, 6, 7, "end"],
    "text": TEXTS_OF_LATE,
    "days": [np.datetime64("2026-01-01") + np.timedelta64(k, "D") for k in range(8)],
    "seconds at last": [np.datetime64("2026-01-01T00:00:00.000") + np.timedelta64(k, "D") for k in range(7)]
    + [np.datetime64("2026-01-01T00:00:00.250")],
    "moments": [datetime.datetime(2026, 1, 1, 0, 0, 0, k // 7) for k in range(8)],
    "spans": [np.timedelta64(86_400 * k + k // 7, "s") for k in range(8)],
}
LISTS = {
    "lists": [np.arange(k) * 0.5 for k in range(8)],
    "lists of one length, then of none": [np.array([k]) for k in range(7)] + [np.zeros(0, int)],
}


@pytest.fixture
def in_blocks(monkeypatch):
    """Called, it makes blocks of a run or two of what is read from now on."""

    def make():
        monkeypatch.setattr("simkit.record.recorded.BLOCK_BYTES", 1)

    return make


def columns_of(columns):
    """A study that has these columns as results; None is absent."""

    def study(k):
        return {name: values[k] for name, values in columns.items() if values[k] is not None}

    return study, simkit.product(k=range(8))


@pytest.mark.parametrize("safe", [False, True])
def test_csv_in_blocks_is_the_table_as_a_whole(record, tmp_path, in_blocks, safe):
    trajectory = record(*columns_of(LATE))
    trajectory.export(tmp_path / "whole.csv", safe=safe)
    for name in LATE:  # its first rows tell nothing of the last
        trajectory.export(tmp_path / f"{name}, whole.csv", [name], safe=safe)
    in_blocks()
    trajectory.export(tmp_path / "blocks.csv", safe=safe)
    assert (tmp_path / "blocks.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    for name in LATE:
        trajectory.export(tmp_path / f"{name}.csv", [name], safe=safe)
        assert (tmp_path / f"{name}.csv").read_bytes() == (tmp_path / f"{name}, whole.csv").read_bytes()
    written = {name: cells(tmp_path / f"{name}.csv", name) for name in LATE}
    assert written["too large for a float"][-2:] == ["9007199254740993", "8"]
    assert written["floats at last"][-2:] == ["7.0", "0.5"]
    assert written["some integers"][:3] == ["1", "2", ""]
    assert written["days"][0] == "2026-01-01"
    assert written["seconds at last"][0] == "2026-01-01 00:00:00.000"
    assert [text.removeprefix("'") for text in written["text"]] == ["", *TEXTS_OF_LATE[1:]]


def cells(path, name):
    """One column of a text table, as text."""
    with path.open(newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


def test_parquet_in_blocks_is_the_table_as_a_whole(record, tmp_path, in_blocks):
    mixed = ("too large for a float", "text at last")
    trajectory = record(*columns_of({**LATE, **LISTS}))
    names = ["k", *(name for name in (*LATE, *LISTS) if name not in mixed)]
    trajectory.export(tmp_path / "whole.parquet", names)
    in_blocks()
    trajectory.export(tmp_path / "blocks.parquet", names)
    whole, blocks = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("whole", "blocks"))
    assert blocks.equals(whole, check_metadata=True)
    assert pq.ParquetFile(tmp_path / "blocks.parquet").num_row_groups == 8
    assert [str(blocks.schema.field(name).type) for name in names[:4]] == ["int64", "int64", "int64", "bool"]
    assert blocks["lists"].to_pylist()[3] == [0, 0.5, 1]
    assert blocks["none at first"].to_pylist() == LATE["none at first"]
    with pytest.raises(simkit.SimkitError, match="text at last: not one type of numbers, text or lists"):
        trajectory.export(tmp_path / "mixed.parquet", ["text at last"])


def test_blocks_of_differing_units_are_no_column(record, tmp_path, in_blocks):
    brian2 = pytest.importorskip("brian2")
    trajectory = record(lambda k: {"q": k * (brian2.mV if k < 2 else brian2.ms)}, simkit.product(k=[1, 2, 3]))
    in_blocks()
    with pytest.raises(simkit.SimkitError, match=r"q: more than a scalar per run"):
        trajectory.export(tmp_path / "a.csv", ["k", "q"])
    with pytest.raises(simkit.SimkitError, match=r"q: quantities in no common array"):
        trajectory.export(tmp_path / "a.parquet", ["k", "q"])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_of_no_runs_has_its_columns(record, tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    record(lambda x: {"z": x, "t": str(x)}, simkit.product(x=[1, 2])).where("x > 5").export(path)
    table = pd.read_csv(path, index_col="run") if ending == "csv" else pd.read_parquet(path)
    assert table.columns.tolist() == ["x", "z", "t", "status", "seconds"]
    assert len(table) == 0


@pytest.mark.parametrize(("ending", "name"), [("parquet", "rag"), ("parquet", "vec"), ("nc", "vec")])
def test_large_results_are_exported_block_by_block(tmp_path, monkeypatch, ending, name):
    def study(x):
        return {"rag": np.full(20_000 + x, 0.5 + x), "vec": np.full(20_000, 0.5 + x)}

    monkeypatch.setattr("simkit.record.recorded.BLOCK_BYTES", 1 << 20)
    monkeypatch.setattr("simkit.analyse.export._BLOCK_BYTES", 1 << 20)
    path, out = tmp_path / "study.h5", tmp_path / f"out.{ending}"
    simkit.run(study, simkit.product(x=range(150)), output=path).close()
    with simkit.open(path) as trajectory:
        trajectory.where("x < 2").export(tmp_path / f"small.{ending}", [name])  # imports what is needed
        tracemalloc.start()
        try:
            trajectory.export(out, [name])
            assert tracemalloc.get_traced_memory()[1] < 12_000_000  # of 24 MB
        finally:
            tracemalloc.stop()
    column = pd.read_parquet(out)[name] if ending == "parquet" else xr.load_dataset(out)[name].to_numpy()
    assert [row[-1] for row in column] == [x + 0.5 for x in range(150)]
