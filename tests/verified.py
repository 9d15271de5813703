"""A study whose runs are executed again: what tests of ``verify`` share."""

from __future__ import annotations

SOURCE = """
import numpy as np
from simkit import experiment, parameter, product

@parameter
class Neuron:
    tau: float = 20.0
    n: int = 3

@parameter
def dt(neuron):
    return neuron.tau / 100

@parameter
def drive(x, dt):
    return x * dt

@experiment
@product(x=[1, 2, 3], w=[0.5, 1.5])
def sim(x, w, neuron, drive, rng, run, gain=2.0):
    if x == 3 and w == 0.5:
        raise ValueError("no luck")
    print("hello", x)
    run.checkpoint(at=x)
    run.add(added={"list": [x] * x, "text": "t"})
    return {"z": drive * w * gain, "trace": rng.normal(size=5)}
"""


def changed(project, old, new):
    """The file with a text in it replaced."""
    assert old in SOURCE
    project.file("sim_a.py", SOURCE.replace(old, new))


def squeezed(text):
    """Lines with single blanks."""
    return [" ".join(line.split()) for line in text.splitlines()]
