"""What a recorded trajectory gives its reader: DESIGN.md section 4, row by row."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

import simkit

DONE = [0, 1, 2, 3, 5]


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


def test_info(typed, many, whole_study):
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
    assert many.path == whole_study.path / "results" / "many-001.h5"
    assert many.name == "many"


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


def test_one_run_without_a_space(whole_study):
    traj = whole_study.open("alone-001")
    assert len(traj) == 1
    assert traj["result"].tolist() == [5]
    assert traj.parameters.x == 1
    assert traj.explored == ()
    assert len(traj.space) == 1
    assert traj.to_dataframe().columns.tolist() == ["x", "result"]


def test_a_trajectory_closes(whole_study):
    with simkit.open(whole_study.path / "results" / "alone-001.h5") as traj:
        assert traj["result"].tolist() == [5]
    with pytest.raises(simkit.SimkitError, match=r"alone-001\.h5.* closed"):
        traj["result"]
