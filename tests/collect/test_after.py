"""What an ``@after`` may ask for, and what it is not part of."""

from __future__ import annotations

import pytest

import simkit

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
    assert "sim_a.py:25: a second @after named 'mean' follows f, the first at sim_a.py:22" in str(
        caught.value
    )


def test_it_may_stand_in_another_file(study):
    study.write(
        "sim_b.py", "import simkit\nfrom sim_a import f\n\n@simkit.after(f)\ndef later(trajectory): pass\n"
    )
    study.write("sim_a.py", BASE)
    (item,) = study.collect()
    assert [after.node_id for after in item.plan.afters] == ["sim_b.py::later"]
