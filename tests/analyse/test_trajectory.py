"""What a recorded trajectory gives its reader: DESIGN.md section 4, row by row."""

from __future__ import annotations

import datetime

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
DONE = [0, 1, 2, 3, 5]


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


# traj[name]


def test_columns_of_explored_parameters_and_constants(typed):
    assert typed["x"].dtype == np.float64
    assert typed["x"].tolist() == [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
    assert typed["name"].tolist() == ["a", "b"] * 3
    assert typed["gain"].tolist() == [2.0] * 6
    assert typed["neuron.N"].dtype.kind == "i"
    assert typed["neuron.N"].tolist() == [100] * 6
    assert typed["dt"].tolist() == [0.2] * 6
    assert typed["speed"].tolist() == [0, 0, 2, 2, 4, 4]
    assert type(typed["z"]) is np.ndarray
    assert typed["z"].tolist() == [0, 0, 2, 2, 4, 4]
    assert typed["n"].dtype == np.int64


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


def test_arrays_of_one_shape_become_one_array(many):
    assert many["vector"].shape == (6, 3)
    assert np.array_equal(many["vector"][2], [2.0, 2.0, 2.0])
    assert np.isnan(many["vector"][[1, 3, 4, 5]]).all()
    assert many["ints"].shape == (6, 3)
    assert np.ma.getmaskarray(many["ints"]).all(axis=1).tolist() == [False, True, False, True, True, True]
    assert many["ints"][2].tolist() == [0, 2, 4]


def test_ragged_and_mixed_columns_hold_objects_and_keep_each_runs_type(many):
    ragged = many["ragged"]
    assert ragged.dtype == object
    assert ragged.shape == (6,)
    assert np.ma.getmaskarray(ragged).tolist() == [False] * 4 + [True, False]
    assert [ragged[i].tolist() for i in DONE] == [list(range(i)) for i in DONE]
    assert ragged[3].dtype == np.arange(3).dtype
    mixed = [1, 2.5, "x", None, True]
    assert [many["mixed"][i] for i in DONE] == mixed
    assert [type(many["mixed"][i]) for i in DONE] == list(map(type, mixed))
    assert [many.runs[i].mixed for i in DONE] == mixed
    assert all(many["nothing"][i] is None for i in DONE)
    assert many["nested"][3] == {"a": 3, "b": {"c": 6.0}}
    assert many["items"].compressed().tolist() == ["mine"] * 5


def test_keys_of_a_recorded_dictionary_are_reached_by_dotted_name(many):
    assert [many["nested.a"][i] for i in DONE] == DONE
    assert [many["nested.b.c"][i] for i in DONE] == [2.0 * i for i in DONE]
    assert many.runs[3].nested["b"]["c"] == 6.0
    assert many.runs[3]["nested.b.c"] == 6.0
    assert many.parameters["table.a"] == [1, 2]
    with pytest.raises(KeyError, match=r"nested\.x"):
        many["nested.x"]
    with pytest.raises(KeyError, match=r"nested\.b\.d"):
        many.runs[3]["nested.b.d"]


# Natural naming


def test_parameters_and_results_by_natural_naming(typed, many):
    assert sorted(typed.parameters) == ["dt", "gain", "name", "neuron", "speed", "x"]
    assert typed.parameters.neuron.tau == 20.0
    assert type(typed.parameters.neuron.N) is int
    assert typed.parameters["neuron.N"] == 100
    assert list(typed.parameters.neuron) == ["N", "tau"]
    assert typed.parameters.gain == 2.0
    assert typed.parameters.x.tolist() == [0, 0, 1, 1, 2, 2]
    assert list(typed.results) == ["z", "n"]
    assert typed.results.z.tolist() == [0, 0, 2, 2, 4, 4]
    assert many.parameters.weights == (1.0, 2.0)
    assert many.parameters.table == {"a": [1, 2]}
    assert many.results.deep.er.value.compressed().tolist() == DONE
    assert many.results["deep.flat"].compressed().tolist() == [-i for i in DONE]
    assert many.results["items"].compressed().tolist() == ["mine"] * 5
    assert "deep" in many.results
    assert "deep.er.value" in many.results
    assert "z" not in many.results
    assert {"neuron", "dt", "gain"} <= set(dir(typed.parameters))
    assert [name for name in dir(typed.parameters) if not name.startswith("_")] == sorted(typed.parameters)
    assert "neuron" in repr(typed.parameters)


def test_unknown_names_answer_with_the_nearest(typed):
    with pytest.raises(KeyError) as caught:
        typed["spead"]
    assert "typed has no 'spead'; did you mean 'speed'?" in str(caught.value)
    assert "available: speed, " in str(caught.value)
    with pytest.raises(AttributeError, match=r"did you mean 'gain'\?"):
        typed.parameters.gian  # noqa: B018
    with pytest.raises(KeyError, match=r"did you mean 'tau'\?"):
        typed.parameters.neuron["tua"]
    with pytest.raises(AttributeError, match="parameters has no 'tau'"):
        typed.parameters.tau  # noqa: B018 - full names only
    with pytest.raises(AttributeError, match=r"results has no 'gain'"):
        typed.results.gain  # noqa: B018
    with pytest.raises(AttributeError, match=r"did you mean 'speed'\?"):
        typed.runs[0].spee  # noqa: B018
    assert "x" in typed
    assert "neuron.tau" in typed
    assert "tau" not in typed


# Runs


def test_runs_by_number_slice_and_iteration(typed):
    assert len(typed) == len(typed.runs) == 6
    assert (typed.runs[3].x, typed.runs[3].name, typed.runs[3].z, typed.runs[3].n) == (1.0, "b", 2.0, 1)
    assert type(typed.runs[3].z) is float
    assert type(typed.runs[3].n) is int
    assert typed.runs[3].neuron.tau == 20.0
    assert typed.runs[3].gain == 2.0
    assert typed.runs[-1].x == 2.0
    assert typed.runs[np.int64(2)].x == 1.0
    assert [run.x for run in typed.runs[1:4]] == [0.0, 1.0, 1.0]
    assert [run.name for run in typed.runs[::-2]] == ["b", "b", "b"]
    assert len(typed.runs[4:]) == 2
    assert [run.z for run in typed.runs] == typed["z"].tolist()
    assert [run.z for run in typed] == typed["z"].tolist()
    assert set(typed.runs[0]) == {"x", "name", "neuron", "dt", "speed", "gain", "z", "n"}
    for wrong in (6, -7):
        with pytest.raises(IndexError, match=rf"run {wrong} of a trajectory with 6 runs"):
            typed.runs[wrong]


def test_a_run_without_a_value_says_its_status(many):
    for name in ("f", "odd_int"):
        with pytest.raises(AttributeError, match=rf"run 4 has no '{name}': its status is failed"):
            getattr(many.runs[4], name)
    with pytest.raises(KeyError, match=r"traj\.error\(4\) tells why"):
        many.runs[4]["f"]
    with pytest.raises(AttributeError, match=r"run 1 has no 'f': its status is done"):
        many.runs[1].f  # noqa: B018
    assert many.runs[4].i == 4
    assert getattr(many.runs[1], "f", None) is None
    array = many.runs[3].ragged
    array[:] = -1  # the reader's own
    assert many.runs[3].ragged.tolist() == [0, 1, 2]


# where


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


def test_where_by_trial(study):
    traj = study.open("columns-001")
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


# Facts


def test_columns_about_the_runs(typed, many):
    assert typed.status.tolist() == ["done"] * 6
    assert many.status.tolist() == ["done"] * 4 + ["failed", "done"]
    assert many.seconds.shape == (6,)
    assert (many.seconds >= 0).all()
    assert typed.index.tolist() == list(range(6))
    assert typed.explored == ("x", "name")
    assert typed.seeds is None
    seeds = many.seeds
    assert seeds.shape == (6,)
    assert len(set(seeds.tolist())) == 6
    assert many.where("i >= 4").seeds.tolist() == seeds.tolist()[4:]
    assert many["seed"].tolist() == seeds.tolist()
    space = typed.space
    assert isinstance(space, simkit.Space)
    assert len(space) == 6
    assert space[3] == {"x": 1.0, "name": "b"}
    assert typed.where(name="a").space[1] == {"x": 1.0, "name": "a"}


def test_info(typed, many, study):
    info = many.info
    assert (info.name, info.node_id) == ("many", "sim_all.py::many")
    assert info.doc == "All kinds of values; run 4 fails, odd runs lack some."
    assert info.root_seed == 12
    age = datetime.datetime.now(datetime.UTC) - info.created
    assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=10)
    assert len(info.sessions) == 1
    session = info.sessions[0]
    assert "simkit -n 2 --seed 12" in str(session)
    assert simkit.__version__ in str(session)
    assert "sim_all.py::many" in session["code"]
    assert many.path == study.path / "results" / "many-001.h5"
    assert many.name == "many"


def test_describe(typed):
    about = typed.describe("neuron.tau")
    assert (about.comment, about.unit, about.constant, about.explored) == (
        "membrane time constant",
        "ms",
        True,
        False,
    )
    assert about.origin.startswith("sim_all.py:")
    about = typed.describe("x")
    assert (about.comment, about.unit, about.constant, about.explored) == ("position", "cm", False, True)
    about = typed.describe("dt")
    assert (about.comment, about.unit, about.constant) == ("Time step.", "ms", True)
    about = typed.describe("z")
    assert (about.comment, about.unit, about.section) == ("the product", "mV", "results")
    about = typed.describe("speed")
    assert (about.comment, about.constant, about.explored) == ("Depends on what is explored.", False, False)
    with pytest.raises(KeyError, match=r"did you mean 'speed'\?"):
        typed.describe("spead")


def test_repr(typed, many, study):
    text = repr(typed)
    assert "<Trajectory typed: 6 runs, 6 done>" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "x float cm, explored position" in lines
    assert "neuron.tau = 20.0 ms membrane time constant" in lines
    assert "z float mV the product" in lines
    assert "typed-001.h5" in lines[-1]
    assert "<Trajectory many: 6 runs, 5 done, 1 failed>" in repr(many)
    assert "<Trajectory many: 1 run, 1 failed>" in repr(many.where(status="failed"))
    assert repr(typed.runs) == "<6 runs of typed>"
    assert "x" in repr(typed.runs[0])


def test_texts_of_a_run(many):
    assert many.log(3) == "say 3\n"
    assert many.log(4) == "say 4\n"
    assert many.error(3) == ""
    assert "ValueError: no luck with 4" in many.error(4)
    assert "in many" in many.error(4)
    assert many.notes(3) == ["looks fine", "f: rounded"]
    assert many.notes(4) == ["looks fine", "f: rounded"]
    for verb in (many.log, many.error, many.notes):
        assert verb(-1) == verb(5)
        with pytest.raises(IndexError, match="run 6 of a trajectory with 6 runs"):
            verb(6)


def test_one_run_without_a_space(study):
    traj = study.open("alone-001")
    assert len(traj) == 1
    assert traj["result"].tolist() == [5]
    assert traj.parameters.x == 1
    assert traj.explored == ()
    assert len(traj.space) == 1
    assert traj.to_dataframe().columns.tolist() == ["result", "status", "seconds"]


def test_a_trajectory_closes(study):
    with simkit.open(study.path / "results" / "alone-001.h5") as traj:
        assert traj["result"].tolist() == [5]
    with pytest.raises(simkit.SimkitError, match=r"alone-001\.h5.* closed"):
        traj["result"]
