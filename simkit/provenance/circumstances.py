"""Under which circumstances does a session begin?"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from simkit._version import __version__
from simkit.collect.config import Settings
from simkit.collect.plan import Plan
from simkit.declare.space import words
from simkit.errors import SimkitError
from simkit.provenance.environment import (
    Packages,
    brian2,
    environment,
    machine,
    packages,
    without_credentials,
)
from simkit.provenance.git import (
    GitProblem,
    Repository,
    RepositoryState,
    described,
    pathspec,
    repository,
    root,
    state,
)
from simkit.record.catalogue import Slot


def session_facts(plan: Plan, settings: Settings) -> dict[str, Any]:
    """The facts of one session: numbers, text, and mappings.

    ``sources`` are the project's files, ``code`` the source of every piece of them that the runs reach by
    ``file::name``.
    """
    found = _packages(plan, settings)
    optional = {
        "reason": without_credentials(settings.reason),
        "environment": environment(),
        "origins": found.origins,
        **brian2(),
    }
    return {
        "started": time.time(),
        "command": command_line(settings.argv, anonymous=not settings.user),
        "simkit": __version__,
        "space": f"adaptive({plan.strategy.plan.name})" if plan.strategy else _cut(words(plan.space.form)),
        **machine(user=settings.user),
        "packages": found.versions,
        "code": dict(plan.code),
        "sources": plan.sources.files,
        **{name: fact for name, fact in optional.items() if fact},
    }


_MOST_WORDS = 4000  # of a space that is a sum of very many


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_WORDS else text[:_MOST_WORDS] + "…"


def _packages(plan: Plan, settings: Settings) -> Packages:
    try:
        return packages(plan.sources.imports, every=settings.every_package)
    except Exception as error:  # noqa: BLE001 - half an installation may hold anything, and costs no run
        return Packages({}, {"": f"the installed packages can't be read: {error}"})


def command_line(argv: Sequence[str], *, anonymous: bool) -> str:
    """The command as it was typed, credentials aside; anonymous, the user's folder is ``~``."""
    text = without_credentials(argv[0] if len(argv) == 1 else shlex.join(argv))
    return text.replace(str(Path.home()), "~") if anonymous else text


@attrs.frozen(eq=False)
class Circumstances:
    """What is known before the first run.

    Attributes
    ----------
    facts
        For the session's record.
    remarks
        What git did, for people.
    problems
        What could not be done; no reason not to run.
    """

    facts: dict[str, Any]
    remarks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def circumstances(plan: Plan, slot: Slot, settings: Settings, facts: dict[str, Any]) -> Circumstances:
    """Gather what is recorded of a session, and let git keep the code if it shall.

    Parameters
    ----------
    facts
        What the session knows of itself: engine, workers, root seed.

    Raises
    ------
    SimkitError
        With ``git = "require-clean"``, when no commit holds the code.
    """
    told = {**session_facts(plan, settings), **facts}
    if settings.git == "off":
        return Circumstances(told)
    job = _Git(plan, slot, settings.git, str(told["command"]))
    found, problems = job.facts()
    if problems:
        told["problems"] = "\n".join(problems)
    return Circumstances({**told, **found}, tuple(job.remarks), () if job.is_expected else tuple(problems))


def trajectory_name(slot: Slot) -> str:
    """``multiply-001``, or ``study/multiply`` in a file of several experiments."""
    own = slot.path.stem.partition("-")[0] == slot.group or slot.path.stem.startswith(f"{slot.group}-")
    return slot.path.stem if own else f"{slot.path.stem}/{slot.group}"


@attrs.define(eq=False)
class _Git:
    """Git's part of one session's record."""

    plan: Plan
    slot: Slot
    mode: str
    command: str
    remarks: list[str] = attrs.field(factory=list)
    is_expected: bool = False

    def facts(self) -> tuple[dict[str, Any], list[str]]:
        """What is recorded, and what could not be done."""
        try:
            with repository(self.plan.rootdir) as repo:
                return self._inside(repo)
        except GitProblem as problem:
            if self.mode == "require-clean":
                msg = f'git = "require-clean": {problem}; nothing was run'
                raise SimkitError(msg) from None
            # Who asked for no more than a record need not be told each time that there is no repository.
            self.is_expected = problem.expected and self.mode == "record"
            return {}, [f"git: {problem}"]
        except SimkitError:
            raise
        except Exception as error:  # a git that speaks differently costs no run
            if self.mode == "require-clean":
                raise
            return {}, [f"git: it could not be understood: {type(error).__name__}: {error}"]

    def _inside(self, repo: Repository) -> tuple[dict[str, Any], list[str]]:
        written = [self.plan.rootdir / "results", self.slot.path, Path(f"{self.slot.path}.lock")]
        where = pathspec(repo, [*written, self.plan.rootdir / ".smt", root(repo) / ".smt"])
        now = state(repo, where)
        problems: list[str] = []
        kept: dict[str, str] = {}
        try:
            now, kept = self._keep(repo, now, where)
        except GitProblem as problem:
            problems.append(f"git: {problem}; what differs from the commit is recorded in the file")
        facts, diff, missing = described(repo, now, where, self.plan.rootdir)
        if missing:
            problems.append(f"git: {missing}")
            self.is_expected = not now.commit and self.mode == "record"
        found: dict[str, Any] = {"git": {**facts, **kept}}
        return ({**found, "diff": diff} if diff else found), problems

    def _keep(
        self, repo: Repository, now: RepositoryState, where: list[str]
    ) -> tuple[RepositoryState, dict[str, str]]:
        """Do what the mode says."""
        if self.mode == "record":
            return now, {}
        from simkit.provenance import git_keep

        name = trajectory_name(self.slot)
        message = f"simkit: {name}\n\n{self.plan.node_id}\n{self.command}"
        if self.mode == "require-clean":
            needed = [self.plan.rootdir / path for path in self.plan.sources.files]
            git_keep.check_clean(repo, now, [path for path in needed if path.is_file()])
        elif self.mode == "commit":
            count = len(now.committable)
            before, now = now.commit, git_keep.commit(repo, now, message, where)
            if now.commit != before:
                where_to = f"on {now.branch}" if now.branch else "on no branch: HEAD is detached"
                files = "file" if count == 1 else "files"
                self.remarks.append(f"git: committed {count} changed {files} as {now.short} {where_to}")
        elif self.mode == "snapshot":
            commit, ref, data = self._snapshot(repo, now, name, message)
            left = f", without {len(data)} untracked data files" if data else ""
            self.remarks.append(f"git: the working tree is kept as {commit[:7]} in {ref}{left}")
            return now, {"snapshot": commit, "snapshot_ref": ref}
        return now, {}

    def _snapshot(
        self, repo: Repository, now: RepositoryState, name: str, message: str
    ) -> tuple[str, str, list[str]]:
        from git.exc import GitError

        from simkit.provenance import git_keep
        from simkit.provenance.git import reason

        try:
            return git_keep.snapshot(repo, now, name, message)
        except (GitError, OSError) as error:
            raise GitProblem(f"no snapshot could be made: {reason(error, root(repo))}") from None
