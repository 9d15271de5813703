"""The command end to end: select, run, record, continue, report."""

from __future__ import annotations

import re

import numpy as np
import pytest
from simulations import FAILING, MULTIPLY, THREE
from written_pages import TOOK

OUTER = np.outer([1.0, 2.0, 3.0, 4.0], [6.0, 7.0, 8.0])


# The example of DESIGN.md, section 1


def test_the_first_example_says_and_records_what_the_design_shows(multiply):
    result = multiply.simkit("-n", "2")
    lines = result.out.splitlines()
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(r"=+ simkit 0\.1 =+", lines[0])
    assert re.fullmatch(r"rootdir: study   seed: \d+   workers: 2", lines[1])
    assert re.fullmatch(r"sim_multiply\.py::multiply  12 runs .*100%  12 done", lines[2])
    assert re.fullmatch(rf"=+ 12 done in {TOOK} =+", lines[3])
    assert re.fullmatch(r"results/multiply-001\.h5   12 of 12 runs   \d+ kB", lines[4])
    opening = 'import simkit; traj = simkit.open("results/multiply-001.h5"); traj.to_dataframe()'
    assert lines[5] == "    " + opening
    assert len(lines) == 6

    traj = multiply.open("multiply-001")
    assert np.array_equal(traj["z"].reshape(4, 3), OUTER)
    assert traj.runs[3].x == 2.0
    assert traj.runs[3].z == 12.0
    assert traj.where("x > 2 and y == 7")["z"].tolist() == [21.0, 28.0]
    assert traj.to_dataframe().columns.tolist() == ["x", "y", "z"]
    assert f"seed: {traj.info.root_seed} " in lines[1]
    assert [p.name for p in (multiply.path / "results").iterdir()] == ["multiply-001.h5"]

    pasted = multiply.python("-c", opening.replace("traj.to_dataframe()", "print(traj.to_dataframe())"))
    assert pasted.code == 0, pasted.err
    assert pasted.out.splitlines()[-1].split() == ["11", "4.0", "8.0", "32.0"]


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


@pytest.mark.parametrize("workers", ["0", "1"])
def test_x_stops_at_the_first_failure_and_maxfail_at_the_nth(project, workers):
    project.file("sim_shaky.py", FAILING.format(n=400, bad=100))
    result = project.simkit("-x", "-n", workers)
    assert result.code == 1
    traj = project.open("shaky-001")
    status, done = traj.status.tolist(), int((traj.status == "done").sum())
    traj.close()
    # What a worker was slow with, it gives back, and has begun the next ones by then.
    assert done == 100 if workers == "0" else 0 < done <= 100
    assert re.search(rf"=+ {done} done, 1 failed in", result.out), result.out
    assert f"{399 - done} of 400 runs were not executed" in result.out
    assert status[100:] == ["failed"] + ["pending"] * 299
    result = project.simkit("--maxfail", "3", "-n", workers)
    assert result.code == 1
    assert re.search(r"\b3 failed in", result.out), result.out
    traj = project.open("shaky-001")
    assert (traj.status == "failed").sum() == 3


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
    started = multiply.open("multiply-001").to_dataframe(["x", "y", "z", "seconds"])
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
    table = traj.to_dataframe(info=True)
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


def test_rootdir_is_git_then_the_top_of_the_simconfs_then_the_folder_itself(project):
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
    assert "rootdir: g " in result.out
    assert "sim_o.py::multiply" in result.out
    assert project.has("f/g/results/multiply-001.h5")


def test_the_folder_one_stands_in_is_collected(project):
    project.file("pyproject.toml", "[tool.simkit]\nworkers = 0\n")
    project.file("one/sim_one.py", "import simkit\n@simkit.experiment\ndef one():\n    return 1\n")
    project.file("two/deep/sim_two.py", "import simkit\n@simkit.experiment\ndef two():\n    return 2\n")
    listed = project.ok("--co", "-q", cwd=project.path / "two").out
    assert listed.split() == ["two/deep/sim_two.py::two"]
    project.ok(cwd=project.path / "two")
    assert project.has("results/two-001.h5")
    assert not project.has("results/one-001.h5")
    assert project.simkit(cwd=project.path / "results").code == 5


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
