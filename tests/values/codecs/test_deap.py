"""DEAP's individuals, fitnesses and logbooks are kept with all that they carry."""

from __future__ import annotations

import array

import numpy as np
import pytest
from deap import base, creator, tools

import simkit


@pytest.fixture
def individual(monkeypatch):
    """Makes an individual of a class like those that DEAP's documentation creates."""

    def make(kind, items, **more):
        for name in ("Fittest", "Individual"):
            monkeypatch.delattr(creator, name, raising=False)
        creator.create("Fittest", base.Fitness, weights=(-1.0, 2.0))
        creator.create("Individual", kind, fitness=creator.Fittest, **more)
        made = creator.Individual(items)
        made.fitness.values = (3.0, 4.0)
        return made

    return make


@pytest.mark.parametrize(
    ("kind", "items", "more"),
    [
        (list, [1.5, 2.5], {}),
        (array.array, [1.5, 2.5], {"typecode": "d"}),
        (np.ndarray, [1.5, 2.5], {}),
        (set, [1, 2], {}),
    ],
    ids=["list", "array", "ndarray", "set"],
)
def test_an_individual_is_kept_with_its_fitness(individual, kind, items, more):
    best = individual(kind, items, **more)
    best.fitness.crowding_dist = np.inf
    recorded = simkit.call(lambda: {"best": best})["best"]
    assert type(recorded) is creator.Individual
    assert list(recorded) == items
    fitness = recorded.fitness
    assert fitness.values == (3.0, 4.0)
    assert fitness.weights == (-1.0, 2.0)
    assert fitness.attributes == {"crowding_dist": np.inf}


def test_a_logbook_is_kept_with_its_chapters():
    book = tools.Logbook()
    book.record(gen=0, nevals=10, fitness={"max": 1.5, "min": np.float64(0.5)})
    book.record(gen=1, nevals=8, fitness={"max": 2.5, "min": np.float64(0.25)})
    again = simkit.call(lambda: {"book": book})["book"]
    assert again.select("gen") == [0, 1]
    assert again.chapters["fitness"].select("max") == [1.5, 2.5]
    assert type(again) is tools.Logbook
