"""``@after``: a tag, and nothing else."""

from __future__ import annotations

import pickle
import re

import pytest

import simkit
from simkit import after, experiment, product
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


def test_what_follows_stays_in_the_owner():
    """A worker of a notebook gets the experiment by value: it must not drag along what is called afterwards."""
    tag = pickle.loads(pickle.dumps(tag_of(f)))
    assert tag.afters == ()
    assert (tag.kind, len(tag.spaces)) == ("experiment", 1)


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
        r".*test_after\.py:\d+: @after names the experiment that it follows, as in", str(caught.value)
    )
    assert "plain is no experiment\n    decorate plain with @experiment" in str(caught.value)
    with pytest.raises(simkit.SimkitError, match="'f' is no experiment"):
        after("f")


def test_it_marks_a_function_that_returns():
    with pytest.raises(simkit.SimkitError, match="@after marks a function, not <class 'int'>"):
        after(f)(int)
    with pytest.raises(
        simkit.SimkitError, match=r"test_after\.py:\d+: after steps must return its results, not"
    ):

        @after(f)
        def steps(trajectory):
            yield 1

    with pytest.raises(simkit.SimkitError, match="both is tagged as after and as experiment"):

        @experiment
        @after(f)
        def both(trajectory):
            pass
