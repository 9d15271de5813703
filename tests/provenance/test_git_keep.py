"""Git keeps the code that is about to run: commits and snapshots."""

from __future__ import annotations

import pytest

import simkit

MODES = ("record", "require-clean", "commit", "snapshot")


REF = "refs/simkit/f-001"


def state(repo):
    """What no mode but `commit` may touch: branch, index, files."""
    index = repo.folder / ".git/index"
    files = {p.name: p.read_bytes() for p in repo.folder.iterdir() if p.is_file()}
    head = (repo.folder / ".git/HEAD").read_text()
    return head, repo.head, index.read_bytes() if index.exists() else b"", files


def changes(repo):
    """Something of everything."""
    repo.study.write("lib.py", "def double(x):\n    return x + x\n")
    repo.study.write("staged.py", "new = 1\n")
    repo.git("add", "staged.py")
    repo.study.write("odd name é.txt", "untracked\n")


def test_commit_takes_changed_tracked_files_and_leaves_the_others_alone(repo):
    repo.mode("commit").init()
    changes(repo)
    before = repo.head
    _, session, told = repo.run()
    assert repo.head != before
    assert session["git"]["commit"] == repo.head
    assert session["git"]["dirty"] is False
    assert session["git"]["untracked"] == ["odd name é.txt"]
    assert repo.git("log", "-1", "--format=%s|%an|%ae") == "simkit: f-001|simkit|simkit@localhost"
    assert "sim_a.py::f" in repo.git("log", "-1", "--format=%b")
    assert repo.git("show", "--name-only", "--format=").split() == ["lib.py", "staged.py"]
    assert repo.git("status", "--porcelain", "--", ":!results") == '?? "odd name \\303\\251.txt"'
    assert told == []


def test_commit_signs_with_the_users_name_where_there_is_one(repo):
    repo.mode("commit").init()
    repo.git("config", "user.name", "Ada")
    repo.git("config", "user.email", "ada@x")
    repo.git("config", "commit.gpgsign", "true")
    changes(repo)
    repo.run()
    assert repo.git("log", "-1", "--format=%an %ae") == "Ada ada@x"


def test_snapshot_keeps_the_working_tree_and_touches_nothing(repo):
    repo.mode("snapshot").init()
    changes(repo)
    repo.study.write("data.h5", "no code")
    (repo.folder / ".gitignore").write_text("secret.txt\n")
    repo.study.write("secret.txt", "s")
    before = state(repo)
    _, session, told = repo.run()
    assert state(repo) == before
    git = session["git"]
    assert git["snapshot"] == repo.git("rev-parse", REF)
    assert git["snapshot_ref"] == REF
    assert repo.git("rev-parse", f"{REF}^") == repo.head
    names = set(repo.git("-c", "core.quotepath=off", "ls-tree", "-r", "--name-only", REF).splitlines())
    assert names == {"lib.py", "sim_a.py", "staged.py", "odd name é.txt", "pyproject.toml", ".gitignore"}
    assert "x + x" in repo.git("show", f"{REF}:lib.py")
    assert told == []


def test_a_second_snapshot_of_a_trajectory_keeps_the_first(repo):
    repo.mode("snapshot").init()
    text = repo.study.root / "lib.py"
    text.write_text(text.read_text() + "# one\n")
    first = simkit.run(repo.study.module("sim_a.py").f, seed=1)
    one = repo.git("rev-parse", REF)
    text.write_text(text.read_text() + "# two\n")
    more = simkit.run(repo.study.module("sim_a.py").f, simkit.product(x=[1, 2, 3]))
    assert more.path == first.path
    assert repo.git("rev-parse", f"{REF}^2") == one
    assert "# two" in repo.git("show", f"{REF}:lib.py")
    for trajectory in (first, more):
        trajectory.close()
    assert [s["git"]["snapshot"] for s in simkit.open(first.path).info.sessions] == [
        one,
        repo.git("rev-parse", REF),
    ]


@pytest.mark.parametrize("mode", MODES)
def test_a_locked_index(repo, mode):
    repo.mode(mode).init()
    lock = repo.folder / ".git/index.lock"
    lock.write_text("")
    if mode == "require-clean":
        repo.run()
        return
    changes_without_git(repo)
    _, session, told = repo.run()
    assert session["git"]["commit"] == repo.head
    assert session["git"]["dirty"] is True
    assert "+    return x + x" in session["diff"]
    if mode == "commit":
        (line,) = told
        assert f"another git is at work; if there is none, remove {lock}" in line
        assert "what differs from the commit is recorded in the file" in line
    else:
        assert told == []


def changes_without_git(repo):
    repo.study.write("lib.py", "def double(x):\n    return x + x\n")


@pytest.mark.parametrize("mode", MODES)
def test_a_commit_hook_that_fails(repo, mode):
    repo.mode(mode).init()
    hook = repo.folder / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'flake8: 3 errors' >&2\nexit 1\n")
    hook.chmod(0o755)
    if mode != "require-clean":
        changes(repo)
    before = state(repo)
    _, session, told = repo.run()
    assert state(repo) == before
    assert session["git"]["dirty"] is (mode != "require-clean")
    expected = "the changes could not be committed: a commit hook failed: flake8: 3 errors"
    assert [expected in line for line in told] == ([True] if mode == "commit" else [])


def test_in_the_middle_of_a_merge_nothing_is_committed(repo):
    repo.mode("commit").init()
    repo.git("checkout", "-q", "-b", "other")
    repo.study.write("lib.py", "def double(x):\n    return x + x\n")
    repo.git("add", "-u")
    repo.commit("other")
    repo.git("checkout", "-q", "main")
    repo.study.write("lib.py", "def double(x):\n    return x * 2\n")
    repo.git("add", "-u")
    repo.commit("mine")
    repo.git("-c", "user.name=N", "-c", "user.email=n@x", "merge", "other", ok=False)
    repo.study.write("lib.py", "def double(x):\n    return x * 2  # resolved\n")
    before = state(repo)
    _, session, (line,) = repo.run()
    assert "you are in the middle of a merge, so nothing was committed" in line
    assert session["git"]["changed"] == {"lib.py": "UU"}
    assert state(repo) == before
