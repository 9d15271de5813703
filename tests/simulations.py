"""Simulation files of one, three and failing experiments."""

from __future__ import annotations

MULTIPLY = '''
from simkit import experiment, product

@experiment
@product(x=[1.0, 2.0, 3.0, 4.0], y=[6.0, 7.0, 8.0])
def multiply(x: float, y: float) -> dict[str, float]:
    """Multiply two numbers."""
    return {"z": x * y}
'''


THREE = '''
from simkit import experiment, product

@experiment
@product(x=[1, 2])
def lorenz(x):
    """The attractor."""
    return {"a": x}

@experiment
@product(x=[1, 2, 3])
def lorenz_slow(x):
    return {"b": x}

@experiment
def rossler(x=1):
    return {"c": x}
'''


FAILING = '''
from simkit import experiment, product

@experiment
@product(i=range({n}))
def shaky(i, bad={bad}):
    """Fails from ``bad`` on."""
    if i >= bad:
        raise ValueError(f"no luck with {{i}}")
    return {{"z": i}}
'''
