"""The files that a page of the documentation shows."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The blocks of one language, in order."""
    text = (DOCS / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def files(page: str) -> dict[str, str]:
    """What stands in Python files, by the name in their first line."""
    matches = (re.match(r"# (\w+\.py)\n(.*)", block, re.DOTALL) for block in blocks(page, "python"))
    return dict(match.groups() for match in matches if match)
