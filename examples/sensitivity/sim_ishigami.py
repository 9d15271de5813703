"""Which of three inputs does the result depend on, alone or together with others?"""

from math import pi

from solver import solve

from simkit import experiment, saltelli


@experiment
@saltelli(1024, x=(-pi, pi), y=(-pi, pi), z=(-pi, pi))
def ishigami(x: float, y: float, z: float, run) -> float:
    """1,024 blocks of five runs each."""
    return solve(x, y, z, job=run.index)
