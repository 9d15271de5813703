"""Trials that go on until a point's results are known well enough."""

from __future__ import annotations

import signal

import numpy as np
import pytest

import simkit
from simkit import SimkitError, explore, product

UNTIL = {"until": "sem(z) < 0.2", "most": 30}


def noisy(x, rng):
    return {"z": rng.normal(10, x)}


@pytest.fixture
def go(tmp_path):
    """Run a function over a space into one file; the trajectory is closed when the test ends."""
    opened = []

    def run(space, function=noisy, file="f.h5", **options):
        opened.append(simkit.run(function, space, output=tmp_path / file, **{"seed": 3, **options}))
        return opened[-1]

    yield run
    for traj in opened:
        traj.close()


def trials(traj):
    """How many trials each x has."""
    values, counts = np.unique(traj["x"], return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def expected(traj, x, times, sem, most):
    """How many trials a point must have, by its recorded results."""
    z = traj.where(x=x)["z"]
    for count in [*range(times, most, times), most]:
        if np.std(z[:count], ddof=1) / np.sqrt(count) < sem:
            return count
    return most


def test_each_point_stops_at_the_first_round_after_which_it_is_known(go):
    traj = go(product(x=[0.1, 0.6, 1.0, 3.0]).repeat(5, **UNTIL))
    counts = trials(traj)
    assert counts == {x: expected(traj, x, 5, 0.2, 30) for x in counts}
    assert counts[0.1] == 5
    assert 5 < counts[0.6] < 30
    assert counts[3.0] == 30
    assert set(traj.status) == {"done"}
    for x, count in counts.items():
        assert traj.where(x=x)["trial"].tolist() == list(range(count))


@pytest.mark.parametrize("workers", [1, 2])
def test_runs_have_the_same_numbers_and_results_with_any_number_of_workers(go, workers):
    space = product(x=[0.1, 0.6, 1.0, 3.0]).repeat(4, **UNTIL)
    here, there = go(space), go(space, file="g.h5", workers=workers)
    for name in ("x", "z", "trial"):
        np.testing.assert_array_equal(here[name], there[name])
    assert here["x"][:16].tolist() == [0.1] * 4 + [0.6] * 4 + [1.0] * 4 + [3.0] * 4


def test_it_goes_on_where_a_fixed_number_of_trials_ended_and_back(go):
    fixed = go(product(x=[0.1, 3.0]).repeat(5))["z"]
    grown = go(product(x=[0.1, 3.0]).repeat(5, **UNTIL))
    assert trials(grown) == {0.1: 5, 3.0: 30}
    np.testing.assert_array_equal(grown["z"][:10], fixed)
    assert len(go(product(x=[0.1, 3.0]).repeat(5))) == 35
    assert grown.status.tolist() == ["done"] * 35


def test_a_stricter_condition_adds_trials_and_a_looser_one_none(go):
    space = product(x=[0.3, 0.6])
    before = trials(go(space.repeat(5, **UNTIL)))
    assert trials(go(space.repeat(5, until="sem(z) < 1", most=30))) == before
    after = trials(go(space.repeat(5, until="sem(z) < 0.05", most=60)))
    assert after[0.6] == 60
    assert trials(go(space.repeat(5, until="sem(z) < 0.05", most=60))) == after
    assert trials(go(space.repeat(5, until="sem(z) < 0.05", most=62)))[0.6] == 62


def test_new_points_have_trials_of_their_own(go):
    before = trials(go(product(x=[0.6]).repeat(5, **UNTIL)))
    after = trials(go(product(x=[0.1, 0.6]).repeat(5, **UNTIL)))
    assert after == {0.1: 5, **before}


def test_nothing_runs_again_when_all_is_known(go):
    space = product(x=[0.1, 0.6]).repeat(5, **UNTIL)
    first = go(space)
    again = go(space)
    assert again["seconds"].tolist() == first["seconds"].tolist()
    assert len(again.info.sessions) == 1


def test_relative_conditions_and_those_on_explored_names(go):
    space = product(x=[0.1, 1.0]).repeat(3, until="rel(z) < 0.05 and count(z) > 5 * x", most=40)
    assert trials(go(space)) == {0.1: 3, 1.0: 6}


def test_a_failed_trial_counts_as_a_trial_that_gave_no_number(go):
    def f(x, run, rng):
        if run.trial == 1:
            raise ValueError
        return {"z": rng.normal(0, x)}

    traj = go(product(x=[0.1, 1.0]).repeat(4, until="count(z) >= 6", most=30), f)
    assert trials(traj) == {0.1: 8, 1.0: 8}
    assert (traj.where(trial=1).status == "failed").all()


def test_a_point_all_of_whose_trials_fail_gets_no_more_of_them(go):
    def f(x, rng):
        if x == 1:
            raise ValueError
        return {"z": rng.normal()}

    assert trials(go(product(x=[0, 1]).repeat(4, until="count(z) >= 8", most=100), f)) == {0: 8, 1: 4}


def test_a_trial_without_a_number_is_missing(go):
    def f(x, run):
        return {"z": float("nan") if run.trial < 3 else 1.0, "word": "a"} if run.trial != 5 else None

    assert trials(go(product(x=[1]).repeat(2, until="count(z) >= 3", most=30), f)) == {1: 8}


def test_integers_and_booleans_are_numbers(go):
    def f(x, run):
        return {"n": run.trial, "good": run.trial > 2}

    assert trials(go(product(x=[1]).repeat(1, until="mean(good) >= 0.5 and mean(n) > 1", most=30), f)) == {
        1: 6
    }


@pytest.mark.parametrize(
    ("test", "text"),
    [
        ("sem(y) < 1", r"until='sem\(y\) < 1': no run gave 'y'\n    results: trace, word, z"),
        ("sem(word) < 1", r"until='sem\(word\) < 1': 'word' is no number, but of type"),
        ("sem(trace) < 1", r"until='sem\(trace\) < 1': 'trace' is no number, but an array of shape \(3,\)"),
    ],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_condition_on_what_is_no_number_ends_the_study_and_keeps_its_runs(
    go, tmp_path, test, text, workers
):
    def f(x):
        return {"z": 1.0, "word": "a", "trace": np.zeros(3)}

    with pytest.raises(SimkitError, match=text) as error:
        go(product(x=[1, 2]).repeat(3, until=test, most=9), f, workers=workers)
    assert "test_rounds.py:" in str(error.value)
    with simkit.open(tmp_path / "f.h5") as traj:
        assert traj.status.tolist() == ["done"] * 6


SIM = """
    import time
    from pathlib import Path
    from simkit import after, experiment, product

    @experiment
    @product(x=[0.1, 0.6, 3.0]).repeat(4, until="sem(z) < 0.2", most=24)
    def f(x, rng, run, shift: float = 0.0):
        here = Path(__file__).parent
        if x == 3.0 and run.trial == 13 and not (here / "go").exists():
            (here / "waiting").touch()
            time.sleep(60)
        return {"z": shift + rng.normal(10, x)}

    @after(f)
    def largest(trajectory):
        return {"runs": len(trajectory), "trials": int(trajectory["trial"].max())}
"""


def test_a_study_that_was_killed_in_a_round_ends_as_an_undisturbed_one(project):
    project.file("sim_f.py", SIM)
    with project.under_way("--seed", "3", "-n", "2") as process:
        project.until(lambda: project.has("waiting"))
        process.send_signal(signal.SIGKILL)
        process.wait()
    project.file("go")
    project.ok("--seed", "3", "-n", "2")
    project.ok("--seed", "3", "-n", "0", "--output", "whole.h5")
    killed, whole = project.open("f-001"), project.open("whole.h5")
    for name in ("x", "trial", "z"):
        np.testing.assert_array_equal(killed[name], whole[name])
    assert killed.summary.runs == len(killed) > 12
    assert killed.summary.trials == 23
    written = "(explore(x=[0.1, 0.6, 3.0])).repeat(4, until='sem(z) < 0.2', most=24)"
    assert [session["space"] for session in killed.info.sessions] == [written, written]


def test_the_command_says_how_many_points_are_known_and_which_are_not(project):
    project.file("sim_f.py", SIM)
    project.file("go")
    assert "sim_f.py::f  12 runs, more until sem(z) < 0.2\n" in project.ok("--co").out
    out = project.ok("-n", "0", "--seed", "3").out
    assert "until sem(z) < 0.2: 2 of 3 points; not at x=3.0 (24 trials)" in out
    total = len(project.open("f-001"))
    assert f"{total} of {total} runs" in out
    assert "nothing to do" in project.ok("-n", "0").out


def test_only_the_selected_points_get_further_trials(project):
    project.file("sim_f.py", SIM)
    project.file("go")
    project.ok("-n", "0", "--where", "x > 1")
    traj = project.open("f-001")
    assert trials(traj.where(status="done")) == {3.0: 24}
    assert trials(traj) == {0.1: 4, 0.6: 4, 3.0: 24}
    project.close()
    project.ok("-n", "0", "sim_f.py::f[0:4]")
    assert trials(project.open("f-001").where(status="done")) == {0.1: 4, 3.0: 24}


def test_a_changed_constant_holds_for_later_rounds_too(project):
    project.file("sim_f.py", SIM.replace("< 0.2", "< 0.4"))
    project.file("go")
    project.ok("-n", "0", "--seed", "3")
    before = len(project.open("f-001"))
    project.close()
    project.file("sim_f.py", SIM.replace("< 0.2", "< 0.1"))
    project.ok("-n", "0", "--set", "shift=5", "--into", "results/f-001.h5")
    traj = project.open("f-001")
    assert len(traj) > before + 4
    assert traj["shift"].tolist() == [0.0] * before + [5.0] * (len(traj) - before)


def test_shards_can_not_decide_by_each_others_results(project):
    project.file("sim_f.py", SIM)
    result = project.simkit("--shard", "0/2")
    assert result.code == 4
    assert "--shard divides points that are known from the start" in result.err


def test_a_repeated_list_of_points_with_equal_ones_in_it(go):
    traj = go(explore(x=[0.6, 0.6]).repeat(4, **UNTIL))
    again = go(explore(x=[0.6, 0.6]).repeat(4, **UNTIL))
    assert len(again) == len(traj)
    assert again.status.tolist() == ["done"] * len(traj)
