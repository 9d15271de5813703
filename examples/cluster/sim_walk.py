"""How far does a random walker come that prefers one direction?"""

import numpy as np

from simkit import experiment, product


@experiment
@product(bias=np.linspace(0, 0.5, 6), steps=[100, 1000])
def walk(bias: float, steps: int, rng: np.random.Generator, walkers: int = 2000) -> dict[str, float]:
    """Let walkers go in two directions, and look at where they are in the end."""
    ends = 2 * rng.binomial(steps, (1 + bias) / 2, walkers) - steps
    return {"mean": float(ends.mean()), "spread": float(ends.std())}
