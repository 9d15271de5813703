"""Pictures of arrays, tables and records."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("bokeh", reason="in the extra page")

from simkit.analyse.bokeh import LIGHT
from simkit.serve.arrays import is_drawable, picture


def sources(value) -> dict[str, dict]:
    """The named columns of a picture."""
    models = picture(value, "v", LIGHT).references()
    return {
        model.name: model.data
        for model in models
        if type(model).__name__ == "ColumnDataSource" and model.name
    }


@pytest.mark.parametrize(
    "value",
    [3.0, "text" * 9, None, [1, 2, 3], np.arange(6.0), np.zeros((2, 3)), np.zeros((3, 3, 3)), np.zeros((0, 9)),
     ["a"] * 9, [[1], [2, 3]] * 5, np.zeros(9, complex), {"a": 1.0}, {}, np.array([], float)],
)  # fmt: skip
def test_what_a_line_of_text_tells_and_what_is_no_array_of_numbers_has_no_picture(value):
    assert not is_drawable(value)


def test_what_is_not_finite_is_a_gap():
    line = sources(np.array([0, np.inf, 2, -np.inf, np.nan, 5, 6, 7]))["line 0"]
    np.testing.assert_array_equal(line["y"], [0, np.nan, 2, np.nan, np.nan, 5, 6, 7])
    assert line["x"].tolist() == list(range(8))


def test_a_matrix_has_its_first_row_on_top():
    drawn = picture(np.arange(12.0).reshape(3, 4), "field", LIGHT)
    assert (drawn.y_range.start, drawn.y_range.end) == (3, 0)
    image = drawn.renderers[0].glyph
    assert (image.x, image.y, image.dw, image.dh) == (0, 0, 4, 3)


def test_columns_of_a_table_are_lines_over_its_time_with_a_legend_beside_them():
    frame = pd.DataFrame({"t": np.linspace(0, 1, 9), "u": np.arange(9.0), "w": np.arange(9.0) ** 2})
    drawn = picture(frame, "v", LIGHT)
    assert set(sources(frame)) == {"line 0", "line 1"}
    np.testing.assert_allclose(sources(frame)["line 1"]["x"], frame["t"])
    assert drawn.xaxis[0].axis_label == "t"
    assert [type(model).__name__ for model in drawn.right] == ["Legend"]
    assert [item.label.value for item in drawn.legend.items] == ["u", "w"]


def test_events_are_points_over_time():
    events = sources({"t": np.array([0.1, 0.2]), "i": np.array([4, 2])})["events"]
    assert (events["t"].tolist(), events["i"].tolist()) == ([0.1, 0.2], [4, 2])


def test_quantities_stand_in_the_unit_that_suits_them():
    brian2 = pytest.importorskip("brian2", reason="in the extra brian2")
    record = {"t": np.arange(9) * brian2.ms, "v": np.linspace(-70, -50, 9) * brian2.mV}
    drawn = picture(record, "v", LIGHT)
    assert (drawn.xaxis[0].axis_label, drawn.yaxis[0].axis_label) == ("t [ms]", "v [mV]")
    np.testing.assert_allclose(sources(record)["line 0"]["y"], np.linspace(-70, -50, 9))
