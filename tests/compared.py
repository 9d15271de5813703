"""Two trajectories of a study, and what ``simkit diff`` says of them."""

from __future__ import annotations

import contextlib
import io

from simkit.cli.main import main

SOURCE = """
from typing import Annotated
import numpy as np
from simkit import Unit, experiment, parameter, product

@parameter
class Neuron:
    tau: Annotated[float, Unit("ms")] = 20.0

@parameter
def drive(x, neuron):
    return x * neuron.tau

@experiment
@product(x=[1, 2, 3], w=[0.5, 1.5])
def sim(x, w, drive, gain=2.0):
    # a remark
    if x == 3 and w == 0.5 and gain == 2.0:
        raise ValueError("no luck")
    return {"z": drive * w * gain, "trace": np.arange(8) * gain, "text": "a" * x, "same": x}
"""


def record(project, *options, old="", new="", code=0):
    """b.h5."""
    project.file("sim_a.py", SOURCE.replace(old, new) if old else SOURCE)
    assert project.simkit("-n", "0", "--output", "b.h5", *options).code == code


def told(project, *arguments, code=1):
    """The lines, with single blanks."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(project.path), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        found = main(["diff", *(arguments or ("a.h5", "b.h5"))])  # in this process: it executes nothing
    assert (found, err.getvalue()) == (code, ""), out.getvalue() + err.getvalue()
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def section(lines, title):
    """The lines below a title."""
    start = lines.index(title) + 1
    stop = next((i for i in range(start, len(lines)) if not lines[i]), len(lines))
    return lines[start:stop]
