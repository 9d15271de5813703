"""Do type checkers see what users write? mypy checks tests/typing, of which nothing is executed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def test_mypy_agrees_with_what_users_files_say():
    pytest.importorskip("mypy", reason="an extra: pip install simkit[dev]")
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "mypy", "--config-file", str(root / "pyproject.toml"), "tests/typing"]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
