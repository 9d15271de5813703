from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit import SimkitError
from simkit.declare.expressions import evaluate

COLUMNS = {
    "x": np.array([1.0, 2.0, 3.0, 4.0]),
    "n": np.array([1, 2, 3, 4]),
    "flag": np.array([True, False, True, False]),
    "name": np.array(["a", "b", "a", "c"], object),
    "neuron.tau": np.array([10.0, 20.0, 30.0, 40.0]),
    "bad": np.array([np.nan, 1.0, np.inf, 2.0]),
    "mixed": np.array([1, "a", None, 2.0], object),
}


def passing(text):
    result = np.broadcast_to(evaluate(text, COLUMNS, COLUMNS.__getitem__, "here:1"), 4)
    return np.flatnonzero(result).tolist()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("x > 2", [2, 3]),
        ("x >= 2 and x != 3", [1, 3]),
        ("x < 2 or n == 4", [0, 3]),
        ("1 < x <= 3", [1, 2]),
        ("not x > 2", [0, 1]),
        ("flag", [0, 2]),
        ("not flag", [1, 3]),
        ("~flag", [1, 3]),
        ("flag & (x > 1)", [2]),
        ("flag | (x == 2)", [0, 1, 2]),
        ("name == 'a'", [0, 2]),
        ("name != 'a'", [1, 3]),
        ("'a' == name", [0, 2]),
        ("name in ['b', 'c']", [1, 3]),
        ("name not in ('b', 'c')", [0, 2]),
        ("x in [1, 3.0]", [0, 2]),
        ("x in []", []),
        ("x not in []", [0, 1, 2, 3]),
        ("neuron.tau == 20", [1]),
        ("neuron.tau / x == 10 and n % 2 == 0", [1, 3]),
        ("n ** 2 > 4", [2, 3]),
        ("n // 2 == 1", [1, 2]),
        ("-x < -3", [3]),
        ("x - 1 == n - +1", [0, 1, 2, 3]),
        ("abs(x - 2.5) < 1", [1, 2]),
        ("sqrt(x) == 2", [3]),
        ("round(x / 3, 1) == 0.3", [0]),
        ("isnan(bad)", [0]),
        ("isfinite(bad)", [1, 3]),
        ("log(exp(x)) > 3.5", [3]),
        ("  x > 3  ", [3]),
        ("1 < 2", [0, 1, 2, 3]),
        ("x > 3 and 1 > 2", []),
        ("True", [0, 1, 2, 3]),
        ("mixed == 'a'", [1]),
        ("mixed == 1", [0]),
    ],
)
def test_a_condition_selects_rows(text, rows):
    assert passing(text) == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x >", "cannot read the condition 'x >'"),
        ("", "cannot read the condition"),
        ("import os", "cannot read the condition"),
        ("xx > 1", "unknown name 'xx'; did you mean 'x'"),
        ("neuron.tua > 1", "unknown name 'neuron.tua'; did you mean 'neuron.tau'"),
        ("x.real > 1", "unknown name 'x.real'"),
        ("x + 1", "is no condition: it gives float64"),
        ("name", "is no condition: it gives object"),
        ("__import__('os').system('true')", "cannot understand"),
        ("(lambda: x)() > 1", "cannot understand"),
        ("x[0] > 1", "cannot understand 'x[0]'"),
        ("max(x) > 1", "cannot understand 'max(x)'"),
        ("sqrt(x, where=flag) > 1", "cannot understand"),
        ("x is None", "cannot understand 'x is None'"),
        ("x if flag else n", "cannot understand"),
        ("sqrt() > 1", "cannot compute 'sqrt()'"),
        ("sqrt(name) > 1", "cannot compute 'sqrt(name)'"),
        ("name < 3", "cannot compare in 'name < 3'"),
        ("x in 5", "cannot compare in 'x in 5'"),
        ("name + 1 > 2", "cannot compute 'name + 1'"),
        ("x > 1 / 0", "cannot compute '1 / 0'"),
        ("x > 1 and 'a'", "'a'"),
        ("10.0 ** 1000 > x", "cannot compute '10.0 ** 1000'"),
    ],
)
def test_what_is_no_condition_is_an_error_that_says_where_and_what(text, message):
    with pytest.raises(SimkitError) as error:
        passing(text)
    assert str(error.value).startswith("here:1: ")
    assert message in str(error.value)


def test_an_unknown_name_lists_those_that_are_known():
    with pytest.raises(SimkitError, match=r"available: .*neuron\.tau"):
        passing("tau > 1")


def test_only_the_columns_that_are_named_are_read():
    read = []

    def column(name):
        read.append(name)
        return COLUMNS[name]

    evaluate("x > 1 and neuron.tau > 3", COLUMNS, column, "here")
    assert sorted(read) == ["neuron.tau", "x"]


conditions = st.recursive(
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["x", "n", "-x", "n % 2", "x + n"]),
        st.sampled_from(["<", "<=", "==", "!=", ">", ">="]),
        st.sampled_from(["2", "n", "x * 2", "1.5"]),
    ),
    lambda inner: (
        st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
        | st.builds("not ({})".format, inner)
    ),
    max_leaves=5,
)


@given(conditions)
def test_a_condition_means_per_row_what_python_means(text):
    rows = zip(COLUMNS["x"].tolist(), COLUMNS["n"].tolist(), strict=True)
    assert passing(text) == [i for i, (x, n) in enumerate(rows) if eval(text, {"x": x, "n": n})]
