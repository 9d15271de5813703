"""Which named results a returned value is."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import attrs
import numpy as np
import pandas as pd
import pytest

from simkit import Codec
from simkit.declare.plugins import OWN
from simkit.values.results import is_one_result, named_results


class Pair(NamedTuple):
    z: int
    w: str


@attrs.frozen
class Fit:
    a: float
    _hidden: int = 1


@dataclasses.dataclass
class Trace:
    v: list


class Opaque:
    pass


@pytest.mark.parametrize(
    ("returned", "names"),
    [
        ({"z": 1, "w": 2}, ["z", "w"]),
        (Pair(1, "a"), ["z", "w"]),
        (Fit(1.0), ["a", "_hidden"]),
        (Trace([]), ["v"]),
        (None, []),
        (5, ["result"]),
        ([1, 2], ["result"]),
        ((1, 2), ["result"]),
        (np.arange(3), ["result"]),
        (pd.DataFrame({"a": [1]}), ["result"]),
        (Opaque(), ["result"]),
    ],
)
def test_what_has_fields_gives_a_result_per_field(returned, names):
    assert list(named_results(returned)) == names
    assert is_one_result(type(returned)) == (names == ["result"])


def test_a_type_with_a_codec_of_its_own_is_one_result(monkeypatch):
    monkeypatch.setattr(OWN, "by_type", dict(OWN.by_type))
    monkeypatch.setattr(OWN, "by_name", dict(OWN.by_name))
    OWN.add(Codec("lab.Trace", Trace, lambda t: ({"v": t.v}, {}), lambda arrays, _: Trace(arrays["v"])))
    assert list(named_results(Trace([1]))) == ["result"]
