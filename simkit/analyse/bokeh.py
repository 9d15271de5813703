"""Figures drawn with Bokeh: in a notebook, on the page, and in a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from simkit.analyse.spread import MOST_CURVES, MOST_TICKS, Labelled, Scale, Span, Spread, sampled, word
from simkit.declare.forms import Array
from simkit.errors import SimkitError

try:
    from bokeh.models import (
        BasicTickFormatter,
        ColorBar,
        ColumnDataSource,
        FixedTicker,
        HoverTool,
        LinearColorMapper,
        LogColorMapper,
        Range1d,
    )
    from bokeh.palettes import Viridis256
    from bokeh.plotting import figure as new_figure
except ImportError:
    msg = 'Bokeh draws these figures: pip install "simkit[page]"'
    raise SimkitError(msg) from None

MOST_LINES = 10  # told apart by a legend; more by a colour bar
MOST_POINTS = 10_000  # of a scatter plot: more are drawn as a sample
_BINS = 50
_TOOLS = "pan,box_zoom,wheel_zoom,reset"


@attrs.frozen
class Theme:
    """The colours of a figure: of text, of lines that stand back, of grid lines, of lines that are told apart."""

    ink: str
    quiet: str
    grid: str
    paper: str
    lines: tuple[str, ...]


LIGHT = Theme(
    "#1f2328", "#59636e", "#d8dee4", "#ffffff",
    ("#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#0f7c8a", "#bf3989", "#57606a", "#bc4c00", "#1f2328"),
)  # fmt: skip
DARK = Theme(
    "#e6edf3", "#9198a1", "#3d444d", "#151b23",
    ("#58a6ff", "#ff7b72", "#3fb950", "#d29922", "#bc8cff", "#39c5cf", "#ff7eb6", "#9198a1", "#ffa657", "#e6edf3"),
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
    """
    across = Scale(spread.over[0])
    trials = int(spread.count.max(initial=0))
    label = f"{spread.label}, mean ± s.d. of {trials} runs" if trials > 1 else spread.label
    drawn = styled(theme, title, height, x_axis_type="log" if across.is_log else "linear")
    second = spread.over[1] if len(spread.over) > 1 else None
    words = [""] if second is None else [word(value) for value in second.values.tolist()]
    colours = _line_colours(second, theme)
    for i, (text, colour) in enumerate(zip(words, colours, strict=True)):
        _draw_line(
            drawn, _line_source(spread, across, i, text), text if len(words) <= MOST_LINES else "", colour
        )
    _hover(drawn, [] if second is None else [(second.name, "@line")], across, spread)
    _label_axis(drawn.xaxis, across)
    drawn.yaxis.axis_label = plain(label)
    if second is not None and len(words) > MOST_LINES:
        _colour_bar(
            drawn, _mapper(second.values if second.is_numeric else np.arange(len(words))), second.label, theme
        )
    elif second is not None:
        drawn.legend.title = plain(second.name)
        _style_legend(drawn.legend, theme)
    return drawn


def _line_source(spread: Spread, across: Scale, i: int, text: str) -> Any:
    """One line's points, those that have a run."""
    cells = (slice(None),) if len(spread.over) == 1 else (slice(None), i)
    there = np.flatnonzero(spread.count[cells] > 0)
    mean = spread.mean[cells][there]
    deviation = np.nan_to_num(spread.deviation[cells][there])
    words = _words(across.told, there)
    return ColumnDataSource(
        {
            "x": across.centres[there].astype(float), "y": mean, "low": mean - deviation, "high": mean + deviation,
            "deviation": deviation, "count": spread.count[cells][there], "word": words,
            "line": [plain(text)] * len(there),
        },
        name=f"line {i}",
    )  # fmt: skip


def _words(told: Labelled, places: Array) -> list[str]:
    return [plain(word(value)) for value in told.values[places].tolist()]


def _draw_line(drawn: Any, source: Any, text: str, colour: str) -> None:
    named = {"legend_label": plain(text)} if text else {}
    drawn.segment("x", "low", "x", "high", source=source, color=colour, line_alpha=0.6, **named)
    drawn.line("x", "y", source=source, color=colour, line_width=1.5, **named)
    drawn.scatter("x", "y", source=source, color=colour, size=5, name="points", **named)
    drawn.y_range.only_visible = True


def _hover(drawn: Any, first: list[tuple[str, str]], across: Scale, spread: Spread) -> None:
    name = spread.label.partition(":")[0].partition(" [")[0]
    bars = [("s.d.", "@deviation"), ("runs", "@count")] if int(spread.count.max(initial=0)) > 1 else []
    tips = [*first, (across.told.name, "@word"), (name, "@y"), *bars]
    points = [renderer for renderer in drawn.renderers if renderer.name == "points"]
    drawn.add_tools(HoverTool(renderers=points, tooltips=[(plain(key), text) for key, text in tips]))


def _line_colours(second: Labelled | None, theme: Theme) -> list[str]:
    if second is None:
        return [theme.lines[0]]
    n = len(second.values)
    if not second.is_numeric and n <= MOST_LINES:
        return list(theme.lines[:n])
    values = second.values if second.is_numeric else np.arange(n)
    return _colours(values.astype(float), Scale(second).is_log)


def _colours(values: Array, is_log: bool = False) -> list[str]:
    """A colour of viridis for each number, grey where there is none."""
    places = np.log(values) if is_log else values
    there = np.isfinite(places)
    low, high = (places[there].min(), places[there].max()) if there.any() else (0.0, 1.0)
    rank = np.zeros(len(places), np.int64)
    rank[there] = np.round((places[there] - low) / ((high - low) or 1) * 245).astype(np.int64)
    return [Viridis256[r] if ok else "#8888" for r, ok in zip(rank.tolist(), there.tolist(), strict=True)]


def heatmap(spread: Spread, theme: Theme = LIGHT, *, title: str = "", height: int = 340) -> Any:
    """A result over two parameters as colours; points without a run are left blank.

    Values that are evenly spaced stand on a scale, others one after the other.

    Returns
    -------
    bokeh.plotting.figure
    """
    across, up = (_Cells(labelled) for labelled in spread.over)
    drawn = styled(theme, title, height, x_range=Range1d(*across.ends), y_range=Range1d(*up.ends), margin=0)
    image = np.ascontiguousarray(spread.mean.T, np.float32)
    data: dict[str, Any] = {"image": [image]}
    tips = [(across.name, "$x"), (up.name, "$y")]
    if image.size <= MOST_POINTS:
        data["x"] = [np.broadcast_to(across.words, image.shape).tolist()]
        data["y"] = [np.broadcast_to(up.words[:, None], image.shape).tolist()]
        tips = [(across.name, "@x"), (up.name, "@y")]
    mapper = _mapper(image)
    drawn.image(
        "image", x=across.ends[0], y=up.ends[0], dw=across.ends[1] - across.ends[0], dh=up.ends[1] - up.ends[0],
        source=ColumnDataSource(data, name="cells"), color_mapper=mapper,
    )  # fmt: skip
    name = spread.label.partition(":")[0].partition(" [")[0]
    drawn.add_tools(HoverTool(tooltips=[(plain(key), text) for key, text in [*tips, (name, "@image")]]))
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
    """
    chosen = sampled(len(runs), MOST_POINTS)
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, (2, len(chosen)))  # spreads points that share a word
    drawn = styled(theme, title or _part(len(chosen), len(runs)), height, tools=f"{_TOOLS},box_select,tap")
    (across, words_x), (up, words_y) = (_places(column) for column in (x, y))
    source = ColumnDataSource(
        {
            "x": across[chosen] + noise[0] * (not x.is_numeric),
            "y": up[chosen] + noise[1] * (not y.is_numeric),
            "run": runs[chosen],
            **({} if x.is_numeric else {"a": words_x(chosen)}),
            **({} if y.is_numeric else {"b": words_y(chosen)}),
        },
        name="runs",
    )
    alpha = float(np.clip(300 / max(1, len(chosen)), 0.15, 0.8))
    drawn.scatter("x", "y", source=source, size=6, color=theme.lines[0], line_color=None, fill_alpha=alpha)
    tips = [
        ("run", "@run"),
        *((plain(c.name), f"@{key if c.is_numeric else w}") for c, key, w in ((x, "x", "a"), (y, "y", "b"))),
    ]
    drawn.add_tools(HoverTool(tooltips=tips))
    for axis, column in ((drawn.xaxis, x), (drawn.yaxis, y)):
        axis.axis_label = plain(column.label)
        if not column.is_numeric:
            _tick(axis, _distinct(column))
    return drawn


def _distinct(column: Labelled) -> list[str]:
    """The words of a column, each once, in the order of their first appearance."""
    return [plain(str(value)) for value in dict.fromkeys(column.values.tolist())]


def _places(column: Labelled) -> tuple[Array, Any]:
    """Where runs stand along an axis, and what to call some of these places."""
    if column.is_numeric:
        values = column.values.astype(float)
        return values, lambda chosen: values[chosen]
    words = _distinct(column)
    rank = {text: place for place, text in enumerate(words)}
    shown = [plain(str(value)) for value in column.values.tolist()]
    places = np.array([rank[text] for text in shown], float)
    return places, lambda chosen: [shown[i] for i in chosen.tolist()]


def histogram(column: Labelled, theme: Theme = LIGHT, *, title: str = "", height: int = 340) -> Any:
    """How often values occur: in 50 bins, or each word.

    Returns
    -------
    bokeh.plotting.figure
    """
    drawn = styled(theme, title, height)
    drawn.xaxis.axis_label, drawn.yaxis.axis_label = plain(column.label), "runs"
    if column.is_numeric:
        values = column.values[np.isfinite(column.values)].astype(float)
        count, edges = np.histogram(values, min(_BINS, max(1, len(np.unique(values[:1000])))))
    else:
        words = _distinct(column)
        places = _places(column)[0].astype(np.int64)
        count, edges = np.bincount(places, minlength=len(words)), np.arange(len(words) + 1) - 0.5
        _tick(drawn.xaxis, words)
    source = ColumnDataSource({"left": edges[:-1], "right": edges[1:], "count": count}, name="bins")
    drawn.quad(
        left="left", right="right", top="count", bottom=0, source=source, fill_color=theme.lines[0],
        line_color=theme.paper,
    )  # fmt: skip
    drawn.add_tools(HoverTool(tooltips=[("from", "@left"), ("to", "@right"), ("runs", "@count")]))
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
    """
    n = len(columns[0].values)
    chosen = sampled(n, MOST_CURVES)
    reach = spans or [Span.of(column) for column in columns]
    heights = np.stack([span.heights(column)[chosen] for span, column in zip(reach, columns, strict=True)], 1)
    whole = np.isfinite(heights).all(1)
    heights = heights[whole]
    drawn = styled(
        theme, title or _part(len(heights), n), 340, tools="box_select,reset", margin=0,
        x_range=Range1d(-0.4, len(columns) - 0.5), y_range=Range1d(-0.08, 1.16),
    )  # fmt: skip
    source = ColumnDataSource(
        {
            "xs": [list(range(len(columns)))] * len(heights), "ys": heights.tolist(),
            "colour": _colours(heights[:, colour]) if len(heights) else [],
        },
        name="runs",
    )  # fmt: skip
    alpha = float(np.clip(150 / max(1, len(heights)), 0.12, 0.8))
    drawn.multi_line(
        "xs", "ys", source=source, line_color="colour", line_alpha=alpha, nonselection_line_alpha=alpha,
        line_width=1.2,
    )  # fmt: skip
    for place, (span, column) in enumerate(zip(reach, columns, strict=True)):
        _parallel_axis(drawn, place, span, column, theme)
    drawn.axis.visible = False
    drawn.grid.visible = False
    return drawn


def _parallel_axis(drawn: Any, place: int, span: Span, column: Labelled, theme: Theme) -> None:
    ticks = span.ticks()
    style = {"text_color": theme.ink, "text_font_size": "11px"}
    drawn.line([place, place], [0, 1], color=theme.quiet)
    drawn.text([place], [1.06], [plain(column.name)], text_align="center", **style)
    drawn.text(
        [place] * len(ticks), [height for height, _ in ticks], [plain(text) for _, text in ticks], x_offset=5,
        text_baseline="middle", text_color=theme.quiet, text_font_size="10px", background_fill_color=theme.paper,
        background_fill_alpha=0.7,
    )  # fmt: skip


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


def _mapper(values: Array) -> Any:
    there = values[np.isfinite(values)]
    low, high = (float(there.min()), float(there.max())) if there.size else (0.0, 1.0)
    is_log = values.ndim == 1 and Scale(Labelled("", "", values)).is_log
    make = LogColorMapper if is_log else LinearColorMapper
    return make(
        Viridis256, low=low, high=high if high > low else low + 1, nan_color="rgba(0, 0, 0, 0)", name="colour"
    )


def _colour_bar(drawn: Any, mapper: Any, label: str, theme: Theme) -> None:
    bar = ColorBar(
        color_mapper=mapper, width=10, title=plain(label), title_text_color=theme.ink, title_text_font_size="12px",
        title_text_font_style="normal", major_label_text_color=theme.quiet, background_fill_color=None,
        major_tick_line_color=None,
    )  # fmt: skip
    drawn.add_layout(bar, "right")


def _style_legend(legend: Any, theme: Theme) -> None:
    legend.location = "top_left"
    legend.background_fill_color, legend.background_fill_alpha = theme.paper, 0.7
    legend.border_line_color = None
    legend.label_text_color = legend.title_text_color = theme.ink
    legend.label_text_font_size = legend.title_text_font_size = "11px"
    legend.title_text_font_style = "normal"
    legend.spacing, legend.padding, legend.glyph_height = 0, 4, 14
    legend.click_policy = "hide"
