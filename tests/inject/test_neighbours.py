"""Runs of one call whose results depend on the others are told, rounding is not mistaken for that."""

from __future__ import annotations

import numpy as np
import pytest

from simkit.inject.neighbours import Neighbours, without_neighbours
from simkit.values.encode import encode, encode_rows

STUDY = """
import numpy as np
from simkit import experiment, explore

@experiment(vectorized=True)
@explore(x=np.arange(40.0))
def centred(x):
    return {"v": x - x.mean(), "w": x}

@experiment(vectorized=True)
@explore(x=np.arange(40.0))
def fresh(x):
    return np.random.default_rng().normal(size=len(x))

@experiment(vectorized=True)
@explore(x=np.arange(40.0))
def needs_two(x):
    return np.interp(x, x, x) if len(x) > 1 else [][0]

@experiment(vectorized=True)
@explore(x=np.arange(40.0))
def named(x):
    return {"v": x, **({"more": x} if len(x) > 1 else {})}

@experiment(vectorized=True)
@explore(x=np.arange(40.0))
def rounded(x):
    return {"v": x / 3 * (1 + 1e-14 * (len(x) > 1))}

@experiment(vectorized=True)
@explore(x=np.arange(40.0))
def fine(x, seed):
    return {"v": np.sin(x) + seed, "w": [np.full(k, k) for k in x.astype(int).tolist()]}
"""


def test_dependence_is_told_once_and_rounding_as_rounding(project):
    project.file("sim_a.py", STUDY)
    said = " ".join(project.ok("-n", "1").out.split())
    assert "centred: run 0, computed alone, gives another 'v' (0.0) than together with others (-7.5)" in said
    assert "fresh: run 0, computed alone, gives another 'result'" in said
    assert "needs_two: run 0, computed alone, fails: IndexError: list index out of range" in said
    assert (
        "named: run 0, computed alone, gives another 'more' (nothing) than together with others (0.0)" in said
    )
    assert (
        "rounded: runs computed alone differ in their last digits (by up to 1e-14 of the value in 'v')"
        in said
    )
    assert said.count("computed alone") == 5
    assert said.count('silence = ["dependent_runs"]') >= 1
    project.file("pyproject.toml", '[tool.simkit]\nsilence = ["dependent_runs"]\n')
    assert "computed alone, " not in project.ok("sim_a.py::centred", "--fresh").out


@pytest.mark.parametrize(
    ("dtype", "apart", "is_dependent"),
    [
        ("f8", 1e-13, False),
        ("f8", 1e-5, True),
        ("f4", 1e-5, False),
        ("f4", 1e-2, True),
        ("c16", 1e-13, False),
        ("i8", 0, False),
    ],
)
def test_half_of_the_digits_are_rounding(dtype, apart, is_dependent):
    together = np.array([1, 2, 3], dtype)
    neighbours = Neighbours({"v": encode_rows(together)})
    neighbours.compare(7, 1, {"v": encode_rows((together[1:2] * (1 + apart)).astype(dtype))})
    warnings = neighbours.warnings
    assert [name for name, _ in warnings] == (["dependent_runs"] if is_dependent else [""] * bool(apart))
    assert without_neighbours([*warnings, ("other", "text")]) == [("other", "text")]


def test_noise_at_zero_is_measured_at_the_columns_largest_value():
    neighbours = Neighbours({"v": encode([1.0, 1e-17, 3.0])})
    neighbours.compare(1, 1, {"v": encode([-1e-16])})
    assert [name for name, _ in neighbours.warnings] == [""]
    neighbours.compare(1, 1, {"v": encode([0.5])})
    assert [name for name, _ in neighbours.warnings] == ["dependent_runs"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["a", "b"], ["c"]),
        ([1, 2], [3]),
        ([[1, 2], [3]], [[1, 3]]),
        ([True, False], [False]),
        ([1, 2], [1.0]),
    ],
)
def test_all_else_must_be_the_same(one, other):
    neighbours = Neighbours({"v": encode(one)})
    neighbours.compare(0, 0, {"v": encode([one[0]])})
    assert neighbours.warnings == []
    neighbours.compare(0, 0, {"v": encode(other)})
    assert [name for name, _ in neighbours.warnings] == ["dependent_runs"]
