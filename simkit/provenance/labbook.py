"""How does a session become a record in Sumatra's lab notebook?

Sumatra runs in a process of its own (`sumatra_entry`): it configures Django for its whole process, refuses to
work in a notebook's event loop, and looks at its working directory.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from simkit.collect.plan import Plan
from simkit.errors import SimkitError
from simkit.record.recorded import Recorded
from simkit.values.decode import as_array, decode

_PATIENCE = 120  # seconds for one call of Sumatra: it waits for others that write its database
_LISTED = 20  # explored values that are written out
_SCRIPT = Path(__file__).with_name("sumatra_entry.py")


class NotEntered(Exception):
    """Why Sumatra has no record of a session."""


@attrs.frozen
class Labbook:
    """Sumatra's project that a study belongs to."""

    folder: Path

    def check(self) -> None:
        """Let Sumatra see whether it accepts the code as it is.

        Raises
        ------
        SimkitError
            When the code has changed and the project's ``on-changed`` is ``error``.
        NotEntered
            When Sumatra fails.
        """
        told = self._call({"check": True})
        if told.get("changed"):
            msg = (
                f"Sumatra's project in {self.folder} wants committed code: {told['changed']}\n"
                "    commit it, or record the difference instead:  smt configure --on-changed=store-diff"
            )
            raise SimkitError(msg)

    def enter(self, facts: Mapping[str, Any], recorded: Recorded, plan: Plan) -> None:
        """Add a record of the last session, under the label that its facts name.

        Raises
        ------
        NotEntered
            When Sumatra fails.
        """
        session = recorded.sessions[-1]
        if session.get("sumatra") != facts["sumatra"]:
            raise NotEntered("no run was begun")
        entry = {
            "label": facts["sumatra"],
            "reason": facts.get("reason", ""),
            "started": facts["started"],
            "duration": session.get("ended", facts["started"]) - facts["started"],
            "outcome": session.get("outcome", "ended by an error"),
            "main": os.path.relpath(plan.path, self.folder),
            "arguments": facts["command"],
            "output": str(recorded.path),
            "parameters": parameters(recorded),
            "packages": facts["packages"],
            "user": facts.get("user", ""),
        }
        self._call(entry)

    def _call(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        command = [sys.executable, "-P", str(_SCRIPT)]
        try:
            ended = subprocess.run(
                command, input=json.dumps(entry), cwd=self.folder, capture_output=True, text=True,
                timeout=_PATIENCE, check=False, start_new_session=True,
            )  # fmt: skip
            told: dict[str, Any] = json.loads(ended.stdout.rpartition("\n")[2] or "{}")
        except subprocess.TimeoutExpired:
            raise NotEntered(f"it did not answer within {_PATIENCE} s") from None
        except (OSError, ValueError) as error:
            raise NotEntered(str(error)) from None
        if ended.returncode or "failed" in told:
            lines = ended.stderr.strip().splitlines() or [f"it ended with exit code {ended.returncode}"]
            raise NotEntered(str(told.get("failed", lines[-1])))
        return told


def unique_label(trajectory: str) -> str:
    """A label that no other session has, since Sumatra's own is the time in seconds."""
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', trajectory)}_{uuid.uuid4().hex[:8]}"


def labbook(rootdir: Path) -> Labbook:
    """Sumatra's project in a folder or above it.

    Raises
    ------
    SimkitError
        When Sumatra is not installed, or there is no project.
    """
    if importlib.util.find_spec("sumatra") is None:
        raise SimkitError('Sumatra is not installed: pip install "simkit[sumatra]"')
    folder = next((one for one in (rootdir, *rootdir.parents) if (one / ".smt").is_dir()), None)
    if folder is not None:
        return Labbook(folder)
    name = "".join(sign if sign.isalnum() else "_" for sign in rootdir.name) or "study"
    msg = (
        f"{rootdir} is not in a Sumatra project; to make it one, type there\n"
        f"    smt init {name}\n"
        "    smt configure --datapath=results --on-changed=store-diff\n"
        "    (Sumatra needs version control: if it says so, git init and commit first)"
    )
    raise SimkitError(msg)


def parameters(recorded: Recorded) -> dict[str, Any]:
    """The parameters as nested plain values; of explored ones their values, or their range."""
    nested: dict[str, Any] = {}
    for name in recorded.names("parameters"):
        *groups, last = name.split(".")
        inner = nested
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = _constant(recorded, name) if recorded.is_constant(name) else _varied(recorded, name)
    return nested


def _constant(recorded: Recorded, name: str) -> Any:
    return _plain(decode(recorded.constant(name))[0])


def _varied(recorded: Recorded, name: str) -> Any:
    values = np.ma.getdata(as_array(recorded.column(name, slice(0, len(recorded)))))
    if values.ndim == 1 and values.dtype != object:
        values = np.unique(values)  # in order, and quick for a million
        few = [_plain(value) for value in values[:_LISTED]]
        return few if len(values) <= _LISTED else f"{len(values)} values from {values[0]} to {values[-1]}"
    texts = list(dict.fromkeys(str(_plain(value)) for value in values[: 50 * _LISTED]))
    return texts if len(texts) <= _LISTED else f"{len(values)} values, the first {texts[0]}"


def _plain(value: Any) -> Any:
    """A value as Sumatra keeps it: number, text, or list of few; others as text."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray) and type(value) is np.ndarray and value.size > _LISTED:
        return f"array {value.dtype} {value.shape}"
    if isinstance(value, np.ndarray) and type(value) is np.ndarray and value.dtype.kind in "biufU":
        return value.tolist()
    text = str(value)
    return text if len(text) <= 200 else text[:199] + "…"
