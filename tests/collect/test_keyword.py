from __future__ import annotations

import re

import pytest

from simkit import SimkitError
from simkit.collect.targets import matches

NODE = "folder/sim_multiply.py::Multiply_fast"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", True),
        ("  ", True),
        ("multiply", True),
        ("MULTIPLY", True),
        ("folder", True),
        ("slow", False),
        ("not slow", True),
        ("fast and not slow", True),
        ("fast and slow", False),
        ("slow or multiply_fast", True),
        ("not (fast or slow)", False),
        ("not fast or folder and sim", True),
        ("sim_multiply.py", True),
        ("'sim_multiply.py::m'", True),
        ("'folder/sim'", True),
    ],
)
def test_words_joined_by_and_or_not_match_parts_of_a_node_id(expression, expected):
    assert matches(expression, NODE) is expected


@pytest.mark.parametrize("expression", ["a b", "a and", "a + b", "f(x)", "a == b", "3", "a[0]", "(", "x > 2"])
def test_anything_else_is_an_error_that_says_what_to_write(expression):
    with pytest.raises(
        SimkitError, match=re.escape(f"-k {expression!r}: write names joined by and, or, not")
    ):
        matches(expression, NODE)
