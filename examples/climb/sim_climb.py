"""Generations of points around the best one so far: where is the highest summit?"""

import numpy as np
from hill import height

from simkit import adaptive, experiment, explore


def climb(rng, run, ngen=30, popsize=200, sigma=0.5):
    """Gaussian steps around the best point so far; the next generation waits for all results of this one."""
    best, best_z = np.zeros(2), -np.inf
    for _ in range(ngen):
        x, y = best[:, None] + sigma * rng.standard_normal((2, popsize))
        results = yield explore(x=x, y=y)
        i = np.nanargmax(results["z"])
        if results["z"][i] > best_z:
            best, best_z = np.array([x[i], y[i]]), results["z"][i]
        run.append(best_z=best_z)
    return {"best": best}


@experiment
@adaptive(climb)
def hill(x: float, y: float):
    """The height at one point."""
    return {"z": height(x, y)}
