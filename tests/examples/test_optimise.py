"""The optimise example: three libraries climb one hill, and all go on."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Project

Python = Callable[..., str]
EXAMPLES = Path(__file__).parents[2] / "examples"


def test_three_libraries_climb_the_same_hill(project: Project, python: Python) -> None:
    for library in ("optuna", "deap"):
        pytest.importorskip(library, reason="an extra: pip install simkit[examples]")
    shutil.copytree(EXAMPLES / "optimise", project.path, dirs_exist_ok=True)
    project.ok(".", "-n", "0", "--seed", "1", "-k", "optuna", "--set", "n_trials=40")
    project.ok(".", "-n", "2", "--seed", "1", "-k", "deap or scipy")
    for name, least in (("by_optuna", 4.0), ("by_deap", 8.0), ("by_scipy", 8.0)):
        traj = project.open(f"{name}-001")
        assert set(traj.status) == {"done"}
        assert least < traj["z"].max() <= 10.0
    size = len(project.open("by_deap-001"))
    points = project.open("by_deap-001")["x"]
    project.close()

    said = python(project.path, "plot_optimise.py").splitlines()
    assert [line.partition(":")[0] for line in said] == ["optuna", "DEAP", "SciPy", "drawn"]
    assert (project.path / "optimise.png").stat().st_size > 10_000

    project.ok(".", "-n", "0", "-k", "deap", "--set", "ngen=21")
    more = project.open("by_deap-001")["x"]
    assert len(more) > size
    assert np.array_equal(more[:size], points)


def test_its_hill_is_that_of_the_climb() -> None:
    assert (EXAMPLES / "optimise/hill.py").read_bytes() == (EXAMPLES / "climb/hill.py").read_bytes()
