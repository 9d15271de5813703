"""Figures of a result over one or two explored parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from simkit.analyse.selection import Selection
from simkit.analyse.sensitivity import sensitivity
from simkit.analyse.tables import magnitude, real_numbers
from simkit.declare.forms import Array
from simkit.errors import SimkitError, listed
from simkit.values.compare import Coded, coded, numbered, together

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_LONGEST = 40  # a comment that still fits beside an axis


@attrs.frozen(eq=False)
class Labelled:
    """The values along one direction of a figure, ascending where they are numbers.

    Attributes
    ----------
    label
        Name, comment and unit.
    values
        Shape ``(n,)``: numbers, or the words for anything else.
    """

    name: str
    label: str
    values: Array

    @property
    def is_numeric(self) -> bool:
        """Whether they have places on a scale."""
        return self.values.dtype.kind in "iuf"


@attrs.frozen(eq=False)
class Spread:
    """Means over trials.

    Attributes
    ----------
    over
        The parameters, one or two.
    mean, deviation, count
        Shape: a value of each parameter; NaN where there is no run. The deviation is that of the sample.
    """

    label: str
    over: tuple[Labelled, ...]
    mean: Array
    deviation: Array
    count: Array


def spread(selection: Selection, name: str, over: Sequence[str | None]) -> Spread:
    """Average a result over the runs that share the values of up to two parameters.

    Parameters
    ----------
    over
        The parameters; None stands for an explored one that varies and is not named yet, if there is any.

    Raises
    ------
    SimkitError
        For a result that is no real number per run, or when other parameters vary too.
    """
    values, label = _numbers(selection, name)
    names = _completed(selection, name, over)
    parts = [_labelled(selection, each) for each in names]
    shape = tuple(len(labelled.values) for labelled, _ in parts)
    cells = np.zeros(len(values), np.int64)
    for labelled, codes in parts:
        cells = cells * len(labelled.values) + codes
    there = np.isfinite(values)
    size = int(np.prod(shape))
    count = np.bincount(cells[there], minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(cells[there], values[there], size) / count
        squares = np.bincount(cells[there], (values[there] - mean[cells[there]]) ** 2, size)
        deviation = np.sqrt(squares / (count - 1))
    arrays = (array.reshape(shape) for array in (mean, deviation, count))
    return Spread(label, tuple(labelled for labelled, _ in parts), *arrays)


def _numbers(selection: Selection, name: str) -> tuple[Array, str]:
    values, unit = real_numbers(selection, name, "plotted")
    return values, _label(selection, name, unit)


def _label(selection: Selection, name: str, unit: str) -> str:
    comment = selection.about(name).comment.partition("\n")[0].rstrip(".") if name in selection else ""
    text = f"{name}: {comment}" if 0 < len(comment) <= _LONGEST else name
    return f"{text} [{unit}]" if unit else text


def _completed(selection: Selection, result: str, over: Sequence[str | None]) -> list[str]:
    """The parameters' names, the missing ones chosen among those that vary."""
    given = [name for name in over if name is not None]
    free = _free(selection, given)
    names = [name or (free.pop(0) if free else None) for name in over]
    found = [name for name in names if name is not None]
    if not found:
        msg = (
            f"nothing that was explored varies in these runs, so there is nothing to plot {result} over\n"
            f"    explored: {listed('', selection.recorded.explored)}"
        )
        raise SimkitError(msg)
    if free:
        shown = ", ".join(free)
        value = selection.array(free[0]).tolist()[0]
        msg = (
            f"{result} over {' and '.join(found)}: {shown} varies too\n"
            f"    choose its value first, as in traj.where({free[0]}={value!r}).plot"
        )
        raise SimkitError(msg)
    return found


def _free(selection: Selection, given: Sequence[str]) -> list[str]:
    """The explored names that vary here, one for each that move together, apart from those given."""
    chosen = [_coded(selection, name) for name in given]
    left = {name: _coded(selection, name) for name in selection.recorded.explored if name not in given}
    left = {name: c for name, c in left.items() if c.varies and not any(o.determines(c) for o in chosen)}
    return [names[0] for names in together(left)]


def _coded(selection: Selection, name: str) -> Coded:
    if name in selection.run_names:
        return numbered(selection.array(name))
    column = coded(selection.column(selection.known(name)))
    if column is None:
        msg = f"{name} is absent in some runs: choose others with traj.where(...) first"
        raise SimkitError(msg)
    return column


def _labelled(selection: Selection, name: str) -> tuple[Labelled, Array]:
    """A parameter's values, each once, and which of them each run has."""
    column = _coded(selection, name)
    values, unit = magnitude(selection, name, selection.array(name)[column.first])
    label = _label(selection, name, unit)
    if values.dtype.kind not in "iuf" or values.ndim > 1:
        words = np.array([str(value) for value in values], object)
        return Labelled(name, label, words), column.codes
    order = np.argsort(values)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return Labelled(name, label, values[order]), rank[column.codes]


_MOST_LINES = 10  # told apart by a legend; more by a colour bar
_HOLE = "0.92"


@attrs.frozen
class Plot:
    """Draws a trajectory's results with matplotlib; each verb returns the `Axes`, to go on with."""

    selection: Selection

    def line(
        self, name: str, x: str | None = None, *, hue: str | None = None, ax: Axes | None = None, **style: Any
    ) -> Axes:
        """A result over a parameter, a line for each value of a second one.

        Parameters
        ----------
        name
            A result that is a number per run; runs that share their values (trials) are averaged, with the
            sample's standard deviation as error bars.
        x, hue
            The parameters; by default the explored ones that vary.
        ax
            Where to draw; by default a new figure.
        **style
            As for `matplotlib.axes.Axes.errorbar`.

        Raises
        ------
        SimkitError
            Without matplotlib, for a result that is no number, or when more parameters vary.
        """
        found = spread(self.selection, name, (x, hue))
        axes = _axes(ax, self.selection.recorded.name)
        across = _Scale(found.over[0])
        lines = _Lines(found.over[1] if len(found.over) > 1 else None)
        for i, look in enumerate(lines.looks):
            _draw(axes, across, found, i, {**look, "marker": "o", "markersize": 4, "capsize": 3, **style})
        across.label(axes, "x")
        trials = int(found.count.max(initial=0))
        axes.set_ylabel(found.label + (f"\nmean ± s.d. of {trials} trials" if trials > 1 else ""))
        lines.label(axes)
        return axes

    def heatmap(
        self, name: str, x: str | None = None, y: str | None = None, *, ax: Axes | None = None, **style: Any
    ) -> Axes:
        """A result over two parameters as colours; points that were not run are left blank.

        Parameters
        ----------
        name
            A result that is a number per run; trials are averaged.
        x, y
            The parameters across and up; by default the explored ones that vary.
        ax
            Where to draw; by default a new figure.
        **style
            As for `matplotlib.axes.Axes.pcolormesh`.

        Raises
        ------
        SimkitError
            Without matplotlib, for a result that is no number, or unless two parameters vary.
        """
        found = spread(self.selection, name, (x, y))
        if len(found.over) < 2:
            msg = f"a heatmap of {name} needs two parameters that vary, here is {found.over[0].name}: use plot.line"
            raise SimkitError(msg)
        axes = _axes(ax, self.selection.recorded.name)
        across, up = map(_Scale, found.over)
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
        """What a result depends on: bars of first and total order after `saltelli`; after `morris` the spread
        of the elementary effects over their mean magnitude.

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


class _Scale:
    """Where values stand along an axis: numbers where they are, words one after the other."""

    def __init__(self, values: Labelled) -> None:
        self.told = values
        self.is_scale = values.is_numeric and len(values.values) > 1
        self.centres: Array = values.values if self.is_scale else np.arange(len(values.values))
        self.is_log = self.is_scale and _is_geometric(self.centres)

    @property
    def edges(self) -> Array:
        """The borders between cells, half way between neighbours."""
        at = np.log(self.centres) if self.is_log else self.centres.astype(float)
        steps = np.diff(at) / 2 if len(at) > 1 else np.array([0.5])
        edges: Array = np.concatenate(
            [at[:1] - steps[:1], at[:-1] + steps[: len(at) - 1], at[-1:] + steps[-1:]]
        )
        return np.exp(edges) if self.is_log else edges

    def label(self, axes: Axes, which: str) -> None:
        """Name the axis ``x`` or ``y``, and its places where they are words."""
        getattr(axes, f"set_{which}label")(self.told.label)
        if self.is_log:
            getattr(axes, f"set_{which}scale")("log")
        if not self.is_scale:
            getattr(axes, f"set_{which}ticks")(
                self.centres, [_word(value) for value in self.told.values.tolist()]
            )


class _Lines:
    """What the lines look like, and what tells them apart: a legend, or a colour bar where they are many."""

    def __init__(self, second: Labelled | None) -> None:
        self.second = second
        self.looks: list[dict[str, Any]] = [{}]
        if second is not None:
            self.looks = [{"label": _word(value)} for value in second.values.tolist()]
        if second is not None and second.is_numeric:
            from matplotlib import colormaps
            from matplotlib.cm import ScalarMappable
            from matplotlib.colors import LogNorm, Normalize

            scale = LogNorm if _is_geometric(second.values) else Normalize
            limits = (float(second.values[0]), float(second.values[-1]))
            self.colours = ScalarMappable(scale(*limits), colormaps["viridis"])
            for look, value in zip(self.looks, second.values, strict=True):
                look["color"] = self.colours.cmap(self.colours.norm(value))

    def label(self, axes: Axes) -> None:
        """Say which line is which."""
        if self.second is None:
            return
        if self.second.is_numeric and len(self.looks) > _MOST_LINES:
            axes.figure.colorbar(self.colours, ax=axes).set_label(self.second.label)
        else:
            axes.legend(title=self.second.label)


def _draw(axes: Axes, across: _Scale, found: Spread, line: int, look: dict[str, Any]) -> None:
    """One line, with error bars where there is more than one trial."""
    at = (slice(None),) if len(found.over) == 1 else (slice(None), line)
    there = found.count[at] > 0
    spread_there = np.nan_to_num(found.deviation[at][there])
    bars = spread_there if (found.count > 1).any() else None
    axes.errorbar(across.centres[there], found.mean[at][there], bars, **look)


def _word(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_geometric(values: Array) -> bool:
    """Whether each value is the same multiple of the one before, as of `numpy.logspace`."""
    if len(values) < 4 or values[0] <= 0:
        return False
    ratios = values[1:] / values[:-1]
    return bool(ratios[0] > 1.2 and np.allclose(ratios, ratios[0], rtol=1e-3))


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
