"""Which named results a returned value is."""

from __future__ import annotations

import collections
import dataclasses
from typing import NamedTuple

import attrs
import numpy as np
import pandas as pd
import pytest
from identity import identical
from kinds import KINDS, back
from kinds.instances import Loose

import simkit
from simkit import Codec
from simkit.declare.plugins import OWN
from simkit.declare.snapshot import snapshot
from simkit.values.decode import decode
from simkit.values.encode import encode
from simkit.values.instances import Stored
from simkit.values.registry import codec_of
from simkit.values.results import fields_of, is_one_result, named_results, take_apart


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


@pytest.mark.parametrize("kind", [kind for kind in KINDS if any(is_one_result(type(v)) for v in KINDS[kind])])
def test_a_value_of_any_type_is_one_result_and_comes_back(kind):
    for value in KINDS[kind]:
        if is_one_result(type(value)):
            results = named_results(snapshot(value, take_apart, fields_of))
            assert list(results) == ["result"]
            assert identical(back(decode(encode([results["result"]])))[0], value)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_values_of_all_types_are_what_runs_of_one_study_return(tmp_path, workers):
    kinds = KINDS.keys() - {
        "generator",
        "RandomState",
        "random.Random",
        "SeedSequence",
    }  # each run seeds its own
    values = [value for kind in sorted(kinds) for value in KINDS[kind] if is_one_result(type(value))]

    def f(i):
        return values[i]

    space = simkit.product(i=range(len(values)))
    with simkit.run(f, space, workers=workers, output=tmp_path / "f.h5", check=True) as traj:
        assert list(traj.results) == ["result"]
        pairs = zip(back(list(traj["result"])), values, strict=True)
        assert [i for i, (one, other) in enumerate(pairs) if not identical(one, other)] == []


def test_mappings_give_a_result_per_item():
    named = collections.namedtuple("named", "a b")
    for value, names in [
        ({"a": 1, "b": 2}, ["a", "b"]),
        (collections.OrderedDict(a=1), ["a"]),
        (collections.defaultdict(int, a=1), ["a"]),
        (collections.Counter("aa"), ["a"]),
        (named(1, 2), ["a", "b"]),
        (Loose(1), ["a"]),
    ]:
        assert list(named_results(snapshot(value, take_apart, fields_of))) == names


def test_a_table_a_set_and_an_array_are_returned_bare(tmp_path):
    frame = pd.DataFrame({"a": [1.5, 2.5]})

    def f(x):
        return [frame, {x}, np.ma.MaskedArray([1.0, 2.0], [True, False])][x]

    with simkit.run(f, simkit.product(x=range(3)), output=tmp_path / "f.h5", seed=1) as traj:
        assert list(traj.results) == ["result"]
        assert identical(traj.runs[0].result, frame)
        assert traj.runs[1].result == {1}
        assert traj.runs[2].result.tolist() == [None, 2.0]


def test_what_was_read_and_is_returned_is_what_it_is_now():
    read = decode(encode([[Trace(np.zeros(2))]]))[0][0]
    assert type(read) is Stored
    kept = take_apart(read)
    read.v[0] = 9
    assert decode(encode([kept]))[0].v.tolist() == [0, 0]


def test_what_cannot_change_is_not_taken_apart():
    for value in (1.5, np.float32(2), range(3), pd.Timestamp(0), frozenset({1}), pd.Index([1])):
        assert take_apart(value) is value
        assert codec_of(type(value)) is None or not codec_of(type(value)).mutable
