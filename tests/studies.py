"""A study folder with simulation files, for tests."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

import simkit
from simkit.collect.collection import Item, collect
from simkit.collect.config import Outside, load_settings
from simkit.collect.modules import load
from simkit.collect.plan import Plan
from simkit.collect.targets import parse_target


class Study:
    """Files below a root folder, and simkit's verbs on them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "pyproject.toml").write_text("[tool.simkit]\n")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def module(self, name: str) -> ModuleType:
        return load(self.root / name, self.root)

    def collect(
        self, *arguments: str, keyword: str = "", outside: Mapping[str, Any] | None = None
    ) -> list[Item]:
        """As the command collects; values from outside count as ``--set``."""
        given = {name: Outside(value, f"--set {name}={value}") for name, value in (outside or {}).items()}
        project = load_settings(self.root)
        targets = [parse_target(argument) for argument in arguments]
        outside = {**project.outside, **given}
        with contextlib.chdir(self.root):
            items, problems = collect(
                attrs.evolve(project, targets=targets, keyword=keyword, outside=outside)
            )
        if problems:
            raise problems[0].error
        return items

    def plan(self, text: str, **options: Any) -> Plan:
        """Write ``sim_a.py`` and collect its only experiment."""
        self.write("sim_a.py", text)
        (item,) = self.collect(**options)
        return item.plan

    def run(self, text: str, **options: Any) -> simkit.Trajectory:
        """Write ``sim_a.py`` and run its experiment ``f``."""
        self.write("sim_a.py", text)
        return simkit.run(self.module("sim_a.py").f, **options)

    def call(self, text: str, /, **values: Any) -> dict[str, Any]:
        """Write ``sim_a.py`` and call its experiment ``f``."""
        self.write("sim_a.py", text)
        return simkit.call(self.module("sim_a.py").f, **values)
