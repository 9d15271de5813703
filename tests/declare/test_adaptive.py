"""Which function chooses an experiment's points."""

import pytest

from simkit import SimkitError, adaptive, experiment, explore, product
from simkit.declare.tags import tag_of


def climb():
    yield explore(x=[1])


def test_it_tags_and_changes_nothing():
    def f(x):
        return x

    for decorated in (experiment(adaptive(climb)(f)), f):
        assert decorated is f
    assert tag_of(f).strategy is climb
    assert tag_of(f).start is None
    assert f(3) == 3


def test_the_order_of_the_decorators_is_free():
    @adaptive(climb, start="old.h5")
    @experiment
    def f(x):
        return x

    assert tag_of(f).kind == "experiment"
    assert tag_of(f).start == "old.h5"


@pytest.mark.parametrize("thing", [3, "climb", climb(), int])
def test_a_strategy_is_a_function(thing):
    with pytest.raises(SimkitError, match=r"test_adaptive.py:\d+: @adaptive names the function"):
        adaptive(thing)


async def later():
    pass


@pytest.mark.parametrize("thing", [later, adaptive])
def test_no_coroutine_and_no_class_is_decorated(thing):
    with pytest.raises(SimkitError):
        adaptive(later) if thing is later else adaptive(climb)(int)


@pytest.mark.parametrize(
    "decorate",
    [
        lambda f: adaptive(climb)(product(x=[1])(f)),
        lambda f: product(x=[1])(adaptive(climb)(f)),
        lambda f: adaptive(climb)(adaptive(climb)(f)),
    ],
)
def test_it_excludes_other_spaces(decorate):
    def f(x):
        return x

    with pytest.raises(SimkitError, match=r"test_adaptive.py:\d+: f has a strategy and another space"):
        decorate(f)


class Asks:
    def ask(self):
        return None


@pytest.mark.parametrize(
    ("thing", "cure"),
    [
        (Asks, "def strategy(): return Asks()"),
        (Asks(), "def strategy(): return …"),
        (3, "def strategy(evaluate): …"),
    ],
)
def test_the_message_says_how_to_wrap_what_is_no_function(thing, cure):
    with pytest.raises(SimkitError, match=r"wrap what is none: ") as error:
        adaptive(thing)
    assert str(error.value).endswith(cure)
