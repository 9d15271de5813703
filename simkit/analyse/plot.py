"""Figures of a trajectory's results: over parameters, over one another, of all names at once."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from simkit.analyse.selection import Selection
from simkit.analyse.sensitivity import sensitivity
from simkit.analyse.spread import (
    MOST_CURVES,
    MOST_PARTS,
    Bars,
    Labelled,
    Scale,
    Span,
    Spread,
    cloud,
    free_sizes,
    is_geometric,
    parts_by,
    run_by_run,
    sampled,
    spread,
    word,
)
from simkit.analyse.tables import table_names
from simkit.errors import SimkitError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_HOLE = "0.92"


@attrs.frozen
class Plot:
    """Draws a trajectory's results; each verb returns what it drew, to go on with.

    With matplotlib that is an `Axes`; with ``backend="bokeh"`` a `bokeh.plotting.figure`, as the page
    (``simkit serve``) shows it, to look into with the mouse.
    """

    selection: Selection

    def __call__(
        self, name: str | None = None, x: str | None = None, *, by: str | None = None, **options: Any
    ) -> Any:
        """A result over the parameters that vary: `line`, or `heatmap` where two have many values.

        Points of a sample, which lie on no grid, are a `scatter` over the first parameter.

        Parameters
        ----------
        name
            A result that is a number per run; by default the only one.
        x
            The parameter along the axis; by default the one with the most values.
        by
            The parameter that has a line for each value.
        **options
            As for that verb.

        Raises
        ------
        SimkitError
            As `line` and `heatmap` do.
        """
        name = self._only_number() if name is None else name
        if x is None and by is None and (first := cloud(self.selection)):
            return self.scatter(first, name, **options)
        sizes = free_sizes(self.selection)
        if x is None and by is None and len(sizes) == 2 and min(sizes) > MOST_PARTS:
            return self.heatmap(name, **options)
        return self.line(name, x, by=by, **options)

    def _only_number(self) -> str:
        """The result that is meant where none is named."""
        names = [name for name in self.selection.recorded.names("results") if self.selection.is_scalar(name)]
        if len(names) != 1:
            msg = f"traj.plot: name a result that is a number per run: {', '.join(names) or 'there is none'}"
            raise SimkitError(msg)
        return names[0]

    def line(
        self,
        name: str,
        x: str | None = None,
        *,
        hue: str | None = None,
        by: str | None = None,
        ax: Axes | None = None,
        backend: str = "matplotlib",
        **style: Any,
    ) -> Any:
        """A result over a parameter, a line for each value of a second one.

        Parameters
        ----------
        name
            A result that is a number per run; runs that share their values (trials) are averaged, with the
            sample's standard deviation as error bars.
        x, hue
            The parameters; by default the explored ones that vary, the one with the most values as ``x``.
        by
            The same as ``hue``.
        ax
            Where to draw with matplotlib; by default a new figure.
        backend
            ``"matplotlib"`` or ``"bokeh"``.
        **style
            As for `matplotlib.axes.Axes.errorbar`; Bokeh takes none.

        Raises
        ------
        SimkitError
            Without matplotlib, for a result that is no number, or when more parameters vary.
        """
        if hue is not None and by is not None:
            msg = f"traj.plot.line: hue={hue!r} and by={by!r} mean the same: give one of them"
            raise SimkitError(msg)
        found = spread(self.selection, name, (x, hue or by))
        if backend != "matplotlib":
            return _other(backend, ax, style).line(found, title=self.selection.recorded.name)
        axes = _axes(ax, self.selection.recorded.name)
        across = Scale(found.over[0])
        lines = _Lines(found.over[1] if len(found.over) > 1 else None)
        for i, look in enumerate(lines.looks):
            _draw(axes, across, found, i, {**look, "marker": "o", "markersize": 4, "capsize": 3, **style})
        across.label(axes, "x")
        trials = int(found.count.max(initial=0))
        axes.set_ylabel(found.label + (f"\nmean ± s.d. of {trials} trials" if trials > 1 else ""))
        lines.label(axes)
        return axes

    def heatmap(
        self,
        name: str,
        x: str | None = None,
        y: str | None = None,
        *,
        ax: Axes | None = None,
        backend: str = "matplotlib",
        **style: Any,
    ) -> Any:
        """A result over two parameters as colours; points that were not run are left blank.

        Parameters
        ----------
        name
            A result that is a number per run; trials are averaged.
        x, y
            The parameters across and up; by default the explored ones that vary.
        ax
            Where to draw with matplotlib; by default a new figure.
        backend
            ``"matplotlib"`` or ``"bokeh"``.
        **style
            As for `matplotlib.axes.Axes.pcolormesh`; Bokeh takes none.

        Raises
        ------
        SimkitError
            Without matplotlib, for a result that is no number, or unless two parameters vary.
        """
        found = spread(self.selection, name, (x, y))
        if len(found.over) < 2:
            msg = f"a heatmap of {name} needs two parameters that vary, here is {found.over[0].name}: use plot.line"
            raise SimkitError(msg)
        if backend != "matplotlib":
            return _other(backend, ax, style).heatmap(found, title=self.selection.recorded.name)
        axes = _axes(ax, self.selection.recorded.name)
        across, up = map(Scale, found.over)
        masked: Any = np.ma.masked_invalid
        mesh = axes.pcolormesh(across.edges, up.edges, masked(found.mean.T), **style)
        axes.set_facecolor(_HOLE)
        across.label(axes, "x")
        up.label(axes, "y")
        bar = axes.figure.colorbar(mesh, ax=axes)
        trials = int(found.count.max(initial=0))
        bar.set_label(found.label + (f"\nmean of {trials} trials" if trials > 1 else ""))
        return axes

    def sensitivity(self, name: str, *, ax: Axes | None = None, **style: Any) -> Axes:
        """What a result depends on: bars of first and total order, or points after `morris`.

        The points of `morris` stand at the mean magnitude of each parameter's effects and their spread.

        Parameters
        ----------
        name
            A result that is a number per run.
        ax
            Where to draw; by default a new figure.
        **style
            As for `matplotlib.axes.Axes.barh`, or `errorbar` after `morris`.

        Raises
        ------
        SimkitError
            Without matplotlib, and as `Trajectory.sensitivity`.
        """
        found = sensitivity(self.selection, name)
        axes = _axes(ax, self.selection.recorded.name)
        found.draw(axes, style)
        return axes

    def scatter(
        self, x: str, y: str, *, ax: Axes | None = None, backend: str = "matplotlib", **style: Any
    ) -> Any:
        """One column over another, a point per run.

        Parameters
        ----------
        x, y
            Parameters or results that are a number or a word per run.
        ax, backend
            As for `line`.
        **style
            As for `matplotlib.axes.Axes.scatter`; Bokeh takes none.

        Raises
        ------
        SimkitError
            Without matplotlib, or Bokeh.
        """
        across, up = (run_by_run(self.selection, name) for name in (x, y))
        if backend != "matplotlib":
            return _other(backend, ax, style).scatter(across, up, self.selection.of_runs("run"))
        axes = _axes(ax, self.selection.recorded.name)
        axes.scatter(across.values, up.values, **{"s": 9, "alpha": 0.6, **style})
        axes.set_xlabel(across.label)
        axes.set_ylabel(up.label)
        return axes

    def histogram(
        self,
        name: str,
        *,
        by: str | None = None,
        ax: Axes | None = None,
        backend: str = "matplotlib",
        **style: Any,
    ) -> Any:
        """How often a result's values occur.

        Parameters
        ----------
        name
            A parameter or result that is a number or a word per run.
        by
            A name with few values: the runs of each have bars of their own, beside one another.
        ax, backend
            As for `line`.
        **style
            As for `matplotlib.axes.Axes.hist`; Bokeh takes none.

        Raises
        ------
        SimkitError
            Without matplotlib, or Bokeh, or when ``by`` has too many values.
        """
        column = run_by_run(self.selection, name)
        parts = [("", column)] if by is None else parts_by(self.selection, column, by)
        if backend != "matplotlib":
            return _other(backend, ax, style).histogram(column, parts, by, title=self.selection.recorded.name)
        axes, bars = _axes(ax, self.selection.recorded.name), Bars.of(column)
        labels = {} if by is None else {"label": [text for text, _ in parts]}
        axes.hist([bars.places(part) for _, part in parts], **{"bins": bars.edges, **labels, **style})
        if bars.words:
            axes.set_xticks(*zip(*bars.ticks(), strict=True))
        axes.set_xlabel(column.label)
        axes.set_ylabel("runs")
        if by is not None:
            _legend(axes, by)
        return axes

    def hist(self, name: str, **options: Any) -> Any:
        """The same as `histogram`."""
        return self.histogram(name, **options)

    def parallel(
        self,
        *names: str,
        colour: str | None = None,
        ax: Axes | None = None,
        backend: str = "matplotlib",
        **style: Any,
    ) -> Any:
        """Parallel coordinates: an axis per name, a curve per run.

        Parameters
        ----------
        *names
            By default the explored parameters and the results that are a number per run.
        colour
            The name that colours the curves; by default the last one.
        ax, backend
            As for `line`.
        **style
            As for `matplotlib.axes.Axes.plot`; Bokeh takes none.

        Raises
        ------
        SimkitError
            Without matplotlib, or Bokeh, or when there are no such names.
        """
        chosen = list(names) or table_names(self.selection)
        if not chosen or not len(self.selection):
            msg = f"{self.selection.recorded.name}: nothing that varies is a number or a word per run"
            raise SimkitError(msg)
        columns = [run_by_run(self.selection, name) for name in chosen]
        if colour is not None and colour not in chosen:
            raise SimkitError(
                f"traj.plot.parallel: colour={colour!r} is none of its names: {', '.join(chosen)}"
            )
        place = -1 if colour is None else chosen.index(colour)
        if backend != "matplotlib":
            return _other(backend, ax, style).parallel(columns, place)
        return _parallel(_axes(ax, self.selection.recorded.name), columns, place, style)


def _parallel(axes: Axes, columns: list[Labelled], colour: int, style: dict[str, Any]) -> Axes:
    spans = [Span.of(column) for column in columns]
    heights = np.stack([span.heights(column) for span, column in zip(spans, columns, strict=True)], 1)
    heights = heights[np.isfinite(heights).all(1)]
    heights = heights[sampled(len(heights), MOST_CURVES)]
    colours = _viridis()(heights[:, colour])
    for row, look in zip(heights, colours, strict=True):
        axes.plot(row, **{"color": look, "linewidth": 0.8, "alpha": 0.5, **style})
    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}  # above the curves
    for place, span in enumerate(spans):
        axes.axvline(place, color="0.5", linewidth=0.8)
        for height, text in span.ticks():
            axes.annotate(
                text,
                (place, height),
                (3, 0),
                textcoords="offset points",
                fontsize="small",
                va="center",
                bbox=ground,
            )
    axes.set_xticks(range(len(columns)), [column.name for column in columns])
    axes.set_yticks([])
    return axes


def _other(backend: str, ax: Axes | None, style: dict[str, Any]) -> ModuleType:
    """What draws instead of matplotlib.

    Raises
    ------
    SimkitError
        For another backend than Bokeh, or for what only matplotlib understands.
    """
    if backend != "bokeh":
        msg = f'traj.plot: backend={backend!r}: choose "matplotlib" or "bokeh"'
        raise SimkitError(msg)
    if ax is not None or style:
        only = ", ".join([*["ax"] * (ax is not None), *style])
        msg = f'traj.plot: backend="bokeh" takes no {only}: set it on the figure that comes back'
        raise SimkitError(msg)
    from simkit.analyse import bokeh

    return bokeh


class _Lines:
    """What the lines look like, and what tells them apart: a legend, or a colour bar where they are many."""

    def __init__(self, second: Labelled | None) -> None:
        self.second = second
        self.looks: list[dict[str, Any]] = [{}]
        if second is not None:
            self.looks = [{"label": word(value)} for value in second.values.tolist()]
        if second is not None and second.is_numeric:
            from matplotlib.cm import ScalarMappable
            from matplotlib.colors import LogNorm, Normalize

            scale = LogNorm if is_geometric(second.values) else Normalize
            limits = (float(second.values[0]), float(second.values[-1]))
            self.colours = ScalarMappable(scale(*limits), _viridis())
            for look, value in zip(self.looks, second.values, strict=True):
                look["color"] = self.colours.cmap(self.colours.norm(value))

    def label(self, axes: Axes) -> None:
        """Say which line is which."""
        if self.second is None:
            return
        if self.second.is_numeric and len(self.looks) > MOST_PARTS:
            axes.figure.colorbar(self.colours, ax=axes).set_label(self.second.label)
        else:
            _legend(axes, self.second.label)


def _legend(axes: Axes, title: str) -> None:
    """A legend beside the data, where the figure makes room for it."""
    beside = axes.figure.get_layout_engine() is not None
    place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if beside else {"loc": "best"}
    axes.legend(title=title, **place)


def _viridis() -> Any:
    """The colours of numbers that are lines: without the light end, which is hardly seen on white."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["viridis"](np.linspace(0, 0.92, 256)))


def _draw(axes: Axes, across: Scale, found: Spread, line: int, look: dict[str, Any]) -> None:
    """One line, with error bars where there is more than one trial."""
    at = (slice(None),) if len(found.over) == 1 else (slice(None), line)
    there = found.count[at] > 0
    spread_there = np.nan_to_num(found.deviation[at][there])
    bars = spread_there if (found.count > 1).any() else None
    axes.errorbar(across.centres[there], found.mean[at][there], bars, **look)


def _axes(given: Axes | None, title: str) -> Axes:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        msg = 'traj.plot needs matplotlib: pip install "simkit[plot]"'
        raise SimkitError(msg) from None
    if given is not None:
        return given
    axes: Axes = plt.subplots(layout="constrained")[1]
    axes.set_title(title)
    return axes
