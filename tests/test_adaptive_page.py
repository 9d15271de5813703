"""Does docs/howto/adaptive.md tell the truth?"""

from __future__ import annotations

import doctest
import inspect

import numpy as np
import pytest
from written_pages import blocks, files

FILES = files("howto/adaptive.md")


@pytest.fixture
def typed(project):
    """Write one of the page's files and run it by the command."""

    def run(name, *arguments):
        project.file(name, FILES[name])
        return project.ok(name, "-n", "0", "--seed", "1", *arguments).out

    return run


def test_each_file_of_the_page_is_run_here():
    assert sorted(FILES) == [
        "script.py",
        "sim_bayes.py",
        "sim_bowl.py",
        "sim_descent.py",
        "sim_edge.py",
        "sim_front.py",
        "sim_hill.py",
        "sim_methods.py",
        "sim_neuron.py",
        "sim_parabola.py",
        "sim_peak.py",
        "sim_posterior.py",
        "sim_ridge.py",
        "sim_valley.py",
    ]


def test_the_examples_give_what_is_shown(typed, project, monkeypatch):
    typed("sim_neuron.py")
    typed("sim_methods.py")
    monkeypatch.chdir(project.path)
    test = doctest.DocTestParser().get_doctest(
        "\n".join(blocks("howto/adaptive.md", "pycon")), {}, "adaptive", "adaptive.md", 0
    )
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=said.append)
    assert result.attempted > 8
    assert result.failed == 0, "".join(said)


def test_a_generator_climbs_and_a_larger_argument_extends_it(typed, project):
    typed("sim_hill.py", "--set", "ngen=12")
    traj = project.open("hill-001")
    assert len(traj) == 12 * 200
    assert np.allclose(traj.summary.best, [3.0, -2.0], atol=0.1)
    assert traj.summary.best_z.shape == (12,)
    project.close()
    assert "200 done" in typed("sim_hill.py", "--set", "ngen=13")
    assert len(project.open("hill-001")) == 13 * 200


def test_scipy_takes_evaluate_as_it_is(typed, project):
    typed("sim_bowl.py")
    traj = project.open("bowl-001")
    assert traj["generation"].max() == 10
    assert np.allclose(traj.summary.result, [1.0, -2.0], atol=1.0)


def test_optuna_chooses_the_points(typed, project):
    pytest.importorskip("optuna", reason="an extra: pip install simkit[optuna]")
    typed("sim_parabola.py")
    traj = project.open("parabola-001")
    assert traj.status.tolist() == ["done"] * 20
    assert (np.abs(traj["x"]) <= 5).all()


def test_a_pruner_stops_runs_early(typed, project):
    typed("sim_descent.py")
    traj = project.open("descent-001")
    assert traj.status.tolist() == ["done"] * 30
    assert min(traj["steps"]) < 50 == max(traj["steps"])
    assert [len(traj.reports(i)) for i in range(30)] == traj["steps"].tolist()


@pytest.mark.parametrize(
    ("library", "file", "size", "best"),
    [
        ("nevergrad", "sim_valley.py", 60, lambda s: [s.best["x"], s.best["y"]]),
        ("cma", "sim_ridge.py", 150, lambda s: s.best),
        ("deap", "sim_peak.py", None, lambda s: s.best),
        ("emcee", "sim_posterior.py", 816, lambda s: s.chain[200:].mean(0)),
    ],
)
def test_a_library_finds_the_top_and_goes_on_without_a_further_run(typed, project, library, file, size, best):
    pytest.importorskip(library, reason="a library that the recipe is for")
    typed(file)
    traj = project.open(f"{file[4:-3]}-001")
    assert traj.status.tolist() == ["done"] * (size or len(traj))
    assert np.allclose(best(traj.summary), [1.0, -2.0], atol=1.0)
    project.close()
    assert "nothing to do" in typed(file)


def test_adaptive_puts_points_where_it_has_none(typed, project):
    pytest.importorskip("adaptive", reason="a library that the recipe is for")
    typed("sim_edge.py")
    traj = project.open("edge-001")
    points = np.stack([traj["x"], traj["y"]], axis=1)
    assert {tuple(point) for point in points[:4].tolist()} == {
        (-1.0, -1.0),
        (-1.0, 1.0),
        (1.0, -1.0),
        (1.0, 1.0),
    }
    assert len({tuple(point) for point in points.tolist()}) == 60
    assert 0 < traj.summary.loss < 1


def test_pymoo_finds_a_front(typed, project):
    pytest.importorskip("pymoo", reason="a library that the recipe is for")
    typed("sim_front.py")
    traj = project.open("front-001")
    assert len(traj) == 5 * 20
    assert {tuple(row) for row in traj.summary.values} <= set(zip(traj["loss"], traj["cost"], strict=True))


@pytest.mark.parametrize("library", ["nevergrad", "adaptive"])
def test_what_it_did_not_ask_for_can_be_learned(project, library):
    pytest.importorskip(library, reason="a library that the recipe is for")
    file, name = {"nevergrad": ("sim_valley.py", "two_points"), "adaptive": ("sim_edge.py", "learner")}[
        library
    ]
    number = {"nevergrad": "budget", "adaptive": "n"}[library]
    text = FILES[file]
    project.file(file, text)
    project.ok("-n", "0", "--set", f"{number}=10", "--output", "old.h5")
    project.file(file, text.replace(f"@adaptive({name})", f'@adaptive({name}, start="old.h5")'))
    project.ok("-n", "0", "--set", f"{number}=12", "--fresh")
    assert len(project.open(f"{file[4:-3]}-001")) == 12


class Client:
    """Ax's client as the recipe uses it: Ax itself needs torch, which is too large to be installed for a test.

    Its methods take what those of ax-platform 1.3.1 take, with which the recipe was run by hand.
    """

    def __init__(self, random_seed):
        self.rng, self.trials = np.random.default_rng(random_seed), {}

    def configure_experiment(self, parameters):
        self.parameters = parameters

    def configure_optimization(self, objective):
        assert objective == "-loss"

    def get_next_trials(self, max_trials):
        return {len(self.trials) + i: self.attached() for i in range(max_trials)}

    def attached(self):
        parameters = {p.name: float(self.rng.uniform(*p.bounds)) for p in self.parameters}
        self.trials[len(self.trials)] = (parameters, None)
        return parameters

    def complete_trial(self, trial_index, raw_data):
        self.trials[trial_index] = (self.trials[trial_index][0], raw_data["loss"])

    def mark_trial_failed(self, trial_index):
        self.trials[trial_index] = (self.trials[trial_index][0], np.inf)

    def get_best_parameterization(self):
        return min(self.trials.values(), key=lambda trial: trial[1])


def test_ax_is_asked_and_told(typed, project):
    text = f"import numpy as np\n\n\n{inspect.getsource(Client)}"
    configs = "from types import SimpleNamespace as RangeParameterConfig\n"
    for name, source in {
        "__init__": "",
        "api/__init__": "",
        "api/client": text,
        "api/configs": configs,
    }.items():
        project.file(f"ax/{name}.py", source)
    typed("sim_bayes.py")
    traj = project.open("basin-001")
    assert len(traj) == 20
    best = traj.summary.best
    assert (best["x"] - 1) ** 2 + (best["y"] + 2) ** 2 == traj["loss"].min()


def test_the_loop_of_a_script_is_one_trajectory(project):
    project.file("script.py", FILES["script.py"])
    result = project.python("script.py")
    assert result.code == 0, result.out + result.err
    traj = project.open("plane-001")
    assert traj["x"].tolist() == [0.0, 1.0, 0.0, -1.0, 0.0, -3.0]
    assert traj["z"].tolist() == [0.0, -1.0, 0.0, -3.0, 0.0, -5.0]
