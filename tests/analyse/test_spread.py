"""What a figure shows: which runs share a point, and where values stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import simkit
from simkit import Unit, explore, product


class Rate(NamedTuple):
    rate: Annotated[float, "firing rate", Unit("Hz")]
    trace: list[float]
    word: str


def neuron(x: Annotated[float, "stimulus position", Unit("cm")], y, rng, kind="a") -> Rate:
    if x > 8 and y == 1:
        raise ValueError("burnt out")
    return Rate(x * y + rng.normal(), [1.0, 2.0], "text")


@pytest.fixture(autouse=True)
def _figures() -> Iterator[None]:
    mpl.use("agg")
    yield
    plt.close("all")


@pytest.fixture
def traj(record):
    return record(neuron, product(x=[0.0, 10.0, 5.0], y=[1.0, 2.0]).repeat(4))


def test_words_stand_one_after_the_other_and_geometric_values_on_a_logarithmic_scale(record):
    traj = record(neuron, product(kind=["b", "a"], x=np.logspace(-2, 2, 5)), set={"y": 2.0})
    axes = traj.plot.line("rate", x="kind", hue="x")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["b", "a"]
    axes = traj.plot.line("rate", x="x", hue="kind")
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["b", "a"]
    assert traj.plot.heatmap("rate", x="x").get_xscale() == "log"


def test_what_can_not_be_plotted_says_why_and_what_to_do(record, traj):
    for name, words in {
        "trace": r"trace is more than a number per run: look at one run's, traj\.runs\[0\]\.trace, or reduce it",
        "word": r"word is no real number in every run, so it can't be plotted",
    }.items():
        with pytest.raises(simkit.SimkitError, match=words):
            traj.plot.line(name)
    with pytest.raises(KeyError, match=r"neuron has no 'rat'; did you mean 'rate'\?"):
        traj.plot.line("rat")
    with pytest.raises(
        simkit.SimkitError, match=r"needs two parameters that vary, here is x: use plot\.line"
    ):
        traj.where(y=2.0).plot.heatmap("rate")
    with pytest.raises(simkit.SimkitError, match=r"nothing that was explored varies.*\n.*explored: x, y"):
        traj.where(x=5.0, y=2.0).plot.line("rate")
    three = record(neuron, product(x=[1.0, 2.0], y=[1.0, 2.0], kind=["a", "b"]))
    with pytest.raises(simkit.SimkitError) as caught:
        three.plot.heatmap("rate")
    assert "rate over x and y: kind varies too" in str(caught.value)
    assert "traj.where(kind='a').plot" in str(caught.value)
    assert three.where(kind="a").plot.heatmap("rate").collections[0].get_array().shape == (2, 2)


def test_names_that_move_together_count_as_one(record):
    traj = record(neuron, explore(x=[1.0, 2.0, 3.0], y=[7.0, 8.0, 9.0]))
    assert len(traj.plot.line("rate").containers) == 1
    assert traj.plot.line("rate", x="y").get_xlabel() == "y"
