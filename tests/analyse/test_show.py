"""How a trajectory looks and completes at a prompt and in a notebook."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Annotated

import numpy as np
import pytest

from simkit import Unit, parameter, product


def test_describe(typed):
    about = typed.describe("neuron.tau")
    assert (about.comment, about.unit, about.constant, about.explored) == (
        "membrane time constant",
        "ms",
        True,
        False,
    )
    assert about.origin.startswith("sim_all.py:")
    about = typed.describe("x")
    assert (about.comment, about.unit, about.constant, about.explored) == ("position", "cm", False, True)
    about = typed.describe("dt")
    assert (about.comment, about.unit, about.constant) == ("Time step.", "ms", True)
    about = typed.describe("z")
    assert (about.comment, about.unit, about.section) == ("the product", "mV", "results")
    about = typed.describe("speed")
    assert (about.comment, about.constant, about.explored) == ("Depends on what is explored.", False, False)
    with pytest.raises(KeyError, match=r"did you mean 'speed'\?"):
        typed.describe("spead")


def test_repr(typed, many, whole_study):
    text = repr(typed)
    assert "<Trajectory typed: 6 runs, 6 done>" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "x float cm, explored position" in lines
    assert "neuron.tau = 20.0 ms membrane time constant" in lines
    assert "z float mV the product" in lines
    assert "typed-001.h5" in lines[-1]
    assert "<Trajectory many: 6 runs, 5 done, 1 failed>" in repr(many)
    assert "<Trajectory many: 1 run, 1 failed>" in repr(many.where(status="failed"))
    assert repr(typed.runs) == "<6 runs of typed>"
    assert "x" in repr(typed.runs[0])


@parameter
class Neuron:
    """A leaky neuron."""

    tau: Annotated[float, "membrane time constant", Unit("ms")] = 20.0
    N: int = 10


def spiking(x: Annotated[float, "position <cm>", Unit("cm")], neuron: Neuron, items=3):
    if x == 3:
        raise ValueError("no")
    return {"z": x, "spikes.t": np.arange(8), "spikes.i": np.arange(int(x)), "note": "<b>bold</b>"}


@pytest.fixture
def traj(record):
    return record(spiking, product(x=[1.0, 2.0, 3.0]))


class Text(HTMLParser):
    """The words of a page, and whether its tags are closed."""

    def __init__(self, page):
        super().__init__()
        self.words, self.open, self.hidden = [], [], False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words += data.split()


def told(thing):
    text = Text(thing._repr_html_())
    assert text.open == []
    return " ".join(text.words)


def test_a_trajectory_is_a_tree_in_a_notebook(traj):
    text = told(traj)
    assert text.startswith("spiking: 3 runs, 2 done, 1 failed parameters (")
    assert "neuron tau = 20.0 ms membrane time constant N = 10" in text
    assert "x float cm explored position <cm>" in text
    assert "spikes t int64 (8,) i ragged int64" in text
    assert text.endswith("traj-1.h5")


def test_parameters_results_groups_and_runs_are_trees(traj):
    assert told(traj.parameters.neuron) == "parameters neuron tau = 20.0 ms membrane time constant N = 10"
    assert "spikes t int64 (8,)" in told(traj.results)
    run = told(traj.runs[1])
    assert run.startswith("run 1 ")
    assert "x 2.0 cm position <cm>" in run
    assert "t array int64 (8,) i array([0, 1])" in run
    assert "note '<b>bold</b>'" in run
    assert "z absent" in told(traj.runs[2])


def test_reprs(traj):
    lines = [" ".join(line.split()) for line in repr(traj.runs[1]).splitlines()]
    assert lines[0] == "<run 1>"
    assert "x 2.0 cm position <cm>" in lines
    assert "neuron.tau 20.0 ms membrane time constant" in lines
    assert "spikes.t array int64 (8,)" in lines
    assert repr(traj.parameters.neuron).splitlines()[1] == "  tau  = 20.0 ms   membrane time constant"
    assert repr(traj.runs[0:2]) == "<2 runs of spiking>"


def test_many_names_are_not_all_shown(record):
    def wide(x):
        return {f"r{i:03}": i for i in range(150)}

    traj = record(wide, product(x=[1]))
    assert "… and 138 more" in repr(traj)
    assert "… and 50 more" in told(traj)
    assert "r120" not in told(traj)


def test_describe_a_group(traj):
    assert traj.describe("neuron").comment == "A leaky neuron."
    about = traj.describe("neuron.tau")
    assert (about.comment, about.unit, about.constant, about.explored) == (
        "membrane time constant", "ms", True, False,
    )  # fmt: skip
    assert about.origin
    with pytest.raises(KeyError, match=r"did you mean 'neuron"):
        traj.describe("neurn.tau")
