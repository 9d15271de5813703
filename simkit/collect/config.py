"""Where the project begins, and what its ``[tool.simkit]`` says."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from simkit.errors import SimkitError, did_you_mean, listed, shown_path

CONFIG = "pyproject.toml"
SIMCONF = "simconf.py"
BOOKS = ("git", "sumatra")
WARNINGS = ("unseeded_random", "mutated_parameter", "large_return", *BOOKS)
GIT_MODES = ("record", "require-clean", "commit", "snapshot", "off")


@attrs.frozen
class Bookkeeping:
    """What a session's record says besides the runs, and where else it is entered.

    Attributes
    ----------
    git
        ``record`` the commit and what differs from it; ``require-clean``: refuse to start with changes;
        ``commit`` changed tracked files; ``snapshot`` the working tree under ``refs/simkit``; ``off``.
    sumatra
        Whether Sumatra's lab notebook gets a record.
    user
        Whether the user's name is recorded.
    reason
        Why this is run.
    every_package
        All installed packages, not only those that the experiment imports.
    """

    git: str = "record"
    sumatra: bool = False
    user: bool = True
    reason: str = ""
    every_package: bool = False


@attrs.frozen
class Config:
    """The project's settings.

    Attributes
    ----------
    rootdir
        The folder that node ids are relative to.
    files
        Patterns of the files that hold experiments.
    parameters
        Values by (dotted) name, laid on top of what the code says.
    workers
        As ``-n``.
    durable
        Whether each commit waits for the disk, so that a power loss costs nothing committed.
    on_change
        What happens when code or constants differ from those recorded: ``next`` trajectory, ``into`` the
        same, or ``stop``; None is the next one, but stop before throwing away more than a minute of runs.
    silence
        The warnings of the first run that are not wanted.
    compress
        Whether arrays are compressed where the experiment does not say.
    git, sumatra, user
        What is recorded of the circumstances: see `Bookkeeping`.
    """

    rootdir: Path
    files: tuple[str, ...] = ("sim_*.py",)
    parameters: Mapping[str, Any] = attrs.field(factory=dict)
    workers: int | str | None = None
    durable: bool = False
    on_change: str | None = None
    silence: tuple[str, ...] = ()
    compress: bool = False
    git: str = "record"
    sumatra: bool = False
    user: bool = True

    @property
    def bookkeeping(self) -> Bookkeeping:
        """What is recorded of the circumstances."""
        return Bookkeeping(self.git, self.sumatra, self.user)

    @property
    def results(self) -> Path:
        """The folder of the trajectories."""
        return self.rootdir / "results"


def find_rootdir(paths: Sequence[Path]) -> Path:
    """The nearest ancestor with ``[tool.simkit]``, else the outermost simconf.py, else .git, else here."""
    start = _common_folder(paths or [Path.cwd()])
    ancestors = [start, *start.parents]
    for folder in ancestors:
        if _table(folder) is not None:
            return folder
    shared = [folder for folder in ancestors if (folder / SIMCONF).is_file()]
    if shared:
        return shared[-1]
    versioned = next((folder for folder in ancestors if (folder / ".git").exists()), None)
    here = Path.cwd()
    return versioned or (here if start.is_relative_to(here) else start)


def _common_folder(paths: Sequence[Path]) -> Path:
    folders = [p if p.is_dir() else p.parent for p in (Path(os.path.abspath(p)) for p in paths)]
    return Path(os.path.commonpath(folders))


def _table(folder: Path) -> dict[str, Any] | None:
    path = folder / CONFIG
    if not path.is_file():
        return None
    try:
        tool = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{shown_path(path)}: not valid TOML: {error}"
        raise SimkitError(msg) from None
    table = tool.get("simkit")
    if table is not None and not isinstance(table, dict):
        msg = f"{shown_path(path)}: simkit must be a table: [tool.simkit]"
        raise SimkitError(msg)
    return table


def load_config(rootdir: Path) -> Config:
    """Read ``[tool.simkit]``; an unknown key is an error that suggests the known one."""
    table = _table(rootdir) or {}
    where = f"{shown_path(rootdir / CONFIG)}: [tool.simkit]"
    known = [field.name for field in attrs.fields(Config) if field.name != "rootdir"]
    for key in table:
        if key not in known:
            msg = f"{where} unknown key {key!r}{did_you_mean(key, known)}\n    known: {listed(key, known)}"
            raise SimkitError(msg)
    files = table.get("files", ["sim_*.py"])
    files = [files] if isinstance(files, str) else files
    strings = isinstance(files, list) and all(isinstance(pattern, str) for pattern in files)
    parameters, workers = table.get("parameters", {}), table.get("workers")
    silence = table.get("silence", [])
    durable, on_change = table.get("durable", False), table.get("on_change")
    compress = table.get("compress", False)
    is_count = workers in (None, "auto") or (type(workers) is int and workers >= 0)
    rules = [
        (strings, f'files must be a list of patterns such as ["sim_*.py"], not {files!r}'),
        (isinstance(parameters, dict), "parameters must be a table: [tool.simkit.parameters]"),
        (is_count, f'workers must be a number of processes or "auto", not {workers!r}'),
        (isinstance(durable, bool), f"durable must be true or false, not {durable!r}"),
        (isinstance(compress, bool), f"compress must be true or false, not {compress!r}"),
        (
            on_change in (None, "next", "into", "stop"),
            f'on_change must be "next", "into" or "stop", not {on_change!r}',
        ),
    ]
    git, sumatra, user = table.get("git", "record"), table.get("sumatra", False), table.get("user", True)
    rules += [
        (git in GIT_MODES, f"git must be one of {', '.join(map(repr, GIT_MODES))}, not {git!r}"),
        (isinstance(sumatra, bool), f"sumatra must be true or false, not {sumatra!r}"),
        (isinstance(user, bool), f"user must be true or false, not {user!r}"),
    ]
    rules += [
        (name in WARNINGS, f"silence knows no warning {name!r}; there are: {', '.join(WARNINGS)}")
        for name in silence
    ]
    for holds, problem in rules:
        if not holds:
            msg = f"{where} {problem}"
            raise SimkitError(msg)
    return Config(
        rootdir, tuple(files), flattened(parameters), workers, durable, on_change, tuple(silence),
        compress, git, sumatra, user,
    )  # fmt: skip


def flattened(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested TOML tables as dotted names: ``[parameters.neuron] tau = 1`` is ``neuron.tau``."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        name = prefix + key
        flat.update(flattened(value, name + ".") if isinstance(value, dict) else {name: value})
    return flat
