"""What a session's record says of the machine, the packages and the code."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import simkit
from simkit.collect.plan import Plan

_PACKAGES = ("numpy", "h5py", "scipy", "pandas", "attrs")


def session_facts(plan: Plan, argv: Sequence[str], *, engine: str, workers: int) -> Mapping[str, Any]:
    """The facts of one session, as text and numbers.

    The code is the source of every piece of the project that the runs reach, as JSON by ``file::name``.
    """
    return {
        "started": time.time(),
        "command": " ".join(argv),
        "simkit": simkit.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "cores": os.cpu_count() or 0,
        "engine": engine,
        "workers": workers,
        "packages": json.dumps(_versions()),
        "code": json.dumps(plan.code),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        if name in sys.modules:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:  # imported from a folder
                found[name] = str(getattr(sys.modules[name], "__version__", "unknown"))
    return found
