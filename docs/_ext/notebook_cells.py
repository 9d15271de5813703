"""A page of a notebook: its cells, and what they show when it is executed in a kernel of its own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# In a process of its own: the event loop of the client stays out of Sphinx's.
_EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": "."}}).execute()
nbformat.write(notebook, sys.argv[1])
"""


def executed(notebook: Path, made: Path) -> list[dict[str, Any]]:
    """The cells with what they show, for this state of the notebook: executed once, then read."""
    digest = hashlib.sha256(notebook.read_bytes()).hexdigest()[:16]
    kept = made / f"{notebook.stem}-{digest}.json"
    if not kept.exists():
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / notebook.name
            shutil.copy(notebook, copy)
            environment = {**os.environ, "PYTHONHASHSEED": "0"}
            subprocess.run(
                [sys.executable, "-c", _EXECUTE, str(copy)],
                cwd=folder,
                env=environment,
                capture_output=True,
                check=True,
                timeout=600,
            )
            shutil.copy(copy, kept)
    return list(json.loads(kept.read_text("utf-8"))["cells"])


def rendered(notebook: Path, made: Path) -> str:
    """A notebook as Markdown; its headings stand below that of the page, its pictures beside the pages."""
    parts = []
    for number, cell in enumerate(executed(notebook, made)):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source.replace("## ", "### ") if not source.startswith("# ") else f"#{source}")
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                picture = made / f"{notebook.stem}-{number}.png"
                picture.write_bytes(base64.b64decode(data["image/png"]))
                parts.append(f"```{{image}} _made/{picture.name}\n:alt: What cell {number} draws\n```")
                continue
            text = "".join(output.get("text") or data.get("text/plain", "")).rstrip()
            parts += [f"```text\n{text}\n```"] if text else []
    return "\n\n".join(parts)
