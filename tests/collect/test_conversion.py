from __future__ import annotations

import datetime
import decimal
import enum
import math
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, NewType, TypeVar

import attrs
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from storable import identical
from typing_extensions import TypeAliasType  # `type X = …`, before Python 3.12 too

from simkit import SimkitError
from simkit.collect.conversion import convert, expected
from simkit.collect.text import Typed


class Mode(enum.Enum):
    FAST = "fast"
    SLOW = "slow"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Part(enum.Flag):
    SOMA = 1
    AXON = 2


class Kelvin(float):
    pass


@attrs.frozen
class Cell:
    tau: float = 1.0


Rate = NewType("Rate", float)
T, U = TypeVar("T"), TypeVar("U")
Vector = TypeAliasType("Vector", list[T], type_params=(T,))
Lookup = TypeAliasType("Lookup", dict[U, T], type_params=(T, U))
Maybe = TypeAliasType("Maybe", T | None, type_params=(T,))
DAY = datetime.date(2021, 2, 3)
DAYS = np.ndarray[Any, np.dtype("M8[D]")]
NOON = datetime.datetime(2021, 2, 3, 12, 30, tzinfo=datetime.UTC)
UUID = "12345678-1234-5678-1234-567812345678"


# From Python, TOML and other trajectories


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
        ([1], list[int], [1]),
        ([1], np.ndarray, np.array([1])),
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
        (3, list[int], "x is a list, and 3 is an int"),
        (2**53 + 1, complex, "x is a complex"),
        (3, list, "x is a list, and 3 is an int"),
        ([1], str, "x is a str, and [1] is a list"),
        (1.10, str, "x is a str, and 1.1 is a float: write it in quotes"),
        (True, str, "x is a str, and True is a bool: write it in quotes"),
        (DAY, str, "x is a str, and datetime.date(2021, 2, 3) is a date: write it in quotes"),
        (1e23, int, "x is an int, and 1e+23 is a float"),
        (None, float, "x is a float, and None is a NoneType"),
    ],
)
def test_a_value_that_would_lose_something_is_an_error_with_its_source(value, kind, message):
    with pytest.raises(SimkitError) as error:
        convert(value, "x", kind, "--set x=…")
    assert str(error.value).startswith("--set x=…: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("value", "kind", "converted"),
    [
        ("a/b", Path, Path("a/b")),
        ("slow", Mode, Mode.SLOW),
        ("SLOW", Mode, Mode.SLOW),
        (2, Level, Level.HIGH),
        (DAY, datetime.date, DAY),
        (DAY, datetime.datetime, datetime.datetime(2021, 2, 3)),
        (NOON, datetime.datetime, NOON),
        (None, float | None, None),
        (2, float | None, 2.0),
        ([1, 2], npt.NDArray[np.float32], np.array([1, 2], "f4")),
        ([[1], [2]], np.ndarray[Any, np.dtype("i2")], np.array([[1], [2]], "i2")),
        (["a", "long"], np.ndarray[Any, np.dtype("U1")], np.array(["a", "long"])),
        ([DAY], DAYS, np.array(["2021-02-03"], "M8[D]")),
        (["2021-02-03T00:00", "NaT"], DAYS, np.array(["2021-02-03", "NaT"], "M8[D]")),
        (1e22, int, 10**22),
        ([1, 2.5], np.ndarray, np.array([1, 2.5])),
        (["a", "bc"], np.ndarray, np.array(["a", "bc"])),
        ([], np.ndarray[Any, np.dtype("f8")], np.array([])),
        (0.25, np.float32, np.float32(0.25)),
        (3, np.uint8, np.uint8(3)),
        (np.float64(2.5), float, 2.5),
        (np.int64(3), float, 3.0),
        ([1, 2], tuple[float, ...], (1.0, 2.0)),
        ([1, "a"], tuple[float, str], (1.0, "a")),
        ([1, 1, 2], frozenset, frozenset({1, 2})),
        ({"a": 1}, dict[str, float], {"a": 1.0}),
        ([1, 2], Sequence[float], [1, 2]),
        ({"a": 1}, Mapping[str, int], {"a": 1}),
        (3, Rate, 3.0),
        (3, Annotated[float, "a rate"], 3.0),
        ([1], Vector[float], [1.0]),
        ([[1]], Vector[Vector[float]], [[1.0]]),
        ([1], Vector, [1]),
        ({"a": 1}, Lookup[float, str], {"a": 1.0}),
        (1, Maybe[float], 1.0),
        ([1], Maybe[Vector[float]], [1.0]),
        ("1.10", decimal.Decimal, decimal.Decimal("1.10")),
        (UUID, uuid.UUID, uuid.UUID(UUID)),
        (Cell(), Cell, Cell()),
        (len, Callable[[Any], int], len),
        ("a", Any, "a"),
        ("a", object, "a"),
        (3, "Unresolved", 3),
    ],
)
def test_a_value_becomes_one_of_the_expected_type(value, kind, converted):
    assert identical(convert(value, "x", kind, "--set"), converted)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("fats", Mode, "x is a member of Mode, and 'fats' is none; did you mean 'FAST'?"),
        (3, Path, "x is a Path, and 3 is an int"),
        ([123456789012345678.0], np.ndarray[Any, np.dtype("i8")], "x is an array of int64"),
        ([2**53 + 1, 0.5], np.ndarray[Any, np.dtype("f8")], "x is an array of float64"),
        ([2**53 + 1, 0.5], np.ndarray, "x is an array of values of one type"),
        ([2**64 - 1, -1], np.ndarray, "x is an array of values of one type"),
        ([1, True], np.ndarray[Any, np.dtype("i8")], "x is an array of int64"),
        ([1, "2"], np.ndarray, "x is an array of values of one type, and [1, '2'] has other values"),
        ([True, 2], np.ndarray, "x is an array of values of one type"),
        (["2021-02-03T10:20"], DAYS, "x is an array of datetime64[D], and ['2021-02-03T10:20'] has"),
        ([datetime.datetime(2021, 2, 3, 10)], DAYS, "x is an array of datetime64[D]"),
        (["1500-01-01"], np.ndarray[Any, np.dtype("M8[ns]")], "x is an array of datetime64[ns]"),
        ([NOON], np.ndarray[Any, np.dtype("M8[s]")], "x is an array of datetime64[s]"),
        (NOON, np.datetime64, "x is a datetime64"),
        ("midsummer", datetime.date, "x is a date, and 'midsummer' means none: write it as 2021-02-03"),
        (NOON, datetime.date, "x is a date"),
        (2.5, int | None, "x is an int, and 2.5 is a float"),
        ("a", int | float, "x is an int or a float, and 'a' is a str"),
        (300, np.uint8, "x is an uint8, and 300 is an int"),
        (-1, np.uint8, "x is an uint8"),
        (1e39, np.float32, "x is a float32"),
        (1e-60, np.float32, "x is a float32"),
        (1, np.bool_, "x is a bool"),
        ("1", np.float64, "x is a float64"),
        ([1, 2.5], np.ndarray[Any, np.dtype("i8")], "x is an array of int64, and [1, 2.5] has other values"),
        ([[1], [2, 3]], np.ndarray[Any, np.dtype("f8")], "x is an array of float64"),
        (["1"], np.ndarray[Any, np.dtype("f8")], "x is an array of float64"),
        ([1j], np.ndarray[Any, np.dtype("f8")], "x is an array of float64"),
        (3, np.ndarray, "x is an array, and 3 is an int"),
        ("y", bytes, "x is a bytes, and 'y' is a str: write it as b'…'"),
        ([1, "a"], list[float], "an item of x is a float, and 'a' is a str"),
        ([1, 2], tuple[int, int, int], "x has 3 items, and [1, 2] has 2"),
        ("3", Cell, "x is a Cell, and '3' is a str: give it in the code"),
        ("f", Callable, "x is a Callable, and 'f' is a str: give it in the code"),
        ("abc", Sequence, "x is a Sequence"),
        ("abc", pd.DataFrame, "x is a DataFrame, and 'abc' is a str: give it in the code"),
        ("1h", datetime.timedelta, "x is a timedelta, and '1h' is a str: give it in the code"),
        (1.5, Kelvin, "x is a Kelvin"),
        ("many", decimal.Decimal, "x is a Decimal, and 'many' means none"),
        ("medium", Literal["low", "high"], "x is one of 'low', 'high', not 'medium'"),
    ],
)
def test_a_value_that_is_none_of_the_expected_type_is_an_error(value, kind, message):
    with pytest.raises(SimkitError) as error:
        convert(value, "x", kind, "--set x=…")
    assert str(error.value).startswith("--set x=…: ")
    assert message in str(error.value)


# From the command line


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("a/b", Path, Path("a/b")),
        ("'a b'", PurePosixPath, PurePosixPath("a b")),
        ("3", Path, Path("3")),
        ("SLOW", Mode, Mode.SLOW),
        ("Mode.SLOW", Mode, Mode.SLOW),
        ("2", Level, Level.HIGH),
        ("SOMA|AXON", Part, Part.SOMA | Part.AXON),
        ("none", float | None, None),
        ("3", float | None, 3.0),
        ("-inf", float, -math.inf),
        ("3", int | str, 3),
        ("none", str | None, None),
        ("fast", str | None, "fast"),
        ("1.10", str | None, "1.10"),
        ("a/b", Path | None, Path("a/b")),
        ("low", Literal["low", "high"], "low"),
        ("2", Literal[1, 2, "2"], 2),
        ("'2'", Literal["1", "2"], "2"),
        ("[1, nan]", np.ndarray[Any, np.dtype("f8")], np.array([1, math.nan])),
        ("0.1", np.float32, np.float32(0.1)),
        ("2021-02-03", np.datetime64, np.datetime64("2021-02-03")),
        ("2021-02-03", datetime.date, DAY),
        ("2021-02-03 12:30+00:00", datetime.datetime, NOON),
        ("12:30", datetime.time, datetime.time(12, 30)),
        ("b'y'", bytes, b"y"),
        ("{1, 2}", frozenset, frozenset({1, 2})),
        ("[]", set, set()),
        ("(1, 2)", tuple[float, float], (1.0, 2.0)),
        ("3", Any, 3),
        ("abc", None, "abc"),
    ],
)
def test_what_is_typed_becomes_one_of_the_expected_type(text, kind, value):
    assert identical(convert(Typed(text), "x", kind, "--set"), value)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("abc", float | None, "x is a float, and 'abc' is a str"),
        ("y", bytes, "x is a bytes, and 'y' is a str: write it as b'…'"),
        ("1e999", float, "1e999 is beyond what a float can hold"),
        ("1e23", int, "x is an int, and 1e+23 is a float"),
        ("[1.10]", list[str], "an item of x is a str, and 1.1 is a float: write it in quotes"),
        ("{'a': 1, 'b': 2, 'a': 3}", dict, "{'a': 1, 'b': 2, 'a': 3} has 'a' twice"),
        ("2021-02-03T10:20+02:00", np.datetime64, "x is a datetime64"),
        ("[1, 1e999]", np.ndarray, "1e999 is beyond what a float can hold"),
        ("1e-999", float | None, "1e-999 is beyond what a float can hold"),
        ("lwo", Literal["low", "high"], "x is one of 'low', 'high', not 'lwo'; did you mean 'low'?"),
        ("SOMA|LEG", Part, "x is a member of Part, and 'SOMA|LEG' is none"),
        ("abc", Cell, "x is a Cell, and 'abc' is a str: give it in the code"),
        ("1", None.__class__, "x is None, and 1 is an int"),
    ],
)
def test_what_is_typed_and_means_none_of_the_expected_type_is_an_error(text, kind, message):
    with pytest.raises(SimkitError) as error:
        convert(Typed(text), "x", kind, f"--set x={text}")
    assert message in str(error.value)


# What is expected


@pytest.mark.parametrize(
    ("annotation", "default", "kind"),
    [
        (None, 1.5, float),
        (None, None, None),
        (int, None, int),
        (float, 1, float),
        (int, 1.5, float),
        (float | None, 1.5, float | None),
        (typing.Optional[int], 3, int | None),  # noqa: UP045
        (Literal["a", "b"], "a", Literal["a", "b"]),
        (list[float], [1.0], list[float]),
        (Sequence[float], (1.0,), tuple),
        (object, Mode.FAST, Mode),
        (None, np.zeros(2, "f4"), np.ndarray[Any, np.dtype("f4")]),
        (Annotated[float | None, "a rate"], 2.0, float | None),
    ],
)
def test_the_annotation_counts_where_it_says_more_than_the_default(annotation, default, kind):
    assert expected(annotation, default) == kind


@pytest.mark.parametrize("typed", ["none", "true", "1.10", "007", "1e3", "nan", "'quoted'", "0x10", "1_000"])
def test_what_is_typed_for_a_text_parameter_stays_as_it_was_typed(study, typed):
    from simkit.cli.command import outside_values
    from simkit.collect.collection import collect
    from simkit.collect.config import load_settings

    study.write(
        "sim_a.py", "from simkit import experiment\n@experiment\ndef f(mode='full'):\n    return mode\n"
    )
    project = load_settings(study.root)
    (item,), _ = collect(attrs.evolve(project, outside=outside_values(project, [], [f"mode={typed}"])))
    assert item.plan.nodes["mode"].value == typed.strip("'")
