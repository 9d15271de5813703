"""What changed since a session: packages, Python, platform."""

from __future__ import annotations
import os
import shutil
import signal
import h5py
import pytest
from conftest import Project
from simkit.cli.main import main


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


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """Six runs, one failed, recorded once for all tests."""
    made = Project(tmp_path_factory.mktemp("once") / "study")
    made.file("sim_a.py", SOURCE)
    assert made.simkit("-n", "0", "--seed", "3").code == 1
    return made.path


@pytest.fixture
def recorded(once, project):
    """A copy of that study."""
    shutil.copytree(once, project.path, dirs_exist_ok=True)
    return project


def squeezed(text):
    """Lines with single blanks."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_other_packages_and_platforms_are_told(recorded):
    with h5py.File(recorded.path / "results/sim-001.h5", "r+") as file:
        session = next(iter(file["sim/info"].values()))
        for name, value in (
            ("packages", '{"numpy": "1.0", "h5py": "2.0", "gone-for-good": "3"}'),
            ("python", "2.7.18"),
        ):
            if name in session.attrs:
                session.attrs[name] = value
            else:
                del session[name]
                session[name] = value
    lines = squeezed(recorded.ok("verify", "results/sim-001.h5").out)
    assert any(line.startswith("packages numpy 1.0, now 2.") for line in lines)
    assert "packages gone-for-good 3, now not installed" in lines
    assert any(line.startswith("python 2.7.18, now 3.") for line in lines)
    with h5py.File(recorded.path / "results/sim-001.h5", "r+") as file:
        session = next(iter(file["sim/info"].values()))
        for name in ("packages", "python", "platform", "code", "simkit"):
            session.attrs.pop(name, None)
            if name in session:
                del session[name]
    assert "5 runs the same" in recorded.ok("verify", "results/sim-001.h5").out


