"""optuna's studies as strategies: define-by-run, and the very same trials when they go on."""

from __future__ import annotations

import signal

import numpy as np
import optuna
import pytest

from simkit import SimkitError, SimkitWarning, adapters, adaptive, experiment
from simkit.errors import RunFailed


def suggest(trial):
    return {"x": trial.suggest_float("x", -5, 5), "y": trial.suggest_float("y", -5, 5)}


def bowl(x, y):
    return {"loss": (x - 1) ** 2 + (y + 2) ** 2, "other": abs(x)}


def adapted(function=bowl, **options):
    def f(x, y):
        return function(x, y)

    return experiment(adaptive(adapters.optuna(suggest, **options))(f))


def test_its_trials_are_those_of_a_study_of_optuna_s_own(go):
    function = adapted(
        n_trials=15, sampler=lambda seed: optuna.samplers.TPESampler(seed=11, n_startup_trials=5)
    )
    traj = go(function)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=11, n_startup_trials=5))
    study.optimize(lambda trial: bowl(**suggest(trial))["loss"], n_trials=15)
    assert traj["x"].tolist() == [trial.params["x"] for trial in study.trials]
    assert traj.summary.best_value == study.best_value == traj["loss"].min()
    assert traj.parameters.n_trials == 15


def test_a_larger_number_of_trials_goes_on(go):
    whole = go(adapted(n_trials=25), "whole.h5")
    function = adapted(n_trials=25)
    go(function, set={"n_trials": 12})
    traj = go(function)
    for name in ("x", "y", "loss"):
        assert traj[name].tolist() == whole[name].tolist()
    assert len(traj.info.sessions) == 2


@pytest.mark.parametrize(
    "sampler", [None, lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=6)]
)
def test_with_workers_recorded_trials_are_asked_for_again_in_their_order(go, sampler):
    function = adapted(n_trials=20, sampler=sampler)
    first = go(function, workers=2)["x"].tolist()
    traj = go(function, workers=2, set={"n_trials": 26})
    assert traj["x"].tolist()[:20] == first
    assert len(traj) == 26


def test_several_values_have_a_front_and_failed_runs_are_failed_trials(go):
    def shaky(x, y):
        if x > 3:
            raise ValueError
        return bowl(x, y)

    traj = go(adapted(shaky, value=["loss", "other"], direction=["minimize", "maximize"], n_trials=20))
    assert (traj.status == "failed").sum() == (traj["x"] > 3).sum() > 0
    points = np.array([traj["loss"], traj["other"]]).T
    assert {tuple(values) for values in traj.summary.front} <= {tuple(row) for row in points}


def test_the_names_of_a_point_may_depend_on_what_was_suggested_before(go):
    def conditional(trial):
        kind = trial.suggest_categorical("kind", ["a", "b"])
        return {
            "kind": kind,
            **({"p": trial.suggest_float("p", 0, 1)} if kind == "a" else {"q": trial.suggest_int("q", 1, 9)}),
        }

    def f(kind, p: float = 0.5, q: int = 5):
        return {"loss": p if kind == "a" else q / 10}

    function = experiment(adaptive(adapters.optuna(conditional, n_trials=12))(f))
    for number in (12, 15):
        traj = go(function, set={"n_trials": number}, workers=1)
        assert len(traj) == number
        is_a = traj["kind"] == "a"
        assert (traj["p"][~is_a] == 0.5).all()
        assert (traj["q"][is_a] == 5).all()
        assert set(traj.explored) == {"kind", "p", "q"}


def test_a_sampler_without_a_seed_learns_what_is_recorded(go):
    function = adapted(n_trials=8, sampler=lambda seed: optuna.samplers.RandomSampler())
    go(function)
    words = r"test_optuna_study\.py:\d+: strategy optuna_trials does not repeat itself"  # where it is used
    with pytest.warns(SimkitWarning, match=words):
        traj = go(function, set={"n_trials": 11})
    assert len(traj) == 11
    assert traj.summary.best_value == traj["loss"].min()


def test_it_starts_from_the_trials_of_another_study(go, tmp_path):
    old = go(adapted(n_trials=8), "old.h5")

    def f(x, y):
        return bowl(x, y)

    traj = go(experiment(adaptive(adapters.optuna(suggest, n_trials=10), start=old.path)(f)))
    assert len(traj) == 2
    assert traj.summary.best_value == min(old["loss"].min(), traj["loss"].min())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"value": "lss"}, "optuna: no result 'lss'; there are: loss, other"),
        ({"n_trials": 0}, "asked for no point"),
    ],
)
def test_mistakes_are_told(go, options, text):
    with pytest.raises(RunFailed) as error:
        go(adapted(**options))
    assert text in str(error.value)


# Pruning


def pruned(go, pruner, file="f.h5", **options):
    """Six runs of ten steps, of which optuna stops some."""

    def suggest_one(trial):
        return {"x": trial.suggest_float("x", -5, 5)}

    @experiment
    @adaptive(
        adapters.optuna(
            suggest_one, n_trials=16, pruner=pruner, sampler=lambda seed: optuna.samplers.TPESampler(seed=5)
        )
    )
    def f(x, run):
        for step in range(10):
            loss = (x - 1) ** 2 + 10 / (step + 1)
            run.report(loss, step)
            if run.should_stop():
                break
        return {"loss": loss, "steps": step + 1}

    return go(f, file, **options)


PRUNERS = {
    "median": optuna.pruners.MedianPruner(n_startup_trials=2),
    "halving": optuna.pruners.SuccessiveHalvingPruner(),
    "hyperband": optuna.pruners.HyperbandPruner(max_resource=10),
}


@pytest.mark.parametrize("name", PRUNERS)
def test_a_pruner_stops_the_runs_that_it_stops_in_a_study_of_optuna_s_own(go, name):
    traj = pruned(go, PRUNERS[name])
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=5), pruner=PRUNERS[name], study_name="simkit"
    )

    def objective(trial):
        x = trial.suggest_float("x", -5, 5)
        for step in range(10):
            loss = (x - 1) ** 2 + 10 / (step + 1)
            trial.report(loss, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return loss

    study.optimize(objective, n_trials=16)
    assert traj["x"].tolist() == [trial.params["x"] for trial in study.trials]
    assert traj["steps"].tolist() == [len(trial.intermediate_values) for trial in study.trials]
    assert 0 < (traj["steps"] < 10).sum() < 16
    assert traj.status.tolist() == ["done"] * 16
    assert traj.summary.best_value == study.best_value
    assert traj.reports(0) == list(study.trials[0].intermediate_values.items())


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", ["median", "hyperband"])
def test_what_was_stopped_is_stopped_again_when_the_study_goes_on_or_is_replayed(go, name, workers):
    traj = pruned(go, PRUNERS[name], workers=workers)
    points, steps = traj["x"].tolist(), traj["steps"].tolist()
    assert min(steps) < 10
    stopped = int(np.argmin(steps))
    assert len(traj.reports(stopped)) == min(steps)
    more = pruned(go, PRUNERS[name], workers=workers, set={"n_trials": 20})
    assert more["x"].tolist()[:16] == points
    assert more["steps"].tolist()[:16] == steps
    assert len(more) == 20


PRUNED = """
    import optuna
    from simkit import adapters, adaptive, experiment

    def suggest(trial):
        return {"x": trial.suggest_float("x", -5, 5)}

    @experiment
    @adaptive(adapters.optuna(suggest, n_trials=12, pruner=optuna.pruners.MedianPruner(n_startup_trials=2)))
    def f(x, run):
        for step in range(10):
            run.report(abs(x) + 10 / (step + 1), step)
            if run.should_stop():
                break
        return {"loss": abs(x), "steps": step + 1}
"""


def test_runs_that_were_stopped_are_verified_and_exported_as_they_were(project):
    project.file("sim_f.py", PRUNED)
    project.ok("-n", "2", "--seed", "1")
    traj = project.open("f-001")
    stopped = int(np.argmin(traj["steps"]))
    assert traj["steps"][stopped] < 10
    reports = traj.reports(stopped)
    assert [step for step, _ in reports] == list(range(traj["steps"][stopped]))
    project.close()
    assert "12 runs" in project.ok("verify", "f").out
    assert "12 runs" in project.ok("verify", "f", "-n", "2").out
    project.ok("export", "f", "part.h5", "--where", f"run == {stopped}")
    assert project.open("part.h5").reports(0) == reports
    project.ok("verify", "part.h5")


def test_several_values_have_no_pruner():
    text = r"test_optuna_study\.py:\d+: optuna stops no runs of several values \(a, b\)"
    with pytest.raises(SimkitError, match=text):
        adapters.optuna(suggest, ["a", "b"], pruner=optuna.pruners.MedianPruner())


def test_each_value_has_a_direction():
    with pytest.raises(SimkitError, match=r"test_optuna_study.py:\d+: 2 values, but 1 directions"):
        adapters.optuna(suggest, ["a", "b"], direction=["minimize"])


SIM = """
    import time
    from pathlib import Path
    from simkit import adapters, adaptive, experiment

    def suggest(trial):
        return {"x": trial.suggest_float("x", -5, 5)}

    @experiment
    @adaptive(adapters.optuna(suggest, n_trials=24))
    def f(x, run):
        here = Path(__file__).parent
        if run.index == 12 and not (here / "go").exists():
            (here / "waiting").touch()
            time.sleep(60)
        return {"loss": x * x}
"""


def test_a_study_that_was_killed_ends_as_an_undisturbed_one(project):
    project.file("sim_f.py", SIM)
    with project.under_way("--seed", "3", "-n", "0") as process:
        project.until(lambda: project.has("waiting"))
        process.send_signal(signal.SIGKILL)
        process.wait()
    project.file("go")
    assert "does not repeat itself" not in project.ok("--seed", "3", "-n", "0").out
    project.ok("--seed", "3", "-n", "0", "--output", "whole.h5")
    killed, whole = project.open("f-001"), project.open("whole.h5")
    assert killed["x"].tolist() == whole["x"].tolist()
    assert len(killed) == 24
