"""From options to values, spaces, listings and the debugger."""

from __future__ import annotations

import re

import numpy as np
import pytest
from simulations import FAILING, THREE


def test_co_lists_without_running(project):
    project.file("sim_three.py", THREE)
    out = project.ok("--co").out
    assert "sim_three.py::lorenz  2 runs   The attractor." in out
    assert "sim_three.py::rossler  1 run" in out
    assert "3 experiments, 6 runs" in out
    verbose = project.ok("--collect-only", "-v", "sim_three.py::lorenz_slow", "--where", "x != 2").out
    assert "[0]  x=1" in verbose
    assert "[1]" not in verbose
    assert "[2]  x=3" in verbose
    assert "2 runs" in verbose
    assert project.ok("--co", "-q").out.splitlines() == [
        "sim_three.py::lorenz",
        "sim_three.py::lorenz_slow",
        "sim_three.py::rossler",
    ]
    assert not project.has("results")


# Values and points from the command line


GROUPS = '''
from typing import Annotated
from simkit import Unit, experiment, parameter, product

@parameter
class Neuron:
    """Integrate-and-fire."""
    N: Annotated[int, "number of neurons"] = 100
    tau: Annotated[float, "membrane time constant", Unit("ms")] = 20.0

@parameter
def dt(neuron: Neuron) -> float:
    """Time step."""
    return neuron.tau / 100

@experiment
@product(x=[1, 2], y=[0.5])
def group(x: int, y: float, neuron, dt, gain: Annotated[float, "amplification"] = 2.0, mode: str = "fast"):
    return {"out": gain * x * neuron.N, "dt_used": dt, "m": mode, "yy": y}
'''


def test_set_params_and_config_lay_values_on_top(project):
    project.file("sim_group.py", GROUPS)
    project.file("p.toml", "gain = 3\nmode = 'slow'\n[neuron]\nN = 7\ntau = 50\n")
    project.file("pyproject.toml", "[tool.simkit.parameters]\ngain = 9.0\nneuron.N = 8\n")
    project.ok("--set", "gain=4", "--params", "p.toml", "--set", "mode=3")
    constants = project.open("group-001").parameters
    assert (constants.gain, type(constants.gain)) == (4.0, float)
    assert (constants.neuron.N, constants.neuron.tau, constants.dt) == (7, 50.0, 0.5)
    assert type(constants.neuron.tau) is float
    assert constants.mode == "3"
    assert project.open("group-001")["out"].tolist() == [28.0, 56.0]

    project.ok()  # only the configuration
    constants = project.open("group-002").parameters
    assert (constants.gain, constants.neuron.N, constants.neuron.tau) == (9.0, 8, 20.0)

    project.ok("--params", "results/group-001.h5", "--set", "neuron.tau=10")
    constants = project.open("group-003").parameters
    assert (constants.gain, constants.neuron.N, constants.mode) == (4.0, 7, "3")
    assert constants.neuron.tau == 10.0
    assert project.open("group-003").describe("neuron.tau").origin == "--set neuron.tau=10"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("neuron.N=2.5", ["--set neuron.N=2.5", "neuron.N is an int", "2.5 is a float"]),
        ("gain=high", ["--set gain=high", "gain is a float", "'high' is a str"]),
        ("neuron.n=3", ["--set neuron.n=3", "no field 'n'", "did you mean 'N'?", "fields: N, tau"]),
        ("gian=3", ["--set gian=3", "group does not use 'gian'", "did you mean 'gain'?"]),
        ("gain", ["--set gain", "NAME=VALUE"]),
        ("=3", ["--set =3", "NAME=VALUE"]),
    ],
)
def test_wrong_set(project, setting, words):
    project.file("sim_group.py", GROUPS)
    result = project.simkit("--set", setting)
    assert result.code == 4
    assert all(word in result.err for word in words), result.err
    assert not project.has("results")


def test_product_and_explore_replace_axes_and_spaces(multiply):
    multiply.ok("--product", "y=1,2", "--product", "x=5")
    traj = multiply.open("multiply-001")
    assert traj["x"].tolist() == [5.0, 5.0]
    assert traj["x"].dtype == np.float64
    assert traj["y"].tolist() == [1.0, 2.0]
    assert traj["z"].tolist() == [5.0, 10.0]

    multiply.ok("--fresh", "--explore", "x=1,2,3", "y=7,8,9")
    traj = multiply.open("multiply-002")
    assert traj["z"].tolist() == [7.0, 16.0, 27.0]

    multiply.ok("--fresh", "--where", "x < 2", "--repeat", "2", "--seed", "11")
    traj = multiply.open("multiply-003")
    assert len(traj) == 24
    done = traj.where(status="done")
    assert done["trial"].tolist() == [0, 1] * 3
    assert done["y"].tolist() == [6, 6, 7, 7, 8, 8]
    assert traj.info.root_seed == 11


def test_product_multiplies_a_new_axis_fastest(project):
    project.file("sim_group.py", GROUPS)
    project.ok("--product", "gain=1,2", "--product", "neuron.N=10,20")
    traj = project.open("group-001")
    assert traj["x"].tolist() == [1] * 4 + [2] * 4
    assert traj["gain"].tolist() == [1.0, 1.0, 2.0, 2.0] * 2
    assert traj["neuron.N"].tolist() == [10, 20] * 4
    assert traj["out"].tolist() == [10, 20, 20, 40, 20, 40, 40, 80]
    assert traj.explored == ("x", "y", "gain", "neuron.N")
    wrong = project.simkit("--product", "x=1.5")
    assert wrong.code == 4
    assert "--product x=1.5: x is an int, and 1.5 is a float" in wrong.err
    wrong = project.simkit("--explore", "x=1,2", "y=1.0,2.0,3.0")
    assert wrong.code == 4
    assert "x has 2, y has 3" in wrong.err
    wrong = project.simkit("--repeat", "0")
    assert wrong.code == 4
    assert "repeat" in wrong.err


# Reporting


def test_parameters_shows_value_unit_comment_and_origin(project):
    project.file("sim_group.py", GROUPS)
    out = project.ok("--parameters", "--set", "mode=slow").out
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert re.search(r"x +explored: 1, 2", lines["x"])
    assert re.search(r"neuron\.N +100 +number of neurons", lines["neuron.N"])
    assert re.search(r"neuron\.tau +20\.0 ms +membrane time constant", lines["neuron.tau"])
    assert re.search(r"gain +2\.0 +amplification +.*experiment group", lines["gain"])
    assert re.search(r"mode +'slow' +--set mode=slow", lines["mode"])
    assert "Time step." in lines["dt"]
    assert "sim_group.py:" in lines["dt"]
    assert "sim_group.py::group" in out
    assert not project.has("results")


# Debugging


def test_pdb_replays_a_failed_run_without_recording(project):
    project.file("sim_shaky.py", FAILING.format(n=8, bad=5))
    assert project.simkit().code == 1
    file = project.path / "results" / "shaky-001.h5"
    before = file.read_bytes()
    replay = ["sim_shaky.py::shaky[5]", "--pdb"]
    for stdin, words in (("", []), ("c\n", []), ("p i, bad\np 'i' in dir()\nq\n", ["(5, 5)", "True"])):
        result = project.simkit(*replay, stdin=stdin)
        assert result.code == 1, result.err
        assert "ValueError: no luck with 5" in result.out
        assert "sim_shaky.py(9)shaky()" in result.out
        assert "(Pdb)" in result.out
        assert all(word in result.out for word in words), result.out
        assert "replayed without recording" in result.out
        assert "Traceback" not in result.err
    result = project.simkit("sim_shaky.py::shaky[3]", "--pdb")  # a done run is replayed too
    assert result.code == 0
    assert "1 done" in result.out
    assert "replayed without recording" in result.out
    assert "(Pdb)" not in result.out
    assert file.read_bytes() == before
    assert sorted(p.name for p in file.parent.iterdir()) == ["shaky-001.h5"]


def test_pdb_without_a_run_debugs_and_records(project):
    project.file("sim_shaky.py", FAILING.format(n=4, bad=3))
    result = project.simkit("--pdb", stdin="p i\nc\n")
    assert result.code == 1
    assert result.out.count("(Pdb)") >= 1
    assert "workers: 0" in result.out
    assert project.open("shaky-001").status.tolist() == ["done"] * 3 + ["failed"]


RANGES = """
from simkit import experiment

@experiment
def f(x: float = 0.0, n: int = 1, name: str = "a"):
    return x
"""


def test_axes_are_ranges(project):
    project.file("sim_f.py", RANGES)
    project.ok("--product", "x=0:1:11", "--product", "n=1:3:3,7", "--product", "name=0:1:2")
    traj = project.open("f-001")
    assert traj.where(n=1)["x"].tolist() == [float(x) for x in np.linspace(0, 1, 11)]
    assert traj.where(x=0.0)["n"].tolist() == [1, 2, 3, 7]
    assert set(traj["name"].tolist()) == {"0:1:2"}
    project.ok("--explore", "x=logspace(-3,0,4)")
    assert project.open("f-002")["x"].tolist() == [0.001, 0.01, 0.1, 1.0]
    wrong = project.simkit("--product", "n=0:1:11")
    assert (wrong.code, wrong.err) == (4, "simkit: --product n=0:1:11: n is an int, and 0.1 is a float\n")
    wrong = project.simkit("--product", "x=0:1")
    assert (wrong.code, wrong.err.partition(", as")[0]) == (
        4, "simkit: --product x=0:1: 0:1 is no range: write FROM:TO:NUMBER",
    )  # fmt: skip


def test_a_value_without_its_option_is_answered_with_it(project):
    project.file("sim_f.py", RANGES)
    for typed in ("x=3", "model.tau=3*ms"):
        wrong = project.simkit(typed)
        assert wrong.code == 4
        assert f"to give a parameter another value: --set {typed}" in wrong.err


def test_modules_are_imported_from_the_pythonpath_of_the_project(project):
    project.file("pyproject.toml", '[tool.simkit]\npythonpath = ["src"]\n')
    project.file("src/model/__init__.py", "from model.core import go\n")
    project.file("src/model/core.py", "def go(x):\n    return 2 * x\n")
    imports = "from simkit import experiment\nfrom model import go\n"
    project.file("sims/sim_f.py", f"{imports}@experiment\ndef f(x=3):\n    return go(x)\n")
    project.ok("-n", "1", "--start-method", "spawn")
    assert project.open("f-001")["result"].tolist() == [6]
    project.file("src/model/core.py", "def go(x):\n    return 3 * x\n")
    assert "core.py::go changed" in project.ok("-n", "1").out
    assert project.open("f-002")["result"].tolist() == [9]
    project.file("pyproject.toml", "[tool.simkit]\npythonpath = 3\n")
    assert 'pythonpath must be a list of folders such as ["src"], not 3' in project.simkit().err


def test_an_axis_of_ints_takes_a_float_where_the_annotation_says_float(project):
    project.file(
        "sim_f.py",
        """
        from simkit import experiment, product

        @experiment
        @product(x=[1, 2])
        def f(x: float):
            return x
        """,
    )
    project.ok("--product", "x=0.5,2", "-n", "0")
    assert project.open("f-001")["result"].tolist() == [0.5, 2.0]


def test_axes_given_in_two_explore_options_move_together(project):
    project.file("sim_group.py", GROUPS)
    project.ok("-n", "0", "--explore", "x=1,2", "--explore", "y=0.5,1.5")
    traj = project.open("group-001")
    assert (traj["x"].tolist(), traj["y"].tolist()) == ([1, 2], [0.5, 1.5])
