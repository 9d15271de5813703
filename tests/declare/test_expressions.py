from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkit import SimkitError
from simkit.declare.expressions import evaluate
from simkit.declare.forms import objects

WORDS = ("pending", "done", "failed")
CLOSED = {"status": WORDS}
COLUMNS = {
    "x": np.array([1.0, 2.0, 3.0, 4.0]),
    "n": np.array([1, 2, 3, 4]),
    "flag": np.array([True, False, True, False]),
    "name": np.array(["a", "b", "a", "c"], object),
    "neuron.tau": np.array([10.0, 20.0, 30.0, 40.0]),
    "bad": np.array([np.nan, 1.0, np.inf, 2.0]),
    "mixed": np.array([1, "a", None, 2.0], object),
    "small": np.array([100, 101, 102, 103], np.int8),
    "unsigned": np.array([1, 2, 3, 4], np.uint64),
    "zero": np.array([0, 1, 0, 2]),
    "day": np.array(["2020-01-01", "2020-01-02", "2020-01-03", "NaT"], "M8[D]"),
    "stamp": objects([pd.Timestamp(f"2026-10-2{i}", tz="Europe/Berlin") for i in (4, 5, 6, 7)]),
    "date": objects([datetime.date(2020, 1, i) for i in (1, 2, 3, 4)]),
    "wait": np.array([1, 2, 3, 4], "m8[h]"),
    "path": objects([Path("a"), Path("b"), Path("c"), Path("d")]),
    "v": np.arange(8.0).reshape(4, 2),
    "status": np.array(["done", "failed", "done", "pending"]),
}


def passing(text):
    result = np.broadcast_to(evaluate(text, COLUMNS, COLUMNS.__getitem__, "here:1", closed=CLOSED), 4)
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
        ("(x > 1) & (x < 4)", [1, 2]),
        ("(x < 2) | ~(x < 4)", [0, 3]),
        ("~(x > 1) | (n == 3)", [0, 2]),
        ("flag + (x > 2) == 2", [2]),
        ("small * 100 > 10150", [2, 3]),
        ("small + 100 == 200", [0]),
        ("unsigned - 3 < 0", [0, 1]),
        ("-unsigned == -2", [1]),
        ("n ** 40 == 3 ** 40", [2]),
        ("n * 4611686018427387904 == 2 * 4611686018427387904", [1]),
        ("n ** -1 == 0.5", [1]),
        ("n % zero == 0", [1, 3]),
        ("n // zero == 2", [1, 3]),
        ("day == '2020-01-02'", [1]),
        ("day > '2020-01-01' and day <= '2020-01-03'", [1, 2]),
        ("day in ['2020-01-01', '2020-01-03']", [0, 2]),
        ("stamp >= '2026-10-26'", [2, 3]),
        ("stamp == '2026-10-25'", [1]),
        ("date != '2020-01-02'", [0, 2, 3]),
        ("wait > '2h'", [2, 3]),
        ("wait == '2 hours'", [1]),
        ("status == 'done'", [0, 2]),
        ("status in ['failed', 'pending']", [1, 3]),
        ("2 ** 10 == 1024", [0, 1, 2, 3]),
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
        ("x > 3 & x < 10", "write `x > 3 and x < 10`, or with parentheses `(x > 3) & (x < 10)`"),
        ("x > 3 | x < 10", "& and | bind tighter than comparisons"),
        ("flag & x > 1", "& and | bind tighter than comparisons"),
        ("n & 1 == 1", "where(lambda n: n & 1 == 1)"),
        ("n & 1", "a column of int64 is not true or false: compare it"),
        ("~n > 1", "a column of int64 is not true or false"),
        ("~x", "a column of float64 is not true or false"),
        ("(x > 3) & 1", "1 is not true or false"),
        ("n ^ 1", "cannot understand"),
        ("x == 1 or 2", "2 is not true or false: compare it, as in n != 0, or x in [1, 2]"),
        ("not n", "a column of int64 is not true or false"),
        ("name == 'a' or 'b'", "'b' is not true or false"),
        ("n == '100'", "'100' is text, and the values here are int64"),
        ("x in ['1', 2]", "'1' is text, and the values here are float64"),
        ("x == 1, 2", "a list is no condition; one of several values is written x in [1, 2]"),
        ("x < 1e400", "a number in it is beyond what a float can hold"),
        ("name == b'a'", "b'a' is bytes, and the values here are str"),
        ("flag != 'yes'", "'yes' is text, and the values here are bool"),
        ("name == 3", "3 is a number, and the values here are str"),
        ("path == 'a'", "'a' is text, and the values here are"),
        ("x == None", "None is nothing, and the values here are float64"),
        ("day == 3", "3 is a number, and the values here are datetime64"),
        ("day == 'yesterday'", "cannot compare in"),
        ("stamp < 'yesterday'", "cannot compare in"),
        ("x == [1, 2, 3, 4]", "is a list: write x in [1, 2, 3, 4]"),
        ("name in 'abc'", "behind 'in' stands a list"),
        ("1 in x", "behind 'in' stands a list"),
        ("x == nan", "unknown name 'nan'; write isnan(x)"),
        (
            "status == 'don'",
            "no status is called 'don'; did you mean 'done'?\n    there are: pending, done, failed",
        ),
        ("'fail' != status", "did you mean 'failed'?"),
        ("x > 1 and status in ('done', 'crashed')", "no status is called 'crashed'"),
        ("log(x, zero) > 1", "log takes one argument, not 2"),
        ("sqrt(x, x) > 1", "sqrt takes one argument, not 2"),
        ("round(x, 1, x) > 1", "cannot compute 'round(x, 1, x)'"),
        ("9**9**9 > x", "the result is too large"),
        ("n ** 9**9 > x", "the result is too large"),
        ("mixed ** 9**9 > x", "cannot compute"),
        ("'a' * 9**9 == name", "'a' is no number"),
        ("[1] * 9**9 == name", "is no number"),
        ("name * 9**9 == 'a'", "not all of its values are numbers"),
        ("'%999999999d' % n == name", "is no number"),
        ("1" + "+1" * 20_000 + "> x", "cannot read the condition"),
        ("-" * 20_000 + "x > 1", "cannot read the condition"),
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
