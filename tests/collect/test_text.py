from __future__ import annotations

import math

import pytest
from storable import identical

from simkit import SimkitError
from simkit.collect.conversion import convert
from simkit.collect.text import Unfit, parse, parse_axis, stretch


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.0", 1.0),
        ("1e3", 1000.0),
        ("-2", -2),
        ("1j", 1j),
        ("true", True),
        ("False", False),
        ("None", None),
        ("none", None),
        ("inf", math.inf),
        ("nan", math.nan),
        ("-inf", -math.inf),
        ("+Infinity", math.inf),
        ("-nan", -math.nan),
        ("[1, -inf, nan]", [1, -math.inf, math.nan]),
        ("{'a': none, 'b': [true]}", {"a": None, "b": [True]}),
        ("{1, 2}", {1, 2}),
        ("1+2j", 1 + 2j),
        ("0e5", 0.0),
        ("-x", "-x"),
        ("[a, b]", "[a, b]"),
        ("'a'", "a"),
        ("abc", "abc"),
        ("two words", "two words"),
        ("[1, 2]", [1, 2]),
        ("(1, 'a')", (1, "a")),
        ("{'a': 1}", {"a": 1}),
        ("", ""),
        ("a.b", "a.b"),
        ("__import__('os')", "__import__('os')"),
    ],
)
def test_a_text_is_a_literal_a_word_or_itself(text, value):
    assert identical(parse(text), value)


@pytest.mark.parametrize("text", ["1e999", "-1e999", "[1, 1e400]", "1e999j", "1e-999", "{'a': 3.0e-500}"])
def test_a_number_that_no_float_holds_is_no_other_number(text):
    with pytest.raises(SimkitError, match="is beyond what a float can hold"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,2,3", [1, 2, 3]),
        ("1", [1]),
        ("1, 2.5", [1, 2.5]),
        ("a,b", ["a", "b"]),
        ("fast,'slow, really'", ["fast", "slow, really"]),
        ("'a,b','c'", ["a,b", "c"]),
        ("[1,2,3]", [1, 2, 3]),
        ("[1, 2, ]", [1, 2]),
        ("[]", []),
        ("[1,2],[3,4]", [[1, 2], [3, 4]]),
        ("(1,2)", [(1, 2)]),
        ("1,abc", [1, "abc"]),
        ("true,false", [True, False]),
    ],
)
def test_an_axis_is_values_between_commas(text, values):
    assert identical([convert(part, "x", None, "") for part in parse_axis(text)], values)


@pytest.mark.parametrize("text", ["1,2,", "a,,b", ",1", "[a, b,, c]"])
def test_a_comma_without_a_value_is_no_empty_text(text):
    with pytest.raises(Unfit, match=r"no value between or behind commas of .*; an empty text is written ''"):
        parse_axis(text)
    assert [convert(part, "x", str, "") for part in parse_axis("a,''")] == ["a", ""]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0:1:5", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("1:-1:3", [1.0, 0.0, -1.0]),
        ("linspace(0, 1, 3)", [0.0, 0.5, 1.0]),
        ("logspace(-2, 0, 3)", [0.01, 0.1, 1.0]),
        ("np.geomspace(1, 100, 3)", [1.0, 10.0, 100.0]),
        ("range(3)", [0, 1, 2]),
        ("arange(0, 1, 0.5)", [0.0, 0.5]),
        ("12:30:x", []),
        ("C:data", []),
        ("f(1, 2)", []),
        ("3", []),
    ],
)
def test_a_range_is_its_numbers(text, values):
    assert stretch(text) == pytest.approx(values)
    assert [type(each) for each in stretch(text)] == [type(each) for each in values]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0:1", "0:1 is no range: write FROM:TO:NUMBER, as in 0:1:11"),
        ("0:1:0.5", "is no range"),
        ("logspace(0, 1)", "is no range"),
        ("linspace(a, 1, 3)", "is no range"),
        ("0:1:0", "0:1:0 is a range without a value"),
        ("range(3, 0)", "is a range without a value"),
        ("0:inf:3", "is no range"),
        ("geomspace(-1, 1, 3)", "is no range"),
        ("logspace(0, 400, 3)", "is no range"),
    ],
)
def test_what_is_no_range_is_said(text, words):
    with pytest.raises(Unfit) as error:
        stretch(text)
    assert words in str(error.value)
