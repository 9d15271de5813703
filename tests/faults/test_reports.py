"""What a run reported is what its last attempt did, from its checkpoint on, wherever runs are executed."""

from __future__ import annotations

import pytest

HEAD = """
import os
import signal
from pathlib import Path
from simkit import adaptive, experiment, explore

MARKS = Path(__file__).parents[1] / "marks"  # outside of the project, whose files are inputs


def is_first(run):
    mark = MARKS / str(run.index)
    was_there = mark.exists()
    mark.touch()
    return run.index == 1 and not was_there


def die(run):
    run.checkpoint(said=True)  # the file holds what was reported; who does not ask for it begins anew
    os.kill(os.getpid(), signal.SIGKILL)


"""
THREE = """
@experiment(retries=1)
@explore(x=[1.0, 2.0, 3.0])
def f(x, run):
"""
GRID = (
    HEAD
    + THREE
    + """
    if is_first(run):
        for step in range(10):
            run.report(step, step)
        die(run)
    SECOND
    return {"z": x}
"""
)
SECONDS = {  # what the other attempts do, and what they report
    "the same, and less": ("for step in range(5): run.report(step, step)", [(s, float(s)) for s in range(5)]),
    "the same": ("for step in range(10): run.report(step, step)", [(s, float(s)) for s in range(10)]),
    "others": ("for step in range(5): run.report(step * x, step)", lambda x: [(s, s * x) for s in range(5)]),
    "other steps": ("for step in (20, 21): run.report(x, step)", lambda x: [(20, x), (21, x)]),
    "from an other on": (
        "for step in range(9): run.report(step + x * (step > 3), step)",
        lambda x: [(s, s + x * (s > 3)) for s in range(9)],
    ),
    "nothing": ("pass", []),
    "a failure": ("run.report(7.0, 3); 1 / 0", [(3, 7.0)]),
    "a failure of nothing": ("1 / 0", []),
}


@pytest.fixture
def killed(project):
    """Writes a file, and runs the command until no attempt is killed."""
    marks = project.path.parent / "marks"
    marks.mkdir()

    def go(source, *arguments):
        project.file("sim_f.py", source)
        if "0" in arguments:
            assert project.simkit(*arguments).code == -9
        return project.simkit(*arguments)

    return go


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("second", SECONDS)
def test_what_an_attempt_reported_that_was_killed_gives_way_to_the_next(project, killed, second, workers):
    does, says = SECONDS[second]
    killed(GRID.replace("SECOND", does), "-n", workers)
    traj = project.open("f-001")
    assert traj.status[1] == ("failed" if "failure" in second else "done")
    for run, x in enumerate([1.0, 2.0, 3.0]):
        assert traj.reports(run) == (says(x) if callable(says) else says)


@pytest.mark.parametrize("status", ["crashed", "timeout"])
def test_of_two_attempts_that_died_the_second_counts(project, killed, status):
    end = "die(run)" if status == "crashed" else "while True: pass"
    source = GRID.replace("SECOND", f"run.report(x, 2)\n    if run.index == 1:\n        {end}")
    killed(
        source.replace("retries=1", "retries=1, timeout=15" if status == "timeout" else "retries=1"),
        "-n",
        "1",
    )
    traj = project.open("f-001")
    assert traj.status.tolist() == ["done", status, "done"]
    assert [traj.reports(run) for run in range(3)] == [[(2, 1.0)], [(2, 2.0)], [(2, 3.0)]]


CHECKPOINT = (
    HEAD
    + THREE
    + """
    is_killed = is_first(run)
    state = run.restore()
    before = run.reports
    for step in range(*((state["step"], LAST) if state else (0, 10))):
        run.report(step + (100 if state else 0), step)
        if step == 4 and is_killed:
            run.checkpoint(step=5)
    if is_killed:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"before": len(before), "after": len(run.reports)}
"""
)


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("last", [5, 7, 12])
def test_what_was_reported_before_a_checkpoint_stays_as_the_run_goes_on_from_there(
    project, killed, last, workers
):
    assert killed(CHECKPOINT.replace("LAST", str(last)), "-n", workers).code == 0
    traj = project.open("f-001")
    assert traj.reports(0) == traj.reports(2) == [(step, float(step)) for step in range(10)]
    assert traj.reports(1) == [(step, step + (100.0 if step > 4 else 0.0)) for step in range(last)]
    assert traj["before"].tolist() == [0, 5, 0]
    assert traj["after"].tolist() == [10, last, 10]


def test_tasks_that_share_a_set_of_shards_leave_what_the_last_attempts_reported(project, killed):
    source = GRID.replace("SECOND", "run.report(x, 1)")
    expected = [[(1, 1.0)], [(1, 2.0)], [(1, 3.0)]]
    killed(source, "-n", "0", "--shard", "1/2")
    project.ok("-n", "0", "--shard", "0/2")
    assert [project.open("f-001").reports(run) for run in range(3)] == expected
    project.close()
    project.ok("export", "f", "part.h5", "--where", "x > 1")
    assert [project.open("part.h5").reports(run) for run in range(2)] == expected[1:]
    project.close()
    project.ok("merge", "whole.h5", "results/f-001.h5")
    assert [project.open("whole.h5").reports(run) for run in range(3)] == expected


def test_of_an_interrupted_run_and_the_same_one_done_elsewhere_the_second_reported(project, killed):
    project.file("sim_f.py", GRID.replace("SECOND", "run.report(x, 1)"))
    assert project.simkit("-n", "0", "--output", "a.h5", "--seed", "1").code == -9
    project.ok("-n", "0", "--output", "b.h5", "--seed", "1")
    for order in (("a.h5", "b.h5"), ("b.h5", "a.h5")):
        (project.path / "whole.h5").unlink(missing_ok=True)
        project.ok("merge", "whole.h5", *order, "--duplicates", "first")
        traj = project.open("whole.h5")
        assert [traj.reports(run) for run in range(3)] == [[(1, 1.0)], [(1, 2.0)], [(1, 3.0)]]
        project.close()


STOPS = (
    HEAD
    + """
class Line:
    def __init__(self):
        self.left, self.heard = 6, []

    def ask(self):
        self.left -= 1
        return {"x": float(self.left + 10 * len(self.heard))} if self.left >= 0 else None

    def tell(self, point, results):
        self.heard.append(results)

    def report(self, point, value, step):
        self.heard.append((value, step))

    def should_stop(self, point):
        return len(self.heard) and self.heard[-1] == (3.0, 3)


def line():
    return Line()


@experiment(retries=1)
@adaptive(line)
def f(x, run):
    steps, is_killed = [], is_first(run)
    for step in range(6):
        run.report(step, step)
        if (is_killed or run.index != 1 or step % 2 == 0) and run.should_stop():
            break
        steps.append(step)
    if is_killed:
        die(run)
    return {"steps": len(steps)}
"""
)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_where_an_attempt_that_was_killed_was_told_to_stop_the_next_need_not(project, killed, workers):
    assert killed(STOPS, "-n", workers).code == 0
    traj = project.open("f-001")
    assert traj.status.tolist() == ["done"] * 6
    assert traj["steps"].tolist() == [3, 6, 3, 3, 3, 3]
    assert [step for step, _ in traj.reports(1)] == list(range(6))
    project.close()
    assert "6 runs" in project.ok("verify", "f").out
    again = project.ok("-n", workers)  # which asks and tells the strategy all of it
    assert "6 of 6 runs" in again.out
    assert "does not repeat itself" not in again.out
