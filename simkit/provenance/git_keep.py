"""How does git keep the code that is about to run: by a commit, or by a snapshot beside the branch?

It imports GitPython, which fails without git: import it where `repository` has found one.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from git.exc import GitCommandError

from simkit.errors import SimkitError, paragraphs
from simkit.provenance.git import GitProblem, Repository, RepositoryState, reason, root, state, under_way

REFS = "refs/simkit/"
_PATIENCE = (0.1, 0.2, 0.4, 0.8, 0.0)  # seconds between tries, while another git holds the index
_HOOK = None if os.name == "nt" else 60  # seconds that commit hooks may take
_LARGE = 10 << 20  # bytes from which an untracked file is data rather than code
_SHOWN = 10


def check_clean(repo: Repository, now: RepositoryState, needed: list[Path]) -> None:
    """Refuse a study whose code no commit holds.

    Raises
    ------
    SimkitError
        With the files that differ from the commit, or that the study needs and git does not have.
    """
    known = set(repo.git.ls_files("-z", "--recurse-submodules", "--full-name", "--", ":(top)").split("\0"))
    top = Path(os.path.realpath(root(repo)))
    paths = [Path(os.path.realpath(path)) for path in needed]
    names = [path.relative_to(top).as_posix() for path in paths if path.is_relative_to(top)]
    foreign = [
        f"{name}   (needed here, but not under version control)" for name in names if name not in known
    ]
    lines = [f"{path}   ({_word(marks)})" for path, marks in now.changed.items()] + foreign
    if not now.commit:
        lines = ["nothing is committed yet", *lines]
    if lines:
        more = [f"… and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        head = f'git = "require-clean": the code is not what {now.short or "a commit"} holds; nothing was run'
        cure = 'commit it, or set git = "record" in [tool.simkit] of pyproject.toml'
        raise SimkitError(paragraphs([head, *lines[:_SHOWN], *more, cure]))


def _word(marks: str) -> str:
    words = {"A": "new", "D": "deleted", "R": "renamed", "C": "copied", "U": "in conflict"}
    return next((word for mark, word in words.items() if mark in marks), "changed")


def commit(repo: Repository, now: RepositoryState, message: str, where: list[str]) -> RepositoryState:
    """Commit the changed tracked files; what is untracked stays alone.

    Raises
    ------
    GitProblem
        When git refuses, as for a lock, a hook, or in the middle of a merge; the files and the index are as before.
    """
    if not now.committable:
        return now
    if under_way(repo):
        raise GitProblem(f"you are in the middle of {under_way(repo)}, so nothing was committed")
    with _identity(repo):
        for pause in _PATIENCE:
            try:
                repo.git.commit("-a", "-q", "--no-gpg-sign", "-m", message, kill_after_timeout=_HOOK)
                break
            except GitCommandError as error:
                if not state(repo, where).committable:
                    break  # another study of this project was faster
                if not (pause and "index.lock" in error.stderr):
                    raise GitProblem(f"the changes could not be committed: {_why(repo, error)}") from None
                time.sleep(pause)
    return state(repo, where)


def _why(repo: Repository, error: GitCommandError) -> str:
    if "index.lock" in error.stderr:
        return f"another git is at work; if there is none, remove {Path(repo.git_dir) / 'index.lock'}"
    hook = error.status == 1 and not re.search(r"^\s*(stderr: ')?(fatal|error):", error.stderr, re.MULTILINE)
    return f"a commit hook failed: {reason(error, root(repo))}" if hook else reason(error, root(repo))


@contextmanager
def _identity(repo: Repository) -> Iterator[None]:
    """The user's name for commits, or a name of ours where git knows none."""
    try:
        repo.git.var("GIT_AUTHOR_IDENT")
        repo.git.var("GIT_COMMITTER_IDENT")
        missing: dict[str, str] = {}
    except GitCommandError:
        parts = {"NAME": "simkit", "EMAIL": "simkit@localhost"}
        missing = {
            f"GIT_{who}_{part}": text for who in ("AUTHOR", "COMMITTER") for part, text in parts.items()
        }
    with repo.git.custom_environment(**missing):
        yield


def snapshot(
    repo: Repository, now: RepositoryState, trajectory: str, message: str
) -> tuple[str, str, list[str]]:
    """Keep the working tree as a commit that no branch knows of.

    Returns
    -------
    tuple
        The commit, the reference that holds it, and the untracked files that were left out: data, rather
        than code.
    """
    ref = REFS + (re.sub(r"[^\w-]+", "-", trajectory).strip("-") or "trajectory")
    code, data = _told_apart(root(repo), now.untracked)
    tree = _tree(repo, code)
    parents = list(dict.fromkeys(filter(None, [now.commit, _resolved(repo, ref)])))
    same = next((one for one in reversed(parents) if _resolved(repo, f"{one}^{{tree}}") == tree), None)
    kept = same if same is not None and same == parents[-1] else None
    if kept is None:
        with _identity(repo):
            arguments = [word for parent in parents for word in ("-p", parent)]
            kept = str(repo.git.commit_tree(tree, *arguments, "-m", message))
    repo.git.update_ref(ref, kept)
    return kept, ref, data


def _told_apart(top: Path, untracked: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Untracked files that may be code, and those that are trajectories, large, or repositories of their own."""
    code: list[str] = []
    data: list[str] = []
    for name in untracked:
        path = top / name
        is_data = name.endswith(("/", ".h5", ".h5.wal", ".h5.lock")) or not os.path.lexists(path)
        (data if is_data or path.lstat().st_size > _LARGE else code).append(name)
    return code, data


def _tree(repo: Repository, untracked: list[str]) -> str:
    """The working tree as git's object, by way of a copy of the index."""
    with tempfile.TemporaryDirectory(prefix="simkit-", dir=repo.git_dir) as folder:
        index, names = Path(folder) / "index", Path(folder) / "names"
        if (Path(repo.git_dir) / "index").exists():
            shutil.copy2(
                Path(repo.git_dir) / "index", index
            )  # with its time: git trusts entries older than that
        with repo.git.custom_environment(GIT_INDEX_FILE=str(index)):
            repo.git.add("-u", "--", ":(top)")
            if untracked:
                names.write_bytes(b"\0".join(os.fsencode(name) for name in untracked))
                with repo.git.custom_environment(GIT_LITERAL_PATHSPECS="1"):
                    repo.git.add(f"--pathspec-from-file={names}", "--pathspec-file-nul")
            return str(repo.git.write_tree())


def _resolved(repo: Repository, name: str) -> str:
    try:
        return str(repo.git.rev_parse("--verify", "--quiet", name))
    except GitCommandError:
        return ""
