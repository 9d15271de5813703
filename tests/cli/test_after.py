"""When what follows an experiment is called, and what the command says of it."""

from __future__ import annotations

import os
import signal

import pytest

STUDY = """
from pathlib import Path
from simkit import after, experiment, product

@experiment
@product(x=[1, 2, 3, 4])
def f(x, k=2):
    if x == 3 and Path("bad").exists():
        raise ValueError("no luck")
    return {"z": x * k}

def helper(values):
    return int(values.sum())

@after(f)
def total(trajectory, factor=10):
    \"\"\"Sum of z.\"\"\"
    with open("calls", "a") as file:
        file.write("total ")
    done = trajectory.where(status="done")
    return {"total": helper(done["z"]) * factor, "runs": len(done)}

@after(f)
def more(trajectory):
    with open("calls", "a") as file:
        file.write("more ")
    return {"more": trajectory.summary.total + 1}
"""


@pytest.fixture
def study(project):
    project.file("pyproject.toml", "[tool.simkit]\nworkers = 0\n")  # quicker; workers where they matter
    project.file("sim_a.py", STUDY)
    return project


def calls(project):
    """Who was called since the last look."""
    file = project.path / "calls"
    words = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return words


def begun(project):
    """What was called, as far as it is written."""
    file = project.path / "calls"
    return file.exists() and file.read_text()


def edit(project, old, new):
    file = project.path / "sim_a.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize("workers", ["0", "2"])
def test_called_once_in_order_and_again_when_something_changed(study, workers):
    out = study.ok("-n", workers).out
    assert calls(study) == ["total", "more"]
    lines = [line for line in out.splitlines() if " after f  done in " in line]
    assert [line.partition(" ")[0] for line in lines] == ["sim_a.py::total", "sim_a.py::more"]
    assert "4 done, 2 after done in" in out
    with study.open("f-001") as traj:
        assert (traj.summary.total, traj.summary.runs, traj.summary.more) == (200, 4, 201)

    assert "nothing to do" in study.ok("-n", workers).out
    assert calls(study) == []

    edit(study, "x=[1, 2, 3, 4]", "x=[1, 2, 3, 4, 5]")  # the runs
    study.ok("-n", workers)
    assert calls(study) == ["total", "more"]
    with study.open("f-001") as traj:
        assert (traj.summary.total, traj.summary.more) == (300, 301)


def test_its_own_code_counts_and_is_none_of_the_runs(study):
    study.ok()
    calls(study)
    edit(study, "Sum of z.", "The sum of z.  # no code")
    assert "nothing to do" in study.ok().out
    assert calls(study) == []
    edit(study, "values.sum()", "values.max()")  # reached through a helper
    out = study.ok().out
    assert "0 runs to do: 4 of 4 are done already" in out
    assert calls(study) == ["total", "more"]  # the second may have read the first one's summary
    edit(study, "trajectory.summary.total + 1", "trajectory.summary.total + 2")
    assert "1 after done in" in study.ok().out
    assert calls(study) == ["more"]
    study.ok("--set", "factor=100")
    assert calls(study) == ["total", "more"]
    assert not (study.path / "results" / "f-002.h5").exists()
    with study.open("f-001") as traj:
        assert traj.summary.more == 802
        assert traj.parameters.factor == 100


def test_what_it_gave_before_goes_with_it(study):
    study.ok()
    edit(study, '"runs": len(done)', '"count": len(done)')
    edit(study, ", factor=10", "")
    edit(study, " * factor", "")
    study.ok()
    with study.open("f-001") as traj:
        assert list(traj.summary) == ["total", "count", "more"]
        assert "factor" not in traj.parameters
    edit(study, "def more(", "def renamed(")  # takes over what it gave under its old name
    study.ok()
    with study.open("f-001") as traj:
        assert traj.summary.more == 21
        assert traj.describe("more").origin == "sim_a.py::renamed"


def test_not_while_runs_are_pending(study):
    study.ok("sim_a.py::f[:2]")
    assert calls(study) == []
    study.ok("--where", "x > 2")
    assert calls(study) == ["total", "more"]
    edit(study, "x=[1, 2, 3, 4]", "x=[1, 2, 3, 4, 5, 6]")
    study.ok("sim_a.py::f[4]")
    assert calls(study) == []
    with study.open("f-001") as traj:
        assert traj.summary.total == 200
        assert "summary   (after total, after more: older than the newest runs)" in repr(traj)
    edit(study, "x=[1, 2, 3, 4, 5, 6]", "x=[1, 2, 3, 4, 5]")  # the pending point is not declared any more
    study.ok()
    assert calls(study) == ["total", "more"]


def test_after_failed_runs_and_again_after_lf(study):
    (study.path / "bad").touch()
    assert study.simkit().code == 1
    assert calls(study) == ["total", "more"]
    assert study.simkit().code == 1
    assert calls(study) == []  # the same run failed again: nothing has changed
    (study.path / "bad").unlink()
    study.ok("--lf")
    assert calls(study) == ["total", "more"]
    with study.open("f-001") as traj:
        assert traj.summary.runs == 4


def test_x_leaves_runs_pending(study):
    (study.path / "bad").touch()
    assert study.simkit("-x", "-n", "0").code == 1
    assert calls(study) == []


def test_shards_have_pending_runs(study):
    study.ok("--shard", "0/2")
    assert calls(study) == []


def test_several_experiments_in_one_file(study):
    edit(
        study,
        "def helper",
        "@experiment\ndef g(): return 1\n\n@after(g)\ndef late(trajectory): return 5\n\ndef helper",
    )
    study.ok("--output", "study.h5")
    with study.open("study.h5", "f") as traj:
        assert traj.summary.total == 200
    with study.open("study.h5", "g") as traj:
        assert traj.summary.result == 5


def test_a_failing_one_keeps_all_runs_is_shown_and_is_tried_again(study):
    edit(
        study, "    done = trajectory", "    assert not Path('bug').exists(), 'a bug'\n    done = trajectory"
    )
    study.ok()
    (study.path / "bug").touch()
    edit(study, "x=[1, 2, 3, 4]", "x=[1, 2, 3, 4, 5]")
    for todo in ("1 done, 2 after failed in", "2 after failed in"):
        calls(study)
        result = study.simkit("-n", "2")
        assert result.code == 1
        assert calls(study) == ["total", "more"]
        assert todo in result.out
        assert "sim_a.py::total  after f  failed in" in result.out
        assert "_ sim_a.py::total _" in result.out
        assert "sim_a.py:15: it failed; all runs are kept\n\nTraceback" in result.out
        assert "AssertionError: a bug" in result.out
        assert "debug: simkit sim_a.py::f --pdb" in result.out
        assert "simkit/" not in result.out  # no frames of ours
    with study.open("f-001") as traj:
        assert traj["z"].tolist() == [2, 4, 6, 8, 10]
        assert list(traj.summary) == []  # what was there belongs to other runs
        assert "AssertionError: a bug" in traj.error("total")
    (study.path / "bug").unlink()
    study.ok()
    with study.open("f-001") as traj:
        assert traj.summary.more == 301
        assert traj.error("total") == ""


def test_x_stops_at_the_first_that_fails_and_maxfail_at_the_nth(study):
    edit(study, "    done = trajectory", "    raise KeyError('bug')\n    done = trajectory")
    study.file("sim_b.py", "from simkit import experiment\n@experiment\ndef later(): return 1\n")
    assert study.simkit("-x").code == 1
    assert calls(study) == ["total"]
    assert not study.has("results/later-001.h5")
    assert study.simkit("--maxfail", "2").code == 1
    assert calls(study) == ["total", "more"]
    assert not study.has("results/later-001.h5")
    assert study.simkit("--maxfail", "3").code == 1
    assert study.has("results/later-001.h5")


def test_a_failing_one_that_is_gone_is_forgotten(study):
    edit(study, "trajectory.summary.total + 1", "1 / 0")
    assert study.simkit().code == 1
    source = (study.path / "sim_a.py").read_text()
    (study.path / "sim_a.py").write_text(source[: source.index("@after(f)\ndef more")])
    study.ok()
    with study.open("f-001") as traj:
        assert "failed" not in repr(traj)


def test_pdb_debugs_a_failing_one(study):
    study.ok()
    edit(study, "    done = trajectory", "    found = trajectory['z'] / 'text'\n    done = trajectory")
    result = study.simkit("--pdb", stdin="p trajectory.name, factor\nq\nq\n")
    assert result.code == 1
    assert "('f', 10)" in result.out
    calls(study)
    assert (
        study.simkit("sim_a.py::f[1]", "--pdb").code == 0
    )  # a replay records nothing, and so nothing follows
    assert calls(study) == []


WAIT = """    import time
    while Path("slow").exists():
        time.sleep(0.01)
    done = trajectory"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_it_finish_and_a_second_one_stops_it(study, number):
    edit(study, "    done = trajectory", WAIT)
    study.ok()
    edit(study, "x=[1, 2, 3, 4]", "x=[1, 2, 3, 4, 5]")
    (study.path / "slow").touch()
    calls(study)
    with study.under_way("-n", "0") as process:  # twice
        study.until(lambda: begun(study))
        os.kill(process.pid, number)
        assert "finishing" in "".join(iter(process.stdout.readline, "\n")) + process.stdout.readline()
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=600)
    assert process.returncode == 2, out + err
    assert "sim_a.py::total  after f  interrupted" in out
    with study.open("f-001") as traj:
        assert traj["z"].tolist() == [2, 4, 6, 8, 10]
        assert traj.summary.total == 200  # of the runs before, and it says so
        assert "older than the newest runs" in repr(traj)
    calls(study)
    with study.under_way("-n", "0") as process:  # once
        study.until(lambda: begun(study))
        os.kill(process.pid, number)
        assert "finishing" in "".join(iter(process.stdout.readline, "\n")) + process.stdout.readline()
        (study.path / "slow").unlink()
        out, err = process.communicate(timeout=600)
    assert process.returncode == 2, out + err
    assert "sim_a.py::total  after f  done in" in out
    assert calls(study) == ["total"]  # the second one has not begun
    study.ok()
    assert calls(study) == ["more"]


def test_kill_in_it_keeps_the_runs(study):
    edit(study, "    done = trajectory", "    import os; os.kill(os.getpid(), 9)\n    done = trajectory")
    assert study.simkit("-n", "0").code == -signal.SIGKILL
    with study.open("f-001") as traj:
        assert traj["z"].tolist() == [2, 4, 6, 8]
    edit(study, "    import os; os.kill(os.getpid(), 9)\n", "")
    study.ok()
    with study.open("f-001") as traj:
        assert traj.summary.total == 200


def test_co_and_parameters_show_it(study):
    out = study.ok("--co").out
    assert "sim_a.py::f  4 runs\n    after: sim_a.py::total   Sum of z.\n    after: sim_a.py::more\n" in out
    assert study.ok("--co", "-q").out == "sim_a.py::f\n"
    out = study.ok("--parameters").out
    assert "after: sim_a.py::total\nfactor  10   default of after total (sim_a.py:15)\n" in out
    assert "trajectory" not in out
    assert calls(study) == []


def test_quiet_says_nothing_of_what_went_well(study):
    out = study.ok("-q").out
    assert "after f" not in out
    assert "4 done, 2 after done" in out


def test_a_changed_experiment_gets_a_summary_of_its_own(study):
    study.ok()
    study.ok("--set", "k=3")
    with study.open("f-001") as one, study.open("f-002") as two:
        assert (one.summary.total, two.summary.total) == (200, 300)
    calls(study)
    study.ok("--into", "results/f-001.h5", "--set", "k=3", "--product", "x=1,2,3,4,5")
    assert calls(study) == ["total", "more"]
    with study.open("f-001") as traj:
        assert traj.summary.total == 350


SCRIPT = """
import numpy as np
from simkit import after, experiment, explore, run

handle = open("script.py")  # what follows an experiment may hold what no worker could be sent

@experiment
def f(x, rng):
    return {"z": x}

@after(f)
def total(trajectory):
    return {"total": trajectory["z"].sum(), "name": handle.name}

for method in METHODS:
    traj = run(f, explore(x=np.arange(5)), workers=2, output=f"{method}.h5")
    print(traj.summary.total, traj.summary.name)
"""


def test_in_a_script_with_workers(project):
    project.file("script.py", SCRIPT.replace("METHODS", '["fork"]'))
    result = project.python("script.py")
    assert (result.code, result.out, result.err) == (0, "10 script.py\n", "")


def test_with_workers_that_are_spawned(study):
    study.ok("-n", "2", "--start-method", "spawn")
    assert calls(study) == ["total", "more"]
