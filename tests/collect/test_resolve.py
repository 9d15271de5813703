"""Names to values: the lookup order, and what is laid on top."""

from __future__ import annotations

import re

import numpy as np
import pytest

import simkit
from simkit import SimkitError

HEAD = "import attrs\nfrom simkit import experiment, explore, fixture, parameter, product\n"


def problem(study, text, **options):
    """The message of what is wrong with an experiment."""
    with pytest.raises(SimkitError) as error:
        study.plan(HEAD + text, **options)
    return str(error.value)


# The lookup order


PROVIDES = "from simkit import parameter\n@parameter\ndef dt():\n    return {!r}\n"


ASKS = HEAD + "{}\n@experiment\ndef f(dt):\n    return dt\n"


def test_the_nearest_definition_wins(study):
    study.write("simconf.py", PROVIDES.format("root"))
    study.write("sub/simconf.py", PROVIDES.format("sub"))
    study.write("sub/sim_own.py", ASKS.format("@parameter\ndef dt():\n    return 'own'"))
    study.write("sub/sim_sub.py", ASKS.format(""))
    study.write("other/sim_root.py", ASKS.format(""))
    study.write("sub/sim_default.py", ASKS.format("").replace("f(dt)", "f(dt='default')"))
    found = {
        name: simkit.call(study.module(name).f)["result"]
        for name in ("sub/sim_own.py", "sub/sim_sub.py", "other/sim_root.py", "sub/sim_default.py")
    }
    assert list(found.values()) == ["own", "sub", "root", "default"]


def test_a_provider_hides_a_builtin(study):
    text = """
@parameter
def seed():
    return 5

@fixture
def run():
    return "mine"

@experiment
def f(seed, run, rng):
    return {"a": seed, "b": run, "c": rng.random()}
"""
    assert study.call(HEAD + text) == {"a": 5, "b": "mine", "c": np.random.default_rng(5).random()}


def test_values_are_laid_on_top_in_order(study):
    study.write("pyproject.toml", "[tool.simkit.parameters]\na = 10\nb = 10\nc = 10\n")
    text = HEAD + "@experiment\n@product(c=[30])\ndef f(a=1, b=1, c=1, d=1):\n    return [a, b, c, d]\n"
    assert study.run(text, set={"b": 20})["result"].tolist() == [[10, 20, 30, 1]]


def test_what_the_project_configures_reaches_providers_and_fields(study):
    study.write(
        "pyproject.toml", "[tool.simkit.parameters]\ndt = 0.5\n[tool.simkit.parameters.neuron]\ntau = 3\n"
    )
    text = """
@parameter
class Neuron:
    tau: float = 20.0
    n: int = 1

@parameter
def dt(neuron):
    return 1.0

@experiment
def f(neuron, dt):
    return [neuron.tau, neuron.n, dt]
"""
    assert study.call(HEAD + text) == {"result": [3.0, 1, 0.5]}


@pytest.mark.parametrize("name", ["f", "g"])
def test_a_configured_name_that_no_experiment_uses_is_an_error(study, name):
    study.write("pyproject.toml", f"[tool.simkit.parameters]\n{name} = 10\n")
    with pytest.raises(SimkitError, match=rf"\[tool.simkit.parameters\]: f does not use '{name}'"):
        study.plan(HEAD + "@experiment\ndef f(x=1):\n    return x\n")


def test_a_configured_name_that_another_experiment_uses_is_no_error(study):
    study.write("pyproject.toml", "[tool.simkit.parameters]\nmass = 10\n")
    study.write("sim_b.py", HEAD + "@experiment\ndef g(mass=1):\n    return mass\n")
    study.write("sim_a.py", HEAD + "@experiment\ndef f(x=1):\n    return x\n")
    f, g = (item.plan for item in study.collect())
    assert (f.nodes["x"].value, g.nodes["mass"].value) == (1, 10)


def test_a_default_is_a_recorded_parameter_wherever_it_stands(study):
    text = """
@fixture
def tool(size=3):
    return size

@parameter
def dt(scale=0.5, *, offset=1):
    return scale

@experiment
def f(tool, dt, x=2):
    return 0
"""
    constants = study.run(HEAD + text).constants()
    assert constants == {"size": 3, "scale": 0.5, "offset": 1, "dt": 0.5, "x": 2}


def test_equal_defaults_of_one_name_are_one_value(study):
    text = """
nan = float("nan")

@parameter
def p(dt=0.1, gone=nan):
    return dt

@experiment
def f(p, dt=0.1, gone=nan):
    return p + dt
"""
    assert study.call(HEAD + text) == {"result": 0.2}


@pytest.mark.parametrize("arguments", ["p, dt", "dt, p"])
def test_a_default_here_and_a_provider_there_are_two_values(study, arguments):
    text = f"""
@parameter
def dt():
    return 1

@parameter
def p(dt=0.1):
    return dt

@experiment
def f({arguments}):
    return p
"""
    message = problem(study, text)
    assert "'dt' has two values in one experiment" in message
    assert "0.1" in message
    assert "sim_a.py:4" in message


def test_the_order_of_the_arguments_decides_nothing(study):
    texts = [
        f"@parameter\ndef p(dt=0.1):\n    return dt\n@experiment\ndef f({order}):\n    return p + dt\n"
        for order in ("p, dt", "dt, p")
    ]
    outcomes = []
    for i, text in enumerate(texts):
        study.write(f"sim_{i}.py", HEAD + text)
        try:
            outcomes.append(simkit.call(study.module(f"sim_{i}.py").f))
        except SimkitError as error:
            outcomes.append(re.sub(r"sim_\d", "sim", str(error)))
    assert outcomes[0] == outcomes[1]


def test_an_outside_value_settles_unequal_defaults(study):
    text = "@parameter\ndef p(dt=0.1):\n    return dt\n@experiment\ndef f(p, dt=0.2):\n    return [p, dt]\n"
    assert study.run(HEAD + text, set={"dt": 0.3})["result"].tolist() == [[0.3, 0.3]]


# Providers


GROUP = """
@parameter
class Neuron:
    tau: float = 20.0
    n: int = 1
"""


@pytest.mark.parametrize(
    "neuron",
    [
        "",
        "@parameter(name='neuron')\ndef make():\n    return Neuron(n=5)\n",
        "@parameter(name='neuron')\ndef make(k=5):\n    return Neuron(n=k)\n",
    ],
)
def test_a_field_is_set_or_explored_whatever_provides_the_group(study, neuron):
    group = GROUP.replace("@parameter", "@parameter(name='plain')") if neuron else GROUP
    n = 5 if neuron else 1
    text = HEAD + group + neuron + "@experiment\ndef f(neuron):\n    return [neuron.tau, neuron.n]\n"
    traj = study.run(text, set={"neuron.tau": 3.0})
    assert traj["result"].tolist() == [[3.0, n]]
    assert traj["neuron.tau"].tolist() == [3.0]
    space = simkit.product({"neuron.tau": [1.0, 2.0]})
    traj = simkit.run(study.module("sim_a.py").f, space)
    assert traj["result"].tolist() == [[1.0, n], [2.0, n]]
    assert traj["neuron.tau"].tolist() == [1.0, 2.0]
    assert traj["neuron.n"].tolist() == [n, n]


def test_a_field_of_a_default_group_can_be_set(study):
    text = HEAD + GROUP + "@experiment\ndef f(cell=Neuron(n=7)):\n    return [cell.tau, cell.n]\n"
    traj = study.run(text, set={"cell.tau": 3.0})
    assert traj["result"].tolist() == [[3.0, 7]]
    assert traj.constants() == {"cell.tau": 3.0, "cell.n": 7}


def test_an_explored_field_reaches_what_derives_from_the_group(study):
    text = (
        GROUP
        + """
@parameter
def dt(neuron):
    return neuron.tau / 10

@experiment
@product({"neuron.tau": [10.0, 20.0]})
def f(dt):
    return dt
"""
    )
    traj = study.run(HEAD + text)
    assert traj["dt"].tolist() == traj["result"].tolist() == [1.0, 2.0]


def test_a_whole_group_can_be_explored(study):
    text = (
        GROUP
        + "@experiment\n@product(neuron=[Neuron(n=2), Neuron(n=3)])\ndef f(neuron):\n    return neuron.n\n"
    )
    assert study.run(HEAD + text)["result"].tolist() == [2, 3]


def test_a_field_without_a_value_says_how_to_give_one(study):
    message = problem(
        study, "@parameter\nclass Neuron:\n    tau: float\n@experiment\ndef f(neuron):\n    return 1\n"
    )
    assert "neuron.tau has no value" in message
    assert "requested by experiment f (sim_a.py:" in message
    assert "product({'neuron.tau': […]})" in message
    assert "--set neuron.tau=…" in message


# Wrapping


def test_a_provider_that_asks_for_its_own_name_gets_the_next_outer_one(study):
    study.write("simconf.py", HEAD + GROUP + "@parameter\ndef dt():\n    return 1\n")
    study.write(
        "sub/simconf.py",
        HEAD + "@parameter\ndef neuron(neuron, n=50):\n    return attrs.evolve(neuron, n=n)\n",
    )
    study.write(
        "sub/sim_b.py",
        HEAD
        + "@parameter\ndef neuron(neuron, dt):\n    return attrs.evolve(neuron, tau=neuron.tau + dt)\n"
        + "@experiment\ndef f(neuron):\n    return [neuron.tau, neuron.n]\n",
    )
    traj = simkit.run(study.module("sub/sim_b.py").f)
    assert traj["result"].tolist() == [[21.0, 50]]
    assert (traj.parameters.neuron.tau, traj.parameters.neuron.n, traj.parameters.n) == (21.0, 50, 50)


def test_a_value_from_outside_lies_on_top_of_a_wrapping_provider(study):
    study.write("simconf.py", HEAD + GROUP)
    text = "@parameter\ndef neuron(neuron):\n    return attrs.evolve(neuron, tau=neuron.tau * 2)\n"
    text += "@experiment\ndef f(neuron):\n    return [neuron.tau, neuron.n]\n"
    assert study.run(HEAD + text, set={"neuron.n": 9})["result"].tolist() == [[40.0, 9]]
    assert study.run(HEAD + text, set={"neuron.tau": 1.0})["result"].tolist() == [[1.0, 1]]


def test_a_fixture_wraps_an_outer_fixture_and_both_tear_down(study):
    study.write(
        "simconf.py",
        HEAD + "events = []\n@fixture\ndef tool():\n    yield ['outer']\n    events.append('outer')\n",
    )
    text = "@fixture\ndef tool(tool):\n    yield [*tool, 'inner']\n    events.append('inner')\n"
    traj = study.run(
        HEAD + "from simconf import events\n" + text + "@experiment\ndef f(tool):\n    return tool\n"
    )
    assert traj["result"].tolist() == [["outer", "inner"]]
    assert study.module("simconf.py").events == ["inner", "outer"]


def test_a_wrapping_provider_may_depend_on_what_is_explored(study):
    study.write("simconf.py", HEAD + "@parameter\ndef w():\n    return 100\n")
    text = "@parameter\ndef w(w, x):\n    return w + x\n@experiment\n@product(x=[1, 2])\ndef f(w):\n    return w\n"
    assert study.run(HEAD + text)["w"].tolist() == [101, 102]


def test_wrapping_nothing_is_an_unknown_name(study):
    message = problem(study, "@parameter\ndef w(w):\n    return w\n@experiment\ndef f(w):\n    return w\n")
    assert "parameter w needs 'w', but nothing provides it" in message


# Sums of spaces


@pytest.mark.parametrize("normal", ["y=7", "*, y=7"])
def test_where_a_sum_lacks_a_name_its_default_is_injected_and_recorded(study, normal):
    text = (
        HEAD
        + f"@experiment\n@(explore(x=[1, 2]) + explore(x=[3], y=[4]))\ndef f(x, {normal}):\n    return x * y\n"
    )
    traj = study.run(text)
    assert traj["result"].tolist() == [7, 14, 12]
    assert traj["y"].tolist() == [7, 7, 4]
    assert traj.explored == ("x", "y")


def test_where_a_sum_lacks_a_name_its_provider_gives_it_per_run(study):
    text = """
@parameter
def y(x):
    return 10 * x

@experiment
@(explore(x=[1, 2]) + explore(x=[3], y=[4]))
def f(x, y):
    return y
"""
    traj = study.run(HEAD + text)
    assert traj["result"].tolist() == traj["y"].tolist() == [10, 20, 4]


def test_where_a_sum_lacks_a_field_the_group_keeps_its_own(study):
    text = (
        GROUP
        + """
@experiment
@(explore({"neuron.tau": [1.0]}) + explore({"neuron.n": [5]}))
def f(neuron):
    return [neuron.tau, neuron.n]
"""
    )
    traj = study.run(HEAD + text)
    assert traj["result"].tolist() == [[1.0, 1], [20.0, 5]]
    assert traj["neuron.tau"].tolist() == [1.0, 20.0]
    assert traj["neuron.n"].tolist() == [1, 5]


def test_where_a_sum_lacks_a_name_an_outside_value_stands_in(study):
    study.write("pyproject.toml", "[tool.simkit.parameters]\ny = 5\n")
    text = HEAD + "@experiment\n@(explore(x=[1]) + explore(x=[1], y=[4]))\ndef f(x, y=0):\n    return y\n"
    assert study.run(text)["y"].tolist() == [5, 4]


def test_where_a_sum_lacks_a_name_that_nothing_gives_there_is_an_error(study):
    message = problem(
        study, "@experiment\n@(explore(x=[1]) + explore(x=[1], y=[4]))\ndef f(x, y):\n    return y\n"
    )
    assert "needs 'y', but some points do not explore it, and nothing else gives its value" in message
