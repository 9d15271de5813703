"""What changed in code, packages and platform between two sessions, or since one?"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import simkit
from simkit.collect.code import changes
from simkit.record.recorded import Recorded

Facts = Mapping[str, Any]
Changes = dict[str, list[str]]


def changed(before: Facts, now: Facts) -> Changes:
    """What differs, in words by topic: ``code``, ``packages``, ``python``, ``platform``, ``simkit``.

    A topic that either side knows nothing of is left out.
    """
    found: Changes = {}
    code = _mapping(before, "code"), _mapping(now, "code")
    if code[0] and code[1]:
        found["code"] = changes(*code)
    found["packages"] = _packages(_mapping(before, "packages"), _mapping(now, "packages"))
    for topic in ("python", "platform", "simkit"):
        old, new = before.get(topic), now.get(topic)
        if old is not None and new is not None and old != new:
            found[topic] = [f"{old}, now {new}"]
    return {topic: words for topic, words in found.items() if words}


def _mapping(facts: Facts, name: str) -> Mapping[str, str]:
    value = facts.get(name)
    return value if isinstance(value, Mapping) else {}


def _packages(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Versions that differ; a package that only one side recorded says nothing about versions."""
    return [
        f"{name} {version}, now {now[name]}"
        for name, version in sorted(before.items())
        if name in now and now[name] != version
    ]


def here(code: Mapping[str, str], packages: Sequence[str]) -> Facts:
    """The facts of this process that can be compared with those of a session."""
    return {
        "code": code,
        "packages": {name: _version(name) for name in packages},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "simkit": simkit.__version__,
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # imported from a folder, or gone
        return str(getattr(sys.modules.get(name), "__version__", "not installed"))


def since(recorded: Recorded, runs: Sequence[int], code: Mapping[str, str]) -> Changes:
    """What changed since the sessions that executed these runs."""
    sessions = recorded.sessions
    numbers = recorded.run_column("session")
    made = {len(sessions)} if numbers is None else {int(numbers[run]) for run in runs}
    found: Changes = {}
    for number in sorted(made):
        if not 0 < number <= len(sessions):
            continue
        session = sessions[number - 1]
        for topic, words in changed(session, here(code, list(_mapping(session, "packages")))).items():
            known = found.setdefault(topic, [])
            known += [word for word in words if word not in known]
    return found
