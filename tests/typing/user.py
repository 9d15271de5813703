"""What a type checker sees of a user's code: mypy reads this file, and nothing executes it."""

from __future__ import annotations

from typing import Annotated, Any, assert_type

import numpy as np
import pandas as pd

import simkit
from simkit import Run, Space, Trajectory, Unit, after, experiment, explore, fixture, parameter, product


@experiment
@product(x=[1.0, 2.0], y=[6.0])
def multiply(x: float, y: float) -> dict[str, float]:
    return {"z": x * y}


@experiment(compress=True)
@explore(x=[1, 2])
def with_options(x: int, run: Run) -> None:
    run.add(z=x)


assert_type(multiply(2.0, 3.0), dict[str, float])
assert_type(with_options(1, Run()), None)
multiply("two", 3.0)  # type: ignore[arg-type]
multiply(x=2.0)  # type: ignore[call-arg]


@parameter
class Neuron:
    """Fields are keywords, and read-only."""

    N: Annotated[int, "number of neurons"] = 100
    tau: Annotated[float, Unit("ms")] = 20.0


@parameter(name="cell")
class Renamed:
    weights: list[float]


assert_type(Neuron(N=5), Neuron)
assert_type(Neuron().tau, float)
assert_type(Renamed(weights=[1.0]).weights, list[float])
Neuron(5)  # type: ignore[call-arg, misc, unused-ignore]
Neuron(N="many")  # type: ignore[arg-type]
Neuron().tau = 3.0  # type: ignore[misc]


@parameter
def dt(neuron: Neuron) -> float:
    return neuron.tau / 100


@parameter(name="step")
def dt_of_another_name(neuron: Neuron) -> float:
    return neuron.tau / 100


@fixture(scope="experiment")
def stimulus(neuron: Neuron) -> list[float]:
    return [1.0] * neuron.N


assert_type(dt(Neuron()), float)
assert_type(dt_of_another_name(Neuron()), float)
assert_type(stimulus(Neuron()), list[float])


@after(multiply)
def summary(trajectory: Trajectory) -> dict[str, Any]:
    return {"mean": float(np.mean(trajectory["z"]))}


space = product(x=[1, 2]) * explore(y=[3, 4]) + product({"syn.w": [1]}, x=[5])
assert_type(space, Space)
assert_type(space.where("x < 2").repeat(3), Space)
assert_type(space.where(lambda x, y: x < y), Space)
assert_type(len(space), int)
assert_type(space.to_dataframe(), pd.DataFrame)

trajectory = simkit.run(multiply, space, workers=2)
assert_type(trajectory, Trajectory)
assert_type(simkit.open("multiply"), Trajectory)
assert_type(simkit.call(multiply, x=1.0, y=2.0), dict[str, Any])
assert_type(trajectory.where("x > 2", y=7), Trajectory)
assert_type(trajectory.to_dataframe(), pd.DataFrame)
assert_type(len(trajectory), int)
assert_type(trajectory.log(0), str)
with trajectory as opened:
    assert_type(opened, Trajectory)
