"""What stands in a summary as the page shows it: figures of a stranger's do nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pages import client

import simkit
from simkit.analyse.bokeh import DARK, LIGHT

bokeh = pytest.importorskip("bokeh.plotting", reason="in the extra page")


@pytest.fixture
def with_summary(tmp_path):
    """Opens a trajectory to add to, and gives what the page then shows."""
    simkit.run(lambda x: x, simkit.product(x=[1.0, 2.0]), output=tmp_path / "f.h5").close()

    def added(**values) -> str:
        with simkit.open(tmp_path / "f.h5", mode="r+") as trajectory:
            trajectory.add(values)
        answer = client([tmp_path])("/view?t=f.h5")
        assert answer.status_code == 200
        page = answer.text
        return page[page.index('id="part-own"') : page.index('id="part-table"')]

    added.ask = client([tmp_path])
    return added


def test_a_bokeh_figure_is_drawn(with_summary):
    figure = bokeh.figure(title="mine")
    figure.line([1, 2], [3, 4])
    assert 'data-plot="/plot?t=f.h5&amp;kind=summary&amp;name=live"' in with_summary(live=figure)
    answer = with_summary.ask("/plot?t=f.h5&kind=summary&name=live")
    assert answer.json()["root_id"]
    assert with_summary.ask("/plot?t=f.h5&kind=summary&name=nope").status_code == 400


def test_an_array_is_drawn_in_the_colours_of_the_page(with_summary):
    shown = with_summary(best=np.linspace(0, 1, 30), place=np.array([1.0, 2.0]))
    assert 'data-plot="/plot?t=f.h5&amp;kind=summary&amp;name=best"' in shown
    assert "array([1., 2.])" in shown  # two numbers are told
    light, dark = (
        with_summary.ask(f"/plot?t=f.h5&kind=summary&name=best&theme={theme}").text
        for theme in ("light", "dark")
    )
    assert ("line 0" in light, LIGHT.ink in light, DARK.paper in dark) == (True, True, True)


def test_a_bokeh_figure_that_executes_or_loads_something_is_not(with_summary):
    from bokeh.models import CustomJS, Div

    figure = bokeh.figure()
    figure.line([1, 2], [3, 4])
    figure.x_range.js_on_change("start", CustomJS(code="alert(1)"))
    assert "a Bokeh figure with CustomJS, which is not shown here" in with_summary(code=figure)
    assert with_summary.ask("/plot?t=f.h5&kind=summary&name=code").status_code == 400
    pictured = bokeh.figure()
    pictured.image_url(["https://evil.example/x.png"], 0, 0, 1, 1)
    assert "a Bokeh figure with ImageURL" in with_summary(image=pictured)
    assert "a Bokeh figure with Div" in with_summary(text=Div(text="<b>hello</b>"))


def test_tables_texts_and_numbers(with_summary):
    frame = pd.DataFrame({"a": range(60), "<b>": [0.1 + 0.2] * 60})
    shown = with_summary(frame=frame, words="<script>", best=0.5)
    assert "&lt;b&gt;" in shown
    assert ">0.3<" in shown
    assert "the first 50 of 60 rows" in shown
    assert "&lt;script&gt;" in shown
    assert ">0.5<" in shown
