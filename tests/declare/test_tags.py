"""Decorators set a tag and return what they were given."""

from __future__ import annotations

import pickle
import re
from typing import ClassVar

import attrs
import pytest

import simkit
from simkit import SimkitError, after, experiment, explore, fixture, parameter, product
from simkit.declare.tags import tag_of


@experiment
@product(x=[1, 2])
def f(x):
    return x


@after(f)
def mean(trajectory, factor=2):
    return factor


def test_the_function_is_returned_unchanged():
    assert mean(None, 3) == 3
    assert tag_of(mean).kind == "after"
    assert tag_of(f).afters == (mean,)
    assert f(2) == 2


def test_points_and_what_follows_stay_in_the_owner():
    """A worker of a notebook gets the experiment by value: points and what is called afterwards stay where they are."""
    tag = pickle.loads(pickle.dumps(tag_of(f)))
    assert tag.afters == tag.spaces == ()
    assert tag.kind == "experiment"


def test_one_function_may_follow_several_experiments():
    @experiment
    def one():
        pass

    @experiment
    def two():
        pass

    @after(one)
    @after(two)
    def both(trajectory):
        pass

    assert tag_of(one).afters == tag_of(two).afters == (both,)


def test_a_cell_that_is_run_again_replaces_what_it_defined():
    space = {"after": after, "f": f, "__name__": "cells"}
    for number in (1, 2):
        source = f"@after(f)\ndef again(trajectory):\n    return {number}\n"
        exec(compile(source, f"<cell {number}>", "exec"), space)
    assert [made(None) for made in tag_of(f).afters if made.__name__ == "again"] == [2]


def test_it_must_name_an_experiment():
    def plain(trajectory):
        pass

    with pytest.raises(simkit.SimkitError) as caught:
        after(plain)
    assert re.match(
        r".*test_tags\.py:\d+: @after names the experiment that it follows, as in", str(caught.value)
    )
    assert "plain is no experiment\n    decorate plain with @experiment" in str(caught.value)
    with pytest.raises(simkit.SimkitError, match="'f' is no experiment"):
        after("f")


def test_it_marks_a_function_that_returns():
    with pytest.raises(simkit.SimkitError, match="@after marks a function, not <class 'int'>"):
        after(f)(int)
    with pytest.raises(
        simkit.SimkitError, match=r"test_tags\.py:\d+: after steps must return its results, not"
    ):

        @after(f)
        def steps(trajectory):
            yield 1

    with pytest.raises(simkit.SimkitError, match="both is tagged as after and as experiment"):

        @experiment
        @after(f)
        def both(trajectory):
            pass


@experiment
@product(x=[1, 2])
def multiply(x: float, y: float = 3) -> float:
    return x * y


@parameter
class Neuron:
    tau: float = 20.0

    count: ClassVar[int] = 0

    @property
    def rate(self) -> float:
        return 1 / self.tau


def test_a_decorated_function_is_still_that_function():
    def plain(x):
        return x

    assert experiment(plain) is plain
    assert product(x=[1])(plain) is plain
    assert multiply(2, 3) == 6


@pytest.mark.parametrize("decorator", [fixture, fixture(scope="experiment"), parameter, parameter(name="q")])
def test_a_provider_is_still_that_function(decorator):
    def plain():
        return 5

    assert decorator(plain) is plain
    assert plain() == 5


def test_a_decorated_function_is_pickled_by_reference():
    assert pickle.loads(pickle.dumps(multiply)) is multiply


@pytest.mark.parametrize("flip", [False, True])
def test_the_order_of_experiment_and_space_is_free(flip, tmp_path):
    def f(x):
        return x

    first, second = (experiment, product(x=[1, 2])) if flip else (product(x=[1, 2]), experiment)
    second(first(f))
    assert simkit.run(f, output=tmp_path / "f.h5")["result"].tolist() == [1, 2]


def test_stacked_spaces_multiply_from_top_slowest_to_bottom_fastest(tmp_path):
    @explore(x=[1, 2])
    @experiment
    @product(y=[3, 4])
    def f(x, y):
        return 10 * x + y

    assert simkit.run(f, output=tmp_path / "f.h5")["result"].tolist() == [13, 14, 23, 24]


def test_brackets_after_the_decorator_change_nothing():
    @experiment()
    def f():
        return 1

    @fixture()
    def g():
        return 2

    assert (f(), g()) == (1, 2)


def test_a_parameter_class_is_frozen_and_keyword_only_in_place():
    class Plain:
        tau: float = 20.0

    assert parameter(Plain) is Plain
    group = Plain(tau=3.0)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        group.tau = 4.0
    with pytest.raises(TypeError):
        Plain(3.0)


def test_a_parameter_class_keeps_properties_and_class_variables():
    assert Neuron(tau=4.0).rate == 0.25
    assert [field.name for field in attrs.fields(Neuron)] == ["tau"]


@pytest.mark.parametrize(
    ("name", "provides"),
    [
        ("LIFNeuron", "lif_neuron"),
        ("Neuron", "neuron"),
        ("HTTPServer2", "http_server2"),
        ("Syn", "syn"),
        ("dt", "dt"),
    ],
)
def test_a_parameter_class_provides_its_name_in_snake_case(name, provides, study):
    text = f"""
        from simkit import experiment, parameter

        @parameter
        class {name}:
            w: int = 7

        @experiment
        def f({provides}):
            return {provides}.w
        """
    assert study.call(text) == {"result": 7}


def test_a_provider_may_have_another_name(study):
    text = """
        from simkit import experiment, fixture, parameter

        @parameter(name="neuron")
        class Whatever:
            tau: int = 3

        @parameter(name="dt")
        def any_name():
            return 0.5

        @fixture(name="tool")
        def make_tool():
            return "hammer"

        @experiment
        def f(neuron, dt, tool):
            return {"all": [neuron.tau, dt, tool]}
        """
    assert study.call(text) == {"all": [3, 0.5, "hammer"]}


def test_an_attrs_class_keeps_its_own_definition():
    @parameter
    @attrs.frozen
    class Group:
        tau: float = 1.0

    assert Group(2.0).tau == 2.0


def test_a_field_without_annotation_is_refused_with_the_cure():
    with pytest.raises(SimkitError, match=r"Group\.tau has no annotation") as error:

        @parameter
        class Group:
            tau = 3

    assert "write tau: int = 3" in str(error.value)
    assert "test_tags.py:" in str(error.value)


def test_one_function_can_be_one_thing_only():
    with pytest.raises(SimkitError, match="tagged as experiment and as fixture") as error:

        @fixture
        @experiment
        def f():
            return 1

    assert "test_tags.py:" in str(error.value)


def test_an_experiment_returns_and_does_not_yield_or_await():
    def generator():
        yield 1

    async def coroutine():
        return 1

    for function in (generator, coroutine):
        with pytest.raises(SimkitError, match="must return its results, not yield or await"):
            experiment(function)


@pytest.mark.parametrize("thing", [3, "f", Neuron, len])
def test_only_functions_are_experiments_and_fixtures(thing):
    with pytest.raises(SimkitError, match="@experiment marks a function"):
        experiment(thing)
    with pytest.raises(SimkitError, match="@fixture marks a function"):
        fixture(thing)
    with pytest.raises(SimkitError, match="a space decorates an experiment, which is a function"):
        product(x=[1])(thing)


def test_a_parameter_function_returns_a_value():
    with pytest.raises(SimkitError, match="@parameter marks a function that returns a value, or a class"):

        @parameter
        def p():
            yield 1


def test_a_fixture_has_one_of_two_scopes():
    with pytest.raises(SimkitError, match="scope 'session': choose 'run' or 'experiment'"):

        @fixture(scope="session")
        def f():
            return 1


def test_a_subclass_of_a_group_is_no_provider(study):
    text = """
        from simkit import experiment, parameter

        @parameter
        class Neuron:
            tau: int = 3

        class Special(Neuron):
            pass

        @experiment
        def f(special):
            return special.tau
        """
    with pytest.raises(SimkitError, match="needs 'special', but nothing provides it"):
        study.call(text)


@pytest.mark.parametrize(("vectorized", "together"), [(False, None), (True, 0), (1, 1), (4096, 4096)])
def test_how_many_runs_a_call_computes(vectorized, together):
    assert tag_of(experiment(vectorized=vectorized)(lambda x: x)).vectorized is together or together == 4096
    assert tag_of(f).vectorized is None


@pytest.mark.parametrize("wrong", [0, -3, 2.5, "many", None])
def test_another_number_of_runs_is_an_error(wrong):
    with pytest.raises(
        SimkitError, match=r"test_tags.py:\d+: vectorized=.*: give True, or how many runs a call"
    ):
        experiment(vectorized=wrong)


@pytest.mark.parametrize("single", ["isolate", "chdir"])
def test_what_each_run_has_by_itself_excludes_calls_of_many(single):
    with pytest.raises(
        SimkitError, match=rf"{single}=True is for each run by itself, and with vectorized=8 one"
    ):
        experiment(vectorized=8, **{single: True})
    assert tag_of(experiment(vectorized=False, **{single: True})(lambda x: x)).vectorized is None
