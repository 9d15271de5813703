"""Under which circumstances were the runs made, and what changed from one session to the next?"""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from simkit.inform.progress import counted, duration, size
from simkit.provenance.changes import Change, changed
from simkit.serve.reading import Reading

_MOST_LINES = 200  # of a difference


@attrs.frozen
class Difference:
    """What differs from the session before: in words, and line by line where it is code."""

    words: str
    lines: tuple[str, ...]


@attrs.frozen
class Session:
    """A session: facts as pairs of title and text, its sources as path and digest, what changed before it."""

    number: int
    times: str
    facts: tuple[tuple[str, str], ...]
    packages: tuple[tuple[str, str], ...]
    sources: tuple[tuple[str, str], ...]
    differences: tuple[Difference, ...]


def sessions(reading: Reading) -> tuple[Session, ...]:
    """All sessions, in order."""
    facts: Sequence[Mapping[str, Any]] = reading.kept("sessions", lambda: list(reading.recorded.sessions))
    before = [None, *facts[:-1]]
    return tuple(
        _session(number, now, () if last is None else tuple(map(difference, changed(last, now))))
        for number, (last, now) in enumerate(zip(before, facts, strict=True), 1)
    )


def difference(change: Change) -> Difference:
    """A change for people."""
    if change.topic != "code":
        return Difference(f"{change.topic}: {change.words}", ())
    lines = difflib.unified_diff(
        change.before.splitlines(), change.after.splitlines(), "before", "after", n=2, lineterm=""
    )
    return Difference(change.words, tuple(lines)[:_MOST_LINES])


def _session(number: int, facts: Mapping[str, Any], differences: tuple[Difference, ...]) -> Session:
    return Session(
        number,
        times(facts),
        tuple((title, text) for title, text in _facts(facts) if text),
        tuple(sorted(facts["packages"].items())),
        tuple(facts["sources"].items()),
        differences,
    )


def times(facts: Mapping[str, Any]) -> str:
    """When a session began, how long it took, how it ended."""
    began = moment(float(facts.get("started", 0.0)))
    if "ended" not in facts:
        return f"{began}, no end: it is running, or was killed"
    return f"{began}, {duration(facts['ended'] - facts['started'])}: {facts.get('outcome', '')}"


def moment(seconds: float) -> str:
    """A time in the zone of this machine."""
    return f"{datetime.datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _facts(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    git = facts.get("git") or {}
    yield "command", str(facts.get("command", ""))
    yield "reason", str(facts.get("reason") or "")
    yield "changed", str(facts.get("changed") or "")
    yield "root seed", str(facts.get("root_seed", ""))
    yield "workers", f"{facts.get('workers', '')} ({facts.get('engine', '')})"
    yield "git", _commit(git)
    yield "git remote", str(git.get("remote") or "")
    yield "machine", _machine(facts)
    yield "platform", str(facts.get("platform", ""))
    yield "simkit", f"{facts.get('simkit', '')}, Python {facts.get('python', '')}"
    yield "environment", ", ".join(f"{name}={value}" for name, value in facts.get("environment", {}).items())
    yield "Sumatra", str(facts.get("sumatra") or "")
    yield "missing", str(facts.get("problems") or "")


def _commit(git: Mapping[str, Any]) -> str:
    if not git.get("commit"):
        return ""
    branch = f" on {git['branch']}" if git.get("branch") else ""
    return f"{git['commit'][:12]}{branch}, {'with changes' if git.get('dirty') else 'clean'}"


def _machine(facts: Mapping[str, Any]) -> str:
    who = f"{facts['user']}@{facts['host']}" if "user" in facts else str(facts.get("host", ""))
    parts = [who, str(facts.get("cpu", "")), counted(facts["cores"], "core") if "cores" in facts else ""]
    return ", ".join(filter(None, [*parts, size(facts["memory"]) if "memory" in facts else ""]))
