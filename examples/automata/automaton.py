"""One-dimensional cellular automata. Knows nothing of simkit."""

import numpy as np


def cellular_automaton(initial_state, rule_number, steps):
    """Let an elementary cellular automaton develop on a ring of cells.

    Parameters
    ----------
    initial_state
        Zeros and ones, shape ``(cells,)``.
    rule_number
        0 to 255; bit ``4 * left + 2 * cell + right`` is the new state of a cell.
    steps
        Rows of the pattern; the initial state is the first.

    Returns
    -------
    ndarray
        The state of each cell at each step, uint8, shape ``(steps, cells)``.
    """
    table = (rule_number >> np.arange(8)) & 1
    pattern = np.empty((steps, len(initial_state)), np.uint8)
    pattern[0] = initial_state
    for step in range(1, steps):
        cells = pattern[step - 1]
        pattern[step] = table[4 * np.roll(cells, 1) + 2 * cells + np.roll(cells, -1)]
    return pattern
