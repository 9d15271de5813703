"""A folder with one trajectory, and a browser that asks for addresses of its page."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import SPACE, Client, client, ring

import simkit


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the trajectory ``ring.h5`` of 48 runs: run numbers 37, 39, … of drive 3 and rule oja failed."""
    made = tmp_path_factory.mktemp("page")
    simkit.run(ring, SPACE, output=made / "ring.h5", seed=1, workers=1).close()
    return made


@pytest.fixture
def visit(folder: Path) -> Client:
    """Asks the page for an address, with the token's cookie, and gives the answer."""
    return client([folder])
