"""Where the project begins, and what its ``[tool.simkit]`` says."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any, Literal

import attrs

from simkit.collect.targets import Shard, Target
from simkit.declare.space import Space
from simkit.errors import SimkitError, did_you_mean, listed, shown_path

CONFIG = "pyproject.toml"
SIMCONF = "simconf.py"
BOOKS = ("git", "sumatra")
WARNINGS = (
    *("unseeded_random", "mutated_parameter", "large_return", "shared_files", "changed_global"),
    *("left_behind", "unequal_modules", "unseen_processes", "dependent_runs", "single_calls"),
    *BOOKS,
)


KindOf = Callable[[str], Any]
Reshape = Callable[[Space, KindOf], Space]


@attrs.frozen
class Outside:
    """A value that does not come from the code, and where it comes from."""

    value: Any
    source: str


@attrs.frozen(eq=False)
class Settings:
    """What one command, or one call of `simkit.run`, shall do: first what ``[tool.simkit]`` may say.

    Attributes
    ----------
    rootdir
        The folder that node ids are relative to.
    files
        Patterns of the files that hold experiments.
    pythonpath
        Folders below the rootdir that experiments import modules from, too.
    workers
        Supervised processes; 0 executes in the owner.
    durable
        Whether each commit waits for the disk, so that a power loss costs nothing committed.
    on_change
        What happens when code or constants differ from those recorded: ``next`` trajectory, ``into`` the
        same, or ``stop``; None is the next one, but stop before throwing away more than a minute of runs.
    engine
        Where the runs are executed: its name, or an executor.
    engines
        What the engines' tables say, by their names.
    silence
        The warnings of the first run that are not wanted.
    compress
        Whether arrays are compressed where the experiment does not say.
    git
        ``record`` the commit and what differs from it; ``require-clean``: refuse to start with changes;
        ``commit`` changed tracked files; ``snapshot`` the working tree under ``refs/simkit``; ``off``.
    sumatra
        Whether Sumatra's lab notebook gets a record.
    user
        Whether the user's name is recorded.
    gpus
        The devices of which worker i sees one: their numbers or names, or ``auto`` for all that there are.
    memory_on_retry
        How many times as much memory a run gets that is tried again because it had too little.
    outside
        Values laid on top of the code's, by (dotted) name; the last source wins.
    targets, keyword, where
        Which experiments, as paths, node ids and ``-k``, and which of their points.
    reshape
        What ``--product``, ``--explore``, ``--sample`` and ``--repeat`` make of a declared space, given the type
        that each name expects.
    timeout
        Seconds that a run may take, whatever its experiment says.
    output
        One file for the trajectories, instead of numbered ones in `results`.
    seed
        The root seed that the trajectory must have.
    root
        The root seed of a new trajectory, where none was asked for.
    fresh
        Begin the next trajectory in any case.
    into
        Continue this file although code or constants differ.
    only_failed
        Run again what failed in the newest trajectory, whatever changed since.
    shard
        A part of the points, in a file of its own.
    method
        How worker processes are started.
    transport
        What carries tasks to an engine's workers; None for processes of this machine.
    most_failures
        Stop after that many; 0 means never.
    show_output
        Leave on the terminal what runs print, instead of recording it.
    on_error
        Called with each exception, in this process: a debugger.
    replay
        Execute the selected runs without recording, done ones too.
    argv
        The command, for the record.
    shaping
        Those of its words that give values and points.
    reason
        Why this is run.
    allow_incomplete
        Whether to go over another experiment's runs although some of them are not done.
    every_package
        Record all installed packages, not only those that the experiment imports.
    """

    rootdir: Path
    files: tuple[str, ...] = ("sim_*.py",)
    pythonpath: tuple[str, ...] = ()
    workers: int = 1
    durable: bool = False
    on_change: str | None = None
    engine: Any = "local"
    engines: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    silence: tuple[str, ...] = ()
    compress: bool = False
    git: str = "record"
    sumatra: bool = False
    user: bool = True
    gpus: tuple[int | str, ...] | Literal["auto"] = ()
    memory_on_retry: float = 1.0
    outside: Mapping[str, Outside] = attrs.field(factory=dict)

    targets: Sequence[Target] = ()
    keyword: str = ""
    where: str = ""
    reshape: Reshape = lambda space, kind_of: space
    timeout: float | None = None

    output: Path | None = None
    seed: int | None = None
    root: int | None = None
    fresh: bool = False
    into: Path | None = None
    only_failed: bool = False
    shard: Shard | None = None

    method: Literal["fork", "spawn", "forkserver"] | None = None
    transport: Any = None  # a `Transport` of a later room
    most_failures: int = 0
    show_output: bool = False
    on_error: Callable[[BaseException], None] | None = None
    replay: bool = False
    allow_incomplete: bool = False

    argv: tuple[str, ...] = ()
    shaping: tuple[str, ...] = ()
    reason: str = ""
    every_package: bool = False

    @property
    def is_typed(self) -> bool:
        """Whether a command was typed, rather than a script asked for the study."""
        return not self.argv or self.argv[0] == "simkit"

    @property
    def width(self) -> int:
        """How many runs are executed at once, as far as is known; 0 in the owner."""
        if self.transport is None or not self.workers:
            return self.workers
        return int(self.transport.width() * self.transport.share)

    @property
    def results(self) -> Path:
        """The folder of the trajectories."""
        return self.rootdir / "results"


def is_below(file: str) -> bool:
    """Whether a recorded path stays below the folder that it is relative to."""
    parts = file.replace("\\", "/").split("/")
    return bool(file) and not {"", ".."} & {*parts} and ":" not in parts[0] and file.isprintable()


def find_rootdir(paths: Sequence[Path]) -> Path:
    """Where the project of these files and folders begins, the same from wherever one stands.

    The nearest ancestor with ``[tool.simkit]``, else with a pyproject.toml or ``.git``, else the top of the unbroken
    chain of folders with a simconf.py, else their own folder; without any, the current folder's.
    """
    start = _common_folder(paths or [Path.cwd()])
    ancestors = [start, *start.parents]
    for folder in ancestors:
        if _table(folder) is not None:
            return folder
    for folder in ancestors:
        if any(os.path.exists(folder / name) for name in (CONFIG, ".git")):
            return folder
    shared = dropwhile(lambda folder: not os.path.isfile(folder / SIMCONF), ancestors)
    return [start, *takewhile(lambda folder: os.path.isfile(folder / SIMCONF), shared)][-1]


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


_Rule = tuple[Callable[[Any], bool], str]


def _choice(*values: str | None) -> _Rule:
    words = ", ".join(repr(value) for value in values if value is not None)
    return (lambda value: value in values), f"must be one of {words}"


_BOOLEAN: _Rule = (lambda value: isinstance(value, bool)), "must be true or false"
_KEYS: Mapping[str, _Rule] = {
    "files": (
        lambda value: isinstance(value, list) and all(isinstance(pattern, str) for pattern in value),
        'must be a list of patterns such as ["sim_*.py"]',
    ),
    "pythonpath": (
        lambda value: isinstance(value, list) and all(isinstance(folder, str) for folder in value),
        'must be a list of folders such as ["src"]',
    ),
    "parameters": (lambda value: isinstance(value, dict), "must be a table: [tool.simkit.parameters]"),
    "workers": (
        lambda value: value == "auto" or (type(value) is int and value >= 0),
        'must be a number of processes or "auto"',
    ),
    "durable": _BOOLEAN,
    "on_change": _choice("next", "into", "stop"),
    "engine": (
        lambda value: isinstance(value, str) and bool(value),
        'must be the name of an engine, as in "dask"',
    ),
    "engines": (
        lambda value: isinstance(value, dict) and all(isinstance(table, dict) for table in value.values()),
        "must hold a table for each engine: [tool.simkit.engines.slurm]",
    ),
    "silence": (lambda value: isinstance(value, list), "must be a list of warnings"),
    "compress": _BOOLEAN,
    "git": _choice("record", "require-clean", "commit", "snapshot", "off"),
    "sumatra": _BOOLEAN,
    "user": _BOOLEAN,
    "gpus": (
        lambda value: (
            value == "auto"
            or (
                isinstance(value, list)
                and all(type(one) in (int, str) and one not in (-1, "") for one in value)
            )
        ),
        'must be "auto" or a list of devices such as [0, 1]',
    ),
    "memory_on_retry": (
        lambda value: type(value) in (int, float) and 1 <= value < 1000,
        "must be a factor from 1 on such as 2.0",
    ),
}


def load_settings(rootdir: Path) -> Settings:
    """Read ``[tool.simkit]``.

    Raises
    ------
    SimkitError
        For an unknown key, with the known one that is meant, and for a value that it can't have.
    """
    table = dict(_table(rootdir) or {})
    where = f"{shown_path(rootdir / CONFIG)}: [tool.simkit]"
    for key in ("files", "pythonpath"):
        if isinstance(table.get(key), str):
            table[key] = [table[key]]
    for key, value in table.items():
        if key not in _KEYS:
            msg = f"{where} unknown key {key!r}{did_you_mean(key, _KEYS)}\n    known: {listed(key, _KEYS)}"
            raise SimkitError(msg)
        holds, problem = _KEYS[key]
        if not holds(value):
            msg = f"{where} {key} {problem}, not {value!r}"
            raise SimkitError(msg)
    unknown = next((name for name in table.get("silence", ()) if name not in WARNINGS), None)
    if unknown is not None:
        near = did_you_mean(str(unknown), WARNINGS)
        msg = f"{where} silence knows no warning {unknown!r}{near}\n    there are: {', '.join(WARNINGS)}"
        raise SimkitError(msg)
    if table.get("workers") == "auto":
        table["workers"] = cores()
    parameters = flattened(table.pop("parameters", {}), "[tool.simkit.parameters]")
    outside = {name: Outside(value, "[tool.simkit.parameters]") for name, value in parameters.items()}
    lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
    return Settings(rootdir, outside=outside, **{**table, **lists})


def import_folders(rootdir: Path) -> list[Path]:
    """The folders that ``[tool.simkit] pythonpath`` names."""
    folders = (_table(rootdir) or {}).get("pythonpath", [])
    return [rootdir / folder for folder in ([folders] if isinstance(folders, str) else folders)]


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def flattened(table: Mapping[str, Any], where: str, prefix: str = "") -> dict[str, Any]:
    """Nested TOML tables as dotted names: ``[parameters.neuron] tau = 1`` is ``neuron.tau``."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        name = prefix + key
        inner = flattened(value, where, name + ".") if isinstance(value, dict) else {name: value}
        for twice in flat.keys() & inner:
            msg = f"{where}: {twice} is given twice: once as a name with a dot, once in a table"
            raise SimkitError(msg)
        flat.update(inner)
    return flat
