"""What is kept of a session: how it ended."""

from __future__ import annotations

import pytest

import simkit

SOURCE = """
from simkit import experiment, product
import scipy.special

@experiment
@product(x=[1.0, 2.0])
def f(x, seed):
    return {"z": scipy.special.gamma(x)}
"""


def last(trajectory):
    with simkit.open(trajectory.path) as opened:
        return opened.info.sessions[-1]


def test_an_interrupted_session_tells_how_it_ended(study):
    stop = "    import os, signal\n    os.kill(os.getpid(), signal.SIGINT)\n    return"
    with pytest.raises(KeyboardInterrupt):
        study.run(SOURCE.replace("    return", stop))
    session = simkit.open("f").info.sessions[-1]
    assert session["outcome"].endswith("interrupted")
    assert "ended" in session


def test_a_failed_session_tells_how_it_ended(study):
    assert last(study.run(SOURCE.replace("    return", "    1 / 0\n    return")))["outcome"] == "2 failed"


def test_a_killed_session_has_no_end(project):
    project.file(
        "sim_k.py",
        "import os\nfrom simkit import experiment\n@experiment\ndef k():\n    os.kill(os.getpid(), 9)\n",
    )
    assert project.simkit("-n", "0").code == -9
    session = project.open("k-001").info.sessions[-1]
    assert "ended" not in session
    assert session["started"] > 0
    assert "it was killed" in project.ok("show", "results/k-001.h5", "--provenance").out
