"""From files, keywords and functions to experiments and what follows them."""

from __future__ import annotations

import pytest

import simkit
from simkit import SimkitError
from simkit.errors import NothingToRun

BASE = """
from simkit import after, experiment, fixture, parameter, product

@parameter
class Neuron:
    tau: float = 20.0
    N: int = 10

@parameter
def dt(neuron):
    return neuron.tau / 100

@fixture
def table(neuron):
    return [neuron.N]

@experiment
@product(x=[1, 2])
def f(x, dt, k=3):
    return x
"""


def test_its_closure_is_its_own(study):
    plan = study.plan(BASE + "\n@after(f)\ndef mean(trajectory, dt, table, k, factor=2): pass\n")
    (mean,) = plan.afters
    assert mean.name == "mean"
    assert mean.node_id == "sim_a.py::mean"
    assert set(mean.nodes) == {"trajectory", "neuron", "dt", "table", "k", "factor"}
    assert "factor" not in plan.nodes
    assert not len(mean.space.names)
    assert not any("mean" in key for key in plan.code)  # no part of the experiment's code
    assert {key.partition("::")[2] for key in mean.code} == {"mean", "dt", "Neuron", "table"}
    assert not mean.code["sim_a.py::mean"].startswith("@after")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            "trajectory, x",
            "sim_a.py:22: after mean needs 'x', which is explored: it has no one value for all runs",
        ),
        ("trajectory, x", 'take the column, trajectory["x"], or what does not differ between runs'),
        ("trajectoy", "did you mean 'trajectory'?"),
        ("trajectory, z", "after mean needs 'z', but nothing provides it"),
        ("trajectory, z", 'what the runs gave are columns of the argument trajectory: trajectory["z"]'),
        ("trajectory, k=4", "'k' has two values in one experiment\n    3 (default of experiment f"),
        ("trajectory, k=4", "4 (default of after mean"),
    ],
)
def test_what_it_can_not_have(study, arguments, words):
    with pytest.raises(simkit.SimkitError) as caught:
        study.plan(f"{BASE}\n@after(f)\ndef mean({arguments}): pass\n")
    assert words in str(caught.value)


def test_what_depends_on_something_explored(study):
    text = BASE.replace("@product(x=[1, 2])", '@product({"neuron.tau": [1.0]}, x=[1, 2])')
    with pytest.raises(simkit.SimkitError) as caught:
        study.plan(text + "\n@after(f)\ndef mean(trajectory, dt): pass\n")
    assert "after mean needs 'neuron.tau', which is explored" in str(caught.value)
    assert "requested by neuron" in str(caught.value)


def test_an_experiment_has_no_trajectory(study):
    text = BASE.replace("def f(x,", "def f(x, trajectory,")
    with pytest.raises(simkit.SimkitError, match="experiment f needs 'trajectory', but nothing provides it"):
        study.plan(text + "\n@after(f)\ndef mean(trajectory): pass\n")


def test_values_from_outside_reach_it(study):
    text = BASE + "\n@after(f)\ndef mean(trajectory, factor=2): pass\n"
    plan = study.plan(text, outside={"factor": 5})
    assert plan.afters[0].nodes["factor"].value == 5
    with pytest.raises(simkit.SimkitError, match="f does not use 'facto'; did you mean 'factor'"):
        study.plan(text, outside={"facto": 5})


def test_two_of_one_name(study):
    text = BASE + "\n@after(f)\ndef mean(trajectory): pass\n\n@after(f)\ndef mean(trajectory): pass\n"
    with pytest.raises(simkit.SimkitError) as caught:
        study.plan(text)
    assert "sim_a.py:25: a second mean in this file, so that the one of line 23 would be forgotten" in str(
        caught.value
    )


def test_it_may_stand_in_another_file(study):
    study.write(
        "sim_b.py", "import simkit\nfrom sim_a import f\n\n@simkit.after(f)\ndef later(trajectory): pass\n"
    )
    study.write("sim_a.py", BASE)
    (item,) = study.collect()
    assert [after.node_id for after in item.plan.afters] == ["sim_b.py::later"]


EXPERIMENT = "from simkit import experiment\n@experiment\ndef {}():\n    return {!r}\n"


def test_all_files_that_fail_are_named(study):
    study.write("sim_a.py", "1 / 0\n")
    study.write("sim_b.py", "import nowhere\n")
    with pytest.raises(SimkitError, match=r"(?s)sim_a.py: cannot be imported.*sim_b.py: cannot be imported"):
        study.collect()


# Who owns an experiment


def test_an_imported_experiment_belongs_to_the_module_that_defines_it(study):
    study.write("sim_a.py", EXPERIMENT.format("one", 1))
    study.write("sim_b.py", "from sim_a import one\n" + EXPERIMENT.format("two", 2))
    assert [item.plan.node_id for item in study.collect()] == ["sim_a.py::one", "sim_b.py::two"]


def test_a_file_that_only_imports_an_experiment_says_where_it_belongs(study):
    study.write("library.py", EXPERIMENT.format("one", 1))
    study.write("sim_b.py", "from library import one\n")
    with pytest.raises(NothingToRun, match=r"sim_b.py imports 'one', which belongs to library"):
        study.collect()


def test_an_experiment_of_two_names_is_one(study):
    study.write("sim_a.py", EXPERIMENT.format("f", 1) + "again = f\n")
    assert [item.plan.node_id for item in study.collect()] == ["sim_a.py::f"]


# What is selected


def test_one_experiment_of_a_file_can_be_chosen(study):
    study.write("sim_a.py", EXPERIMENT.format("one", 1) + EXPERIMENT.format("two", 2))
    assert [item.plan.name for item in study.collect("sim_a.py::two")] == ["two"]
    assert [item.plan.name for item in study.collect(keyword="one")] == ["one"]
    assert [item.plan.name for item in study.collect("sim_a.py", "sim_a.py::two")] == ["one", "two"]


def test_an_unknown_experiment_names_those_of_the_file(study):
    study.write("sim_a.py", EXPERIMENT.format("one", 1))
    with pytest.raises(NothingToRun, match=r"sim_a.py has no experiment 'own'\n    experiments there: one"):
        study.collect("sim_a.py::own")


def test_a_keyword_that_matches_nothing_names_the_experiments(study):
    study.write("sim_a.py", EXPERIMENT.format("one", 1))
    with pytest.raises(NothingToRun, match=r"-k 'two' matches none of: sim_a.py::one"):
        study.collect(keyword="two")


def test_a_folder_without_experiments_tells_how_to_begin(study):
    with pytest.raises(NothingToRun, match=r"no experiment in .* \(files sim_\*.py\)") as error:
        study.collect()
    assert "@simkit.experiment" in str(error.value)
    assert "simkit --init" in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "model.py",
            "@experiment\ndef f(): ...\n",
            "model.py has an @experiment, but is named otherwise: call it sim_model",
        ),
        ("deep/model.py", "@simkit.experiment()\ndef f(): ...\n", "or type simkit deep/model.py"),
        (
            "sim_a.py",
            "def walk(x):\n    return x\n",
            "sim_a.py has no @experiment: write it above the function to run, such as walk",
        ),
        (
            "sim_a.py",
            "import simkit\n\n@simkit.parameter\ndef dt():\n    return 1\n",
            "in a file such as sim_first.py",
        ),
        ("sim_a.py", "rate = 3\n", "in a file such as sim_first.py"),
        ("notes.py", "# @experimental\ndef f(): ...\n", "in a file such as sim_first.py"),
    ],
)
def test_what_was_nearly_an_experiment_is_named(study, monkeypatch, name, text, words):
    study.write(name, text)
    monkeypatch.chdir(study.root)
    with pytest.raises(NothingToRun) as error:
        study.collect()
    assert words in str(error.value)


def test_simkit_run_of_a_function_of_a_file_finds_its_providers(study):
    study.write("simconf.py", "from simkit import parameter\n@parameter\ndef dt():\n    return 3\n")
    study.write("sim_a.py", "def plain(dt):\n    return dt\n")
    assert simkit.call(study.module("sim_a.py").plain) == {"result": 3}
