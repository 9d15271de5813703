"""What changed in code, packages and platform between two sessions, or since one?"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs

from simkit._version import __version__
from simkit.collect.syntax import normal_form
from simkit.record.readings import differences, in_words
from simkit.record.recorded import Recorded

Facts = Mapping[str, Any]


@attrs.frozen
class Change:
    """One thing that differs.

    Attributes
    ----------
    topic
        ``code``, ``sources``, ``inputs``, ``packages``, ``python``, ``platform`` or ``simkit``.
    name
        The piece of code as ``file::name``, the file, or the package; otherwise empty.
    before, after
        Source texts, digests or versions; empty where there is none.
    """

    topic: str
    name: str
    before: str
    after: str

    @property
    def words(self) -> str:
        """What changed, in words."""
        if self.topic == "inputs":
            return in_words(self.name, self.before, self.after)
        if self.topic == "sources":
            return f"{self.name} {'changed' if self.after else 'is gone'}, in what no run is known to reach"
        if self.topic != "code":
            return f"{self.name} {self.before}, now {self.after}".strip()
        return f"{self.name} {'changed' if self.before and self.after else 'is gone' if self.before else 'is new'}"


def changed(before: Facts, now: Facts) -> list[Change]:
    """What differs between two sessions; what either knows nothing of is left out."""
    found = _code(_mapping(before, "code"), _mapping(now, "code"))
    found += _packages(_mapping(before, "packages"), _mapping(now, "packages"))
    for topic in ("python", "platform", "simkit"):
        old, new = str(before.get(topic) or ""), str(now.get(topic) or "")
        if old and new and old != new:
            found.append(Change(topic, "", old, new))
    return found


def _mapping(facts: Facts, name: str) -> Mapping[str, str]:
    value = facts.get(name)
    return value if isinstance(value, Mapping) else {}


def _code(before: Mapping[str, str], now: Mapping[str, str]) -> list[Change]:
    """Pieces of code whose syntax differs; none where one side recorded no code, as an interpreter's prompt."""
    if not before or not now:
        return []
    pairs = [(name, before.get(name, ""), now.get(name, "")) for name in sorted({*before, *now})]
    return [
        Change("code", name, old, new)
        for name, old, new in pairs
        if old != new and (not old or not new or normal_form(old) != normal_form(new))
    ]


def _packages(before: Mapping[str, str], now: Mapping[str, str]) -> list[Change]:
    """Versions that differ; a package that only one side recorded says nothing about versions."""
    both = sorted(name for name in before if name in now and before[name] != now[name])
    return [Change("packages", name, str(before[name]), str(now[name])) for name in both]


def here(code: Mapping[str, str], packages: Sequence[str]) -> Facts:
    """The facts of this process that can be compared with those of a session."""
    return {
        "code": code,
        "packages": {name: _version(name) for name in packages},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "simkit": __version__,
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # imported from a folder, or gone
        return str(getattr(sys.modules.get(name), "__version__", "not installed"))


def since(
    recorded: Recorded,
    runs: Sequence[int],
    code: Mapping[str, str],
    sources: Mapping[str, bytes],
    rootdir: Path,
) -> list[Change]:
    """What changed since the sessions that executed these runs.

    Parameters
    ----------
    code, sources
        The pieces of code that the runs reach now, and the project's files that they need.
    """
    sessions = recorded.sessions
    numbers = recorded.run_column("session")
    made = {len(sessions)} if numbers is None else {int(numbers[run]) for run in runs}
    found: dict[Change, None] = {}
    for session in (sessions[number - 1] for number in sorted(made) if 0 < number <= len(sessions)):
        now = here(code, list(_mapping(session, "packages")))
        found.update(dict.fromkeys(changed(session, now)))
        told = {change.name.partition("::")[0] for change in found if change.topic == "code"}
        found.update(dict.fromkeys(_unseen(recorded, _mapping(session, "sources"), sources, told)))
    inputs = [Change("inputs", *each) for each in differences(recorded.inputs, rootdir)]
    return [*found, *inputs]


def _unseen(
    recorded: Recorded, before: Mapping[str, str], now: Mapping[str, bytes], told: set[str]
) -> Iterator[Change]:
    """Files of code that differ beyond comments, of which no piece that the runs are known to reach does."""
    for path, digest in before.items() if now else ():
        after = hashlib.sha256(now[path]).hexdigest() if path in now else ""
        if after == digest or path in told or not path.endswith(".py"):
            continue
        old, new = recorded.source_bytes(digest), now.get(path, b"")
        if not after or _normal_form_of(old) != _normal_form_of(new):
            yield Change("sources", path, digest, after)


def _normal_form_of(data: bytes) -> str:
    """What counts of a whole file."""
    return normal_form(data.decode("utf-8", "replace"))


def between(a: Recorded, b: Recorded) -> list[Change]:
    """What differs between the last sessions of two trajectories, the files that their runs read included."""
    sessions = [side.sessions[-1] if side.sessions else {} for side in (a, b)]
    mine, theirs = a.inputs, b.inputs
    both = [path for path in mine if path in theirs and mine[path].digest != theirs[path].digest]
    return [
        *changed(*sessions),
        *(Change("inputs", path, mine[path].digest, theirs[path].digest) for path in both),
    ]
