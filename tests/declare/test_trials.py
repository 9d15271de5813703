"""Conditions on trials: what they mean, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from simkit import SimkitError, explore, product
from simkit.declare.space import with_axis, with_trials, words
from simkit.declare.trials import Until

POINTS = explore(x=[1.0, 2.0], kind=["a", "b"])
Z = np.array([[1.0, 2.0, 3.0, np.nan], [4.0, 4.0, 4.0, 8.0]])


def form(test: str) -> Until:
    space = POINTS.repeat(2, until=test, most=8)
    assert isinstance(space.form, Until)
    return space.form


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("mean(z) == 2", [True, False]),
        ("std(z) == 1", [True, False]),
        ("sem(z) < 0.6", [True, False]),
        ("sem(z) < 1.1", [True, True]),
        ("rel(z) < 0.25", [False, True]),
        ("rel(z) == sem(z) / abs(mean(z))", [True, True]),
        ("count(z) >= 4", [False, True]),
        ("sem(z) < 0.6 * x", [True, True]),
        ("sem(z) < 0.6 or kind == 'b'", [True, True]),
        ("mean(log(z / z)) == 0 and mean(z) > 4", [False, True]),
        ("sem(z) < 1.1 and count(other) > 1", [False, True]),
    ],
)
def test_statistics_are_those_of_the_trials_that_gave_a_number(test, expected):
    tables = {"z": Z, "other": np.array([[np.nan] * 4, [0.0] * 4])}
    assert form(test).is_enough(tables, POINTS.at(np.arange(2))).tolist() == expected


def test_a_point_without_a_number_is_never_known_well_enough():
    table = {"z": np.array([[np.nan, np.nan], [1.0, np.nan]])}
    for test in ("sem(z) < 1e9", "rel(z) < 1e9", "std(z) >= 0"):
        assert form(test).is_enough(table, POINTS.at(np.arange(2))).tolist() == [False, False]


def test_dotted_results_and_groups_may_be_named():
    condition = product({"syn.w": [1.0, 2.0]}).repeat(2, until="sem(spikes.rate) < syn.w", most=4).form
    assert condition.results == ["spikes.rate"]
    rates = {"spikes.rate": np.array([[0.0, 3.0], [0.0, 3.0]])}
    assert condition.is_enough(rates, product({"syn.w": [1.0, 2.0]}).at(np.arange(2))).tolist() == [
        False,
        True,
    ]


def test_it_is_the_trials_that_each_point_gets_in_any_case():
    space = POINTS.repeat(2, until="sem(z) < 1", most=8)
    assert list(space) == list(POINTS.repeat(2))
    assert space.names == ("x", "kind", "trial")
    assert repr(space) == "<Space of 4 points: x, kind, trial; more until sem(z) < 1>"
    assert (
        words(space.form) == "(explore(x=[1.0, 2.0], kind=['a', 'b'])).repeat(2, until='sem(z) < 1', most=8)"
    )
    assert [p["trial"] for p in map(dict, _points(space, [0, 7, 8, 15]))] == [0, 7, 0, 7]


def _points(space, numbers):
    columns = space.form.chosen(np.array(numbers)).at(np.arange(len(numbers)))
    return [{name: values.elements()[i] for name, values in columns.items()} for i in range(len(numbers))]


def test_options_of_the_command_reach_the_points_within():
    space = POINTS.repeat(2, until="sem(z) < 1", most=8)
    grown = with_axis(space, "y", [1, 2])
    assert list(grown) == list((POINTS * product(y=[1, 2])).repeat(2))
    assert isinstance(grown.form, Until)
    replaced = with_axis(product(x=[1, 2]).repeat(2, until="sem(z) < 1", most=8), "x", [5])
    assert list(replaced) == list(product(x=[5]).repeat(2))
    assert list(with_trials(space, 3)) == list(POINTS.repeat(3))


@pytest.mark.parametrize(
    "combine",
    [
        lambda s: s * product(y=[1]),
        lambda s: product(y=[1]) * s,
        lambda s: s + s,
        lambda s: s.where("x > 1"),
        lambda s: s.take([0]),
        lambda s: product(y=[1])(s(lambda x, y: 0)),
    ],
)
def test_it_comes_last(combine):
    with pytest.raises(SimkitError, match="comes last, since nobody knows yet how many trials") as error:
        combine(POINTS.repeat(2, until="sem(z) < 1", most=8))
    assert "test_trials.py:" in str(error.value)
    assert "combine the spaces first, and repeat the result" in str(error.value)


@pytest.mark.parametrize(
    ("test", "text"),
    [
        ("sem(z)", "until: 'sem(z)' is no condition: it gives float64, not true or false"),
        ("sem(z) <", "until: cannot read the condition 'sem(z) <': invalid syntax"),
        ("sem(z) = 1", "compare with =="),
        (
            "z < 1",
            "until='z < 1': a result has a value for each trial: write mean(z), std(z), sem(z), rel(z)",
        ),
        ("sem(x) < sem(z)", "cannot compute 'sem(x)': it is no result, which has a value for each trial"),
        ("x < 1", "until='x < 1' names no result, so that no trial could change it: write mean(z)"),
        ("True", "until='True' names no result"),
        ("sme(z) < 1", "until: the condition 'sme(z) < 1': cannot understand 'sme(z)'"),
        ("sem(z, 1) < 1", "cannot compute 'sem(z, 1)'"),
        (0.01, "until=0.01: write the condition as a text, such as until='sem(z) < 0.01'"),
        (lambda z: z, "write the condition as a text"),
    ],
)
def test_what_is_no_condition_is_an_error_where_it_is_written(test, text):
    with pytest.raises(SimkitError) as error:
        POINTS.repeat(2, until=test, most=8)
    assert text in str(error.value)
    assert "test_trials.py:" in str(error.value)


@pytest.mark.parametrize("most", [None, 1, 2.5, True, "9"])
def test_a_number_of_trials_is_enough_in_any_case(most):
    with pytest.raises(SimkitError) as error:
        POINTS.repeat(2, until="sem(z) < 1", most=most)
    assert f"repeat(2, until=…, most={most!r}): say how many trials a point gets at most" in str(error.value)


def test_most_without_until_is_an_error():
    with pytest.raises(SimkitError, match="until=None: write the condition as a text"):
        POINTS.repeat(2, most=8)
