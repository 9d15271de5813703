"""The highest summit by three libraries: one experiment each, the same function, as many runs."""

import random

import numpy as np
from deap import algorithms, base, creator, tools
from hill import height
from scipy.optimize import differential_evolution

from simkit import adapters, adaptive, experiment

LOW, HIGH = -10.0, 10.0

creator.create("Highest", base.Fitness, weights=(1.0,))
creator.create("Individual", list, fitness=creator.Highest)


def suggest(trial):
    return {name: trial.suggest_float(name, LOW, HIGH) for name in ("x", "y")}


@experiment
@adaptive(adapters.optuna(suggest, value="z", direction="maximize", n_trials=400))
def by_optuna(x: float, y: float):
    """A tree of Parzen estimators: a new point as soon as a worker is free."""
    return {"z": height(x, y)}


def evolve(evaluate, ngen=19, popsize=20):
    """DEAP's eaSimple as it is: it calls toolbox.map once for each generation."""

    def compute(function, individuals):
        points = np.array(list(individuals))
        return [(z,) for z in evaluate(x=points[:, 0], y=points[:, 1])["z"]] if len(points) else []

    toolbox = base.Toolbox()
    toolbox.register("number", random.uniform, LOW, HIGH)
    toolbox.register("individual", tools.initRepeat, creator.Individual, toolbox.number, n=2)
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("evaluate", lambda individual: individual)
    toolbox.register("map", compute)
    toolbox.register("mate", tools.cxBlend, alpha=0.5)
    toolbox.register("mutate", tools.mutGaussian, mu=0, sigma=1.0, indpb=0.8)
    toolbox.register("select", tools.selTournament, tournsize=3)
    algorithms.eaSimple(toolbox.population(n=popsize), toolbox, 0.7, 0.8, ngen, verbose=False)


@experiment
@adaptive(evolve)
def by_deap(x: float, y: float):
    """An evolutionary algorithm: by generations."""
    return {"z": height(x, y)}


def solve(evaluate, rng, maxiter=19):
    """SciPy's differential evolution, which minimises: whole populations at a time."""
    differential_evolution(
        lambda p: -evaluate(x=p[0], y=p[1])["z"],
        [(LOW, HIGH)] * 2,
        popsize=10,
        maxiter=maxiter,
        polish=False,
        vectorized=True,
        updating="deferred",
        rng=rng,
    )


@experiment
@adaptive(solve)
def by_scipy(x: float, y: float):
    """Differential evolution: by populations."""
    return {"z": height(x, y)}
