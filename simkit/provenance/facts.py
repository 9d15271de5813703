"""What does a session's record say of the machine, the packages and the code?"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import simkit
from simkit.collect.config import Bookkeeping
from simkit.collect.plan import Plan
from simkit.provenance.machine import brian2, environment, machine
from simkit.provenance.packages import Packages, packages
from simkit.provenance.secrets import without_credentials


def session_facts(plan: Plan, argv: Sequence[str], asked: Bookkeeping) -> dict[str, Any]:
    """The facts of one session: numbers, text, and mappings.

    ``sources`` are the project's files, ``code`` the source of every piece of them that the runs reach by
    ``file::name``.
    """
    found = _packages(plan, asked)
    optional = {
        "reason": without_credentials(asked.reason),
        "environment": environment(),
        "origins": found.origins,
        **brian2(),
    }
    return {
        "started": time.time(),
        "command": command_line(argv, anonymous=not asked.user),
        "simkit": simkit.__version__,
        **machine(user=asked.user),
        "packages": found.versions,
        "code": dict(plan.code),
        "sources": plan.sources.files,
        **{name: fact for name, fact in optional.items() if fact},
    }


def _packages(plan: Plan, asked: Bookkeeping) -> Packages:
    try:
        return packages(plan.sources.imports, every=asked.every_package)
    except Exception as error:  # noqa: BLE001 - half an installation may hold anything, and costs no run
        return Packages({}, {"": f"the installed packages can't be read: {error}"})


def command_line(argv: Sequence[str], *, anonymous: bool) -> str:
    """The command as it was typed, credentials aside; anonymous, the user's folder is ``~``."""
    text = without_credentials(argv[0] if len(argv) == 1 else shlex.join(argv))
    return text.replace(str(Path.home()), "~") if anonymous else text
