"""A scratch repository, used through the real git."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import simkit

SOURCE = """
from simkit import experiment, product
import lib

@experiment
@product(x=[1, 2])
def f(x):
    return {"z": lib.double(x)}
"""
LIB = "def double(x):\n    return 2 * x\n"


class Repository:
    """A study in a git repository."""

    def __init__(self, study: Any, folder: Path) -> None:
        self.study, self.folder = study, folder
        study.write("sim_a.py", SOURCE)
        study.write("lib.py", LIB)

    def git(self, *arguments: str, folder: Path | None = None, ok: bool = True) -> str:
        command = ["git", "-c", "protocol.file.allow=always", *arguments]
        told = subprocess.run(command, cwd=folder or self.folder, capture_output=True, text=True, check=False)
        assert told.returncode == 0 or not ok, told.stderr
        return told.stdout.strip("\n")

    def init(self, *, committed: bool = True) -> Repository:
        self.git("init", "-q", "-b", "main", ".")
        if committed:
            self.git("add", "sim_a.py", "lib.py", "pyproject.toml")
            self.commit("first")
        return self

    def commit(self, message: str) -> str:
        self.git("-c", "user.name=N", "-c", "user.email=n@x", "commit", "-q", "-m", message)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD", ok=False)

    def mode(self, mode: str, *, commit: bool = False) -> Repository:
        (self.study.root / "pyproject.toml").write_text(f'[tool.simkit]\ngit = "{mode}"\n')
        if commit:
            self.git("add", "pyproject.toml")
            self.commit("mode")
        return self

    def run(self, **options: Any) -> tuple[simkit.Trajectory, dict[str, Any], list[str]]:
        """One study: the trajectory, its last session, and what was warned of."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trajectory = simkit.run(self.study.module("sim_a.py").f, fresh=True, **options)
        assert trajectory["z"].tolist() == [2, 4]
        trajectory.close()
        return trajectory, self.session(trajectory.path), [str(one.message) for one in caught]

    def session(self, path: Path) -> dict[str, Any]:
        with simkit.open(path) as trajectory:
            return dict(trajectory.info.sessions[-1])


@pytest.fixture
def own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git as on a new machine: no name, no settings."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "gitconfig").write_text("[user]\nuseConfigOnly = true\n")


@pytest.fixture
def repo(study: Any, tmp_path: Path, own_configuration: None) -> Iterator[Repository]:
    """A study that git does not know yet."""
    yield Repository(study, study.root)
    for name, module in list(sys.modules.items()):  # of clones, too
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
