"""Which files does an experiment need, and what did they say when it was collected?

Imports are followed from file to file within the project, those inside of functions too. So what is recorded
can be run again elsewhere, and nothing of a neighbouring experiment is recorded with it.
"""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from simkit.collect.config import CONFIG
from simkit.collect.graph import NOTEBOOK, Graph
from simkit.collect.syntax import parsed_bytes

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
    loads_by_name
        Whether they load modules by names that are computed.
    """

    files: Mapping[str, bytes] = attrs.field(factory=dict)
    imports: frozenset[str] = frozenset()
    loads_by_name: bool = False


def sources(graph: Graph, things: Iterable[Any]) -> Sources:
    """The files of the graph, and the functions and classes that no file holds as ``notebook.py``."""
    files = {
        graph.key(path): file.data for path, file in sorted(graph.files.items()) if path != Path(NOTEBOOK)
    }
    missing = set(graph.missing)
    unfiled = [_text_of(thing) for thing in things if not _has_file(thing)]
    if any(unfiled):
        files[f"{NOTEBOOK}.py"] = "\n\n".join(dict.fromkeys(filter(None, unfiled))).encode()
        missing |= {name.partition(".")[0] for name in parsed_bytes(files[f"{NOTEBOOK}.py"]).imports}
    return Sources(
        {**files, **_settings(graph.rootdir)},
        frozenset(missing - sys.stdlib_module_names - {"simkit"}),
        any(file.by_name for file in graph.files.values()),
    )


def _has_file(thing: Any) -> bool:
    names = getattr(thing, "__globals__", {})
    return "__file__" in names or "__file__" in vars(sys.modules.get(thing.__module__, sys))


def _text_of(thing: Any) -> str:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return ""


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
