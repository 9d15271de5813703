"""Points one by one, as soon as a worker is free; told and asked for again in the recorded order."""

from __future__ import annotations

import itertools
import re
import signal
import warnings
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

import simkit
from simkit import adaptive, experiment
from simkit.errors import RunFailed, SimkitError, SimkitWarning
from simkit.study.growth import Growth
from simkit.study.steady import Steady
from simkit.values.batch import RunReport


class Walk:
    """A sampler whose next point depends on all that it heard, and in which order."""

    def __init__(self, n, seed=0):
        self.n, self.state, self.log = n, float(seed), []

    def ask(self):
        if self.n == 0:
            return None
        self.n -= 1
        self.state = (self.state * 1.7 + 0.1) % 1.0
        self.log.append(("ask", self.state))
        return {"x": self.state}

    def tell(self, point, results):
        z = -1.0 if results is None else results["z"]
        self.log.append(("tell", point["x"], z))
        self.state = (self.state * 3.1 + z) % 1.0


class Learner(Walk):
    def learn(self, point, results):
        self.log.append(("learn", point["x"], results["z"]))
        self.state = (self.state * 2.3 + results["z"]) % 1.0


def adapted(kind=Walk, f=None, start=None):
    made = []

    def walk(n=12, seed_of_walk=0.0):
        made.append(kind(n, seed_of_walk))
        return made[-1]

    def square(x):
        return {"z": x * x}

    return experiment(adaptive(walk, start=start)(f or square)), made


WALK = rf"test_steady\.py:{adapted.__code__.co_firstlineno + 3}: strategy walk"


def test_each_point_is_told_before_the_next_is_asked_for_without_workers(go):
    function, made = adapted()
    traj = go(function)
    assert len(traj) == 12
    assert [kind for kind, *_ in made[-1].log] == ["ask", "tell"] * 12
    assert traj["x"].tolist() == [x for kind, x, *_ in made[-1].log if kind == "ask"]
    assert [z for kind, *_, z in made[-1].log if kind == "tell"] == traj["z"].tolist()


@pytest.mark.parametrize("workers", [1, 2])
def test_with_workers_a_point_waits_for_the_first_that_is_free(go, workers):
    function, made = adapted()
    traj = go(function, workers=workers)
    assert traj.status.tolist() == ["done"] * 12
    under_way = list(itertools.accumulate({"ask": 1, "tell": -1}[kind] for kind, *_ in made[-1].log))
    assert max(under_way) == workers + 1
    log = made[-1].log
    again = go(function, workers=workers, set={"n": 20})
    assert made[-1].log[:24] == log
    assert len(again) == 20
    assert again["x"][:12].tolist() == traj["x"].tolist()


def test_large_arrays_are_told_as_they_were_computed(go):
    """They come through memory that workers fill again and again."""

    class Keeping(Walk):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.kept = []

        def tell(self, point, results):
            super().tell(point, results)
            self.kept.append((point["x"], results["trace"]))

    def f(x):
        return {"z": x, "trace": np.full(20_000, x)}

    function, made = adapted(Keeping, f)
    go(function, workers=2)
    assert all((trace == x).all() for x, trace in made[-1].kept)


@pytest.mark.parametrize("workers", [1, 2])
def test_when_a_point_is_asked_for_depends_on_the_answers_alone(go, workers):
    function, _ = adapted()
    with go(function, workers=workers) as traj:
        asked = np.sort(h5py.File(traj.path)["square/runs/asked"][:])
    assert asked.tolist() == [max(0, i - workers) for i in range(12)]


def test_nothing_is_asked_again_once_it_is_over(go):
    function, made = adapted()
    go(function)
    go(function)
    assert len(made) == 1


def test_failures_are_told_as_none_and_told_again_when_it_goes_on(go):
    def f(x):
        if x > 0.5:
            raise ValueError
        return {"z": x}

    function, made = adapted(f=f)
    traj = go(function, workers=2)
    failed = traj.status == "failed"
    assert failed.any()
    assert not failed.all()
    assert np.isnan(traj["z"]).tolist() == failed.tolist()
    log = made[-1].log
    more = go(function, workers=2, set={"n": 15})
    assert made[-1].log[:24] == log
    assert (more.status[:12] == traj.status).all()


def test_a_run_that_is_tried_again_is_told_once(go, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()

    def walk():
        made.append(Walk(6))
        return made[-1]

    made = []

    @experiment(retries=1)
    @adaptive(walk)
    def f(x, run):
        mark = marks / str(run.index)
        if run.index % 2 and not mark.exists():
            mark.touch()
            raise ValueError
        return {"z": x}

    traj = go(f, workers=2)
    assert traj.status.tolist() == ["done"] * 6
    assert len([1 for kind, *_ in made[0].log if kind == "tell"]) == 6


def test_points_may_explore_further_names_later(go):
    class Widening(Walk):
        def ask(self):
            point = super().ask()
            if point is not None and len(self.log) > 11:
                return {**point, "scale": 3.0}
            return point

    def f(x, scale: float = 1.0):
        return {"z": x * scale}

    function, _ = adapted(Widening, f)
    for workers in (0, 2):
        for n in (12, 14):
            traj = go(function, f"f{workers}.h5", workers=workers, set={"n": n})
            assert traj.status.tolist() == ["done"] * n
            assert sorted(set(traj["scale"].tolist())) == [1.0, 3.0]
            np.testing.assert_array_equal(traj["z"], traj["x"] * traj["scale"])


def test_a_sampler_that_asks_for_other_points_goes_on_with_these(go):
    function, made = adapted()
    first = go(function)["x"].tolist()
    with pytest.warns(
        simkit.SimkitWarning, match=rf"{WALK} does not repeat itself: instead of the point of run 0 "
    ):
        traj = go(function, set={"seed_of_walk": 0.5, "n": 4})
    assert traj["x"][:12].tolist() == first
    assert len(traj) == 16
    assert [kind for kind, *_ in made[-1].log] == ["ask", "tell"] * 4


def test_a_sampler_that_learns_takes_what_it_did_not_ask_for(go):
    function, made = adapted(Learner)
    first = go(function)
    with pytest.warns(simkit.SimkitWarning, match="does not repeat itself"):
        traj = go(function, set={"seed_of_walk": 0.5, "n": 4})
    assert [kind for kind, *_ in made[-1].log] == ["ask"] + ["learn"] * 12 + ["tell"] + ["ask", "tell"] * 3
    learned = [x for kind, x, *_ in made[-1].log if kind == "learn"]
    assert learned == first["x"].tolist()
    log = made[-1].log
    go(function, set={"seed_of_walk": 0.5, "n": 6})
    assert made[-1].log[1:13] == log[1:13]
    assert len(traj) == 16


def test_it_may_start_from_what_another_trajectory_knows(go, tmp_path):
    function, made = adapted(Learner)
    old = go(function, "old.h5")
    started, made = adapted(Learner, start=tmp_path / "old.h5")
    traj = go(started, set={"n": 3})
    assert [kind for kind, *_ in made[-1].log] == ["learn"] * 12 + ["ask", "tell"] * 3
    assert [x for kind, x, *_ in made[-1].log][:12] == old["x"].tolist()
    log = made[-1].log
    assert len(traj) == 3
    go(started, set={"n": 4})
    assert made[-1].log[:18] == log


def test_what_it_started_from_may_be_gone_when_nothing_is_left_to_do(go, tmp_path):
    function, _ = adapted(Learner)
    go(function, "old.h5").close()
    started, made = adapted(Learner, start=tmp_path / "old.h5")
    first = go(started, set={"n": 3})
    points = first["x"].tolist()
    first.close()
    (tmp_path / "old.h5").rename(tmp_path / "moved.h5")
    again = go(started, set={"n": 3})
    assert (again["x"].tolist(), len(made)) == (points, 1)
    again.close()
    gone = rf"{WALK} starts from another trajectory: no such file: .*old.h5"
    with pytest.raises(SimkitError, match=gone):
        go(started, set={"n": 4})  # it learns anew, and goes on
    with pytest.raises(SimkitError, match=gone.replace("old.h5", "odl.h5")):
        go(adapted(Learner, start=tmp_path / "odl.h5")[0], set={"n": 3})
    moved, made = adapted(Learner, start=tmp_path / "moved.h5")
    go(moved, set={"n": 3}).close()
    assert not made
    assert len(go(moved, set={"n": 4})) == 4


def widened(**options):
    def wide(x, width=1.0, depth=1.0, label="a"):
        return {"z": x * width * depth}

    return adapted(Learner, wide, **options)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"width": 2.0}, {"width": 2.0}, ""),
        ({}, {"width": 2.0}, r"width was 1\.0, now 2\.0"),
        ({"width": 3.0, "label": "b"}, {}, r"width was 3\.0, now 1\.0; label was 'b', now 'a'"),
    ],
)
def test_constants_that_what_it_learns_was_not_computed_with_are_said(go, tmp_path, old, new, words):
    go(widened()[0], "old.h5", set={"n": 2, **old}).close()
    started, made = widened(start=tmp_path / "old.h5")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        go(started, set={"n": 1, **new}).close()
    assert len(made[-1].log) == 4
    assert len(said) == bool(words)
    for one in said:
        text = rf".*strategy walk learned 2 runs of .*old\.h5, which has other constants: {words}\n    what it .*--set"
        assert re.match(text, str(one.message))


def test_a_constant_that_changed_between_sessions_is_not_the_same_in_all_runs(go, tmp_path):
    go(widened()[0], "old.h5", set={"n": 2}).close()
    again = {"n": 3, "width": 2.0}
    simkit.run(widened()[0], set=again, into=tmp_path / "old.h5").close()
    started, _ = widened(start=tmp_path / "old.h5")
    with pytest.warns(SimkitWarning, match=r"constants: width was not the same in all runs, now 2\.0\n"):
        go(started, set={"n": 1, "width": 2.0})


def test_starting_needs_a_sampler_that_learns(go, tmp_path):
    function, _ = adapted(Learner)
    go(function, "old.h5")
    with pytest.raises(
        RunFailed, match=rf"{WALK} can't start from .*old.h5: it returns no object with learn"
    ):
        go(adapted(Walk, start=tmp_path / "old.h5")[0])


def stretched(x: float, width: float):
    return {"z": x * width}


def foreign(x: float, scale: float):
    return {"z": x * scale}


def test_it_may_start_from_one_of_several_experiments_in_a_file(go, tmp_path):
    for f in (stretched, foreign):
        simkit.run(
            f, simkit.explore({"x": [1.0], f.__code__.co_varnames[1]: [2.0]}), output=tmp_path / "old.h5"
        )
    function, made = adapted(Learner, lambda x, width=1.0: {"z": x}, start=tmp_path / "old.h5::stretched")
    with pytest.warns(simkit.SimkitWarning, match="of another experiment: .*::stretched"):
        go(function, set={"n": 1}).close()
    assert made[-1].log[0] == ("learn", 1.0, 2.0)


@pytest.mark.parametrize(
    ("start", "text"),
    [
        ("nowhere.h5", r"another trajectory: no such file: .*nowhere.h5"),
        ("old.txt", r"another trajectory: .*old.txt: not a trajectory file"),
        (
            "old.h5",
            r"another trajectory: .*old.h5 holds several .*: stretched, foreign\n    name one: .*old.h5::str",
        ),
        (
            "old.h5::walk",
            r"another trajectory: .*old.h5 has no experiment 'walk'\n .* there: foreign, stretched",
        ),
        (
            "old.h5::foreign",
            r".*::foreign, whose points are of x, scale\n.*: 'scale' is explored, but nothing in",
        ),
        ("lacking.h5", r".*lacking.h5, whose points are of width\n(.|\n)*'x'"),
        ("f.h5", r".*f.h5, which is its own trajectory\n    leave out start="),
    ],
)
def test_where_it_can_not_start_is_told_with_the_strategys_line_before_anything_runs(
    go, tmp_path, start, text
):
    def started(**options):
        def square(x, width=1.0):
            return {"z": x * x * width}

        return adapted(Learner, square, **options)

    (tmp_path / "old.txt").write_text("no trajectory")
    for f in (stretched, foreign):
        simkit.run(
            f, simkit.explore({"x": [1.0], f.__code__.co_varnames[1]: [2.0]}), output=tmp_path / "old.h5"
        )
    simkit.run(stretched, simkit.explore(width=[2.0]), output=tmp_path / "lacking.h5", set={"x": 1.0})
    go(started()[0], set={"n": 2}).close()
    function, made = started(start=tmp_path / start)
    with pytest.raises(SimkitError, match=rf"{WALK} starts from {text}"):
        go(function)
    assert not made


def test_what_it_learns_of_another_experiment_is_said(project):
    project.file(
        "sim_old.py",
        """
        from simkit import experiment, product

        @experiment
        @product(x=[1.0, 2.0])
        def old(x):
            return {"z": x}
        """,
    )
    project.file(
        "sim_new.py",
        """
        from simkit import adaptive, experiment

        class Learner:
            learned = 0

            def ask(self):
                self.learned -= 1
                return {"x": 0.0} if self.learned >= 0 else None

            def tell(self, point, results):
                pass

            def learn(self, point, results):
                self.learned += 1

        def learner():
            return Learner()

        @experiment
        @adaptive(learner, start="results/old-001.h5")
        def new(x):
            return {"z": x}
        """,
    )
    project.ok("sim_old.py", "-n", "0")
    out = project.ok("sim_new.py", "-n", "0").out
    said = "strategy learner learned 2 runs of results/old-001.h5, which is of another experiment: sim_old.py::old"
    assert f"sim_new.py:17: {said}" in " ".join(out.split())
    assert len(project.open("new-001")) == 2
    project.close()
    project.ok("sim_old.py", "-n", "0", "--product", "x=1.0,2.0,3.0")
    assert "learned 3 runs" in project.ok("sim_new.py", "-n", "0").out
    assert (
        len(project.open("new-001")) == 3
    )  # as the strategy itself, what it starts from is no input of the runs


def test_a_list_of_points_is_a_generation(go):
    class Pairs(Walk):
        def ask(self):
            points = [super(Pairs, self).ask() for _ in range(2)]
            return None if None in points else points

        def result(self):
            return {"asked": len(self.log)}

    function, made = adapted(Pairs)
    traj = go(function, workers=2)
    assert [kind for kind, *_ in made[-1].log] == ["ask", "ask", "tell", "tell"] * 6
    assert traj["generation"].tolist() == [i // 2 for i in range(12)]
    assert traj.summary.asked == 24
    log = made[-1].log
    assert len(go(function, workers=2, set={"n": 14})) == 14
    assert made[-1].log[:24] == log


def mistaken(how):
    class Mistaken(Walk):
        def ask(self):
            if how == "ask" and self.n == 8:
                raise ZeroDivisionError("ask failed")
            return 3.0 if how == "number" and self.n == 8 else super().ask()

        def tell(self, point, results):
            if how == "tell" and self.n == 8:
                raise ZeroDivisionError("tell failed")
            super().tell(point, results)

    return Mistaken


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("ask", "ZeroDivisionError: ask failed"),
        ("tell", "ZeroDivisionError: tell failed"),
        ("number", "strategy walk: ask() gave 3.0\n    give a point as a dictionary"),
    ],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_sampler_that_fails_is_told_and_what_is_done_is_kept(go, tmp_path, how, text, workers):
    function, _ = adapted(mistaken(how))
    with pytest.raises(RunFailed) as error:
        go(function, workers=workers)
    assert text in str(error.value)
    line = mistaken.__code__.co_firstlineno + {"ask": 4, "tell": 9}.get(how, 0)
    place = f'test_steady.py", line {line}, in {how}\n' if how != "number" else "test_steady.py:"
    assert place in str(error.value)
    if how == "number":
        assert re.search(WALK, str(error.value))
    with simkit.open(tmp_path / "f.h5") as traj:
        assert (traj.status == "done").sum() >= 1
        assert set(traj.status) <= {"done", "pending"}


@pytest.mark.parametrize(
    ("given", "done", "text"),
    [
        ([{"x": 1.0}, {"x": object()}], 1, "strategy walk asks for points of x\n"),
        ([{"x": object()}], 0, "explored x: cannot store a value of type object"),
        ([{"x": 1.0}, {"1x": 2.0}], 1, "ask() gave a wrong point: '1x' cannot name a parameter"),
        ([{"x": 1.0}, {"q": 2.0}], 1, "strategy walk asks for points of x, q"),
        ([[]], 0, "ask() gave an empty list\n    give None at the end"),
        ([[{"x": 1.0}], []], 1, "ask() gave an empty list"),
        ([[{"x": 1.0}, 3]], 0, "ask() gave 3 as a point\n    give a dictionary of values by name"),
        ([[{"x": 1.0}], {"x": 2.0}], 1, "ask() gave {'x': 2.0} after a list"),
        ([[{"x": 1.0}, {"x": len}]], 0, "explored x: cannot store a"),
        ([[{"x": 1.0}], [{"trial": 1}]], 1, "ask() gave a wrong point: 'trial' is the number that repeat() counts"),
    ],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_point_is_told_with_the_strategys_line_and_what_is_done_is_kept(
    go, tmp_path, given, done, text
):
    class Given(Walk):
        def ask(self):
            return given.pop(0) if given else None

    given = list(given)
    with pytest.raises(RunFailed) as error:
        go(adapted(Given)[0])
    message = str(error.value)
    assert text in message
    assert "test_steady.py:" in message
    assert "strategy walk failed; all runs are kept" in message
    assert (tmp_path / "f.h5").exists() == bool(done)
    if done:
        with simkit.open(tmp_path / "f.h5") as traj:
            assert traj.status.tolist() == ["done"] * done


@pytest.mark.parametrize("kind", ["ask", "yield"])
def test_what_keeps_workers_from_starting_is_no_mistake_of_the_strategy(go, monkeypatch, kind):
    def begin(*_):
        raise SimkitError("there are no workers today")

    def ask():
        yield simkit.explore(x=[1.0])

    monkeypatch.setattr(Growth, "begin", begin)
    function = adapted()[0] if kind == "ask" else experiment(adaptive(ask)(lambda x: x))
    with pytest.raises(SimkitError) as error:
        go(function)
    assert str(error.value) == "there are no workers today"


SIM = """
    import os, signal, time
    from pathlib import Path
    from simkit import adaptive, experiment

    HERE = Path(__file__).parent

    class Walk:
        def __init__(self, n):
            self.n, self.state, self.log = n, 0.0, []

        def ask(self):
            if self.n == 0:
                return None
            self.n -= 1
            self.state = (self.state * 1.7 + 0.1) % 1.0
            self.log.append(self.state)
            return {"x": self.state}

        def tell(self, point, results):
            self.log.append(results["z"])
            self.state = (self.state * 3.1 + results["z"]) % 1.0

        def result(self):
            return {"log": self.log}

    def walk(n=30):
        return Walk(n)

    @experiment
    @adaptive(walk)
    def f(x, run):
        if run.index == 15 and not (HERE / "go").exists():
            (HERE / "waiting").touch()
            time.sleep(60)
        return {"z": x * x}
"""


def test_a_study_that_was_killed_goes_on_with_the_points_that_were_under_way(project):
    project.file("sim_f.py", SIM)
    with project.under_way("-n", "2") as process:
        project.until(lambda: project.has("waiting"))
        project.until(lambda: _is_done(project, 12))
        process.send_signal(signal.SIGKILL)
        process.wait()
    project.file("go")
    killed = project.open("f-001")
    before = killed["x"].tolist()
    project.close()
    out = project.ok("-n", "2").out
    assert "does not repeat itself" not in out
    traj = project.open("f-001")
    assert traj["x"].tolist()[: len(before)] == before
    assert traj.status.tolist() == ["done"] * 30
    log = list(traj.summary.log)
    project.close()
    assert "does not repeat itself" not in project.ok("-n", "2", "--set", "n=31").out
    again = list(project.open("f-001").summary.log)
    assert again[: len(log)] == log


def _is_done(project, count):
    path = project.path / "results" / "f-001.h5"
    if not path.exists():
        return False
    with simkit.open(path) as traj:
        return (traj.status == "done").sum() >= count


@pytest.mark.parametrize("report", [RunReport(3, 0, 1.5), RunReport(3, 0), RunReport(0, 9)])
def test_a_report_of_a_run_that_is_over_is_nobodys(report):
    """A task that an engine gave up may go on somewhere, while its run was done again."""
    log = []

    class Deaf(Walk):
        def report(self, *said):
            log.append(said)

        def should_stop(self, point):
            log.append(point)
            return True

    steady = Steady(Deaf(3), SimpleNamespace(told=4), "here", 1, under_way={7: {"x": 1.0}})
    steady.listen(report)
    assert (log, report.stop) == ([], False)
