"""``simkit verify``: recorded runs are executed again, and what differs is told."""

from __future__ import annotations

import math
import os
import shutil
import signal

import pytest
from conftest import Project
from verified import SOURCE, changed, squeezed

from simkit.cli.main import main
from simkit.cli.verbs.verify import Clock
from simkit.inform.terminal import Lines


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


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_same_code_gives_the_same_results(recorded, workers):
    before = (recorded.path / "results/sim-001.h5").read_bytes()
    result = recorded.ok("verify", "results/sim-001.h5", "-n", workers)
    assert "results/sim-001.h5   sim_a.py::sim   5 of 6 runs" in result.out
    assert "nothing that is recorded of code, packages and platform has changed" in result.out
    assert "5 runs the same, bit for bit" in result.out
    assert result.err == ""
    assert (recorded.path / "results/sim-001.h5").read_bytes() == before
    assert [path.name for path in (recorded.path / "results").iterdir()] == ["sim-001.h5"]


def test_a_changed_result_is_found_told_and_tolerated(recorded):
    changed(recorded, "drive * w * gain", "drive * w * gain * (1 + 1e-12)")
    result = recorded.simkit("verify", "results/sim-001.h5")
    assert (result.code, result.err) == (1, "")
    lines = squeezed(result.out)
    assert "code sim_a.py::sim changed" in lines
    assert "run name recorded now" in lines
    assert any(line.startswith("0 z 0.2 0.2000000000002") for line in lines)
    assert "5 of 5 runs differ" in result.out
    assert "differing: z\n" in result.out
    assert 'one of them in Python: simkit.open("results/sim-001.h5").replay(0)' in result.out
    near = recorded.ok("verify", "results/sim-001.h5", "--rtol", "1e-9", "--atol", "1e-14")
    assert "5 runs the same, within rtol 1e-09, atol 1e-14" in near.out


def test_failing_runs(recorded):
    out = recorded.ok("verify", "results/sim-001.h5", "--runs", "4,5").out
    assert "2 runs the same, bit for bit (1 not done, as recorded)" in out
    changed(recorded, "x == 3 and w == 0.5", "x == 1")
    result = recorded.simkit("verify", "results/sim-001.h5")
    lines = squeezed(result.out)
    assert "0 status done failed: ValueError: no luck" in lines
    assert "2 of 5 runs differ" in result.out
    assert "debug one: simkit verify results/sim-001.h5 --runs 0 --pdb" in lines
    debugged = recorded.simkit("verify", "results/sim-001.h5", "--runs", "0", "--pdb", stdin="p x + 41\nc\n")
    assert debugged.code == 1
    assert "(Pdb) 42" in debugged.out
    mended = squeezed(recorded.simkit("verify", "results/sim-001.h5", "--runs", "4").out)
    assert "4 status failed done" in mended


def test_some_runs_only(recorded):
    for runs, count in (("0,2:4", 3), (":2,5:", 3)):
        out = recorded.ok("verify", "results/sim-001.h5", "-n", "0", "--runs", runs).out
        assert f"   {count} of 6 runs" in out
    out = recorded.ok("verify", "results/sim-001.h5", "-n", "0", "--sample", "2").out
    assert "   2 of 6 runs" in out
    drawn = next(line for line in out.splitlines() if line.startswith("drawn: --runs "))
    assert "4" not in drawn  # which is not done
    assert recorded.ok("verify", "results/sim-001.h5", *drawn.split()[1:]).code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--runs", "6"], "--runs 6: the runs of sim are numbered 0 to 5"),
        (["--runs", "2:9"], "--runs 2:9: the runs of sim are numbered 0 to 5"),
        (["--runs", "x"], "--runs x: cannot read 'x': write numbers and ranges, as in 3,7:9"),
        (["--runs", "3:1"], "--runs 3:1: selects no run"),
        (["--sample", "0"], "--sample 0: give a whole number of at least 1"),
        (["--rtol", "-1"], "--rtol -1.0: give a number from 0 on"),
        (["--rtol", "nan"], "--rtol nan: give a number from 0 on"),
        (["-n", "x"], "-n x: give a number of processes, or 'auto'"),
        (["simm"], "has no experiment 'simm'\n    experiments there: sim"),
        (["--sample", "1", "--runs", "1"], "not allowed with argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_arguments(once, arguments, told, monkeypatch, capsys):
    monkeypatch.chdir(once)
    assert main(["verify", "results/sim-001.h5", *arguments]) == 4
    assert told in capsys.readouterr().err


def test_code_that_is_gone_or_can_not_run_is_said_so(recorded):
    changed(recorded, "def sim(", "def simulate(")
    result = recorded.simkit("verify", "results/sim-001.h5")
    assert result.code == 4
    assert "sim_a.py has no experiment 'sim' any more\n    experiments there: simulate" in result.err
    changed(recorded, "(x, w, neuron,", "(w, neuron,")
    recorded.file("sim_a.py", SOURCE.replace("x, w, neuron", "v, w, neuron"))
    result = recorded.simkit("verify", "results/sim-001.h5")
    assert result.code == 4
    assert "results/sim-001.h5: the present code can't run with what is recorded" in result.err
    assert "needs 'v', but nothing provides it" in result.err
    (recorded.path / "sim_a.py").unlink()
    result = recorded.simkit("verify", "results/sim-001.h5")
    assert result.code == 4
    assert "its code sim_a.py is not below" in result.err
    recorded.file("sim_a.py", "1 / 0")
    result = recorded.simkit("verify", "results/sim-001.h5")
    assert result.code == 4
    assert "sim_a.py: cannot be imported" in result.err


def test_from_another_folder(recorded, tmp_path):
    file = str(recorded.path / "results/sim-001.h5")
    (recorded.path / "pyproject.toml").write_text("[tool.simkit]\n")
    assert "5 runs the same" in recorded.ok("verify", file, cwd=tmp_path).out
    (recorded.path / "pyproject.toml").unlink()
    assert "5 runs the same" in recorded.ok("verify", file, cwd=tmp_path).out


def test_nothing_to_verify(project):
    project.file("sim_b.py", "from simkit import experiment\n@experiment\ndef bad():\n    1 / 0\n")
    assert project.simkit("-n", "0").code == 1
    result = project.simkit("verify", "results/bad-001.h5")
    assert result.code == 5
    assert "results/bad-001.h5: no run of bad is done, so there is nothing to verify" in result.err


def test_one_of_several_in_a_file(project):
    project.file("sim_a.py", SOURCE)
    project.file("sim_b.py", "from simkit import experiment\n@experiment\ndef other():\n    return 1\n")
    project.simkit("-n", "0", "--output", "study.h5")
    for arguments in (["study.h5", "other"], ["study.h5::other"]):
        assert "1 run the same" in project.ok("verify", *arguments).out
    result = project.simkit("verify", "study.h5")
    assert result.code == 4
    assert "study.h5 holds several experiments: sim, other\n    name one: study.h5::sim" in result.err


def test_many_differences_are_counted_and_the_first_shown(project):
    source = (
        "from simkit import *\n@experiment\n@product(x=range(3000))\ndef f(x):\n    return {'a': x, 'b': x}\n"
    )
    project.file("sim_a.py", source)
    project.ok("-n", "0")
    project.file("sim_a.py", source.replace("'b': x", "'b': x + (x > 9)"))
    result = project.simkit("verify", "results/f-001.h5", "-n", "2")
    assert result.code == 1
    assert "2990 of 3000 runs differ" in result.out
    assert "(the first 20 differences; in all: b in 2990 runs)" in result.out
    rows = [line for line in squeezed(result.out) if " b " in line and "off by 1 " in line]
    assert [int(row.split()[0]) for row in rows] == list(range(10, 30))
    more = project.simkit("verify", "results/f-001.h5", "-v").out
    assert "(the first 200 differences" in more


@pytest.mark.parametrize("workers", ["0", "1"])
def test_ctrl_c_ends_it_at_once(recorded, workers):
    changed(
        recorded, 'print("hello", x)', "import time, pathlib; pathlib.Path('begun').touch(); time.sleep(60)"
    )
    with recorded.under_way("verify", "results/sim-001.h5", "-n", workers) as process:
        recorded.until(lambda: recorded.has("begun"))
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 2


def test_a_script_that_is_explored_as_it_is(project):
    project.file("model.py", "import math\nT = 2.0\nstep = math.pi / 4\ng = 9.81\nend = T * g * step\n")
    call = "simkit.script('model.py', T=[1.0, 2.0], step=[0.5], set={'g': 1.6})"
    assert project.python("-c", f"import simkit\n{call}").err == ""
    for options in ((), ("-n", "2")):
        assert "2 runs the same, bit for bit" in project.ok("verify", "model", *options).out
    assert (
        project.python("-c", "import simkit\nprint(simkit.open('model').replay(1))").out == "{'end': 1.6}\n"
    )
    out = project.ok("list").out
    assert "made in Python, where simkit.script('model.py') goes on with it" in out
    replay = project.ok("show", "model", "--run", "1").out.splitlines()[-1]
    assert replay == "replay: simkit verify results/model-001.h5 --runs 1 --pdb"
    project.file("model.py", "import math\nT = 2.0\nstep = math.pi / 4\ng = 9.81\nend = T + g * step\n")
    changed = project.simkit("verify", "model")
    assert (changed.code, "model.py changed" in changed.out) == (1, True)
    assert "2 of 2 runs differ" in changed.out
    project.file("model.py", "step = 2\nend = 3\n")
    gone = project.simkit("verify", "model")
    assert (gone.code, "model.py assigns no '" in gone.err) == (4, True)


def test_a_script_that_would_run_its_study_is_not_imported(project):
    script = "import simkit\ndef f(x):\n    return x\n{guard}traj = simkit.run(f, simkit.product(x=[1, 2]))\n"
    project.file("script.py", script.format(guard=""))
    assert project.python("script.py").err == ""
    result = project.simkit("verify", "results/f-001.h5")
    assert result.code == 4
    assert "script.py:4: importing this file would run its study" in result.err
    assert 'put that under `if __name__ == "__main__":`' in result.err
    project.file("script.py", script.format(guard='if __name__ == "__main__":\n    '))
    assert "2 runs the same" in project.ok("verify", "results/f-001.h5").out
    project.python("-c", script.format(guard="").replace("def f", "def g").replace("run(f", "run(g"))
    result = project.simkit("verify", "results/g-001.h5")
    assert result.code == 4
    assert "'g' was defined in a notebook or typed in" in result.err


def test_it_says_now_and_then_how_far_it_is(capsys, monkeypatch):
    clock = Clock(4)
    for interval, executed in ((math.inf, 1), (-1.0, 2), (math.inf, 3), (-1.0, 4)):
        monkeypatch.setattr(Lines, "interval", interval)
        clock.advance(executed)
    assert capsys.readouterr().err == "2/4  50%\n4/4  100%\n"
