"""One study by several engines, and by a job array's tasks: the same numbers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from processes import has_slurm

import simkit

EXAMPLE = Path(__file__).parents[2] / "examples" / "cluster"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(EXAMPLE, tmp_path / "cluster"))


def engines():
    """The engines of the example's README, where they are installed and answer."""
    missing = [
        (find_spec("distributed") is None, "Dask is not installed"),
        (not has_slurm(), "no Slurm answers here, or dask-jobqueue is not installed"),
    ]
    return [
        pytest.param(command, id=command[1], marks=pytest.mark.skipif(is_missing, reason=reason))
        for command, (is_missing, reason) in zip((DASK, SLURM), missing, strict=True)
    ]


DASK, SLURM = ("--engine", "dask", "-n", "2"), ("--engine", "slurm")


@pytest.mark.parametrize("command", engines())
def test_the_same_command_with_another_engine_gives_the_same_numbers(command, folder, python):
    assert f"$ simkit {' '.join(command)} " in (folder / "README.md").read_text()
    python(folder, "-m", "simkit", "--seed", "7", "-n", "2")
    out = python(folder, "-m", "simkit", "--seed", "7", "--fresh", *command)
    assert "12 done" in out
    with (
        simkit.open(folder / "results/walk-001.h5") as one,
        simkit.open(folder / "results/walk-002.h5") as other,
    ):
        assert other.info.sessions[-1]["engine"] == command[1]
        assert one["mean"].tolist() == other["mean"].tolist()
        assert one["spread"].tolist() == other["spread"].tolist()
        biased = one.where("bias == 0.5 and steps == 1000")
        assert abs(biased["mean"][0] - 500) < 5


@pytest.mark.skipif(not has_slurm(), reason="no Slurm answers here")
def test_the_job_array_as_it_is_submitted(folder, python):
    """By a real Slurm, as pasted from the example's README."""
    assert "$ sbatch array.sh --seed 7 " in (folder / "README.md").read_text()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["sbatch", "--wait", "array.sh", "--seed", "7"], cwd=folder, env={**os.environ, "PATH": path},
        check=True, capture_output=True, timeout=600,
    )  # fmt: skip
    python(folder, "-m", "simkit", "--seed", "7", "-n", "2", "--fresh", "--output", "whole.h5")
    with simkit.open(folder / "results/walk-001.h5") as array, simkit.open(folder / "whole.h5") as whole:
        assert array.status.tolist() == ["done"] * 12
        assert array["mean"].tolist() == whole["mean"].tolist()
    assert len(list((folder / "results/walk-001.shards").glob("*.h5"))) == 4


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
