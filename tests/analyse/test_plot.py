"""Figures: what is drawn where, and what is written beside it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from simkit import SimkitError, Unit, explore, product, sample
from simkit.analyse.spread import Bars, Labelled


class Rate(NamedTuple):
    rate: Annotated[float, "firing rate", Unit("Hz")]
    trace: list[float]
    word: str


def neuron(x: Annotated[float, "stimulus position", Unit("cm")], y, rng, kind="a") -> Rate:
    if x > 8 and y == 1:
        raise ValueError("burnt out")
    return Rate(x * y + rng.normal(), [1.0, 2.0], "text")


@pytest.fixture(autouse=True)
def _figures() -> Iterator[None]:
    mpl.use("agg")
    yield
    plt.close("all")


@pytest.fixture
def traj(record):
    return record(neuron, product(x=[0.0, 10.0, 5.0], y=[1.0, 2.0]).repeat(4))


def drawn(container):
    """Points and error bars of a line."""
    line, _, bars = container
    spans = np.array([path[:, 1] for path in bars[0].get_segments()]) if bars else None
    return np.stack(line.get_data()), spans


def test_a_line_for_each_value_of_the_second_parameter(traj):
    axes = traj.plot.line("rate")
    assert axes.get_xlabel() == "x: stimulus position [cm]"
    assert axes.get_ylabel() == "rate: firing rate [Hz]\nmean ± s.d. of 4 trials"
    assert axes.get_title() == "neuron"
    legend = axes.get_legend()
    assert legend.get_title().get_text() == "y"
    assert [text.get_text() for text in legend.get_texts()] == ["1", "2"]
    one, two = axes.containers
    (x, mean), spans = drawn(two)
    assert x.tolist() == [0, 5, 10]
    for at, middle, span in zip(x, mean, spans, strict=True):
        values = traj.where(x=at, y=2.0)["rate"]
        assert middle == pytest.approx(values.mean())
        assert span == pytest.approx([values.mean() - values.std(ddof=1), values.mean() + values.std(ddof=1)])
    assert drawn(one)[0][0].tolist() == [0, 5]  # no run is done at 10


def test_one_parameter_and_no_trials(record):
    traj = record(neuron, product(x=[3.0, 1.0, 2.0]), set={"y": 2.0})
    axes = traj.plot.line("rate", color="red")
    (x, rate), spans = drawn(axes.containers[0])
    assert spans is None
    assert x.tolist() == [1, 2, 3]
    assert rate.tolist() == traj["rate"][[1, 2, 0]].tolist()
    assert axes.get_ylabel() == "rate: firing rate [Hz]"
    assert axes.get_legend() is None
    assert axes.containers[0][0].get_color() == "red"


def test_x_and_hue_can_be_chosen_and_axes_given(traj):
    given = plt.figure().subplots()
    assert traj.plot.line("rate", x="y", ax=given) is given
    assert given.get_xlabel() == "y"
    assert [text.get_text() for text in given.get_legend().get_texts()] == ["0", "5", "10"]
    trials = traj.where("x == 5").plot.line("rate", x="trial", hue="y")
    assert drawn(trials.containers[1])[0][0].tolist() == [0, 1, 2, 3]


def test_many_lines_get_a_colour_bar(record):
    traj = record(neuron, product(x=[1.0, 2.0], y=np.linspace(2, 5, 12)))
    axes = traj.plot.line("rate", x="x")
    assert axes.get_legend() is None
    bar = axes.figure.axes[1]
    assert bar.get_ylabel() == "y"
    assert bar.get_ylim() == (2, 5)


def test_a_heatmap_of_two_parameters_with_holes(traj):
    axes = traj.plot.heatmap("rate", cmap="magma")
    mesh = axes.collections[0]
    shown = mesh.get_array()
    assert shown.shape == (2, 3)
    assert np.ma.getmaskarray(shown).tolist() == [[False, False, True], [False, False, False]]
    assert shown[1, 2] == pytest.approx(traj.where(x=10.0, y=2.0)["rate"].mean())
    assert mesh.get_coordinates()[0, :, 0].tolist() == [-2.5, 2.5, 7.5, 12.5]
    assert mesh.get_coordinates()[:, 0, 1].tolist() == [0.5, 1.5, 2.5]
    assert mesh.get_cmap().name == "magma"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x: stimulus position [cm]", "y")
    assert axes.figure.axes[1].get_ylabel() == "rate: firing rate [Hz]\nmean of 4 trials"


def test_the_parameter_with_the_most_values_is_along_the_axis(record):
    traj = record(lambda a, b: a * b, product(a=[1.0, 2.0], b=[1.0, 2.0, 3.0]))
    assert traj.plot.line("result").get_xlabel() == "b"
    assert traj.plot("result").get_xlabel() == "b"
    assert traj.plot("result", "a").get_xlabel() == "a"
    assert traj.plot("result", by="b").get_xlabel() == "a"
    assert traj.plot.line("result", by="b").get_legend().get_title().get_text() == "b"
    assert traj.plot.heatmap("result").get_xlabel() == "b"
    with pytest.raises(SimkitError, match="hue='a' and by='b' mean the same: give one of them"):
        traj.plot.line("result", hue="a", by="b")
    assert traj.plot.hist("result").get_ylabel() == "runs"


def test_plot_chooses_a_heatmap_for_two_parameters_of_many_values(record):
    traj = record(lambda a, b: a * b, product(a=np.arange(12.0), b=np.arange(11.0)))
    axes = traj.plot("result")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a", "b")
    assert traj.where("b < 3").plot("result").get_ylabel() == "result"


def test_points_of_a_sample_are_no_line(record):
    traj = record(lambda a, b: a * b, sample(16, a=(0, 1), b=(0, 1), seed=1))
    (dots,) = traj.plot("result").collections
    np.testing.assert_array_equal(dots.get_offsets(), np.stack([traj["a"], traj["b"] * traj["a"]], 1))
    assert traj.plot("result", "a").lines  # where it is asked for
    together = record(lambda a, b: a * b, explore(a=[1.0, 2.0, 3.0], b=[9.0, 8.0, 7.0]))
    assert together.plot("result").containers  # a line through space


def test_a_histogram_of_the_runs_of_each_value(record):
    traj = record(lambda a, kind, n: a * n, product(a=[0.25, 0.5], kind=["x", "y"], n=[1, 2, 3]))
    axes = traj.plot.hist("result", by="n")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["1", "2", "3"]
    assert axes.get_legend().get_title().get_text() == "n"
    heights = [sum(bar.get_height() for bar in bars) for bars in axes.containers]
    assert heights == [4, 4, 4]
    words = traj.plot.hist("kind", by="kind")
    assert [text.get_text() for text in words.get_xticklabels()] == ["x", "y"]
    assert [[bar.get_height() for bar in bars] for bars in words.containers] == [[6, 0], [0, 6]]
    many = record(lambda a: a, product(a=np.linspace(0, 1, 11)))
    with pytest.raises(SimkitError, match="by='a' has 11 values: 10 at most can be told apart"):
        many.plot.hist("result", by="a")


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([1, 2, 2, 4], [0.5, 1.5, 2.5, 3.5, 4.5]),
        ([1.0, np.nan, 2.0], [0.5, 1.5, 2.5]),
        ([0.0, 0.5], [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ([np.nan], [0, 1]),
        ([0, 10**9], np.linspace(0, 1e9, 6)),
        ([0.1, 1e300], np.linspace(0.1, 1e300, 6)),
    ],
)
def test_where_the_bars_of_a_histogram_stand(values, edges):
    column = Labelled("x", "x", np.array(values))
    assert Bars.of(column).edges == pytest.approx(edges)
    assert np.histogram(Bars.of(column).places(column), edges)[0].sum() == np.isfinite(values).sum()


def test_the_legend_does_not_cover_the_data(record):
    traj = record(lambda a, b: a * b, product(a=np.arange(12.0), b=[1.0, 2.0]))
    axes = traj.plot("result")
    axes.figure.canvas.draw()
    legend, data = axes.get_legend().get_window_extent(), axes.get_window_extent()
    assert legend.x0 >= data.x1 - 1
    assert legend.x1 <= axes.figure.bbox.x1 + 1
    given = plt.figure().subplots()
    assert traj.plot("result", ax=given).get_legend() is not None
    bokeh = pytest.importorskip("bokeh.models", reason="an extra: pip install simkit[page]")
    beside = traj.plot("result", backend="bokeh").right
    assert [[item.label.value for item in one.items] for one in beside if isinstance(one, bokeh.Legend)] == [
        ["1", "2"]
    ]


def test_without_matplotlib(tmp_path):
    script = """
import sys
sys.modules["matplotlib"] = None
import simkit
def f(x):
    return x
try:
    simkit.run(f, simkit.product(x=[1, 2])).plot.line("result")
except simkit.SimkitError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == 'traj.plot needs matplotlib: pip install "simkit[plot]"\n', done.stderr


def sources(figure) -> dict[str, dict]:
    """The columns that a figure of Bokeh's draws, by the name of their source."""
    from bokeh.models import ColumnDataSource

    found = figure.select({"type": ColumnDataSource})
    return {source.name: dict(source.data) for source in found if source.name}


def test_scatter_histogram_and_parallel_coordinates_with_matplotlib(traj):
    dots = traj.plot.scatter("y", "rate")
    assert (dots.get_xlabel(), dots.get_ylabel()) == ("y", "rate: firing rate [Hz]")
    np.testing.assert_array_equal(dots.collections[0].get_offsets()[:, 1].filled(np.nan), traj["rate"])
    plt.figure()
    bars = traj.plot.histogram("rate")
    assert sum(patch.get_height() for patch in bars.patches) == 20  # 4 of 24 runs failed
    plt.figure()
    curves = traj.plot.parallel("x", "y", "rate", colour="y")
    assert [text.get_text() for text in curves.get_xticklabels()] == ["x", "y", "rate"]
    assert len([line for line in curves.lines if len(line.get_xdata()) == 3]) == 20
    with pytest.raises(SimkitError, match="colour='z' is none of its names: x, y"):
        traj.plot.parallel("x", "y", colour="z")


def test_the_same_figures_with_bokeh(traj):
    pytest.importorskip("bokeh", reason="in the extra page")
    points = sources(traj.plot.line("rate", backend="bokeh"))["points"]
    done = traj.where(status="done")
    for x, line, y, deviation in zip(*(points[key] for key in ("x", "line", "y", "deviation")), strict=True):
        values = done.where(x=x, y=float(line))["rate"]
        assert (y, deviation) == (pytest.approx(values.mean()), pytest.approx(values.std(ddof=1)))
    assert len(points["x"]) == 5  # no run is done at x = 10 and y = 1
    cells = sources(traj.plot.heatmap("rate", backend="bokeh"))["cells"]
    assert np.isnan(cells["image"][0]).sum() == 1
    dots = sources(traj.plot.scatter("x", "rate", backend="bokeh"))["runs"]
    np.testing.assert_array_equal(dots["y"], traj["rate"][dots["run"]])
    bins = sources(traj.plot.histogram("rate", backend="bokeh"))["bins"]
    assert bins["count"].sum() == 20
    parts = traj.plot.hist("rate", by="y", backend="bokeh")
    each = sources(parts)["bins"]
    assert [each["count"][each["part"] == y].sum() for y in ("1", "2")] == [8, 12]
    assert (each["right"] > each["left"]).all()
    assert [item.label.value for item in parts.legend[0].items] == ["1", "2"]
    curves = sources(traj.plot.parallel("x", "y", "rate", colour="x", backend="bokeh"))["runs"]
    assert curves["xs"] == [[0, 1, 2]] * 20
    np.testing.assert_array_equal([ys[0] for ys in curves["ys"]], done["x"] / 10)
    np.testing.assert_array_equal(curves["height"], done["x"] / 10)
    with pytest.raises(SimkitError, match='backend="bokeh" takes no color'):
        traj.plot.scatter("x", "rate", backend="bokeh", color="red")
    with pytest.raises(SimkitError, match='backend=\'plotly\': choose "matplotlib" or "bokeh"'):
        traj.plot.line("rate", backend="plotly")


def test_words_and_what_has_no_value_are_drawn_with_bokeh(record):
    pytest.importorskip("bokeh", reason="in the extra page")

    def f(kind: str, flag: bool) -> float:
        if kind == "c":
            raise ValueError
        return float("nan") if flag else 2.0

    traj = record(f, product(kind=["b", "a", "c"], flag=[False, True]))
    dots = sources(traj.plot.scatter("kind", "result", backend="bokeh"))["runs"]
    assert set(dots["a"]) == {"a", "b", "c"}
    bins = sources(traj.plot.histogram("kind", backend="bokeh"))["bins"]
    assert bins["count"].tolist() == [2, 2, 2]
    assert sources(traj.plot.histogram("result", backend="bokeh"))["bins"]["count"].sum() == 2
    lines = sources(traj.where("flag == False").plot.line("result", "kind", backend="bokeh"))["points"]
    assert lines["y"].tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("name", "by", "heights"),
    [
        ("z", "kind", [[1, 1], [1, 0]]),  # a run failed, another one has no number
        ("z", "flag", [[1, 1], [1, 0]]),
        ("z", "status", [[2, 1], [0, 0]]),
        ("c", "kind", [[2], [1]]),
        ("w", "kind", [[1, 1, 0], [1, 0, 1]]),
    ],
)
def test_a_histogram_of_what_is_absent_in_some_runs(record, name, by, heights):
    def f(kind, flag):
        if kind == "b" and flag:
            raise ValueError
        return {"z": (1.0 if flag else 2.0) if kind == "a" else 1.0, "c": 1, "w": "t" if flag else "u"}

    traj = record(f, product(kind=["a", "b"], flag=[True, False]))
    axes = traj.plot.hist(name, by=by)
    drawn_bars = [sorted(bar.get_height() for bar in bars) for bars in axes.containers]
    assert sorted(drawn_bars) == sorted(map(sorted, heights))
