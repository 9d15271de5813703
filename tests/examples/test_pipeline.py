"""The pipeline example: three stages, and what a change of one makes of the others."""

import json
import os
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


def test_each_stage_is_an_entry_of_sumatras_notebook_and_git_keeps_its_code(project: Project) -> None:
    pytest.importorskip("sumatra")
    beside = Path(sys.executable).with_name("smt")
    smt = beside if beside.exists() else shutil.which("smt") or pytest.skip("there is no smt")
    copied(project)
    change(project, "range(8)", "range(2)")
    config = project.path / "gitconfig"
    config.write_text("[user]\nname = Ada\nemail = ada@x\n")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environment = {**kept, "HOME": str(project.path), "GIT_CONFIG_GLOBAL": str(config), "COLUMNS": "100"}

    def do(*command: str | Path) -> str:
        return subprocess.run(
            command, cwd=project.path, env=environment, capture_output=True, text=True, check=True
        ).stdout

    project.file(".gitignore", "results/\n.smt/\n")
    for line in ("git init -q .", "git add .", "git commit -qm begin"):
        do(*line.split())
    for line in ("init pipeline", "configure --datapath=results --on-changed=store-diff"):
        do(smt, *line.split())
    project.ok(".", "-n", "0", "--sumatra", "--reason", "first look", env=environment)
    entries = json.loads(do(smt, "list", "-l", "-f", "json"))
    stages = ["record", "analyse", "compare"]
    assert [entry["reason"] for entry in entries] == ["first look"] * 3
    made = {output["path"] for entry in entries for output in entry["output_data"]}
    assert made == {f"{stage}-001.h5" for stage in stages}
    head = do("git", "rev-parse", "HEAD").strip()
    assert {entry["version"] for entry in entries} == {head}
    for stage in stages:
        assert project.open(f"{stage}-001").info.sessions[0]["git"]["commit"] == head
