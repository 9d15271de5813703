"""Figures of a result over one or two explored parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from simkit.analyse.spread import Labelled, Spread, spread
from simkit.declare.axes import Array
from simkit.errors import SimkitError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from simkit.analyse.trajectory import Trajectory

_MOST_LINES = 10  # told apart by a legend; more by a colour bar
_HOLE = "0.92"


@attrs.frozen
class Plot:
    """Draws a trajectory's results with matplotlib; each verb returns the `Axes`, to go on with."""

    trajectory: Trajectory

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
        found = spread(self.trajectory, name, (x, hue))
        axes = _axes(ax, self.trajectory.name)
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
        found = spread(self.trajectory, name, (x, y))
        if len(found.over) < 2:
            msg = f"a heatmap of {name} needs two parameters that vary, here is {found.over[0].name}: use plot.line"
            raise SimkitError(msg)
        axes = _axes(ax, self.trajectory.name)
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
