"""A trajectory at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simkit.analyse.edit import state_of_summary
from simkit.record.continuing import tally
from simkit.record.recorded import Recorded
from simkit.record.summary import read_links, remarks_on
from simkit.values.columns import Column, Leaf, Ragged
from simkit.values.decode import decode

if TYPE_CHECKING:
    from simkit.analyse.trajectory import Trajectory

_MOST, _FEW = 12, 5


def summary(trajectory: Trajectory, recorded: Recorded, path: str) -> str:
    """A few lines: how many runs, what was explored, what was found."""
    counts = tally(trajectory._run_column("status"))
    states = ", ".join(f"{count} {word}" for word, count in counts.items())
    runs = "1 run" if len(trajectory) == 1 else f"{len(trajectory)} runs"
    lines = [f"<Trajectory {trajectory.name}: {runs}, {states or 'none'}>"]
    for section in ("parameters", "results", "summary"):
        names = recorded.names(section)
        remark = state_of_summary(recorded) if section == "summary" else ""
        if names or remark:
            lines.append(f"  {section}{f'   ({remark})' if remark else ''}")
            width = max((len(name) for name in names[:_MOST]), default=0)
            tell = told_derived if section == "summary" else told
            lines += [f"    {name:<{width}}  {tell(recorded, name)}" for name in names[:_MOST]]
            lines += [f"    … and {len(names) - _MOST} more"] * (len(names) > _MOST)
    return "\n".join([*lines, *_additions(recorded), f"  {path}"])


def _additions(recorded: Recorded) -> list[str]:
    """The newest notes on the trajectory, and the links."""
    remarks, links = remarks_on(recorded.root, ""), read_links(recorded.root)
    lines = ["  notes"] * bool(remarks)
    lines += [f"    … {len(remarks) - _FEW} older"] * (len(remarks) > _FEW)
    lines += [f"    {_line(text)}" for text in remarks[-_FEW:]]
    return lines + [f"  links\n    {_line(', '.join(links))}"] * bool(links)


def told(recorded: Recorded, name: str) -> str:
    """One name's type or value, unit and comment."""
    about = recorded.about(name)
    unit = f" {about.unit}" if about.unit else ""
    comment = f"   {about.comment.splitlines()[0]}" if about.comment else ""
    if about.constant:
        return f"= {_short(decode(recorded.constant(name))[0])}{unit}{comment}"
    kind = recorded.kind(name)
    return f"{kind}{unit}{', explored' if about.explored else ''}{comment}"


def told_derived(recorded: Recorded, name: str) -> str:
    """One derived value: itself, or its type and shape where it is an array."""
    value = decode(recorded.derived(name))[0]
    if isinstance(value, np.ndarray) and value.size > 6:
        return f"array {value.dtype} {value.shape}"
    return f"= {_short(value.item() if isinstance(value, np.generic) else value)}"


def _short(value: Any) -> str:
    return _line(repr(value))


def _line(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 60 else f"{words[:57]}…"


def shape_of(column: Column) -> str:
    """One run's value in a few words: its type, and the shape of an array."""
    parts: list[Any] = [node for _, node in column.variants]
    if len(parts) == 1 and isinstance(parts[0], Leaf) and parts[0].shape:
        return f"{parts[0].type} {parts[0].dtype} {parts[0].shape}"
    if len(parts) == 1 and isinstance(parts[0], Ragged) and parts[0].type == "array":
        return f"array {parts[0].dtype} {tuple(parts[0].shapes[0].tolist())}"
    return parts[0].type if parts else "absent"
