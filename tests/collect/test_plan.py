"""The checked plan of an experiment: what it needs, in the order in which it is made, and what is said of it."""

from __future__ import annotations

import pytest

from simkit.collect.plan import column_notes, group_comments

TEXT = """
from typing import Annotated, NamedTuple
from simkit import Unit, experiment, fixture, parameter, product

@parameter
class Neuron:
    \"\"\"One cell.\"\"\"
    tau: Annotated[float, "time constant", Unit("ms")] = 20.0

@parameter
def rate(x: float, neuron) -> Annotated[float, Unit("Hz")]:
    \"\"\"Follows x.\"\"\"
    return x / neuron.tau

@fixture
def table(rate):
    return [rate]

class Found(NamedTuple):
    z: Annotated[float, "the product", Unit("mV")]

@experiment
@product(x=[1.0, 2.0])
def f(table, x: Annotated[float, "position"], gain=2.0) -> Found:
    \"\"\"What it is.\"\"\"
    return Found(x)
"""


def test_a_node_comes_after_those_that_it_needs(study):
    plan = study.plan(TEXT)
    order = [node.name for node in plan.nodes.values()]
    assert set(order) >= {"x", "neuron", "rate", "table", "gain"}
    assert order.index("x") < order.index("rate") < order.index("table")
    assert order.index("neuron") < order.index("rate")
    assert "table" not in plan.parameters
    assert plan.doc == "What it is."


def test_what_depends_on_something_explored_varies(study):
    nodes = study.plan(TEXT).parameters
    assert {name for name, node in nodes.items() if node.varying} == {"x", "rate"}


def test_an_experiment_is_named_by_its_file_from_the_rootdir(study):
    study.write("deep/er/sim_b.py", TEXT)
    (item,) = study.collect("deep")
    assert item.plan.node_id == "deep/er/sim_b.py::f"


def test_comments_and_units_of_columns_and_groups(study):
    plan = study.plan(TEXT)
    notes = column_notes(plan)
    note, origin, explored = notes["parameters", "rate"]
    assert (note.comment, note.unit, explored) == ("Follows x.", "Hz", False)
    assert origin.startswith("sim_a.py:")
    assert notes["parameters", "x"][0].comment == "position"
    assert notes["parameters", "x"][2] is True
    assert (notes["results", "z"][0].comment, notes["results", "z"][0].unit) == ("the product", "mV")
    assert ("parameters", "gain") not in notes
    assert group_comments(plan) == {"neuron": "One cell."}


@pytest.mark.parametrize(
    "arguments", ["rate, x: Annotated[float, 'position']", "x: Annotated[float, 'position'], rate"]
)
@pytest.mark.parametrize("space", ["@product(x=[1.0])\n", ""])
def test_whoever_says_what_a_name_is_counts_wherever_it_is_asked_first(study, arguments, space):
    asks = f"{arguments}, k: int = 1" if space else arguments.replace("]", "] = 1.0", 1) + ", k: int = 1"
    text = f"""
from typing import Annotated
from simkit import experiment, parameter, product

@parameter
def rate(x: float{"" if space else " = 1.0"}):
    return x

@experiment
{space}def f({"*, " if not space else ""}{asks}):
    return x
"""
    assert study.plan(text).parameters["x"].comment == "position"


def test_the_same_plan_over_other_points(study):
    import simkit

    plan = study.plan(TEXT)
    other = plan.with_space(simkit.product(x=[5.0]))
    assert (len(other.space), len(plan.space)) == (1, 2)
    assert other.nodes == plan.nodes
