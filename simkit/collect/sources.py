"""Which files does an experiment need, and what did they say when it was collected?

Imports are followed from file to file within the project, those inside of functions too. So what is recorded
can be run again elsewhere, and nothing of a neighbouring experiment is recorded with it.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
import tomllib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from simkit.collect.code import project_file
from simkit.collect.config import CONFIG
from simkit.errors import is_ours

NOTEBOOK = "notebook.py"
_TABLE = re.compile(r"^\[\[?\s*([\w.\"' -]+?)\s*\]\]?\s*(#.*)?$")


@attrs.frozen
class Sources:
    """The project's files that one experiment needs.

    Attributes
    ----------
    files
        What each says, by its path from the rootdir.
    imports
        The packages outside of the project that they import, by the name that is imported.
    """

    files: Mapping[str, bytes] = attrs.field(factory=dict)
    imports: frozenset[str] = frozenset()


def sources(things: Iterable[Any], starts: Iterable[Path], rootdir: Path) -> Sources:
    """The files of functions and classes, of `starts`, and of all that they import from the project.

    Parameters
    ----------
    things
        Those without a file, as in a notebook, are recorded as ``notebook.py``.
    starts
        Files that count in any case: the experiment's, and each simconf.py above it.
    """
    waiting = [path for path in starts if path.is_file()]
    unfiled: list[str] = []
    for thing in things:
        module = sys.modules.get(thing.__module__)
        file = None if module is None else project_file(module, rootdir)
        if file is not None:
            waiting.append(file)
        elif getattr(module, "__file__", None) is None:
            unfiled.append(_text_of(thing))
    found: dict[Path, bytes] = {}
    names: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in found or is_ours(str(path)):
            continue
        try:
            found[path], imports = _read(path, path.stat().st_mtime_ns)
        except OSError:  # may not be read: then no run can have imported it
            continue
        waiting += _packages(path, rootdir)
        for name in imports:
            inside = _project_files(name, path, rootdir)
            waiting += inside
            if not inside and not name.startswith("."):
                names.add(name.partition(".")[0])
    files = {_key(path, rootdir): text for path, text in sorted(found.items())}
    if any(unfiled):
        files[NOTEBOOK] = "\n\n".join(dict.fromkeys(filter(None, unfiled))).encode()
        names |= {name.partition(".")[0] for name in _imports(files[NOTEBOOK])}
    return Sources({**files, **_settings(rootdir)}, frozenset(names - sys.stdlib_module_names - {"simkit"}))


def _key(path: Path, rootdir: Path) -> str:
    return path.relative_to(rootdir).as_posix() if path.is_relative_to(rootdir) else path.name


def _text_of(thing: Any) -> str:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return ""


@lru_cache(maxsize=4096)
def _read(path: Path, _time: int) -> tuple[bytes, tuple[str, ...]]:
    """A file's bytes as they were when this version of it was first seen, and what it imports."""
    data = path.read_bytes()
    return data, tuple(_imports(data))


def _imports(data: bytes) -> Iterator[str]:
    """``a.b`` for ``import a.b``; ``a`` and ``a.x`` for ``from a import x``, which may be a module."""
    try:
        with warnings.catch_warnings():  # whoever imports the file hears them
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            joint = "" if base.endswith(".") else "."
            yield from (f"{base}{joint}{alias.name}" for alias in node.names)


def _packages(path: Path, rootdir: Path) -> Iterator[Path]:
    """The ``__init__.py`` of each package that a file is in: they are imported with it."""
    for folder in path.parents:
        file = folder / "__init__.py"
        if folder == rootdir or not file.is_file():
            return
        yield file


def _project_files(name: str, importer: Path, rootdir: Path) -> list[Path]:
    """The files that an import runs, as far as they are the project's."""
    level = len(name) - len(name.lstrip("."))
    parts = [part for part in name[level:].split(".") if part]
    if level:
        return _along(importer.parents[min(level, len(importer.parents)) - 1], parts)
    loaded = sys.modules.get(parts[0])
    if loaded is not None and parts[0] != "simconf":
        home = _home(loaded, rootdir)
        if home is None and _is_elsewhere(loaded):
            return []
        return _along(home, parts) if home is not None else []
    within = [Path(entry) for entry in sys.path if Path(entry).is_relative_to(rootdir)]
    for base in (importer.parent, rootdir, *within):
        files = _along(base, parts)
        if files:
            return files
    return []


def _home(module: ModuleType, rootdir: Path) -> Path | None:
    """The folder from which a module of the project was imported."""
    file = project_file(module, rootdir)
    if file is not None:
        return file.parent.parent if file.name == "__init__.py" else file.parent
    folders = [Path(os.path.abspath(entry)) for entry in getattr(module, "__path__", [])]
    namespace = getattr(module, "__file__", None) is None
    return next((f.parent for f in folders if namespace and f.is_relative_to(rootdir)), None)


def _is_elsewhere(module: ModuleType) -> bool:
    return getattr(module, "__file__", None) is not None or module.__name__ in sys.stdlib_module_names


def _along(base: Path, parts: list[str]) -> list[Path]:
    """The files of ``a``, ``a.b``, ``a.b.c`` below a folder, as far as there are any."""
    found = []
    for depth in range(len(parts) + 1):
        here = base.joinpath(*parts[:depth])
        candidates = [here / "__init__.py"] if depth else []
        candidates += [here.with_suffix(".py")] if depth else []
        found += [file for file in candidates if file.is_file()]
    return found


def _settings(rootdir: Path) -> dict[str, bytes]:
    """The project's ``[tool.simkit]``; what else stands in the file is nobody's business."""
    path = rootdir / CONFIG
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)["tool"]["simkit"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    kept, ours = [], False
    for line in text.splitlines():
        header = _TABLE.match(line)
        if header:
            ours = re.sub(r"[\s\"']", "", header[1]).startswith("tool.simkit")
        kept += [line] if ours else []
    part = "\n".join(kept) + "\n"
    try:
        whole = bool(tomllib.loads(part)["tool"]["simkit"] == table)
    except (ValueError, KeyError, TypeError):
        whole = False
    return {CONFIG: part.encode()} if whole else {}
