"""Strategies choose points by what the runs before gave, and go on where they were."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from scipy.optimize import differential_evolution, minimize

import simkit
from simkit import SimkitError, adaptive, each, experiment, explore, product
from simkit.errors import RunFailed


def climb(rng, run, ngen=4, popsize=5, sigma=0.5):
    """Gaussian steps around the best point so far."""
    best, best_z = np.zeros(2), -np.inf
    for _ in range(ngen):
        x, y = best[:, None] + sigma * rng.standard_normal((2, popsize))
        results = yield explore(x=x, y=y)
        i = np.nanargmax(results["z"])
        if results["z"][i] > best_z:
            best, best_z = np.array([x[i], y[i]]), results["z"][i]
        run.append(best_z=best_z)
    return {"best": best}


@experiment
@adaptive(climb)
def hill(x: float, y: float, top: float = 1.0):
    return {"z": top - (x - 3) ** 2 - (y + 2) ** 2}


def adapted(strategy, function=None):
    """An experiment of its own for a strategy."""

    def f(x):
        return {"z": x * x, "text": f"{x:.1f}"}

    return experiment(adaptive(strategy)(function or f))


def columns(traj, *names):
    return {name: np.asarray(traj[name]).tolist() for name in names}


# The three ways to ask


def test_a_generator_gets_columns_and_its_runs_tell_their_generation(go):
    traj = go(hill)
    assert traj.status.tolist() == ["done"] * 20
    assert traj["generation"].tolist() == [i // 5 for i in range(20)]
    np.testing.assert_array_equal(traj["z"], 1 - (traj["x"] - 3) ** 2 - (traj["y"] + 2) ** 2)
    best = [traj["z"][: 5 * (i + 1)].max() for i in range(4)]
    assert traj.summary.best_z.tolist() == best
    np.testing.assert_array_equal(
        traj.summary.best, [traj["x"][np.argmax(traj["z"])], traj["y"][np.argmax(traj["z"])]]
    )
    assert traj.parameters.ngen == 4
    assert traj.explored == ("x", "y")
    assert traj.info.sessions[0]["space"] == "adaptive(climb)"


@pytest.mark.parametrize("workers", [1, 2])
def test_the_points_are_the_same_for_any_number_of_workers(go, workers):
    assert columns(go(hill), "x", "y", "z") == columns(go(hill, "g.h5", workers=workers), "x", "y", "z")


def test_an_evaluate_function_is_called_with_columns_or_single_values(go):
    def search(evaluate, offset=0.5):
        found = minimize(
            lambda p: evaluate(x=p[0] - offset)["z"], [2.0], method="Nelder-Mead", options={"maxiter": 30}
        )
        both = evaluate(explore(x=[1.0, 2.0]))
        return {"best": found.x[0], "texts": list(both["text"]), "runs": both.runs}

    traj = go(adapted(search))
    assert abs(traj.summary.best - 0.5) < 1e-2
    assert traj.summary.texts == ["1.0", "2.0"]
    assert traj.summary.runs.tolist() == [len(traj) - 2, len(traj) - 1]
    assert isinstance(traj.runs[0].x, float)


def test_scipy_optimises_whole_generations(go):
    def de(evaluate, seed):
        found = differential_evolution(
            lambda p: evaluate(x=p[0])["z"], [(-2, 3)], vectorized=True, updating="deferred", maxiter=3, popsize=4,
            rng=seed, polish=False,
        )  # fmt: skip
        return {"best": found.x, "fun": found.fun}

    traj = go(adapted(de), workers=2)
    assert traj.summary.fun == traj["z"].min()
    assert len(set(traj["generation"])) == 4


# What they are told


def test_failed_runs_are_missing_and_other_names_keep_their_type(go):
    told = []

    def ask():
        for points in ([1.0, -1.0, 2.0], [-1.0], [3.0]):
            told.append((yield explore(x=points)))

    def f(x):
        if x < 0:
            raise ValueError
        return {"z": x, "n": int(x), "trace": np.full(3, x)}

    traj = go(adapted(ask, f))
    assert traj.status.tolist() == ["done", "failed", "done", "failed", "done"]
    first, second, third = told
    np.testing.assert_array_equal(first["z"], [1, np.nan, 2])
    assert first["n"].mask.tolist() == [False, True, False]
    assert first.status.tolist() == ["done", "failed", "done"]
    assert first["trace"].shape == (3, 3)
    assert np.isnan(second["z"]).tolist() == [True]
    assert second["trace"].shape == (1, 3)
    assert third["z"].tolist() == [3.0]
    assert set(third) == {"x", "z", "n", "trace"}
    with pytest.raises(KeyError, match="no run gave 'zz'; there are: z"):
        third["zz"]


def test_large_results_are_read_when_they_are_wanted(go):
    told = []

    def ask():
        for points in ([1.0, 2.0], [3.0]):
            told.append((yield explore(x=points)))
            assert told[-1]["trace"][:, 0].tolist() == points
        assert told[0]["trace"].shape == (2, 20_000)
        return {"last": told[1]["trace"][0, -1]}

    def f(x):
        return {"trace": np.full(20_000, x)}

    big = adapted(ask, f)
    go(big)
    go(big)
    assert [list(answers["trace"][:, -1]) for answers in told] == [[1.0, 2.0], [3.0]]


def test_arrays_of_many_runs_are_told_as_they_were_computed(go):
    """They come through memory that workers fill again and again."""

    def ask():
        answers = yield explore(x=np.arange(1500.0))
        return {"are_right": bool((answers["trace"] == np.arange(1500.0)[:, None]).all())}

    def f(x):
        return {"trace": np.full(1000, x)}

    assert go(adapted(ask, f), workers=2).summary.are_right


def test_names_may_turn_up_later_and_points_may_lack_some(go):
    """Then what was a constant so far becomes a column."""

    def ask():
        yield explore(kind=["a", "a"], p=[1.0, 2.0])
        yield explore(kind=["b"], q=[5.0])
        yield explore(kind=["a", "b"], p=[3.0, 4.0])

    def f(kind, p: float = 0.5, q: float = 7.0, scale: float = 2.0):
        return {"z": scale * (p if kind == "a" else q)}

    def check(traj):
        assert columns(traj, "p", "q", "z", "kind") == {
            "p": [1, 2, 0.5, 3, 4], "q": [7, 7, 5, 7, 7], "z": [2, 4, 10, 6, 14], "kind": ["a", "a", "b", "a", "b"],
        }  # fmt: skip
        assert traj.parameters.scale == 2.0
        assert traj.explored == ("kind", "p", "q")
        assert len(traj.to_xarray().dims) > 0
        assert traj.to_dataframe().columns.tolist()[:3] == ["kind", "p", "q"]

    conditional = adapted(ask, f)
    for workers in (0, 0, 2, 2):
        check(go(conditional, f"f{workers}.h5", workers=workers))


def test_what_is_computed_from_a_name_is_computed_for_each_run_once_it_is_explored(study):
    text = """
        from simkit import adaptive, experiment, explore, parameter

        @parameter
        class Net:
            n: int = 10
            m: int = 3

        @parameter
        def size(net: Net):
            return net.n * net.m

        def ask():
            yield explore(x=[1.0])
            yield explore({"net.n": [20, 30]}, x=[1.0, 2.0])

        @experiment
        @adaptive(ask)
        def f(x, size, net):
            return x * size
    """
    for _ in range(2):
        with study.run(text) as traj:
            assert traj["result"].tolist() == [30.0, 60.0, 180.0]
            assert traj["size"].tolist() == [30, 60, 90]
            assert traj["net.n"].tolist() == [10, 20, 30]
            assert traj.parameters.net.m == 3


def test_a_strategy_may_look_at_the_trajectory(go):
    seen = []

    def ask(trajectory):
        for _ in range(3):
            seen.append((len(trajectory), float(np.sum(trajectory["z"])) if len(trajectory) else 0.0))
            yield explore(x=[1.0, 2.0])

    traj = go(adapted(ask))
    assert seen == [(0, 0.0), (2, 5.0), (4, 10.0)]
    assert len(traj) == 6


def test_points_may_be_repeated_and_have_no_names_in_common_with_the_strategy(go):
    def ask(run, shift=1.0):
        answers = yield explore(x=[1.0, 2.0]).repeat(3) * product(y=[shift])
        run.add(mean=answers["z"].reshape(2, 3).mean(1))
        run.note("two points")

    def f(x, y, run):
        return {"z": x + y + run.trial}

    repeated = adapted(ask, f)
    traj = go(repeated)
    assert traj["trial"].tolist() == [0, 1, 2, 0, 1, 2]
    assert traj.summary.mean.tolist() == [3.0, 4.0]
    assert traj.notes() == ["two points"]
    assert len(go(repeated)) == 6


def test_what_runs_in_this_process_move_is_put_back_before_the_strategy_goes_on(go, tmp_path):
    (tmp_path / "elsewhere").mkdir()

    def ask():
        here = os.getcwd()
        yield explore(x=[1.0, 2.0])
        first = os.getcwd()
        yield explore(x=[3.0])
        return {"stayed": here == first == os.getcwd()}

    @experiment
    @adaptive(ask)
    def f(x):
        os.chdir(tmp_path / "elsewhere")
        return x

    here = os.getcwd()
    assert go(f).summary.stayed
    assert os.getcwd() == here


# Continuing


def test_more_generations_go_on_from_those_that_are_recorded(go):
    whole = columns(go(hill, "whole.h5", set={"ngen": 7}), "x", "y", "z", "generation")
    first = go(hill, set={"ngen": 3})["seconds"].tolist()
    assert len(first) == 15
    traj = go(hill, set={"ngen": 7})
    assert traj["seconds"].tolist()[:15] == first
    assert columns(traj, "x", "y", "z", "generation") == whole
    assert len(traj.summary.best_z) == 7
    assert traj.parameters.ngen == 7
    again = go(hill, set={"ngen": 7})
    assert again["seconds"].tolist() == traj["seconds"].tolist()
    assert len(again.info.sessions) == 2


def test_fewer_generations_keep_what_is_recorded(go):
    before = columns(go(hill), "x", "z")
    traj = go(hill, set={"ngen": 2})
    assert columns(traj, "x", "z") == before
    assert len(traj.summary.best_z) == 2
    assert columns(go(hill, set={"ngen": 4}), "x", "z") == before


def test_a_strategy_that_asks_for_other_points_goes_on_with_these(project):
    text = """
        from simkit import adaptive, experiment, explore, after

        def ask():
            for x in {points}:
                results = yield explore(x=x)
            return {{"last": results["z"][-1]}}

        @experiment
        @adaptive(ask)
        def f(x):
            return {{"z": 10 * x}}

        @after(f)
        def total(trajectory):
            return {{"total": trajectory["z"].sum()}}
    """
    project.file("sim_f.py", text.format(points="([1, 2], [3, 4], [5])"))
    project.ok("-n", "0")
    project.file("sim_f.py", text.format(points="([1, 2], [3, 5], [6])"))
    out = project.ok("-n", "0").out
    assert (
        "sim_f.py:6: strategy ask does not repeat itself: instead of the point of run 3 it asks for x=5; "
        "what was recorded from there on stays, and is not asked for any more"
    ) in " ".join(out.split())
    traj = project.open("f-001")
    assert traj["x"].tolist() == [1, 2, 3, 4, 5, 5, 6]
    assert traj["generation"].tolist() == [0, 0, 1, -1, -1, 1, 2]
    assert traj.summary.last == 60
    assert traj.summary.total == traj["z"].sum()
    project.close()
    assert "does not repeat" not in project.ok("-n", "0").out
    project.file("sim_f.py", text.format(points="([1, 2], [3, 5], [6, 7])"))
    out = project.ok("-n", "0").out
    assert "does not repeat" not in out
    assert "1 done" in out


def test_a_failure_that_was_told_stays_one_until_it_is_asked_for_again(project):
    project.file(
        "sim_f.py",
        """
        from pathlib import Path
        from simkit import adaptive, experiment, explore

        def ask(ngen=2):
            for i in range(ngen):
                yield explore(x=[i, i + 0.5])

        @experiment
        @adaptive(ask)
        def f(x):
            if x == 0.5 and Path("broken").exists():
                raise ValueError("broken")
            return {"z": x}
        """,
    )
    project.file("broken")
    assert project.simkit("-n", "0").code == 1
    (project.path / "broken").unlink()
    assert "2 done" in project.ok("-n", "0", "--set", "ngen=3").out
    assert project.open("f-001").status.tolist() == ["done", "failed", "done", "done", "done", "done"]
    project.close()
    assert "1 done" in project.ok("-n", "0", "--lf").out
    assert project.open("f-001").status.tolist() == ["done"] * 6
    project.close()
    assert "nothing to do" in project.ok("-n", "0", "--set", "ngen=3").out


KILLED = """
    import time
    from pathlib import Path
    import numpy as np
    from simkit import adaptive, after, experiment, explore

    def climb(rng, run, ngen=8, popsize=6, sigma=0.5):
        best = np.zeros(2)
        for _ in range(ngen):
            x, y = best[:, None] + sigma * rng.standard_normal((2, popsize))
            z = (yield explore(x=x, y=y))["z"]
            best = np.array([x[z.argmax()], y[z.argmax()]])
            run.append(best=best)

    @experiment
    @adaptive(climb)
    def hill(x: float, y: float, run, rng):
        here = Path(__file__).parent
        if run.index == 27 and not (here / "go").exists():
            (here / "waiting").touch()
            time.sleep(60)
        return {"z": -(x - 3) ** 2 - (y + 2) ** 2 + rng.normal(0, 0.1)}

    @after(hill)
    def best(trajectory):
        return {"best_run": int(trajectory["z"].argmax())}
"""


def test_a_study_that_was_killed_in_a_generation_ends_as_an_undisturbed_one(project):
    project.file("sim_hill.py", KILLED)
    with project.under_way("--seed", "3", "-n", "2") as process:
        project.until(lambda: project.has("waiting"))
        process.send_signal(signal.SIGKILL)
        process.wait()
    project.file("go")
    killed = project.open("hill-001")
    assert 0 < (killed.status == "done").sum() < 30
    project.close()
    project.ok("--seed", "3", "-n", "2")
    project.ok("--seed", "3", "-n", "0", "--output", "whole.h5")
    killed, whole = project.open("hill-001"), project.open("whole.h5")
    for name in ("x", "y", "z", "generation", "seed"):
        np.testing.assert_array_equal(killed[name], whole[name])
    assert killed.summary.best_run == whole.summary.best_run
    np.testing.assert_array_equal(np.array(killed.summary.best), np.array(whole.summary.best))


def test_ctrl_c_keeps_everything_of_a_strategy_that_asks_for_ever(project):
    project.file(
        "sim_f.py",
        """
        from pathlib import Path
        from simkit import adaptive, experiment, explore

        def ask():
            i = 0
            while True:
                yield explore(x=[i, i + 1])
                i += 2
                (Path(__file__).parent / "asked").touch()

        @experiment
        @adaptive(ask)
        def f(x):
            return {"z": x}
        """,
    )
    with project.under_way("-n", "1") as process:
        project.until(lambda: project.has("asked"))
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=600)
    assert process.returncode == 2
    assert "sim_f.py:5: strategy ask was stopped before its end: the same command goes on from there" in out
    traj = project.open("f-001")
    assert len(traj) >= 2
    assert set(traj.status) <= {"done", "pending"}
    assert (traj.status == "done").sum() >= 2
    assert "interrupted" in traj.info.sessions[0]["outcome"]


# Mistakes


def nothing():
    return
    yield


def raises(evaluate):
    evaluate(x=1.0)
    raise ZeroDivisionError("strategy's own")


def unequal():
    yield explore(x=[1.0, 2.0], y=[1.0])


def unknown():
    yield explore(x=[1.0], nme=[2.0])


def lacking():
    yield explore(offset=[1.0])


def no_space():
    yield [1.0, 2.0]


def later():
    yield explore(x=[1.0])
    yield explore(x=[1.0], wdth=[2])


def until():
    yield explore(x=[1.0]).repeat(2, until="sem(z) < 1", most=4)


def idle(evaluate):
    return {"z": 1}


def runs_of_another():
    yield each(go_over)


@experiment
def go_over(y=1.0):
    return y


def no_strategy(sigma=1.0):
    return 3.0


@pytest.mark.parametrize(
    ("strategy", "text"),
    [
        (nothing, "strategy nothing asked for no point: it ended before a yield"),
        (raises, "ZeroDivisionError: strategy's own"),
        (unequal, "explore() moves its names together, but x has 2, y has 1"),
        (unknown, "strategy unknown asks for points of x, nme\n"),
        (lacking, "'x', but some points do not explore it"),
        (no_space, "strategy no_space asks for [1.0, 2.0]"),
        (later, "'wdth' is explored, but nothing in experiment f uses it; did you mean 'width'?"),
        (until, "without until="),
        (idle, "strategy idle asked for no point: it never called evaluate"),
        (runs_of_another, "asks for the runs of go_over"),
        (no_strategy, "strategy no_strategy asked for no point: its function returned 3.0 at once"),
    ],
)
def test_a_strategy_that_fails_is_told_with_its_file_and_line(go, strategy, text):
    def f(x, offset=0.0, width=1):
        return {"z": x}

    with pytest.raises(RunFailed) as error:
        go(adapted(strategy, f), workers=1 if strategy in (raises, later) else 0)
    assert text in str(error.value)
    line = strategy.__code__.co_firstlineno
    assert any(
        f"test_strategies.py:{line + i}" in str(error.value) or f"line {line + i}," in str(error.value)
        for i in range(4)
    )


def test_what_a_failing_strategy_had_computed_stays_and_is_used_again(go, tmp_path):
    def ask(bad=True):
        yield explore(x=[1.0, 2.0])
        if bad:
            raise ValueError("bad")
        yield explore(x=[3.0])

    failing = adapted(ask)
    with pytest.raises(RunFailed, match=r"strategy ask failed; all runs are kept\n(.|\n)*ValueError: bad"):
        go(failing)
    with simkit.open(tmp_path / "f.h5") as traj:
        first = traj["seconds"].tolist()
    traj = go(failing, set={"bad": False})
    assert traj["seconds"].tolist()[:2] == first
    assert traj["x"].tolist() == [1.0, 2.0, 3.0]


def test_the_command_says_that_a_strategy_failed(project):
    project.file(
        "sim_f.py",
        """
        from simkit import adaptive, experiment, explore

        def ask():
            yield explore(x=[1])
            raise ValueError("no idea")

        @experiment
        @adaptive(ask)
        def f(x):
            return {"z": x}
        """,
    )
    result = project.simkit("-n", "0")
    assert result.code == 1
    assert "sim_f.py::ask  strategy of f  failed" in result.out
    assert "sim_f.py:4: it failed; all runs are kept" in result.out
    assert "line 6, in ask" in result.out
    assert "1 done, 1 strategy failed" in result.out
    assert project.open("f-001")["z"].tolist() == [1]


def test_points_are_asked_for_from_one_thread(go):
    import threading

    problems = []

    def ask(evaluate):
        def elsewhere():
            try:
                evaluate(x=1.0)
            except SimkitError as problem:
                problems.append(str(problem))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        evaluate(x=2.0)

    assert len(go(adapted(ask))) == 1
    line = ask.__code__.co_firstlineno
    assert (
        f"test_strategies.py:{line}: strategy ask: points were asked for from another thread" in problems[0]
    )


def test_points_that_are_asked_for_when_the_strategy_is_over_are_refused(go, tmp_path):
    kept = []

    def ask(evaluate):
        kept.append(evaluate)
        evaluate(x=1.0)

    function = adapted(ask)
    go(function).close()
    line = ask.__code__.co_firstlineno
    words = rf"test_strategies.py:{line}: strategy ask: the study is over, and takes no more points"
    with pytest.raises(SimkitError, match=words):
        kept[0](x=2.0)
    with simkit.open(tmp_path / "f.h5", mode="r+") as traj:  # nobody holds the file
        assert traj["x"].tolist() == [1.0]


def test_evaluate_can_not_be_sent_to_other_processes(go):
    import pickle

    def ask(evaluate):
        pickle.dumps(evaluate)

    with pytest.raises(RunFailed, match="evaluate can't be sent to other processes"):
        go(adapted(ask))


def test_too_many_failures_end_the_strategy(project):
    project.file(
        "sim_f.py",
        """
        from simkit import adaptive, experiment, explore

        def ask():
            for i in range(10):
                yield explore(x=[i, i])

        @experiment
        @adaptive(ask)
        def f(x):
            if x == 3:
                raise ValueError
            return {"z": x}
        """,
    )
    assert project.simkit("-n", "1", "-x").code == 1
    traj = project.open("f-001")
    assert len(traj) == 8
    assert (traj.status == "failed").sum() == 1


# Chosen runs


def test_recorded_runs_are_chosen_by_number_and_condition(project):
    project.file("sim_hill.py", KILLED)
    project.file("go")
    project.ok("--seed", "3", "-n", "0", "--set", "ngen=2")
    out = project.simkit("sim_hill.py::hill[3]", "--pdb", stdin="c\n").out
    assert "replayed without recording" in out
    assert "nothing to do" in project.ok("sim_hill.py::hill[2:4]").out
    listed = project.ok("--co").out
    assert "sim_hill.py::hill  adaptive\n    12 of 12 done, nothing to run" in listed
    assert "    strategy: sim_hill.py::climb" in listed
    assert "the strategy climb chooses them" in project.simkit("--shard", "0/2").err
    nothing = project.simkit("sim_hill.py::hill[3]", "--fresh")
    assert nothing.code == 5
    assert "its strategy has asked for no point yet" in nothing.err


def test_an_explicit_space_replaces_the_strategy(go):
    go(hill)
    with simkit.run(hill, explore(x=[1.0], y=[2.0]), output=go(hill).path, seed=3) as traj:
        assert len(traj) == 21
        assert traj["generation"].tolist()[-2:] == [3, -1]
    traj = go(hill, set={"ngen": 5})
    assert len(traj) == 26
    assert traj["generation"].tolist()[-6:] == [-1] + [4] * 5


def test_a_strategy_s_random_numbers_are_its_own(go):
    def ask(rng, seed):
        yield explore(x=rng.normal(size=2))
        return {"seed": seed}

    def f(x, rng):
        return {"z": rng.normal()}

    traj = go(adapted(ask, f))
    drawn = {*traj["x"].tolist(), *traj["z"].tolist()}
    assert len(drawn) == 4
    assert traj.summary.seed not in traj.seeds


def test_global_streams_are_seeded_for_a_strategy_and_not_disturbed_by_its_runs(study):
    text = """
        import numpy as np
        from simkit import adaptive, experiment, explore

        def ask(ngen=3):
            for _ in range(ngen):
                yield explore(x=[np.random.normal()])

        @experiment
        @adaptive(ask)
        def f(x):
            return {"z": np.random.normal()}
    """
    first = columns(study.run(text, seed=1), "x", "z")
    assert len({*first["x"], *first["z"]}) == 6
    more = columns(study.run(text, seed=1, set={"ngen": 5}), "x", "z")
    assert more["x"][:3] == first["x"]
    assert len({*more["x"], *more["z"]}) == 10
