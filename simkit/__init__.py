"""The public names, nothing else: each is imported when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simkit.analyse.find import open as open
    from simkit.analyse.merge import merge as merge
    from simkit.analyse.trajectory import Trajectory as Trajectory
    from simkit.declare.after import after as after
    from simkit.declare.annotations import Unit as Unit
    from simkit.declare.codec import Codec as Codec
    from simkit.declare.hooks import hookimpl as hookimpl
    from simkit.declare.run import Run as Run
    from simkit.declare.space import Space as Space
    from simkit.declare.space import explore as explore
    from simkit.declare.space import product as product
    from simkit.declare.tags import experiment as experiment
    from simkit.declare.tags import fixture as fixture
    from simkit.declare.tags import parameter as parameter
    from simkit.errors import SimkitError as SimkitError
    from simkit.inject.call import call as call
    from simkit.session import run as run

__version__ = "0.1.0"

_HOME = {
    "experiment": "declare.tags",
    "after": "declare.after",
    "fixture": "declare.tags",
    "parameter": "declare.tags",
    "explore": "declare.space",
    "product": "declare.space",
    "Space": "declare.space",
    "Unit": "declare.annotations",
    "Codec": "declare.codec",
    "hookimpl": "declare.hooks",
    "Run": "declare.run",
    "SimkitError": "errors",
    "open": "analyse.find",
    "merge": "analyse.merge",
    "Trajectory": "analyse.trajectory",
    "run": "session",
    "call": "inject.call",
}

__all__ = [*_HOME, "__version__"]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module 'simkit' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"simkit.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
