"""A trajectory at a glance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from simkit.analyse.freshness import state_of_summary
from simkit.errors import shown_path
from simkit.record.continuing import tally
from simkit.record.summary import read_links, remarks_on
from simkit.values.decode import ABSENT, decode

if TYPE_CHECKING:
    from simkit.analyse.trajectory import Trajectory
    from simkit.record.recorded import Recorded

_MOST, _FEW = 12, 5
_WIDTH = 60  # of a value, in characters
_MOST_CELLS = 6
SECTIONS = ("parameters", "results", "summary")


@attrs.frozen
class Told:
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


def summary(trajectory: Trajectory) -> str:
    """A few lines: how many runs, what was explored, what was found."""
    recorded = trajectory._recorded
    lines = [f"<Trajectory {headline(trajectory)}>"]
    for section in SECTIONS:
        names = trajectory.names(section)
        remark = state_of_summary(recorded) if section == "summary" else ""
        if names or remark:
            lines.append(f"  {section}{f'   ({remark})' if remark else ''}")
            tell = told_derived if section == "summary" else told
            lines += ["  " + line for line in aligned(names, partial(tell, recorded))]
    return "\n".join([*lines, *_additions(recorded), f"  {shown_path(trajectory.path)}"])


def headline(trajectory: Trajectory) -> str:
    """``multiply: 12 runs, 11 done, 1 failed``."""
    counts = tally(trajectory._run_column("status"))
    states = ", ".join(f"{count} {word}" for word, count in counts.items())
    runs = "1 run" if len(trajectory) == 1 else f"{len(trajectory)} runs"
    return f"{trajectory.name}: {runs}, {states or 'none'}"


def aligned(names: Sequence[str], tell: Callable[[str], Told]) -> list[str]:
    """A line per name, what is told of it in one column."""
    width = max(map(len, names[:_MOST]), default=0)
    lines = [f"  {name:<{width}}  {tell(name)}".rstrip() for name in names[:_MOST]]
    return lines + [f"  … and {len(names) - _MOST} more"] * (len(names) > _MOST)


def told(recorded: Recorded, name: str) -> Told:
    """A recorded name: a constant's value or a column's type, unit and comment."""
    about = recorded.about(name)
    if not about.constant:
        return Told(recorded.kind(name), about.unit, about.comment, about.explored)
    value = decode(recorded.constant(name))[0]
    unit = "" if has_unit(value) else about.unit
    return Told(f"= {briefly(value)}", unit, about.comment)


def _additions(recorded: Recorded) -> list[str]:
    """The newest notes on the trajectory, and the links."""
    remarks, links = remarks_on(recorded.root, ""), read_links(recorded.root)
    lines = ["  notes"] * bool(remarks)
    lines += [f"    … {len(remarks) - _FEW} older"] * (len(remarks) > _FEW)
    lines += [f"    {_cut(text)}" for text in remarks[-_FEW:]]
    return lines + [f"  links\n    {_cut(', '.join(links))}"] * bool(links)


def told_derived(recorded: Recorded, name: str) -> Told:
    """A derived value."""
    value = decode(recorded.derived(name))[0]
    is_large = isinstance(value, np.ndarray) and value.size > _MOST_CELLS
    return Told(briefly(value) if is_large else f"= {briefly(value)}")


def told_of_run(recorded: Recorded, name: str, value: Any) -> Told:
    """A name's value in one run."""
    about = recorded.about(name)
    if value is ABSENT:
        return Told("absent", "", about.comment)
    return Told(briefly(value), "" if has_unit(value) else about.unit, about.comment)


def has_unit(value: Any) -> bool:
    """Whether a value is a quantity, which shows its unit itself: Brian2's, pint's or astropy's."""
    return any(hasattr(value, name) for name in ("dim", "units", "unit"))


def briefly(value: Any) -> str:
    """A value on one line: large ones by their type and shape."""
    shape = getattr(value, "shape", ())
    if shape and (not isinstance(value, np.ndarray) or value.size > _MOST_CELLS):
        dtype = f"{value.dtype} " if isinstance(value, np.ndarray) else ""
        return f"{type(value).__name__.removeprefix('nd')} {dtype}{shape}"
    plain = value.item() if shape == () and hasattr(value, "item") and not has_unit(value) else value
    return _cut(repr(plain))


def _cut(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _WIDTH else words[: _WIDTH - 1] + "…"
