"""The recorded sources, or the recorded commit, in a folder of their own."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from simkit.collect.config import CONFIG
from simkit.errors import SimkitError, shown_path
from simkit.provenance.git import GitProblem, Repository, repository, root, told_as_problems
from simkit.record.recorded import Recorded

REQUIREMENTS = "requirements.txt"
_ORIGIN = re.compile(  # no option, no user, no other program's transport: `git+https://host/path@commit`
    r"(git|hg|bzr|svn)\+(https|http|ssh|file)://([A-Za-z0-9][\w.:-]*@)?[\w./~+%:-]*@[A-Za-z0-9][\w.-]*",
    re.ASCII,
)
_NO_FILES = ("120000", "160000")  # git's modes of links and submodules
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names of devices on Windows


@attrs.frozen
class RestoredFiles:
    """What was written.

    Attributes
    ----------
    files
        The sources, by their paths from the folder.
    requirements
        The file with the versions of the packages.
    by_hand
        Packages that no index has in this version: they must be installed by hand.
    """

    files: tuple[str, ...]
    requirements: str
    by_hand: tuple[str, ...]


def session_of(recorded: Recorded, number: int | None) -> tuple[int, Mapping[str, Any]]:
    """A session's number, from 1, and its facts; the last one by default.

    Raises
    ------
    SimkitError
        When there is no such session.
    """
    sessions = recorded.sessions
    if not sessions:
        raise SimkitError(f"{shown_path(recorded.path)}: no session is recorded there")
    if number is not None and not 1 <= number <= len(sessions):
        raise SimkitError(
            f"--session {number}: the sessions of {recorded.name} are numbered 1 to {len(sessions)}"
        )
    number = number or len(sessions)
    return number, sessions[number - 1]


def check_target(folder: Path) -> None:
    """Only an empty folder, or one that is not there, may be written to.

    Raises
    ------
    SimkitError
        Otherwise: nothing is overwritten.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SimkitError(f"{shown_path(folder)} is there already: name a new folder, or an empty one")


def restore(recorded: Recorded, session: Mapping[str, Any], folder: Path) -> RestoredFiles:
    """Write a session's sources and requirements.

    Raises
    ------
    SimkitError
        When no sources are recorded, or a recorded path leads out of the folder.
    """
    sources: Mapping[str, str] = session["sources"]
    if not sources:
        why = "the code was in no file, or simkit was its first version"
        raise SimkitError(f"{shown_path(recorded.path)}: no sources are recorded there: {why}")
    places = {path: inside(folder, path) for path in sources}
    texts = {path: _text_of(recorded, path, digest) for path, digest in sources.items()}
    for path, text in texts.items():
        if path == CONFIG and places[path].exists():
            continue  # checked out; recorded is only our table of it
        places[path].parent.mkdir(parents=True, exist_ok=True)
        places[path].write_bytes(text)
    if not os.path.lexists(folder / CONFIG):  # node ids are relative to the folder that has it
        (folder / CONFIG).write_text("[tool.simkit]\n", encoding="utf-8")
    name, by_hand = write_requirements(session, folder)
    return RestoredFiles(tuple(sources), name, by_hand)


def _text_of(recorded: Recorded, path: str, digest: str) -> bytes:
    """A source's text, which must be what simkit records: Python's, or the settings, under their digest."""
    is_source = path.endswith(".py") or path == CONFIG
    text = recorded.source_bytes(digest) if is_source and re.fullmatch("[0-9a-f]{64}", str(digest)) else None
    if text is None or hashlib.sha256(text).hexdigest() != digest:
        what = "is no source" if not is_source else "does not fit its digest"
        raise SimkitError(f"the recorded file {path!r} {what}: the file was tampered with")
    return text


def inside(folder: Path, path: str) -> Path:
    """A recorded path below the folder; whoever made the file has no say on other places."""
    pure = PurePosixPath(path)
    parts = path.split("/")
    is_odd = any(
        part[:1] in ("", ".") or part[-1:] in (".", " ") or _RESERVED.fullmatch(part) for part in parts
    )
    if is_odd or pure.is_absolute() or re.search(r'[\\:*?"<>|]', path) or not path.isprintable():
        raise SimkitError(f"the recorded path {path!r} leads out of the folder: the file was tampered with")
    place = folder.joinpath(*pure.parts)
    within = os.path.relpath(os.path.realpath(place), os.path.realpath(folder))
    if any(part.startswith(".") for part in Path(within).parts):  # `..`, and `.git` with its hooks
        out = f"{shown_path(place)} leads out of {shown_path(folder)}, or into git's own, through a link"
        raise SimkitError(out)
    return place


def write_requirements(session: Mapping[str, Any], folder: Path) -> tuple[str, tuple[str, ...]]:
    """Pin the recorded versions; the file's name, and which packages no index has."""
    origins: Mapping[str, str] = session.get("origins", {})
    lines = [
        f"# as recorded by simkit {_version(session['simkit'])} under Python {_version(session['python'])}"
    ]
    by_hand = []
    packages: Mapping[str, str] = session["packages"]
    if "simkit" not in packages:
        by_hand.append(f"simkit {_version(session['simkit'])}")
    for name, version in sorted(packages.items(), key=lambda item: item[0].lower()):
        origin = origins.get(name, "")
        if not _is_package(name) or _version(version) != version:
            continue  # not a line that pip should see
        if _ORIGIN.fullmatch(origin):
            lines.append(f"{name} @ {origin}")
        elif origin:
            by_hand.append(f"{name} {version}")
        else:
            lines.append(f"{name}=={version}")
    lines += [f"# not from an index, install by hand: {package}" for package in by_hand]
    is_there = os.path.lexists(folder / REQUIREMENTS)  # the project's own, or a link of the recorded changes
    path = inside(folder, "requirements-recorded.txt" if is_there else REQUIREMENTS)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path.name, tuple(by_hand)


def _is_package(name: Any) -> bool:
    """Whether this can be the name of a package."""
    try:
        return isinstance(name, str) and bool(canonicalize_name(name, validate=True))
    except InvalidName:
        return False


def _version(version: Any) -> str:
    """A version as it was recorded, or ``?`` where it is none."""
    try:
        return (
            version
            if isinstance(version, str)
            and Version(version)
            and version.isascii()
            and (version == version.strip())
            else "?"
        )
    except InvalidVersion:
        return "?"


def checkout(
    session: Mapping[str, Any], diff: bytes, origin: str, folder: Path
) -> tuple[str, tuple[str, ...]]:
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
    tuple of str
        The links and submodules among the recorded changes: these were not made.

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
        folder.mkdir(parents=True, exist_ok=True)
        with told_as_problems(folder):
            left = _fetch(origin, commit, b"" if is_whole else diff, folder)
    except GitProblem as problem:
        there = f"\n    it was recorded with the remote {told['remote']}" if told.get("remote") else ""
        msg = f"--git: {commit[:7]} could not be checked out from {origin}: {problem}{there}"
        raise SimkitError(
            f"{msg}\n    name another repository with --git=REPOSITORY, or leave out --git"
        ) from None
    if is_whole:
        return f"the snapshot {commit[:7]}", left
    return f"commit {commit[:7]}" + (" and what differed from it" if diff else ""), left


def project_folder(session: Mapping[str, Any], folder: Path) -> Path:
    """Where the project is within a checkout."""
    within = session["git"].get("folder", ".")
    return folder if within == "." else inside(folder, within)


def found_repository(folder: Path, file: Path) -> str:
    """The repository that a folder is in; the one that a file is in may have come with it from a stranger.

    Raises
    ------
    SimkitError
        When the folder is in none.
    """
    try:
        with repository(folder) as repo:
            return str(root(repo))
    except GitProblem as problem:
        cure = f"name the project's with --git=REPOSITORY (--git={shown_path(file.parent)}, if that one is yours)"
        raise SimkitError(f"--git: {problem}; {cure}") from None


def _fetch(origin: str, commit: str, diff: bytes, folder: Path) -> tuple[str, ...]:
    """A new repository with this commit checked out and the changes made; the paths that were left out."""
    # A repository that lacks an object is not to get it, by whatever program its settings name for that.
    repo = Repository(str(folder), environment={"GIT_NO_LAZY_FETCH": "1", "GIT_LITERAL_PATHSPECS": "1"})
    # A snapshot, or a commit that a rebase left behind, is on no branch: it is asked for by its name.
    serve = "git -c uploadpack.allowAnySHA1InWant=true upload-pack"
    local = ["--upload-pack", serve] if Path(origin).exists() else []
    repo.told("init", "-q", "--template=")  # hooks of a template would be started by the checkout
    repo.told("fetch", "-q", "--no-tags", *local, "--", origin, commit)
    repo.told("checkout", "-q", "--detach", commit)
    return _make_changes(repo, diff) if diff else ()


def _make_changes(repo: Repository, diff: bytes) -> tuple[str, ...]:
    """Make the recorded changes, links and submodules aside: whoever made the file chose where these lead."""
    with _nothing_started(repo), tempfile.TemporaryDirectory(prefix="simkit-") as aside:
        patch = Path(aside) / "diff"
        patch.write_bytes(diff)
        own_index = {**repo.environment, "GIT_INDEX_FILE": str(Path(aside) / "index")}
        index = attrs.evolve(repo, environment=own_index)
        index.told("read-tree", "HEAD")
        index.told("apply", "--cached", "--whitespace=nowarn", str(patch))
        entries = index.told("diff", "--cached", "--raw", "-z", "--no-renames", "HEAD").split("\0")
        modes = zip(entries[1::2], (entry.split(" ")[1] for entry in entries[:-1:2]), strict=True)
        left = tuple(path for path, mode in modes if mode in _NO_FILES)
        if left:
            index.told("reset", "-q", "--", *left)
        repo.told("read-tree", "-m", "-u", "HEAD", index.told("write-tree").strip())
        repo.told("reset", "-q")
    return left


@contextmanager
def _nothing_started(repo: Repository) -> Iterator[None]:
    """Git starts no program for this while.

    A filter of the user's may fetch what the changes name, and hooks may be looked for in the working tree.
    """
    attributes = Path(repo.folder) / ".git/info/attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text("* -filter\n", encoding="utf-8")
    settings = {"core.hooksPath": os.devnull, "core.fsmonitor": "false"}
    for key, value in settings.items():
        repo.told("config", key, value)
    yield
    for key in settings:
        repo.told("config", "--unset", key)
    attributes.unlink()
