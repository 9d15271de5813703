"""Which global random generators does the project's code draw from?"""

from __future__ import annotations

import ast
import os
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from simkit.collect.cells import NOTEBOOK

RANDOM, NUMPY, BRIAN2 = "random", "numpy.random", "brian2"


def global_streams(code: Mapping[str, str], rootdir: Path) -> frozenset[str]:
    """The streams that these pieces of code use, whatever names they import them by.

    Parameters
    ----------
    code
        Sources by ``file::name``, as `reachable` finds them.
    """
    files = {key.partition("::")[0] for key in code}
    modules = {file: module for file in files if (module := _loaded(rootdir / file)) is not None}
    found = {BRIAN2 for module in modules.values() if _uses_brian2(module)}
    for key, text in code.items():
        module = modules.get(key.partition("::")[0])
        if module is not None:
            found.update(stream for thing in _mentioned(text, module) if (stream := _stream_of(thing)))
    return frozenset(found)


def _loaded(path: Path) -> ModuleType | None:
    if path.name == NOTEBOOK:
        return sys.modules["__main__"]
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and os.path.abspath(file) == os.path.abspath(path):
            return module
    return None


def _uses_brian2(module: ModuleType) -> bool:
    names = (
        getattr(thing, "__module__", None) or getattr(thing, "__name__", "")
        for thing in vars(module).values()
    )
    return "brian2" in sys.modules and any(str(name).partition(".")[0] == "brian2" for name in names)


def _mentioned(text: str, module: ModuleType) -> Iterator[Any]:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    names: Iterable[ast.AST] = (
        node for node in ast.walk(tree) if isinstance(node, (ast.Name, ast.Attribute))
    )
    for node in names:
        thing = _resolved(node, module)
        if thing is not None:
            yield thing


def _resolved(node: ast.AST, module: ModuleType) -> Any:
    """What a name or a dotted name through modules stands for; nothing is executed for it."""
    if isinstance(node, ast.Name):
        return vars(module).get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _resolved(node.value, module)
        return vars(owner).get(node.attr) if isinstance(owner, ModuleType) else None
    return None


def _stream_of(thing: Any) -> str | None:
    if thing is np.random.seed:
        return NUMPY
    owner = getattr(thing, "__self__", None)
    if owner is None or isinstance(owner, ModuleType):
        return None
    if owner is random.seed.__self__:  # type: ignore[attr-defined]
        return RANDOM
    return NUMPY if owner is np.random.normal.__self__ else None  # type: ignore[attr-defined]
