"""A trajectory at a glance, as text and in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from simkit.errors import TooMuch, shown_path, visible
from simkit.inform.progress import briefly, cut, has_unit
from simkit.record.inspection import unasked
from simkit.values.batch import tally
from simkit.values.decode import ABSENT, decode

if TYPE_CHECKING:
    from simkit.analyse.selection import Selection
    from simkit.record.recorded import Recorded


_MOST, _FEW = 12, 5
_MOST_CELLS = 6
SECTIONS = ("parameters", "results", "summary")


@attrs.frozen
class Unread:
    """Stands for a value that was not read, and says why."""

    why: str

    def __repr__(self) -> str:
        return f"not read: {self.why}"


def glanced(read: Callable[[], Any]) -> Any:
    """A value that nobody asked for by its name, or `Unread` where it takes much more memory than its file."""
    try:
        with unasked():
            return read()
    except TooMuch as error:
        return Unread(str(error).partition(":")[0])


@attrs.frozen
class Caption:
    """One name in a few words.

    Attributes
    ----------
    value
        A constant's value, or the type of what varies.
    """

    value: str = ""
    unit: str = ""
    comment: str = ""
    explored: bool = False

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        comment = f"   {self.comment.splitlines()[0]}" if self.comment else ""
        return f"{self.value}{unit}{', explored' if self.explored else ''}{comment}"


def as_text(selection: Selection) -> str:
    """A few lines: how many runs, what was explored, what was found."""
    recorded = selection.recorded
    lines = [f"<Trajectory {headline(selection)}>"]
    for section in SECTIONS:
        names = recorded.names(section)
        remark = recorded.warning_of_summary if section == "summary" else ""
        if names or remark:
            lines.append(f"  {section}{f'   ({remark})' if remark else ''}")
            lines += ["  " + line for line in aligned(names, _captions(recorded, section))]
    return visible("\n".join([*lines, *_additions(recorded), f"  {shown_path(recorded.path)}"]))


def headline(selection: Selection) -> str:
    """``multiply: 12 runs, 11 done, 1 failed``."""
    counts = tally(selection.run_column("status"))
    states = ", ".join(f"{count} {word}" for word, count in counts.items())
    runs = "1 run" if len(selection) == 1 else f"{len(selection)} runs"
    return f"{selection.recorded.name}: {runs}, {states or 'none'}"


def aligned(names: Sequence[str], caption: Callable[[str], Caption]) -> list[str]:
    """A line per name, what is told of it in one column."""
    width = max(map(len, names[:_MOST]), default=0)
    lines = [f"  {name:<{width}}  {caption(name)}".rstrip() for name in names[:_MOST]]
    return lines + [f"  … and {len(names) - _MOST} more"] * (len(names) > _MOST)


def _captions(recorded: Recorded, section: str) -> Callable[[str], Caption]:
    return partial(caption_of_derived if section == "summary" else caption_of, recorded)


def caption_of(recorded: Recorded, name: str) -> Caption:
    """A recorded name: a constant's value or a column's type, unit and comment."""
    about = recorded.about(name)
    if not about.constant:
        return Caption(recorded.kind(name), about.unit, about.comment, about.explored)
    value = glanced(lambda: decode(recorded.constant(name))[0])
    unit = "" if has_unit(value) else about.unit
    return Caption(f"= {briefly(value)}", unit, about.comment)


def _additions(recorded: Recorded) -> list[str]:
    """The newest notes on the trajectory, and the links."""
    remarks, links = recorded.additions.remarks(), recorded.additions.links()
    lines = ["  notes"] * bool(remarks)
    lines += [f"    … {len(remarks) - _FEW} older"] * (len(remarks) > _FEW)
    lines += [f"    {cut(text)}" for text in remarks[-_FEW:]]
    return lines + [f"  links\n    {cut(', '.join(links))}"] * bool(links)


def caption_of_derived(recorded: Recorded, name: str) -> Caption:
    """A derived value."""
    value = glanced(lambda: decode(recorded.derived(name))[0])
    is_large = isinstance(value, np.ndarray) and value.size > _MOST_CELLS
    return Caption(briefly(value) if is_large else f"= {briefly(value)}")


def caption_of_run(recorded: Recorded, name: str, value: Any) -> Caption:
    """A name's value in one run."""
    about = recorded.about(name)
    if value is ABSENT:
        return Caption("absent", "", about.comment)
    return Caption(briefly(value), "" if has_unit(value) else about.unit, about.comment)


_MOST_SHOWN = 100
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


def as_html(selection: Selection) -> str:
    """The whole trajectory: a tree of parameters, results and summary."""
    recorded, parts = selection.recorded, []
    for section in SECTIONS:
        if names := recorded.names(section):
            inside = tree(names, _captions(recorded, section))
            parts.append(f"<details open><summary>{section} ({len(names)})</summary>{inside}</details>")
    return page(headline(selection), *parts, f'<div class="quiet">{escape(shown_path(recorded.path))}</div>')


def tree(names: Sequence[str], caption: Callable[[str], Caption], prefix: str = "") -> str:
    """The names below a prefix: leaves in a table, groups folded below them, each in its place."""
    parts, rows = [], []
    shown = names[:_MOST_SHOWN]
    for part in dict.fromkeys(name[len(prefix) :].partition(".")[0] for name in shown):
        if prefix + part in shown:
            rows.append(_row(part, caption(prefix + part)))
            continue
        inner = [name for name in shown if name.startswith(f"{prefix}{part}.")]
        parts += _table(rows)
        inside = tree(inner, caption, f"{prefix}{part}.")
        parts.append(
            f'<details open><summary><span class="name">{escape(part)}</span></summary>{inside}</details>'
        )
        rows = []
    parts += _table(rows)
    more = len(names) - len(shown)
    return "".join(parts) + (f'<div class="quiet">… and {more} more</div>' if more else "")


def _table(rows: Sequence[str]) -> list[str]:
    return [f"<table>{''.join(rows)}</table>"] if rows else []


def _row(part: str, caption: Caption) -> str:
    kind = "name explored" if caption.explored else "name"
    unit = f" {caption.unit}" if caption.unit else ""
    explored = ' <span class="quiet">explored</span>' if caption.explored else ""
    comment = escape(caption.comment.partition("\n")[0])
    return (
        f'<tr><td class="{kind}">{escape(part)}</td>'
        f'<td><span class="value">{escape(caption.value + unit)}</span>{explored}</td>'
        f'<td class="quiet">{comment}</td></tr>'
    )
