"""Does docs/adaptive.md tell the truth?"""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "adaptive.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


FILES = dict(re.match(r"# (\w+\.py)\n(.*)", block, re.DOTALL).groups() for block in blocks("python"))


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
        "sim_bowl.py",
        "sim_hill.py",
        "sim_methods.py",
        "sim_neuron.py",
        "sim_parabola.py",
    ]


def test_the_examples_give_what_is_shown(typed, project, monkeypatch):
    typed("sim_neuron.py")
    typed("sim_methods.py")
    monkeypatch.chdir(project.path)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks("pycon")), {}, "adaptive", "adaptive.md", 0)
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


def test_the_loop_of_a_script_is_one_trajectory(project):
    project.file("script.py", FILES["script.py"])
    result = project.python("script.py")
    assert result.code == 0, result.out + result.err
    traj = project.open("plane-001")
    assert traj["x"].tolist() == [0.0, 1.0, 0.0, -1.0, 0.0, -3.0]
    assert traj["z"].tolist() == [0.0, -1.0, 0.0, -3.0, 0.0, -5.0]
