"""``simkit diff``: how two trajectories differ."""

from __future__ import annotations

import shutil

import h5py
import pytest
from compared import SOURCE, record, section, told
from conftest import Project

from simkit.cli.main import main


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """Six runs, one failed, recorded once for all tests."""
    made = Project(tmp_path_factory.mktemp("once") / "study")
    made.file("sim_a.py", SOURCE)
    assert made.simkit("-n", "0", "--seed", "3", "--output", "a.h5").code == 1
    return made.path


@pytest.fixture
def pair(once, project):
    """A copy of that study; records b.h5 with other options or code."""
    shutil.copytree(once, project.path, dirs_exist_ok=True)
    return project


def test_the_same_study_run_twice_is_the_same(pair):
    record(pair, "--seed", "99", old="# a remark", new="# another remark", code=1)
    lines = told(pair, code=0)
    assert lines[:2] == ["A a.h5 sim_a.py::sim 6 runs", "B b.h5 sim_a.py::sim 6 runs"]
    assert lines[-1] == "the same: 6 points, 5 columns, code and packages"
    assert told(pair, "a.h5", "a.h5", code=0)


def test_code_function_by_function(pair):
    record(
        pair,
        old="    return x * neuron.tau",
        new="    y = x * neuron.tau\n    return helper(y)\n\ndef helper(y):\n    return y",
        code=1,
    )
    lines = section(told(pair), "code")
    assert lines == [
        "sim_a.py::drive differs",
        "def drive(x, neuron):",
        "- return x * neuron.tau",
        "+ y = x * neuron.tau",
        "+ return helper(y)",
        "sim_a.py::helper only in B",
    ]


def test_results_by_type_name_and_tolerance(pair):
    record(
        pair,
        "--set",
        "gain=2.5",
        old='"z": drive * w * gain, "trace": np.arange(8) * gain, "text"',
        new='"z": drive * w * 2.0000000001, "more": 1, "trace": np.arange(8.0), "text"',
    )
    lines = section(told(pair), "results at the points that both have done")
    assert "z differs at 5 of 5 points" in lines
    assert "more only in B" in lines
    lines = section(told(pair, "a.h5", "b.h5", "--rtol", "1e-6"), "results at the points that both have done")
    assert "the same: drive, z, text, same" in lines
    record(pair, "--fresh", "--set", "gain=2.5", old='"same": x', new='"same": float(x)')
    lines = section(told(pair, "a.h5", "b.h5::sim-002"), "results at the points that both have done")
    assert lines[lines.index("same differs at 5 of 5 points") + 1] == "run 0: 1 | 1.0"


def test_repeats_seeds_units_packages_and_experiments(pair):
    draws = SOURCE.replace("(x, w,", "(rng, x, w,")
    pair.file(
        "sim_b.py",
        draws.replace("def sim", "def other").replace('Unit("ms")', 'Unit("s")').replace("no luck", "luck"),
    )
    pair.simkit("sim_b.py", "-n", "0", "--output", "b.h5", "--repeat", "2", "--seed", "5")
    with h5py.File(pair.path / "b.h5", "r+") as file:
        session = next(iter(file["other/info"].values()))
        for name, value in (("packages", '{"numpy": "1.0"}'), ("python", "2.7.18")):
            if name in session.attrs:
                session.attrs[name] = value
            else:
                del session[name]
                session[name] = value
    lines = told(pair)
    assert section(lines, "seed") == ["3 | 5"]
    assert "neuron.tau 20.0 ms | 20.0 s" in section(lines, "parameters")
    assert section(lines, "points")[0] == "6 in both, 0 only in A, 6 only in B"
    assert section(lines, "packages")[0].startswith("numpy 2.")
    assert section(lines, "python")[0].endswith("| 2.7.18")
    assert "sim_a.py::sim only in A" in section(lines, "code")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.h5"], "the following arguments are required: B"),
        (["a.h5", "none.h5"], "no such file: none.h5"),
        (["a.h5", "a.h5::simm"], "a.h5 has no experiment 'simm'\n    experiments there: sim"),
        (["a.h5", "sim_a.py"], "sim_a.py: not a trajectory file"),
        (["a.h5", "a.h5", "--rtol", "-1"], "--rtol -1.0: give a number from 0 on"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_arguments(once, arguments, message, monkeypatch, capsys):
    monkeypatch.chdir(once)
    assert main(["diff", *arguments]) == 4
    assert message in capsys.readouterr().err
