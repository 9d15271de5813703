"""Machine, user and packages, without credentials."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import attrs

from simkit.collect import installed

# The part of a URL that says who asks, as in https://user:token@host, and what follows a question mark.
_WHO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^\s/@'\"]*(?:@[^\s/@'\"]*)*@(?=[^\s/])")
_QUERY = re.compile(r"(?P<url>[A-Za-z][A-Za-z0-9+.-]*://[^\s?'\"]+)\?[^\s'\"]*")


def without_credentials(text: str) -> str:
    """A text whose URLs name no user, password, token or query."""
    return _QUERY.sub(r"\g<url>", _WHO.sub(r"\g<scheme>", text))


# Nothing else of the environment is recorded: it is where people keep their tokens.
_RECORDED = re.compile(
    r"(OMP|MKL|OPENBLAS|BLIS|GOTO|NUMEXPR|VECLIB|NUMBA)_(\w+_)?(NUM_THREADS|MAXIMUM_THREADS|PROC_BIND|PLACES|DYNAMIC)"
    r"|CUDA_VISIBLE_DEVICES|CUDA_DEVICE_ORDER|HIP_VISIBLE_DEVICES|ROCR_VISIBLE_DEVICES"
    r"|SLURM_(JOB_ID|JOBID|ARRAY_JOB_ID|ARRAY_TASK_ID|JOB_PARTITION|JOB_NODELIST|JOB_NUM_NODES|NTASKS|CPUS_PER_TASK|PROCID)"
    r"|PBS_(JOBID|ARRAYID|NODENUM)|JOB_ID|SGE_TASK_ID|LSB_JOBID|LSB_JOBINDEX|PYTHONHASHSEED|CONDA_DEFAULT_ENV"
)


def machine(*, user: bool) -> dict[str, str | int]:
    """Python, system, processor, memory in bytes, host, and whose session this is unless that is unwanted."""
    found: dict[str, str | int] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count() or 0,
        "memory": _memory(),
        "host": platform.node(),
    }
    if user:
        found["user"] = _user()
    return {name: fact for name, fact in found.items() if fact}


def environment() -> dict[str, str]:
    """The few variables that say how many threads, which graphics cards and which cluster job these are."""
    return {name: os.environ[name] for name in sorted(os.environ) if _RECORDED.fullmatch(name)}


def brian2() -> Mapping[str, str]:
    """Brian2's code generation, as far as it is set in this process; empty where it isn't used."""
    package = sys.modules.get("brian2")
    if package is None:
        return {}
    try:
        device = type(package.get_device()).__name__
        return {"brian2_codegen": str(package.prefs["codegen.target"]), "brian2_device": device}
    except Exception:  # noqa: BLE001 - half imported, or another version: not worth a run
        return {}


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return os.environ.get("PROCESSOR_IDENTIFIER") or platform.machine()
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return model[1].strip() if model else platform.machine()


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 0


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a number without a name, as in a container
        return str(os.getuid()) if hasattr(os, "getuid") else ""


# What simkit itself computes and stores with, where it is not installed but on the path.
_OURS = ("numpy", "h5py", "scipy", "pandas", "attrs", "multiprocess", "threadpoolctl")
_FIELD = re.compile(r"^(Name|Version|Requires-Dist): *(.*)$", re.MULTILINE)
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


@attrs.frozen
class _Package:
    """What its header says of a package."""

    name: str
    version: str
    requires: tuple[str, ...]
    files: installed.Package

    @classmethod
    def read(cls, files: installed.Package) -> _Package | None:
        """The package, unless its folder is the rest of one that was removed."""
        text = files.read_text("METADATA") or files.read_text("PKG-INFO") or ""
        fields = _FIELD.findall(text.partition("\n\n")[0])
        names, versions, lines = (
            [v for k, v in fields if k == key] for key in ("Name", "Version", "Requires-Dist")
        )
        if not (names and versions):
            return None
        # What an extra asks for is none of its requirements; what a marker excludes is not installed.
        needs = (_REQUIREMENT.match(line) for line in lines if "extra ==" not in line)
        return cls(names[0].strip(), versions[0].strip(), tuple(need[0] for need in needs if need), files)

    @property
    def key(self) -> str:
        """The name in the one spelling that all others mean."""
        return installed.spelled(self.name)

    @property
    def origin(self) -> str:
        """Where it was installed from, if not from an index (PEP 610)."""
        try:
            told = json.loads(self.files.read_text("direct_url.json") or "{}")
        except ValueError:
            return ""
        url = without_credentials(str(told.get("url", "")))
        if "vcs_info" in told:
            return f"{told['vcs_info'].get('vcs', 'git')}+{url}@{told['vcs_info'].get('commit_id', '')}"
        return "folder" if "dir_info" in told else url


def packages(imports: Iterable[str], *, every: bool = False) -> Packages:
    """The packages that are imported under these names, all that those require, and simkit's own.

    Parameters
    ----------
    every
        All installed ones instead.
    """
    return _packages(frozenset(imports), every, installed.place())


@lru_cache(maxsize=4)
def _packages(imports: frozenset[str], every: bool, folders: tuple[tuple[str, int], ...]) -> Packages:
    """A script that calls `simkit.run` again and again reads the installed packages once."""
    chosen = sorted(_all() if every else _needed(imports), key=lambda package: package.key)
    origins = {package.name: package.origin for package in chosen}
    return Packages(
        {package.name: package.version for package in chosen},
        {name: origin for name, origin in origins.items() if origin},
    )


def _all() -> list[_Package]:
    found: dict[str, _Package] = {}
    for files in installed.every_package():
        package = _Package.read(files)
        if package is not None:
            found.setdefault(package.key, package)  # the first on the path is the one that is imported
    return list(found.values())


def _needed(imports: Iterable[str]) -> list[_Package]:
    waiting = [_providing(name) for name in imports] + [_installed(name) for name in ("simkit", *_OURS)]
    found: dict[str, _Package] = {}
    tried: set[str] = set()
    while waiting:
        package = waiting.pop()
        if package is None or package.key in found:
            continue
        found[package.key] = package
        names = {installed.spelled(name) for name in package.requires} - found.keys() - tried
        tried |= names
        waiting += [_installed(name) for name in names]
    return list(found.values())


def _installed(name: str) -> _Package | None:
    files = installed.package(name)
    return None if files is None else _Package.read(files)


def _providing(name: str) -> _Package | None:
    """The package that an import comes from: mostly it has that name, else it lists the module's file."""
    direct = _installed(name)
    if direct is not None:
        return direct
    own = re.compile(rf"^{re.escape(name)}(/|\.py,|\.[^/]*\.so,|\.pyd,)", re.MULTILINE)
    owners = (files for files in installed.every_package() if own.search(files.read_text("RECORD") or ""))
    owner = next(owners, None)
    return None if owner is None else _Package.read(owner)
