"""``simkit.call``: one injected run without a file."""

from __future__ import annotations

import numpy as np
import pytest

import simkit
from simkit import SimkitError, experiment, parameter, product


@parameter
class Neuron:
    tau: float = 20.0
    n: int = 1


@parameter
def dt(neuron):
    return neuron.tau / 10


@experiment
@product(x=[1, 2])
def multiply(x, y=3, *, offset=0):
    return {"z": x * y + offset}


@experiment
def uses(neuron, dt):
    return [neuron.tau, neuron.n, dt]


def test_a_call_injects_what_is_not_given():
    assert simkit.call(multiply, x=5) == {"z": 15}
    assert simkit.call(multiply, x=5, y=2, offset=1) == {"z": 11}


def test_a_call_resolves_providers():
    assert simkit.call(uses) == {"result": [20.0, 1, 2.0]}


def test_a_call_replaces_fields_providers_and_groups():
    assert simkit.call(uses, **{"neuron.tau": 5.0}) == {"result": [5.0, 1, 0.5]}
    assert simkit.call(uses, dt=7) == {"result": [20.0, 1, 7]}
    assert simkit.call(uses, neuron=Neuron(tau=1.0, n=2)) == {"result": [1.0, 2, 0.1]}


def test_a_call_needs_no_decorator_and_leaves_no_file(study):
    assert simkit.call(lambda x: x + 1, x=1) == {"result": 2}
    study.call("def f(x):\n    return x\n", x=1)
    assert not list(study.root.rglob("*.h5"))


def test_a_missing_value_is_an_error():
    with pytest.raises(SimkitError, match="experiment multiply needs 'x', but nothing provides it"):
        simkit.call(multiply)


def test_an_unknown_value_suggests_the_name():
    with pytest.raises(SimkitError, match="'of'"):
        simkit.call(multiply, x=1, of=3)
    with pytest.raises(SimkitError, match="did you mean 'offset'"):
        simkit.call(multiply, x=1, ofset=3)


def test_what_the_experiment_raises_is_raised():
    def broken(x):
        raise ZeroDivisionError("here")

    with pytest.raises(ZeroDivisionError, match="here"):
        simkit.call(broken, x=1)


def test_what_an_experiment_with_fixtures_raises_is_raised(study):
    text = """
        from simkit import fixture, experiment

        @fixture
        def tool():
            yield 1

        @experiment
        def f(tool):
            raise KeyError("inside")
        """
    with pytest.raises(KeyError, match="inside"):
        study.call(text)


def test_results_that_can_not_be_kept_are_an_error():
    with pytest.raises(SimkitError, match=r"result z\[1\]: cannot store a function"):
        simkit.call(lambda: {"z": [1, len]})


def test_the_seed_is_fixed_unless_given():
    def draw(rng):
        return rng.random()

    assert simkit.call(draw) == simkit.call(draw)
    assert simkit.call(draw, seed=5) == {"result": np.random.default_rng(5).random()}


def test_values_come_back_as_from_a_trajectory():
    result = simkit.call(lambda: {"a": np.float32(1), "b": (1, [2.5]), "c": {"k": None}})
    assert result == {"a": np.float32(1), "b": (1, [2.5]), "c": {"k": None}}
    assert type(result["a"]) is np.float32


def test_fixtures_are_torn_down(study):
    text = """
        from simkit import fixture, experiment
        events = []

        @fixture(scope="experiment")
        def engine():
            yield 1
            events.append("engine")

        @fixture
        def tool(engine):
            yield 2
            events.append("tool")

        @experiment
        def f(tool):
            return tool
        """
    assert study.call(text) == {"result": 2}
    assert study.module("sim_a.py").events == ["tool", "engine"]


def test_added_results_are_returned():
    def f(run):
        run.add(a=1)
        run.append(s=2.0)
        return {"b": run.index}

    result = simkit.call(f)
    assert (result["a"], result["b"], result["s"].tolist()) == (1, 0, [2.0])
