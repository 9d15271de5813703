"""Files of one experiment, and the merging of them."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest
from merges import F

import simkit


@pytest.fixture
def make(study):
    """Record ``f`` of a text into a file of its own."""

    def record(file, space=None, text=F, **options):
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith(str(study.root)):
                del sys.modules[name]  # the text may be another one
        with study.run(text, space=space, output=file, fresh=True, **options):
            return Path(file)

    return record


@pytest.fixture
def merge():
    """Merge, remarks aside; closed when the test ends."""
    opened = []

    def merged(target, *sources, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened.append(simkit.merge(target, *sources, **options))
        return opened[-1]

    yield merged
    for trajectory in opened:
        trajectory.close()
