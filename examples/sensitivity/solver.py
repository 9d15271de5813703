"""Ishigami's function, as a solver with a licence server that is now and then too busy for a job."""

import random
from math import sin
from pathlib import Path

BUSY = Path(__file__).with_name("server-is-busy")
REFUSED = frozenset(random.Random(2).sample(range(5 * 1024), 40))  # jobs that come at a bad moment


class NoLicence(Exception):
    """The licence server refuses a job."""


def solve(x, y, z, job):
    """The function of Ishigami & Homma (1990), whose sensitivity indices are known exactly."""
    if job in REFUSED and BUSY.exists():
        raise NoLicence(f"job {job}: all licences are in use")
    return sin(x) + 7 * sin(y) ** 2 + 0.1 * z**4 * sin(x)
