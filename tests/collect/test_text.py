from __future__ import annotations

import math

import pytest
from storable import identical

from simkit import SimkitError
from simkit.collect.conversion import convert
from simkit.collect.text import parse, parse_axis


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
        ("[1,2],[3,4]", [[1, 2], [3, 4]]),
        ("(1,2)", [(1, 2)]),
        ("1,abc", [1, "abc"]),
        ("true,false", [True, False]),
    ],
)
def test_an_axis_is_values_between_commas(text, values):
    assert identical([convert(part, "x", None, "") for part in parse_axis(text)], values)
