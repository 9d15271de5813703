"""Notebooks executed in a kernel of their own, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
from conftest import Project

# In a process of its own: the event loop of the client stays out of the tests' process.
_EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], 4)
client = nbclient.NotebookClient(notebook, timeout=50, kernel_name="python3", allow_errors=True,
                                 resources={"metadata": {"path": "."}})
client.execute()
nbformat.write(notebook, sys.argv[1])
"""


@attrs.frozen
class Executed:
    """A notebook after all its cells were executed."""

    folder: Path
    cells: list[dict[str, Any]]

    def outputs(self, number: int) -> list[dict[str, Any]]:
        """A cell's outputs."""
        return self.cells[number].get("outputs", [])

    @property
    def texts(self) -> list[str]:
        """What each cell showed, as text."""
        return ["\n".join(map(_text, self.outputs(number))) for number in range(len(self.cells))]

    @property
    def errors(self) -> list[str]:
        """What cells raised."""
        return [
            f"{output['ename']}: {output['evalue']}"
            for cell in self.cells
            for output in cell.get("outputs", [])
            if output["output_type"] == "error"
        ]

    @property
    def stderr(self) -> list[str]:
        """What cells wrote to their standard error."""
        return [_text(o) for cell in self.cells for o in cell.get("outputs", []) if o.get("name") == "stderr"]

    @property
    def images(self) -> dict[int, list[str]]:
        """The pictures of each cell, in base64."""
        return {
            number: [o["data"]["image/png"] for o in self.outputs(number) if "image/png" in o.get("data", {})]
            for number in range(len(self.cells))
        }


def _text(output: dict[str, Any]) -> str:
    found = output.get("text") or output.get("data", {}).get("text/plain", "")
    return found if isinstance(found, str) else "".join(found)


def execute(project: Project, path: Path) -> Executed:
    """Execute a notebook of a project's folder in place."""
    result = project.python("-c", _EXECUTE, str(path))
    assert result.code == 0, result.err
    return Executed(project.path, json.loads(path.read_text("utf-8"))["cells"])


def execute_cells(project: Project, *cells: str) -> Executed:
    """Execute these cells as a notebook."""
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"language_info": {"name": "python"}},
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "outputs": [],
                "execution_count": None,
                "source": cell,
            }
            for number, cell in enumerate(cells)
        ],
    }
    path = project.path / "cells.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return execute(project, path)
