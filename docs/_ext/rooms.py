"""The directive ``rooms``: a picture of simkit's rooms and of the imports between them, drawn from the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

HOUSE = Path(__file__).parents[2] / "simkit"
LEVELS = (
    ("cli",),
    ("serve",),
    ("study",),
    ("analyse",),
    ("replay",),
    ("inform",),
    ("provenance",),
    ("resume",),
    ("record", "execute"),
    ("inject",),
    ("collect",),
    ("values",),
    ("declare",),
)
WIDTH, STEP, BOX = 720, 62, (150, 34)


def imported_rooms(room: str) -> set[str]:
    """The rooms that the modules of one room import from."""
    found: set[str] = set()
    for file in (HOUSE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("simkit."):
                found.add(str(node.module).split(".")[1])
    return found - {room}


def needed(imports: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """The imports that do not follow from others."""

    def reach(room: str) -> set[str]:
        return {room}.union(*(reach(other) for other in imports.get(room, ())))

    for room, others in imports.items():
        for other in others:
            if not any(other in reach(third) for third in others - {other}):
                yield room, other


def picture() -> str:
    """The rooms as SVG, the command at the top."""
    rooms = {room for level in LEVELS for room in level}
    imports = {room: imported_rooms(room) & rooms for room in rooms}
    centre = {}
    for row, level in enumerate(LEVELS):
        for column, room in enumerate(level):
            centre[room] = (WIDTH * (column + 1) / (len(level) + 1), STEP * row + STEP / 2)
    height = STEP * len(LEVELS)
    head = (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="The rooms of simkit and their imports" '
        'style="max-width: 100%; height: auto" fill="none" stroke="currentColor" '
        'font-family="sans-serif" font-size="15">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="currentColor"/></marker></defs>'
    )
    parts = [head]
    for start, end in sorted(needed(imports)):
        (x, y), (u, v) = centre[start], centre[end]
        if v - y > STEP and x == u:  # over other rooms: around them, from side to side
            x, u = x + BOX[0] / 2, u + BOX[0] / 2
            path = f"M{x} {y} Q{x + 35 * (v - y) / STEP} {(y + v) / 2} {u} {v}"
        else:
            path = f"M{x} {y + BOX[1] / 2} L{u} {v - BOX[1] / 2}"
        parts.append(f'<path d="{path}" opacity="0.6" marker-end="url(#tip)"/>')
    for room, (x, y) in centre.items():
        parts.append(
            f'<rect x="{x - BOX[0] / 2}" y="{y - BOX[1] / 2}" width="{BOX[0]}" height="{BOX[1]}" rx="6" '
            'fill="var(--pst-color-surface, #eee)"/>'
            f'<text x="{x}" y="{y + 5}" text-anchor="middle" fill="currentColor" stroke="none">{room}</text>'
        )
    return "\n".join([*parts, "</svg>"])


class Rooms(Directive):
    """The picture, in the page."""

    def run(self) -> list[nodes.Node]:
        """Make the node."""
        return [nodes.raw("", picture(), format="html")]


def setup(app: Any) -> dict[str, bool]:
    """Know the directive."""
    app.add_directive("rooms", Rooms)
    return {"parallel_read_safe": True}
