"""The sensitivity example: 40 runs fail, 39 blocks are left out and named, and the mend completes them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from conftest import Project

import simkit

Python = Callable[..., str]
EXAMPLE = Path(__file__).parents[2] / "examples" / "sensitivity"
ALONE, WITH_OTHERS = [0.3139, 0.4424, 0.0], [0.5576, 0.4424, 0.2437]  # Ishigami & Homma (1990)


def test_what_is_missing_is_left_out_named_and_completed(project: Project, python: Python) -> None:
    shutil.copytree(EXAMPLE, project.path, dirs_exist_ok=True)
    project.file("server-is-busy")
    assert project.simkit(".", "-n", "2").code == 1
    with simkit.open(project.path / "results" / "ishigami-001.h5") as traj:
        failed = traj.where(status="failed").index
        partly = traj.sensitivity("result")
    assert len(failed) == 40
    assert partly.left_out.tolist() == sorted(set((failed // 5).tolist()))
    assert len(partly.left_out) == 39
    said = " ".join(python(project.path, "plot_sensitivity.py").split())
    assert (
        f"39 left out, in which a run is not done or gave no number: {', '.join(map(str, partly.left_out))}"
        in said
    )

    (project.path / "server-is-busy").unlink()
    assert "40 done" in project.ok(".").out
    with simkit.open(project.path / "results" / "ishigami-001.h5") as traj:
        complete = traj.sensitivity("result")
    assert complete.left_out.tolist() == []
    for column in ("S1", "ST"):
        np.testing.assert_allclose(partly.table[column], complete.table[column], atol=0.02)
    np.testing.assert_allclose(complete.table["S1"], ALONE, atol=0.03)
    np.testing.assert_allclose(complete.table["ST"], WITH_OTHERS, atol=0.03)
    assert python(project.path, "plot_sensitivity.py").startswith("result: all 1024 blocks\n")
    assert (project.path / "sensitivity.png").stat().st_size > 10_000
