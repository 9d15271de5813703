"""Python's own types beyond numbers, text, lists and dictionaries."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections import Counter, OrderedDict, deque
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

BERLIN = ZoneInfo("Europe/Berlin")


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"
    BOTH = (1, "b")


class Level(enum.IntEnum):
    LOW = 0
    HIGH = 10


class Mode(enum.StrEnum):
    FAST = "fast"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


def generators() -> list[Any]:
    """One of each bit generator, one in the middle of its stream."""
    made = [
        np.random.Generator(bits(5))
        for bits in (
            np.random.PCG64,
            np.random.PCG64DXSM,
            np.random.MT19937,
            np.random.Philox,
            np.random.SFC64,
        )
    ]
    made[0].integers(10, size=3, dtype="u4")  # half of a word is left over
    return made


NATIVES: dict[str, list[Any]] = {
    "set": [{1, 2}, set(), {3}],
    "set of text": [{"b", "a", "long\0"}, {""}],
    "set of mixed": [{1, "a", 2.5, None, (1, 2), b"x"}, {frozenset({1}), 2**70, -1}, {float("inf"), -0.0}],
    "frozenset": [frozenset({1, 2}), frozenset(), frozenset({frozenset({"x"}), frozenset()})],
    "range": [range(3), range(0), range(10, 2, -3), range(0, 2**70, 2**65)],
    "slice": [slice(1, 2), slice(None), slice("a", "z", 2.5), slice(None, -1, -1)],
    "bytearray": [bytearray(b""), bytearray(b"a\0b")],
    "path": [Path("a/b"), Path("/tmp"), Path(), Path("naïve \udcff")],
    "pure path": [PurePosixPath("a/b"), PureWindowsPath("c:\\a\\b"), PurePosixPath("//x")],
    "uuid": [uuid.UUID(int=5), uuid.UUID(int=2**128 - 1)],
    "decimal": [Decimal(x) for x in ("1.10", "-0", "NaN", "-sNaN12", "Infinity", "1E+300", "0E-7")],
    "fraction": [Fraction(1, 3), Fraction(-(2**80), 3), Fraction(0)],
    "date": [dt.date(2020, 2, 29), dt.date.min, dt.date.max],
    "time": [dt.time(1, 2, 3, 4), dt.time.min, dt.time.max, dt.time(1, fold=1)],
    "time with zone": [dt.time(1, tzinfo=dt.UTC), dt.time(2, tzinfo=BERLIN)],
    "datetime": [dt.datetime(2020, 1, 1, 12, 30, 1, 999_999), dt.datetime.min, dt.datetime.max],
    "datetime with zone": [
        dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2020, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
        dt.datetime(2020, 10, 25, 2, 30, tzinfo=BERLIN),
        dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3.5))),
        dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(0, 1, 5), "odd")),
        dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(0), "zero")),
        dt.datetime(2020, 1, 1),
    ],
    "timedelta": [
        dt.timedelta(1, 2, 3), dt.timedelta(0), dt.timedelta(microseconds=-1), dt.timedelta.max, dt.timedelta.min,
    ],
    "enum": [Colour.RED, Colour.BLUE, Colour.BOTH],
    "enums of several classes": [Level.HIGH, Mode.FAST, Colour.RED, Level.LOW],
    "flag": [Access.READ, Access.READ | Access.WRITE, Access(0)],
    "counter": [Counter("abca"), Counter(), Counter({"x": -1, 2: 2.5})],
    "ordered dict": [OrderedDict(b=1, a=2), OrderedDict()],
    "deque": [deque([1, "a"]), deque([1, 2], 5), deque(maxlen=0)],
    "generator": generators(),
    "everything nested": [
        {"a": [{1, 2}, {"d": dt.date(2020, 1, 1), "p": (Path("x"), [Decimal("1.5")])}], "c": Colour.RED},
        {"a": [], "c": Counter("aa")},
        [range(2), (slice(1), [frozenset({Fraction(1, 2)})])],
    ],
}  # fmt: skip
