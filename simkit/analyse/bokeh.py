"""Figures drawn with Bokeh: in a notebook, on the page, and in a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from simkit.analyse.spread import (
    MOST_CURVES,
    MOST_PARTS,
    MOST_TICKS,
    Bars,
    Labelled,
    Scale,
    Span,
    Spread,
    sampled,
    word,
)
from simkit.declare.forms import Array
from simkit.errors import SimkitError

try:
    from bokeh.models import (
        BasicTickFormatter,
        ColorBar,
        ColumnDataSource,
        FixedTicker,
        HoverTool,
        Image,
        Legend,
        LegendItem,
        LinearColorMapper,
        LogColorMapper,
        MultiLine,
        Quad,
        Range1d,
        Scatter,
        Segment,
        Text,
    )
    from bokeh.palettes import Viridis256
    from bokeh.plotting import figure as new_figure
except ImportError:
    msg = 'Bokeh draws these figures: pip install "simkit[page]"'
    raise SimkitError(msg) from None

MOST_POINTS = 5_000  # of a scatter plot: more are drawn as a sample
_TOLD = 2_500  # cells of a heatmap whose own values are told under the mouse, not the mouse's
_TOOLS = "pan,box_zoom,wheel_zoom,reset"


@attrs.frozen
class Theme:
    """The colours of a figure.

    Attributes
    ----------
    ink, quiet, grid, paper
        Of text, of what stands back, of grid lines, and of the ground.
    lines
        Of lines that are told apart.
    scale
        Of numbers: what of viridis can be seen on the paper.
    """

    ink: str
    quiet: str
    grid: str
    paper: str
    lines: tuple[str, ...]
    scale: tuple[str, ...]


LIGHT = Theme(
    "#1f2328", "#59636e", "#d8dee4", "#ffffff",
    ("#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#0f7c8a", "#bf3989", "#57606a", "#bc4c00", "#1f2328"),
    tuple(Viridis256[:240]),
)  # fmt: skip
DARK = Theme(
    "#e6edf3", "#9198a1", "#3d444d", "#151b23",
    ("#58a6ff", "#ff7b72", "#3fb950", "#d29922", "#bc8cff", "#39c5cf", "#ff7eb6", "#9198a1", "#ffa657", "#e6edf3"),
    tuple(Viridis256[70:]),
)  # fmt: skip


def line(spread: Spread, theme: Theme = LIGHT, *, title: str = "", height: int = 340) -> Any:
    """A result over a parameter, a line for each value of a second one, with bars of one standard deviation.

    Parameters
    ----------
    spread
        Means over the runs that share their values, of one or two parameters.

    Returns
    -------
    bokeh.plotting.figure
        The drawn lines, with their bars.
    """
    across = Scale(spread.over[0])
    trials = int(spread.count.max(initial=0))
    label = f"{spread.label}, mean ± s.d. of {trials} runs" if trials > 1 else spread.label
    drawn = styled(theme, title, height, x_axis_type="log" if across.is_log else "linear")
    second = spread.over[1] if len(spread.over) > 1 else None
    texts = [""] if second is None else [plain(word(value)) for value in second.values.tolist()]
    curves = _curves(drawn, spread, across, texts, _line_colours(second, theme))
    _label_axis(drawn.xaxis, across)
    drawn.yaxis.axis_label = plain(label)
    if second is not None and len(texts) > MOST_PARTS:
        values = second.values if second.is_numeric else np.arange(len(texts))
        _colour_bar(drawn, _mapper(values, theme), second.label, theme)
    elif second is not None:
        items = [LegendItem(label=text, renderers=[curves], index=i) for i, text in enumerate(texts)]
        drawn.add_layout(_legend(items, plain(second.name), theme), "right")  # beside the data
    return drawn


def _curves(drawn: Any, spread: Spread, across: Scale, texts: list[str], colours: list[str]) -> Any:
    """Lines, bars and points: three glyphs, however many lines there are, since every model of Bokeh's costs time."""
    n = len(texts)
    mean, deviation, count = (array.reshape(-1, n) for array in (spread.mean, spread.deviation, spread.count))
    line, place = np.nonzero(count.T > 0)
    y, spreads = mean[place, line], np.nan_to_num(deviation[place, line])
    told = [plain(word(value)) for value in across.told.values.tolist()]
    x = across.centres.astype(float)[place]
    points = {
        "x": x, "y": y, "low": y - spreads, "high": y + spreads, "deviation": spreads, "count": count[place, line],
        "word": [told[i] for i in place.tolist()], "line": [texts[i] for i in line.tolist()],
        "colour": [colours[i] for i in line.tolist()],
    }  # fmt: skip
    lines = {
        "xs": [x[line == i] for i in range(n)],
        "ys": [y[line == i] for i in range(n)],
        "colour": colours,
    }
    source = ColumnDataSource(points, name="points")
    if (spreads > 0).any():
        drawn.add_glyph(
            source,
            Segment(x0="x", y0="low", x1="x", y1="high", line_color="colour", line_alpha=0.6, line_width=2),
        )
    curve = MultiLine(xs="xs", ys="ys", line_color="colour", line_width=1.5)
    curves = drawn.add_glyph(ColumnDataSource(lines, name="lines"), curve)
    mark = drawn.add_glyph(source, Scatter(x="x", y="y", size=5, fill_color="colour", line_color="colour"))
    name = spread.label.partition(":")[0].partition(" [")[0]
    bars = [("s.d.", "@deviation"), ("runs", "@count")] if int(count.max(initial=0)) > 1 else []
    which = [(spread.over[1].name, "@line")] if len(spread.over) > 1 else []
    _hover(drawn, [*which, (across.told.name, "@word"), (name, "@y"), *bars], mark)
    return curves


def _hover(drawn: Any, tips: list[tuple[str, str]], *renderers: Any) -> None:
    """Tell of what lies under the mouse."""
    chosen = {"renderers": list(renderers)} if renderers else {}
    drawn.add_tools(HoverTool(tooltips=[(plain(key), text) for key, text in tips], **chosen))


def _line_colours(second: Labelled | None, theme: Theme) -> list[str]:
    if second is None:
        return [theme.lines[0]]
    n = len(second.values)
    if not second.is_numeric and n <= MOST_PARTS:
        return list(theme.lines[:n])
    values = second.values if second.is_numeric else np.arange(n)
    return _colours(values.astype(float), theme, Scale(second).is_log)


def _colours(values: Array, theme: Theme, is_log: bool = False) -> list[str]:
    """A colour for each number."""
    places = np.log(values) if is_log else values
    span = float(places.max() - places.min()) or 1.0
    ranks = np.round((places - places.min()) / span * (len(theme.scale) - 1)).astype(np.int64)
    return [theme.scale[rank] for rank in ranks.tolist()]


def heatmap(spread: Spread, theme: Theme = LIGHT, *, title: str = "", height: int = 340) -> Any:
    """A result over two parameters as colours; points without a run are left blank.

    Values that are evenly spaced stand on a scale, others one after the other.

    Returns
    -------
    bokeh.plotting.figure
        The drawn image, with its colour bar.
    """
    across, up = (_Cells(labelled) for labelled in spread.over)
    drawn = styled(theme, title, height, x_range=Range1d(*across.ends), y_range=Range1d(*up.ends), margin=0)
    image = np.ascontiguousarray(spread.mean.T, np.float32)
    data: dict[str, Any] = {"image": [image]}
    tips = [(across.name, "$x"), (up.name, "$y")]
    if image.size <= _TOLD:
        data["x"] = [np.broadcast_to(across.words, image.shape).tolist()]
        data["y"] = [np.broadcast_to(up.words[:, None], image.shape).tolist()]
        tips = [(across.name, "@x"), (up.name, "@y")]
    mapper = _mapper(image, theme)
    (left, right), (low, high) = across.ends, up.ends
    picture = Image(image="image", x=left, y=low, dw=right - left, dh=high - low, color_mapper=mapper)
    drawn.add_glyph(ColumnDataSource(data, name="cells"), picture)
    name = spread.label.partition(":")[0].partition(" [")[0]
    _hover(drawn, [*tips, (name, "@image")])
    across.label(drawn.xaxis)
    up.label(drawn.yaxis)
    drawn.grid.visible = False
    trials = int(spread.count.max(initial=0))
    _colour_bar(
        drawn, mapper, f"{spread.label}, mean of {trials} runs" if trials > 1 else spread.label, theme
    )
    return drawn


class _Cells:
    """Where the cells of a heatmap stand along one direction."""

    def __init__(self, told: Labelled) -> None:
        self.told, self.name, n = told, told.name, len(told.values)
        self.words = np.array([plain(word(value)) for value in told.values.tolist()], object)
        steps = np.diff(told.values) if told.is_numeric and n > 1 else np.zeros(0)
        self.is_even = bool(len(steps) and np.allclose(steps, steps.mean(), rtol=1e-3))
        half = float(steps.mean()) / 2 if self.is_even else 0.5
        first, last = (float(told.values[0]), float(told.values[-1])) if self.is_even else (0.0, n - 1.0)
        self.ends = (first - half, last + half)

    def label(self, axis: Any) -> None:
        """Name the axis, and its cells where they stand one after the other."""
        axis.axis_label = plain(self.told.label)
        if not self.is_even:
            _tick(axis, self.words.tolist())


def scatter(
    x: Labelled, y: Labelled, runs: Array, theme: Theme = LIGHT, *, title: str = "", height: int = 340
) -> Any:
    """One column over another, a point per run; a sample of them where they are many.

    Parameters
    ----------
    x, y
        Values of the runs, shape ``(n,)``.
    runs
        Their numbers, shape ``(n,)``.

    Returns
    -------
    bokeh.plotting.figure
        The drawn dots.
    """
    chosen = sampled(len(runs), MOST_POINTS)
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, (2, len(chosen)))  # spreads points that share a word
    drawn = styled(theme, title or _part(len(chosen), len(runs)), height, tools=f"{_TOOLS},box_select,tap")
    across, up = _places(x), _places(y)
    by_key = {key: column.values[chosen] for key, column in (("a", x), ("b", y)) if not column.is_numeric}
    words = {key: [plain(str(text)) for text in values] for key, values in by_key.items()}
    source = ColumnDataSource(
        {
            "x": across[chosen] + noise[0] * (not x.is_numeric),
            "y": up[chosen] + noise[1] * (not y.is_numeric),
            "run": runs[chosen],
            **words,
        },
        name="runs",
    )
    alpha = float(np.clip(300 / max(1, len(chosen)), 0.15, 0.8))
    look = {"fill_color": theme.lines[0], "line_color": None, "fill_alpha": alpha}
    drawn.add_glyph(source, Scatter(x="x", y="y", size=6, **look))
    tips = [
        ("run", "@run"),
        *((plain(c.name), f"@{key if c.is_numeric else w}") for c, key, w in ((x, "x", "a"), (y, "y", "b"))),
    ]
    _hover(drawn, tips)
    for axis, column in ((drawn.xaxis, x), (drawn.yaxis, y)):
        axis.axis_label = plain(column.label)
        if not column.is_numeric:
            _tick(axis, [plain(text) for text in Bars.of(column).words])
    return drawn


def _places(column: Labelled) -> Array:
    """Where runs stand along an axis."""
    return column.values.astype(float) if column.is_numeric else Bars.of(column).places(column)


def histogram(
    column: Labelled,
    parts: Sequence[tuple[str, Labelled]] = (),
    by: str | None = None,
    theme: Theme = LIGHT,
    *,
    title: str = "",
) -> Any:
    """How often values occur: in bins, or each word; of each of the ``parts``, told apart by a legend called ``by``.

    Returns
    -------
    bokeh.plotting.figure
        The drawn bars.
    """
    drawn = styled(theme, title, 340)
    drawn.xaxis.axis_label, drawn.yaxis.axis_label = plain(column.label), "runs"
    bars, told = Bars.of(column), list(parts) or [("", column)]
    if bars.words:
        _tick(drawn.xaxis, [plain(text) for text in bars.words])
    each = bars.beside([part for _, part in told])
    which = {"part": [plain(text) for text, _ in told], "colour": theme.lines[: len(told)]}
    each |= {name: np.repeat(values, len(bars.edges) - 1) for name, values in which.items()}
    source = ColumnDataSource(each, name="bins")
    look = {"fill_color": "colour", "line_color": theme.paper}
    drawn_bars = drawn.add_glyph(source, Quad(left="left", right="right", top="count", bottom=0, **look))
    tips = [("from", "@low"), ("to", "@high"), ("runs", "@count")]
    _hover(drawn, tips if by is None else [(by, "@part"), *tips])
    if by is not None:
        firsts = enumerate(range(0, len(each["left"]), len(bars.edges) - 1))
        items = [LegendItem(label=which["part"][i], renderers=[drawn_bars], index=at) for i, at in firsts]
        drawn.add_layout(_legend(items, plain(by), theme), "right")
    drawn.y_range.start = 0
    return drawn


def parallel(
    columns: Sequence[Labelled],
    colour: int = -1,
    theme: Theme = LIGHT,
    *,
    title: str = "",
    spans: Sequence[Span] | None = None,
) -> Any:
    """Parallel coordinates: an axis per column, a curve per run; a sample of them where they are many.

    Parameters
    ----------
    columns
        Values of the runs, shape ``(n,)`` each.
    colour
        Which of the columns colours the curves.
    spans
        What each axis reaches over; by default what its values do.

    Returns
    -------
    bokeh.plotting.figure
        The drawn lines, one for each run.
    """
    n = len(columns[0].values)
    chosen = sampled(n, MOST_CURVES)
    reach = spans or [Span.of(column) for column in columns]
    heights = np.stack([span.heights(column)[chosen] for span, column in zip(reach, columns, strict=True)], 1)
    heights = heights[np.isfinite(heights).all(1)]
    drawn = styled(
        theme, title or _part(len(heights), n), 340, tools="box_select,reset", margin=0,
        x_range=Range1d(-0.4, len(columns) - 0.5), y_range=Range1d(-0.08, 1.16),
    )  # fmt: skip
    curves = {
        "xs": [list(range(len(columns)))] * len(heights),
        "ys": heights.round(4).tolist(),  # finer than any screen
        "height": heights[:, colour],
    }
    source = ColumnDataSource(curves, name="runs")
    scale = LinearColorMapper(theme.scale, low=0, high=1)
    alpha = float(np.clip(180 / max(1, len(heights)), 0.15, 0.8))
    look = {"line_color": {"field": "height", "transform": scale}, "line_alpha": alpha}
    curve = MultiLine(xs="xs", ys="ys", line_width=1, **look)  # thicker lines take a browser thrice as long
    drawn.add_glyph(source, curve, nonselection_glyph=None)
    _parallel_axes(drawn, reach, [plain(column.name) for column in columns], theme)
    drawn.axis.visible = False
    drawn.grid.visible = False
    return drawn


def _parallel_axes(drawn: Any, spans: Sequence[Span], names: list[str], theme: Theme) -> None:
    """A line, a name and a few values for each column."""
    places = list(range(len(names)))
    zeros, ones = [0.0] * len(names), [1.0] * len(names)
    axes = ColumnDataSource(
        {"x": places, "low": zeros, "high": ones, "top": [1.06] * len(names), "name": names}
    )
    ticks = [
        (place, height, plain(text)) for place, span in enumerate(spans) for height, text in span.ticks()
    ]
    values = ColumnDataSource(dict(zip(("x", "y", "text"), map(list, zip(*ticks, strict=True)), strict=True)))
    drawn.add_glyph(axes, Segment(x0="x", y0="low", x1="x", y1="high", line_color=theme.quiet))
    head = {"text_align": "center", "text_color": theme.ink, "text_font_size": "11px"}
    drawn.add_glyph(axes, Text(x="x", y="top", text="name", **head))
    ground = {"background_fill_color": theme.paper, "background_fill_alpha": 0.9}
    look = {"text_baseline": "middle", "text_color": theme.ink, "text_font_size": "10px", **ground}
    drawn.add_glyph(values, Text(x="x", y="y", text="text", x_offset=5, **look))


def _part(shown: int, n: int) -> str:
    return f"{shown:,} of {n:,} runs" if shown < n else ""


def plain(text: str) -> str:
    """A text that Bokeh takes for text: what it would set as a formula is broken up."""
    for mark in ("$$", r"\(", r"\)", r"\[", r"\]"):
        text = text.replace(mark, f"{mark[0]}\u2060{mark[1]}")
    return "".join(c if c.isprintable() else " " for c in text)


def styled(
    theme: Theme, title: str, height: int, *, tools: str = _TOOLS, margin: float = 0.05, **settings: Any
) -> Any:
    """An empty figure in the colours of a theme, as wide as there is room."""
    drawn = new_figure(height=height, sizing_mode="stretch_width", tools=tools, **settings)
    drawn.toolbar.logo = None
    drawn.toolbar.autohide = True
    drawn.title.text = plain(title)
    drawn.title.text_color, drawn.title.text_font_style, drawn.title.text_font_size = (
        theme.quiet,
        "normal",
        "12px",
    )
    drawn.background_fill_color = drawn.border_fill_color = theme.paper
    drawn.outline_line_color = None
    drawn.grid.grid_line_color = theme.grid
    for axis in (drawn.xaxis, drawn.yaxis):
        axis.axis_label_text_color = theme.ink
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = axis.major_label_text_font_size = "12px"
        axis.major_label_text_color = theme.quiet
        axis.axis_line_color = axis.major_tick_line_color = theme.quiet
        axis.minor_tick_line_color = None
        if isinstance(axis[0].formatter, BasicTickFormatter):
            axis.formatter.power_limit_low = -5
    return drawn


def _label_axis(axis: Any, scale: Scale) -> None:
    axis.axis_label = plain(scale.told.label)
    if not scale.is_scale:
        _tick(axis, [plain(word(value)) for value in scale.told.values.tolist()])


def _tick(axis: Any, words: Sequence[str]) -> None:
    """Words at the places 0, 1, …; where they are too many only some of them."""
    step = -(-len(words) // MOST_TICKS)
    axis.ticker = FixedTicker(ticks=list(range(0, len(words), step)), minor_ticks=[])
    axis.major_label_overrides = {place: words[place][:24] for place in range(0, len(words), step)}


def _mapper(values: Array, theme: Theme) -> Any:
    there = values[np.isfinite(values)]
    low, high = (float(there.min()), float(there.max())) if there.size else (0.0, 1.0)
    is_log = values.ndim == 1 and Scale(Labelled("", "", values)).is_log
    palette = theme.scale if values.ndim == 1 else Viridis256
    limits = {"low": low, "high": high if high > low else low + 1}
    make = LogColorMapper if is_log else LinearColorMapper
    return make(palette, **limits, nan_color="rgba(0, 0, 0, 0)", name="colour")


def _colour_bar(drawn: Any, mapper: Any, label: str, theme: Theme) -> None:
    bar = ColorBar(
        color_mapper=mapper, width=10, title=plain(label), title_text_color=theme.ink, title_text_font_size="12px",
        title_text_font_style="normal", major_label_text_color=theme.quiet, background_fill_color=None,
        major_tick_line_color=None,
    )  # fmt: skip
    drawn.add_layout(bar, "right")


def _legend(items: list[Any], title: str, theme: Theme) -> Any:
    font = {"label_text_font_size": "11px", "title_text_font_size": "11px", "title_text_font_style": "normal"}
    ink = {"label_text_color": theme.ink, "title_text_color": theme.ink}
    ground = {"background_fill_color": theme.paper, "background_fill_alpha": 0.7, "border_line_color": None}
    room = {"location": "top_left", "spacing": 0, "padding": 4, "glyph_height": 14}
    return Legend(items=items, title=title, **font, **ink, **ground, **room)
