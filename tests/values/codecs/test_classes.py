"""Instances whose class is not at hand."""

from __future__ import annotations

import pytest
from kinds import CHECKS, KINDS, conform
from kinds.instances import INSTANCES

from simkit.values.decode import decode
from simkit.values.encode import encode
from simkit.values.instances import Stored


@pytest.mark.parametrize("kind", INSTANCES)
@CHECKS
def test_each_kind_is_kept(check, kind):
    conform(check, INSTANCES[kind])


def test_an_instance_whose_class_is_not_named_is_a_record_of_its_fields():
    (found,) = decode(encode([KINDS["attrs"][1][0]]))
    assert type(found) is Stored
    assert found.source == "m"
    assert dict(zip(found, [found[name] for name in found], strict=True)).keys() == {
        "t", "source", "_hidden", "derived",
    }  # fmt: skip
    with pytest.raises(AttributeError, match="the recorded Spikes has no 'sorce'; did you mean 'source'"):
        found.sorce  # noqa: B018
    with pytest.raises(AttributeError, match="read-only"):
        found.source = "x"
