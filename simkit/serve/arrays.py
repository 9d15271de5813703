"""How does an array, a table or a record of one run look?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from simkit.analyse.bokeh import Theme, plain, styled
from simkit.declare.forms import Array
from simkit.errors import SimkitError

_MOST_POINTS = 4_000  # of a line, and of a raster
_MOST_SIDE = 500  # of an image
_MOST_LINES = 8
_TOLD = 6  # numbers that a line of text tells
_HEIGHT = 220


@attrs.frozen(eq=False)
class NumberArray:
    """An array of real numbers along one direction or two, and the unit that they are in."""

    values: Array
    unit: str

    def label(self, name: str) -> str:
        """What stands beside an axis."""
        return plain(f"{name} [{self.unit}]" if self.unit else name)


def is_drawable(value: Any) -> bool:
    """Whether a value has a picture: it has more numbers than a line of text tells."""
    return bool(_arrays(value))


def picture(value: Any, label: str, theme: Theme, *, height: int = _HEIGHT) -> Any:
    """A figure of a value: a line, lines over the record's own time, a raster of events, an image.

    Raises
    ------
    SimkitError
        Where it has no picture.
    """
    from bokeh.models import ColumnDataSource

    arrays = _arrays(value)
    if not arrays:
        msg = f"{label} is no array of numbers that has a picture"
        raise SimkitError(msg)
    drawn = styled(theme, "", height)
    drawn.yaxis.axis_label = plain(label)
    if "t" in arrays and "i" in arrays and len(arrays["t"].values) == len(arrays["i"].values):
        t, i = arrays["t"].values, arrays["i"].values
        rows = _every(len(t))
        source = ColumnDataSource({"t": t[rows], "i": i[rows]}, name="events")
        drawn.scatter("t", "i", source=source, size=2.5, color=theme.ink)
        drawn.xaxis.axis_label = arrays["t"].label("t")
        return drawn
    first = next(iter(arrays.values()))
    if len(arrays) == 1 and first.values.ndim == 2:
        _image(drawn, first.values)
    else:
        _lines(drawn, arrays, label, theme)
    return drawn


def _lines(drawn: Any, arrays: Mapping[str, NumberArray], label: str, theme: Theme) -> None:
    """Each array, or each row of it, over the time or over its own places."""
    from bokeh.models import ColumnDataSource

    time = arrays.get("t")
    shown = {name: numbers for name, numbers in arrays.items() if name != "t" or len(arrays) == 1}
    series = [(name, row) for name, numbers in shown.items() for row in np.atleast_2d(numbers.values)]
    for number, (name, row) in enumerate(series[:_MOST_LINES]):
        places = _every(len(row))
        across = time.values if time is not None and len(time.values) == len(row) else np.arange(len(row))
        source = ColumnDataSource({"x": across[places], "y": row[places]}, name=f"line {number}")
        named = {"legend_label": shown[name].label(name)} if len(shown) > 1 else {}
        drawn.line("x", "y", source=source, color=theme.lines[number % len(theme.lines)], **named)
    drawn.xaxis.axis_label = time.label("t") if time is not None and len(arrays) > 1 else ""
    if len(shown) == 1:
        drawn.yaxis.axis_label = next(iter(shown.values())).label(label)
    if drawn.legend:
        drawn.legend.background_fill_color = theme.paper
        drawn.legend.label_text_color = theme.ink
        drawn.legend.border_line_color = None
        drawn.add_layout(drawn.legend[0], "right")  # beside the data


def _image(drawn: Any, array: Array) -> None:
    """A matrix, its first row on top."""
    from bokeh.models import Range1d

    steps = [-(-side // _MOST_SIDE) for side in array.shape]
    part = array[:: steps[0], :: steps[1]].astype(np.float32)
    rows, columns = array.shape
    drawn.image(image=[part], x=0, y=0, dw=columns, dh=rows, palette="Viridis256")
    drawn.y_range = Range1d(rows, 0)
    drawn.x_range.range_padding = 0
    drawn.grid.visible = False


def _every(n: int) -> Any:
    """Some of so many places, evenly spread."""
    return slice(None, None, -(-n // _MOST_POINTS) or 1)


def _arrays(value: Any) -> dict[str, NumberArray]:
    """The arrays of numbers in a value that can be drawn together, by name; empty where there are none."""
    parts = {name: numbers for name, part in _parts(value) if (numbers := _numbers(part)) is not None}
    if "t" in parts and parts["t"].values.ndim == 1:
        n = len(parts["t"].values)
        over_time = {name: numbers for name, numbers in parts.items() if numbers.values.shape[-1] == n}
        if len(over_time) > 1:
            return over_time
    parts = {name: numbers for name, numbers in parts.items() if numbers.values.size > _TOLD}
    return dict(list(parts.items())[:1]) if len({part.values.shape for part in parts.values()}) > 1 else parts


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a record, mapping or table holds, by name; anything else by itself."""
    names = [] if isinstance(value, (np.ndarray, str, bytes, list, tuple)) else _names(value)
    yield from ((name, value[name]) for name in names)
    if not names:
        yield "", value


def _names(value: Any) -> list[str]:
    """The names that a value is made of; none where it has no parts."""
    try:
        names = list(value)
    except TypeError:  # a number
        return []
    return names if hasattr(value, "__getitem__") and all(isinstance(name, str) for name in names) else []


def _numbers(value: Any) -> NumberArray | None:
    """A value as an array of at least two real numbers; what is not finite is missing."""
    if isinstance(value, (str, bytes)) or value is None:
        return None
    unit = str(getattr(value, "units", getattr(value, "unit", "")))
    if hasattr(value, "get_best_unit"):  # Brian2's
        best = value.get_best_unit()
        value, unit = value / best, "" if str(best) == "1" else str(best)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):  # a list of lists of differing lengths
        return None
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2) or array.size < 2:
        return None
    if array.dtype.kind == "f":
        array = np.where(np.isfinite(array), array, np.nan)
    return NumberArray(array.reshape(-1) if min(array.shape) == 1 else array, unit)
