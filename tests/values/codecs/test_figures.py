"""Figures are kept as they look, and come back as pictures."""

from __future__ import annotations

import json

import numpy as np
import pytest

import simkit
from simkit.values.pictures import Picture

matplotlib = pytest.importorskip("matplotlib.figure", reason="in the extra plot")


def plotted(x: float, marks: int = 10, title: str = "") -> matplotlib.Figure:
    figure = matplotlib.Figure()
    axes = figure.subplots()
    axes.plot(np.arange(marks) * x, np.random.default_rng(0).random(marks), ".")
    axes.set_title(title)
    return figure


def test_a_figure_of_a_run_is_an_svg_without_anything_that_changes(tmp_path):
    def f(x: float, title: str = "<b>mine</b>"):
        return {"plot": plotted(x, title=title)}

    with simkit.run(f, simkit.product(x=[1.0, 1.0, 2.0]), output=tmp_path / "f.h5") as trajectory:
        first, same, other = (run.plot for run in trajectory.runs)
        assert isinstance(first, Picture)
        assert (first.kind, first.title) == ("svg", "<b>mine</b>")
        assert first.data.startswith(b"<?xml")
        assert first.data == same.data
        assert first.data != other.data
        assert first.address.startswith("data:image/svg+xml;base64,")
        assert "<b>" not in first._repr_html_()
        assert first.save(tmp_path / "out").read_bytes() == first.data
        assert (tmp_path / "out.svg").exists()


def test_axes_stand_for_their_figure_and_many_marks_become_pixels(tmp_path):
    def f(marks: int):
        return plotted(1.0, marks).axes[0]

    with simkit.run(f, simkit.product(marks=[10, 20_000]), output=tmp_path / "f.h5") as trajectory:
        few, many = (run.result for run in trajectory.runs)
        assert few.kind == "svg"
        assert many.kind == "png"
        assert many.data.startswith(b"\x89PNG")
        assert len(many.data) < 500_000


def test_a_bokeh_figure_is_what_bokehjs_draws(tmp_path):
    plotting = pytest.importorskip("bokeh.plotting", reason="in the extra page")

    def f(x: float):
        figure = plotting.figure(title="mine")
        figure.line([0, 1], [0, x])
        return figure

    with simkit.run(f, simkit.product(x=[1.0]), output=tmp_path / "f.h5") as trajectory:
        picture = trajectory.runs[0].result
        assert (picture.kind, picture.title) == ("bokeh", "mine")
        assert json.loads(picture.data)["doc"]["roots"]
        assert picture.save(tmp_path / "out").suffix == ".json"
        assert "simkit serve" in picture._repr_html_()
