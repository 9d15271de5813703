"""The hyperparameters example: a conditional space of a classifier, and trials that are stopped early."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Project

Python = Callable[..., str]
EXAMPLE = Path(__file__).parents[2] / "examples" / "hyperparameters"


def test_trials_learn_and_some_are_stopped(project: Project, python: Python) -> None:
    for library in ("optuna", "sklearn"):
        pytest.importorskip(library, reason="an extra: pip install simkit[examples]")
    shutil.copytree(EXAMPLE, project.path, dirs_exist_ok=True)
    project.ok(".", "-n", "2", "--seed", "1", "--set", "n_trials=20")
    traj = project.open("learn-001")
    assert traj.status.tolist() == ["done"] * 20
    stopped = traj["learned"] < 15
    assert stopped.any()
    assert not stopped.all()
    assert traj.summary.best_value == traj["error"][~stopped].min() < 0.15
    assert set(traj["l1_ratio"][traj["penalty"] != "elasticnet"].tolist()) <= {0.15}
    assert [value for _, value in traj.reports(3)] == np.asarray(traj["errors"][3]).tolist()
    project.close()

    assert python(project.path, "plot_hyperparameters.py").startswith("20 trials, ")
    assert (project.path / "hyperparameters.png").stat().st_size > 10_000
    assert "nothing to do" in project.ok(".", "-n", "2", "--set", "n_trials=20").out
