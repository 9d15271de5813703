"""A study with failed runs and values of many types, recorded once for all tests of a file."""

from __future__ import annotations

import pytest

SOURCE = '''
from typing import Annotated, NamedTuple
import numpy as np
from simkit import Unit, experiment, explore, parameter, product

@parameter
class Neuron:
    """Integrate-and-fire."""
    N: Annotated[int, "number of neurons"] = 100
    tau: Annotated[float, "membrane time constant", Unit("ms")] = 20.0

@parameter
def dt(neuron: Neuron) -> Annotated[float, Unit("ms")]:
    """Time step."""
    return neuron.tau / 100

@parameter
def speed(x: float) -> float:
    """Depends on what is explored."""
    return 2 * x

class Found(NamedTuple):
    z: Annotated[float, "the product", Unit("mV")]
    n: int

@experiment
@product(x=[0.0, 1.0, 2.0], name=["a", "b"])
def typed(x: Annotated[float, "position", Unit("cm")], name: str, neuron, dt, speed, gain=2.0) -> Found:
    """Typed results."""
    return Found(x * gain, int(x))

@experiment
@product(i=range(6))
def many(i, rng, seed, run, weights=(1.0, 2.0), table={"a": [1, 2]}):
    """All kinds of values; run 4 fails, odd runs lack some."""
    print("say", i)
    run.note("looks fine")
    run.note(f="rounded")
    if i == 4:
        raise ValueError(f"no luck with {i}")
    found = {
        "f": i + 0.5, "i32": np.int32(i), "b": i > 2, "c": complex(i, 1), "text": f"t{i}",
        "day": np.datetime64("2026-01-01") + i, "vector": np.full(3, float(i)), "ints": np.arange(3) * i,
        "ragged": np.arange(i), "mixed": [1, 2.5, "x", None, 0, True][i], "nothing": None,
        "nested": {"a": i, "b": {"c": i * 2.0}}, "deep.er.value": i, "deep.flat": -i, "items": "mine",
    }
    if i % 2:
        found = {k: v for k, v in found.items() if k not in ("f", "b", "c", "day", "vector", "ints", "text")}
        found["odd_int"] = i
        found["wait"] = np.timedelta64(i, "s")
    return found

@experiment
@product(x=[1, 2]).repeat(2)
def columns(x):
    return {"status": f"s{x}", "seconds": -x}

@experiment
def alone(x=1):
    return 5
'''


@pytest.fixture(scope="module")
def whole_study(shared):
    shared.file("sim_all.py", SOURCE)
    result = shared.simkit("-n", "2", "--seed", "12")
    assert result.code == 1, result.err
    return shared


@pytest.fixture(scope="module")
def typed(whole_study):
    return whole_study.open("typed-001")


@pytest.fixture(scope="module")
def many(whole_study):
    return whole_study.open("many-001")
