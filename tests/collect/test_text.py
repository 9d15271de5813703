from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
from storable import identical

from simkit import SimkitError
from simkit.collect.text import convert, parse, parse_axis


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


@pytest.mark.parametrize(
    ("value", "kind", "converted"),
    [
        (3, float, 3.0),
        (3, int, 3),
        (2.0, int, 2),
        (3, complex, 3 + 0j),
        (2.5, complex, 2.5 + 0j),
        ([1, 2], tuple, (1, 2)),
        (1.5, float, 1.5),
        (True, bool, True),
        ("a", str, "a"),
        (3, str, "3"),
        (3, None, 3),
        (3, int | str, 3),
        (3, list[int], 3),
        ([1], np.ndarray, [1]),
        (2**53, float, 2.0**53),
    ],
)
def test_a_value_becomes_what_the_code_expects_where_nothing_is_lost(value, kind, converted):
    assert identical(convert(value, "x", kind, "--set"), converted)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (2.5, int, "x is an int, and 2.5 is a float"),
        ("abc", float, "x is a float, and 'abc' is a str"),
        ("1", int, "x is an int, and '1' is a str"),
        (True, int, "x is an int, and True is a bool"),
        (1, bool, "x is a bool, and 1 is an int"),
        (1j, float, "x is a float, and 1j is a complex"),
        (math.inf, int, "x is an int, and inf is a float"),
        (2**53 + 1, float, "x is a float"),
        (10**400, float, "x is a float"),
        (2**53 + 1, complex, "x is a complex"),
        (3, list, "x is a list, and 3 is an int"),
        ([1], str, "x is a str, and [1] is a list"),
        (None, float, "x is a float, and None is a NoneType"),
    ],
)
def test_a_value_that_would_lose_something_is_an_error_with_its_source(value, kind, message):
    with pytest.raises(SimkitError) as error:
        convert(value, "x", kind, "--set x=…")
    assert str(error.value).startswith("--set x=…: ")
    assert message in str(error.value)


@pytest.mark.parametrize("typed", ["none", "true", "1.10", "007", "1e3", "nan", "'quoted'", "0x10", "1_000"])
def test_what_is_typed_for_a_text_parameter_stays_as_it_was_typed(study, typed):
    from simkit.cli.command import outside_values
    from simkit.collect.collection import collect
    from simkit.collect.config import load_settings

    study.write(
        "sim_a.py", "from simkit import experiment\n@experiment\ndef f(mode='full'):\n    return mode\n"
    )
    project = load_settings(study.root)
    (item,) = collect(attrs.evolve(project, outside=outside_values(project, [], [f"mode={typed}"])))
    assert item.plan.nodes["mode"].value == typed.strip("'")
