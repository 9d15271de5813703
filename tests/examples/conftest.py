"""How the tests of the examples start the real command."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Python = Callable[..., str]


@pytest.fixture(scope="session")
def python() -> Python:
    """Run ``python ARGUMENT…`` in a folder; it must succeed without a word on stderr."""

    def run(folder: Path, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        return done.stdout

    return run
