"""Which files does the project's code open: while it is imported, in a provider, in a run?

Python tells an audit hook of each file before it is opened, of each library that is loaded, each program that is
started and each folder that is listed. What C libraries open by themselves (HDF5, SQLite, Arrow) it does not tell:
there the code that the runs reach names the file, or a parameter of type `Path` does.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path, PurePath
from types import FrameType, FunctionType
from typing import Any

import attrs

from simkit.collect.graph import Graph, is_project_file
from simkit.collect.syntax import CodeUnit
from simkit.declare.reflection import is_a
from simkit.errors import is_ours

FileState = tuple[int, int, int, int]  # size, when its content and when anything changed, its number
NO_FILE: FileState = (-1, 0, 0, 0)
LISTED = os.sep + "*"  # behind a folder, of which the names count

_EVENTS = frozenset(
    ("open", "import", "os.listdir", "os.scandir", "subprocess.Popen", "os.posix_spawn", "ctypes.dlopen")
)
_NOTICING = os.path.join(os.path.dirname(__file__), "effects.py")  # it executes modules for Python's importer
_STARTS = ("subprocess.Popen", "os.posix_spawn")
_WRITING = os.O_WRONLY | os.O_RDWR
_SCRIPTS = (".py", ".sh", ".r", ".R", ".jl", ".m", ".pl", ".lua", ".js", ".hoc")
_LONGEST = 250  # of a file's name
_NO_DATA = (".pyc", ".lock", ".wal", ".new")
_NO_FOLDERS = ("site-packages", "__pycache__", ".git", ".smt")
_FOR_ITSELF = (
    *("linecache.py", "tokenize.py", "inspect.py"),  # for a traceback, or a compiler
    *(
        os.path.join(name, "__init__.py")
        for name in (os.path.join("importlib", "metadata"), "importlib_metadata")
    ),
)


@attrs.frozen
class OpenedFile:
    """A file that was read, as it was at that moment.

    Attributes
    ----------
    path
        Absolute; a folder of which the names were asked for ends with ``/*``.
    is_written
        The project's code wrote it, too: then it is no input.
    is_module
        Python imported it: then it is an input only where the code does not tell that it is needed.
    is_named
        The code names it, and nobody saw who opened it: where it changes meanwhile it was written.
    """

    path: str
    state: FileState
    is_written: bool = False
    is_module: bool = False
    is_named: bool = False


def state_of(path: str) -> FileState:
    """What tells without reading a file whether it is still the same one; `NO_FILE` where there is none.

    A trajectory's log counts with it, and the files of its shards.
    """
    if is_pattern(path):
        return _names_of(path)
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return NO_FILE
    state = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    if path.endswith(".h5"):
        try:
            log = os.stat(path + ".wal")
        except OSError:
            return _with_shards(path, state)
        return (state[0] + log.st_size, max(state[1], log.st_mtime_ns), state[2], state[3])
    return state


def _with_shards(path: str, state: FileState) -> FileState:
    """The state of a trajectory, the files of a set of shards counted with their master."""
    try:
        shards = [
            entry.stat()
            for entry in os.scandir(f"{path[:-3]}.shards")
            if entry.name.endswith((".h5", ".wal"))
        ]
    except OSError:
        return state
    newest = max([state[1], *(shard.st_mtime_ns for shard in shards)])
    return (state[0] + sum(shard.st_size for shard in shards), newest, state[2], state[3])


def is_pattern(path: str) -> bool:
    """Whether a path stands for the names in a folder."""
    return "*" in os.path.basename(path)


def _names_of(path: str) -> FileState:
    """How many names a pattern matches, and the names as a number; of trajectories, which was written last."""
    folder, pattern = os.path.split(path)
    try:
        names = sorted(n for n in os.listdir(folder) if _is_data(n) and fnmatch(n, pattern))
        if path.endswith(".h5"):
            names = sorted(names, key=lambda name: os.stat(os.path.join(folder, name)).st_mtime_ns)[-1:]
    except OSError:
        return NO_FILE
    digest = hashlib.blake2b("\0".join(names).encode(errors="surrogateescape"), digest_size=8).digest()
    return (len(names), int.from_bytes(digest, "little", signed=True), 0, 0)


def _is_data(name: str) -> bool:
    return not name.startswith(".") and name != "results" and not name.endswith(_NO_DATA)


class OpenedFiles:
    """The files below a folder that were read or written while somebody listened.

    Parameters
    ----------
    rootdir
        The folder.
    """

    def __init__(self, rootdir: Path) -> None:
        self.below = os.path.join(os.path.abspath(rootdir), "")
        self.known: dict[str, OpenedFile] = {}
        self.new: dict[str, OpenedFile] = {}

    def add(self, path: str, *, is_written: bool = False, is_module: bool = False) -> None:
        """Note a file as it is at this moment; the first time counts."""
        before = self.known.get(path)
        if before is None or (is_written and not before.is_written):
            state = state_of(path)
            if state != NO_FILE and not is_pattern(path) and not os.path.isfile(path):
                return
            self.known[path] = self.new[path] = OpenedFile(path, state, is_written, is_module)

    def name(self, value: Any) -> None:
        """Note the files that a parameter's value names."""
        for path in named_files(value):
            self.add(path)

    def taken(self) -> tuple[OpenedFile, ...]:
        """Those that are new since the last time."""
        if not self.new:
            return ()
        new, self.new = tuple(self.new.values()), {}
        return new


def named_files(value: Any) -> Iterator[str]:
    """The files that exist and are named by a `Path`, or by those in a list, tuple or dictionary."""
    if is_a(value, PurePath):
        path = os.path.abspath(value)
        if os.path.isfile(path):
            yield path
    elif is_a(value, list, tuple):
        items = (
            list.__iter__(value) if is_a(value, list) else tuple.__iter__(value)
        )  # not by methods of its class
        for item in [item for item in items if is_a(item, PurePath, list, tuple, dict)]:
            yield from named_files(item)
    elif is_a(value, dict):
        yield from named_files(list(dict.values(value)))


class Listener:
    """Hears what this process opens.

    Attributes
    ----------
    hearing
        Who listens at present, the innermost last; None listens to what imports open.
    on_import
        What a module's statements opened: by the module's file, the paths with the lines.
    by_name
        The project's modules that ``import_module`` loaded, by path: Python loads each once.
    """

    def __init__(self) -> None:
        self.hearing: list[OpenedFiles] = []
        self.on_import: dict[str, dict[str, tuple[OpenedFile, int]]] = {}
        self.by_name: dict[str, OpenedFile] = {}
        self.is_busy = False

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook: it may neither raise nor take time."""
        if not self.hearing or event not in _EVENTS or self.is_busy:
            return
        self.is_busy = True
        try:
            self._hear(event, arguments)
        except Exception:  # noqa: BLE001 - what it raises would come out of the user's open()
            pass
        finally:
            self.is_busy = False

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        name, is_written = _file_of(event, arguments)
        for each in (name, *_scripts(event, arguments)):
            if each is not None:
                self._hear_of(event, each, is_written=is_written)

    def _hear_of(self, event: str, name: str, *, is_written: bool) -> None:
        readings, path = self.hearing[-1], os.path.abspath(name)
        if path.endswith(".pyc") and _is_loading(sys._getframe(3)):
            path = importlib.util.source_from_cache(path)
        if event in ("os.listdir", "os.scandir"):
            path += LISTED
        if not path.startswith(readings.below) or path.endswith(_NO_DATA):
            return
        known = readings.known.get(path)
        if known is not None and (known.is_written or not is_written):
            return
        if not any(f"{os.sep}{folder}{os.sep}" in path for folder in _NO_FOLDERS):
            self._note(readings, path, _opener(sys._getframe(3), event), is_written=is_written, event=event)

    def _note(
        self, readings: OpenedFiles, path: str, opener: FrameType | None, *, is_written: bool, event: str
    ) -> None:
        """Note a file, unless Python or simkit opens it for itself."""
        frame = sys._getframe(4)
        is_module = event == "open" and is_project_file(path) and _is_loading(frame)
        if opener is None and event != "import" and not is_module:
            return
        module = _importing(frame if is_module else opener)
        reading = OpenedFile(path, state_of(path), is_module=is_module)
        if is_module and _is_by_name(frame):
            self.by_name[path] = reading
        if module is not None and not is_written:
            self.on_import.setdefault(module.f_code.co_filename, {})[path] = reading, module.f_lineno
        readings.add(path, is_written=is_written, is_module=is_module)

    @contextmanager
    def to(self, readings: OpenedFiles) -> Iterator[OpenedFiles]:
        """Listen for these readings."""
        self.hearing.append(readings)
        try:
            yield readings
        finally:
            self.hearing.pop()

    @contextmanager
    def away(self) -> Iterator[OpenedFiles | None]:
        """What simkit opens for itself is not heard; gives who else would hear it."""
        hearing, self.hearing = self.hearing, []
        try:
            yield hearing[-1] if hearing else None
        finally:
            self.hearing = hearing


def _file_of(event: str, arguments: tuple[Any, ...]) -> tuple[str | None, bool]:
    """The file of an event, and whether it is opened for writing."""
    name: Any = arguments[1] if event == "import" else arguments[0]
    if event == "import" and not isinstance(name, str):
        return None, False
    if name is None or isinstance(name, int):
        return ("." if name is None and event.startswith("os.") else None), False
    name = os.fsdecode(name)
    if event == "open":
        mode, flags = arguments[1], arguments[2]
        by_mode = isinstance(mode, str) and any(letter in mode for letter in "wax+")
        return name, by_mode or bool(isinstance(flags, int) and flags & _WRITING)
    if event in ("subprocess.Popen", "ctypes.dlopen") and os.sep not in name:
        return None, False  # found along the path of the system
    if event == "subprocess.Popen" and arguments[2] is not None:
        name = os.path.join(os.fsdecode(arguments[2]), name)
    return name, False


def _scripts(event: str, arguments: tuple[Any, ...]) -> Iterator[str]:
    """The source files among the arguments of a program: an interpreter executes them."""
    if event not in _STARTS or not isinstance(arguments[1], (list, tuple)):
        return
    folder = arguments[2] if event == "subprocess.Popen" and arguments[2] is not None else ""
    for argument in arguments[1][1:]:
        if isinstance(argument, (str, bytes, os.PathLike)):
            name = os.path.join(os.fsdecode(folder), os.fsdecode(argument))
            if name.endswith(_SCRIPTS) and os.path.isfile(name):
                yield name


def _is_loading(frame: FrameType | None) -> bool:
    """Whether Python opens a file in order to execute it as a module."""
    while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        if frame.f_code.co_name == "get_code":
            return True
        frame = frame.f_back
    return False


def _is_by_name(frame: FrameType | None) -> bool:
    """Whether it is ``import_module`` that loads a module."""
    while frame is not None and frame.f_code.co_filename.startswith(("<frozen importlib", _NOTICING)):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_name == "import_module"


@lru_cache(maxsize=1)
def _standard_library() -> str:
    return os.path.join(sysconfig.get_paths()["stdlib"], "")


def _opener(frame: FrameType | None, event: str) -> FrameType | None:
    """The code outside of the standard library that opens a file; None where that is an import, or simkit.

    What simkit starts it starts for a run.
    """
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib") or file.endswith(_FOR_ITSELF):
            return None
        is_library = file.startswith(_standard_library()) and "site-packages" not in file
        if not is_library and not file.startswith("<frozen "):
            if not is_ours(file):
                return frame
            if event not in _STARTS:
                return None
        frame = frame.f_back
    return None


def _importing(frame: FrameType | None) -> FrameType | None:
    """The module of the project that is being imported, and does this."""
    while frame is not None and (
        not is_ours(frame.f_code.co_filename) or frame.f_code.co_filename == _NOTICING
    ):
        if frame.f_code.co_name == "<module>" and is_project_file(frame.f_code.co_filename):
            return frame
        frame = frame.f_back
    return None


@lru_cache(maxsize=1)
def listener() -> Listener:
    """The one of this process: an audit hook can't be removed."""
    one = Listener()
    sys.addaudithook(one.hear)
    return one


def read_on_import(graph: Graph, units: Iterable[tuple[Path, CodeUnit]]) -> Mapping[str, OpenedFile]:
    """What importing the files of a graph read, by path, as far as it may reach the runs.

    Parameters
    ----------
    units
        The statements that the runs reach: what others read into names of their own does not count.
    """
    reached, found = set(units), {}
    for path, file in graph.files.items():
        for name, (reading, line) in listener().on_import.get(str(path), {}).items():
            unit = file.at(line)
            is_code = reading.is_module and Path(name) in graph.files
            if not is_code and (unit is None or not unit.names or (path, unit) in reached):
                found.update(_with_imports(name, reading))
    return {n: each for n, each in found.items() if not each.is_module or Path(n) not in graph.files}


def named_in_code(graph: Graph, units: Iterable[tuple[Path, CodeUnit]]) -> dict[str, OpenedFile]:
    """The files below the root that statements name: ``HERE / "data" / "cells.h5"``, ``f"{HERE}/cells.h5"``.

    Parameters
    ----------
    units
        The statements that the runs reach, each with its file.
    """
    found = {}
    for file, unit in units:
        for name in _names_of_files(unit.node, graph.namespaces.get(file, {})):
            for folder in (file.parent, graph.rootdir):
                path = os.path.abspath(folder / name.lstrip("/"))
                if _is_data(path) and not is_project_file(path) and os.path.isfile(path):
                    found[path] = OpenedFile(path, state_of(path), is_named=True)
    return {path: each for path, each in found.items() if Path(path).is_relative_to(graph.rootdir)}


def _names_of_files(node: ast.AST, values: Mapping[str, Any]) -> Iterator[str]:
    """The texts in a statement that may be the end of a path, folders joined by ``/`` included.

    What ``each`` goes over and a strategy starts from are no inputs: it is recorded which of their runs were used.

    Parameters
    ----------
    values
        What the names of its file stand for.
    """
    calls = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
    others = {part for call in calls for part in _trajectories(call, values)}
    for part in ast.walk(node):
        if part in others:
            continue
        texts = [one.value for one in _joined_by_slash(part) if isinstance(one, ast.Constant)]
        path = "/".join(text for text in texts if isinstance(text, str))
        if "." in path and len(path) < _LONGEST and path.isprintable():
            yield path


def _trajectories(call: ast.Call, values: Mapping[str, Any]) -> Iterator[ast.AST]:
    """All that stands where a call of ``each`` or ``adaptive`` names another experiment's trajectory."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    value = values.get(name)
    if is_a(value, FunctionType) and is_ours(value.__code__.co_filename):
        name = value.__name__  # it was imported under another
    named = call.args[:1] if name == "each" else []
    named += [word.value for word in call.keywords if (name, word.arg) == ("adaptive", "start")]
    for argument in named:
        yield from ast.walk(argument)


def _joined_by_slash(node: ast.AST) -> list[ast.AST]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return [*_joined_by_slash(node.left), node.right]
    return [node]


def loaded_by_name() -> dict[str, OpenedFile]:
    """The project's modules that were loaded by name in this process, with what they read and import."""
    return {
        n: each for path, one in listener().by_name.items() for n, each in _with_imports(path, one).items()
    }


def _with_imports(path: str, reading: OpenedFile) -> dict[str, OpenedFile]:
    """A file that was read; with a module, those that it read while it was loaded."""
    found, waiting = {path: reading}, [path] if reading.is_module else []
    while waiting:
        for name, (each, _) in listener().on_import.get(waiting.pop(), {}).items():
            if name not in found:
                found[name] = each
                waiting += [name] if each.is_module else []
    return found
