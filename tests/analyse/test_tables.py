"""Runs as a pandas table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import simkit

SOURCE = '''
from typing import Annotated, NamedTuple
import numpy as np
from simkit import Unit, experiment, explore, parameter, product

@parameter
class Neuron:
    """Integrate-and-fire."""
    N: Annotated[int, "number of neurons"] = 100
    tau: Annotated[float, "membrane time constant", Unit("ms")] = 20.0

@parameter
def dt(neuron: Neuron) -> Annotated[float, Unit("ms")]:
    """Time step."""
    return neuron.tau / 100

@parameter
def speed(x: float) -> float:
    """Depends on what is explored."""
    return 2 * x

class Found(NamedTuple):
    z: Annotated[float, "the product", Unit("mV")]
    n: int

@experiment
@product(x=[0.0, 1.0, 2.0], name=["a", "b"])
def typed(x: Annotated[float, "position", Unit("cm")], name: str, neuron, dt, speed, gain=2.0) -> Found:
    """Typed results."""
    return Found(x * gain, int(x))

@experiment
@product(i=range(6))
def many(i, rng, seed, run, weights=(1.0, 2.0), table={"a": [1, 2]}):
    """All kinds of values; run 4 fails, odd runs lack some."""
    print("say", i)
    run.note("looks fine")
    run.note(f="rounded")
    if i == 4:
        raise ValueError(f"no luck with {i}")
    found = {
        "f": i + 0.5, "i32": np.int32(i), "b": i > 2, "c": complex(i, 1), "text": f"t{i}",
        "day": np.datetime64("2026-01-01") + i, "vector": np.full(3, float(i)), "ints": np.arange(3) * i,
        "ragged": np.arange(i), "mixed": [1, 2.5, "x", None, 0, True][i], "nothing": None,
        "nested": {"a": i, "b": {"c": i * 2.0}}, "deep.er.value": i, "deep.flat": -i, "items": "mine",
    }
    if i % 2:
        found = {k: v for k, v in found.items() if k not in ("f", "b", "c", "day", "vector", "ints", "text")}
        found["odd_int"] = i
        found["wait"] = np.timedelta64(i, "s")
    return found

@experiment
@product(x=[1, 2]).repeat(2)
def columns(x):
    return {"status": f"s{x}", "seconds": -x}

@experiment
def alone(x=1):
    return 5
'''


@pytest.fixture(scope="module")
def study(shared):
    shared.file("sim_all.py", SOURCE)
    result = shared.simkit("-n", "2", "--seed", "12")
    assert result.code == 1, result.err
    return shared


@pytest.fixture(scope="module")
def typed(study):
    return study.open("typed-001")


@pytest.fixture(scope="module")
def many(study):
    return study.open("many-001")


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


def test_a_user_name_equal_to_a_run_column_gets_that_column_prefixed(study):
    traj = study.open("columns-001")
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
