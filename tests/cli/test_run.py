"""The command end to end: select, run, record, continue, report."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import simkit

MULTIPLY = '''
from simkit import experiment, product

@experiment
@product(x=[1.0, 2.0, 3.0, 4.0], y=[6.0, 7.0, 8.0])
def multiply(x: float, y: float) -> dict[str, float]:
    """Multiply two numbers."""
    return {"z": x * y}
'''
OUTER = np.outer([1.0, 2.0, 3.0, 4.0], [6.0, 7.0, 8.0])

THREE = '''
from simkit import experiment, product

@experiment
@product(x=[1, 2])
def lorenz(x):
    """The attractor."""
    return {"a": x}

@experiment
@product(x=[1, 2, 3])
def lorenz_slow(x):
    return {"b": x}

@experiment
def rossler(x=1):
    return {"c": x}
'''


@pytest.fixture
def multiply(project):
    project.file("sim_multiply.py", MULTIPLY)
    return project


def section(text, title):
    """The lines below a rule with this title, up to the next rule."""
    lines = text.splitlines()
    start = next(
        i for i, line in enumerate(lines) if re.fullmatch(rf"[=_-]+ {re.escape(title)} [=_-]+", line)
    )
    rest = lines[start + 1 :]
    stop = next((i for i, line in enumerate(rest) if re.fullmatch(r"[=_-]+ .* [=_-]+", line)), len(rest))
    return "\n".join(rest[:stop])


# The example of DESIGN.md, section 1


def test_the_first_example_says_and_records_what_the_design_shows(multiply):
    result = multiply.simkit("-n", "2")
    lines = result.out.splitlines()
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(r"=+ simkit 0\.1 =+", lines[0])
    assert re.fullmatch(r"rootdir: study   seed: \d+   workers: 2", lines[1])
    assert re.fullmatch(r"sim_multiply\.py::multiply  12 runs .*100%  12 done", lines[2])
    assert re.fullmatch(r"=+ 12 done in \d+\.\d\d s =+", lines[3])
    assert re.fullmatch(r"results/multiply-001\.h5   12 of 12 runs   \d+ kB", lines[4])
    opening = 'import simkit; traj = simkit.open("results/multiply-001.h5"); traj.to_dataframe()'
    assert lines[5] == "    " + opening
    assert len(lines) == 6

    traj = multiply.open("multiply-001")
    assert np.array_equal(traj["z"].reshape(4, 3), OUTER)
    assert traj.runs[3].x == 2.0
    assert traj.runs[3].z == 12.0
    assert traj.where("x > 2 and y == 7")["z"].tolist() == [21.0, 28.0]
    assert traj.to_dataframe().columns.tolist() == ["x", "y", "z", "status", "seconds"]
    assert f"seed: {traj.info.root_seed} " in lines[1]
    assert [p.name for p in (multiply.path / "results").iterdir()] == ["multiply-001.h5"]

    pasted = multiply.python("-c", opening.replace("traj.to_dataframe()", "print(traj.to_dataframe())"))
    assert pasted.code == 0, pasted.err
    assert pasted.out.splitlines()[-1].split()[:5] == ["11", "4.0", "8.0", "32.0", "done"]


def test_values_seeds_and_order_do_not_depend_on_who_runs_them(project):
    project.file(
        "sim_draw.py",
        """
        import os, random
        from simkit import experiment, product

        @experiment
        @product(x=[1.0, 2.0, 3.0, 4.0], y=[6.0, 7.0, 8.0])
        def draw(x, y, rng, seed):
            return {"z": x * y, "normal": rng.normal(size=3), "pid": os.getpid()}
        """,
    )
    ways = [
        ["-n", "0"],
        ["-n", "1"],
        ["-n", "2", "--start-method", "fork"],
        ["-n", "2", "--start-method", "spawn"],
        ["-n", "1", "--start-method", "forkserver"],
    ]
    for way in ways:
        project.ok("--fresh", "--seed", "5", *way)
    first, *others = [project.open(f"draw-{i + 1:03}") for i in range(len(ways))]
    assert np.array_equal(first["z"].reshape(4, 3), OUTER)
    assert len(set(first.seeds.tolist())) == 12
    assert all(0 <= seed < 2**63 for seed in first.seeds.tolist())
    expected = [np.random.default_rng(seed).normal(size=3) for seed in first.seeds.tolist()]
    assert np.array_equal(first["normal"], expected)
    for other in others:
        for name in ("x", "y", "z", "normal"):
            assert other[name].dtype == first[name].dtype
            assert np.array_equal(other[name], first[name]), name
        assert np.array_equal(other.seeds, first.seeds)
        assert not set(other["pid"]) & set(first["pid"])


def test_completion_order_does_not_change_the_order_of_the_record(project):
    project.file(
        "sim_late.py",
        """
        import time
        from pathlib import Path
        from simkit import experiment, product

        @experiment
        @product(x=[10, 11, 12, 13])
        def late(x):
            if x == 10:  # ends when all others have
                while not Path("last").exists():
                    time.sleep(0.01)
            if x == 13:
                Path("last").touch()
            return x * x
        """,
    )
    project.ok("-n", "2")
    assert project.open("late-001")["result"].tolist() == [100, 121, 144, 169]


# Selecting


def test_k_selects_by_node_id(project):
    project.file("sim_three.py", THREE)
    out = project.ok("--co", "-q", "-k", "LORENZ and not slow").out
    assert out.split() == ["sim_three.py::lorenz"]
    out = project.ok("--co", "-q", "-k", "slow or rossler").out
    assert out.split() == ["sim_three.py::lorenz_slow", "sim_three.py::rossler"]
    assert len(project.ok("--co", "-q", "-k", "three").out.split()) == 3

    nothing = project.simkit("-k", "roessler")
    assert nothing.code == 5
    assert "-k 'roessler' matches none of: sim_three.py::lorenz, " in nothing.err
    wrong = project.simkit("-k", "lorenz and")
    assert wrong.code == 4
    assert "-k 'lorenz and': write names joined by and, or, not" in wrong.err


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


def test_where_runs_some_points_and_a_later_session_the_others(multiply):
    result = multiply.ok("--where", "x > 2 and y == 7")
    assert "2 done" in result.out
    assert "results/multiply-001.h5   2 of 12 runs" in result.out
    # The same command has nothing left to do; what completes the file is the one without --where.
    assert "type the same command again" not in result.out
    traj = multiply.open("multiply-001")
    assert np.flatnonzero(traj.status == "done").tolist() == [7, 10]
    assert set(traj.status) == {"done", "pending"}
    assert traj["z"][[7, 10]].tolist() == [21.0, 28.0]
    assert np.isnan(traj["z"]).sum() == 10
    traj.close()
    result = multiply.ok()
    assert "2 of 12 runs are done" in result.out
    assert re.search(r"=+ 10 done in", result.out)
    assert np.array_equal(multiply.open("multiply-001")["z"].reshape(4, 3), OUTER)

    unknown = multiply.simkit("--where", "w > 2")
    assert unknown.code == 4
    assert "'w'" in unknown.err
    assert "x, y" in unknown.err
    nothing = multiply.simkit("--where", "x > 20")
    assert nothing.code == 5
    assert "--where 'x > 20' selects none of its 12 runs" in nothing.err


def test_node_ids_select_runs_by_number_and_by_value(multiply):
    steps = [("[3]", [3]), ("[4:7]", [4, 5, 6]), ("[x=1.0,y=6.0]", [0]), ("[y=8.0]", [2, 5, 8, 11])]
    expected: set[int] = set()
    for brackets, runs in steps:
        multiply.ok(f"sim_multiply.py::multiply{brackets}")
        expected |= set(runs)
        traj = multiply.open("multiply-001")
        assert np.flatnonzero(traj.status == "done").tolist() == sorted(expected)
        traj.close()
    again = multiply.ok("sim_multiply.py::multiply[3]")
    assert "nothing to do" in again.out
    multiply.ok("sim_multiply.py::multiply[1]", "sim_multiply.py::multiply[9:]")
    traj = multiply.open("multiply-001")
    assert np.flatnonzero(traj.status == "done").tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11]
    assert [p.name for p in (multiply.path / "results").iterdir()] == ["multiply-001.h5"]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("sim_multiply.py::multiply[12]", "the last of its 12 runs is number 11"),
        ("sim_multiply.py::multiply[w=1]", "'w' is not explored\n    explored: x, y"),
        ("sim_multiply.py::multiply[abc]", "cannot read [abc]: write [3], [3:7] or [x=1.0,y=6.0]"),
        (".::multiply", "write FILE::EXPERIMENT"),
        ("sim_multiply.py::", "write FILE::EXPERIMENT"),
    ],
)
def test_wrong_node_ids(multiply, target, words):
    result = multiply.simkit(target)
    assert result.code == 4
    assert words in result.err
    assert not multiply.has("results")


def test_values_that_no_run_has_select_nothing(multiply):
    result = multiply.simkit("sim_multiply.py::multiply[x=9.0]")
    assert result.code == 5
    assert "[x=9.0] selects none of its 12 runs" in result.err


FAILING = '''
from simkit import experiment, product

@experiment
@product(i=range({n}))
def shaky(i, bad={bad}):
    """Fails from ``bad`` on."""
    if i >= bad:
        raise ValueError(f"no luck with {{i}}")
    return {{"z": i}}
'''


@pytest.mark.parametrize("workers", ["0", "1"])
def test_x_stops_at_the_first_failure_and_maxfail_at_the_nth(project, workers):
    project.file("sim_shaky.py", FAILING.format(n=400, bad=100))
    result = project.simkit("-x", "-n", workers)
    assert result.code == 1
    assert re.search(r"=+ 100 done, 1 failed in", result.out), result.out
    traj = project.open("shaky-001")
    assert traj.status.tolist() == ["done"] * 100 + ["failed"] + ["pending"] * 299
    traj.close()
    result = project.simkit("--maxfail", "3", "-n", workers)
    assert result.code == 1
    assert re.search(r"=+ 3 failed in", result.out), result.out
    traj = project.open("shaky-001")
    assert (traj.status == "failed").sum() == 3


def test_failures_are_shown_once_with_parameters_and_the_replay_command(project):
    project.file("sim_shaky.py", FAILING.format(n=12, bad=5))
    result = project.simkit("--seed", "3")
    assert result.code == 1
    assert re.search(r"=+ 5 done, 7 failed in", result.out)
    assert "results/shaky-001.h5   5 of 12 runs" in result.out
    fifth = section(result.out, "sim_shaky.py::shaky[5]")
    assert "i=5" in fifth
    assert 'sim_shaky.py", line 9, in shaky' in fifth
    assert "ValueError: no luck with 5" in fifth
    assert "replay: simkit 'sim_shaky.py::shaky[5]' --pdb" in fifth
    assert os.path.dirname(simkit.__file__) not in result.out
    assert result.out.count("no luck with 5") == 1 + result.out.count('raise ValueError(f"no luck with 5')
    assert "shaky[9]" in result.out
    assert "shaky[10]" not in result.out
    assert "2 more failures" in result.out

    verbose = project.simkit("-v")
    assert verbose.code == 1
    assert "shaky[10]" in verbose.out
    assert "shaky[11]" in verbose.out
    assert "more failure" not in verbose.out
    assert re.search(r"=+ 7 failed in", verbose.out)


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


def test_output_collects_several_experiments_in_one_file(project):
    project.file("sim_three.py", THREE)
    result = project.ok("--output", "study.h5")
    assert not project.has("results")
    assert "study.h5   2 of 2 runs" in result.out
    assert project.open("study.h5", "lorenz")["a"].tolist() == [1, 2]
    assert project.open("study.h5", "lorenz_slow")["b"].tolist() == [1, 2, 3]
    assert project.open("study.h5", "rossler")["c"].tolist() == [1]
    opening = next(line for line in result.out.splitlines() if "simkit.open(" in line).strip()
    assert project.python("-c", opening).code == 0

    assert "nothing to do" in project.ok("--output", "study.h5").out
    project.close()
    project.ok("--output", "study.h5", "--fresh", "-k", "lorenz and not slow", "--product", "x=7")
    assert project.open("study.h5", "lorenz")["a"].tolist() == [1, 2]
    assert project.open("study.h5", "lorenz-002")["a"].tolist() == [7]
    project.ok("--output", "deep/er/other.h5", "-k", "rossler")
    assert project.open("deep/er/other.h5")["c"].tolist() == [1]


# Continuing


def test_typing_simkit_twice_is_safe(multiply):
    multiply.ok()
    file = multiply.path / "results" / "multiply-001.h5"
    before = file.read_bytes()
    result = multiply.ok()
    assert "12 of 12 are done already" in result.out
    assert re.search(r"=+ nothing to do in", result.out)
    assert "results/multiply-001.h5   12 of 12 runs" in result.out
    assert file.read_bytes() == before
    multiply.ok("--fresh")
    assert np.array_equal(multiply.open("multiply-002")["z"].reshape(4, 3), OUTER)
    assert file.read_bytes() == before
    assert multiply.open("multiply-001").info.root_seed != multiply.open("multiply-002").info.root_seed
    assert len(multiply.open("multiply-001").info.sessions) == 1


def test_growing_a_product_in_the_middle_of_an_axis_adds_only_the_new_points(multiply):
    multiply.ok("--seed", "4")
    started = multiply.open("multiply-001").to_dataframe(["x", "y", "z"])
    multiply.close()
    multiply.file("sim_multiply.py", MULTIPLY.replace("[6.0, 7.0, 8.0]", "[6.0, 6.5, 7.0, 8.0]"))
    result = multiply.ok()
    assert "continuing results/multiply-001.h5: 12 of 16 runs are done, seed 4" in result.out
    assert re.search(r"=+ 4 done in", result.out)
    assert "16 of 16 runs" in result.out
    traj = multiply.open("multiply-001")
    assert traj["x"][12:].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert traj["y"][12:].tolist() == [6.5] * 4
    assert np.array_equal(traj["z"], traj["x"] * traj["y"])
    table = traj.to_dataframe()
    assert table[["x", "y", "z", "seconds"]][:12].equals(started[["x", "y", "z", "seconds"]])
    # Points no longer declared stay recorded.
    traj.close()
    multiply.file("sim_multiply.py", MULTIPLY.replace("[6.0, 7.0, 8.0]", "[8.0]"))
    assert "nothing to do" in multiply.ok().out
    assert len(multiply.open("multiply-001")) == 16


def test_a_failed_run_is_tried_again_and_the_done_ones_are_kept(project):
    project.file(
        "sim_flaky.py",
        """
        from pathlib import Path
        from simkit import experiment, product

        @experiment
        @product(x=[1, 2, 3])
        def flaky(x):
            with open("calls", "a") as calls:
                calls.write(f"{x} ")
            if x == 2 and not Path("repaired").exists():
                raise OSError("the licence server is away")
            return x
        """,
    )
    assert project.simkit().code == 1
    traj = project.open("flaky-001")
    assert traj.status.tolist() == ["done", "failed", "done"]
    assert "OSError: the licence server is away" in traj.error(1)
    traj.close()
    project.file("repaired")
    assert re.search(r"=+ 1 done in", project.ok().out)
    traj = project.open("flaky-001")
    assert traj.status.tolist() == ["done"] * 3
    assert traj["result"].tolist() == [1, 2, 3]
    assert traj.error(1) == ""
    assert (project.path / "calls").read_text().split() == ["1", "2", "3", "2"]


def test_other_code_or_constants_begin_the_next_file_and_say_why(multiply):
    source = MULTIPLY.replace("y: float)", "y: float, gain: float = 1.0)")
    multiply.file("sim_multiply.py", source)
    multiply.ok()
    result = multiply.ok("--set", "gain=2.0")
    assert "results/multiply-001.h5 is not continued: gain was 1.0, now 2.0" in result.out
    assert "results/multiply-002.h5   12 of 12" in result.out
    multiply.file("sim_multiply.py", source.replace("x * y}", "x * y * gain}"))
    result = multiply.ok()
    assert "results/multiply-003.h5   12 of 12" in result.out
    assert re.search(r"multiply-00[12]\.h5 is not continued: .*sim_multiply\.py::multiply", result.out)
    # Comments, docstrings, blank lines and the space are not the code.
    multiply.file(
        "sim_multiply.py",
        source.replace("x * y}", "x * y * gain}  # the product").replace("Multiply two", "Times two\n\n    "),
    )
    assert "nothing to do" in multiply.ok().out
    result = multiply.ok("--seed", "1")
    assert "results/multiply-004.h5   12 of 12" in result.out
    assert re.search(r"seed \d+, now 1", result.out)


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


def test_quiet_verbose_and_show(project):
    project.file(
        "sim_talk.py",
        """
        from simkit import experiment, product

        @experiment
        @product(x=[1, 2, 3])
        def talk(x):
            print(f"hello from {x}")
            return x
        """,
    )
    quiet = project.ok("-q")
    assert "rootdir" not in quiet.out
    assert "hello" not in quiet.out
    assert re.search(r"3 done in", quiet.out)
    assert "results/talk-001.h5   3 of 3 runs" in quiet.out
    assert project.open("talk-001").log(1) == "hello from 2\n"
    for workers in ("0", "1"):
        shown = project.ok("-s", "--fresh", "-n", workers)
        assert [line for line in shown.out.splitlines() if "hello" in line] == [
            "hello from 1",
            "hello from 2",
            "hello from 3",
        ]
    assert project.open("talk-003").log(1) == ""


def test_durations_shows_the_slowest_runs(project):
    project.file(
        "sim_slow.py",
        """
        import time
        from simkit import experiment, product

        @experiment
        @product(x=range(6))
        def slow(x):
            time.sleep(0.1 * (x in (2, 4)) + 0.1 * (x == 4))
        """,
    )
    out = project.ok("--durations", "2").out
    lines = section(out, "slowest 2 runs").splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r" *0\.2\d* s  sim_slow\.py::slow\[4\]  x=4", lines[0])
    assert re.fullmatch(r" *0\.1\d* s  sim_slow\.py::slow\[2\]  x=2", lines[1])


def test_an_experiment_without_a_space_is_one_run_with_a_hint(project):
    project.file(
        "sim_one.py",
        """
        import simkit

        @simkit.experiment
        def one(speed=3):
            return {"distance": speed * 2}
        """,
    )
    result = project.ok()
    assert "sim_one.py::one has no space, so it is one run; explore with @product(speed=[…])" in result.out
    assert "1 done" in result.out
    assert project.open("one-001")["distance"].tolist() == [6]


def test_help_version_and_wrong_options(project):
    assert project.ok("--version").out == f"simkit {simkit.__version__}\n"
    text = project.ok("--help").out
    options = "-n -k --co --where -x --maxfail --set --params --product --explore --repeat --seed --output"
    for option in f"{options} --fresh --pdb --parameters -q -v -s --durations --start-method".split():
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text), option
    assert "exit codes: 0 the selection is complete" in text
    assert "show FILE" in text
    wrong = project.simkit("--frehs")
    assert wrong.code == 4
    assert "--frehs" in wrong.err


def test_several_experiments_are_run_in_order_and_one_failure_makes_the_exit_code(project):
    project.file("sim_three.py", THREE.replace('{"a": x}', "1 / 0"))
    result = project.simkit()
    assert result.code == 1
    order = re.findall(r"^(sim_three\.py::\w+)  \d runs?  ", result.out, re.M)
    assert order == ["sim_three.py::lorenz", "sim_three.py::lorenz_slow", "sim_three.py::rossler"]
    assert re.search(r"=+ 4 done, 2 failed in", result.out) or re.search(
        r"=+ 2 failed, 4 done in", result.out
    )
    assert project.open("lorenz_slow-001")["b"].tolist() == [1, 2, 3]


# Where a project begins


def test_rootdir_is_the_nearest_configuration(project):
    project.file("pyproject.toml", "[tool.simkit]\n")
    project.file("inner/pyproject.toml", "[tool.simkit]\nfiles = ['exp_*.py']\nworkers = 0\n")
    project.file("inner/deep/exp_m.py", MULTIPLY)
    project.file("inner/deep/sim_m.py", MULTIPLY)
    result = project.ok("inner/deep")
    assert "rootdir: inner " in result.out
    assert "workers: 0" in result.out
    assert "deep/exp_m.py::multiply  12 runs" in result.out
    assert "sim_m.py" not in result.out
    assert "inner/results/multiply-001.h5" in result.out
    # From below, with no argument, the configuration above still counts; a named file always does.
    result = project.ok("sim_m.py", cwd=project.path / "inner" / "deep")
    assert "deep/sim_m.py::multiply" in result.out
    assert project.has("inner/results/multiply-002.h5")
    assert not project.has("results")


def test_rootdir_is_the_outermost_simconf_then_git_then_here(project):
    project.file("a/b/c/sim_m.py", MULTIPLY.replace("y: float)", "y: float, gain)"))
    project.file("a/simconf.py", "from simkit import parameter\n@parameter\ndef gain():\n    return 1\n")
    project.file("a/b/simconf.py", "from simkit import parameter\n@parameter\ndef gain():\n    return 2\n")
    result = project.ok("a/b/c/sim_m.py")
    assert "rootdir: a " in result.out
    assert "b/c/sim_m.py::multiply" in result.out
    assert project.open("a/results/multiply-001.h5").parameters.gain == 2

    project.file("d/e/sim_n.py", MULTIPLY)
    (project.path / "d" / ".git").mkdir()
    assert "rootdir: d " in project.ok("d/e/sim_n.py").out
    project.file("f/g/sim_o.py", MULTIPLY)
    result = project.ok("f/g/sim_o.py")
    assert "rootdir: study " in result.out
    assert "f/g/sim_o.py::multiply" in result.out
    assert project.has("results/multiply-001.h5")


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


def test_a_replay_draws_the_same_numbers_and_takes_the_same_values(project):
    project.file(
        "sim_draw.py",
        """
        from simkit import experiment, product

        @experiment
        @product(x=[1, 2, 3])
        def draw(x, rng, gain=1.0):
            number = rng.normal() * gain
            print("drawn", x, number.hex())
            if x == 2:
                raise RuntimeError("look at me")
            return number
        """,
    )
    failed = project.simkit("--set", "gain=3.0", "--product", "x=1,2,7", "--seed", "5")
    drawn = project.open("draw-001").log(1)
    project.close()
    assert drawn.startswith("drawn 2 ")
    command = re.search(r"^replay: simkit '(.*)' --pdb(.*)$", failed.out, re.M)
    assert command is not None
    result = project.simkit(command[1], "--pdb", *command[2].split())
    assert result.code == 1
    assert drawn in result.out
    assert [p.name for p in (project.path / "results").iterdir()] == ["draw-001.h5"]


# On a terminal


def run_in_terminal(folder: Path, *arguments: str) -> str:
    """What the command writes to a terminal, escapes included."""
    owner, terminal = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment |= {"COLUMNS": "100", "LINES": "30", "TERM": "xterm"}
    command = [sys.executable, "-m", "simkit", *arguments]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=terminal, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        pieces = []
        while True:
            try:
                piece = os.read(owner, 65536)
            except OSError:  # Linux says so when the other side is closed
                break
            if not piece:
                break
            pieces.append(piece)
        os.close(owner)
        code = process.wait(60)
    assert code == 0, b"".join(pieces)
    return b"".join(pieces).decode()


def test_a_terminal_shows_a_live_bar_with_rate_and_time_left(project):
    project.file(
        "sim_busy.py",
        """
        import time
        from simkit import experiment, product

        @experiment
        @product(x=range(40))
        def busy(x):
            end = time.perf_counter() + 0.05
            while time.perf_counter() < end:
                pass
        """,
    )
    raw = run_in_terminal(project.path)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", raw)
    frames = re.findall(r"busy  40 runs +.*?(\d+)%.*? (\d+)/40  (.*?)eta (\d+\.\d+ s|\d+ s|\d+:\d\d)", text)
    assert len(frames) >= 3, text
    percents = [int(percent) for percent, *_ in frames]
    assert percents == sorted(percents)
    assert percents[0] < percents[-1]
    assert all("/run" in rate or "runs/s" in rate for *_, rate, _ in frames)
    assert "━" in raw
    assert re.search(r"[\r\n]sim_busy\.py::busy  40 runs ━{12} 100%  40 done\r\n", text)
    assert re.search(r"^results/busy-001\.h5   40 of 40 runs   \d+ kB\r?$", text, re.M)


def test_a_pipe_gets_plain_lines(multiply):
    out = multiply.ok().out
    assert "\x1b" not in out
    assert "\r" not in out
