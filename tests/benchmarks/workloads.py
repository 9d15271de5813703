"""What a run computes in the paper's Figure 5, cheap and checkable: what is measured is the system around it."""

import numpy as np

GOLDEN = 0.6180339887498949
BASE = np.random.default_rng(1).random((1000, 125))  # a megabyte that no filter makes much smaller
BASE[0, 0] = 0.0


def scalar(i):
    """A number between 0 and 1."""
    return i * GOLDEN % 1.0


def array(i):
    """A thousand times 125 numbers, the first of which is `scalar(i)`."""
    return BASE + scalar(i)


def expected(n):
    """The numbers of all runs."""
    return np.arange(n) * GOLDEN % 1.0
