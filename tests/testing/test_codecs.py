"""The suite for codecs of the user's own: it accepts what keeps values, and says what does not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simkit import Codec
from simkit.testing.codecs import check_codec, equal


class Spikes:
    def __init__(self, t, source):
        self.t, self.source = np.asarray(t), source


VALUES = [Spikes([1.0, 2.0], "soma"), Spikes([], "axon"), Spikes([math.nan], "soma")]


def encode(spikes):
    return {"t": spikes.t}, {"source": spikes.source}


def decode(arrays, facts):
    return Spikes(arrays["t"], facts["source"])


def test_a_codec_that_keeps_its_values_passes_and_is_forgotten_afterwards():
    check_codec(VALUES, Codec("lab.Spikes", Spikes, encode, decode))
    with pytest.raises(AssertionError, match="in one column: value 0 came back as"):
        check_codec(VALUES, Codec("lab.Spikes", Spikes, encode, lambda arrays, _: Spikes(arrays["t"], "")))


@pytest.mark.parametrize(
    ("encode", "decode", "problem"),
    [
        (encode, lambda arrays, facts: Spikes(arrays["t"][::-1], facts["source"]), "value 0 came back"),
        (encode, lambda arrays, _: Spikes(arrays["t"], "soma"), "value 1 came back"),
        (encode, lambda arrays, facts: arrays["t"], "came back as array"),
        (
            lambda spikes: ({"t": spikes.t.astype("f4")}, {"source": spikes.source}),
            decode,
            "in one column: value 0 came back",
        ),
    ],
)
def test_what_is_lost_is_named(encode, decode, problem):
    with pytest.raises(AssertionError, match=problem):
        check_codec(VALUES, Codec("lab.Spikes", Spikes, encode, decode))


def test_values_that_should_be_told_apart_are_an_error():
    """A comparison of the user's own decides what is lost, and what must not be told apart."""
    codec = Codec("lab.Spikes", Spikes, encode, decode)
    with pytest.raises(AssertionError, match="equal is True"):
        check_codec(VALUES, codec, equal=lambda one, other: type(one) is type(other))


def test_a_function_that_fails_is_told_by_the_codecs_name():
    codec = Codec("lab.Spikes", Spikes, lambda spikes: ({"t": spikes.times}, {}), decode)
    with pytest.raises(Exception, match=r"codec 'lab\.Spikes': its encode\(\) .* raised AttributeError"):
        check_codec(VALUES, codec)


class Slotted:
    __slots__ = ("a",)

    def __init__(self, a):
        self.a = a


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (True, 1, False),
        (math.nan, float("nan"), True),
        (0.0, -0.0, False),
        ([1, (2, {"a": 3})], [1, (2, {"a": 3})], True),
        ([1], [1, 2], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        (np.arange(3), np.arange(3), True),
        (np.arange(3), np.arange(3.0), False),
        (np.arange(4), np.arange(4).reshape(2, 2), False),
        (np.array([1, "a"], object), np.array([1, "a"], object), True),
        (np.array([1, "a"], object), np.array([1, "b"], object), False),
        (Spikes([1.0], "s"), Spikes([1.0], "s"), True),
        (Spikes([1.0], "s"), Spikes([1.0], "t"), False),
        (Slotted([1]), Slotted([1]), True),
        (Slotted([1]), Slotted([2]), False),
        ({1}, {1}, True),
        ("a", "b", False),
    ],
)
def test_equal_means_the_same_type_and_bits(one, other, alike):
    assert equal(one, other) is alike
