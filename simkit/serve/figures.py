"""Which figures does a trajectory have, of what, and which runs lie in a box that was drawn on one?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from simkit.analyse import bokeh
from simkit.analyse.bokeh import DARK, LIGHT, Theme
from simkit.analyse.spread import MOST_CURVES, MOST_PARTS, Labelled, Span, Spread, averaged, sampled
from simkit.declare.forms import Array, Index
from simkit.errors import SimkitError
from simkit.serve.reading import Field, PageAxis, Reading

THEMES: Mapping[str, Theme] = {"light": LIGHT, "dark": DARK}
_MOST_LINES = 60
_MOST_COORDINATES = 10
_PRINTED = 200  # values along an axis of a figure in a report
_TRUTH = ("false", "true")
AT = "at."  # what begins the key that fixes an axis in an address: ``at.weight=3``


@attrs.frozen
class Choice:
    """What the figures of a trajectory show.

    Attributes
    ----------
    where
        Only runs that match this condition.
    z
        The result; empty where no result is a number.
    x, hue, y
        The axes across, of the lines, and up in the heatmap; empty where there is none.
    fixed
        The other axes' values, as places among them; None averages over all.
    a, b
        The columns of the scatter plot.
    """

    where: str
    z: str
    x: str
    hue: str
    y: str
    fixed: Mapping[str, int | None]
    a: str
    b: str

    def kinds(self, reading: Reading) -> list[str]:
        """The figures that there are, the most telling first."""
        has_axes = bool(self.z and self.x) and reading.is_grid and reading.field(self.z).is_number
        kinds = ["line"] * has_axes + ["heatmap"] * (has_axes and bool(self.y))
        kinds += ["scatter"] * bool(self.a and self.b and self.a != self.b)
        kinds += ["histogram"] * bool(self.z)
        return kinds + ["parallel"] * (len(coordinates(reading, self)) > 2)

    def query(self) -> dict[str, str]:
        """The address of these figures."""
        texts = {
            "where": self.where,
            "z": self.z,
            "x": self.x,
            "hue": self.hue,
            "y": self.y,
            "a": self.a,
            "b": self.b,
        }
        fixed = {f"{AT}{name}": "" if place is None else str(place) for name, place in self.fixed.items()}
        return {**texts, **fixed}


def measures(reading: Reading) -> list[str]:
    """The results that are numbers."""
    names = [name for name in reading.results if reading.columns[name]]
    return [*names, "seconds"] if "seconds" not in names else names


def chosen(reading: Reading, query: Mapping[str, str]) -> Choice:
    """What an address asks for; what it leaves open is chosen by the number and kind of the axes.

    Raises
    ------
    SimkitError
        For a name that there is not.
    """
    axes = reading.axes
    across = sorted(
        axes.values(), key=lambda axis: (axis.told.is_numeric, len(axis.told.values)), reverse=True
    )
    x = _pick(reading, query, "x", list(axes), across[0].name if across else "")
    rest = [axis for axis in across if axis.name != x]
    few = [axis for axis in rest if 1 < len(axis.told.values) <= MOST_PARTS]
    words_first = sorted(few, key=lambda axis: (axis.told.is_numeric, len(axis.told.values)))
    hue = _pick(
        reading, query, "hue", [axis.name for axis in rest], words_first[0].name if words_first else ""
    )
    others = [axis.name for axis in rest if axis.name != hue]
    y = _pick(reading, query, "y", [axis.name for axis in rest], next(iter([*others, hue]), ""))
    known = measures(reading)
    z = _pick(reading, query, "z", known, known[0])
    columns = [*reading.columns, "seconds"]
    a = _pick(reading, query, "a", columns, x if not reading.is_grid and x else z)
    b = _pick(reading, query, "b", columns, z if a != z else next((n for n in known if n != a), ""))
    fixed = {axis.name: _place(query, axis) for axis in rest}
    return Choice(query.get("where", "").strip(), z, x, hue, y, fixed, a, b)


def _pick(reading: Reading, query: Mapping[str, str], key: str, known: Sequence[str], default: str) -> str:
    """The name that an address gives, which may be none, or the default."""
    name = query.get(key, default)
    return reading.checked(name, known) if name else ""


def _place(query: Mapping[str, str], axis: PageAxis) -> int | None:
    text = query.get(f"{AT}{axis.name}")
    if text == "":
        return None
    n = len(axis.told.values)
    return int(text) % n if text and text.isdecimal() else n // 2


def coordinates(reading: Reading, choice: Choice) -> list[str]:
    """The names of the parallel coordinates."""
    results = [name for name in reading.results if reading.columns[name]]
    explored = [
        name for name, axis in reading.axes.items() if axis.told.is_numeric or len(axis.told.values) <= 100
    ]
    names = [*explored, *results]
    if choice.z and choice.z not in names[:_MOST_COORDINATES]:
        names.insert(0, choice.z)
    return names[:_MOST_COORDINATES]


def drawn(reading: Reading, choice: Choice, kind: str, theme: Theme, *, small: bool = False) -> Any:
    """One figure; ``small``: with no more values along an axis than a printed page shows.

    Raises
    ------
    SimkitError
        Where there is none of this kind, or a condition can't be read.
    """
    if kind not in choice.kinds(reading):
        msg = f"{reading.name} has no figure {kind!r}: {', '.join(choice.kinds(reading)) or 'none'}"
        raise SimkitError(msg)
    chosen_runs = reading.matching(choice.where)
    if kind in ("line", "heatmap"):
        spread = _spread(reading, choice, (choice.x, choice.hue if kind == "line" else choice.y), chosen_runs)
        return getattr(bokeh, kind)(_thinned(spread) if small else spread, theme)
    if kind == "scatter":
        across, up = (reading.field(name) for name in (choice.a, choice.b))
        rows, title = _some(chosen_runs, (across, up), bokeh.MOST_POINTS)
        return bokeh.scatter(across.at(rows), up.at(rows), rows, theme, title=title)
    rows = np.flatnonzero(chosen_runs)
    if kind == "histogram":
        return bokeh.histogram(reading.field(choice.z).at(rows), theme=theme)
    return _parallel(reading, choice, chosen_runs, theme)


def _thinned(spread: Spread) -> Spread:
    """Some of the values along each axis, evenly spread."""
    kept = [np.linspace(0, n - 1, min(n, _PRINTED)).astype(np.int64) for n in spread.mean.shape]
    over = tuple(
        attrs.evolve(told, values=told.values[places]) for told, places in zip(spread.over, kept, strict=True)
    )
    mean, deviation, count = (array[np.ix_(*kept)] for array in (spread.mean, spread.deviation, spread.count))
    return Spread(spread.label, over, mean, deviation, count)


def _some(chosen_runs: Array, fields: Sequence[Field], most: int) -> tuple[Index, str]:
    """Runs that have a value in each of these columns, a sample of them where they are many; how many these are."""
    for field in fields:
        chosen_runs = chosen_runs & (np.isfinite(field.values) if field.is_number else field.values >= 0)
    rows = np.flatnonzero(chosen_runs)
    part = rows[sampled(len(rows), most)]
    return part, f"{len(part):,} of {len(rows):,} runs" if len(part) < len(rows) else ""


def _parallel(reading: Reading, choice: Choice, chosen_runs: Array, theme: Theme) -> Any:
    names = coordinates(reading, choice)
    fields = [reading.field(name) for name in names]
    part, title = _some(chosen_runs, fields, MOST_CURVES)
    spans = [_span(field) for field in fields]
    columns = [_worded(field.at(part), field.kind) for field in fields]
    return bokeh.parallel(
        columns, names.index(choice.z) if choice.z in names else -1, theme, spans=spans, title=title
    )


def _worded(column: Labelled, kind: str) -> Labelled:
    """A column without gaps, truth values as words."""
    if kind != "bool":
        return column
    return attrs.evolve(column, values=np.array(_TRUTH, object)[column.values.astype(np.int8)])


def _span(field: Field) -> Span:
    """That of all runs, so that an axis stays what it is when runs are chosen."""
    if field.kind == "bool":
        return Span(0.0, 1.0, _TRUTH)
    if not field.is_number:
        return Span.of(Labelled(field.name, "", np.array(field.words, object)))
    return Span.of(Labelled(field.name, "", field.values))


def _spread(reading: Reading, choice: Choice, over: tuple[str, str], chosen_runs: Array) -> Spread:
    """Means over the runs that agree in the axes of a figure, the others fixed."""
    names = [name for name in over if name]
    for name, place in choice.fixed.items():
        if name not in names and place is not None:
            chosen_runs = chosen_runs & (reading.axes[name].codes == place)
    rows = np.flatnonzero(chosen_runs)
    field = reading.field(choice.z)
    if not field.is_number:
        msg = f"{choice.z} is no number in every run"
        raise SimkitError(msg)
    values = field.values[rows]
    parts = [_used(reading.axes[name], rows[np.isfinite(values)], rows) for name in names]
    most = [None, _MOST_LINES] if len(over) > 1 else [None]
    if over[1] == choice.hue and len(parts) > 1 and len(parts[1][0].values) > (most[1] or 0):
        values, parts = _fewer(values, parts)
    return averaged(values, field.label, parts)


def _used(axis: PageAxis, present: Index, rows: Index) -> tuple[Labelled, Index]:
    """The values of an axis that occur among runs that have a result, and which of them each run has."""
    n = len(axis.told.values)
    there = np.zeros(n, bool)
    there[axis.codes[present]] = True
    if not there.any():
        there[:] = True
    place = np.cumsum(there) - 1
    told = attrs.evolve(axis.told, values=axis.told.values[there])
    return _worded(told, axis.kind), place[axis.codes[rows]]


def _fewer(values: Array, parts: list[tuple[Labelled, Index]]) -> tuple[Array, list[tuple[Labelled, Index]]]:
    """Some of the lines, spread evenly, where there are more than anybody can tell apart."""
    told, codes = parts[1]
    kept = np.linspace(0, len(told.values) - 1, _MOST_LINES).astype(np.int64)
    rows = np.isin(codes, kept)
    lines = attrs.evolve(told, values=told.values[kept])
    return values[rows], [(parts[0][0], parts[0][1][rows]), (lines, np.searchsorted(kept, codes[rows]))]


def condition(reading: Reading, choice: Choice, kind: str, box: tuple[float, float, float, float]) -> str:
    """The condition that selects the runs in a box ``(x0, x1, y0, y1)`` on a figure; empty where it holds none."""
    x0, x1, y0, y1 = box
    if kind == "parallel":
        names = coordinates(reading, choice)
        inside = [name for place, name in enumerate(names) if x0 <= place <= x1]
        return " and ".join(filter(None, (_between(reading.field(name), (y0, y1), True) for name in inside)))
    pairs = [(reading.field(choice.a), (x0, x1)), (reading.field(choice.b), (y0, y1))]
    return " and ".join(filter(None, (_between(field, ends, False) for field, ends in pairs)))


def _between(field: Field, ends: tuple[float, float], is_height: bool) -> str:
    """The values of a column between two places on its axis."""
    span = _span(field)
    low, high = sorted(span.value(end) for end in ends) if is_height else sorted(ends)
    if not field.is_number:
        words = [text for place, text in enumerate(field.words) if low <= place <= high]
        return f"{field.name} in {words!r}" if words else ""
    if field.kind == "bool":
        values = [text for value, text in ((0, "False"), (1, "True")) if low <= value <= high]
        return f"{field.name} == {values[0]}" if len(values) == 1 else ""
    if low <= span.low and high >= span.high:
        return ""
    return f"{float(f'{low:.5g}')!r} <= {field.name} <= {float(f'{high:.5g}')!r}"
