"""Python's own composite and exact types."""

from __future__ import annotations

import pytest
from kinds import CHECKS, conform
from kinds.python import NATIVES

from simkit.values.codecs.python import CODECS


@pytest.mark.parametrize("kind", NATIVES)
@CHECKS
def test_each_kind_is_kept(check, kind):
    conform(check, NATIVES[kind])


@pytest.mark.parametrize("code", ["u", "w"])
def test_a_text_array_of_another_python_comes_back(code):
    """Python 3.13 has a new code for these, 3.16 has done away with the old one."""
    (codec,) = (one for one in CODECS if one.name == "typed array")
    back = codec.decode({"values": "aé"}, {"typecode": code})
    assert back.tounicode() == "aé"
