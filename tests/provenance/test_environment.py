"""Machine, user and packages, and never a secret."""

from __future__ import annotations

import os
import sys
from importlib import metadata

import h5py
import pytest

import simkit
from simkit.provenance.environment import without_credentials

SOURCE = """
from simkit import experiment, product
import scipy.special

@experiment
@product(x=[1.0, 2.0])
def f(x, seed):
    return {"z": scipy.special.gamma(x)}
"""


def last(trajectory):
    with simkit.open(trajectory.path) as opened:
        return opened.info.sessions[-1]


def test_packages_by_other_names_than_those_they_are_imported_by(study):
    packages = last(study.run("import git, yaml\n" + SOURCE))["packages"]
    assert packages["GitPython"] == metadata.version("gitpython")
    assert packages["gitdb"] == metadata.version("gitdb")  # needed by that one
    assert packages["PyYAML"] == metadata.version("pyyaml")


def test_the_user_is_nobodys_business_where_that_is_configured(project, tmp_path):
    project.file("sim_a.py", SOURCE)
    project.file("pyproject.toml", "[tool.simkit]\nuser = false\n")
    home = project.path.parent
    project.ok(
        "--output",
        str(home / "out.h5"),
        env={**os.environ, "HOME": str(home), "LOGNAME": "ada", "USER": "ada"},
    )
    session = project.open(str(home / "out.h5")).info.sessions[-1]
    assert "user" not in session
    assert session["command"] == "simkit --output ~/out.h5"


def test_all_packages_with_v_and_a_reason(project):
    project.file("sim_a.py", SOURCE)
    project.ok("-v", "--reason", "to see {it}")
    session = project.open("f-001").info.sessions[-1]
    assert session["reason"] == "to see {it}"
    assert session["packages"]["pytest"] == metadata.version("pytest")


TOKEN = "ghp_0123456789SECRETtoken"


def test_a_token_is_found_nowhere_in_the_file(repo, monkeypatch):
    """Neither of the environment, nor of an address, nor of a command line."""
    for name in ("GITHUB_TOKEN", "OMP_TOKEN", "SLURM_JWT", "AWS_SECRET_ACCESS_KEY", "SLURM_JOB_ID_TOKEN"):
        monkeypatch.setenv(name, TOKEN)
    repo.mode("snapshot").init()
    address = f"https://ada:{TOKEN}@example.org/x.git?private_token={TOKEN}"
    repo.git("remote", "add", "origin", address)
    repo.git("config", "branch.main.remote", "origin")
    repo.git("config", "http.extraHeader", f"Authorization: {TOKEN}")
    repo.git("config", "remote.push.url", address)
    repo.study.write("lib.py", "def double(x):\n    return x + x\n")
    trajectory, session, _ = repo.run()
    assert session["git"]["remote"] == "https://example.org/x.git"
    content = trajectory.path.read_bytes()
    assert b"example.org" in content
    assert TOKEN.encode() not in content
    with h5py.File(trajectory.path) as file:
        texts = []
        file.visititems(lambda _, thing: texts.append([str(thing.attrs.get(k)) for k in thing.attrs]))
        store = file["f/info/sources"]
        texts += [[store[digest].asstr()[0]] for digest in store]  # compressed
    assert not any(TOKEN in text for words in texts for text in words)
    assert len(texts) > 10


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://u:p@h/x.git", "https://h/x.git"),
        ("https://token@h/x", "https://h/x"),
        ("https://u:p@ss@h/x", "https://h/x"),
        ("ssh://git:pw@h:22/x", "ssh://h:22/x"),
        ("git@h:a/b.git", "git@h:a/b.git"),
        ("https://h/x?token=3", "https://h/x"),
        ("a 'ftp://u:p@h/' and http://b@c", "a 'ftp://h/' and http://c"),
        ("/home/a@b/c", "/home/a@b/c"),
        ("x == 3 and y > 2", "x == 3 and y > 2"),
    ],
)
def test_credentials_are_cut_out_of_addresses(text, kept):
    assert without_credentials(text) == kept


def test_brian2_tells_its_target(study):
    pytest.importorskip("brian2")
    session = last(study.run("import brian2\nbrian2.prefs.codegen.target = 'numpy'\n" + SOURCE))
    assert session["brian2_codegen"] == "numpy"
    assert session["brian2_device"] == "RuntimeDevice"
    assert session["packages"]["Brian2"] == metadata.version("brian2")
    sys.modules["brian2"].prefs.codegen.target = "auto"
