"""Figures of matplotlib's and Bokeh's: what they look like, not how they were made."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

from simkit.declare.plugins import Codec, Parts
from simkit.declare.reflection import module_of
from simkit.values.pictures import Picture
from simkit.values.registry import attributes_of

_LARGE = 300_000  # bytes from which on an SVG has so many marks that pixels are smaller
_DPI = 150


def _is_matplotlib(kind: type) -> bool:
    """Whether a class is that of a figure, or of axes, which stand for theirs."""
    import matplotlib.axes
    import matplotlib.figure

    return issubclass(kind, (matplotlib.figure.Figure, matplotlib.axes.Axes))


def _of_matplotlib(thing: Any) -> Parts:
    """An SVG with outlines for letters, which looks alike everywhere; a PNG where that is large."""
    import matplotlib as mpl

    figure = getattr(thing, "figure", None) or thing
    title = figure.get_suptitle() or next((axes.get_title() for axes in figure.axes if axes.get_title()), "")
    stream = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "simkit"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    if stream.tell() <= _LARGE:
        return _parts("svg", stream.getvalue(), title)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI, metadata={"Software": None})
    return _parts("png", stream.getvalue(), title)


def _is_bokeh(kind: type) -> bool:
    from bokeh.models import LayoutDOM

    return issubclass(kind, LayoutDOM)


def _of_bokeh(thing: Any) -> Parts:
    from bokeh.embed import json_item

    title = getattr(getattr(thing, "title", None), "text", "") or ""
    return _parts("bokeh", json.dumps(json_item(thing)).encode(), str(title))


def _parts(kind: str, data: bytes, title: str) -> Parts:
    return Parts({"data": data, "title": title}, attributes_of(kind=kind), {"class": f"figure as {kind}"})


def _back(parts: Mapping[str, Any], facts: Mapping[str, Any]) -> Picture:
    return Picture(facts["kind"], parts["data"], parts["title"])


CODECS = (
    Codec(
        "matplotlib.Figure",
        lambda kind: module_of(kind).startswith("matplotlib") and _is_matplotlib(kind),
        _of_matplotlib,
        _back,
    ),
    Codec(
        "bokeh.Figure", lambda kind: module_of(kind).startswith("bokeh") and _is_bokeh(kind), _of_bokeh, _back
    ),
)
