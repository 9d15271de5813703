"""How does a recorded commit, with what differed from it, become a folder again?"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simkit.errors import SimkitError
from simkit.provenance.repository import GitProblem, reason, repository, root
from simkit.provenance.restore import inside


def checkout(session: Mapping[str, Any], diff: bytes, origin: str, folder: Path) -> str:
    """Clone a repository into a new folder, at the recorded snapshot or commit, and apply the recorded diff.

    Parameters
    ----------
    diff
        What differed from the commit.
    origin
        The repository's folder or address.

    Returns
    -------
    str
        What was checked out, for people.

    Raises
    ------
    SimkitError
        When no commit is recorded, or the repository does not have it.
    """
    told = session.get("git", {})
    commit = str(told.get("snapshot") or told.get("commit") or "")
    if not commit:
        problem = session.get("problems") or "git was switched off"
        raise SimkitError(
            f"no commit is recorded ({problem})\n    restore the recorded sources: leave out --git"
        )
    if not re.fullmatch("[0-9a-f]{40,64}", commit):
        raise SimkitError(f"the recorded commit {commit!r} is none: the file was tampered with")
    is_whole = bool(told.get("snapshot"))
    try:
        _fetch(origin, commit, b"" if is_whole else diff, folder)
    except GitProblem as problem:
        there = f"\n    it was recorded with the remote {told['remote']}" if told.get("remote") else ""
        msg = f"--git: {commit[:7]} could not be checked out from {origin}: {problem}{there}"
        raise SimkitError(
            f"{msg}\n    name another repository with --git=REPOSITORY, or leave out --git"
        ) from None
    if is_whole:
        return f"the snapshot {commit[:7]}"
    return f"commit {commit[:7]}" + (" and what differed from it" if diff else "")


def project_folder(session: Mapping[str, Any], folder: Path) -> Path:
    """Where the project is within a checkout."""
    within = session["git"].get("folder", ".")
    return folder if within == "." else inside(folder, within)


def found_repository(*folders: Path) -> str:
    """The repository that one of these folders is in.

    Raises
    ------
    SimkitError
        When none is.
    """
    for folder in folders:
        try:
            with repository(folder) as repo:
                return str(root(repo))
        except GitProblem:
            continue
    raise SimkitError(
        f"--git: {folders[0]} is in no git repository; name the project's with --git=REPOSITORY"
    )


def _fetch(origin: str, commit: str, diff: bytes, folder: Path) -> None:
    import git

    # A snapshot, or a commit that a rebase left behind, is on no branch: it is asked for by its name.
    serve = "git -c uploadpack.allowAnySHA1InWant=true upload-pack"
    local = ["--upload-pack", serve] if Path(origin).exists() else []
    try:
        repo = git.Repo.init(folder)
        with repo:
            repo.git.update_environment(GIT_TERMINAL_PROMPT="0")
            repo.git.fetch("-q", "--no-tags", *local, "--", origin, commit)
            repo.git.checkout("-q", "--detach", commit)
            if diff:
                with tempfile.TemporaryDirectory(prefix="simkit-") as aside:
                    patch = Path(aside) / "diff"
                    patch.write_bytes(diff)
                    repo.git.apply("--whitespace=nowarn", str(patch))
    except (git.GitError, OSError, ValueError) as error:
        raise GitProblem(reason(error, folder)) from None
