"""The pipeline example: three stages, with git and Sumatra, and what a change of one makes of the others."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Project

Python = Callable[..., str]
EXAMPLE = Path(__file__).parents[2] / "examples" / "pipeline"


def copied(project: Project) -> None:
    ignored = shutil.ignore_patterns("results", "*.png")
    shutil.copytree(EXAMPLE, project.path, dirs_exist_ok=True, ignore=ignored)


def change(project: Project, before: str, after: str) -> None:
    path = project.path / "sim_pipeline.py"
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


def test_the_stages_find_the_peaks_and_follow_what_changes(project: Project, python: Python) -> None:
    copied(project)
    out = project.ok(".", "-n", "2", "--seed", "1").out
    assert "78 done" in out  # 24 recordings, 48 analyses, 6 comparisons
    compared = project.open("compare-001")
    error = compared.to_xarray()["error"]
    assert dict(error.sizes) == {"coupling": 3, "window": 2}
    assert float(error.sel(coupling=1.0, window=4.0)) < 0.3 < float(error.sel(coupling=0.25, window=4.0))
    assert compared["subjects"].tolist() == [8] * 6

    analysed = project.open("analyse-001")
    recorded = project.open("record-001")
    rows = analysed["record.run"]
    assert np.array_equal(analysed["subject"], recorded["subject"][rows])
    assert np.array_equal(rows, np.repeat(np.arange(24), 2))

    said = python(project.path, "plot_pipeline.py")
    assert "the first analysis is of run 0 of results/record-001.h5" in said
    assert (project.path / "pipeline.png").stat().st_size > 10_000

    project.close()
    change(project, "range(8)", "range(9)")
    again = project.ok(".", "-n", "0").out
    for words in ("record  3 runs", "analyse  6 runs", "compare  6 runs"):
        assert f"sim_pipeline.py::{words}" in again


def test_git_and_sumatra_know_of_each_stage(project: Project) -> None:
    pytest.importorskip("sumatra")
    pytest.importorskip("django")
    beside = Path(sys.executable).with_name("smt")
    smt = str(beside if beside.exists() else shutil.which("smt") or pytest.skip("there is no smt"))
    copied(project)
    change(project, "range(8)", "range(2)")
    names = {f"GIT_{role}_NAME": "Ada" for role in ("AUTHOR", "COMMITTER")}
    emails = {f"GIT_{role}_EMAIL": "ada@x" for role in ("AUTHOR", "COMMITTER")}
    environment = {**os.environ, **names, **emails, "COLUMNS": "100"}

    def do(*command: str) -> str:
        done = subprocess.run(
            command,
            cwd=project.path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    project.file(".gitignore", "results/\n.smt/\n__pycache__/\n")
    do("git", "init", "-q")
    do("git", "add", "-A")
    do("git", "commit", "-qm", "begin")
    readme = (EXAMPLE / "README.md").read_text("utf-8")
    for line in re.findall(r"^\$ smt (init .*|configure .*)$", readme, re.MULTILINE):
        do(smt, *line.partition("#")[0].split())
    project.ok(".", "-n", "0", "--sumatra", "--reason", "first look", env=environment)
    listed = do(smt, "list", "--long")
    for stage in ("record", "analyse", "compare"):
        assert f"{stage}-001.h5" in listed
    assert listed.count("first look") == 3
