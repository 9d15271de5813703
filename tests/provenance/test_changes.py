"""What changed since a session: packages, Python, platform."""

from __future__ import annotations

import shutil

import h5py
import pytest
from conftest import Project
from verified import SOURCE, squeezed


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """Six runs, one failed, recorded once for all tests."""
    made = Project(tmp_path_factory.mktemp("once") / "study")
    made.file("sim_a.py", SOURCE)
    assert made.simkit("-n", "0", "--seed", "3").code == 1
    return made.path


@pytest.fixture
def recorded(once, project):
    """A copy of that study."""
    shutil.copytree(once, project.path, dirs_exist_ok=True)
    return project


def test_other_packages_and_platforms_are_told(recorded):
    with h5py.File(recorded.path / "results/sim-001.h5", "r+") as file:
        session = next(iter(file["sim/info"].values()))
        for name, value in (
            ("packages", '{"numpy": "1.0", "h5py": "2.0", "gone-for-good": "3"}'),
            ("python", "2.7.18"),
        ):
            if name in session.attrs:
                session.attrs[name] = value
            else:
                del session[name]
                session[name] = value
    lines = squeezed(recorded.ok("verify", "results/sim-001.h5").out)
    assert any(line.startswith("packages numpy 1.0, now 2.") for line in lines)
    assert "packages gone-for-good 3, now not installed" in lines
    assert any(line.startswith("python 2.7.18, now 3.") for line in lines)
    with h5py.File(recorded.path / "results/sim-001.h5", "r+") as file:
        session = next(iter(file["sim/info"].values()))
        for name in ("packages", "python", "platform", "code", "simkit"):
            session.attrs.pop(name, None)
            if name in session:
                del session[name]
    assert "5 runs the same" in recorded.ok("verify", "results/sim-001.h5").out


HIDDEN = "def gain():\n    return 2.0\n"
REACHES = """
from simkit import experiment, product

import pickle

import lib

def ask(name):
    return pickle.loads(name)()

{more}
@experiment
@product(x=[1, 2])
def f(x):
    return x * ask(b"clib\\ngain\\n.")
"""


def test_a_source_that_no_run_is_known_to_reach_is_compared(project):
    texts = {"lib.py": HIDDEN, "other.py": HIDDEN, "sim_f.py": REACHES.format(more="")}
    for file, text in texts.items():
        project.file(file, text)
    project.ok("-n", "0")
    assert "nothing that is recorded of code" in project.ok("verify", "f", "-n", "0").out
    unseen = "changed, in what no run is known to reach"
    for file, text, told in (
        ("lib.py", HIDDEN.replace("2.0", "3.0"), f"sources lib.py {unseen}"),
        ("sim_f.py", REACHES.format(more="OTHER = 1"), f"sources sim_f.py {unseen}"),
        (
            "sim_f.py",
            texts["sim_f.py"].replace("import lib", "import other as lib"),
            "sources lib.py is gone",
        ),
    ):
        project.file(file, text)
        out = project.simkit("verify", "f", "-n", "0").out
        assert any(line.startswith(told) for line in squeezed(out)), out
        assert "nothing that is recorded of code" not in out
        project.file(file, texts[file])
