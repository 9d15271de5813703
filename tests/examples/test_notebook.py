"""The notebook of the examples, executed in a real kernel."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Project
from notebooks import Executed, execute

import simkit

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook" / "paper.ipynb"


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Executed:
    """The notebook after all its cells."""
    project = Project(tmp_path_factory.mktemp("notebook") / "study")
    shutil.copy(NOTEBOOK, project.path)
    return execute(project, project.path / NOTEBOOK.name)


def test_no_cell_fails_or_warns(done):
    assert done.errors == []
    assert done.stderr == []


def test_multiply(done):
    assert "<Trajectory multiply: 12 runs, 12 done>" in done.texts[3]
    shown = " ".join(done.texts[4].split())
    assert shown.startswith("(array([ 6., 7., 8., 12., 14., 16., 18., 21., 24., 24., 28., 32.])")
    assert shown.endswith(" 12.0, array([21., 28.]))")
    assert "15 runs in multiply-001.h5 after 2 sessions" in done.texts[8]
    assert "{'z': 40.0}" in done.texts[8]
    with simkit.open(done.folder / "results/multiply-001.h5") as traj:
        assert traj["z"].tolist() == [x * y for x in range(1, 6) for y in (6, 7, 8)]
        assert traj.info.node_id == "notebook::multiply"
        assert 'return {"z": x * y}' in traj.info.sessions[0]["code"]["notebook::multiply"]


def test_automata(done):
    assert "<Trajectory automata: 6 runs, 6 done>" in done.texts[11]
    assert "single automata-002.h5 1" in done.texts[14]
    assert "random True" in done.texts[15]
    with simkit.open(done.folder / "results/automata-001.h5") as traj:
        assert traj["pattern"].shape == (6, 250, 400)
        first = np.random.default_rng(100042).integers(0, 2, 400, dtype=np.uint8)
        assert (traj["pattern"][:, 0] == first).all()
        assert set(traj.info.sessions[0]["code"]) >= {
            "notebook::cellular_automaton",
            "notebook::initial_state",
        }


def test_plots_are_drawn(done):
    assert {number: len(images) for number, images in done.images.items() if images} == {6: 1, 12: 1, 14: 1}
    for images in done.images.values():
        for image in images:
            assert base64.b64decode(image)[:4] == b"\x89PNG"
            assert len(image) > 5000
