"""Which version of which package does an experiment use?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib import metadata

import attrs

from simkit.provenance.secrets import without_credentials

# What simkit itself computes and stores with, where it is not installed but on the path.
_OURS = ("numpy", "h5py", "scipy", "pandas", "attrs", "multiprocess", "threadpoolctl")
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@attrs.frozen
class Packages:
    """Installed packages.

    Attributes
    ----------
    versions
        By the name to install them under.
    origins
        Where those come from that no index has: an address with its commit, or ``folder``.
    """

    versions: dict[str, str]
    origins: dict[str, str]


def packages(imports: Iterable[str], *, every: bool = False) -> Packages:
    """The packages that are imported under these names, all that those require, and simkit's own.

    Parameters
    ----------
    every
        All installed ones instead.
    """
    found = {_key(thing.name): thing for thing in metadata.distributions()} if every else _needed(imports)
    chosen = sorted(found.values(), key=lambda thing: _key(thing.name))
    origins = {thing.name: origin for thing in chosen if (origin := _origin(thing))}
    return Packages({thing.name: thing.version for thing in chosen}, origins)


def _needed(imports: Iterable[str]) -> dict[str, metadata.Distribution]:
    waiting = [thing for name in imports if (thing := _providing(name)) is not None]
    waiting += [thing for name in ("simkit", *_OURS) if (thing := _installed(name)) is not None]
    found: dict[str, metadata.Distribution] = {}
    while waiting:
        thing = waiting.pop()
        if _key(thing.name) in found:
            continue
        found[_key(thing.name)] = thing
        waiting += [need for name in _requirements(thing) if (need := _installed(name)) is not None]
    return found


def _requirements(thing: metadata.Distribution) -> list[str]:
    """The names a package requires, those of its extras aside; what a marker excludes is not installed."""
    lines = [line for line in thing.requires or [] if "extra ==" not in line]
    return [match[0] for line in lines if (match := _REQUIREMENT.match(line))]


def _installed(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _providing(name: str) -> metadata.Distribution | None:
    """The package that an import comes from: mostly it has that name, else it lists the module's file."""
    direct = _installed(name)
    if direct is not None:
        return direct
    own = re.compile(rf"^{re.escape(name)}(/|\.py,|\.[^/]*\.so,|\.pyd,)", re.MULTILINE)
    return next(
        (thing for thing in metadata.distributions() if own.search(thing.read_text("RECORD") or "")), None
    )


def _origin(thing: metadata.Distribution) -> str:
    """Where a package was installed from, if not from an index (PEP 610)."""
    try:
        told = json.loads(thing.read_text("direct_url.json") or "{}")
    except ValueError:
        return ""
    url = without_credentials(str(told.get("url", "")))
    if "vcs_info" in told:
        return f"{told['vcs_info'].get('vcs', 'git')}+{url}@{told['vcs_info'].get('commit_id', '')}"
    return "folder" if "dir_info" in told else url


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
