"""What a figure shows: means over runs that share parameters, and where values stand on a scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from simkit.analyse.grid import Coded, coded, numbered, together
from simkit.analyse.selection import Selection, data_of
from simkit.analyse.tables import magnitude, numbers_of, real_numbers
from simkit.declare.forms import Array, Index
from simkit.errors import SimkitError, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_LONGEST = 40  # a comment that still fits beside an axis
MOST_CURVES = 1_500  # of parallel coordinates: more runs are drawn as a sample
MOST_TICKS = 12  # words beside an axis


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
    values, label = numbers(selection, name)
    names = _completed(selection, name, over)
    return averaged(values, label, [_labelled(selection, each) for each in names])


def averaged(values: Array, label: str, parts: Sequence[tuple[Labelled, Index]]) -> Spread:
    """The mean of the runs in each cell.

    Parameters
    ----------
    values
        A number per run, shape ``(n,)``; what is not finite is left out.
    parts
        Each parameter's values, and which of them each run has, shape ``(n,)``.
    """
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


def run_by_run(selection: Selection, name: str) -> Labelled:
    """A name's value in each run: numbers, NaN where there is none, or words."""
    try:
        values, label = numbers(selection, name)
    except SimkitError:
        column, unit = numbers_of(selection, name)
        values = np.array([word(value) for value in data_of(column).tolist()], object)
        label = _label(selection, name, unit)
    return Labelled(name, label, values)


_BINS = 50
MOST_PARTS = 10  # told apart by a legend


@attrs.frozen(eq=False)
class Bars:
    """The bars of a histogram: their borders, ascending, and the words under them where they stand for words."""

    edges: Array
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, column: Labelled) -> Bars:
        """A bar for each word, or for each of few whole numbers, else as many as the values fill."""
        if not column.is_numeric:
            words = tuple(dict.fromkeys(map(str, column.values.tolist())))
            return cls(np.arange(len(words) + 1) - 0.5, words)
        there = cls(column.values).places(column)
        if not len(there):
            return cls(np.array([0.0, 1.0]))
        low, high = float(there.min()), float(there.max())
        if high - low < _BINS and (there == np.round(there)).all():
            return cls(np.arange(low, high + 2) - 0.5)
        return cls(np.histogram_bin_edges(there, min(_BINS, max(5, int(2 * len(there) ** 0.5)))))

    def places(self, column: Labelled) -> Array:
        """Where the values stand: the numbers that are finite, or the places of the words."""
        if not self.words:
            numbers: Array = column.values[np.isfinite(column.values)].astype(float)
            return numbers
        rank = {text: place for place, text in enumerate(self.words)}
        return np.array([rank[str(value)] for value in column.values.tolist()], float)

    def beside(self, parts: Sequence[Labelled]) -> dict[str, Array]:
        """Where the bars of each part stand beside those of the others, one part after the other, and their counts."""
        n, left, width = len(parts), self.edges[:-1], np.diff(self.edges)
        return {
            "left": np.concatenate([left + width * (i / n) for i in range(n)]),
            "right": np.concatenate([left + width * ((i + 1) / n) for i in range(n)]),
            "count": np.concatenate([np.histogram(self.places(part), self.edges)[0] for part in parts]),
            "low": np.tile(left, n),
            "high": np.tile(self.edges[1:], n),
        }

    def ticks(self) -> list[tuple[int, str]]:
        """The places of words, and what to write there; where they are too many only some of them."""
        return [(place, text[:24]) for place, text in enumerate(self.words)][
            :: -(-len(self.words) // MOST_TICKS)
        ]


def parts_by(selection: Selection, column: Labelled, by: str) -> list[tuple[str, Labelled]]:
    """What a column holds in the runs of each value of another name, ascending where these are numbers.

    Raises
    ------
    SimkitError
        Where there are too many to be told apart.
    """
    other = run_by_run(selection, by)
    there = other.values[np.isfinite(other.values)] if other.is_numeric else other.values
    each = list(dict.fromkeys(there.tolist()))
    if other.is_numeric:
        each.sort()
    if len(each) > MOST_PARTS:
        msg = f"by={by!r} has {len(each)} values: {MOST_PARTS} at most can be told apart; choose some with traj.where"
        raise SimkitError(msg)
    return [
        (_whole(value), attrs.evolve(column, values=column.values[other.values == value])) for value in each
    ]


def _whole(value: Any) -> str:
    """A value in a legend; columns of whole numbers, some of them absent, are floats."""
    return (
        str(int(value))
        if isinstance(value, float) and value == int(value) and abs(value) < 1e6
        else word(value)
    )


def numbers(selection: Selection, name: str) -> tuple[Array, str]:
    """A result's numbers, NaN where there is none, and how to label them."""
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
    """The explored names that vary here, most values first, one for each that move together, but those given."""
    return [names[0] for names in _moving(selection, given)]


def _moving(selection: Selection, given: Sequence[str]) -> list[tuple[str, ...]]:
    """The explored names that vary here, but those given: those that move together beside each other."""
    chosen = [_coded(selection, name) for name in given]
    left = {name: _coded(selection, name) for name in selection.recorded.explored if name not in given}
    left = {name: c for name, c in left.items() if c.varies and not any(o.determines(c) for o in chosen)}
    groups = together(left)
    # The one with the most values is drawn along the axis.
    return sorted(groups, key=lambda names: -len(groups[names].first))


def cloud(selection: Selection) -> str:
    """The first parameter where the points lie on no grid and on no line, as those of a sample do; else nothing."""
    groups = _moving(selection, [])
    if len(groups) != 1 or len(groups[0]) < 2:
        return ""
    (first, codes), *others = (_labelled(selection, name) for name in groups[0])
    order = np.argsort(codes, kind="stable")
    steps = [np.diff(labelled.values[codes][order]) for labelled, codes in others if labelled.is_numeric]
    lies_apart = any((step > 0).any() and (step < 0).any() for step in steps)
    return first.name if lies_apart and first.is_numeric else ""


def free_sizes(selection: Selection) -> list[int]:
    """How many values each explored parameter has that varies, most first; 0 for one that is no number."""
    names = _free(selection, [])
    values = [_labelled(selection, name)[0] for name in names]
    return [len(each.values) if each.is_numeric else 0 for each in values]


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


class Scale:
    """Where values stand along an axis: numbers where they are, words one after the other."""

    def __init__(self, values: Labelled) -> None:
        self.told = values
        self.is_scale = values.is_numeric and len(values.values) > 1
        self.centres: Array = values.values if self.is_scale else np.arange(len(values.values))
        self.is_log = self.is_scale and is_geometric(self.centres)

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
                self.centres, [word(value) for value in self.told.values.tolist()]
            )


def word(value: Any) -> str:
    """A value beside an axis."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def is_geometric(values: Array) -> bool:
    """Whether each value is the same multiple of the one before, as of `numpy.logspace`."""
    if len(values) < 4 or values[0] <= 0:
        return False
    ratios = values[1:] / values[:-1]
    return bool(ratios[0] > 1.2 and np.allclose(ratios, ratios[0], rtol=1e-3))


@attrs.frozen
class Span:
    """What one axis of parallel coordinates reaches over: numbers, or words one above the other."""

    low: float
    high: float
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, column: Labelled) -> Span:
        """The span of a column."""
        if not column.is_numeric:
            words = tuple(dict.fromkeys(map(str, column.values.tolist())))
            return cls(0.0, max(1.0, len(words) - 1.0), words)
        there = column.values[np.isfinite(column.values)]
        low, high = (float(there.min()), float(there.max())) if len(there) else (0.0, 1.0)
        return cls(low, high if high > low else low + 1)

    def heights(self, column: Labelled) -> Array:
        """Where the values stand between 0 and 1."""
        if self.words:
            rank = {text: place for place, text in enumerate(self.words)}
            values = np.array([rank.get(str(value), np.nan) for value in column.values.tolist()], float)
        else:
            values = column.values.astype(float)
        heights: Array = (values - self.low) / (self.high - self.low)
        return heights

    def value(self, height: float) -> float:
        """The value at a height."""
        return self.low + height * (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Heights, and what to write there."""
        if self.words:
            step = -(-len(self.words) // MOST_TICKS)
            shown = list(enumerate(self.words))[::step]
            return [(place / (self.high - self.low), text[:16]) for place, text in shown]
        return [(height, f"{self.value(height):.3g}") for height in (0, 0.25, 0.5, 0.75, 1)]


def sampled(n: int, most: int) -> Index:
    """Rows drawn from all of them, always the same, ascending; all where they are no more than ``most``.

    At random, because runs in order repeat what their axes do.
    """
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(n).choice(n, most, replace=False, shuffle=False))
