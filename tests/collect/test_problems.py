"""What can be wrong with an experiment's names, and what is said of it."""

from __future__ import annotations

import re

import pytest

from simkit import SimkitError
from simkit.collect.problems import how_to_explore
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


# Providers


GROUP = """
@parameter
class Neuron:
    tau: float = 20.0
    n: int = 1
"""


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


def test_a_field_of_a_group_that_the_experiment_does_not_ask_for_is_no_misspelt_name(study):
    text = f"{GROUP}\n@experiment\n@product({{'neuron.tau': [1.0, 2.0]}})\ndef f(k: int = 3):\n    return k\n"
    message = problem(study, text)
    assert "'neuron.tau' is explored, but nothing in experiment f uses it\n" in message
    assert "add 'neuron' to the arguments of the experiment or of a provider that it needs" in message
    assert "did you mean" not in message


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


@pytest.mark.parametrize("provider", ["", "@parameter(name='neuron')\ndef make():\n    return Neuron()\n"])
def test_setting_an_explored_field_is_the_same_error_whatever_provides_the_group(study, provider):
    name = "(name='plain')" if provider else ""
    text = (
        f"@parameter{name}\nclass Neuron:\n    tau: float = 1.0\n{provider}"
        "@experiment\n@product({'neuron.tau': [1.0, 2.0]})\ndef f(neuron):\n    return 1\n"
    )
    message = problem(study, text, outside={"neuron.tau": 3})
    assert "--set neuron.tau=3: 'neuron.tau' is explored" in message


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


RETURNS = """
import dataclasses, typing
@dataclasses.dataclass
class Data:
    tau: float
class Tuple(typing.NamedTuple):
    z: float
    tau: float
class Typed(typing.TypedDict):
    tau: float
@attrs.frozen
class Attrs:
    tau: float = 0.0
"""


@pytest.mark.parametrize(
    "kind", ["Data", "Tuple", "Typed", "Attrs", "typing.Annotated[Data, 'what it gives']"]
)
def test_a_result_that_is_annotated_with_the_name_of_a_parameter(study, kind):
    text = RETURNS + f"@experiment\n@product(x=[1])\ndef f(x, tau=1.0) -> {kind}:\n    return None\n"
    message = problem(study, text)
    assert message.startswith(line(study, "@experiment"))
    assert "and its result 'tau' has a parameter's name" in message
    assert "'tau_end'" in message


def test_the_one_result_may_not_be_a_parameter_either(study):
    message = problem(study, "@experiment\n@product(result=[1])\ndef f(result) -> float:\n    return 1.0\n")
    assert "f returns float, and its result 'result' has a parameter's name" in message


@pytest.mark.parametrize(
    "kind", ["dict[str, float]", "None", "typing.Any", "object", "'unknown'", "dict | None", "Tuple"]
)
def test_an_annotation_that_names_no_parameter_is_no_problem(study, kind):
    study.plan(
        HEAD + RETURNS + f"@experiment\n@product(result=[1])\ndef f(result) -> {kind}:\n    return None\n"
    )


VECTORIZED = """
import numpy as np

@fixture
def state(rng):
    return rng

@fixture(scope="experiment")
def table():
    return {}

@parameter
def depth(x, rng):
    return x + rng.random()

"""


def test_what_each_run_has_of_its_own_can_not_be_given_to_a_call_of_many(study):
    text = VECTORIZED + (
        "@experiment(vectorized=True)\n@product(x=[1])\ndef f(x, rng, state, workdir, seed, table):\n    return x\n"
    )
    message = problem(study, text)
    assert message.startswith(line(study, "@experiment"))
    said = r"f is vectorized: one call computes many runs, and it asks for what each run has of its own: "
    assert re.search(said + r"'rng', fixture 'state' \(sim_a.py:\d+\), 'workdir'\n", message)
    assert "ask for 'seed'" in message


def test_what_is_made_run_by_run_may_ask_for_it(study):
    function = "def f(x, depth, seed, random_state, run, table):\n    return x\n"
    study.plan(HEAD + VECTORIZED + "@experiment(vectorized=True)\n@product(x=[1])\n" + function)


def test_a_name_of_the_users_own_is_no_stream(study):
    study.plan(
        HEAD + "@experiment(vectorized=True)\n@product(x=[1])\ndef f(x, rng=3, workdir='a'):\n    return x\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("neuron, table", 'explore with @product({"neuron.tau": […]})'),
        ("table, rng, half", "explore with @product(half=[…])"),
        ("rng, table", "to explore, give it an argument: @product(x=[…]) and def f(x, …)"),
        ("", "to explore, give it an argument: @product(x=[…]) and def f(x, …)"),
    ],
)
def test_how_an_experiment_without_a_space_would_be_explored(study, arguments, words):
    plan = study.plan(
        HEAD
        + f"""
@parameter
class Neuron:
    tau: float = 20.0

@fixture
def table():
    return [1, 2]

@parameter
def half(neuron):
    return neuron.tau / 2

@experiment
def f({arguments}):
    return 1
"""
    )
    assert how_to_explore(plan) == words
