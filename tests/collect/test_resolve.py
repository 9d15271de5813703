"""Names to values: the lookup order, what is laid on top, and what can be wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest

import simkit
from simkit import SimkitError
from simkit.errors import ProviderFailed

HEAD = "import attrs\nfrom simkit import experiment, explore, fixture, parameter, product\n"


def problem(study, text, **options):
    """The message of what is wrong with an experiment."""
    with pytest.raises(SimkitError) as error:
        study.plan(HEAD + text, **options)
    return str(error.value)


def line(study, text):
    """``sim_a.py:N`` of the line with this text."""
    lines = (study.root / "sim_a.py").read_text().splitlines()
    return f"sim_a.py:{next(i for i, found in enumerate(lines, 1) if text in found)}"


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
def test_a_configured_name_that_an_experiment_does_not_use_is_no_error(study, name):
    study.write("pyproject.toml", f"[tool.simkit.parameters]\n{name} = 10\n")
    assert study.plan(HEAD + "@experiment\ndef f(x=1):\n    return x\n").nodes["x"].value == 1


# Arguments


def test_every_kind_of_argument_is_injected_and_stars_receive_nothing(study):
    text = HEAD + "@experiment\ndef f(a, /, b, *args, c, d=4, **more):\n    return [a, b, args, c, d, more]\n"
    assert study.call(text, a=1, b=2, c=3) == {"result": [1, 2, (), 3, 4, {}]}


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


@pytest.mark.parametrize(
    ("one", "other"), [("0.1", "0.2"), ("1", "1.0"), ("1", "True"), ("None", "0"), ("[1]", "(1,)")]
)
def test_unequal_defaults_of_one_name_name_both_places(study, one, other):
    text = f"@parameter\ndef p(dt={one}):\n    return dt\n@experiment\ndef f(p, dt={other}):\n    return p\n"
    message = problem(study, text)
    assert "'dt' has two values in one experiment" in message
    assert line(study, "def p")[:-1] in message
    assert f"{one} (default of" in message
    assert f"{other} (default of" in message
    assert "experiment f (sim_a.py:" in message
    assert "parameter p (sim_a.py:" in message
    assert "@parameter class" in message


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


def test_a_group_gives_its_fields(study):
    assert study.call(HEAD + GROUP + "@experiment\ndef f(neuron):\n    return neuron.tau\n") == {
        "result": 20.0
    }


def test_a_group_is_recorded_as_its_fields(study):
    text = HEAD + GROUP + "@experiment\ndef f(neuron):\n    return neuron.tau\n"
    assert study.run(text).constants() == {"neuron.tau": 20.0, "neuron.n": 1}


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


def test_an_unknown_field_names_those_there_are(study):
    text = GROUP + "@experiment\n@product({'neuron.tua': [1]})\ndef f(neuron):\n    return 1\n"
    message = problem(study, text)
    assert "'neuron' (sim_a.py:" in message
    assert "has no field 'tua'; did you mean 'tau'" in message
    assert "fields: tau, n" in message


def test_a_field_of_what_is_no_group_is_an_error(study):
    text = "@experiment\n@product({'dt.x': [1]})\ndef f(dt=3):\n    return 1\n"
    message = problem(study, text)
    assert "'dt.x' names a field of 'dt', which is no group" in message
    assert "@parameter class" in message


def test_two_providers_of_one_name_in_a_module_name_both_places(study):
    text = "@parameter\ndef dt():\n    return 1\n@fixture(name='dt')\ndef other():\n    return 2\n"
    message = problem(study, text + "@experiment\ndef f(dt):\n    return dt\n")
    assert "'dt' is provided a second time" in message
    assert "sim_a.py:6" in message
    assert "sim_a.py:3" in message


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


# What can be wrong


def test_an_unknown_name_shows_the_chain_and_what_there_is(study):
    text = """
@parameter
def dt():
    return 1

@fixture
def tool(widht):
    return 1

@parameter
def grid(tool):
    return 1

@experiment
@product(width=[1])
def f(width, grid):
    return 1
"""
    message = problem(study, text)
    assert message.startswith(
        f"{line(study, '@fixture')}: fixture tool needs 'widht', but nothing provides it; did you mean 'width'?"
    )
    assert (
        "requested by fixture tool (sim_a.py:8), which is requested by parameter grid (sim_a.py:12), "
        in message
    )
    assert f"which is requested by experiment f ({line(study, '@experiment')})" in message
    assert re.search(r"available: width, dt, .*grid.*rng.*tool", message)
    assert "write a @parameter or @fixture named 'widht'" in message


def test_a_cycle_shows_its_ring(study):
    text = """
@parameter
def a(b):
    return b

@parameter
def b(c):
    return c

@parameter
def c(a):
    return a

@experiment
def f(a):
    return a
"""
    message = problem(study, text)
    assert "'a' needs itself" in message
    assert re.search(r"parameter a \(sim_a.py:\d+\) → parameter b \(.*\) → parameter c \(.*\) → a", message)


def test_a_cycle_through_a_wrapped_provider_is_found(study):
    study.write("simconf.py", HEAD + "@parameter\ndef a(b):\n    return b\n")
    text = "@parameter\ndef b(a):\n    return a\n@parameter\ndef a(a):\n    return a\n"
    assert "needs itself" in problem(study, text + "@experiment\ndef f(a):\n    return a\n")


def test_an_explored_name_that_nothing_uses_suggests_one_that_is(study):
    message = problem(study, "@experiment\n@product(widht=[1])\ndef f(width=3):\n    return 1\n")
    assert message.startswith(
        "sim_a.py:3: 'widht' is explored, but nothing in experiment f uses it; did you mean 'width'?"
    )
    assert "used: width" in message
    assert "add 'widht' to the arguments" in message


def test_a_field_explored_by_its_bare_name_suggests_the_dotted_one(study):
    message = problem(study, GROUP + "@experiment\n@product(neuron_tau=[1])\ndef f(neuron):\n    return 1\n")
    assert "did you mean 'neuron.tau'" in message


@pytest.mark.parametrize(
    ("needs", "last", "why"),
    [
        ("x", "x", "is explored"),
        ("p", "x", "is explored"),
        ("run", "run", "is made for every run"),
        ("workdir", "workdir", "is made for every run"),
        ("tool", "tool", ""),
    ],
)
def test_a_shared_fixture_may_not_need_what_differs_between_runs(study, needs, last, why):
    text = f"""
@parameter
def p(x):
    return x

@fixture
def tool():
    return 1

@fixture(scope="experiment")
def engine({needs}):
    return 1

@experiment
@product(x=[1, 2])
def f(engine, x):
    return 1
"""
    message = problem(study, text)
    assert "sim_a.py:12: fixture 'engine' is shared by all runs (scope='experiment')" in message
    assert f"but needs {last!r}" in message
    assert why in message
    assert f"engine → {needs}" in message
    assert "scope='run'" in message
    assert "experiment f" in message


def test_setting_an_explored_name_suggests_product(study):
    text = "@experiment\n@product(x=[1, 2])\ndef f(x):\n    return 1\n"
    message = problem(study, text, outside={"x": 3})
    assert "--set x=3: 'x' is explored" in message
    assert "--product x=3" in message


def test_setting_a_name_that_nothing_uses_suggests_one(study):
    message = problem(study, "@experiment\ndef f(width=1):\n    return 1\n", outside={"widht": 3})
    assert "--set widht=3: f does not use 'widht'; did you mean 'width'" in message


def test_a_name_is_a_leaf_or_a_group(study):
    text = (
        GROUP
        + "@experiment\n@product({'neuron': [Neuron()], 'neuron.tau': [1.0]})\ndef f(neuron):\n    return 1\n"
    )
    message = problem(study, text)
    assert "'neuron' is given as a whole, and 'neuron.tau' as a part of it" in message
    assert "sim_a.py:" in message


def test_a_default_that_can_not_be_recorded_is_an_error_at_collection(study):
    message = problem(study, "@experiment\ndef f(x={'a': [len]}):\n    return 1\n")
    assert "parameter x.a[0]: cannot store a function" in message
    assert "default of experiment f (sim_a.py:" in message
    assert "@fixture" in message


def test_a_derived_parameter_that_can_not_be_recorded_is_an_error_before_the_first_run(study):
    text = "@parameter\ndef p():\n    return len\n@experiment\ndef f(p):\n    raise SystemError\n"
    with pytest.raises((SimkitError, ProviderFailed), match="parameter p: cannot store a function") as error:
        study.run(HEAD + text)
    assert "sim_a.py:3" in str(error.value)


def test_an_explored_value_that_can_not_be_recorded_is_named(study):
    text = "@experiment\n@product(how=[len, abs])\ndef f(how):\n    return 1\n"
    with pytest.raises(SimkitError, match=r"how.*: cannot store a function"):
        study.run(HEAD + text)


def test_a_value_of_another_type_is_refused_with_its_source(study):
    text = "@experiment\ndef f(n=3):\n    return n\n"
    assert problem(study, text, outside={"n": 2.5}) == "--set n=2.5: n is an int, and 2.5 is a float"


def test_a_space_on_what_is_no_experiment_is_an_error(study):
    message = problem(
        study, "@product(x=[1])\ndef g(x):\n    return x\n@experiment\ndef f():\n    return 1\n"
    )
    assert "g has a space but is no experiment: add @experiment" in message
    assert "sim_a.py:3" in message


def test_all_experiments_with_a_problem_are_named_together(study):
    study.write(
        "sim_b.py",
        HEAD + "@experiment\ndef one(nope):\n    return 1\n@experiment\ndef two(nada):\n    return 1\n",
    )
    with pytest.raises(SimkitError) as error:
        study.collect()
    assert "needs 'nope'" in str(error.value)
    assert "needs 'nada'" in str(error.value)
