"""How does a trajectory look in a notebook?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

from simkit.analyse.describe import SECTIONS, Told, headline, told
from simkit.errors import shown_path

if TYPE_CHECKING:
    from simkit.analyse.trajectory import Trajectory

_MOST = 100
_STYLE = """<style>
.simkit {font: 13px/1.5 system-ui, sans-serif; max-width: 60em}
.simkit .head {border-bottom: 1px solid #8886; padding-bottom: 2px; margin-bottom: 4px}
.simkit table {border-collapse: collapse; margin: 0 0 4px 0}
.simkit td {text-align: left; padding: 0 1.2em 0 0; border: none; background: none; vertical-align: top}
.simkit details {margin-left: 1em}
.simkit summary {cursor: pointer; margin-left: -1em}
.simkit .name, .simkit .value {font-family: ui-monospace, monospace; white-space: pre}
.simkit .explored {font-weight: 600}
.simkit .quiet {opacity: 0.65}
</style>"""


def page(title: str, *parts: str) -> str:
    """A title and what belongs to it, with the style that all of them share."""
    return f'<div class="simkit">{_STYLE}<div class="head"><b>{escape(title)}</b></div>{"".join(parts)}</div>'


def trajectory(of: Trajectory) -> str:
    """The whole trajectory: a tree of parameters, results and summary."""
    parts = []
    for section in SECTIONS:
        if names := of.names(section):
            inside = tree(names, lambda name: told(of._recorded, name))
            parts.append(f"<details open><summary>{section} ({len(names)})</summary>{inside}</details>")
    return page(headline(of), *parts, f'<div class="quiet">{escape(shown_path(of.path))}</div>')


def tree(names: Sequence[str], tell: Callable[[str], Told], prefix: str = "") -> str:
    """The names below a prefix: leaves in a table, groups folded below them, each in its place."""
    parts, rows = [], []
    shown = names[:_MOST]
    for part in dict.fromkeys(name[len(prefix) :].partition(".")[0] for name in shown):
        if prefix + part in shown:
            rows.append(_row(part, tell(prefix + part)))
            continue
        inner = [name for name in shown if name.startswith(f"{prefix}{part}.")]
        parts += _table(rows)
        inside = tree(inner, tell, f"{prefix}{part}.")
        parts.append(
            f'<details open><summary><span class="name">{escape(part)}</span></summary>{inside}</details>'
        )
        rows = []
    parts += _table(rows)
    more = len(names) - len(shown)
    return "".join(parts) + (f'<div class="quiet">… and {more} more</div>' if more else "")


def _table(rows: Sequence[str]) -> list[str]:
    return [f"<table>{''.join(rows)}</table>"] if rows else []


def _row(part: str, said: Told) -> str:
    kind = "name explored" if said.explored else "name"
    unit = f" {said.unit}" if said.unit else ""
    explored = ' <span class="quiet">explored</span>' if said.explored else ""
    comment = escape(said.comment.partition("\n")[0])
    return (
        f'<tr><td class="{kind}">{escape(part)}</td>'
        f'<td><span class="value">{escape(said.value + unit)}</span>{explored}</td>'
        f'<td class="quiet">{comment}</td></tr>'
    )
