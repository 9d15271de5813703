"""What does git know of the project: the commit, and what differs from it?"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from simkit.provenance.environment import without_credentials

if TYPE_CHECKING:
    import git


MOST_LISTED = 1000
_MOST_DIFF = 8 << 20
_SUBMODULE = {"C": "another commit", "M": "changed files", "U": "untracked files"}
# Set within a hook; there they name an index and a folder that are not the user's.
_INHERITED = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR",
)  # fmt: skip
_UNDER_WAY = {
    "MERGE_HEAD": "a merge",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
}


class GitProblem(Exception):
    """Why git can't tell or do something, in one line."""

    def __init__(self, text: str, *, expected: bool = False) -> None:
        super().__init__(text)
        self.expected = expected  # many projects have no repository: not worth a warning


@attrs.frozen
class RepositoryState:
    """The working tree and the commit that it belongs to.

    Attributes
    ----------
    commit
        Empty before the first one.
    branch
        Empty where HEAD is detached.
    changed
        What differs from the commit, staged or not, by path, with git's two letters.
    committable
        Those of them that a commit would take: not what lies within a submodule.
    untracked
        Files that git neither has nor ignores.
    submodules
        By path, their commit, and what differs from it.
    """

    commit: str = ""
    branch: str = ""
    changed: dict[str, str] = attrs.field(factory=dict)
    committable: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    submodules: dict[str, str] = attrs.field(factory=dict)

    @property
    def is_dirty(self) -> bool:
        """Whether anything tracked differs from the commit."""
        return bool(self.changed)

    @property
    def short(self) -> str:
        """The commit as people write it."""
        return self.commit[:7]


class GitFailed(Exception):
    """A git command that ended with an error: what it said."""

    def __init__(self, stderr: str) -> None:
        super().__init__(stderr)
        self.stderr = stderr


# Neither may git wait for somebody to type a password, nor write the index to be faster next time.
_QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_LITERAL_PATHSPECS": "0"}
_ENGLISH = {"LANGUAGE": "C", "LC_ALL": "C"}


@attrs.define(eq=False)
class Repository:
    """A repository with a working tree, asked through the command git.

    Attributes
    ----------
    folder
        Where the commands work.
    git_dir
        Where git keeps the commits.
    working_tree_dir
        The top of the working tree.
    environment
        Further variables for the commands.
    """

    folder: str
    git_dir: str = ""
    working_tree_dir: str = ""
    environment: Mapping[str, str] = attrs.field(factory=dict)
    interface: git.Git | None = None

    def begin(self, *words: str) -> GitCommand:
        """Start a command; others may be started before its answer is read."""
        process = subprocess.Popen(
            [_executable(), *words], cwd=self.folder, env={**os.environ, **_ENGLISH, **_QUIET, **self.environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        return GitCommand(process)

    def told(self, *words: str) -> str:
        """What a command answers."""
        return self.begin(*words).text()

    @property
    def git(self) -> git.Git:
        """GitPython's commands, for whoever changes something: importing it takes as long as a short study."""
        import git

        if self.interface is None:
            self.interface = git.Git(self.working_tree_dir)
            self.interface.update_environment(**_QUIET)
        return self.interface


class GitCommand:
    """A git command under way."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def output(self) -> bytes:
        """What it answers, once it has ended.

        Raises
        ------
        GitFailed
            Where it ended with an error.
        """
        answer, problem = self.process.communicate()
        if self.process.returncode:
            raise GitFailed(problem.decode("utf-8", "surrogateescape"))
        return answer

    def text(self) -> str:
        """The same as text."""
        return self.output().decode("utf-8", "surrogateescape")


def _executable() -> str:
    return os.environ.get("GIT_PYTHON_GIT_EXECUTABLE", "git")


@contextmanager
def repository(folder: Path) -> Iterator[Repository]:
    """The repository that a folder is in, for this while.

    Raises
    ------
    GitProblem
        When there is none, git is missing or refuses; whatever git says within becomes one, too.
    """
    if shutil.which(_executable()) is None:
        raise GitProblem("there is no git on the PATH", expected=True)
    top = next(filter(_is_repository, [folder.resolve(), *folder.resolve().parents]), None)
    if top is None:
        raise GitProblem(f"{folder} is in no git repository", expected=True)
    with told_as_problems(top):
        yield _opened(folder, top)


@contextmanager
def told_as_problems(folder: Path) -> Iterator[None]:
    """Git works where it is told to, though a hook started simkit; what it says becomes a `GitProblem`."""
    inherited = {name: os.environ.pop(name) for name in _INHERITED if name in os.environ}
    try:
        yield
    except Exception as error:
        if isinstance(error, (OSError, ValueError, GitFailed, *_foreign_errors())):
            raise GitProblem(reason(error, folder)) from None
        raise
    finally:
        os.environ.update(inherited)


def _opened(folder: Path, top: Path) -> Repository:
    """The repository, once git has found it, too."""
    repo = Repository(str(folder))
    try:
        places = repo.told("rev-parse", "--absolute-git-dir", "--show-toplevel")
    except GitFailed:
        if repo.told("rev-parse", "--is-bare-repository").strip() == "true":
            raise GitProblem(f"{top} is a bare repository: it has no working tree") from None
        raise
    git_dir, _, tree = places.rstrip("\n").partition("\n")
    return attrs.evolve(repo, folder=tree, git_dir=git_dir, working_tree_dir=tree)


def _foreign_errors() -> tuple[type[Exception], ...]:
    """GitPython's errors, where it was needed."""
    package = sys.modules.get("git")
    return () if package is None else (package.GitError,)


def _is_repository(folder: Path) -> bool:
    """Whether git's search ends here: in a working tree, or in what holds one's commits."""
    return (folder / ".git").exists() or ((folder / "HEAD").exists() and (folder / "objects").exists())


def root(repo: Repository) -> Path:
    """The folder of the working tree."""
    return Path(repo.working_tree_dir)


def reason(error: Exception, folder: Path) -> str:
    """The line that says why git failed."""
    said = str(getattr(error, "stderr", "") or error)
    said = re.sub(r"^\s*stderr: '|'\s*$", "", said.strip())
    if "dubious ownership" in said:
        cure = f"git config --global --add safe.directory {folder}"
        return f"{folder} belongs to somebody else, so git does not read it; to trust it: {cure}"
    lines = [line.strip() for line in said.splitlines() if line.strip()] or [type(error).__name__]
    telling = [line for line in lines if re.match(r"(fatal|error):", line)]
    return without_credentials(re.sub(r"^(fatal|error):\s*", "", (telling or lines[-1:])[0]))


def pathspec(repo: Repository, left_out: list[Path]) -> list[str]:
    """The working tree without simkit's own output."""
    top = Path(os.path.realpath(root(repo)))
    paths = [Path(os.path.realpath(path)) for path in left_out]
    inside = [path.relative_to(top).as_posix() for path in paths if path.is_relative_to(top) and path != top]
    return ["--", ":(top)", *(f":(top,exclude,literal){path}" for path in inside)]


def state(repo: Repository, where: list[str]) -> RepositoryState:
    """The state of the working tree, as far as `where` (a pathspec) goes."""
    told = repo.told(
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        "--untracked-files=all",
        "--ignore-submodules=none",
        *where,
    )
    facts: dict[str, Any] = {}
    changed, takes, untracked, inner = {}, [], [], {}
    entries = iter(told.split("\0"))
    for entry in entries:
        kind, _, rest = entry.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            facts[name] = "" if value in ("(initial)", "(detached)") else value
        elif kind == "?":
            untracked.append(rest)
        elif kind in ("1", "2", "u"):
            path = entry.split(" ", {"1": 8, "2": 9, "u": 10}[kind])[-1]
            letters, submodule = rest.split(" ")[:2]
            changed[path] = letters
            if submodule[0] == "S":
                inner[path] = ", ".join(word for mark, word in _SUBMODULE.items() if mark in submodule)
            if submodule[0] == "N" or "C" in submodule:
                takes.append(path)
            if kind == "2":
                next(entries)  # its name before
    return RepositoryState(
        facts.get("branch.oid", ""), facts.get("branch.head", ""), changed, tuple(takes), tuple(untracked),
        _submodules(repo, inner),
    )  # fmt: skip


def _submodules(repo: Repository, differing: dict[str, str]) -> dict[str, str]:
    if not (root(repo) / ".gitmodules").exists():
        return differing
    lines = re.findall(
        r"^[ +\-U]([0-9a-f]{40,64}) (.+?)(?: \(.*\))?$", repo.told("submodule", "status"), re.MULTILINE
    )
    return {path: f"{commit} {differing.get(path, '')}".rstrip() for commit, path in lines}


def under_way(repo: Repository) -> str:
    """The merge or the like that the user is in the middle of, or nothing."""
    return next((what for name, what in _UNDER_WAY.items() if (Path(repo.git_dir) / name).exists()), "")


def described(
    repo: Repository, now: RepositoryState, where: list[str], rootdir: Path
) -> tuple[dict[str, Any], bytes, str]:
    """What is recorded of a state: facts, the diff to its commit, and what is missing there, if anything."""
    tags = repo.begin("tag", "--points-at", "HEAD") if now.commit else None
    remote = _remote(repo, now.branch)
    facts: dict[str, Any] = {"commit": now.commit, "branch": now.branch, "dirty": now.is_dirty}
    optional = {
        "tags": tags.text().split() if tags else [],
        "remote": remote,
        "folder": os.path.relpath(os.path.realpath(rootdir), os.path.realpath(root(repo))).replace(
            os.sep, "/"
        ),
        "changed": now.changed,
        "untracked": list(now.untracked[:MOST_LISTED]),
        "untracked_more": max(0, len(now.untracked) - MOST_LISTED),
        "submodules": now.submodules,
    }
    facts.update({name: fact for name, fact in optional.items() if fact})
    if not now.commit:
        return facts, b"", "nothing is committed yet, so there is no commit to record"
    diff = difference(repo, where) if now.is_dirty else b""
    if len(diff) <= _MOST_DIFF:
        return facts, diff, ""
    return (
        facts,
        b"",
        f"the changes since {now.short} ({len(diff) >> 20} MB) are too long to record: commit them",
    )


def difference(repo: Repository, where: list[str]) -> bytes:
    """The patch from the commit to the working tree, whatever the user's configuration says of diffs."""
    plain = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
    command = repo.begin("diff", "HEAD", *plain, "--submodule=short", "--ignore-submodules=dirty", *where)
    return command.output()


def _remote(repo: Repository, branch: str) -> str:
    """The address of the branch's remote, else of ``origin``, else of the first."""
    try:
        told = repo.told("config", "-z", "--get-regexp", r"^(remote\..*\.url|branch\..*\.remote)$")
    except GitFailed:  # there is none
        return ""
    settings: dict[str, str] = {}
    for entry in filter(None, told.split("\0")):
        key, _, value = entry.partition("\n")
        settings.setdefault(key, value)
    addresses = {
        key[len("remote.") : -len(".url")]: value for key, value in settings.items() if key.endswith(".url")
    }
    wanted = (settings.get(f"branch.{branch}.remote", ""), "origin", *addresses)
    return without_credentials(next((addresses[name] for name in wanted if name in addresses), ""))
