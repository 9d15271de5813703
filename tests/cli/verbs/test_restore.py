"""``simkit restore``: from a file back to a folder in which the same runs can be made."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
from processes import wrong_values

import simkit

AUTOMATA = Path(__file__).parents[3] / "examples/automata"


SOURCE = """
from simkit import experiment, product
import lib

@experiment
@product(x=[1, 2])
def f(x, rng):
    return {"z": lib.double(x), "r": rng.random(3)}
"""


@pytest.fixture
def elsewhere(tmp_path):
    """A clean folder of another project."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def test_the_automata_example_runs_again_with_the_same_results(project, elsewhere):
    for file in ("automaton.py", "sim_automata.py", "plot_automata.py"):
        shutil.copy(AUTOMATA / file, project.path)
    project.file("pyproject.toml", "[tool.simkit]\n[tool.simkit.parameters]\ncells = 60\n")
    project.ok("--seed", "3")
    moved = elsewhere / "automata.h5"
    shutil.copy(project.path / "results/automata-001.h5", moved)
    told = project.ok("restore", str(moved), str(elsewhere / "again"), cwd=elsewhere).out
    again = elsewhere / "again"
    assert "again: 3 sources of automata, session 1" in told
    assert "pip install -r again/requirements.txt" in told
    assert "in that folder, the runs were made by:  simkit --seed 3" in told
    written = {p.name for p in again.iterdir()}
    assert written == {"automaton.py", "sim_automata.py", "pyproject.toml", "requirements.txt"}
    for file in ("automaton.py", "sim_automata.py"):
        assert (again / file).read_bytes() == (AUTOMATA / file).read_bytes()
    lines = (again / "requirements.txt").read_text().splitlines()
    assert f"numpy=={np.__version__}" in lines
    assert f"h5py=={h5py.__version__}" in lines
    verified = project.ok("verify", str(moved), cwd=again).out
    assert "6 runs the same, bit for bit" in verified
    assert "nothing that is recorded of code, packages and platform has changed" in verified
    project.ok("--seed", "3", cwd=again)
    one, other = simkit.open(moved), simkit.open(again / "results/automata-001.h5")
    assert one.info.node_id == other.info.node_id
    assert one["pattern"].shape[-1] == 60
    assert wrong_values(one, other) == []
    one.close()
    other.close()
    code = (again / "automaton.py").read_text()
    (again / "automaton.py").write_text(
        code.replace("(rule_number >> np.arange(8)) & 1", "(rule_number >> np.arange(8)) % 2 ^ 1")
    )
    broken = project.simkit("verify", str(moved), cwd=again)
    assert broken.code == 1
    assert "automaton.py" in broken.out


def test_nothing_is_overwritten(project):
    project.file("sim_a.py", SOURCE)
    project.file("lib.py", "def double(x):\n    return 2 * x\n")
    project.ok()
    for target, says in (
        (".", "is there already: name a new folder, or an empty one"),
        ("lib.py", "is there already"),
    ):
        result = project.simkit("restore", "results/f-001.h5", target)
        assert result.code == 4
        assert says in result.err
    assert project.simkit("restore", "nothing.h5", "new").code == 4
    assert project.simkit("restore", "results/f-001.h5").code == 4
    assert not project.has("new")


@pytest.mark.parametrize("mode", ["record", "commit", "snapshot"])
def test_the_commit_is_checked_out_with_what_differed(repo, project, elsewhere, mode):
    repo.mode(mode).init()
    repo.study.write("extra.py", "k = 1\n")
    repo.git("add", "extra.py")
    repo.study.write("lib.py", "import beside\ndef double(x):\n    return x + x  # \u00e9\n")
    repo.study.write("beside.py", "untracked = True\n")
    repo.study.write("requirements.txt", "theirs\n")
    repo.git("add", "requirements.txt")
    trajectory, session, _ = repo.run()
    repo.git(
        "reset", "-q", "--hard", "HEAD" if mode != "commit" else "HEAD^"
    )  # the commit is on no branch any more
    told = project.ok("restore", str(trajectory.path), str(elsewhere / "new"), "--git", cwd=repo.folder).out
    new = elsewhere / "new"
    assert {"snapshot": "the snapshot", "commit": "commit", "record": "and what differed from it"}[
        mode
    ] in told
    for file in ("extra.py", "lib.py", "beside.py", "sim_a.py"):
        assert (new / file).exists()
    assert "# \u00e9" in (new / "lib.py").read_text(encoding="utf-8")
    assert (new / "requirements.txt").read_text() == "theirs\n"
    assert "numpy==" in (new / "requirements-recorded.txt").read_text()
    kept = session["git"].get("snapshot", session["git"]["commit"])
    assert repo.git("rev-parse", "HEAD", folder=new) == kept


def test_a_project_in_a_folder_of_its_repository(project, own_configuration):
    project.file("deep/sim_a.py", SOURCE.replace("import lib", "").replace("lib.double(x)", "x"))
    project.file("deep/pyproject.toml", "[tool.simkit]\n")
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=N", "-c", "user.email=n@x", "commit", "-qm", "all"],
    ):
        subprocess.run(["git", *words], cwd=project.path, check=True)
    project.ok("deep")
    assert project.open("deep/results/f-001.h5").info.sessions[-1]["git"]["folder"] == "deep"
    project.ok("restore", "deep/results/f-001.h5", "new", "--git")  # from the repository here
    assert project.has("new/deep/sim_a.py", "new/deep/requirements.txt", "new/.git")


def test_what_git_can_not_give(repo, project):
    trajectory, *_ = repo.run()
    result = project.simkit("restore", str(trajectory.path), "new", "--git", str(repo.folder))
    assert result.code == 4
    assert "no commit is recorded (git: " in result.err
    assert "leave out --git" in result.err
    repo.init()
    trajectory, session, _ = repo.run()
    subprocess.run(["git", "init", "-q", "other"], cwd=project.path, check=True)
    result = project.simkit("restore", str(trajectory.path), "new", "--git", "other")
    assert result.code == 4
    assert f"--git: {session['git']['commit'][:7]} could not be checked out from other: " in result.err
    assert "name another repository with --git=REPOSITORY" in result.err
    assert not project.has("new/sim_a.py")
