"""What git tells and does for a study: four modes, in every state that people bring their repositories into."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import simkit
from simkit import SimkitError

MODES = ("record", "require-clean", "commit", "snapshot")


REF = "refs/simkit/f-001"


def state(repo):
    """What no mode but `commit` may touch: branch, index, files."""
    index = repo.folder / ".git/index"
    files = {p.name: p.read_bytes() for p in repo.folder.iterdir() if p.is_file()}
    head = (repo.folder / ".git/HEAD").read_text()
    return head, repo.head, index.read_bytes() if index.exists() else b"", files


@pytest.mark.parametrize("mode", MODES)
def test_a_clean_repository(repo, mode):
    repo.mode(mode).init()
    os.utime(repo.folder / "lib.py", (1, 1))  # for which git would write its index anew
    before = state(repo)
    _, session, told = repo.run()
    git = session["git"]
    assert (git["commit"], git["branch"], git["dirty"]) == (repo.head, "main", False)
    assert "diff" not in session
    assert "changed" not in git
    assert "untracked" not in git  # results are no news
    assert "problems" not in session
    assert told == []
    assert state(repo) == before
    if mode == "snapshot":
        assert git["snapshot"] == repo.head == repo.git("rev-parse", REF)


def changes(repo):
    """Something of everything."""
    repo.study.write("lib.py", "def double(x):\n    return x + x\n")
    repo.study.write("staged.py", "new = 1\n")
    repo.git("add", "staged.py")
    repo.study.write("odd name é.txt", "untracked\n")


def test_record_tells_what_differs_from_the_commit(repo):
    repo.init()
    changes(repo)
    repo.git("tag", "v1")
    before = state(repo)
    trajectory, session, told = repo.run()
    git = session["git"]
    assert git["dirty"] is True
    assert git["changed"] == {"lib.py": ".M", "staged.py": "A."}
    assert git["untracked"] == ["odd name é.txt"]
    assert git["tags"] == ["v1"]
    assert "+    return x + x" in session["diff"]
    assert "+new = 1" in session["diff"]
    assert state(repo) == before
    assert told == []
    repo.git("stash", "-q")
    with simkit.open(trajectory.path) as opened:
        patch = repo.study.root.parent / "patch"
        patch.write_bytes(opened._selection.recorded.diff(1))
    repo.git("apply", str(patch))
    assert "x + x" in (repo.folder / "lib.py").read_text()


def test_the_users_settings_for_diffs_do_not_spoil_the_patch(repo):
    repo.init()
    text = "# -*- coding: latin-1 -*-\r\n# \xe9\r\ndef double(x):\n    return x + x"
    (repo.folder / "lib.py").write_bytes(text.encode("latin-1"))
    for name, value in (("color.ui", "always"), ("diff.noprefix", "true"), ("diff.external", "false")):
        repo.git("config", name, value)
    trajectory, session, _ = repo.run()
    wanted = (repo.folder / "lib.py").read_bytes()
    with simkit.open(trajectory.path) as opened:
        patch = opened._selection.recorded.diff(1)
        assert opened._selection.recorded.source_bytes(session["sources"]["lib.py"]) == wanted
    repo.git("checkout", "-q", "lib.py")
    subprocess.run(["git", "-c", "diff.noprefix=false", "apply"], input=patch, cwd=repo.folder, check=True)
    assert (repo.folder / "lib.py").read_bytes() == wanted


def test_require_clean_refuses_and_lists_the_files(repo):
    repo.mode("require-clean").init()
    changes(repo)
    with pytest.raises(SimkitError) as error:
        repo.run()
    text = str(error.value)
    assert text.startswith(
        f'git = "require-clean": the code is not what {repo.head[:7]} holds; nothing was run\n'
    )
    assert "    lib.py   (changed)\n    staged.py   (new)\n" in text
    assert 'commit it, or set git = "record" in [tool.simkit]' in text
    assert "odd name" not in text  # nothing that the study needs
    assert not (repo.folder / "results").exists()


def test_require_clean_wants_what_the_study_needs_under_version_control(repo):
    repo.mode("require-clean").git("init", "-q", ".")
    (repo.folder / ".gitignore").write_text("lib.py\n")
    repo.git("add", "sim_a.py", "pyproject.toml", ".gitignore")
    repo.commit("without lib")
    with pytest.raises(SimkitError, match=r"lib.py   \(needed here, but not under version control\)"):
        repo.run()


# States in which something is missing: a clear line, and the runs are made


@pytest.mark.parametrize("mode", MODES)
def test_no_repository(repo, mode):
    refused(repo, mode, "study is in no git repository", warned=mode != "record")


@pytest.mark.parametrize("mode", MODES)
def test_no_git(repo, mode, monkeypatch, tmp_path):
    repo.init()
    monkeypatch.setenv("PATH", str(tmp_path))
    refused(repo, mode, "there is no git on the PATH", warned=mode != "record")


@pytest.mark.parametrize("mode", MODES)
def test_unsafe_ownership(repo, mode, monkeypatch):
    repo.init()
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    cure = f"git config --global --add safe.directory {repo.folder}"
    refused(repo, mode, f"belongs to somebody else, so git does not read it; to trust it: {cure}")


@pytest.mark.parametrize("mode", MODES)
def test_a_bare_repository(repo, mode):
    repo.git("init", "-q", "--bare", ".")
    refused(repo, mode, "is a bare repository: it has no working tree")


@pytest.mark.parametrize("mode", MODES)
def test_a_broken_repository(repo, mode):
    repo.init()
    (repo.folder / ".git/index").write_bytes(b"nonsense" * 100)
    refused(repo, mode, "bad")


def refused(repo, mode, line, *, warned=True):
    """Git can't tell anything: only who insists on a clean tree is sent away."""
    repo.mode(mode)
    if mode == "require-clean":
        with pytest.raises(SimkitError) as error:
            repo.run()
        assert line in str(error.value)
        assert str(error.value).endswith("; nothing was run")
        assert not (repo.folder / "results").exists()
        return
    _, session, told = repo.run()
    assert line in session["problems"]
    assert "\n" not in session["problems"]
    assert "git" not in session
    assert ([line in text for text in told] == [True]) if warned else told == []


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_committed_yet(repo, mode):
    repo.mode(mode).init(committed=False)
    repo.git("add", "lib.py")
    if mode == "require-clean":
        with pytest.raises(SimkitError, match="nothing is committed yet"):
            repo.run()
        return
    _, session, told = repo.run()
    git = session["git"]
    assert git["branch"] == "main"
    if mode == "commit":  # what was staged is the first commit
        assert git["commit"] == repo.head
        assert repo.git("ls-tree", "--name-only", "HEAD") == "lib.py"
        return
    assert git["commit"] == ""
    assert session["problems"] == "git: nothing is committed yet, so there is no commit to record"
    assert len(told) == (mode != "record")
    if mode == "snapshot":
        names = repo.git("ls-tree", "--name-only", git["snapshot"]).split()
        assert names == ["lib.py", "pyproject.toml", "sim_a.py"]


@pytest.mark.parametrize("mode", MODES)
def test_a_detached_head(repo, mode):
    repo.mode(mode).init()
    repo.git("checkout", "-q", "--detach")
    if mode != "require-clean":
        changes(repo)
    _, session, told = repo.run()
    assert session["git"]["branch"] == ""
    assert session["git"]["commit"] == repo.head
    assert session["git"]["dirty"] is (mode in ("record", "snapshot"))
    assert told == []


@pytest.mark.parametrize("mode", MODES)
def test_submodules(repo, mode, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    repo.git("init", "-q", "-b", "main", ".", folder=inner)
    (inner / "q.py").write_text("1\n")
    repo.git("add", ".", folder=inner)
    repo.git("-c", "user.name=N", "-c", "user.email=n@x", "commit", "-qm", "s", folder=inner)
    repo.mode(mode).init()
    repo.git("submodule", "--quiet", "add", str(inner), "sub")
    repo.commit("with a submodule")
    (repo.folder / "sub/q.py").write_text("2\n")
    before = repo.head
    if mode == "require-clean":
        with pytest.raises(SimkitError, match=r"    sub   \(changed\)"):
            repo.run()
        return
    _, session, told = repo.run()
    commit = repo.git("rev-parse", "HEAD", folder=inner)
    assert session["git"]["submodules"] == {"sub": f"{commit} changed files"}
    assert session["git"]["dirty"] is True
    assert repo.head == before
    assert told == []


def test_a_linked_worktree_and_a_project_in_a_subfolder(repo, study, tmp_path, monkeypatch):
    repo.mode("snapshot").init()
    (tmp_path / "big").mkdir()
    repo.git("init", "-q", "-b", "main", str(tmp_path / "big"))
    shutil.copytree(repo.folder, tmp_path / "big/deep/study", ignore=shutil.ignore_patterns(".git"))
    repo.folder = tmp_path / "big"
    repo.git("add", ".")
    repo.commit("all")
    repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "tree"))
    study.root = tmp_path / "tree/deep/study"
    repo.study.write("lib.py", "def double(x):\n    return x + x\n")
    monkeypatch.chdir(study.root)
    monkeypatch.syspath_prepend(str(study.root))
    _, session, told = repo.run()
    assert session["git"]["branch"] == "side"
    assert session["git"]["folder"] == "deep/study"
    assert session["git"]["changed"] == {"deep/study/lib.py": ".M"}
    assert "x + x" in repo.git("show", "refs/simkit/f-001:deep/study/lib.py")
    assert told == []


@pytest.mark.parametrize("name", ["$HOME", "${SIMKIT_X}", "%HOME%", "a $SIMKIT_X b"])
def test_a_folder_named_after_a_variable(repo, study, tmp_path, monkeypatch, name):
    monkeypatch.setenv("SIMKIT_X", str(tmp_path / "nowhere"))
    repo.mode("record").init()
    shutil.copytree(repo.folder, tmp_path / name)
    repo.folder = study.root = tmp_path / name
    monkeypatch.chdir(study.root)
    monkeypatch.syspath_prepend(str(study.root))
    _, session, told = repo.run()
    assert session["git"]["commit"] == repo.head
    assert told == []


def test_within_a_hook_of_another_repository(repo, monkeypatch, tmp_path):
    repo.init()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "no index"))
    _, session, told = repo.run()
    assert session["git"]["dirty"] is False
    assert told == []
    assert os.environ["GIT_DIR"] == str(tmp_path / "nowhere")


def test_off(repo):
    repo.mode("off").init()
    _, session, told = repo.run()
    assert "git" not in session
    assert "problems" not in session
    assert told == []


def test_the_command_tells_what_git_did_and_warns_once(project):
    for name in "ab":
        project.file(
            f"sim_{name}.py", f"from simkit import experiment\n@experiment\ndef {name}():\n    return 1\n"
        )
    project.file("pyproject.toml", '[tool.simkit]\ngit = "commit"\n')
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(project.path.parent)}
    out = project.ok(env=environment).out
    assert out.count("git: ") == 1
    assert f"warning: sim_a.py::a: git: {project.path} is in no git repository" in out
    assert 'silence = ["git"]' in out
    subprocess.run(["git", "init", "-q", "-b", "main", "."], cwd=project.path, check=True)
    subprocess.run(["git", "add", "."], cwd=project.path, check=True)
    out = project.ok("--fresh").out
    assert out.count("git: committed") == 1
    assert " changed files as " in out
    project.file("sim_a.py", "from simkit import experiment\n@experiment\ndef a():\n    return 2\n")
    project.file("pyproject.toml", '[tool.simkit]\ngit = "require-clean"\n')
    result = project.simkit("--fresh")
    assert result.code == 4
    assert "    pyproject.toml   (changed)\n    sim_a.py   (changed)\n" in result.err
    assert Path(project.path, "results").exists()
