"""Natural naming, and runs by number."""

from __future__ import annotations

import copy
import pickle
import types
from typing import Annotated

import numpy as np
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from simkit import Unit, parameter, product
from simkit.record.recorded import Recorded

DONE = [0, 1, 2, 3, 5]


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


@parameter
class Neuron:
    """A leaky neuron."""

    tau: Annotated[float, "membrane time constant", Unit("ms")] = 20.0
    N: int = 10


def spiking(x: Annotated[float, "position <cm>", Unit("cm")], neuron: Neuron, items=3):
    if x == 3:
        raise ValueError("no")
    return {"z": x, "spikes.t": np.arange(8), "spikes.i": np.arange(int(x)), "note": "<b>bold</b>"}


@pytest.fixture
def traj(record):
    return record(spiking, product(x=[1.0, 2.0, 3.0]))


def test_items_and_other_verbs_may_be_names(traj):
    assert traj.parameters.items == 3
    assert traj.runs[0]["items"] == 3
    with pytest.raises(KeyError, match=r"run 1: 0 is no name\n.*available: "):
        traj.runs[1][0]


def test_tab_completion_in_ipython(traj):
    shell = InteractiveShell()
    shell.user_ns.update(traj=traj, results=traj.results)

    def completed(text):
        with provisionalcompleter():
            return {found.text for found in shell.Completer.completions(text, len(text))}

    assert completed("traj.parameters.") == {"neuron", "x", "items"}
    assert completed("traj.parameters.neuron.") == {"tau", "N"}
    assert completed("traj.results.spikes.") == {"t", "i"}
    assert {"neuron.tau", "spikes.t", "z", "status", "run", "seconds"} <= completed("traj['")
    assert completed("results['sp") >= {"spikes.t", "spikes.i"}
    assert {"to_dataframe", "to_xarray"} <= completed("traj.to_")


def test_values_handed_out_are_the_readers_own(record):
    def f(x):
        return {"d": {"a": [x]}, "v": np.arange(3)}

    traj = record(f, product(x=[1, 2]))
    traj.runs[0].d["a"].append("mine")
    traj.runs[0].v[:] = -1
    assert traj.runs[0].d == {"a": [1]}
    assert traj.runs[0].v.tolist() == [0, 1, 2]


def test_python_adds_no_guess_of_its_own(project):
    project.file(
        "look.py",
        """
        import simkit
        def f(x):
            return {"z": x, "zeta": 1}
        traj = simkit.run(f, simkit.product(x=[1]))
        traj.runs[0].zz
    """,
    )
    said = project.python("look.py").err.strip().splitlines()
    assert said[-2].endswith("run 0 has no 'zz'; did you mean 'z'?")
    assert said[-1] == "    available: z, x, zeta"


def test_names_are_copied_as_what_they_are_and_not_pickled(record):
    trajectory = record(lambda x: {"z": x, "deep.a": x}, product(x=[1, 2]))
    for names in (trajectory.runs[1], trajectory.parameters, trajectory.results, trajectory.results.deep):
        assert copy.copy(names) is names
        assert copy.deepcopy([names])[0] is names
        with pytest.raises(TypeError, match="reads its values from the file: pickle the values"):
            pickle.dumps(names)
    assert copy.copy(trajectory.runs)[1].z == 2
    assert copy.copy(trajectory)["z"].tolist() == [1, 2]
    empty = type(trajectory.runs[1]).__new__(type(trajectory.runs[1]))
    with pytest.raises(AttributeError):
        getattr(empty, "anything")  # noqa: B009 - asked for as Python itself does


@pytest.mark.parametrize("size", [10, 200])
def test_looking_at_each_name_of_a_run_asks_the_file_for_its_names_as_often_as_looking_at_one(
    record, monkeypatch, size
):
    """A look at all names for each name is a square, most of which Python's own loops hide from who counts calls."""
    names = [f"r{i}" for i in range(size)]
    trajectory = record(lambda x: dict.fromkeys(names, x), product(x=[1, 2]))
    asked = []

    def counted(recorded, section, original=Recorded.names):
        asked.append(section)
        return original(recorded, section)

    monkeypatch.setattr(Recorded, "names", counted)
    for run in (0, 1):
        assert [trajectory.runs[run][name] for name in names] == [run + 1] * size
        assert [getattr(trajectory.runs[run], name) for name in names] == [run + 1] * size
    assert [trajectory.results[name][1] for name in names] == [2] * size
    assert [trajectory[name][0] for name in names] == [1] * size
    assert len(asked) < 10


def test_a_value_that_can_not_be_copied_is_ones_own_all_the_same(record):
    inner = [1, 2]
    traj = record(lambda x: {"r": types.MappingProxyType({"a": inner, "x": x})}, product(x=[0, 1]))
    one = traj.runs[1].r
    assert one == {"a": inner, "x": 1}
    one["a"].append(3)
    assert traj.runs[1].r == {"a": inner, "x": 1}


@pytest.mark.parametrize("text", ["q\0", "\0", "a\0b", "a\0b\0\0"])
def test_nuls_at_the_end_of_numpys_texts_are_kept(record, text):
    value = record(lambda x: {"r": np.str_(text)}, product(x=[0, 1])).runs[1].r
    assert type(value) is np.str_
    assert str.__str__(value) == text
