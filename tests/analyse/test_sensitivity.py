"""Sensitivity indices, against models of which they are known."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest

import simkit
from simkit import SimkitError, morris, product, saltelli

AXES = {"a": (0, 1), "b": (0, 2), "c": (-1, 1)}


@pytest.fixture
def go(tmp_path):
    """Run a function over a space; the trajectory is closed when the test ends."""
    opened = []

    def run(function, space, **options):
        options = {"output": tmp_path / "f.h5", "seed": 1, **options}
        opened.append(simkit.run(function, space, **options))
        return opened[-1]

    yield run
    for traj in opened:
        traj.close()


def linear(a, b, c):
    return {"z": 3 * a + b + 0 * c, "trace": np.zeros(3), "word": "x", "flat": 1.5}


def test_first_and_total_order_of_a_linear_model_are_its_squared_slopes(go):
    found = go(linear, saltelli(1024, AXES)).sensitivity("z")
    expected = [9 / 13, 4 / 13, 0]
    np.testing.assert_allclose(found.table["S1"], expected, atol=0.02)
    np.testing.assert_allclose(found.table["ST"], expected, atol=0.02)
    assert list(found.table.index) == ["a", "b", "c"]
    assert list(found.table.columns) == ["S1", "S1_conf", "ST", "ST_conf"]
    assert (found.table["ST_conf"][:2] > 0).all()
    assert found.interactions is None
    assert (found.blocks, found.left_out.tolist()) == (1024, [])
    assert repr(found).startswith("z: all 1024 blocks\n\n")


def test_indices_are_salibs_on_the_results_in_run_order(go):
    from SALib.analyze import sobol

    traj = go(lambda x, y: np.sin(x) + x * y**2, saltelli(64, x=(0, 3), y=(0, 1), second_order=True))
    problem = {"num_vars": 2, "names": ["x", "y"], "bounds": [[0, 1]] * 2}
    expected = sobol.analyze(problem, traj["result"], num_resamples=50, conf_level=0.9, seed=1)
    found = traj.sensitivity("result", resamples=50, confidence=0.9)
    for column in ("S1", "S1_conf", "ST", "ST_conf"):
        np.testing.assert_array_equal(found.table[column], expected[column])
    assert found.interactions is not None
    assert found.interactions.index.tolist() == [("x", "y")]
    assert found.interactions["S2"].tolist() == [expected["S2"][0, 1]]
    assert found.interactions["S2_conf"].tolist() == [expected["S2_conf"][0, 1]]


def test_a_product_of_two_centred_inputs_is_all_interaction(go):
    found = go(lambda x, y: x * y, saltelli(1024, x=(-1, 1), y=(-1, 1), second_order=True)).sensitivity(
        "result"
    )
    np.testing.assert_allclose(found.table["S1"], [0, 0], atol=0.05)
    np.testing.assert_allclose(found.table["ST"], [1, 1], atol=0.05)
    np.testing.assert_allclose(found.interactions["S2"], [1], atol=0.05)


def test_whole_blocks_are_left_out_where_a_run_failed_or_gave_no_number(go):
    def f(a, b, run):
        if run.index == 9:  # block 2
            raise ValueError
        return {"z": a - b, "half": nan if run.index in (0, 3, 70) else a - b}

    traj = go(f, saltelli(64, a=(0, 1), b=(0, 1)))
    found, half = traj.sensitivity("z"), traj.sensitivity("half")
    assert (found.blocks, found.left_out.tolist()) == (63, [2])
    assert (half.blocks, half.left_out.tolist()) == (61, [0, 2, 17])
    np.testing.assert_allclose(found.table["S1"], [0.5, 0.5], atol=0.1)
    first = repr(half).partition("\n")[0]
    assert (
        first == "half: 61 of 64 blocks; 3 left out, in which a run is not done or gave no number: 0, 2, 17"
    )
    assert "61 of 64 blocks" in half._repr_html_()


def test_many_left_out_blocks_are_named_as_far_as_one_can_read(go):
    def f(a, b, run):
        if run.index < 400:
            raise ValueError
        return a - b

    text = " ".join(repr(go(f, saltelli(128, a=(0, 1), b=(0, 1))).sensitivity("result")).split())
    assert "28 of 128 blocks; 100 left out" in text
    assert "58, 59, … (40 more) S1" in text


def test_trials_are_averaged_and_a_missing_trial_costs_the_block(go):
    def f(a, b, run):
        if run.index == 4 * 2 * 3 + 1:
            raise ValueError
        return a + run.trial * 10

    found = go(f, saltelli(32, a=(0, 1), b=(0, 1)).repeat(2)).sensitivity("result")
    assert found.left_out.tolist() == [3]
    np.testing.assert_allclose(found.table["S1"], [1, 0], atol=0.2)


def test_a_design_for_each_model_is_asked_one_model_at_a_time(go):
    traj = go(lambda a, b, m: a if m == "a" else b, product(m=["a", "b"]) * saltelli(64, a=(0, 1), b=(0, 1)))
    np.testing.assert_allclose(traj.where(m="a").sensitivity("result").table["ST"], [1, 0], atol=0.1)
    np.testing.assert_allclose(traj.where(m="b").sensitivity("result").table["ST"], [0, 1], atol=0.1)
    with pytest.raises(SimkitError, match=r"runs 0 and 256 are the same point of the design") as error:
        traj.sensitivity("result")
    assert "choose between them with traj.where(m=…).sensitivity" in str(error.value)


def test_points_beside_the_design_do_not_count(go):
    space = product(a=[5.0, 6.0], b=[7.0]) + saltelli(64, a=(0, 1), b=(0, 1))
    assert go(lambda a, b: a, space).sensitivity("result").blocks == 64


def test_blocks_that_were_added_later_in_second_order_come_into_salibs_order(go, tmp_path):
    axes = {"x": (0, 3), "y": (0, 1)}

    def f(x, y):
        return np.sin(x) + x * y**2

    at_once = go(f, saltelli(32, axes, second_order=True)).sensitivity("result")
    go(f, saltelli(16, axes), output=tmp_path / "later.h5")
    whole = saltelli(32, axes, second_order=True)
    later = go(f, whole, output=tmp_path / "later.h5").sensitivity("result")
    np.testing.assert_allclose(later.table, at_once.table)
    np.testing.assert_allclose(later.interactions, at_once.interactions)


def test_an_exported_trajectory_has_the_same_indices(go, tmp_path):
    traj = go(linear, saltelli(32, AXES))
    traj.export(tmp_path / "part.h5")
    with simkit.open(tmp_path / "part.h5") as part:
        np.testing.assert_array_equal(part.sensitivity("z").table, traj.sensitivity("z").table)


# Morris


def test_effects_of_a_linear_model_are_its_slopes_over_the_whole_range(go):
    table = go(linear, morris(10, AXES)).sensitivity("z").table
    np.testing.assert_allclose(table["mu"], [3, 2, 0], atol=1e-12)
    np.testing.assert_allclose(table["mu_star"], [3, 2, 0], atol=1e-12)
    np.testing.assert_allclose(table["sigma"], [0, 0, 0], atol=1e-12)
    assert list(table.columns) == ["mu", "mu_star", "sigma", "mu_star_conf"]


def test_effects_that_depend_on_the_others_spread(go):
    def f(x, y, w):
        return x * y - w**2

    traj = go(f, morris(40, x=(-1, 1), y=(-1, 1), w=(-1, 1)))
    table = traj.sensitivity("result").table
    assert (table["sigma"] > 0.5).all()
    assert (table["mu_star"] > table["mu"].abs()).all()
    assert table["mu_star"]["x"] == pytest.approx(table["sigma"]["x"], rel=0.5)


def test_effects_are_salibs_on_the_points_and_results(go):
    from SALib.analyze import morris as analysis

    traj = go(lambda x, y: np.sin(x) + x * y**2, morris(12, x=(0, 3), y=(0, 1), levels=6, seed=2))
    points = np.stack([traj["x"], traj["y"]], 1)
    problem = {"num_vars": 2, "names": ["x", "y"], "bounds": [[0, 3], [0, 1]]}
    expected = analysis.analyze(problem, points, traj["result"], num_levels=6, seed=1)
    table = traj.sensitivity("result").table
    for column in table.columns:
        np.testing.assert_allclose(table[column], np.asarray(expected[column], float))


def test_a_trajectory_of_morris_with_a_failed_run_is_left_out(go):
    def f(a, b, run):
        if run.index == 4:
            raise ValueError
        return a + 2 * b

    found = go(f, morris(8, a=(0, 1), b=(0, 1))).sensitivity("result")
    assert (found.blocks, found.left_out.tolist()) == (7, [1])
    np.testing.assert_allclose(found.table["mu"], [1, 2], atol=1e-12)


# Figures


@pytest.mark.parametrize(
    ("space", "label"),
    [
        (saltelli(32, AXES), "part of the variance of z"),
        (morris(8, AXES), "mean magnitude of the effects on z"),
    ],
)
def test_the_figure_names_the_parameters_and_says_how_many_blocks_count(go, space, label):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    def f(a, b, c, run):
        if run.index == 0:
            raise ValueError
        return {"z": a + b + c}

    axes = go(f, space).plot.sensitivity("z")
    texts = [text.get_text() for text in (*axes.texts, *axes.get_yticklabels())]
    assert axes.get_xlabel() == label
    assert {"a", "b", "c"} <= set(texts)
    assert any(text.endswith(" blocks") for text in texts)
    plt.close(axes.figure)


# Errors


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("trace", "trace is more than a number per run: look at one run's, traj.runs[0].trace, or reduce it"),
        ("word", "word is no real number in every run, so it can't be analysed"),
        ("flat", "flat is 1.5 in all runs: it depends on nothing that was explored"),
    ],
)
def test_a_result_that_can_not_be_analysed_says_why(go, name, text):
    with pytest.raises(SimkitError) as error:
        go(linear, saltelli(8, AXES)).sensitivity(name)
    assert text in str(error.value)


def test_an_unknown_result_is_answered_with_the_nearest(go):
    with pytest.raises(KeyError, match="did you mean 'trace'"):
        go(linear, saltelli(8, AXES)).sensitivity("trac")


def test_other_explorations_have_no_sensitivity(go):
    with pytest.raises(SimkitError, match=r"linear was not explored by saltelli\(\) or morris\(\)"):
        go(linear, product(a=[1], b=[2], c=[3])).sensitivity("z")


def test_two_designs_in_one_trajectory_are_not_told_apart(go):
    space = saltelli(8, AXES) + morris(8, AXES)
    with pytest.raises(SimkitError, match="linear was explored by several designs"):
        go(linear, space).sensitivity("z")


def test_too_few_blocks_ask_for_the_runs(go):
    def f(a, b, run):
        if run.index > 5:
            raise ValueError
        return a

    words = (
        "result: 1 of 4 blocks are complete, and sensitivity needs two at least: simkit runs what is missing"
    )
    with pytest.raises(SimkitError, match=words):
        go(f, saltelli(4, a=(0, 1), b=(0, 1))).sensitivity("result")


def test_without_salib_it_says_what_to_install(go, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "SALib.analyze.sobol", None)
    traj = go(linear, saltelli(4, AXES))
    with pytest.raises(SimkitError, match=r'pip install "simkit\[sensitivity\]"'):
        traj.sensitivity("z")
