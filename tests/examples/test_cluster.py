"""One study by several engines, and by a job array's tasks: the same numbers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import simkit

EXAMPLE = Path(__file__).parents[2] / "examples" / "cluster"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(EXAMPLE, tmp_path / "cluster"))


def test_the_same_command_with_another_engine_gives_the_same_numbers(folder, python):
    if find_spec("distributed") is None:
        pytest.skip("Dask is not installed")
    python(folder, "-m", "simkit", "--seed", "7", "-n", "2")
    out = python(folder, "-m", "simkit", "--seed", "7", "-n", "2", "--fresh", "--engine", "dask")
    assert "12 done" in out
    with (
        simkit.open(folder / "results/walk-001.h5") as one,
        simkit.open(folder / "results/walk-002.h5") as other,
    ):
        assert one["mean"].tolist() == other["mean"].tolist()
        assert one["spread"].tolist() == other["spread"].tolist()
        biased = one.where("bias == 0.5 and steps == 1000")
        assert abs(biased["mean"][0] - 500) < 5


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is missing")
def test_the_tasks_of_the_job_array(folder):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for task in range(4):
        environment = {**os.environ, "PATH": path, "SLURM_ARRAY_TASK_ID": str(task)}
        done = subprocess.run(
            ["bash", "array.sh", "--seed", "7"], cwd=folder, env=environment, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "3 done" in done.stdout
