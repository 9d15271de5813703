"""How does an array, a table or a record of one run look?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from simkit.analyse.bokeh import Theme, plain, styled
from simkit.declare.forms import Array
from simkit.errors import SimkitError

_MOST_POINTS = 4_000  # of a line, and of a raster
_MOST_SIDE = 500  # of an image
_MOST_LINES = 8
_HEIGHT = 220


def is_drawable(value: Any) -> bool:
    """Whether a value has a picture."""
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
    if "t" in arrays and "i" in arrays and len(arrays["t"]) == len(arrays["i"]):
        rows = _every(len(arrays["t"]))
        drawn.scatter(
            "t", "i", source=ColumnDataSource({"t": arrays["t"][rows], "i": arrays["i"][rows]}, name="events"),
            size=2.5, color=theme.ink,
        )  # fmt: skip
        drawn.xaxis.axis_label = "t"
        return drawn
    first = next(iter(arrays.values()))
    if len(arrays) == 1 and first.ndim == 2:
        _image(drawn, first)
        return drawn
    _lines(drawn, arrays, theme)
    return drawn


def _lines(drawn: Any, arrays: Mapping[str, Array], theme: Theme) -> None:
    """Each array, or each row of it, over the time or over its own places."""
    from bokeh.models import ColumnDataSource

    time = arrays.get("t")
    series = [(name, row) for name, array in arrays.items() if name != "t" for row in np.atleast_2d(array)]
    for number, (name, row) in enumerate(series[:_MOST_LINES]):
        places = _every(len(row))
        across = time if time is not None and len(time) == len(row) else np.arange(len(row))
        source = ColumnDataSource({"x": across[places], "y": row[places]}, name=f"line {number}")
        many = len({name for name, _ in series}) > 1
        named = {"legend_label": plain(name)} if many else {}
        drawn.line("x", "y", source=source, color=theme.lines[number % len(theme.lines)], **named)
    drawn.xaxis.axis_label = "t" if time is not None else ""
    if drawn.legend:
        drawn.legend.background_fill_color = theme.paper
        drawn.legend.label_text_color = theme.ink
        drawn.legend.border_line_color = None


def _image(drawn: Any, array: Array) -> None:
    """A matrix, its first row on top."""
    steps = [-(-side // _MOST_SIDE) for side in array.shape]
    part = array[:: steps[0], :: steps[1]].astype(np.float32)
    rows, columns = array.shape
    drawn.image(image=[part[::-1].copy()], x=0, y=0, dw=columns, dh=rows, palette="Viridis256")
    drawn.x_range.range_padding = drawn.y_range.range_padding = 0
    drawn.grid.visible = False
    drawn.yaxis.major_label_text_alpha = 0  # rows count from the top


def _every(n: int) -> Any:
    """Some of so many places, evenly spread."""
    return slice(None, None, -(-n // _MOST_POINTS) or 1)


def _arrays(value: Any) -> dict[str, Array]:
    """The arrays of numbers in a value that can be drawn together, by name; empty where there are none."""
    found = {name: array for name, part in _parts(value) if (array := _numbers(part)) is not None}
    if "t" in found and found["t"].ndim == 1:
        n = len(found["t"])
        over_time = {name: array for name, array in found.items() if array.shape[-1] == n and array.ndim <= 2}
        if len(over_time) > 1:
            return over_time
    return dict(list(found.items())[:1]) if len({array.shape for array in found.values()}) > 1 else found


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


def _numbers(value: Any) -> Array | None:
    """A value as an array of at least two real numbers along one direction or two."""
    if isinstance(value, (str, bytes)) or value is None:
        return None
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):  # a list of lists of differing lengths
        return None
    is_drawn = array.dtype.kind in "biuf" and array.ndim in (1, 2) and array.size > 1 and min(array.shape) > 0
    if array.ndim == 2 and min(array.shape) == 1:
        array = array.reshape(-1)
    return array if is_drawn else None
