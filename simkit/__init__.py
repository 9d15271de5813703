"""The public names, nothing else: each is imported when it is first used."""

from __future__ import annotations

import importlib

from simkit._version import __version__

TYPE_CHECKING = False  # without the module typing: all that is imported here is imported twice by the command
if TYPE_CHECKING:
    from typing import Any

    from simkit.analyse.open import merge as merge
    from simkit.analyse.open import open as open
    from simkit.analyse.stages import each as each
    from simkit.analyse.trajectory import Trajectory as Trajectory
    from simkit.declare.adaptive import adaptive as adaptive
    from simkit.declare.annotations import Unit as Unit
    from simkit.declare.designs import morris as morris
    from simkit.declare.designs import saltelli as saltelli
    from simkit.declare.hooks import hookimpl as hookimpl
    from simkit.declare.plugins import Codec as Codec
    from simkit.declare.run import Run as Run
    from simkit.declare.sampling import sample as sample
    from simkit.declare.space import Space as Space
    from simkit.declare.space import explore as explore
    from simkit.declare.space import product as product
    from simkit.declare.tags import after as after
    from simkit.declare.tags import experiment as experiment
    from simkit.declare.tags import fixture as fixture
    from simkit.declare.tags import parameter as parameter
    from simkit.declare.tags import report as report
    from simkit.errors import SimkitError as SimkitError
    from simkit.errors import SimkitWarning as SimkitWarning
    from simkit.study.script import script as script
    from simkit.study.script import start as start
    from simkit.study.session import call as call
    from simkit.study.session import run as run

_HOME = {
    "experiment": "declare.tags",
    "adaptive": "declare.adaptive",
    "after": "declare.tags",
    "report": "declare.tags",
    "fixture": "declare.tags",
    "parameter": "declare.tags",
    "explore": "declare.space",
    "product": "declare.space",
    "each": "analyse.stages",
    "sample": "declare.sampling",
    "saltelli": "declare.designs",
    "morris": "declare.designs",
    "Space": "declare.space",
    "Unit": "declare.annotations",
    "Codec": "declare.plugins",
    "hookimpl": "declare.hooks",
    "Run": "declare.run",
    "SimkitError": "errors",
    "SimkitWarning": "errors",
    "open": "analyse.open",
    "merge": "analyse.open",
    "Trajectory": "analyse.trajectory",
    "run": "study.session",
    "start": "study.script",
    "script": "study.script",
    "call": "study.session",
}

__all__ = [*_HOME, "__version__"]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name == "adapters":
        return importlib.import_module("simkit.adapters")
    if name not in _HOME:
        msg = f"module 'simkit' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"simkit.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
