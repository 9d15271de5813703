"""Where does a run work: in which folder, with which parameters, and where do large files wait?"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import string
import tempfile
import weakref
from collections.abc import Mapping
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, Protocol

import attrs
import numpy as np

from simkit.declare.forms import Array
from simkit.declare.snapshot import Other
from simkit.errors import SimkitError, did_you_mean, listed


class Workplace(Protocol):
    """What a run needs to know for its programs and files."""

    def folder(self) -> Path:
        """The run's folder, made when it is asked for first."""

    def home(self) -> Path:
        """The folder from which the project's own files are named: that of the experiment."""

    def parameters(self) -> Mapping[str, Any]:
        """The run's parameters, by their full names."""

    def aside(self) -> str:
        """The name of a new file, for a copy of a large one that is attached."""

    def began(self, group: int) -> None:
        """A program was started, in a process group of its own; 0: it has ended."""

    def reads(self, path: Path) -> None:
        """The run reads a file of the project."""


class OwnWorkplace:
    """The workplace of a run that only collects.

    Parameters
    ----------
    workdir
        Its folder; by default a temporary one that is removed with it.
    parameters
        Values for `Run.template`.
    """

    def __init__(
        self, workdir: str | os.PathLike[str] | None = None, parameters: Mapping[str, Any] | None = None
    ) -> None:
        self._folder = None if workdir is None else Path(os.path.abspath(workdir))
        self._parameters = dict(parameters or {})
        self._aside: Path | None = None
        self._numbers = itertools.count()

    def _temporary(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="simkit-run-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder

    def folder(self) -> Path:
        """The run's folder."""
        if self._folder is None:
            self._folder = self._temporary()
        return self._folder

    def home(self) -> Path:
        """The working directory."""
        return Path.cwd()

    def parameters(self) -> Mapping[str, Any]:
        """What was given."""
        return self._parameters

    def aside(self) -> str:
        """A new file in a folder of its own."""
        if self._aside is None:
            self._aside = self._temporary()
        return str(self._aside / str(next(self._numbers)))

    def began(self, group: int) -> None:
        """Nobody needs to know."""

    def reads(self, path: Path) -> None:
        """Nobody needs to know."""


class _Template(string.Template):
    """Names of parameters may have dots where they stand in braces: ``${neuron.tau}``."""

    idpattern = r"[^\W\d]\w*"
    braceidpattern = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
    flags = re.VERBOSE


def rendered(text: str, values: Mapping[str, Any], file: str) -> str:
    """A template with its names replaced by values.

    Parameters
    ----------
    file
        Where it stands, for errors.

    Raises
    ------
    SimkitError
        For a name without a value, a dollar sign without a name, and a value without a certain text.
    """

    def value(match: re.Match[str]) -> str:
        where = f"{file}:{text.count(chr(10), 0, match.start()) + 1}"
        if match["escaped"] is not None:
            return "$"
        name = match["named"] or match["braced"]
        if name is None:
            raise SimkitError(f"{where}: a dollar sign without a name: write $$ for one that stays")
        if name not in values:
            cure = f"give it: run.template(…, {name if name.isidentifier() else 'name'}=…)"
            near = did_you_mean(name, values)
            raise SimkitError(
                f"{where}: no parameter {name!r}{near}\n    there are: {listed(name, list(values))}; or {cure}"
            )
        return _as_text(values[name], name, where)

    return _Template.pattern.sub(value, text)


def _as_text(value: Any, name: str, where: str) -> str:
    """A parameter's value as a file of parameters says it: numbers with all their digits."""
    if isinstance(value, Enum):
        return _as_text(value.value, name, where)
    if isinstance(value, np.ndarray) and value.ndim == 0 and type(value) is np.ndarray:
        value = value.item()
    if isinstance(value, (str, bool, int, float, complex, np.generic, PurePath)):
        return str(value)
    hint = "' '.join(map(str, w))" if isinstance(value, (list, tuple, np.ndarray)) else "w / ms"
    raise SimkitError(
        f"{where}: parameter {name!r} is a {type(value).__name__}, of which there are many ways to write it\n"
        f"    say how: run.template(…, {name.rpartition('.')[2]}={hint})"
    )


Saved = tuple[dict[str, Any], dict[str, Any], dict[str, list[Any]], dict[str, Array]]


class CheckpointStore(Protocol):
    """Where checkpoints are kept."""

    def save(self, run: int, state: dict[str, Any], rows: Mapping[str, list[Any]], *, first: bool) -> None:
        """Commit a checkpoint: the state, and the new rows of each series."""

    def find(self, run: int) -> Saved | None:
        """The state, the added results, the series, and what the run had said of itself, of the last checkpoint."""

    def report(self, run: int, step: int, value: float, place: int) -> None:
        """Tell how the run gets on; it had said ``place`` things before."""

    def should_stop(self, run: int, step: int, place: int) -> bool:
        """Whether a run that reported this step last shall stop."""


class Memory:
    """Keeps nothing beyond this process: for runs that only collect."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] | None = None
        self.rows: dict[str, list[Any]] = {}

    def save(self, run: int, state: dict[str, Any], rows: Mapping[str, list[Any]], *, first: bool) -> None:
        """Keep the state, and further rows."""
        self.kept = {name: dict(state.get(name, {})) for name in ("state", "added", "said")}
        for name, new in rows.items():
            self.rows.setdefault(name, []).extend(new)

    def find(self, run: int) -> Saved | None:
        """What was kept."""
        kept = self.kept
        return None if kept is None else (kept["state"], kept["added"], self.rows, kept["said"])

    def report(self, run: int, step: int, value: float, place: int) -> None:
        """Nobody hears it."""

    def should_stop(self, run: int, step: int, place: int) -> bool:
        """Nobody decides that."""
        return False


@attrs.frozen(eq=False)
class Keepers:
    """Where runs come from: what keeps their checkpoints, takes their values apart, and gives them folders."""

    store: CheckpointStore | None
    other: Other
    place: Workplace
