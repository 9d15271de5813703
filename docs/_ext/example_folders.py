"""A page for each folder of ``examples``: what its README says, its files, and what its commands print and draw.

The commands are executed in a copy of the folder, once for each state of its files: what came out is kept beside the
pages, and git ignores all of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import notebook_cells

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMANDS = {
    "multiply": ["simkit . -n 2", "python read.py"],
    "automata": ["simkit . -n 2", "python plot_automata.py"],
    "climb": ["simkit . -n 2", "python plot_climb.py"],
    "pipeline": ["simkit . -n 2", "python plot_pipeline.py"],
    "hyperparameters": ["simkit . -n 2", "python plot_hyperparameters.py"],
    "optimise": ["simkit . -n 2", "python plot_optimise.py"],
    "brian2_network": ["simkit . -n 2", "python plot_network.py"],
    "sensitivity": ["simkit . -n 2", "python plot_sensitivity.py"],
    "external": ["simkit . -n 2", "python read.py"],
    "cluster": ["simkit . -n 2"],
}
NOTEBOOK = EXAMPLES / "notebook" / "paper.ipynb"
LANGUAGES = {".py": "python", ".c": "c", ".sh": "bash", ".toml": "toml", ".in": "text"}


def sources(folder: Path) -> list[Path]:
    """The files that a page shows, the experiments first."""
    files = [file for file in sorted(folder.iterdir()) if file.suffix in LANGUAGES]
    return sorted(files, key=lambda file: (not file.name.startswith("sim_"), file.name.startswith("plot_")))


def execute(folder: Path, commands: list[str], pictures: Path) -> str:
    """What the commands print in a copy of the folder; the pictures that they draw are moved to `pictures`."""
    environment = {**os.environ, "COLUMNS": "100", "MPLBACKEND": "agg", "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / folder.name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("results", "__pycache__", "*.png"))
        shown = []
        for command in commands:
            program, *arguments = command.split()
            words = [sys.executable, *(["-m", "simkit"] if program == "simkit" else []), *arguments]
            ended = subprocess.run(
                words,
                cwd=copy,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=600,
                check=False,
            )
            if ended.returncode:
                msg = f"examples/{folder.name}: {command!r} ended with {ended.returncode}:\n{ended.stdout}"
                raise RuntimeError(msg)
            shown.append(f"$ {command}\n{ended.stdout}".replace(str(copy), folder.name))
        for picture in sorted(copy.rglob("*.png")):
            shutil.copy(picture, pictures / f"{folder.name}.png")
    return "".join(shown)


def output(folder: Path, made: Path) -> str:
    """What was printed for this state of the files: executed once, then read."""
    commands = COMMANDS[folder.name]
    digest = hashlib.sha256(json.dumps(commands).encode())
    for file in sources(folder):
        digest.update(file.read_bytes())
    text = made / f"{folder.name}-{digest.hexdigest()[:16]}.txt"
    if not text.exists():
        printed = execute(folder, commands, made)
        text.write_text(printed, encoding="utf-8")
    return text.read_text("utf-8")


def about(folder: Path) -> str:
    """What the README of an example says; what it links to is shown below, or another page."""
    text = (folder / "README.md").read_text("utf-8").rstrip()
    text = re.sub(r"\]\((?:\.\./)+docs/", "](../", text)
    return re.sub(r"\[([^]]+)\]\((?!\.\./|https?:)[^)]+\)", r"\1", text)


def page(folder: Path, printed: str, has_picture: bool) -> str:
    """The page of one example, as Markdown."""
    parts = [about(folder)]
    if has_picture:
        parts.append(f"```{{image}} _made/{folder.name}.png\n:alt: What {folder.name} draws\n```")
    parts.append(f"## What it prints\n\n```console\n{printed.rstrip()}\n```")
    parts.append("## Its files")
    for file in sources(folder):
        code = file.read_text("utf-8").rstrip()
        parts.append(f"### {file.name}\n\n```{LANGUAGES[file.suffix]}\n{code}\n```")
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """The page of all examples: what their common README says."""
    text = (EXAMPLES / "README.md").read_text("utf-8")
    text = re.sub(r"\]\((\w+)\)", r"](/examples/\1.md)", text)
    return "\n".join([text, "```{toctree}", ":hidden:", "", *COMMANDS, "notebook", "```", ""])


def write_pages(app: Any) -> None:
    """Write ``examples/NAME.md`` of each folder into the source folder; git ignores them."""
    target = Path(app.srcdir) / "examples"
    made = target / "_made"
    made.mkdir(parents=True, exist_ok=True)
    pages = {
        "index": index(),
        "notebook": f"{about(NOTEBOOK.parent)}\n\n{notebook_cells.rendered(NOTEBOOK, made)}\n",
    }
    for name in COMMANDS:
        printed = output(EXAMPLES / name, made)
        pages[name] = page(EXAMPLES / name, printed, (made / f"{name}.png").exists())
    for name, text in pages.items():
        file = target / f"{name}.md"
        if not file.exists() or file.read_text("utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before Sphinx looks for them."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}
