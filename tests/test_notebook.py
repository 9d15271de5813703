"""Functions of cells: run by workers in a real kernel, continued when cells run again, told by a bar."""

from __future__ import annotations

import re

import pytest
from notebooks import execute_cells

FIRST = """
import random, threading, time
import numpy as np
import simkit
from simkit import fixture, parameter, product

GAIN = 3
SPACE = product(x=[1, 2, 3, 4])

@parameter
class Neuron:
    tau: float = 2.0
"""
HELPER = "def helper(x):\n    return x * GAIN\n"
SIM = """
def sim(x, neuron, rng, seed):
    time.sleep(0.15)
    if x == 3:
        raise ValueError("not three")
    return {"y": helper(x) * neuron.tau, "draw": rng.random(), "global": [random.random(), np.random.random()]}
"""
RUN = """traj = simkit.run(sim, SPACE, workers=2, seed=1)
print(traj.path.name, len(traj.info.sessions), traj["y"].tolist())"""
REPLAY = (
    "[np.array_equal(traj.replay(i)[n], traj.runs[i][n]) for n in traj.names('results') for i in (0, 1, 3)]"
)
GLOBAL = """def same(other):
    return [other.runs[i]["global"] == traj.runs[i]["global"] for i in (0, 1, 3)]

same(simkit.run(sim, SPACE, seed=1)) + same(simkit.run(sim, SPACE, seed=1, fresh=True))"""


@pytest.fixture(scope="module")
def done(shared):
    """All in one kernel, since each start takes seconds."""
    return execute_cells(
        shared,
        FIRST,
        HELPER,
        SIM,
        RUN + "\ntraj",
        "for x in range(3):\n    GAIN_OF_SOMETHING_ELSE = x\n",
        "%%time\n" + RUN,
        "from itertools import count\n" + HELPER.replace("x * GAIN", "x * GAIN + 1"),
        RUN,
        HELPER + "# as it was",
        RUN,
        "GAIN = 30",
        RUN,
        REPLAY,
        "traj.replay(2)",
        GLOBAL,
        "simkit.run(sim, product(x=[1]), set={'neuron.tua': 1})",
        "def quick(x):\n    return x\nsimkit.run(quick, product(x=[1, 2]))",
    )


def test_functions_of_cells_run_in_workers_and_the_trajectory_is_the_cells_value(done):
    assert "sim-001.h5 1 [6.0, 12.0, nan, 24.0]" in done.texts[3]
    assert "<Trajectory sim: 4 runs, 3 done, 1 failed>" in done.texts[3]


def test_running_a_cell_again_continues(done):
    assert "sim-001.h5 2 [6.0, 12.0, nan, 24.0]" in done.texts[5]


def test_a_changed_cell_is_another_code_version_and_the_old_one_is_found_again(done):
    assert "sim-002.h5 1 [8.0, 14.0, nan, 26.0]" in done.texts[7]
    assert "sim-001.h5 3 [6.0, 12.0, nan, 24.0]" in done.texts[9]
    assert "sim-003.h5 1 [60.0, 120.0, nan, 240.0]" in done.texts[11]


def test_a_bar_shows_how_far_it_is_and_stays_as_it_ended(done):
    bars = [o["data"] for o in done.outputs(3) if o["output_type"] == "display_data"]
    (bar,) = bars
    html, text = ("".join(bar[kind]) for kind in ("text/html", "text/plain"))
    assert html.startswith('<progress value="4" max="4"></progress>')
    assert re.fullmatch(r"sim  4/4  100%  .*\bin .*  1 failed", text.rstrip())
    assert [o["output_type"] for o in done.outputs(16)] == ["execute_result"]  # too quick for one


def test_runs_are_replayed_by_the_functions_of_the_cells(done):
    assert done.texts[12] == str([True] * 9)
    assert "ValueError: not three" in done.errors


def test_global_generators_are_seeded_as_in_files(done):
    assert done.texts[14].endswith(str([True] * 6))


def test_mistakes_are_told_where_the_function_is(done):
    (mistake,) = [error for error in done.errors if error.startswith("SimkitError")]
    assert "neuron.tua" in mistake
    assert "has no field 'tua'; did you mean 'tau'?" in mistake
    assert len(done.errors) == 2
