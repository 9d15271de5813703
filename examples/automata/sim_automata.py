"""A simulator that exists already, explored without touching it."""

from typing import Annotated, Literal

import numpy as np
from automaton import cellular_automaton

from simkit import experiment, explore, parameter


@parameter
def initial_state(
    initial: Annotated[Literal["single", "random"], "how the cells begin"] = "random",
    cells: Annotated[int, "number of cells, on a ring"] = 400,
    seed: Annotated[int, "seed of a random initial state"] = 100042,
) -> np.ndarray:
    """State of all cells at step 0."""
    if initial == "random":
        return np.random.default_rng(seed).integers(0, 2, cells, dtype=np.uint8)
    if initial == "single":
        return (np.arange(cells) == cells // 2).astype(np.uint8)
    raise ValueError(f"initial must be 'single' or 'random', not {initial!r}")


@experiment
@explore(rule_number=[10, 30, 90, 110, 184, 190])
def automata(
    initial_state: np.ndarray,
    rule_number: Annotated[int, "rule of the automaton, 0 to 255"],
    steps: Annotated[int, "rows of the pattern"] = 250,
) -> dict[str, np.ndarray]:
    """Development of cellular automata over time."""
    return {"pattern": cellular_automaton(initial_state, rule_number, steps)}
