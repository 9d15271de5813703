"""Trajectories that are merged, and those that must not be."""

from __future__ import annotations

import warnings

import pytest

import simkit
from simkit import SimkitError

F = """
from simkit import experiment

@experiment
def f(x=0.0, k=1):
    return {"z": x * k}
"""


DRAWS = """
from simkit import experiment

@experiment
def f(rng, x=0.0):
    return {"noise": rng.normal()}
"""


def refused(*arguments, **options):
    """What merging these is told."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(SimkitError) as told:
            simkit.merge(*arguments, **options)
    return str(told.value)
