"""What was renamed in the code is recognised, and goes on with its done runs once the file knows the new name."""

from __future__ import annotations

import re

import h5py
import pytest

import simkit
from simkit.collect.syntax import bare

SOURCE = """
import os
from simkit import experiment, fixture, parameter, product

@parameter
class Neuron:
    gamma: float = 0.1
    tau: float = 10.0

@parameter
def dt(neuron):
    return neuron.tau / 100

@fixture(scope="experiment")
def network(rng):
    return rng.random()

def helper(a):
    return a * 2

@experiment
@product(x=[1, 2, 3])
def f(x, neuron, dt, network, rng, gain=2.0):
    if x == 3 and not os.path.exists("go"):
        raise ValueError
    total = helper(x) * neuron.gamma * gain
    return {"z": total, "drawn": rng.random(), "wired": network}
"""


@pytest.fixture(scope="module")
def recorded(shared):
    """Two of three runs done, as bytes, with the numbers that an undisturbed study has."""
    shared.file("sim_a.py", SOURCE)
    shared.simkit("-n", "0", "--seed", "7")
    half = (shared.path / "results" / "f-001.h5").read_bytes()
    shared.file("go")
    shared.ok("-n", "0")
    with shared.open("f-001") as traj:
        return half, traj["drawn"].tolist(), traj["wired"].tolist()


def renamed(source, *pairs):
    for old, new in pairs:
        source = re.sub(rf"\b{old}\b", new, source)
    return source


RENAMINGS = {
    "experiment": ([("f", "g")], "sim_a.py", [("sim_a.py::f", "sim_a.py::g")]),
    "file": ([], "models/sim_b.py", [("sim_a.py::f", "models/sim_b.py::f")]),
    "argument": ([("gain", "boost")], "sim_a.py", [("gain", "boost")]),
    "field": ([("gamma", "beta")], "sim_a.py", [("neuron.gamma", "neuron.beta")]),
    "group": ([("neuron", "cell"), ("Neuron", "Cell")], "sim_a.py", [("neuron", "cell")]),
    "derived": ([("dt", "step")], "sim_a.py", [("dt", "step")]),
    "explored": ([("x", "u")], "sim_a.py", [("x", "u")]),
    "result": ([("z", "w")], "sim_a.py", [("z", "w")]),
    "several": (
        [("f", "g"), ("gain", "boost"), ("gamma", "beta"), ("neuron", "cell"), ("Neuron", "Cell"), ("z", "w")],
        "sim_b.py",
        [
            ("gain", "boost"), ("neuron", "cell"), ("cell.gamma", "cell.beta"), ("z", "w"),
            ("sim_a.py::f", "sim_b.py::g"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RENAMINGS)
def test_a_renamed_study_is_recognised_and_goes_on_by_the_command_that_is_said(project, recorded, name):
    half, drawn, wired = recorded
    pairs, file, commands = RENAMINGS[name]
    project.file("results/f-001.h5").write_bytes(half)
    project.file("pyproject.toml", "[tool.simkit]\non_change = 'stop'\n")
    project.file(file, renamed(SOURCE, *pairs))
    stopped = project.simkit("-n", "0")
    assert stopped.code == 4
    said = stopped.err.splitlines()
    for old, new in commands:
        assert f"{old} is called {new} now" in said[0]
    assert said[0].startswith("simkit: results/f-001.h5 is not continued: ")
    told = [line.partition("go on:  simkit ")[2] for line in said[1:-1]]
    assert told == [f"rename {old} {new} results/f-001.h5" for old, new in commands]
    assert said[-1] == "    begin the next trajectory:     simkit --fresh"
    for command in told:
        project.ok(*command.split())
    assert "2 of 3 done, 1 to run\n" in project.ok("--co").out
    project.file("go")
    out = project.ok("-n", "1").out
    assert "2 of 3 runs are done" in out
    path = next((project.path / "results").glob("*.h5"))
    assert path.name == ("g-001.h5" if ("f", "g") in pairs else "f-001.h5")
    with simkit.open(path) as traj:
        called = dict(pairs)
        assert traj[called.get("z", "z")].tolist() == pytest.approx([0.4, 0.8, 1.2])
        assert traj[called.get("x", "x")].tolist() == [1, 2, 3]
        assert traj["drawn"].tolist() == drawn
        assert traj["wired"].tolist() == wired
    assert "nothing to do" in project.ok("-n", "0").out
    assert "3 runs the same" in project.ok("verify", path.stem.partition("-")[0], "-n", "0").out


HELPED = (
    "from lib import scaled\n"
    """
from simkit import experiment, product

@experiment
@product(x=[1, 2])
def f(x):
    return scaled(x)
"""
)
HELPER = "FACTOR = 3\n\ndef scaled(x):\n    return x * FACTOR\n"


def recorded_and_gone(project):
    """A trajectory whose file and helper are no longer where they were."""
    project.file("sim_a.py", HELPED)
    project.file("lib.py", HELPER)
    project.ok("-n", "0")
    for name in ("sim_a.py", "lib.py"):
        project.path.joinpath(name).unlink()


def test_a_file_that_is_moved_with_its_helper_is_recognised(project):
    recorded_and_gone(project)
    project.file("model/sim_b.py", HELPED.replace("from lib", "from parts"))
    project.file("model/parts.py", HELPER)
    out = project.simkit("-n", "0").out
    command = "rename sim_a.py::f model/sim_b.py::f results/f-001.h5"
    assert "sim_a.py::f is called model/sim_b.py::f now" in out
    assert f"    keep its done runs and go on:  simkit {command}\n" in out
    project.path.joinpath("results/f-002.h5").unlink()
    project.ok(*command.split())
    assert "nothing to do" in project.ok("-n", "0").out
    project.file("model/parts.py", HELPER.replace("3", "4"))
    assert "model/parts.py::FACTOR" in project.ok("-n", "0").out.partition("; starting")[0]


MOVED = {
    "a function and its file": (
        {"models/sim_b.py": renamed(SOURCE, ("f", "g"))},
        "sim_a.py::f is called models/sim_b.py::g now",
        "rename sim_a.py::f models/sim_b.py::g results/f-001.h5",
    ),
    "and its helper": (
        {"models/sim_b.py": renamed(SOURCE, ("f", "g"), ("helper", "twice"))},
        "sim_a.py::f is called models/sim_b.py::g now",
        "rename sim_a.py::f models/sim_b.py::g results/f-001.h5",
    ),
    "a file split in two": (
        {
            "model.py": "def helper(a):\n    return a * 2\n",
            "sim_a.py": "from model import helper\n"
            + SOURCE.replace("def helper(a):\n    return a * 2\n", ""),
        },
        "model.py::helper is new; sim_a.py::helper is not used any more",
        "--into results/f-001.h5",
    ),
    "an argument, while another one goes": (
        {"sim_a.py": renamed(SOURCE.replace("    gamma: float = 0.1\n", ""), ("gain", "boost"), ("gamma", "tau"))},
        "neuron.gamma was 0.1, now not set; gain was 2.0, now not set; boost was not set, now 2.0",
        "--into results/f-001.h5",
    ),
    "an argument, while another one comes": (
        {"sim_a.py": renamed(SOURCE, ("gain", "boost")).replace("boost=2.0", "boost=2.0, extra=5")},
        "gain was 2.0, now not set; boost was not set, now 2.0; extra was not set, now 5",
        "--into results/f-001.h5",
    ),
    "two fields that change places": (
        {"sim_a.py": renamed(SOURCE, ("gamma", "Q"), ("tau", "gamma"), ("Q", "tau"))},
        "neuron.gamma was 0.1, now 10.0; neuron.tau was 10.0, now 0.1",
        "--into results/f-001.h5",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVED)
def test_what_is_renamed_and_moved_at_once_is_never_a_beginning_without_a_word(project, recorded, name):
    files, differs, command = MOVED[name]
    old = project.file("results/f-001.h5")
    old.write_bytes(recorded[0])
    project.file("pyproject.toml", "[tool.simkit]\non_change = 'stop'\n")
    for file, source in files.items():
        project.file(file, source)
    stopped = project.simkit("-n", "0")
    assert stopped.code == 4
    assert f"results/f-001.h5 is not continued: {differs}" in stopped.err
    assert f"    keep its done runs and go on:  simkit {command}\n" in stopped.err
    assert [path.name for path in old.parent.iterdir()] == ["f-001.h5"]
    assert old.read_bytes() == recorded[0]


LIBRARY = """
def helper(a):
    return a * 2
"""
USER = """
from simkit import experiment, product
{import}

@experiment
@product(x=[1, 2, 3])
def f(x):
    return {"z": {call}(x)}
"""


@pytest.mark.parametrize(
    ("line", "call", "then"),
    [
        ("from pkg import helper", "helper", "lib"),
        ("import pkg", "pkg.helper", "lib"),
        ("from pkg.model import helper", "helper", "lib.core"),
    ],
)
def test_a_renamed_package_is_told_and_other_code_in_it_as_well(project, line, call, then):
    source = USER.replace("{import}", line).replace("{call}", call)
    project.file("sim_a.py", source)
    project.file("pkg/__init__.py", "from .model import helper\n")
    project.file("pkg/model.py", LIBRARY)
    project.ok("-n", "0")
    project.path.joinpath("pkg").rename(project.path / "old")
    for folder in {"lib", then.replace(".", "/")}:
        project.file(
            f"{folder}/__init__.py", "from .model import helper\n" * (folder != "lib" or then == "lib")
        )
    module = then.replace(".", "/") + "/model.py"
    project.file(module, LIBRARY)
    project.file("sim_a.py", source.replace("pkg", then))
    out = project.ok("-n", "0").out
    assert f"{module}::helper is new; pkg/model.py::helper is not used any more" in out
    assert "keep its done runs and go on:  simkit --into results/f-001.h5" in out
    assert "nothing to do" in project.ok("-n", "0").out
    project.file(module, LIBRARY.replace("2", "3"))
    assert f"{module}::helper changed" in project.ok("-n", "0").out
    with project.open("f-003") as traj:
        assert traj["z"].tolist() == [3, 6, 9]


def test_a_moved_helper_with_other_code_is_no_renaming(project):
    recorded_and_gone(project)
    project.file("model/sim_a.py", HELPED)
    project.file("model/lib.py", HELPER.replace("3", "4"))
    assert "is called" not in project.ok("-n", "0").out
    with project.open("f-002") as traj:
        assert traj["result"].tolist() == [4, 8]


def test_in_less_than_a_minute_the_next_trajectory_begins_and_the_command_is_said(project, recorded):
    project.file("results/f-001.h5").write_bytes(recorded[0])
    project.file("sim_a.py", renamed(SOURCE, ("gain", "boost")))
    out = project.simkit("-n", "0").out
    assert (
        "results/f-001.h5 is not continued: gain is called boost now; starting results/f-002.h5\n"
        "    keep its done runs and go on:  simkit rename gain boost results/f-001.h5\n"
    ) in out


def test_an_hour_of_runs_is_never_set_aside_for_a_name(project, recorded):
    path = project.file("results/f-001.h5")
    path.write_bytes(recorded[0])
    with h5py.File(path, "r+") as file:
        file["f/runs/seconds"][:] = 1800
    project.file("sim_b.py", renamed(SOURCE, ("f", "g")))
    stopped = project.simkit("-n", "0")
    assert stopped.code == 4
    assert "simkit rename sim_a.py::f sim_b.py::g results/f-001.h5" in stopped.err
    assert not project.has("results/g-001.h5")
    project.ok("rename", "sim_a.py::f", "sim_b.py::g")
    assert project.simkit("-n", "0").code == 1
    assert project.has("results/g-001.h5")


@pytest.mark.parametrize(
    "pairs",
    [
        [("gain", "boost"), ("a \\* 2", "a * 3")],  # other code as well
        [("total = helper", "total = 1 + helper"), ("z", "w")],
        [("random", "normal")],  # a function of somebody else's is no name of ours
        [("ValueError", "OSError")],
    ],
)
def test_what_is_more_than_a_name_is_no_renaming(project, recorded, pairs):
    project.file("results/f-001.h5").write_bytes(recorded[0])
    project.file("sim_a.py", renamed(SOURCE, *pairs).replace("rng.normal", "rng.standard_normal"))
    out = project.simkit("-n", "0").out
    assert "changed" in out.partition("; starting")[0]
    assert "simkit rename" not in out


def test_a_copy_beside_the_first_is_no_renaming(project, recorded):
    project.file("results/f-001.h5").write_bytes(recorded[0])
    project.file("sim_a.py", SOURCE)
    project.file("sim_b.py", renamed(SOURCE, ("f", "g")))
    assert "simkit rename" not in project.simkit("-n", "0", "sim_b.py").out


def test_two_names_that_become_one_are_no_renaming(project):
    body = "    {2} = 5\n    return {0} + {1} * {2}\n"
    source = "from simkit import experiment\n@experiment\ndef f({0}=2, {1}=3):\n" + body
    project.file("sim_a.py", source.format("a", "b", "c"))
    project.ok("-n", "0")
    project.file("sim_a.py", source.format("a", "c", "c"))
    assert "simkit rename" not in project.ok("-n", "0").out


def test_links_remarks_and_order_follow_the_name(project, recorded):
    path = project.file("results/f-001.h5")
    path.write_bytes(recorded[0])
    with simkit.open(path, mode="r+") as traj:
        traj.link("mine", "neuron.gamma")
        traj.note({"neuron.gamma": "a guess"})
        before = traj.names("parameters")
    project.ok("rename", "neuron", "cell")
    project.ok("rename", "cell.gamma", "cell.beta")
    project.ok("rename", "f", "g")
    with simkit.open(project.path / "results" / "g-001.h5") as traj:
        assert traj.links.mine == 0.1
        assert traj.names("parameters") == [
            name.replace("neuron.gamma", "cell.beta").replace("neuron", "cell") for name in before
        ]
        assert traj.notes("cell.beta") == ["a guess"]
        assert traj.parameters.cell.beta == 0.1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["foo", "bar"], "nothing is recorded as 'foo'\n    recorded: "),
        (["gain", "gain"], "gain is its name already"),
        (["z", "drawn"], "'z' can't be called 'drawn': 'drawn' is recorded there"),
        (["z", "gain.z"], "'z' can't be called 'gain.z': 'gain' is recorded there"),
        (["z", "neuron"], "'z' can't be called 'neuron': 'neuron' is recorded there"),
        (["z", "no name"], "'no name' is no name for a parameter or result"),
        (["sim_a.py::f", "g"], "write FILE::NAME for the new name, too"),
        (["sim_x.py::f", "sim_x.py::g"], "no trajectory of sim_x.py::f\n    recorded: sim_a.py::f"),
        (["z", "w", "gone.h5"], "no such file: gone.h5"),
    ],
)
def test_what_cannot_be_renamed(project, recorded, arguments, words):
    path = project.file("results/f-001.h5")
    path.write_bytes(recorded[0])
    result = project.simkit("rename", *arguments)
    assert result.code == 4
    assert words in result.err, result.err
    assert path.read_bytes() == recorded[0]


def test_a_name_of_several_experiments_needs_its_file(project):
    source = "from simkit import experiment\n@experiment\ndef {0}(gain=2):\n    return gain\n"
    for name in ("one", "gain"):
        project.file(f"sim_{name}.py", source.format(name))
    project.ok("-n", "0")
    error = project.simkit("rename", "gain", "boost").err
    assert "gain is an experiment, and a name in sim_gain.py::gain, sim_one.py::one" in error
    (project.path / "results" / "gain-001.h5").rename(project.path / "results" / "two-001.h5")
    project.ok("rename", "sim_gain.py::gain", "sim_gain.py::other")
    error = project.simkit("rename", "gain", "boost").err
    assert "gain is recorded of sim_gain.py::other, sim_one.py::one: write the trajectories" in error
    project.ok("rename", "gain", "boost", "results/one-001.h5")
    assert project.open("one-001").parameters.boost == 2


def test_in_a_file_of_several_experiments_the_group_is_renamed(project):
    source = "from simkit import experiment\n@experiment\ndef {0}(gain=2):\n    return gain\n"
    for name in ("one", "two"):
        project.file(f"sim_{name}.py", source.format(name))
    project.ok("-n", "0", "--output", "study.h5")
    project.ok("-n", "0", "--output", "study.h5", "--set", "gain=3", "sim_one.py")
    out = project.ok("rename", "sim_one.py::one", "sim_one.py::uno", "study.h5").out
    assert out == "study.h5: sim_one.py::one is sim_one.py::uno now\n" * 2
    with h5py.File(project.path / "study.h5") as file:
        assert sorted(file) == ["two", "uno", "uno-002"]


def test_a_file_that_is_written_is_not_renamed(project, recorded):
    path = project.file("results/f-001.h5")
    path.write_bytes(recorded[0])
    with simkit.open(path, mode="r+"):
        result = project.simkit("rename", "f", "g")
    assert result.code == 4
    assert "f-001.h5" in result.err


TWICE = "from simkit import experiment, parameter\n{0}\ndef a():\n    pass\n\n{1}\ndef a():\n    pass\n"


@pytest.mark.parametrize("tags", [("@experiment", "@experiment"), ("@parameter", "@experiment")])
def test_two_of_one_name_in_a_file_are_an_error_at_the_decorator(project, tags):
    project.file("sim_a.py", TWICE.format(*tags))
    error = project.simkit().err
    assert "sim_a.py:6: a second a in this file, so that the one of line 3 would be forgotten" in error
    assert "give one of them another name" in error


def test_one_name_in_two_branches_or_defined_again_by_a_notebook_is_no_error(project):
    project.file(
        "sim_a.py",
        "from simkit import experiment\nif True:\n    @experiment\n    def a():\n        return 1\n"
        "else:\n    @experiment\n    def a():\n        return 2\n",
    )
    project.ok("--co")
    cell = "@simkit.experiment\\ndef a():\\n    return 1\\n"
    cells = f"import simkit\nfor value in (1, 2):\n    exec('{cell}', globals())\n"
    project.file("script.py", cells)
    assert project.python("script.py").code == 0


def test_what_does_not_count_is_left_out_of_the_comparison():
    assert bare("def f(:") is None
